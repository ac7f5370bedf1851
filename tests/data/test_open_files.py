import os

import numpy as np
import pandas as pd
import pytest

from swarmlab.data import CANONICAL, DIMENSIONS, open_dataset
from swarmlab.data.beverage import generate
from swarmlab.errors import DataError

HEADER = "sale_date,brand,category,units_sold,total_revenue\n"


@pytest.fixture
def opened(tmp_path):
    """Write a text (or bytes) to a file and open it with a cache of its own."""

    def write_and_open(content, name="sales.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return open_dataset(str(path), cache_dir=tmp_path / "cache")

    return write_and_open


def same(plain, typed):
    """Assert that read() and load() gave the same frame."""
    assert list(plain.columns) == list(typed.columns)
    for name in plain:
        column = typed[name]
        if name in DIMENSIONS:
            assert isinstance(column.dtype, pd.CategoricalDtype)
            assert list(column.cat.categories) == sorted(column.cat.categories)
            column = column.astype("str").where(column.notna())
        pd.testing.assert_series_equal(plain[name], column)


def test_sixteen_unsorted_columns_open(tmp_path):
    """A file of 16 columns and 15,000 unsorted rows, with year, month and quarter, opens whole."""
    sales = generate(15_000, 11).to_pandas()
    dates = pd.to_datetime(sales.sale_date)
    for at, name in enumerate(("year", "month", "quarter"), start=1):
        sales.insert(at, name, getattr(dates.dt, name))
    path = tmp_path / "beverage_sales.csv"
    sales.to_csv(path, index=False)
    dataset = open_dataset(str(path), cache_dir=tmp_path / "cache")
    assert (dataset.rows, dataset.columns) == (15_000, CANONICAL)
    assert (dataset.name, dataset.source) == ("beverage_sales", "file")
    assert "columns not used: year, month, quarter" in dataset.notes
    plain = dataset.read()
    same(plain, dataset.load())
    np.testing.assert_array_equal(plain.total_revenue, sales.total_revenue)
    np.testing.assert_array_equal(plain.sale_date, dates)


def test_load_takes_only_the_columns_asked_for(opened):
    """load() returns the columns in the order asked and names one that is not there."""
    dataset = opened(HEADER + "2024-01-05,A,X,1,2\n")
    assert list(dataset.load(["brand", "sale_date"]).columns) == ["brand", "sale_date"]
    with pytest.raises(DataError, match="no column 'profit'"):
        dataset.load(["profit"])


def test_columns_may_stand_in_any_order(opened):
    """The order of the file's columns is free; the frame's is canonical."""
    dataset = opened("total_revenue,units_sold,note,category,brand,sale_date\n2,1,hi,X,A,2024-01-05\n")
    assert dataset.columns == ("sale_date", "brand", "category", "units_sold", "total_revenue")


def test_names_are_not_taken_for_nulls_or_numbers(opened):
    """A region NA, a brand None and a store 007 stay text, while NA in a column of numbers is a gap."""
    dataset = opened(
        "sale_date,region,store_id,brand,category,units_sold,price_per_unit,total_revenue\n"
        "2024-01-05,NA,007,None,null,1,NA,2\n2024-01-06,EU,012,7,X,1,2.5,2\n"
    )
    plain = dataset.read()
    assert plain.region.tolist() == ["NA", "EU"]
    assert plain.store_id.tolist() == ["007", "012"]
    assert plain.brand.tolist() == ["None", "7"]
    assert plain.price_per_unit.isna().tolist() == [True, False]
    same(plain, dataset.load())


def test_a_byte_order_mark_is_no_part_of_the_header(opened):
    """UTF-8 with BOM, as spreadsheets write it, opens like UTF-8 without."""
    text = HEADER + "2024-01-05,Café,X,1,2\n"
    with_mark = opened(b"\xef\xbb\xbf" + text.encode(), "mark.csv")
    assert with_mark.fingerprint == opened(text).fingerprint
    same(with_mark.read(), with_mark.load())


def test_line_ends_blank_lines_and_quoted_breaks_are_read(opened):
    """CRLF, blank lines and a quoted line break do not change what the rows say."""
    plain = opened(HEADER + '2024-01-05,A,"X\nY",1,2\n2024-01-06,B,Z,3,4\n')
    windows = opened(
        HEADER.replace("\n", "\r\n") + '2024-01-05,A,"X\nY",1,2\r\n\r\n2024-01-06,B,Z,3,4\r\n', "w.csv"
    )
    assert plain.fingerprint == windows.fingerprint
    assert windows.rows == 2


def test_inconsistent_totals_and_gaps_are_notes(opened):
    """Revenue far from units times price, and gaps in optional columns, are said and not refused."""
    dataset = opened(
        "sale_date,region,brand,category,units_sold,price_per_unit,total_revenue,cost_per_unit\n"
        "2024-01-05,,A,X,10,2,50,\n2024-01-06,N,A,X,10,2,20,\n"
    )
    notes = " | ".join(dataset.notes)
    assert "total_revenue is far from units_sold x price_per_unit in 1 rows" in notes
    assert "region is empty in 1 rows" in notes
    assert "treated as absent: cost_per_unit" in notes
    assert "cost_per_unit" not in dataset.columns
    same(dataset.read(), dataset.load())


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2024-03-31", 31),
        ("2024/03/31", 31),
        ("20240331", 31),
        ("31/03/2024", 31),
        ("3/31/2024", 31),
        ("31.03.2024", 31),
        ("31-Mar-2024", 31),
        ("31 March 2024", 31),
        ('"March 31, 2024"', 31),
        ("2024-03-31 23:59:59", 31),
        ("2024-03-31T23:30:00Z", 31),
        ("2024-03-31T23:30:00.125-05:00", 31),
        ("3/31/2024 11:59 PM", 31),
    ],
)
def test_common_date_forms_are_read_as_the_day_written(opened, written, day):
    """Each form gives the calendar day in the row; times of day and offsets are cut off."""
    dataset = opened(HEADER + f"{written},A,X,1,2\n{written},B,X,1,2\n")
    plain = dataset.read()
    assert plain.sale_date.tolist() == [pd.Timestamp(2024, 3, day)] * 2
    same(plain, dataset.load())


@pytest.mark.parametrize(
    "written",
    [
        ("2024-03-31 23:59:59", "2024-04-01"),
        ("2024-03-31T23:59:59+02:00", "2024-04-01T00:10:00-05:00"),
        ("2024-03-31T23:59:59Z", "2024-04-01T00:10:00Z"),
        ("2024-03-31 11:59 PM", "2024-04-01 00:10:00.5"),
    ],
)
def test_rows_may_give_more_or_less_of_the_time(opened, written):
    """Mixed times and offsets in one column still give each row's own calendar day."""
    dataset = opened(HEADER + "".join(f"{text},A,X,1,2\n" for text in written))
    assert dataset.read().sale_date.tolist() == [pd.Timestamp("2024-03-31"), pd.Timestamp("2024-04-01")]
    same(dataset.read(), dataset.load())


def test_one_telling_row_decides_day_and_month(opened):
    """05/04/2024 is the fifth of April in a file that also has 25/04/2024."""
    dataset = opened(HEADER + "05/04/2024,A,X,1,2\n25/04/2024,A,X,1,2\n")
    assert dataset.read().sale_date.dt.month.tolist() == [4, 4]
    same(dataset.read(), dataset.load())


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_parquet_timestamps_count_as_local_days(tmp_path, zone):
    """A Parquet timestamp, with or without time zone, is the day it falls on in the column's own zone."""
    path = tmp_path / "sales.parquet"
    stamps = pd.to_datetime(["2024-03-31 23:30", "2024-04-01 00:30"]).tz_localize(zone)
    pd.DataFrame(
        {
            "sale_date": stamps,
            "store_id": [1.0, np.nan],
            "brand": pd.Categorical(["B", "A"]),
            "category": "X",
            "units_sold": [1, 2],
            "total_revenue": [1.5, 2.5],
        }
    ).to_parquet(path)
    dataset = open_dataset(str(path), cache_dir=tmp_path / "cache")
    plain = dataset.read()
    assert plain.sale_date.dt.day.tolist() == [31, 1]
    assert plain.store_id.tolist()[0] == "1"
    same(plain, dataset.load())


def test_a_parquet_index_is_a_column(tmp_path):
    """Dates that pandas stored as the index of a Parquet are found."""
    path = tmp_path / "indexed.parquet"
    frame = pd.DataFrame(
        {"brand": "A", "category": "X", "units_sold": 1, "total_revenue": 2.0},
        index=pd.DatetimeIndex(["2024-01-01"], name="sale_date"),
    )
    frame.to_parquet(path)
    assert open_dataset(str(path), cache_dir=tmp_path / "cache").rows == 1


def test_the_cache_follows_the_environment(tmp_path, monkeypatch):
    """$SWARMLAB_CACHE_DIR says where copies are kept, and its folders are the user's alone."""
    monkeypatch.setenv("SWARMLAB_CACHE_DIR", str(tmp_path / "kept"))
    dataset = open_dataset("beverage:20")
    assert tmp_path / "kept" in dataset.columnar.parents
    assert os.stat(dataset.columnar.parent).st_mode & 0o077 == 0


def test_a_cache_that_cannot_be_made_is_named(tmp_path):
    """A cache folder that cannot be created is an error with the way out."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="SWARMLAB_CACHE_DIR"):
        open_dataset("beverage:20", cache_dir=tmp_path / "file")
