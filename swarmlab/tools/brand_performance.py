"""Brand performance: each brand's size, growth, change of share and price position."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from swarmlab.tools.breakdown import Breakdown
from swarmlab.tools.facts import Fact, FactSheet
from swarmlab.tools.growth import growth_by, share_change_by
from swarmlab.tools.ratios import change_pct, highest, lowest, ratio
from swarmlab.tools.sales import DATED_COLUMNS, TICK, Floats, Sales
from swarmlab.tools.scope import EVERYTHING, Scope

TOOL = "brand_performance"

NONE_DECLINES: Final = "no brand declines"
"""Value of `fastest_declining` (unit "none", as of what is not available) where no brand shrinks."""


def brand_performance(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """How the ten largest brands and the focus brands do.

    Growth and the change of share compare the halves of the full months. The price premium compares a brand's
    revenue with what its units would have fetched at the average price of the categories they were sold in,
    so that a brand is not called dear for selling in dear categories.

    Returns
    -------
    Facts `fastest_growing`, `fastest_declining` (`NONE_DECLINES` if that is so),
    `biggest_share_gain`, `highest_price_premium`, and by brand `revenue[brand=]`, `growth_pct[brand=]`,
    `share_change_points[brand=]`, `avg_price[brand=]`, `price_premium_pct[brand=]`.
    """
    return brand_performance_of(Sales(frame, scope, tool=TOOL, needs=DATED_COLUMNS))


def brand_performance_of(sales: Sales) -> tuple[Fact, ...]:
    """Facts of `brand_performance` from sales already cut to scope."""
    sheet = FactSheet(TOOL, sales.rows)
    sales.tabulate(("revenue",), "brand", "category", "month")
    sales.tabulate(("units", "rows"), "brand", "category")
    focus = sales.scope.brands
    brands = Breakdown(sheet, sales, "brand", focus=focus)
    growth, share_change = growth_by(sales, "brand"), share_change_by(sales, "brand")
    premium, among = price_premium_by_brand(sales), brands.circle
    revenue, units = sales.sums("revenue", "brand"), sales.sums("units", "brand")
    prices = [ratio(r, u) for r, u in zip(revenue, units, strict=True)]
    fastest, gain = highest(brands.named(growth)), highest(brands.named(share_change))
    brands.choose("fastest_growing", f"fastest growing of {among}", fastest, headline=True)
    _add_declining(sheet, f"fastest declining of {among}", brands.named(growth))
    brands.choose("biggest_share_gain", f"biggest gain of share of {among}", gain)
    dearest = highest(brands.named(premium))
    brands.choose("highest_price_premium", f"highest price premium of {among}", dearest, headline=True)
    told = {brands.leader, *focus}
    brands.add("growth_pct", "revenue growth of {}", growth, "% change", headline=told)
    brands.add("revenue", "revenue of {}", revenue / TICK, "$")
    brands.add("share_change_points", "change of revenue share of {}", share_change, "points")
    brands.add("avg_price", "average price of {}", prices, "$/unit")
    brands.add("price_premium_pct", "price premium of {} over its categories", premium, "% change")
    return sheet.facts()


def _add_declining(sheet: FactSheet, label: str, growth: dict[str, float]) -> None:
    """Name the brand of the lowest growth, if that is below zero; the unit tells a name from no answer."""
    name = lowest(growth)
    if name is not None and round(growth[name], 6) >= 0:
        sheet.add("fastest_declining", label, NONE_DECLINES, "none", headline=True)
    else:
        sheet.add("fastest_declining", label, name, "name", headline=True)


def price_premium_by_brand(sales: Sales) -> Floats:
    """Premium in percent over the prices of the categories sold in, by brand code; NaN without units."""
    units = sales.sums("units", "brand", "category")
    category_revenue, category_units = sales.sums("revenue", "category"), sales.sums("units", "category")
    # A category without units has none to be priced.
    prices = np.divide(
        category_revenue, category_units, out=np.zeros_like(units[0]), where=category_units > 0
    )
    expected = (units * prices).sum(axis=1)
    return np.array([change_pct(e, r) for e, r in zip(expected, sales.sums("revenue", "brand"), strict=True)])
