"""Recommendations: what to do, by explicit rules over the facts of the other tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from swarmlab.tools.brand_performance import brand_performance_of
from swarmlab.tools.budget_plan import budget_plan_of
from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.market_share import market_share_of
from swarmlab.tools.profitability import profitability_of
from swarmlab.tools.ratios import NAN, highest
from swarmlab.tools.regional_performance import regional_performance_of
from swarmlab.tools.roi import roi_of
from swarmlab.tools.sales import DATED_COLUMNS, Sales
from swarmlab.tools.scope import EVERYTHING, Scope
from swarmlab.tools.time_series import time_series_of

TOOL = "recommendations"

MOST: Final = 6
"""Recommendations given; the table's first ones that apply."""

THRESHOLDS: Final = {
    "growth_pct": 5.0,  # growth, or decline, worth acting on
    "discount_depth_pct": 15.0,  # discounts deeper than this are tested for being too deep
    "margin_pct": 20.0,  # margins thinner than this are to be repaired
    "seasonal_index": 1.1,  # a month this far above the average is one to prepare for
    "region_growth_pct": -2.0,  # a region growing less than this is looked into
}
"""What "high" and "low" mean in the rules; percent, but for the index."""


class Evidence:
    """Facts of the other tools, looked up by id; one that is missing or not available is NaN or None."""

    def __init__(self, facts: Mapping[str, Fact]) -> None:
        self._facts = facts

    def number(self, fact_id: str) -> float:
        """Value of a numeric fact."""
        fact = self._facts.get(fact_id)
        return NAN if fact is None or isinstance(fact.value, str) else float(fact.value)

    def name(self, fact_id: str) -> str | None:
        """Value of a fact that is text."""
        fact = self._facts.get(fact_id)
        return (
            fact.value if fact is not None and isinstance(fact.value, str) and fact.unit != "none" else None
        )

    def text(self, fact_id: str) -> str:
        """A fact's value as it is printed."""
        return self._facts[fact_id].text


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule gives its sentence, or None where it does not apply."""

    id: str
    sentence: Callable[[Evidence], str | None]


def recommendations(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Three to six recommendations, most urgent first, each with the id of the rule that gave it.

    `RULES` is read from the top and the first six rules that apply are kept; the last three always apply.
    No model has a part in it.

    Returns
    -------
    Facts `n_recommendations`, `recommendation[rank=]` (a sentence), `rule[rank=]`.
    """
    sales = Sales(frame, scope, tool=TOOL, needs=DATED_COLUMNS)
    sheet = FactSheet(TOOL, sales.rows)
    evidence = _evidence(sales)
    given = [(rule.id, text) for rule in RULES if (text := rule.sentence(evidence)) is not None][:MOST]
    sheet.add("n_recommendations", "number of recommendations", len(given), "count")
    for rank, (_, sentence) in enumerate(given, start=1):
        label = f"recommendation {rank}"
        sheet.add(of("recommendation", "rank", str(rank)), label, sentence, "sentence", headline=rank <= 3)
    for rank, (rule_id, _) in enumerate(given, start=1):
        sheet.add(of("rule", "rank", str(rank)), f"rule behind recommendation {rank}", rule_id, "label")
    return sheet.facts()


def _evidence(sales: Sales) -> Evidence:
    sales.tabulate(("revenue", "units", "rows"), "brand", "category", "month")
    tools = (
        market_share_of,
        time_series_of,
        regional_performance_of,
        profitability_of,
        brand_performance_of,
        roi_of,
        budget_plan_of,
    )
    return Evidence({fact.id: fact for tool in tools for fact in tool(sales)})


def _stop_decline(evidence: Evidence) -> str | None:
    name = evidence.name("brand_performance.fastest_declining")
    growth_id = f"brand_performance.growth_pct[brand={name}]"
    if name is None or not evidence.number(growth_id) <= -THRESHOLDS["growth_pct"]:
        return None
    return (
        f"Find out why brand {name} is losing sales ({evidence.text(growth_id)}) before spending more on it."
    )


def _back_growth(evidence: Evidence) -> str | None:
    name = evidence.name("budget_plan.fastest_growing")
    growth_id = f"budget_plan.growth_pct[category={name}]"
    if name is None or not evidence.number(growth_id) >= THRESHOLDS["growth_pct"]:
        return None
    return f"Back category {name}, which grows fastest ({evidence.text(growth_id)})."


def _repair_category(evidence: Evidence) -> str | None:
    name = evidence.name("budget_plan.slowest_growing")
    growth_id = f"budget_plan.growth_pct[category={name}]"
    if name is None or not evidence.number(growth_id) <= -THRESHOLDS["growth_pct"]:
        return None
    change = evidence.text(growth_id)
    return f"Review range and price of category {name}, which shrinks fastest ({change})."


def _repair_margin(evidence: Evidence) -> str | None:
    name = evidence.name("profitability.worst_margin_category")
    margin_id = f"profitability.margin_pct[category={name}]"
    if name is None or not evidence.number(margin_id) < THRESHOLDS["margin_pct"]:
        return None
    return f"Raise prices or cut costs in category {name}, whose margin is only {evidence.text(margin_id)}."


def _test_discounts(evidence: Evidence) -> str | None:
    name = evidence.name("profitability.deepest_discount_category")
    depth_id = f"profitability.discount_depth_pct[category={name}]"
    if name is None or not evidence.number(depth_id) > THRESHOLDS["discount_depth_pct"]:
        return None
    depth = evidence.text(depth_id)
    return f"Test smaller discounts in category {name}, where {depth} of the list price is given away."


def _prepare_season(evidence: Evidence) -> str | None:
    indexes = {
        f"{m:02d}": evidence.number(f"time_series.seasonal_index[month={m:02d}]") for m in range(1, 13)
    }
    month = highest(indexes)
    if month is None or indexes[month] < THRESHOLDS["seasonal_index"]:
        return None
    return (
        f"Plan the campaign ahead of month {month}, which sells {indexes[month]:.2f} times an average month."
    )


def _watch_concentration(evidence: Evidence) -> str | None:
    leader = evidence.name("market_share.leader")
    if evidence.name("market_share.hhi_band") != "high" or leader is None:
        return None
    share = evidence.text(f"market_share.revenue_share[brand={leader}]")
    return f"Reduce the dependence on brand {leader}, which holds {share} of revenue."


def _help_region(evidence: Evidence) -> str | None:
    name, noun = (
        evidence.name("regional_performance.slowest_growing"),
        evidence.name("regional_performance.dimension"),
    )
    if name is None or noun is None or noun.startswith("category"):
        return None
    column = "store_id" if noun == "store" else noun
    growth_id = f"regional_performance.growth_pct[{column}={name}]"
    if not evidence.number(growth_id) <= THRESHOLDS["region_growth_pct"]:
        return None
    return f"Look into {noun} {name}, which does worst of the large ones ({evidence.text(growth_id)})."


def _fund_top(evidence: Evidence) -> str | None:
    name = evidence.name("budget_plan.top_funded")
    amount = evidence.text(f"budget_plan.allocation[category={name}]")
    return f"Put the largest part of the budget, {amount}, into category {name}."


def _earn_back(evidence: Evidence) -> str | None:
    uplift, budget = evidence.text("roi.breakeven_uplift_pct"), evidence.text("roi.budget")
    if uplift == "not available":
        return f"Collect at least one full month of sales before judging the budget of {budget}."
    return f"Hold the campaign to an uplift of {uplift}, which earns the budget of {budget} back."


def _lead_with(evidence: Evidence) -> str | None:
    leader = evidence.name("market_share.leader")
    share = evidence.text(f"market_share.revenue_share[brand={leader}]")
    return f"Lead the campaign with brand {leader}, the largest with {share} of revenue."


RULES: Final = (
    Rule("stop_decline", _stop_decline),
    Rule("back_growth", _back_growth),
    Rule("repair_margin", _repair_margin),
    Rule("test_discounts", _test_discounts),
    Rule("prepare_season", _prepare_season),
    Rule("fund_top", _fund_top),
    Rule("earn_back", _earn_back),
    Rule("repair_category", _repair_category),
    Rule("help_region", _help_region),
    Rule("watch_concentration", _watch_concentration),
    Rule("lead_with", _lead_with),
)
"""Most urgent first."""
