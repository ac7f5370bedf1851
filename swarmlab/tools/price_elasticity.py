"""Price elasticity: how many percent fewer units a price that is one percent higher sells."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from swarmlab.tools.effects import MIN_CLUSTERS, Estimate, within_slope
from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.panel import (
    MIN_WEEKS,
    Panel,
    largest_categories,
    periods,
    regular_panel,
    varies_within,
)
from swarmlab.tools.ratios import NAN, lowest
from swarmlab.tools.scope import EVERYTHING, Scope
from swarmlab.tools.scoped import Scoped

TOOL = "price_elasticity"

ENOUGH_WEEKS: Final = 95.0
"""Percent. Of Poisson sales of three units a week one week in twenty is empty; with fewer the pull shows."""

NEEDS: Final = ("sale_date", "brand", "category", "units_sold", "total_revenue")


def price_elasticity(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Own-price elasticity of demand over all articles and in the largest categories, with its interval.

    The slope of log units on log price with fixed effects of the article (in its store) and of the week
    (Tellis, Journal of Marketing Research 25, 1988, pp. 331-341, on such estimates; `effects.within_slope`
    for the errors, clustered by article). Cells are an article (product, else brand and category), store and
    full week with a sale, of articles that sold in half the weeks; where they do so too seldom in single
    stores, the stores are added up. The price is revenue over units, what was really paid. With under five
    articles the effects are of article and quarter, and errors are clustered by week. It measures the
    demand's answer to changes of price, short ones included, if these do not follow demand themselves.
    Where sales of an article are few, weeks without any are unseen and pull the estimate and both ends of its
    interval towards zero: the finding says so when more than one week in twenty is empty, between an
    article's first sale and its last, and demand is then never called inelastic.

    Returns
    -------
    Facts `finding`, `elasticity`, `elasticity_low`, `elasticity_high`, `demand` ("elastic" if the interval
    is below -1, "inelastic" if it is above), `articles`, `cells`, `weeks_sold_pct` (of the weeks between an
    article's first sale and its last, those with a sale), `most_sensitive_category`, and
    `elasticity[category=]`, `elasticity_low[category=]`, `elasticity_high[category=]`. Not available where
    prices do not vary within an article.
    """
    scoped = Scoped(frame, scope, tool=TOOL, needs=NEEDS)
    sheet = FactSheet(TOOL, scoped.rows)
    panel = regular_panel(scoped)
    slope = _slope(panel)
    sold_pct = _weeks_sold_pct(panel)
    sheet.add("finding", "price elasticity is", _finding(panel, slope, sold_pct), "label", headline=True)
    value, low, high = shown(slope)
    sheet.add("elasticity", "price elasticity of demand", value, "index", headline=True)
    sheet.add("elasticity_low", "low end of the interval of the elasticity", low, "index", headline=True)
    sheet.add("elasticity_high", "high end of the interval of the elasticity", high, "index", headline=True)
    sheet.add("demand", "demand is", _demand(slope, sold_pct), "label")
    articles = int(panel.item.max(initial=-1)) + 1
    sheet.add("articles", "articles whose prices are compared", articles, "count")
    sheet.add("cells", "articles by week that are compared", panel.size, "count")
    sheet.add("weeks_sold_pct", "weeks of an article that have a sale", sold_pct, "%")
    _by_category(sheet, scoped, panel)
    return sheet.facts()


def shown(estimate: Estimate) -> tuple[float, float, float]:
    """Value, low and high end; NaN all three unless all are known."""
    return (estimate.value, estimate.low, estimate.high) if estimate.is_known else (NAN, NAN, NAN)


def _slope(panel: Panel) -> Estimate:
    price = np.log(panel.revenue / np.maximum(panel.units, 1.0))
    if not varies_within(price, panel.group):
        return Estimate(NAN, NAN, NAN, 0)
    period, cluster = periods(panel, MIN_CLUSTERS)
    return within_slope(np.log(panel.units), price, panel.group, period, cluster)


def _weeks_sold_pct(panel: Panel) -> float:
    """Of the weeks from an article's first sale to its last, those with one; NaN without any."""
    if panel.size == 0:
        return NAN
    weeks = pd.Series(panel.week).groupby(panel.group)
    return float(100 * panel.size / (weeks.max() - weeks.min() + 1).sum())


def _finding(panel: Panel, slope: Estimate, sold_pct: float) -> str:
    if slope.is_known and sold_pct < ENOUGH_WEEKS:
        return "estimated too near to zero, for articles sell in too few weeks"
    if slope.is_known:
        return "estimated from changes of price within articles"
    if panel.size == 0:
        return f"not identified: no article sold in half the full weeks, and in {MIN_WEEKS} at least"
    return "not identified: prices do not vary enough within an article"


def _demand(slope: Estimate, sold_pct: float) -> str | None:
    if not slope.is_known:
        return None
    if slope.high < -1:
        return "elastic"
    return (
        "inelastic" if slope.low > -1 and sold_pct >= ENOUGH_WEEKS else "near unit elasticity, or not clear"
    )


def _by_category(sheet: FactSheet, scoped: Scoped, panel: Panel) -> None:
    found = {}
    for name in largest_categories(scoped):
        part = panel.where(panel.category == name)
        found[name] = (*shown(_slope(part)), part.size)
    slopes = {name: values[0] for name, values in found.items()}
    label = "most price sensitive of the largest categories"
    sheet.add("most_sensitive_category", label, lowest(slopes), "name", headline=True)
    for name, (value, low, high, cells) in found.items():
        label = f"price elasticity of category {name}"
        sheet.add(of("elasticity", "category", name), label, value, "index", rows=cells)
        label = f"low end of the interval of the elasticity of category {name}"
        sheet.add(of("elasticity_low", "category", name), label, low, "index", rows=cells)
        label = f"high end of the interval of the elasticity of category {name}"
        sheet.add(of("elasticity_high", "category", name), label, high, "index", rows=cells)
