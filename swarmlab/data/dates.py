"""Which written form a column of dates has, and the dates it means.

One column has one form. A time of day and an offset from UTC are cut off: the sale is booked on the calendar
day as it is written in the row, in the store's own time.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

ISO_DAY: Final = "%Y-%m-%d"
FORMS: Final = {
    ISO_DAY: "2024-03-31",
    "%Y/%m/%d": "2024/03/31",
    "%Y.%m.%d": "2024.03.31",
    "%Y%m%d": "20240331",
    "%d/%m/%Y": "31/03/2024",
    "%m/%d/%Y": "03/31/2024",
    "%d-%m-%Y": "31-03-2024",
    "%m-%d-%Y": "03-31-2024",
    "%d.%m.%Y": "31.03.2024",
    "%d %b %Y": "31 Mar 2024",
    "%d-%b-%Y": "31-Mar-2024",
    "%d %B %Y": "31 March 2024",
    "%b %d, %Y": "Mar 31, 2024",
    "%B %d, %Y": "March 31, 2024",
}
"""The forms read, each with an example; the whole column tells day-first and month-first twins apart."""

_TIME_OF_DAY = (
    r"[T ][0-2]?\d:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?: ?[AaPp][Mm])?(?: ?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?))?$"
)
# strptime would take "2024331" for a compact date and "24-03-31" for one of the year 24.
_FOUR_DIGIT_YEAR = r"(?:^|\D)\d{4}(?:\D|$)|^\d{8}$"


_MOST_DAYS: Final = 1_000_000

Codes = npt.NDArray[np.intp]


class DateTrouble(Exception):
    """A date that cannot be read: the row's 0-based position and what is wrong with it."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position


class DayTally:
    """The distinct days of a column that is read in chunks, and the forms in which all of them can be read.

    Parameters
    ----------
    forms
        Those to try; keys of `FORMS`.
    """

    def __init__(self, forms: Sequence[str] = tuple(FORMS)) -> None:
        self.forms = tuple(forms)
        "Those that every day so far can be read in."
        self.has_time = False
        "Some value carries a time of day, to be cut off."
        self._rows: dict[str, int] = {}
        self._first: dict[str, int] = {}

    def add(self, text: "pd.Series[str]", start: int) -> None:
        """Count the values of a chunk, without nulls, that begins at position `start` of the column.

        Raises
        ------
        DateTrouble
            There are more days that no form fits than any column of dates could have.
        """
        codes, unique, has_time = _distinct_days(text)
        self.has_time |= has_time
        first = np.unique(codes, return_index=True)[1].tolist()
        new = [day for day in unique if day not in self._rows]
        for day, position, rows in zip(unique, first, np.bincount(codes).tolist(), strict=True):
            self._first.setdefault(day, start + position)
            self._rows[day] = self._rows.get(day, 0) + rows
        days = pd.Series(new, dtype="str")
        self.forms = tuple(form for form in self.forms if _read(days, form).notna().all())
        if not self.forms and len(self._rows) > _MOST_DAYS:
            self.form()

    def form(self) -> str:
        """Return the one form, a key of `FORMS`, in which every value of the column can be read.

        Raises
        ------
        DateTrouble
            A value is no date, departs from the form of the others, or day and month could be swapped.
        """
        days = pd.Series(list(self._rows), dtype="str")
        readings = {form: _read(days, form) for form in FORMS}
        whole = {form: dates for form, dates in readings.items() if dates.notna().all()}
        if not whole:
            raise self._no_form(readings)
        form, dates = next(iter(whole.items()))
        for other, other_dates in whole.items():
            differs = np.flatnonzero((dates != other_dates).to_numpy())
            if len(differs):
                at = differs[0]
                raise DateTrouble(
                    self._first[days[at]],
                    f"{days[at]!r} may be {dates[at]:%d %B %Y} or {other_dates[at]:%d %B %Y} and no row of "
                    f"the file decides it; write dates as YYYY-MM-DD ({form} and {other} both fit every row)",
                )
        return form

    def _no_form(self, readings: "dict[str, pd.Series[pd.Timestamp]]") -> DateTrouble:
        rows = np.array(list(self._rows.values()))
        rows_read = {form: int(rows[dates.notna().to_numpy()].sum()) for form, dates in readings.items()}
        best = max(FORMS, key=lambda form: rows_read[form])
        value = list(self._rows)[int(np.flatnonzero(readings[best].isna().to_numpy())[0])]
        if rows_read[best] == 0:
            return DateTrouble(self._first[value], f"{value!r} is not a date; write dates as YYYY-MM-DD")
        return DateTrouble(
            self._first[value],
            f"{value!r} is not a date written as in other rows ({FORMS[best]}); write every date as "
            "YYYY-MM-DD",
        )


def parse_dates(text: "pd.Series[str]", form: str) -> "pd.Series[pd.Timestamp]":
    """Return the days that `text` names in `form`, as datetime64[us]; values of another form become NaT."""
    codes, unique, _ = _distinct_days(text)
    dates = _read(pd.Series(unique, dtype="str"), form).to_numpy()
    parsed = np.full(len(text), np.datetime64("NaT"), dtype="datetime64[us]")
    known = codes >= 0
    parsed[known] = dates[codes[known]]
    return pd.Series(parsed, index=text.index, name=text.name)


def _distinct_days(text: "pd.Series[str]") -> "tuple[Codes, pd.Index[str], bool]":
    """Return each row's index into the distinct days (-1: null), these, and if a time followed any."""
    codes, written = pd.factorize(text)
    days = pd.Series(written, dtype="str").str.strip().str.replace(_TIME_OF_DAY, "", regex=True)
    has_time = bool((days.to_numpy() != np.asarray(written)).any())
    day_codes, unique = pd.factorize(days)
    return np.append(day_codes, -1)[codes], pd.Index(unique), has_time


def _read(days: "pd.Series[str]", form: str) -> "pd.Series[pd.Timestamp]":
    fits = days.str.contains(_FOUR_DIGIT_YEAR, regex=True)
    dates = pd.to_datetime(days.where(fits), format=form, errors="coerce")
    return dates.astype("datetime64[us]")
