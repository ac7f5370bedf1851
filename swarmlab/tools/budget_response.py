"""Budget by response: money goes where deeper discounts have been answered by more sales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from swarmlab.tools.effects import MIN_CLUSTERS, Estimate, within_slope
from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.panel import Panel, largest_categories, periods, regular_panel, varies_within
from swarmlab.tools.ratios import NAN, highest
from swarmlab.tools.sales import TICK
from swarmlab.tools.scope import EVERYTHING, Scope
from swarmlab.tools.scoped import Scoped

TOOL = "budget_response"

NEEDS: Final = ("sale_date", "brand", "category", "units_sold", "total_revenue", "discount_value")

TRIED: Final = 0.95
"""No plan goes deeper than this part of the cells of a category have been: beyond it nothing was tried."""

WEEKS_A_MONTH: Final = 365.25 / 12 / 7


@dataclass(frozen=True)
class Response:
    """How a category answers to the depth of its discounts.

    Demand at depth d is proportional to exp(slope x d), so at list value `base` (currency over the months
    ahead, without any discount) it brings (1 - d) base exp(slope d) and costs d base exp(slope d).
    """

    name: str
    slope: Estimate
    depth: float
    """Share of the list value given away today."""
    deepest: float
    """Largest depth that a plan may have."""
    base: float
    cells: int

    @property
    def is_shown(self) -> bool:
        """The interval of the slope is above zero: the data show a response."""
        return self.slope.is_known and self.slope.low > 0 and self.base > 0

    def marginal(self, depth: float) -> float:
        """Revenue that one more unit of currency of discount brings; falls as the depth grows."""
        return (self.slope.value * (1 - depth) - 1) / (1 + self.slope.value * depth)

    def spend(self, depth: float) -> float:
        """Discount given away at a depth, over the months ahead."""
        return depth * self.base * float(np.exp(self.slope.value * depth))

    def added(self, depth: float, slope: float) -> float:
        """Revenue that a deeper discount adds, net of it, with this slope through the sales of today."""
        today = self.base * float(np.exp(self.slope.value * self.depth))
        return today * ((1 - depth) * float(np.exp(slope * (depth - self.depth))) - (1 - self.depth))

    def depth_at(self, marginal: float) -> float:
        """Depth at which one more unit brings just `marginal`; today's depth where it brings less already."""
        slope = self.slope.value
        depth = (slope - 1 - marginal) / (slope * (1 + marginal))
        return float(np.clip(depth, self.depth, max(self.depth, self.deepest)))


def budget_response(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Split of the budget, as further discounts over the `forecast_periods` months, by estimated response.

    In each of the ten largest categories the slope of log units on the depth of the discount (discount over
    list value) is estimated with fixed effects of article and week (`effects.within_slope`, as in
    `price_elasticity`). Demand that grows with exp(slope x depth) (the semi-logarithmic model of Blattberg &
    Neslin, Sales Promotion, 1990, ch. 12) makes revenue a concave function of the money given away. The
    budget goes to categories until one more unit of currency brings the same in each (Hanssens, Parsons &
    Schultz, Market Response Models, 2nd ed. 2001, ch. 9), to none where it brings back nothing beyond itself:
    there a deeper discount lowers revenue. A category takes part if the 95 % interval of its slope is above
    zero, and is given no deeper discount than it has been tried with (95 % of its cells). What is not spent
    so is told as left over; nothing is split by a fixed rule.

    It rests on discounts that were not set by demand. Sales drawn from other weeks and articles count as
    response, so read the plan as an upper bound. The interval of the added revenue takes the slopes at their
    ends, all low or all high.

    Returns
    -------
    Facts `finding`, `budget`, `allocated`, `left_over`, `added_revenue` with `..._low` and `..._high` (net of
    the discount), `top_funded`, and by category `response[category=]` (percent more units for one point of
    depth) with `..._low` and `..._high`, `allocation[category=]`, `depth_pct[category=]` (today),
    `planned_depth_pct[category=]`, `marginal_return[category=]` (today). Not available where no category
    shows a response.
    """
    scoped = Scoped(frame, scope, tool=TOOL, needs=NEEDS)
    sheet = FactSheet(TOOL, scoped.rows)
    panel = regular_panel(scoped)
    responses = [_response(scoped, panel, name) for name in largest_categories(scoped)]
    open_to = [r for r in responses if r.is_shown and r.marginal(r.depth) > 0]
    depths = _plan(open_to, scope.budget)
    _add_totals(sheet, scope.budget, responses, depths)
    for response in responses:
        _add_category(sheet, response, depths)
    return sheet.facts()


def _response(scoped: Scoped, panel: Panel, name: str) -> Response:
    part = panel.where(panel.category == name)
    listed = part.revenue + part.discount
    depth = np.divide(part.discount, listed, out=np.zeros_like(listed), where=listed > 0)
    slope = Estimate(NAN, NAN, NAN, 0)
    if varies_within(depth, part.group):
        period, cluster = periods(part, MIN_CLUSTERS)
        slope = within_slope(np.log(part.units), depth, part.group, period, cluster)
    member = scoped.axis("category")
    mine = member.codes == member.names.index(name)
    revenue = float(scoped.ticks("total_revenue")[mine].sum()) / TICK
    given = float(scoped.ticks("discount_value")[mine].sum()) / TICK
    today = given / (revenue + given) if revenue + given > 0 else 0.0
    weeks = WEEKS_A_MONTH * scoped.scope.forecast_periods
    span = scoped.days + (6 if scoped.is_weekly else 0)
    ahead = (revenue + given) / span * 7 * weeks
    base = ahead / float(np.exp(slope.value * today)) if slope.is_known else NAN
    deepest = float(np.quantile(depth, TRIED)) if part.size else today
    return Response(name, slope, today, deepest, base, part.size)


def _plan(responses: list[Response], budget: float) -> dict[str, float]:
    """Depth by category that spends the budget, or as much of it as brings back more than itself."""

    def further(marginal: float) -> float:
        return sum(r.spend(r.depth_at(marginal)) - r.spend(r.depth) for r in responses)

    if not responses:
        return {}
    marginal = 0.0
    if further(0.0) > budget:
        most = max(r.marginal(r.depth) for r in responses)
        marginal = float(brentq(lambda x: further(x) - budget, 0.0, most, xtol=1e-14))
    return {r.name: r.depth_at(marginal) for r in responses}


def _add_totals(sheet: FactSheet, budget: float, responses: list[Response], depths: dict[str, float]) -> None:
    shown = [r for r in responses if r.is_shown]
    funded = [r for r in shown if r.name in depths]
    spent = {r.name: r.spend(depths[r.name]) - r.spend(r.depth) for r in funded}
    total = sum(spent.values()) if shown else NAN
    sheet.add("finding", "response to discounts", _finding(shown, funded), "label", headline=True)
    sheet.add("budget", "marketing budget", budget, "$ exact", headline=True)
    sheet.add("allocated", "budget for further discounts", total, "$", headline=True)
    sheet.add("left_over", "budget that discounts would not earn back", budget - total, "$")
    for end, words in (("value", ""), ("low", "low end of the "), ("high", "high end of the ")):
        added = sum(r.added(depths[r.name], getattr(r.slope, end)) for r in funded) if shown else NAN
        metric = "added_revenue" if end == "value" else f"added_revenue_{end}"
        label = f"{words}revenue that further discounts add"
        sheet.add(metric, label, added, "$", headline=end == "value")
    top = highest({name: amount for name, amount in spent.items() if amount > 0})
    sheet.add("top_funded", "most budget of the largest categories", top, "name", headline=True)


def _finding(shown: list[Response], open_to: list[Response]) -> str:
    if not shown:
        return "not shown by these data"
    return "some categories earn deeper discounts back" if open_to else "deeper discounts lower revenue"


def _add_category(sheet: FactSheet, response: Response, depths: dict[str, float]) -> None:
    name, slope = response.name, response.slope
    known = (slope.value, slope.low, slope.high) if slope.is_known else (NAN, NAN, NAN)
    value, low, high = (100 * float(np.expm1(s / 100)) for s in known)
    planned = depths.get(name, response.depth)
    amount = response.spend(planned) - response.spend(response.depth) if response.is_shown else NAN
    marginal = response.marginal(response.depth) if slope.is_known else NAN
    for metric, label, number, unit in (
        ("response", "more units in {} for a point of discount", value, "%"),
        ("response_low", "low end of the response of {}", low, "%"),
        ("response_high", "high end of the response of {}", high, "%"),
        ("allocation", "budget for further discounts in {}", amount, "$"),
        ("depth_pct", "discount depth in {} today", 100 * response.depth, "%"),
        ("planned_depth_pct", "discount depth in {} planned", 100 * planned, "%"),
        ("marginal_return", "revenue for one more dollar of discount in {}", marginal, "ratio"),
    ):
        text = label.format(f"category {name}")
        sheet.add(of(metric, "category", name), text, number, unit, rows=response.cells)
