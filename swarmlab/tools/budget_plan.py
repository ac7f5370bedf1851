"""Budget plan: the budget split among categories by what they sell and how they grow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import pandas as pd

from swarmlab.tools.breakdown import Breakdown
from swarmlab.tools.facts import Fact, FactSheet
from swarmlab.tools.growth import growth_by
from swarmlab.tools.ratios import highest, lowest, pct
from swarmlab.tools.sales import DATED_COLUMNS, Sales
from swarmlab.tools.scope import EVERYTHING, Scope, growth_tilt

TOOL = "budget_plan"

GROWTH_INDEX_LIMITS: Final = (0.5, 1.5)
"""Growth moves a category's weight down to a half and up to one and a half times, not further."""

FLOOR: Final = 0.02
"""Least part of the budget for a category."""

CAP: Final = 0.40
"""Largest part of the budget for a category."""


def budget_plan(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Split `scope.budget` among the ten largest categories.

    A category's weight is its revenue times its growth index to the power of the campaign type's tilt
    (`scope.GROWTH_TILT`). The growth index is 1 + growth / 100, within 0.5 and 1.5, and 1 where growth is
    not known. Parts are in proportion to the weights, none under 2 % or over 40 % where the number of
    categories allows. Amounts are whole currency units (cents if the budget has any) by the largest-remainder
    method (Hamilton), so they sum to the budget exactly.

    Returns
    -------
    Facts `budget`, `rule`, `top_funded`, `least_funded`, `fastest_growing`,
    `slowest_growing`, `growth_pct[category=]`, `allocation[category=]`, `allocation_share[category=]`.
    """
    return budget_plan_of(Sales(frame, scope, tool=TOOL, needs=DATED_COLUMNS))


def budget_plan_of(sales: Sales) -> tuple[Fact, ...]:
    """Facts of `budget_plan` from sales already cut to scope."""
    sheet = FactSheet(TOOL, sales.rows)
    sales.tabulate(("revenue",), "category", "month")
    scope = sales.scope
    categories = Breakdown(sheet, sales, "category")
    weights = category_weights(sales, categories.order)
    names = [categories.names[code] for code in categories.order]
    amounts = dict(zip(names, largest_remainder(scope.budget, bounded_shares(weights), names), strict=True))
    named, among = dict(zip(names, weights, strict=True)), categories.circle
    top, least = highest(named), lowest(named)
    rule = f"revenue x growth (tilt {growth_tilt(scope.campaign_type):g} for {scope.campaign_type} campaigns)"
    sheet.add("budget", "marketing budget", scope.budget, "$ exact", headline=True)
    sheet.add("rule", "budget is split by", rule, "label")
    categories.choose("top_funded", f"most budget of {among}", top, headline=True)
    categories.choose("least_funded", f"least budget of {among}", least, headline=True)
    by_code = [amounts.get(name, 0.0) for name in categories.names]
    categories.add("allocation", "budget for {}", by_code, "$ exact", headline={str(top)})
    growth = growth_by(sales, "category")
    growing = categories.named(growth)
    categories.choose("fastest_growing", f"fastest growing of {among}", highest(growing))
    categories.choose("slowest_growing", f"slowest growing of {among}", lowest(growing))
    categories.add("growth_pct", "revenue growth of {}", growth, "% change")
    shares = [pct(amount, scope.budget) for amount in by_code]
    categories.add("allocation_share", "share of the budget for {}", shares, "%")
    return sheet.facts()


def category_weights(sales: Sales, order: Sequence[int]) -> list[float]:
    """Revenue times growth index of each category of `order`; equal weights if nothing was earned."""
    revenue, growth = sales.sums("revenue", "category"), growth_by(sales, "category")
    tilt = growth_tilt(sales.scope.campaign_type)
    weights = [max(float(revenue[code]), 0.0) * growth_index(float(growth[code])) ** tilt for code in order]
    return weights if sum(weights) > 0 else [1.0] * len(order)


def growth_index(growth_pct: float) -> float:
    """Growth in percent as a factor within `GROWTH_INDEX_LIMITS`; 1 if it is not known."""
    if math.isnan(growth_pct):
        return 1.0
    low, high = GROWTH_INDEX_LIMITS
    return min(max(1 + growth_pct / 100, low), high)


def bounded_shares(weights: Sequence[float], floor: float = FLOOR, cap: float = CAP) -> list[float]:
    """Parts in proportion to `weights` that sum to 1, each within floor and cap where their number allows.

    What the bounds take or give is shared by the others in proportion: one scale for all weights, found by
    bisection, since the sum of the bounded parts grows with it.
    """
    n = len(weights)
    floor, cap = min(floor, 1 / n), max(cap, 1 / n)
    low, high = 0.0, 1 / min((w for w in weights if w > 0), default=1.0)
    for _ in range(200):
        scale = (low + high) / 2
        total = sum(min(max(w * scale, floor), cap) for w in weights)
        low, high = (scale, high) if total < 1 else (low, scale)
    parts = [min(max(w * high, floor), cap) for w in weights]
    return [part / sum(parts) for part in parts]


def largest_remainder(amount: float, shares: Sequence[float], names: Sequence[str]) -> list[float]:
    """Split `amount` into whole units (cents if it has any) that sum to it exactly.

    Each part is rounded down, and the units left go to the largest remainders, ties by name.
    """
    exact = round(Decimal(str(amount)), 2)
    step = Decimal(1) if exact == exact.to_integral_value() else Decimal("0.01")
    units = int(exact / step)
    quotas = [round(share * units, 6) for share in shares]
    parts = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda i: (parts[i] - quotas[i], names[i]))
    for i in by_remainder[: units - sum(parts)]:
        parts[i] += 1
    return [float(part * step) for part in parts]
