"""Promotion lift: how much more is sold of an article on promotion than of the same one without."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from swarmlab.tools.effects import Estimate, poisson_ratio
from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.panel import Panel, largest_categories, weekly_panel
from swarmlab.tools.ratios import NAN, highest, pct
from swarmlab.tools.sales import TICK
from swarmlab.tools.scope import EVERYTHING, Scope
from swarmlab.tools.scoped import Scoped

TOOL = "promotion_lift"

NEEDS: Final = ("sale_date", "brand", "category", "units_sold", "total_revenue", "on_promotion")


def promotion_lift(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Lift of promotions (display, mailer: what `on_promotion` marks), in percent, with its interval.

    Lift is the sales of an article in weeks on promotion over its sales in weeks without, less one (Blattberg
    & Neslin, Sales Promotion, 1990, ch. 7: incremental over baseline sales). Cells are an article (product,
    else brand and category), store and full week, and are compared within an article, store and quarter of a
    year, net of what the week did to all; a cell without a sale counts as zero where the data have a row for
    it. The estimate is the Poisson ratio of means with fixed effects (`effects.poisson_ratio`): sums over
    sums, so that a large article weighs as much as it sells. The 95 % interval is robust to clusters by
    article. What is bought ahead, or taken from other articles, is in it: it is no gain of the market.

    Returns
    -------
    Facts `finding`, `unit_lift_pct`, `revenue_lift_pct`, each with `..._low_pct` and `..._high_pct`,
    `promoted_units_pct` (share of units sold on promotion), `incremental_units` (those that the lift adds to
    the promoted cells), `cells`, `best_category` and `lift_pct[category=]`, `lift_low_pct[category=]`,
    `lift_high_pct[category=]` of the ten largest categories. Not available where no article was sold both
    with and without a promotion in one quarter, or under five articles.
    """
    scoped = Scoped(frame, scope, tool=TOOL, needs=NEEDS)
    sheet = FactSheet(TOOL, scoped.rows)
    panel = weekly_panel(scoped)
    units, revenue = _lift(panel, "units"), _lift(panel, "revenue")
    sheet.add("finding", "effect of promotions", finding(units), "label", headline=True)
    add_lift(sheet, "unit_lift", "lift of units on promotion", units)
    add_lift(sheet, "revenue_lift", "lift of revenue on promotion", revenue, headline=False)
    on = panel.is_promoted
    share = pct(panel.units[on].sum(), panel.units.sum())
    sheet.add("promoted_units_pct", "share of units sold on promotion", share, "%", headline=True)
    added = panel.units[on].sum() / TICK * (1 - np.exp(-units.value)) if units.is_known else NAN
    sheet.add("incremental_units", "units that promotions added", added, "count")
    sheet.add("cells", "articles by store and week", panel.size, "count")
    _by_category(sheet, scoped, panel)
    return sheet.facts()


def finding(effect: Estimate) -> str:
    """Word for an effect: its interval is above zero, below, across, or there is none."""
    if not effect.is_known:
        return "not identified by these data"
    if effect.low > 0:
        return "sales are higher"
    return "sales are lower" if effect.high < 0 else "no effect shown"


def add_lift(sheet: FactSheet, metric: str, label: str, effect: Estimate, *, headline: bool = True) -> None:
    """Add a logarithmic effect as facts in percent, with the ends of its interval."""
    value, low, high = _percent(effect)
    sheet.add(f"{metric}_pct", label, value, "% change", headline=headline)
    sheet.add(f"{metric}_low_pct", f"low end of the interval of {label}", low, "% change")
    sheet.add(f"{metric}_high_pct", f"high end of the interval of {label}", high, "% change")


def _percent(effect: Estimate) -> tuple[float, float, float]:
    if not effect.is_known:
        return NAN, NAN, NAN
    low, value, high = (100 * float(np.expm1(x)) for x in (effect.low, effect.value, effect.high))
    return value, low, high


def _lift(panel: Panel, measure: str) -> Estimate:
    counts = getattr(panel, measure)
    return poisson_ratio(counts, panel.is_promoted, panel.quarter, panel.item, panel.week)


def _by_category(sheet: FactSheet, scoped: Scoped, panel: Panel) -> None:
    effects = {}
    for name in largest_categories(scoped):
        part = panel.where(panel.category == name)
        effects[name] = (*_percent(_lift(part, "units")), part.size)
    lifts = {name: values[0] for name, values in effects.items()}
    label = "highest lift of the largest categories"
    sheet.add("best_category", label, highest(lifts), "name", headline=True)
    for name, (lift, low, high, cells) in effects.items():
        label = f"lift of units on promotion in category {name}"
        sheet.add(of("lift_pct", "category", name), label, lift, "% change", rows=cells)
        label = f"low end of the interval of lift in category {name}"
        sheet.add(of("lift_low_pct", "category", name), label, low, "% change", rows=cells)
        label = f"high end of the interval of lift in category {name}"
        sheet.add(of("lift_high_pct", "category", name), label, high, "% change", rows=cells)
