"""Market share: who holds how much of the market, and how concentrated it is."""

from __future__ import annotations

import pandas as pd

from swarmlab.tools.breakdown import Breakdown
from swarmlab.tools.facts import Fact, FactSheet
from swarmlab.tools.ratios import hhi, pct
from swarmlab.tools.sales import SALES_COLUMNS, Floats, Sales
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
    return market_share_of(Sales(frame, scope, tool=TOOL, needs=SALES_COLUMNS))


def market_share_of(sales: Sales) -> tuple[Fact, ...]:
    """Facts of `market_share` from sales already cut to scope."""
    sheet = FactSheet(TOOL, sales.rows)
    sales.tabulate(("revenue", "units", "rows"), "brand", "category")
    focus = sales.scope.brands
    brands = Breakdown(sheet, sales, "brand", focus=focus)
    revenue, units = sales.sums("revenue", "brand"), sales.sums("units", "brand")
    runner_up = brands.names[brands.order[1]] if len(sales.ranked("brand", top=2)) > 1 else None
    brands.choose("leader", "brand with the largest revenue", brands.leader, headline=True)
    brands.choose("runner_up", "brand with the second largest revenue", runner_up)
    index = sheet.add("hhi", "concentration of brands (HHI)", hhi(revenue.tolist()), "hhi", headline=True)
    sheet.add("hhi_band", "market concentration", hhi_band(index.value), "label", headline=True)
    brands.add(
        "revenue_share", "revenue share of {}", _shares(revenue), "%", headline={brands.leader, *focus}
    )
    brands.add("units_share", "units share of {}", _shares(units), "%")
    categories = Breakdown(sheet, sales, "category")
    categories.add("revenue_share", "revenue share of {}", _shares(sales.sums("revenue", "category")), "%")
    return sheet.facts()


def hhi_band(index: float | int | str) -> str | None:
    """Band of a Herfindahl-Hirschman index: "low", "moderate" or "high"; None if there is no index."""
    if isinstance(index, str):
        return None
    if index < HHI_MODERATE:
        return "low"
    return "moderate" if index <= HHI_HIGH else "high"


def _shares(parts: Floats) -> list[float]:
    whole = parts.sum()
    return [pct(part, whole) for part in parts]
