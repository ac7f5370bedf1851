"""Time series and season: revenue by full month, its trend, its peak, its seasonal pattern."""

from __future__ import annotations

import numpy as np
import pandas as pd

from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.growth import direction
from swarmlab.tools.ratios import NAN, change_pct, highest, lowest, pct
from swarmlab.tools.sales import DATED_COLUMNS, TICK, Floats, Sales
from swarmlab.tools.scope import EVERYTHING, Scope

TOOL = "time_series"

SEASONS = {"winter": (12, 1, 2), "spring": (3, 4, 5), "summer": (6, 7, 8), "autumn": (9, 10, 11)}
"""Meteorological seasons of the northern hemisphere."""

SEASON_INDEX = 1.05
"""A season is named when its months sell at least this much of an average month."""


def time_series(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Revenue over the full calendar months; months that the data cover in part are left out, and named.

    `half_change_pct` compares the last half of the full months with the first (see `Period.halves`;
    `compared_months` names them); `trend` is its word, at a threshold of 2 %. `trend_pct_per_month` is the
    least-squares slope in percent of the mean. The seasonal index is the ratio-to-average of Makridakis,
    Wheelwright & Hyndman, Forecasting: Methods and Applications (1998), ch. 3, without trend removal: a
    calendar month's mean over the mean of the twelve; it needs each of the twelve at least once.

    Returns
    -------
    Facts `revenue[month=YYYY-MM]`, `left_out_months`, `compared_months`, `half_change_pct`,
    `trend_pct_per_month`, `trend`, `peak_month`, `trough_month`, `season`, `seasonal_index[month=MM]`.
    """
    return time_series_of(Sales(frame, scope, tool=TOOL, needs=DATED_COLUMNS))


def time_series_of(sales: Sales) -> tuple[Fact, ...]:
    """Facts of `time_series` from sales already cut to scope."""
    sheet = FactSheet(TOOL, sales.rows)
    months, revenue, halves = sales.period.months, sales.sums("revenue", "month"), sales.halves
    rows = sales.sums("rows", "month")
    named = dict(zip(months, revenue.tolist(), strict=True))
    sheet.add(
        "left_out_months", "partial months left out", ", ".join(sales.period.partial) or "none", "label"
    )
    sheet.add("compared_months", "growth compares", _compared(sales), "label")
    change = sheet.add(
        "half_change_pct",
        "revenue change from the first to the last half",
        change_pct(revenue[halves[0]].sum(), revenue[halves[1]].sum()) if halves else None,
        "% change",
        rows=rows.sum(),
        headline=True,
    )
    sheet.add("trend", "trend of revenue", direction(change.value), "label", rows=rows.sum(), headline=True)
    slope = slope_pct(revenue)
    sheet.add("trend_pct_per_month", "trend of monthly revenue", slope, "% per month", rows=rows.sum())
    sheet.add("peak_month", "month with the most revenue", highest(named), "month", headline=True)
    sheet.add("trough_month", "month with the least revenue", lowest(named), "month", headline=True)
    index = seasonal_index(months, revenue)
    sheet.add("season", "peak season", season(index), "label", headline=True)
    for code, month in enumerate(months):
        sheet.add(
            of("revenue", "month", month), f"revenue in {month}", revenue[code] / TICK, "$", rows=rows[code]
        )
    for calendar_month, value in index.items():
        label = f"seasonal index of month {calendar_month}"
        sheet.add(of("seasonal_index", "month", calendar_month), label, value, "index", rows=rows.sum())
    return sheet.facts()


def _compared(sales: Sales) -> str | None:
    if sales.halves is None:
        return None
    first, last = (sales.period.months[half] for half in sales.halves)
    return f"{first[0]} to {first[-1]} with {last[0]} to {last[-1]}"


def slope_pct(values: Floats) -> float:
    """Least-squares slope a step in percent of the mean; NaN with fewer than two values."""
    if len(values) < 2:
        return NAN
    step = np.arange(len(values)) - (len(values) - 1) / 2
    return pct(float((step * values).sum() / (step * step).sum()), float(values.mean()))


def seasonal_index(months: tuple[str, ...], revenue: Floats) -> dict[str, float]:
    """Index by calendar month "01" to "12"; empty unless all twelve occur and something was sold."""
    by_month: dict[str, list[float]] = {}
    for month, value in zip(months, revenue.tolist(), strict=True):
        by_month.setdefault(month[5:], []).append(value)
    if len(by_month) < 12:
        return {}
    means = {month: sum(values) / len(values) for month, values in sorted(by_month.items())}
    average = sum(means.values()) / 12
    return {month: value / average for month, value in means.items()} if average > 0 else {}


def season(index: dict[str, float]) -> str | None:
    """Season with the highest mean index, or "no clear season"; None without an index."""
    if not index:
        return None
    means = {name: sum(index[f"{m:02d}"] for m in months) / 3 for name, months in SEASONS.items()}
    best = highest(means)
    return best if best is not None and round(means[best], 6) >= SEASON_INDEX else "no clear season"
