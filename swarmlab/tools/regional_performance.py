"""Regional performance: where the revenue comes from and where it grows."""

from __future__ import annotations

import pandas as pd

from swarmlab.tools.breakdown import Breakdown
from swarmlab.tools.facts import Fact, FactSheet
from swarmlab.tools.growth import growth_by
from swarmlab.tools.ratios import highest, lowest, pct
from swarmlab.tools.sales import DATED_COLUMNS, TICK, Sales
from swarmlab.tools.scope import EVERYTHING, Scope

TOOL = "regional_performance"


def regional_performance(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Revenue, share and growth by region, or by country, or by store, whichever is there first.

    Data with none of these are broken down by category, and the fact `dimension` says so. Each row counts
    where it was sold: a store with rows in several countries is split by them, and counted in
    `n_stores_in_several_countries`. Growth compares the halves of the full months.

    Returns
    -------
    Facts `dimension`, `leader`, `laggard` (least revenue of those reported),
    `fastest_growing`, `slowest_growing`, and of the ten largest `revenue[D=]`, `revenue_share[D=]`,
    `growth_pct[D=]`, where D is the column ("region", "country", "store_id" or "category").
    """
    return regional_performance_of(Sales(frame, scope, tool=TOOL, needs=DATED_COLUMNS))


def regional_performance_of(sales: Sales) -> tuple[Fact, ...]:
    """Facts of `regional_performance` from sales already cut to scope."""
    sheet = FactSheet(TOOL, sales.rows)
    dimension = sales.region_dimension or "category"
    sales.tabulate(("revenue",), dimension, "month")
    places = Breakdown(sheet, sales, dimension)
    noun, among = places.noun, places.circle
    told_by = noun if sales.region_dimension else "category (no region, country or store in the data)"
    sheet.add("dimension", "regions are told apart by", told_by, "label")
    revenue, growth = sales.sums("revenue", dimension), growth_by(sales, dimension)
    named, whole = places.named(growth), revenue.sum()
    last = places.names[places.order[-1]]
    places.choose("leader", f"{noun} with the most revenue", places.leader, headline=True)
    places.choose("laggard", f"least revenue of {among}", last, headline=True)
    places.choose("fastest_growing", f"fastest growing of {among}", highest(named), headline=True)
    places.choose("slowest_growing", f"slowest growing of {among}", lowest(named), headline=True)
    if {"store_id", "country"} <= sales.columns:
        spread = (sales.sums("rows", "store_id", "country") > 0).sum(axis=1) > 1
        sheet.add(
            "n_stores_in_several_countries", "stores selling in several countries", int(spread.sum()), "count"
        )
    shares = [pct(value, whole) for value in revenue]
    places.add("revenue_share", "revenue share of {}", shares, "%", headline={places.leader})
    places.add("growth_pct", "revenue growth of {}", growth, "% change")
    places.add("revenue", "revenue of {}", revenue / TICK, "$")
    return sheet.facts()
