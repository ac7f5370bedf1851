"""Market share: who holds how much of the market, and how concentrated it is."""

from __future__ import annotations

import pandas as pd

from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.ratios import hhi, pct
from swarmlab.tools.sales import SALES_COLUMNS, Sales
from swarmlab.tools.scope import EVERYTHING, Scope

TOOL = "market_share"

HHI_MODERATE = 1500
HHI_HIGH = 2500


def market_share(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Shares of the market in scope, by brand and by category, and its concentration.

    A share is the part in percent of the revenue (or units) of all rows in scope. Concentration is the
    Herfindahl-Hirschman index over all brands, banded as in U.S. DOJ & FTC, Horizontal Merger Guidelines
    (2010), section 5.3: low under 1,500, moderate to 2,500, high above.

    Returns
    -------
    Facts `leader`, `runner_up`, `hhi`, `hhi_band`, `revenue_share[brand=]` and `units_share[brand=]` of
    the ten largest brands and the focus brands, `revenue_share[category=]` of the ten largest categories.
    """
    sales = Sales(frame, scope, tool=TOOL, needs=SALES_COLUMNS)
    return market_share_of(sales)


def market_share_of(sales: Sales) -> tuple[Fact, ...]:
    """Facts of `market_share` from sales already cut to scope."""
    sheet = FactSheet(TOOL, sales.rows)
    revenue = sales.sums("revenue", "brand")
    names = sales.names("brand")
    order = sales.ranked("brand", focus=sales.scope.brands)
    sheet.add("leader", "brand with the largest revenue", names[order[0]], "name", headline=True)
    runner_up = names[order[1]] if len(order) > 1 else None
    sheet.add("runner_up", "brand with the second largest revenue", runner_up, "name")
    index = sheet.add(
        "hhi", "concentration of brands (HHI, 0 to 10,000)", hhi(revenue.tolist()), "hhi", headline=True
    )
    sheet.add("hhi_band", "market concentration", hhi_band(index.value), "label", headline=True)
    _shares(sheet, sales, "brand", order)
    _shares(sheet, sales, "category", sales.ranked("category"))
    return sheet.facts()


def hhi_band(index: float | int | str) -> str | None:
    """Band of a Herfindahl-Hirschman index: "low", "moderate" or "high"; None if there is no index."""
    if isinstance(index, str):
        return None
    if index < HHI_MODERATE:
        return "low"
    return "moderate" if index <= HHI_HIGH else "high"


def _shares(sheet: FactSheet, sales: Sales, dimension: str, order: list[int]) -> None:
    names, rows = sales.names(dimension), sales.sums("rows", dimension)
    focus = sales.scope.brands if dimension == "brand" else ()
    for measure, metric, unit_name in (
        ("revenue", "revenue_share", "revenue"),
        ("units", "units_share", "units"),
    ):
        if measure == "units" and dimension != "brand":
            continue
        parts = sales.sums(measure, dimension)
        whole = float(sales.sums(measure))
        for place, code in enumerate(order):
            name = names[code]
            sheet.add(
                of(metric, dimension, name),
                f"{unit_name} share of {dimension} {name}",
                pct(parts[code], whole),
                "%",
                rows=rows[code],
                headline=measure == "revenue" and dimension == "brand" and (place == 0 or name in focus),
            )
