"""Reading a CSV or Parquet file into the canonical frame, once it is known how its columns are written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from swarmlab.data.dates import ISO_DAY, parse_dates
from swarmlab.data.schema import DIMENSIONS, MEASURES, kept_columns

CSV_SUFFIXES: Final = (".csv",)
PARQUET_SUFFIXES: Final = (".parquet", ".pq")

NATIVE_DATES: Final = "native"
"""The date form of a Parquet column of dates or timestamps."""
WITH_TIME: Final = "+time"
"""Added to a date form where a time of day follows the date."""

NO_NUMBER: Final = ("", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL", "None")


def typed_chunks(
    parts: tuple[Path, ...], columns: tuple[str, ...], date_form: str, rows: int
) -> Iterator[pd.DataFrame]:
    """Read checked files in chunks and yield `columns` of each, typed.

    Parameters
    ----------
    parts
        CSV files, or Parquet files by their suffix.
    columns
        Canonical and extension columns of the file.
    date_form
        A key of `swarmlab.data.dates.FORMS`, perhaps with `WITH_TIME`, or `NATIVE_DATES`.
    rows
        In a chunk, at most.

    Yields
    ------
    pandas.DataFrame
        sale_date datetime64[us] at midnight, measures float64, the rest plain strings; rows in file order.
    """
    is_parquet = parts[0].suffix.lower() in PARQUET_SUFFIXES
    fractional = with_fractions(parts, columns) if is_parquet else frozenset()
    for part in parts:
        if is_parquet:
            chunks = parquet_chunks(part, columns, rows)
        else:
            chunks = (chunk[list(columns)] for chunk in csv_chunks(part, date_form, rows))
        for chunk in chunks:
            typed: dict[str, pd.Series[Any]] = {
                name: chunk[name].astype("float64") for name in columns if name in MEASURES
            }
            if is_parquet:
                typed |= {
                    name: as_text(chunk[name], name in fractional) for name in columns if name in DIMENSIONS
                }
            yield chunk.assign(sale_date=as_days(chunk["sale_date"], date_form), **typed)


def read_table(path: Path, columns: tuple[str, ...], date_form: str) -> pd.DataFrame:
    """Read all of a checked file and return `columns` of it, typed as `typed_chunks` does."""
    if path.suffix.lower() in PARQUET_SUFFIXES:
        frame = read_parquet(path)[list(columns)]
        for name in DIMENSIONS:
            if name in frame:
                frame[name] = as_text(frame[name])
        for name in kept_columns(columns):
            if name in MEASURES:
                frame[name] = frame[name].astype("float64")
    else:
        frame = read_csv(path, date_form)[list(columns)]
    frame["sale_date"] = as_days(frame["sale_date"], date_form)
    return frame


def read_csv(path: Path, date_form: str | None) -> pd.DataFrame:
    """Read all of a CSV with pandas; dates stay text unless they are ISO 8601.

    "NA" is a null in a column of numbers only: in a column of text it is a region or a brand.
    """
    frame: pd.DataFrame = pd.read_csv(path, **_csv_options(date_form, numbers_as_text=False))
    return frame


def csv_chunks(
    path: Path, date_form: str | None, rows: int, *, numbers_as_text: bool = False
) -> Iterator[pd.DataFrame]:
    """Read a CSV as `read_csv` does, in chunks; the values are the same."""
    with pd.read_csv(path, chunksize=rows, **_csv_options(date_form, numbers_as_text)) as reader:
        for chunk in reader:
            yield chunk.reset_index(drop=True)


def _csv_options(date_form: str | None, numbers_as_text: bool) -> dict[str, Any]:
    text = ("sale_date", *DIMENSIONS, *(MEASURES if numbers_as_text else ()))
    dtypes: dict[str, Any] = dict.fromkeys(MEASURES, "float64") | dict.fromkeys(text, "str")
    nulls = {name: [""] for name in text} | {name: list(NO_NUMBER) for name in MEASURES}
    options: dict[str, Any] = {"dtype": dtypes, "na_values": nulls, "keep_default_na": False}
    if date_form is not None and date_form.startswith(ISO_DAY):
        del dtypes["sale_date"]
        options["parse_dates"] = ["sale_date"]
        if date_form != ISO_DAY:
            # Rows may differ in how much of the time they give; without this the first would decide.
            options["date_format"] = "ISO8601"
    return options


def read_parquet(path: Path) -> pd.DataFrame:
    """Read all of a Parquet file; an index that pandas stored in it is a column like any other."""
    return _as_frame(pq.read_table(path, partitioning=None))


def parquet_chunks(path: Path, columns: tuple[str, ...], rows: int) -> Iterator[pd.DataFrame]:
    """Read `columns` of a Parquet file in chunks, as `read_parquet` does."""
    # Buffering ahead would keep the whole file in memory by the end of it.
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(rows, columns=list(columns)):
            yield _as_frame(pa.Table.from_batches([batch]))[list(columns)]


def with_fractions(parts: tuple[Path, ...], columns: tuple[str, ...]) -> frozenset[str]:
    """Return the columns of names that some Parquet file stores as numbers which are not all whole."""
    return frozenset(
        name for name in columns if name in DIMENSIONS and any(_has_fraction(part, name) for part in parts)
    )


def _has_fraction(path: Path, name: str) -> bool:
    with pq.ParquetFile(path, pre_buffer=False) as file:
        field = pa.types.is_floating(file.schema_arrow.field(name).type)
        batches = file.iter_batches(columns=[name]) if field else ()
        values = (batch.column(0).drop_null().to_numpy(zero_copy_only=False) for batch in batches)
        return any(bool((part % 1 != 0).any()) for part in values)


def _as_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table in pandas; whole numbers for names become text before a gap makes them floats."""
    for name in set(DIMENSIONS).intersection(table.column_names):
        at = table.column_names.index(name)
        if pa.types.is_integer(table.schema.field(at).type):
            table = table.set_column(at, name, table.column(at).cast(pa.string()))
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True, date_as_object=False)
    return frame


def as_text(column: "pd.Series[Any]", is_fractional: bool | None = None) -> "pd.Series[str]":
    """Return a column of names as plain strings: 330 and 330.0 are "330", empty text is null.

    Where the column is a chunk, `is_fractional` says whether any chunk has a number that is not whole.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        # Nulls and values alike come back in the categories' own dtype.
        column = column.astype(column.cat.categories.dtype)
    if pd.api.types.is_float_dtype(column.dtype):
        if is_fractional is None:
            is_fractional = bool((column.dropna() % 1 != 0).any())
        if not is_fractional:
            column = column.astype("Int64")
    text = column.astype("str").where(column.notna())
    return text.where(text != "")


def as_days(column: "pd.Series[Any]", date_form: str) -> "pd.Series[pd.Timestamp]":
    """Return a column of dates in `date_form` as datetime64[us] at midnight of the day written in the row."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        if column.dt.tz is not None:
            column = column.dt.tz_localize(None)
        if date_form != ISO_DAY:
            column = column.dt.normalize()
        days: pd.Series[pd.Timestamp] = column.astype("datetime64[us]")
        return days
    return parse_dates(column.astype("str"), date_form.removesuffix(WITH_TIME))
