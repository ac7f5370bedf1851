"""Cross-section: categories side by side, each weighted by what was sold in it."""

from __future__ import annotations

import pandas as pd

from swarmlab.tools.breakdown import Breakdown
from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.ratios import highest, lowest, ratio
from swarmlab.tools.sales import SALES_COLUMNS, TICK, Sales
from swarmlab.tools.scope import EVERYTHING, Scope

TOOL = "cross_section"


def cross_section(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Revenue, units, average price and leading brand of the ten largest categories.

    An average price is revenue over units of the category, never the mean of the rows' prices: the rows do
    not sell alike.

    Returns
    -------
    Facts `top_category`, `bottom_category`, `dearest_category`, `cheapest_category`, `revenue[category=]`,
    `units[category=]`, `avg_price[category=]`, `top_brand[category=]`.
    """
    sales = Sales(frame, scope, tool=TOOL, needs=SALES_COLUMNS)
    sheet = FactSheet(TOOL, sales.rows)
    sales.tabulate(("revenue", "units", "rows"), "category", "brand")
    categories = Breakdown(sheet, sales, "category")
    revenue, units = sales.sums("revenue", "category"), sales.sums("units", "category")
    prices = [ratio(r, u) for r, u in zip(revenue, units, strict=True)]
    bottom, among = categories.names[categories.order[-1]], categories.circle
    price = categories.named(prices)
    categories.choose("top_category", "category with the most revenue", categories.leader, headline=True)
    categories.choose("bottom_category", f"category with the least revenue of {among}", bottom, headline=True)
    categories.choose("dearest_category", f"highest average price of {among}", highest(price), headline=True)
    categories.choose("cheapest_category", f"lowest average price of {among}", lowest(price), headline=True)
    categories.add("revenue", "revenue of {}", revenue / TICK, "$", headline={categories.leader})
    categories.add("units", "units sold of {}", units / TICK, "count")
    categories.add("avg_price", "average price of {}", prices, "$/unit")
    by_brand, brands = sales.sums("revenue", "category", "brand"), sales.names("brand")
    counts = sales.sums("rows", "category", "brand")
    for code in categories.order:
        name = categories.names[code]
        present = {brands[b]: float(by_brand[code, b]) for b in counts[code].nonzero()[0].tolist()}
        sheet.add(
            of("top_brand", "category", name),
            f"brand with the largest revenue in category {name}",
            highest(present),
            "name",
            rows=counts[code].sum(),
        )
    return sheet.facts()
