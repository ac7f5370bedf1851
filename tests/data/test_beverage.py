import numpy as np
import pandas as pd
import pytest

from swarmlab.data import CANONICAL, open_dataset
from swarmlab.data.beverage import BRANDS, REGIONS, generate
from swarmlab.data.cache import file_digest
from swarmlab.errors import SpecError


@pytest.fixture(scope="module")
def sales():
    """Thirty thousand generated sales."""
    return generate(30_000, 7).to_pandas()


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    """Two machines with empty caches write byte-identical CSV files for one seed."""
    first = open_dataset("beverage:rows=2000,seed=3", cache_dir=tmp_path / "a")
    second = open_dataset("beverage:rows=2000,seed=3", cache_dir=tmp_path / "b")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.fingerprint == second.fingerprint


def test_another_seed_gives_other_sales(tmp_path):
    """The seed is not decoration."""
    first = open_dataset("beverage:rows=500,seed=3", cache_dir=tmp_path)
    second = open_dataset("beverage:rows=500,seed=4", cache_dir=tmp_path)
    assert first.fingerprint != second.fingerprint


def test_totals_follow_from_their_parts(sales):
    """Revenue, cost, profit and margin on each row are what their formulas give, to the cent."""
    np.testing.assert_array_equal(sales.total_revenue, np.round(sales.units_sold * sales.price_per_unit, 2))
    np.testing.assert_array_equal(sales.total_cost, np.round(sales.units_sold * sales.cost_per_unit, 2))
    np.testing.assert_array_equal(sales.profit, np.round(sales.total_revenue - sales.total_cost, 2))
    np.testing.assert_array_equal(sales.profit_margin, np.round(100 * sales.profit / sales.total_revenue, 2))


def test_names_nest_as_promised(sales):
    """Each brand is in one category, each region in one country; stores span regions and countries."""
    assert tuple(sales.columns) == CANONICAL
    assert sales.groupby("brand").category.nunique().tolist() == [1] * len(BRANDS)
    assert sales.groupby("region").country.nunique().tolist() == [1] * len(REGIONS)
    assert (sales.groupby("store_id").region.nunique() > 1).any()
    assert (sales.groupby("store_id").country.nunique() > 1).any()


def test_end_months_are_partial_and_rows_unsorted(sales):
    """The first sale is after the first of its month, the last before its end, and dates are in no order."""
    assert sales.sale_date.min().day > 1
    assert sales.sale_date.max().day < 28
    assert not pd.Series(sales.sale_date).is_monotonic_increasing


def test_summer_sells_more_and_trends_differ(sales):
    """June to August lies above December to February, and the fastest brand outgrows the slowest."""
    dates = pd.to_datetime(sales.sale_date)
    assert dates.dt.month.isin([6, 7, 8]).sum() > 1.2 * dates.dt.month.isin([12, 1, 2]).sum()
    growth = {
        name: (dates[sales.brand == name].dt.year == 2024).sum()
        / (dates[sales.brand == name].dt.year == 2022).sum()
        for name in ("Ember Energy", "Boreal Cola")
    }
    assert growth["Ember Energy"] > 1.2 > 1 > growth["Boreal Cola"]


@pytest.mark.parametrize("rows", [1, 2, 50])
def test_small_frames_open(tmp_path, rows):
    """Any row count from one up is a valid dataset."""
    assert open_dataset(f"beverage:{rows}", cache_dir=tmp_path).rows == rows


def test_specs_name_rows_and_seed(tmp_path):
    """All spellings of one size and seed name one dataset."""
    short = open_dataset("beverage:300", cache_dir=tmp_path)
    long = open_dataset("beverage:rows=300,seed=7", cache_dir=tmp_path)
    assert short.name == long.name == "beverage-300-s7"
    assert short == long


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("beverage:0", "rows must be 1 or more"),
        ("beverage:99999999999999", "rows must be at most 100,000,000"),
        ("beverage:rows=5,seed=" + 400 * "9", "seed must be a whole number of up to 15 digits"),
        ("beverage:many", "rows must be a whole number of up to 15 digits, not 'many'"),
        ("beverage:rows=10,sed=1", "unknown parameter 'sed'"),
        ("beverage:rows=-5", "whole number"),
    ],
)
def test_bad_sizes_are_named(tmp_path, spec, said):
    """A bad parameter of the generator is a SpecError that quotes it."""
    with pytest.raises(SpecError, match=said):
        open_dataset(spec, cache_dir=tmp_path)


def test_a_changed_built_file_is_written_anew(tmp_path):
    """A generated file that was altered on disk is not trusted."""
    dataset = open_dataset("beverage:200", cache_dir=tmp_path)
    digest = file_digest(dataset.path)
    dataset.path.write_text(dataset.path.read_text().replace("Cola", "Kola"))
    again = open_dataset("beverage:200", cache_dir=tmp_path)
    assert file_digest(again.path) == digest
    assert again == dataset
