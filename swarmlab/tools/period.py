"""The calendar of a sales frame: its days and which calendar months it covers in full."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Period:
    """Days from `first` to `last`, both included, and the full months among them.

    A calendar month is full if the data begin on or before its first day, end on or after its last day, and
    have at least one row in it. Data with a single date in each month, the same day or the last, are monthly
    data: all their months are full.
    """

    first: date
    last: date
    months: tuple[str, ...]
    """Full months, "YYYY-MM", oldest first."""
    partial: tuple[str, ...]
    """Months with rows that are not full."""
    is_monthly: bool
    """Each month has a single date, the same day or the last: the data are by month, not by day."""
    month_of_day: NDArray[np.intp]
    """Position in `months` by day offset from `first`; `len(months)` for days outside full months."""

    @property
    def days(self) -> int:
        """Calendar days covered."""
        return (self.last - self.first).days + 1

    @property
    def halves(self) -> tuple[slice, slice]:
        """First and last half of the full months; the middle one of an odd number is in neither.

        From 24 full months on each half is cut to whole years, the first and the last ones: halves with
        unlike seasons would show a growth that is only the calendar's.
        """
        half = len(self.months) // 2
        if half >= 12 and self.is_gapless:
            half -= half % 12
        return slice(0, half), slice(len(self.months) - half, len(self.months))

    @property
    def is_gapless(self) -> bool:
        """No month between the first and the last full one is missing."""
        if not self.months:
            return True
        return _ordinal(self.months[-1]) - _ordinal(self.months[0]) + 1 == len(self.months)

    def weekdays(self) -> NDArray[np.intp]:
        """Weekday (Monday is 0) by day offset from `first`."""
        return (self.first.weekday() + np.arange(self.days)) % 7


def period_of(day: NDArray[Any], first: date) -> Period:
    """Find the full months of data from the day offset since `first` of each row (shape: rows)."""
    has_rows = np.bincount(day) > 0
    n_days = len(has_rows)
    last = first + timedelta(days=n_days - 1)
    starts = np.datetime64(first, "D") + np.arange(n_days)
    month_number = starts.astype("datetime64[M]").astype(np.intp)
    seen, dates_in_month = np.unique(month_number[has_rows], return_counts=True)
    is_monthly = len(seen) > 1 and bool((dates_in_month == 1).all()) and _is_regular(starts[has_rows])
    full = [int(m) for m in seen if is_monthly or _is_covered(int(m), first, last)]
    position = {m: i for i, m in enumerate(full)}
    low = int(month_number[0])
    table = np.array(
        [position.get(m, len(full)) for m in range(low, int(month_number[-1]) + 1)], dtype=np.intp
    )
    return Period(
        first=first,
        last=last,
        months=tuple(_name(m) for m in full),
        partial=tuple(_name(int(m)) for m in seen if int(m) not in position),
        is_monthly=is_monthly,
        month_of_day=table[month_number - low],
    )


def _is_regular(days: NDArray[Any]) -> bool:
    """All dates are the same day of the month, or all are its last."""
    day_of_month = (days - days.astype("datetime64[M]")).astype(np.intp)
    next_day = days + np.timedelta64(1, "D")
    is_last = next_day == next_day.astype("datetime64[M]")
    return bool((day_of_month == day_of_month[0]).all() or is_last.all())


def _is_covered(month: int, first: date, last: date) -> bool:
    year, index = 1970 + month // 12, month % 12 + 1
    return first <= date(year, index, 1) and date(year, index, calendar.monthrange(year, index)[1]) <= last


def _name(month: int) -> str:
    return f"{1970 + month // 12:04d}-{month % 12 + 1:02d}"


def _ordinal(name: str) -> int:
    return int(name[:4]) * 12 + int(name[5:])
