"""Market overview: how much was sold, at what price, by how many, and when."""

from __future__ import annotations

import pandas as pd

from swarmlab.tools.facts import Fact, FactSheet
from swarmlab.tools.ratios import ratio
from swarmlab.tools.sales import DATED_COLUMNS, Sales
from swarmlab.tools.scope import EVERYTHING, Scope

TOOL = "market_overview"


def market_overview(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Size and coverage of the market in scope.

    Revenue and units are sums; the average price is revenue over units, so each unit weighs the same.
    Dates are those of the whole frame, whatever the scope.

    Returns
    -------
    Facts `total_revenue`, `total_units`, `avg_price`, `n_rows`, `n_brands`, `n_categories`, `n_regions`,
    `n_countries` and `n_stores` (where there is such a column), `first_date`, `last_date`, `n_full_months`.
    """
    sales = Sales(frame, scope, tool=TOOL, needs=DATED_COLUMNS)
    sheet = FactSheet(TOOL, sales.rows)
    revenue, units = sales.total("revenue"), sales.total("units")
    sheet.add("total_revenue", "total revenue", revenue, "$", headline=True)
    sheet.add("total_units", "units sold", units, "count", headline=True)
    sheet.add("avg_price", "average price per unit", ratio(revenue, units), "$/unit", headline=True)
    sheet.add("n_rows", "rows of sales", sales.rows, "count")
    for metric, dimension, label in (
        ("n_brands", "brand", "number of brands"),
        ("n_categories", "category", "number of categories"),
        ("n_regions", "region", "number of regions"),
        ("n_countries", "country", "number of countries"),
        ("n_stores", "store_id", "number of stores"),
    ):
        if dimension in sales.columns:
            sheet.add(metric, label, int((sales.sums("rows", dimension) > 0).sum()), "count")
    period = sales.period
    sheet.add("first_date", "first day of the data", period.first.isoformat(), "date")
    sheet.add("last_date", "last day of the data", period.last.isoformat(), "date")
    sheet.add("n_full_months", "full calendar months covered", len(period.months), "count", headline=True)
    return sheet.facts()
