"""The rows in scope one by one, for tools that look at households, baskets or weeks rather than at sums.

Amounts come as whole ticks, so that sums of them are exact in any order; dates as days since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swarmlab.errors import ToolError
from swarmlab.tools.axis import Axis, Codes, axis_of
from swarmlab.tools.given import given_frame
from swarmlab.tools.rows import TICK, Floats, limits_of
from swarmlab.tools.scope import Scope

MONDAY: Final = 3
"""Days from a Monday to 1970-01-01, a Thursday."""


class Scoped:
    """Rows of `frame` within `scope`, for one call of `tool`; the frame is never written to.

    Raises
    ------
    ToolError
        A column of `needs`, or one that the scope limits, is absent, the frame cannot be used (see
        `given_frame`), or no row is in scope.
    """

    def __init__(self, frame: pd.DataFrame, scope: Scope, *, tool: str, needs: Sequence[str]) -> None:
        frame = given_frame(frame, tool=tool, needs=needs)
        if frame.empty:
            raise ToolError(tool, "no row of the data is in scope")
        self.tool = tool
        self.scope = scope
        self.columns = frozenset(map(str, frame.columns))
        self._day_of_all = _days(frame["sale_date"])
        self.first, self.last = int(self._day_of_all.min()), int(self._day_of_all.max())
        keep = self._in_scope(frame)
        self.day: Codes = self._day_of_all if keep is None else self._day_of_all[keep]
        self._frame = frame if keep is None else frame[keep]
        self.rows = len(self._frame)
        if self.rows == 0:
            raise ToolError(tool, "no row of the data is in scope")

    def _in_scope(self, frame: pd.DataFrame) -> NDArray[np.bool_] | None:
        mask: NDArray[np.bool_] | None = None
        for column, names in limits_of(self.scope, self.columns, self.tool).items():
            axis = axis_of(frame[column])
            wanted = np.array([name in names for name in axis.names], dtype=bool)[axis.codes]
            mask = wanted if mask is None else mask & wanted
        return mask

    @property
    def all_days(self) -> Codes:
        """Days since the first of every row of the whole frame."""
        days: Codes = self._day_of_all - self.first
        return days

    @property
    def days(self) -> int:
        """Calendar days from the first to the last of the whole frame."""
        return self.last - self.first + 1

    def axis(self, column: str) -> Axis:
        """Codes and sorted names of a column; empty cells are named `UNKNOWN`."""
        return axis_of(self._frame[column])

    def known(self, column: str) -> NDArray[np.bool_]:
        """Which rows have a value in the column."""
        present: NDArray[np.bool_] = (self._frame[column].notna()).to_numpy()
        return present

    def ticks(self, column: str) -> Floats:
        """A column of amounts in whole ticks; empty is nothing."""
        values = self._frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
        ticks: Floats = np.rint(np.nan_to_num(values, nan=0.0) * TICK)
        return ticks

    def distinct(self, column: str) -> int:
        """Number of different values of a column, gaps left out."""
        return int(self._frame[column].nunique())

    def ends(self, column: str) -> tuple[float, float]:
        """Smallest and largest value of a column of numbers; NaN without any."""
        values = self._frame[column]
        return float(values.min()), float(values.max())

    def flag(self, column: str) -> NDArray[np.bool_]:
        """Which rows say yes in a column of ones and zeros."""
        values = self._frame[column].to_numpy(dtype=np.float64, na_value=0.0)
        yes: NDArray[np.bool_] = np.nan_to_num(values, nan=0.0) > 0
        return yes

    @cached_property
    def is_weekly(self) -> bool:
        """All dates of the whole frame are the same weekday, and there are several: a row is a week's."""
        days = np.unique(self._day_of_all)
        return len(days) > 1 and bool((np.diff(days) % 7 == 0).all())

    @cached_property
    def weeks(self) -> tuple[int, int]:
        """First and last week (see `week`) that the data cover in full; the last is below if none."""
        first, last = (self.first + MONDAY) // 7, (self.last + MONDAY) // 7
        if not self.is_weekly:
            first += (self.first + MONDAY) % 7 > 0
            last -= (self.last + MONDAY) % 7 < 6
        return int(first), int(last)

    @property
    def week(self) -> Codes:
        """Week of each row, Monday to Sunday, counted from the one of 1970-01-01."""
        week: Codes = (self.day + MONDAY) // 7
        return week


def day_name(day: int) -> str:
    """A day since 1970 as "YYYY-MM-DD"."""
    return str(np.datetime64(day, "D"))


def totals(axis: Axis, weights: Floats | None = None) -> Floats:
    """Sum of weights, or number of rows, by code of an axis."""
    return np.bincount(axis.codes, weights=weights, minlength=axis.size).astype(np.float64)


def largest(axis: Axis, weights: Floats, top: int, focus: Sequence[str] = ()) -> list[str]:
    """Names with rows in scope by falling sum of weights, ties by name: the first `top`, then `focus`."""
    sums, rows = totals(axis, weights), totals(axis)
    present = [code for code in range(axis.size) if rows[code] > 0]
    order = [axis.names[code] for code in sorted(present, key=lambda code: (-sums[code], axis.names[code]))]
    return order[:top] + [name for name in order[top:] if name in focus]


def known_names(scoped: Scoped, column: str) -> tuple[Axis, NDArray[np.bool_]]:
    """The axis of an id, and which rows have one: what is bought without is nobody's."""
    axis = scoped.axis(column)
    known = scoped.known(column)
    if not known.any():
        raise ToolError(scoped.tool, f"column {column} is empty in all rows in scope")
    return axis, known


def _days(dates: pd.Series[Any]) -> Codes:
    days: Codes = dates.to_numpy().astype("datetime64[D]").astype(np.intp)
    return days
