"""ROI: what the budget has to bring in, and where a unit of currency has returned most."""

from __future__ import annotations

import pandas as pd

from swarmlab.tools.breakdown import Breakdown
from swarmlab.tools.facts import Fact, FactSheet, spelled
from swarmlab.tools.ratios import NAN, highest, lowest, pct, ratio
from swarmlab.tools.sales import DATED_COLUMNS, TICK, Floats, Sales
from swarmlab.tools.scope import EVERYTHING, Scope

TOOL = "roi"


def roi(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Break-even of the budget and return by category; the fact `basis` says what return means.

    The baseline is the mean full month times `forecast_periods`. The break-even uplift is the budget in
    percent of the baseline's profit where costs are known, of its revenue otherwise (Farris et al., Marketing
    Metrics, 2nd ed. 2010, ch. 10: return on marketing investment).

    - cost: gross ROI is profit / cost of the category.
    - discount: revenue earned for each unit of currency given away as discount.
    - revenue: with neither, the uplift that a category alone would need to earn the whole budget back.

    Returns
    -------
    Facts `basis`, `budget`, `baseline_revenue`, `breakeven_uplift_pct`,
    `best_return_category`, `worst_return_category`, and by category `gross_roi_pct[category=]`,
    `revenue_per_discount_unit[category=]` or `breakeven_uplift_pct[category=]`.
    """
    return roi_of(Sales(frame, scope, tool=TOOL, needs=DATED_COLUMNS))


def roi_of(sales: Sales) -> tuple[Fact, ...]:
    """Facts of `roi` from sales already cut to scope."""
    sheet = FactSheet(TOOL, sales.rows)
    sales.tabulate(("revenue",), "category", "month")
    budget, periods = sales.scope.budget, sales.scope.forecast_periods
    baseline = _baseline(sales, sales.sums("revenue", "month"))
    kept = 1.0
    basis = "revenue (no cost or discount in the data)"
    if sales.has_cost:
        revenue, cost = float(sales.sums("costed_revenue")), float(sales.sums("cost"))
        kept, basis = ratio(revenue - cost, revenue), "profit over cost"
    elif sales.has_discount:
        basis = "revenue for each unit of discount (no cost in the data)"
    what = "profit" if sales.has_cost else "revenue"
    sheet.add("basis", "return is judged by", basis, "label")
    sheet.add("budget", "marketing budget", budget, "$ exact")
    label = f"expected revenue of {spelled(periods)} average month{'s' if periods > 1 else ''}"
    sheet.add("baseline_revenue", label, baseline, "$", headline=True)
    uplift = pct(budget, baseline * kept)
    label = f"{what} uplift needed to earn the budget back"
    sheet.add("breakeven_uplift_pct", label, uplift, "%", headline=True)
    _by_category(sheet, sales)
    return sheet.facts()


def _by_category(sheet: FactSheet, sales: Sales) -> None:
    categories = Breakdown(sheet, sales, "category")
    if sales.has_cost:
        revenue, cost = sales.sums("costed_revenue", "category"), sales.sums("cost", "category")
        returns = [pct(r - c, c) for r, c in zip(revenue, cost, strict=True)]
        metric, label, unit = "gross_roi_pct", "profit in percent of cost of {}", "%"
    elif sales.has_discount:
        revenue, given = sales.sums("revenue", "category"), sales.sums("discount", "category")
        returns = [ratio(r, d) for r, d in zip(revenue, given, strict=True)]
        metric, label, unit = "revenue_per_discount_unit", "revenue per dollar of discount of {}", "$/unit"
    else:
        monthly = sales.sums("revenue", "category", "month")
        budget = sales.scope.budget
        returns = [pct(budget, _baseline(sales, row)) for row in monthly]
        metric, label, unit = (
            "breakeven_uplift_pct",
            "uplift that {} alone needs to earn the budget back",
            "%",
        )
    named = categories.named(returns)
    best, worst = highest(named), lowest(named)
    if metric == "breakeven_uplift_pct":
        best, worst = worst, best
    among = categories.circle
    categories.choose("best_return_category", f"best return of {among}", best, headline=True)
    categories.choose("worst_return_category", f"worst return of {among}", worst, headline=True)
    categories.add(metric, label, returns, unit)


def _baseline(sales: Sales, monthly: Floats) -> float:
    """Mean full month times the months ahead, in currency; NaN without a full month."""
    return float(monthly.sum()) / TICK / len(monthly) * sales.scope.forecast_periods if len(monthly) else NAN
