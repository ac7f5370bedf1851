"""The frame that a tool is given by hand, held to what a dataset's rows are checked for when it is opened.

A dataset's frame passes as it is. Another may have dates as text or in a time zone, and any kind of numbers;
what cannot be read so, or would spoil every sum, is an error that names the column and the row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swarmlab.data import CANONICAL, EXTENSIONS, MEASURES
from swarmlab.data.dates import ISO_DAY
from swarmlab.data.schema import EARLIEST, INFINITE, LARGEST, LATEST, OUTSIDE, TOO_LARGE
from swarmlab.data.tables import as_days
from swarmlab.errors import ToolError

AMOUNTS: Final = ("units_sold", "total_revenue")
"""Measures that a tool which needs them needs in every row."""

EMPTY: Final = "is empty; fill it in, or leave the row out"
NO_DATE: Final = "is not a date; give dates, or text as YYYY-MM-DD"
NO_NUMBER: Final = "is not a number; give digits with a point, no currency or thousands sign"

LATEST_MOMENT: Final = LATEST + pd.Timedelta(days=1) - pd.Timedelta(microseconds=1)


def check_columns(columns: Collection[str], *, tool: str, needs: Sequence[str]) -> None:
    """Raise ToolError if a column of `needs` is not among `columns`."""
    missing = [name for name in needs if name not in columns]
    if missing:
        raise ToolError(tool, f"the data have no column {', '.join(missing)}; it needs {', '.join(needs)}")


def given_frame(frame: pd.DataFrame, *, tool: str, needs: Sequence[str]) -> pd.DataFrame:
    """Return `frame` with days for dates and numbers for measures; the one given is never written to.

    A date with a time zone is the day that is written in the row, as in a file. Empty names and optional
    measures stay empty, and amounts below zero stay what they are.

    Raises
    ------
    ToolError
        It is no frame, lacks a column of `needs` or has a known one twice, or a value of a row is no date, no
        number, implausibly large, or empty where each row needs one; names that row, from 1 on.
    """
    if not isinstance(frame, pd.DataFrame):
        raise ToolError(tool, f"it takes a pandas DataFrame of sales, not {type(frame).__name__}")
    check_columns(frame.columns, tool=tool, needs=needs)
    known = [name for name in (*CANONICAL, *EXTENSIONS) if name in frame.columns]
    read: dict[str, pd.Series[Any]] = {}
    for name in known:
        column = frame[name]
        if isinstance(column, pd.DataFrame):
            raise ToolError(tool, f"column {name} occurs {column.shape[1]} times; keep one of them")
        if name == "sale_date":
            typed = _days(column, tool)
        elif name in MEASURES:
            typed = _numbers(column, tool, is_required=name in AMOUNTS and name in needs)
        else:
            continue
        if typed is not column:
            read[name] = typed
    return frame.assign(**read) if read else frame


def _days(dates: pd.Series[Any], tool: str) -> pd.Series[Any]:
    # A date with a time zone has a dtype of pandas' own.
    is_plain = isinstance(dates.dtype, np.dtype) and dates.dtype.kind == "M"
    days = dates if is_plain else as_days(dates, ISO_DAY)
    _refuse(days.isna().to_numpy(), dates, tool, NO_DATE)
    _refuse(((days < EARLIEST) | (days > LATEST_MOMENT)).to_numpy(), dates, tool, OUTSIDE)
    return days


def _numbers(values: pd.Series[Any], tool: str, *, is_required: bool) -> pd.Series[Any]:
    numbers = values
    if not isinstance(values.dtype, np.dtype) or values.dtype.kind not in "fiub":
        numbers = pd.to_numeric(values.astype(object), errors="coerce").astype("float64")
        _refuse((numbers.isna() & values.notna()).to_numpy(), values, tool, NO_NUMBER)
    size = np.abs(numbers.to_numpy(dtype=np.float64))
    _refuse(np.isinf(size), values, tool, INFINITE)
    _refuse(size > LARGEST, values, tool, TOO_LARGE)
    if is_required:
        _refuse(np.isnan(size), values, tool, EMPTY)
    return numbers


def _refuse(wrong: NDArray[np.bool_], column: pd.Series[Any], tool: str, trouble: str) -> None:
    if not wrong.any():
        return
    row, count = int(wrong.argmax()), int(wrong.sum())
    value = column.iloc[row]
    shown = "" if pd.isna(value) else f"{value!r} " if isinstance(value, str) else f"{value} "
    what, _, advice = trouble.partition("; ")
    others = f" (so are {count - 1:,} more rows)" if count > 1 else ""
    raise ToolError(tool, f"row {row + 1}, column {column.name}: {shown}{what}{others}; {advice}")
