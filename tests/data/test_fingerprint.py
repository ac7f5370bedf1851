import io
import string

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmlab.data import DIMENSIONS, Dataset, fingerprint, open_dataset
from swarmlab.data.beverage import generate

NAMES = st.text(string.ascii_letters + string.digits + " ,;\"'éß漢-/.", min_size=1, max_size=8)
MONEY = st.one_of(
    st.integers(0, 10**9).map(float),
    st.floats(0, 1e12, allow_nan=False, allow_infinity=False),
    st.integers(0, 10**9).map(lambda cents: cents / 100),
)
DAYS = st.dates(min_value=pd.Timestamp("1990-01-01").date(), max_value=pd.Timestamp("2090-12-31").date())
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "sale_date": DAYS,
            "region": st.one_of(st.none(), NAMES),
            "brand": NAMES,
            "category": NAMES,
            "units_sold": MONEY,
            "price_per_unit": st.one_of(st.none(), MONEY),
            "total_revenue": MONEY,
            "profit": st.one_of(st.none(), MONEY, MONEY.map(lambda value: -value)),
        }
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture(scope="module")
def sales():
    """Two thousand generated sales as a frame."""
    return generate(2_000, 5).to_pandas()


@pytest.fixture
def opened(tmp_path):
    """Write a frame as CSV or Parquet and open it with one shared cache."""

    def write_and_open(frame, name, **options) -> Dataset:
        path = tmp_path / name
        if name.endswith(".csv"):
            frame.to_csv(path, index=False, **options)
        else:
            frame.to_parquet(path, **options)
        return open_dataset(str(path), cache_dir=tmp_path / "cache")

    return write_and_open


def test_format_name_and_extra_columns_do_not_count(opened, sales):
    """CSV and Parquet, other names, column orders, extra columns and compressions share one fingerprint."""
    prints = {
        opened(sales, "a.csv").fingerprint,
        opened(sales, "renamed.csv").fingerprint,
        opened(sales, "a.parquet").fingerprint,
        opened(sales, "b.parquet", compression="gzip").fingerprint,
        opened(sales[sales.columns[::-1]].assign(year=2024), "c.csv").fingerprint,
        opened(sales, "quoted.csv", quoting=1, lineterminator="\r\n").fingerprint,
        opened(sales, "dates.csv", date_format="%d.%m.%Y").fingerprint,
        opened(sales.assign(units_sold=sales.units_sold.astype(float)), "float.csv").fingerprint,
        opened(sales.assign(brand=sales.brand.astype("category")), "category.parquet").fingerprint,
    }
    assert len(prints) == 1
    assert prints == {fingerprint(opened(sales, "a.csv").load())}


def test_any_change_of_content_counts(opened, sales):
    """A changed cell of any column, swapped, dropped or doubled rows and a dropped column all change it."""
    changed = {"as it was": sales}
    for name in sales.columns:
        other = sales.copy()
        kind = "day" if name == "sale_date" else "text" if name in DIMENSIONS else "number"
        value = other[name].iloc[17]
        other.loc[17, name] = {
            "day": value + pd.Timedelta(days=1) if kind == "day" else None,
            "text": f"{value}!",
            "number": value + 1 if kind == "number" else None,
        }[kind]
        changed[name] = other
    order = np.arange(len(sales))
    order[[3, 4]] = [4, 3]
    changed["swapped rows"] = sales.iloc[order]
    changed["dropped row"] = sales.iloc[:-1]
    changed["doubled row"] = sales.iloc[[*range(len(sales)), 0]]
    changed["dropped column"] = sales.drop(columns="profit_margin")
    prints = {what: opened(frame, "sales.csv").fingerprint for what, frame in changed.items()}
    assert len(set(prints.values())) == len(changed)


def test_text_cannot_slip_between_columns_or_rows():
    """Moving a letter from one name to the next, or a name between columns, changes the fingerprint."""
    start = {"sale_date": pd.to_datetime(["2024-01-01"] * 2), "units_sold": 1.0, "total_revenue": 1.0}
    frames = [
        pd.DataFrame(start | {"brand": ["ab", "c"], "category": "x"}),
        pd.DataFrame(start | {"brand": ["a", "bc"], "category": "x"}),
        pd.DataFrame(start | {"brand": "x", "category": ["ab", "c"]}),
        pd.DataFrame(start | {"brand": ["c", "ab"], "category": "x"}),
    ]
    assert len({fingerprint(frame) for frame in frames}) == len(frames)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_csv_and_parquet_read_and_load_say_the_same(rows, tmp_path_factory):
    """For any small frame: one fingerprint for both formats, and read() equals load() to the last bit."""
    folder = tmp_path_factory.mktemp("frames")
    frame = pd.DataFrame(rows).astype(
        {"sale_date": "datetime64[us]", "price_per_unit": float, "profit": float}
    )
    text = io.StringIO()
    frame.to_csv(text, index=False)
    (folder / "sales.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    frame.to_parquet(folder / "sales.parquet")
    datasets = [open_dataset(str(folder / f"sales.{kind}"), cache_dir=folder) for kind in ("csv", "parquet")]
    assert datasets[0].fingerprint == datasets[1].fingerprint
    for dataset in datasets:
        plain, typed = dataset.read(), dataset.load()
        assert list(plain.columns) == list(typed.columns) == list(dataset.columns)
        assert fingerprint(plain) == fingerprint(typed) == dataset.fingerprint
        for name in plain.columns:
            column = typed[name]
            if name in DIMENSIONS:
                column = column.astype("str").where(column.notna())
            pd.testing.assert_series_equal(plain[name], column, check_exact=True)
            expected = frame[name]
            if name not in DIMENSIONS:
                np.testing.assert_array_equal(plain[name], expected)
