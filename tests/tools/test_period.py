"""Period: which months are full, and which halves are compared."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.tools.period import Period, period_of


def _period(*days: str) -> Period:
    dates = [date.fromisoformat(day) for day in days]
    return period_of(np.array([(day - min(dates)).days for day in dates]), min(dates))


def _daily(first: str, last: str) -> Period:
    start = date.fromisoformat(first)
    return period_of(np.arange((date.fromisoformat(last) - start).days + 1), start)


def test_partial_end_months_are_left_out() -> None:
    """A month counts only if the data cover its first and its last day."""
    period = _daily("2023-01-02", "2023-04-29")
    assert period.months == ("2023-02", "2023-03")
    assert period.partial == ("2023-01", "2023-04")


def test_months_that_end_with_the_data_are_full() -> None:
    """Data from the first of a month to the last of another have no partial month; leap days count."""
    period = _daily("2024-01-01", "2024-02-29")
    assert (period.months, period.partial) == (("2024-01", "2024-02"), ())
    assert _daily("2024-01-01", "2024-02-28").months == ("2024-01",)


def test_a_month_without_any_row_is_not_a_full_month_of_nothing() -> None:
    """A hole in the data is a hole, not a month of no sales."""
    period = _period("2023-01-01", "2023-01-05", "2023-03-10", "2023-04-30")
    assert period.months == ("2023-01", "2023-03", "2023-04")
    assert not period.is_gapless


@pytest.mark.parametrize("day", ["01", "15", "28"])
def test_data_with_one_date_a_month_are_monthly(day: str) -> None:
    """Monthly data lose no month, wherever in the month their dates stand."""
    period = _period(*(f"2023-{month:02d}-{day}" for month in range(1, 7)))
    assert period.is_monthly
    assert len(period.months) == 6


def test_halves_leave_the_middle_of_an_odd_number_out() -> None:
    """Both halves have the same number of months."""
    period = _daily("2023-01-01", "2023-05-31")
    first, last = period.halves
    assert (period.months[first], period.months[last]) == (("2023-01", "2023-02"), ("2023-04", "2023-05"))


def test_halves_are_whole_years_where_there_are_two() -> None:
    """From 24 months on, the first and the last years are compared, so that seasons are alike."""
    period = _daily("2022-02-01", "2024-11-30")
    first, last = period.halves
    assert (period.months[first][0], period.months[first][-1]) == ("2022-02", "2023-01")
    assert (period.months[last][0], period.months[last][-1]) == ("2023-12", "2024-11")


def test_two_stray_dates_are_not_monthly_data() -> None:
    """One date a month counts as monthly only if it is always the same day, or always the last."""
    assert _period("2023-01-05", "2023-02-08").months == ()
    assert _period("2023-01-31", "2023-02-28").is_monthly


@given(st.dates(date(2000, 1, 1), date(2030, 1, 1)), st.integers(0, 900))
def test_every_day_of_a_full_month_is_in_it_and_no_other_day_is(first: date, n_days: int) -> None:
    """The table by day agrees with the calendar."""
    period = period_of(np.arange(n_days + 1), first)
    for offset in range(n_days + 1):
        name = f"{first + timedelta(days=offset):%Y-%m}"
        code = int(period.month_of_day[offset])
        assert (period.months[code] if code < len(period.months) else None) == (
            name if name in period.months else None
        )
    assert not set(period.months) & set(period.partial)
