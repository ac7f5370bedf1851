"""Reading a CSV or Parquet file into the canonical frame, once it is known how its columns are written."""

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


def read_table(path: Path, columns: tuple[str, ...], date_form: str) -> pd.DataFrame:
    """Read all of a checked file and return `columns` of it, typed.

    Parameters
    ----------
    path
        A CSV, or a Parquet by its suffix.
    columns
        Canonical and extension columns of the file.
    date_form
        A key of `swarmlab.data.dates.FORMS`, perhaps with `WITH_TIME`, or `NATIVE_DATES`.

    Returns
    -------
    pandas.DataFrame
        sale_date datetime64[us] at midnight, measures float64, the rest plain strings; rows in file order.
    """
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


def read_csv(path: Path, date_form: str | None, *, numbers_as_text: bool = False) -> pd.DataFrame:
    """Read all of a CSV with pandas; dates stay text unless they are ISO 8601.

    "NA" is a null in a column of numbers only: in a column of text it is a region or a brand.
    """
    text = ("sale_date", *DIMENSIONS, *(MEASURES if numbers_as_text else ()))
    dtypes: dict[str, Any] = dict.fromkeys(MEASURES, "float64") | dict.fromkeys(text, "str")
    nulls = {name: [""] for name in text} | {name: list(NO_NUMBER) for name in MEASURES}
    options: dict[str, Any] = {}
    if date_form is not None and date_form.startswith(ISO_DAY):
        del dtypes["sale_date"]
        options["parse_dates"] = ["sale_date"]
        if date_form != ISO_DAY:
            # Rows may differ in how much of the time they give; without this the first would decide.
            options["date_format"] = "ISO8601"
    frame: pd.DataFrame = pd.read_csv(path, dtype=dtypes, na_values=nulls, keep_default_na=False, **options)
    return frame


def read_parquet(path: Path) -> pd.DataFrame:
    """Read all of a Parquet file; an index that pandas stored in it is a column like any other."""
    table: pa.Table = pq.read_table(path, partitioning=None)
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True, date_as_object=False)
    return frame


def as_text(column: "pd.Series[Any]") -> "pd.Series[str]":
    """Return a column of names as plain strings: 330 and 330.0 are "330", empty text is null."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        # Nulls and values alike come back in the categories' own dtype.
        column = column.astype(column.cat.categories.dtype)
    if pd.api.types.is_float_dtype(column.dtype):
        present = column.dropna()
        if (present % 1 == 0).all():
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
