"""RFM: households by recency, frequency and monetary value, in segments that a campaign can address."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swarmlab.errors import ToolError
from swarmlab.tools.axis import Codes
from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.ratios import pct, ratio
from swarmlab.tools.sales import TICK, Floats
from swarmlab.tools.scope import EVERYTHING, Scope
from swarmlab.tools.scoped import Scoped, known_names

TOOL = "rfm"

NEEDS: Final = ("sale_date", "units_sold", "total_revenue", "household_id")

ANY: Final = (1, 5)

RULES: Final[tuple[tuple[str, tuple[int, int], tuple[int, int], tuple[int, int]], ...]] = (
    ("champions", (4, 5), (4, 5), (4, 5)),
    ("loyal", (3, 5), (3, 5), ANY),
    ("new", (4, 5), ANY, ANY),
    ("at risk", (1, 2), (3, 5), ANY),
    ("at risk", (1, 2), ANY, (4, 5)),
    ("lost", (1, 2), ANY, ANY),
    ("occasional", ANY, ANY, ANY),
)
"""Segment, and the scores of recency, frequency and monetary value it takes; the first rule met holds."""

SEGMENTS: Final = tuple(dict.fromkeys(rule[0] for rule in RULES))


def rfm(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Recency, frequency and monetary value of households over the whole of the data.

    Recency is the days from the last purchase to the last day of the data, frequency the number of purchases
    (baskets where basket_id tells them apart, else days with a purchase), monetary value the revenue. Each is
    scored in fifths, 5 best: one plus the whole fifths of households that do worse, so that equal households
    score alike (Hughes, Strategic Database Marketing, 1994, ch. 6; there with ties broken). Segments follow
    `RULES`, under the usual names. Sales without a household are left out.

    Returns
    -------
    Facts `n_households`, `median_recency_days`, `median_frequency`, `median_revenue`, `top_fifth_pct`
    (revenue share of the fifth of households with the most), and by segment `households[segment=]`,
    `households_pct[segment=]`, `revenue_pct[segment=]`, `revenue_per_household[segment=]`, with
    `largest_segment` by revenue.
    """
    scoped = Scoped(frame, scope, tool=TOOL, needs=NEEDS)
    sheet = FactSheet(TOOL, scoped.rows)
    recency, frequency, revenue = _measures(scoped)
    n = len(revenue)
    sheet.add("n_households", "households that bought", n, "count", headline=True)
    sheet.add(
        "median_recency_days", "median days since the last purchase", float(np.median(recency)), "count"
    )
    sheet.add("median_frequency", "median number of purchases", float(np.median(frequency)), "count")
    sheet.add("median_revenue", "median revenue of a household", float(np.median(revenue)) / TICK, "$")
    top = np.sort(revenue)[n - max(n // 5, 1) :].sum()
    label = "revenue share of the fifth of households with the most"
    sheet.add("top_fifth_pct", label, pct(top, revenue.sum()), "%", headline=True)
    segment = _segments(scores(-recency), scores(frequency), scores(revenue))
    _add_segments(sheet, segment, revenue)
    return sheet.facts()


def scores(values: Floats) -> Codes:
    """Score of each value, 1 to 5: one plus the whole fifths of values below it."""
    below = np.searchsorted(np.sort(values), values, side="left")
    score: Codes = 1 + 5 * below // len(values)
    return score


def _measures(scoped: Scoped) -> tuple[Floats, Floats, Floats]:
    """Recency in days, number of purchases and revenue in ticks, by household."""
    axis, known = known_names(scoped, "household_id")
    revenue = scoped.ticks("total_revenue")
    bought = known & ((revenue > 0) | (scoped.ticks("units_sold") > 0))
    if not bought.any():
        raise ToolError(TOOL, "no household bought anything in scope")
    household = np.unique(axis.codes[bought], return_inverse=True)[1]
    last = np.zeros(household.max() + 1)
    np.maximum.at(last, household, (scoped.day[bought] - scoped.first).astype(np.float64))
    if "basket_id" in scoped.columns:
        purchase = scoped.axis("basket_id").codes[bought]
    else:
        purchase = scoped.day[bought] - scoped.first
    return (
        scoped.days - 1 - last,
        _distinct(household, purchase),
        np.bincount(household, weights=revenue[bought]).astype(np.float64),
    )


def _distinct(owner: Codes, thing: Codes) -> Floats:
    """Number of different things by owner."""
    pairs = np.unique(owner * (int(thing.max()) + 1) + thing)
    return np.bincount(pairs // (int(thing.max()) + 1)).astype(np.float64)


def _segments(*scored: Codes) -> NDArray[np.str_]:
    met = [
        np.logical_and.reduce(
            [(low <= s) & (s <= high) for s, (low, high) in zip(scored, bounds, strict=True)]
        )
        for _, *bounds in RULES
    ]
    return np.select(met, [name for name, *_ in RULES], default=SEGMENTS[-1])


def _add_segments(sheet: FactSheet, segment: NDArray[np.str_], revenue: Floats) -> None:
    by_name = {name: segment == name for name in SEGMENTS}
    size = {name: int(members.sum()) for name, members in by_name.items()}
    sums = {name: float(revenue[members].sum()) for name, members in by_name.items()}
    richest = min(SEGMENTS, key=lambda name: (-sums[name], name))
    sheet.add("largest_segment", "segment with the most revenue", richest, "name", headline=True)
    for name in SEGMENTS:
        told = name in ("champions", "at risk")
        sheet.add(of("households", "segment", name), f"households in segment {name}", size[name], "count")
        share = pct(size[name], len(revenue))
        sheet.add(of("households_pct", "segment", name), f"share of households in segment {name}", share, "%")
        share = pct(sums[name], revenue.sum())
        label = f"revenue share of segment {name}"
        sheet.add(of("revenue_pct", "segment", name), label, share, "%", headline=told)
        mean = ratio(sums[name], size[name]) / TICK
        label = f"revenue per household of segment {name}"
        sheet.add(of("revenue_per_household", "segment", name), label, mean, "$")
