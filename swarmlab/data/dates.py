"""Which written form a column of dates has, and the dates it means.

One column has one form. A time of day and an offset from UTC are cut off: the sale is booked on the calendar
day as it is written in the row, in the store's own time.
"""

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


Codes = npt.NDArray[np.intp]


class DateTrouble(Exception):
    """A date that cannot be read: the row's 0-based position and what is wrong with it."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position


def find_form(text: "pd.Series[str]") -> tuple[str, bool]:
    """Return the one form in which every value of a column can be read.

    Parameters
    ----------
    text
        The column as text; nulls are passed over.

    Returns
    -------
    form, has_time
        A key of `FORMS`, and whether any value carries a time of day to cut off.

    Raises
    ------
    DateTrouble
        A value is no date, departs from the form of the others, or day and month could be either way round.
    """
    codes, unique, has_time = _distinct_days(text)
    days = pd.Series(unique, dtype="str")
    readings = {form: _read(days, form) for form in FORMS}
    whole = {form: dates for form, dates in readings.items() if dates.notna().all()}
    if not whole:
        raise _no_form(codes, unique, readings)
    form, dates = next(iter(whole.items()))
    for other, other_dates in whole.items():
        differs = (dates != other_dates).to_numpy()
        if differs.any():
            position = _first(codes, differs)
            raise DateTrouble(
                position,
                f"{unique[codes[position]]!r} may be {dates[codes[position]]:%d %B %Y} or "
                f"{other_dates[codes[position]]:%d %B %Y} and no row of the file decides it; "
                f"write dates as YYYY-MM-DD ({form} and {other} both fit every row)",
            )
    return form, has_time


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


def _first(codes: Codes, wrong: npt.NDArray[np.bool_]) -> int:
    # A null's code is -1 and would pick the last value.
    return int(np.flatnonzero((codes >= 0) & wrong[codes])[0])


def _no_form(
    codes: Codes,
    unique: "pd.Index[str]",
    readings: "dict[str, pd.Series[pd.Timestamp]]",
) -> DateTrouble:
    rows_by_value = np.bincount(codes[codes >= 0], minlength=len(unique))
    rows_read = {form: int(rows_by_value[dates.notna().to_numpy()].sum()) for form, dates in readings.items()}
    best = max(FORMS, key=lambda form: rows_read[form])
    position = _first(codes, readings[best].isna().to_numpy())
    value = unique[codes[position]]
    if rows_read[best] == 0:
        return DateTrouble(position, f"{value!r} is not a date; write dates as YYYY-MM-DD")
    return DateTrouble(
        position,
        f"{value!r} is not a date written as in other rows ({FORMS[best]}); write every date as YYYY-MM-DD",
    )
