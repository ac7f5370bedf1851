"""Brand health: growth, share and price of brands, and how many households buy them how often."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from swarmlab.tools.axis import Codes
from swarmlab.tools.brand_performance import price_premium_by_brand
from swarmlab.tools.breakdown import Breakdown
from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.growth import growth_by, share_change_by
from swarmlab.tools.ratios import highest, lowest, pct, ratio
from swarmlab.tools.sales import DATED_COLUMNS, Sales
from swarmlab.tools.scope import EVERYTHING, Scope
from swarmlab.tools.scoped import Scoped

TOOL = "brand_health"

STEADY_POINTS: Final = 0.5
"""A change of share by less than so many points is neither a gain nor a loss."""


def brand_health(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """State of the ten largest brands and the focus brands.

    Growth and change of share compare the halves of the full months, so that partial months do not count;
    share is that of revenue, the premium that of `brand_performance`. A brand gains or loses where its share
    moved by half a point or more. Where households are known: penetration is the share of buying households
    that bought the brand, purchase frequency the days with a purchase of it per buyer, and share of
    requirements the brand's part of all its buyers spend (Ehrenberg, Repeat-Buying, 2nd ed. 1988; Farris et
    al., Marketing Metrics, 2nd ed. 2010, ch. 2). Sales without a household are left out of these.

    Returns
    -------
    Facts `households` ("known" or not), `strongest` (largest gain of share), `weakest` (largest loss),
    `highest_penetration`, and by brand `share_pct[brand=]`, `growth_pct[brand=]`,
    `share_change_points[brand=]`, `price_premium_pct[brand=]`, `standing[brand=]`, and with households
    `penetration_pct[brand=]`, `purchases_per_buyer[brand=]`, `share_of_requirements_pct[brand=]`.
    """
    sales = Sales(frame, scope, tool=TOOL, needs=DATED_COLUMNS)
    sheet = FactSheet(TOOL, sales.rows)
    brands = Breakdown(sheet, sales, "brand", focus=scope.brands)
    change, revenue = share_change_by(sales, "brand"), sales.sums("revenue", "brand")
    known = "household_id" in sales.columns
    told = {brands.leader, *scope.brands}
    among = brands.circle
    sheet.add("households", "who buys is", "known" if known else "not in the data", "label")
    moves = brands.named(change)
    brands.choose("strongest", f"largest gain of share of {among}", highest(moves), headline=True)
    brands.choose("weakest", f"largest loss of share of {among}", lowest(moves), headline=True)
    shares = [pct(part, revenue.sum()) for part in revenue]
    brands.add("share_pct", "share of {}", shares, "%", headline=told)
    brands.add("growth_pct", "growth of {}", growth_by(sales, "brand"), "% change", headline=told)
    brands.add("share_change_points", "move of the share of {}", change, "points")
    premium = price_premium_by_brand(sales)
    brands.add("price_premium_pct", "price of {} against its categories", premium, "% change")
    for name, points in moves.items():
        sheet.add(of("standing", "brand", name), f"standing of brand {name}", _standing(points), "label")
    if known:
        _add_households(brands, Scoped(frame, scope, tool=TOOL, needs=("household_id",)))
    return sheet.facts()


def _add_households(brands: Breakdown, scoped: Scoped) -> None:
    """Facts about buyers, from the rows whose household is known and that bought something."""
    revenue = scoped.ticks("total_revenue")
    kept = scoped.known("household_id") & ((revenue > 0) | (scoped.ticks("units_sold") > 0))
    brand = scoped.axis("brand")
    household: Codes = np.unique(scoped.axis("household_id").codes[kept], return_inverse=True)[1]
    n = int(household.max(initial=-1)) + 1
    # Households by brand, and days with a purchase by brand and household.
    buys = np.unique(brand.codes[kept] * max(n, 1) + household)
    day = scoped.day[kept] - scoped.first
    purchases = np.unique((brand.codes[kept] * max(n, 1) + household) * scoped.days + day) // scoped.days
    spent = np.bincount(household, weights=revenue[kept], minlength=n)
    buyers = np.bincount(buys // max(n, 1), minlength=brand.size)
    days = np.bincount(purchases // max(n, 1), minlength=brand.size)
    all_they_spend = np.bincount(buys // max(n, 1), weights=spent[buys % max(n, 1)], minlength=brand.size)
    on_brand = np.bincount(brand.codes[kept], weights=revenue[kept], minlength=brand.size)
    penetration = [pct(count, n) for count in buyers]
    often = [ratio(count, buyer) for count, buyer in zip(days, buyers, strict=True)]
    required = [pct(own, whole) for own, whole in zip(on_brand, all_they_spend, strict=True)]
    widest = highest(brands.named(penetration))
    brands.choose(
        "highest_penetration", f"bought by most households of {brands.circle}", widest, headline=True
    )
    brands.add("penetration_pct", "share of households that bought {}", penetration, "%")
    brands.add("purchases_per_buyer", "days a buyer bought {}", often, "per row")
    brands.add("share_of_requirements_pct", "share of {} of what its buyers spend", required, "%")


def _standing(points: float) -> str | None:
    if np.isnan(points):
        return None
    if abs(points) < STEADY_POINTS:
        return "steady"
    return "gaining" if points > 0 else "losing"
