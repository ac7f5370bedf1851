"""Sales forecast: revenue of the coming calendar months, how sure it is, and whether it beats a naive one."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import pandas as pd

from swarmlab.tools.facts import Fact, FactSheet, of, spelled
from swarmlab.tools.forecasting import INTERVAL, Smoothed, backtest, smooth
from swarmlab.tools.growth import direction
from swarmlab.tools.ratios import change_pct
from swarmlab.tools.sales import DATED_COLUMNS, TICK, Floats, Sales
from swarmlab.tools.scope import EVERYTHING, Scope

TOOL = "sales_forecast"

MIN_SEASONAL_MONTHS: Final = 26
"""Two full years, and two months to test on."""

MIN_WEEKS: Final = 20


@dataclass(frozen=True)
class Series:
    """What is smoothed, and how its steps ahead add up to calendar months.

    `weights[m, k]` is the part of step k that falls into coming month m; `known[m]` is revenue of that month
    that is in the data already.
    """

    values: Floats
    step: str
    season: int
    months: tuple[str, ...]
    weights: Floats
    known: Floats


def sales_forecast(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Forecast the `forecast_periods` calendar months after the last full month.

    With 26 full months or more the monthly series is smoothed with a yearly season; with fewer, the weeks
    (Monday to Sunday) that the data cover in full, without one, each coming day counting as a seventh of its
    week; with under 20 weeks, or data by month, the months without season. The model is additive-error
    exponential smoothing chosen by AICc (see `forecasting.smooth`); the fact `method` names it. The floor is
    the seasonal naive forecast, or the naive one where there is no season; both are tested from the same
    rolling origins.

    Returns
    -------
    Facts `method`, `total_forecast`, `total_low`, `total_high` (95 % prediction interval),
    `recent_revenue`, `interval_level_pct`, `forecast_change_pct` (revenue per day, against as many last full
    months), `year_change_pct` (against the same months a year before, where these are full), `outlook` (by
    the latter if it is there), `backtest_mape_pct`, `naive_mape_pct`, `n_backtest_origins`, `beats_naive`,
    and `forecast[month=]`, `low[month=]`, `high[month=]`. Without a full month the main ones are "not
    available" and `method` says why.
    """
    sales = Sales(frame, scope, tool=TOOL, needs=DATED_COLUMNS)
    sheet = FactSheet(TOOL, sales.rows)
    if not sales.period.months:
        _no_forecast(sheet)
        return sheet.facts()
    series = _series(sales)
    steps = series.weights.shape[1]
    fitted = smooth(series.values, series.season, steps)
    _totals(sheet, sales, series, fitted)
    tested = backtest(series.values, series.season, steps)
    model = sheet.add(
        "backtest_mape_pct", "mean forecast error in backtest", tested.mape_pct, "%", headline=True
    )
    floor = sheet.add(
        "naive_mape_pct", "mean error of the naive forecast in backtest", tested.naive_mape_pct, "%"
    )
    beats = None
    if not isinstance(model.value, str) and not isinstance(floor.value, str):
        beats = "yes" if model.value < floor.value else "no"
    sheet.add("beats_naive", "forecast beats the naive forecast", beats, "label", headline=True)
    sheet.add("n_backtest_origins", "backtest origins", tested.n_origins, "count")
    _by_month(sheet, series, fitted)
    return sheet.facts()


def _no_forecast(sheet: FactSheet) -> None:
    sheet.add(
        "method", "forecast method", "none (no full calendar month in the data)", "label", headline=True
    )
    sheet.add("total_forecast", "forecast revenue of the months ahead", None, "$", headline=True)
    sheet.add("recent_revenue", "revenue of the last full months", None, "$")
    sheet.add("forecast_change_pct", "forecast change against the last full months", None, "% change")
    sheet.add("outlook", "outlook of revenue", None, "label")
    sheet.add("beats_naive", "forecast beats the naive forecast", None, "label")


def _totals(sheet: FactSheet, sales: Sales, series: Series, fitted: Smoothed) -> None:
    n = len(series.months)
    last = sales.period.months[-n:]
    mean, low, high = fitted.weighted(series.weights.sum(axis=0))
    known = float(series.known.sum())
    recent = float(sales.sums("revenue", "month")[-n:].sum()) / TICK
    ahead = f"the next {spelled(n)} months" if n > 1 else "the next month"
    season = f", season of {series.season}" if series.season else ""
    method = f"{fitted.model} on {len(series.values)} {series.step}s{season}"
    sheet.add("method", "forecast method", method, "label")
    total = max(mean + known, 0.0) / TICK
    sheet.add("total_forecast", f"forecast revenue of {ahead}", total, "$", headline=True)
    sheet.add("total_low", "low end of the forecast interval", _above_zero(low + known), "$", headline=True)
    sheet.add(
        "total_high", "high end of the forecast interval", _above_zero(high + known), "$", headline=True
    )
    span = f"{spelled(len(last))} full months" if len(last) > 1 else "full month"
    sheet.add("recent_revenue", f"revenue of the last {span}", recent, "$")
    change = change_pct(recent / _days(last), total / _days(series.months))
    sheet.add("interval_level_pct", "level of the forecast interval", 100 * INTERVAL, "%")
    label = "forecast change of revenue per day against the last full months"
    told = sheet.add("forecast_change_pct", label, change, "% change", headline=True)
    year_ago = _year_ago(sales, series.months)
    if year_ago is not None:
        label = "forecast change against the same months a year before"
        told = sheet.add("year_change_pct", label, change_pct(year_ago, total), "% change", headline=True)
    sheet.add("outlook", "outlook of revenue", direction(told.value), "label")


def _year_ago(sales: Sales, months: Sequence[str]) -> float | None:
    """Revenue of the same months a year before; None unless all of them are full."""
    position = {name: i for i, name in enumerate(sales.period.months)}
    same = [position.get(f"{int(month[:4]) - 1:04d}{month[4:]}") for month in months]
    known = [i for i in same if i is not None]
    return float(sales.sums("revenue", "month")[known].sum()) / TICK if len(known) == len(months) else None


def _by_month(sheet: FactSheet, series: Series, fitted: Smoothed) -> None:
    for i, month in enumerate(series.months):
        mean, low, high = fitted.weighted(series.weights[i])
        known = float(series.known[i])
        for metric, words, value in (
            ("forecast", "forecast revenue in", mean),
            ("low", "low end of the forecast for", low),
            ("high", "high end of the forecast for", high),
        ):
            sheet.add(of(metric, "month", month), f"{words} {month}", _above_zero(value + known), "$")


def _above_zero(ticks: float) -> float:
    # max() would turn NaN into 0.
    return 0.0 if ticks < 0 else ticks / TICK


def _series(sales: Sales) -> Series:
    period, n = sales.period, sales.scope.forecast_periods
    monthly = sales.sums("revenue", "month")
    months = _months_after(period.months[-1], n)
    by_month = Series(monthly, "month", 0, months, np.eye(n), np.zeros(n))
    if not period.is_gapless:
        return by_month
    if len(monthly) >= MIN_SEASONAL_MONTHS:
        return Series(monthly, "month", 12, months, np.eye(n), np.zeros(n))
    first_monday = -period.first.weekday() % 7
    n_weeks = (period.days - first_monday) // 7
    if period.is_monthly or n_weeks < MIN_WEEKS:
        return by_month
    daily = sales.sums("revenue", "day")
    end = first_monday + 7 * n_weeks
    weeks = daily[first_monday:end].reshape(n_weeks, 7).sum(axis=1)
    weights, known = _week_parts(months, daily[:end], period.first)
    return Series(weeks, "week", 0, months, weights, known)


def _week_parts(months: tuple[str, ...], daily: Floats, first: date) -> tuple[Floats, Floats]:
    """Sevenths of each coming week by month, and what `daily` (to the last full week) holds of each."""
    start = first + timedelta(days=len(daily))
    last = _next_month(date.fromisoformat(f"{months[-1]}-01")) - timedelta(days=1)
    weights = np.zeros((len(months), max((last - start).days // 7 + 1, 1)))
    known = np.zeros(len(months))
    day = date.fromisoformat(f"{months[0]}-01")
    while day <= last:
        month = months.index(f"{day:%Y-%m}")
        if day < start:
            known[month] += daily[(day - first).days]
        else:
            weights[month, (day - start).days // 7] += 1 / 7
        day += timedelta(days=1)
    return weights, known


def _days(months: Sequence[str]) -> int:
    return sum(monthrange(int(month[:4]), int(month[5:]))[1] for month in months)


def _months_after(month: str, n: int) -> tuple[str, ...]:
    day = date.fromisoformat(f"{month}-01")
    names = []
    for _ in range(n):
        day = _next_month(day)
        names.append(f"{day:%Y-%m}")
    return tuple(names)


def _next_month(first_of_month: date) -> date:
    return (first_of_month + timedelta(days=31)).replace(day=1)
