"""Checking a user's file on first sight: every fault is an error that names file, row and column.

The order is: can it be read as CSV or Parquet at all, are the columns there, are dates dates and numbers
numbers, by pandera over all rows at once nulls, signs, infinities, sizes and years, and last the totals.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.errors
import pyarrow as pa
import pyarrow.parquet as pq

from swarmlab.data.csvtext import CsvHeader, check_text, line_of_row, ragged_row
from swarmlab.data.dates import DateTrouble, find_form
from swarmlab.data.names import check_names
from swarmlab.data.notes import file_notes
from swarmlab.data.schema import (
    ADDED,
    DIMENSIONS,
    LARGEST,
    LARGEST_TOTAL,
    MEASURES,
    REQUIRED,
    frame_schema,
    kept_columns,
)
from swarmlab.data.tables import (
    NATIVE_DATES,
    PARQUET_SUFFIXES,
    WITH_TIME,
    as_days,
    as_text,
    read_csv,
    read_parquet,
)
from swarmlab.errors import DataError


@dataclass(frozen=True)
class Checked:
    """A file that can be trusted: its canonical frame, what to know about it, how it writes dates."""

    frame: pd.DataFrame
    notes: tuple[str, ...]
    date_form: str


@dataclass(frozen=True)
class Place:
    """Names a row for people; only asked for when something is wrong."""

    path: Path
    line: Callable[[int], int] | None

    def error(self, row: int, column: str, trouble: str) -> DataError:
        """Return the error for the 0-based row."""
        where = f"row {row + 1}" + (f" (line {self.line(row)})" if self.line else "")
        return DataError(f"{self.path}: {where}, column {column}: {trouble}")


def check_file(path: Path) -> Checked:
    """Read and check a CSV or Parquet file of canonical sales.

    Parameters
    ----------
    path
        An existing file whose suffix says which of the two it is.

    Returns
    -------
    Checked
        The canonical and extension columns in canonical order, without optional columns that are all empty.

    Raises
    ------
    DataError
        The file cannot be used; names the file, and row and column where there is one.
    """
    if path.suffix.lower() in PARQUET_SUFFIXES:
        raw, place = _open_parquet(path), Place(path, None)
        names = tuple(str(name) for name in raw.columns)
        typed = _typed_parquet(raw, place)
    else:
        header = check_text(path)
        names = header.names
        place = Place(path, lambda row: line_of_row(path, row))
        typed = _typed_csv(path, header, place)
    if typed.empty:
        raise DataError(f"{path}: has a header but no rows; write at least one sale under it")
    _no_gaps_in_dates(typed, place)
    frame, date_form = _dated(typed, place)
    empty = tuple(name for name in frame.columns if name not in REQUIRED and frame[name].isna().all())
    frame = frame[[name for name in kept_columns(tuple(frame.columns)) if name not in empty]]
    _validate(frame, place)
    _plausible_cost(frame, place)
    _plausible_totals(frame, place)
    return Checked(frame, file_notes(frame, names, empty, date_form), date_form)


def _typed_csv(path: Path, header: CsvHeader, place: Place) -> pd.DataFrame:
    try:
        frame = read_csv(path, None)
    except pd.errors.ParserError as error:
        raise ragged_row(path, header) or DataError(f"{path}: is not a regular CSV: {error}") from error
    except ValueError as error:
        raise _text_in_number(read_csv(path, None, numbers_as_text=True), place, str(error)) from error
    truths = _truth_values(path, frame)
    if truths is not None:
        raise _text_in_number(truths, place, "")
    # pandas fills a short row with empty fields, so only a file with a gap in its last column can hold one.
    last = frame.iloc[:, -1]
    if (last.isna() | (last == "")).any():
        short = ragged_row(path, header)
        if short:
            raise short
    return frame[list(kept_columns(header.names))]


def _truth_values(path: Path, frame: pd.DataFrame) -> pd.DataFrame | None:
    """Return the columns of numbers as text if pandas took a column of true and false for ones and zeros."""
    measures = [name for name in MEASURES if name in frame]
    if not any(frame[name].dropna().isin((0.0, 1.0)).all() for name in measures):
        return None
    text = read_csv(path, None, numbers_as_text=True)[measures]
    words = text.apply(lambda column: column.str.strip().str.lower().isin(("true", "false")).any())
    return text if words.any() else None


def _text_in_number(frame: pd.DataFrame, place: Place, message: str) -> DataError:
    found: list[tuple[int, str, str]] = []
    for name in kept_columns(tuple(frame.columns)):
        if name in MEASURES:
            wrong = frame[name].notna() & pd.to_numeric(frame[name], errors="coerce").isna()
            if wrong.any():
                row = int(wrong.to_numpy().argmax())
                found.append((row, name, frame[name].iloc[row]))
    if not found:
        return DataError(f"{place.path}: {message}")
    row, name, value = min(found)
    return place.error(
        row, name, f"{value!r} is not a number; write digits with a point, no currency or thousands sign"
    )


def _open_parquet(path: Path) -> pd.DataFrame:
    try:
        names = tuple(pq.read_schema(path).names)
        check_names(path, names)
        return read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: cannot be read as Parquet ({reason}); write it anew, or use CSV") from error


def _typed_parquet(raw: pd.DataFrame, place: Place) -> pd.DataFrame:
    frame = raw[list(kept_columns(tuple(raw.columns)))].copy()
    for name in frame.columns:
        if name in DIMENSIONS:
            if isinstance(frame[name].dropna().iloc[:1].squeeze(), bytes):
                raise DataError(f"{place.path}: column {name}: holds bytes; store it as text (UTF-8)")
            frame[name] = as_text(frame[name])
        elif name in MEASURES:
            frame[name] = _numbers(frame[name], place)
    return frame


def _numbers(column: "pd.Series[Any]", place: Place) -> "pd.Series[float]":
    name = str(column.name)
    present = column.dropna()
    is_text = bool(len(present)) and isinstance(present.iloc[0], str | bytes | bool)
    try:
        if is_text or pd.api.types.is_bool_dtype(column.dtype):
            raise TypeError
        return column.astype("float64")
    except (TypeError, ValueError) as error:
        row = int(column.notna().to_numpy().argmax())
        kind = "text" if is_text else str(column.dtype)
        raise place.error(
            row, name, f"{column.iloc[row]!r} is not a number (the column holds {kind}); store it as a number"
        ) from error


def _no_gaps_in_dates(frame: pd.DataFrame, place: Place) -> None:
    gaps = frame["sale_date"].isna().to_numpy()
    if gaps.any():
        trouble = f"is empty{_others(int(gaps.sum()))}; fill it in, it is required"
        raise place.error(int(gaps.argmax()), "sale_date", trouble)


def _dated(frame: pd.DataFrame, place: Place) -> tuple[pd.DataFrame, str]:
    column = frame["sale_date"]
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        date_form = NATIVE_DATES
    else:
        try:
            form, has_time = find_form(column.astype("str"))
        except DateTrouble as trouble:
            raise place.error(trouble.position, "sale_date", str(trouble)) from trouble
        date_form = form + WITH_TIME if has_time else form
    return frame.assign(sale_date=as_days(column, date_form)), date_form


def _validate(frame: pd.DataFrame, place: Place) -> None:
    try:
        frame_schema(tuple(frame.columns)).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        first = cases.loc[cases["index"].astype(float).idxmin()]
        alike = cases[(cases["column"] == first["column"]) & (cases["check"] == first["check"])]
        value, check = first["failure_case"], str(first["check"])
        if check == "not_nullable":
            trouble = f"is empty{_others(len(alike))}; fill it in, it is required"
        else:
            # Not strftime, which cannot print the years that this check is there to refuse.
            shown = f"{value}".removesuffix(" 00:00:00")
            what, _, advice = check.partition("; ")
            trouble = f"{shown} {what}{_others(len(alike))}; {advice}"
        raise place.error(int(first["index"]), str(first["column"]), trouble) from None


def _plausible_cost(frame: pd.DataFrame, place: Place) -> None:
    """Refuse a cost that is too large where it is the product of two numbers that are not."""
    if "cost_per_unit" not in frame or "total_cost" in frame:
        return
    cost = (frame["cost_per_unit"] * frame["units_sold"]).to_numpy()
    wrong = cost > LARGEST
    if wrong.any():
        row = int(wrong.argmax())
        trouble = (
            f"times units_sold is {cost[row]}, larger than {LARGEST:,.0f}, not a plausible amount"
            f"{_others(int(wrong.sum()))}; correct it, or use a larger unit"
        )
        raise place.error(row, "cost_per_unit", trouble)


def _plausible_totals(frame: pd.DataFrame, place: Place) -> None:
    for name in ADDED:
        if name in frame:
            total = np.cumsum(frame[name].abs().fillna(0.0).to_numpy())
            if total[-1] > LARGEST_TOTAL:
                trouble = (
                    f"brings the column's total above {LARGEST_TOTAL:,.0f}, which cannot be added exactly; "
                    "use a larger unit, such as thousands"
                )
                raise place.error(int((total > LARGEST_TOTAL).argmax()), name, trouble)


def _others(count: int) -> str:
    return f" (so are {count - 1:,} more rows)" if count > 1 else ""
