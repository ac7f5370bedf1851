"""KPIs: the handful of figures a marketer looks at each week."""

from __future__ import annotations

import numpy as np
import pandas as pd

from swarmlab.tools.facts import Fact, FactSheet
from swarmlab.tools.ratios import NAN, change_pct, highest, ratio
from swarmlab.tools.sales import DATED_COLUMNS, TICK, WEEKDAYS, Sales
from swarmlab.tools.scope import EVERYTHING, Scope

TOOL = "kpis"


def kpis(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Revenue per day and store, units per row, price, the last full month, the best weekday.

    Revenue per day is over the calendar days from the first to the last of the frame. The best weekday has
    the highest revenue per such day, so a weekday that occurs once more is not favoured.

    Returns
    -------
    Facts `revenue_per_day`, `revenue_per_store` (where there are stores), `units_per_row`, `avg_price`,
    `last_full_month`, `revenue_last_full_month`, `mom_change_pct`, `best_weekday`, `worst_weekday`.
    """
    sales = Sales(frame, scope, tool=TOOL, needs=DATED_COLUMNS)
    sheet = FactSheet(TOOL, sales.rows)
    revenue, units, period = sales.total("revenue"), sales.total("units"), sales.period
    sheet.add("revenue_per_day", "revenue per calendar day", revenue / period.days, "$", headline=True)
    if "store_id" in sales.columns:
        n_stores = float((sales.sums("rows", "store_id") > 0).sum())
        sheet.add("revenue_per_store", "revenue per store", ratio(revenue, n_stores), "$")
    sheet.add("units_per_row", "units per row of sales", units / sales.rows, "per row")
    sheet.add("avg_price", "average price per unit", ratio(revenue, units), "$/unit")
    monthly, rows = sales.sums("revenue", "month"), sales.sums("rows", "month")
    last = period.months[-1] if period.months else None
    sheet.add("last_full_month", "last full month", last, "month")
    sheet.add(
        "revenue_last_full_month",
        "revenue of the last full month",
        monthly[-1] / TICK if last else None,
        "$",
        rows=rows[-1] if last else 0,
        headline=True,
    )
    sheet.add(
        "mom_change_pct",
        "change of the last full month on the full month before",
        change_pct(monthly[-2], monthly[-1]) if len(monthly) > 1 else None,
        "% change",
        rows=rows[-2:].sum(),
        headline=True,
    )
    per_weekday = _per_weekday(sales)
    sheet.add(
        "best_weekday",
        "weekday with the most revenue per day",
        highest(per_weekday),
        "weekday",
        headline=True,
    )
    worst = highest({day: -value for day, value in per_weekday.items()})
    sheet.add("worst_weekday", "weekday with the least revenue per day", worst, "weekday")
    return sheet.facts()


def _per_weekday(sales: Sales) -> dict[str, float]:
    weekday = sales.period.weekdays()
    revenue = np.bincount(weekday, weights=sales.sums("revenue", "day"), minlength=7)
    days = np.bincount(weekday, minlength=7)
    return {name: revenue[i] / TICK / days[i] if days[i] else NAN for i, name in enumerate(WEEKDAYS)}
