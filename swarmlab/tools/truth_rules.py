"""Words and recommendation rules restated over true values, apart from the tools' own code."""

from __future__ import annotations

from collections.abc import Mapping

Value = float | int | str


def derived_facts(facts: Mapping[str, Value]) -> dict[str, Value]:
    """Facts that are words for, or rules over, other facts."""
    change, hhi = facts["time_series.half_change_pct"], facts["market_share.hhi"]
    derived: dict[str, Value] = {
        "time_series.trend": "not available",
        "market_share.hhi_band": "not available",
    }
    if not isinstance(change, str):
        derived["time_series.trend"] = "growing" if change >= 2 else "declining" if change <= -2 else "flat"
    if not isinstance(hhi, str):
        derived["market_share.hhi_band"] = "low" if hhi < 1500 else "moderate" if hhi <= 2500 else "high"
    rules = _rules({**facts, **derived})[:6]
    derived["recommendations.n_recommendations"] = len(rules)
    derived |= {f"recommendations.rule[rank={rank}]": rule for rank, rule in enumerate(rules, start=1)}
    return derived


def _rules(facts: Mapping[str, Value]) -> list[str]:
    """Ids of the recommendation rules that apply, most urgent first, restated over the true values."""

    def about(chooser: str, metric: str, column: str) -> float | None:
        value = facts.get(f"{metric}[{column}={facts.get(chooser)}]")
        return None if value is None or isinstance(value, str) else value

    declining = about("brand_performance.fastest_declining", "brand_performance.growth_pct", "brand")
    growing = about("budget_plan.fastest_growing", "budget_plan.growth_pct", "category")
    shrinking = about("budget_plan.slowest_growing", "budget_plan.growth_pct", "category")
    margin = about("profitability.worst_margin_category", "profitability.margin_pct", "category")
    depth = about("profitability.deepest_discount_category", "profitability.discount_depth_pct", "category")
    indexes = [value for name, value in facts.items() if name.startswith("time_series.seasonal_index")]
    peak = max((value for value in indexes if not isinstance(value, str)), default=None)
    region = None
    for column in ("region", "country", "store_id"):
        found = about("regional_performance.slowest_growing", "regional_performance.growth_pct", column)
        region = found if region is None else region
    applies = {
        "stop_decline": declining is not None and declining <= -5,
        "back_growth": growing is not None and growing >= 5,
        "repair_margin": margin is not None and margin < 20,
        "test_discounts": depth is not None and depth > 15,
        "prepare_season": peak is not None and peak >= 1.1,
        "fund_top": True,
        "earn_back": True,
        "repair_category": shrinking is not None and shrinking <= -5,
        "help_region": region is not None and region <= -2,
        "watch_concentration": facts["market_share.hhi_band"] == "high",
        "lead_with": True,
    }
    return [rule for rule, is_met in applies.items() if is_met]
