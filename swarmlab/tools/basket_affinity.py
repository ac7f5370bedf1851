"""Basket affinity: what is bought together more often than chance would have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, triu
from scipy.stats import norm

from swarmlab.tools.axis import Codes
from swarmlab.tools.effects import LEVEL
from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.proportions import wilson_pct
from swarmlab.tools.ratios import pct, ratio
from swarmlab.tools.sales import TOP_N, Floats
from swarmlab.tools.scope import EVERYTHING, Scope
from swarmlab.tools.scoped import Scoped, known_names

TOOL = "basket_affinity"

NEEDS: Final = ("sale_date", "category", "units_sold", "total_revenue", "basket_id")

MIN_BASKETS: Final = 20
MIN_SUPPORT_PCT: Final = 0.1
"""A pair is looked at if it is in so many baskets, and in that part of all."""

MAX_ITEMS: Final = 500
"""Items that are in most baskets; pairs of others are not looked at."""


@dataclass(frozen=True)
class Pair:
    """Two items, the first the rarer, and in how many baskets each and both are."""

    first: str
    second: str
    both: int
    with_first: int
    with_second: int
    baskets: int

    @property
    def name(self) -> str:
        """As the pair is called in a fact."""
        return f"{self.first} + {self.second}"

    @property
    def lift(self) -> float:
        """How many times as often as by chance."""
        return self.both * self.baskets / (self.with_first * self.with_second)

    @property
    def lift_interval(self) -> tuple[float, float]:
        """95 % interval of the lift, by the delta method on its logarithm for multinomial counts."""
        n, lift = self.baskets, self.lift
        variance = n / self.both - n / self.with_first - n / self.with_second + 2 * lift - 1
        half = float(norm.ppf((1 + LEVEL) / 2)) * np.sqrt(max(variance, 0.0) / n)
        return lift * float(np.exp(-half)), lift * float(np.exp(half))


def basket_affinity(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Pairs of items that share baskets: support, confidence and lift, with intervals.

    Items are products where the data name them, else categories; an item is in a basket if any of it was
    bought there. Support is the share of all baskets with both, confidence the share with both among those
    with the first, lift the confidence over the second's share of all baskets: 1 is chance (Agrawal,
    Imielinski & Swami, SIGMOD 1993; Brin et al., SIGMOD 1997, for the lift, there "interest"). Of each pair
    that direction is told whose confidence is higher. Only pairs in twenty baskets or more, and in 0.1 % of
    all, take part; they are ranked by the low end of the lift's 95 % interval, so that a rare pair does not
    win by luck. The confidence has Wilson's interval. Baskets of one household are taken as independent.

    Returns
    -------
    Facts `items` (what counts as an item), `baskets`, `items_per_basket`, `pairs_considered`,
    `strongest_pair`, and of the ten strongest `lift[pair=]`, `lift_low[pair=]`, `lift_high[pair=]`,
    `support_pct[pair=]`, `confidence_pct[pair=]`, `confidence_low_pct[pair=]`, `confidence_high_pct[pair=]`.
    Where no pair is in enough baskets, `strongest_pair` is not available.
    """
    scoped = Scoped(frame, scope, tool=TOOL, needs=NEEDS)
    sheet = FactSheet(TOOL, scoped.rows)
    column = "product" if "product" in scoped.columns else "category"
    baskets, names = _incidence(scoped, column)
    n = baskets.shape[0]
    pairs = _pairs(baskets, names)
    # Those that go together less often than by chance are no affinity.
    strong = sorted(
        (pair for pair in pairs if pair.lift > 1), key=lambda p: (-round(p.lift_interval[0], 9), p.name)
    )
    sheet.add("items", "items are", "products" if column == "product" else "categories", "label")
    sheet.add("baskets", "baskets", n, "count", headline=True)
    sheet.add("items_per_basket", "different items in a basket", ratio(baskets.sum(), n), "per row")
    sheet.add("pairs_considered", "pairs found in enough baskets", len(pairs), "count")
    first = strong[0].name if strong else None
    sheet.add("strongest_pair", "pair bought together most beyond chance", first, "name", headline=True)
    for rank, pair in enumerate(strong[:TOP_N]):
        _add_pair(sheet, pair, headline=rank == 0)
    return sheet.facts()


def _incidence(scoped: Scoped, column: str) -> tuple[csr_array, tuple[str, ...]]:
    """Which items are in which baskets, as ones (shape: baskets x items); the most frequent items only."""
    basket, known = known_names(scoped, "basket_id")
    item = scoped.axis(column)
    bought = (scoped.ticks("units_sold") > 0) | (scoped.ticks("total_revenue") > 0)
    kept = known & scoped.known(column) & bought
    owner: Codes = np.unique(basket.codes[kept], return_inverse=True)[1]
    cells = np.unique(owner * item.size + item.codes[kept])
    rows, columns = np.divmod(cells, item.size)
    counts = np.bincount(columns, minlength=item.size)
    order = sorted(range(item.size), key=lambda code: (-counts[code], item.names[code]))[:MAX_ITEMS]
    shape = (int(rows.max(initial=-1)) + 1, item.size)
    whole = csr_array((np.ones(len(cells), dtype=np.int64), (rows, columns)), shape=shape)
    chosen = sorted(order)
    return whole[:, chosen], tuple(item.names[code] for code in chosen)


def _pairs(baskets: csr_array, names: tuple[str, ...]) -> list[Pair]:
    n = baskets.shape[0]
    together = triu(baskets.T @ baskets, k=1).tocoo()
    counts: Floats = np.asarray(baskets.sum(axis=0)).ravel()
    least = max(MIN_BASKETS, MIN_SUPPORT_PCT / 100 * n)
    pairs = []
    for a, b, both in zip(together.row, together.col, together.data, strict=True):
        if both >= least:
            # The rarer of the two predicts the other better.
            first, second = sorted((int(a), int(b)), key=lambda code: (counts[code], names[code]))
            pairs.append(
                Pair(names[first], names[second], int(both), int(counts[first]), int(counts[second]), n)
            )
    return pairs


def _add_pair(sheet: FactSheet, pair: Pair, *, headline: bool) -> None:
    low, high = pair.lift_interval
    told = f"{pair.first} with {pair.second}"
    confidence, support = pct(pair.both, pair.with_first), pct(pair.both, pair.baskets)
    ends = wilson_pct(pair.both, pair.with_first)
    for metric, label, value, unit in (
        ("lift", f"lift of {told} over chance", pair.lift, "ratio"),
        ("lift_low", f"low end of the interval of the lift of {told}", low, "ratio"),
        ("lift_high", f"high end of the interval of the lift of {told}", high, "ratio"),
        ("support_pct", f"share of baskets with {pair.first} and {pair.second}", support, "%"),
        ("confidence_pct", f"share of baskets with {pair.first} that have {pair.second}", confidence, "%"),
        ("confidence_low_pct", f"low end of the interval of the confidence of {told}", ends[0], "%"),
        ("confidence_high_pct", f"high end of the interval of the confidence of {told}", ends[1], "%"),
    ):
        shown = headline and metric in ("lift", "confidence_pct")
        sheet.add(of(metric, "pair", pair.name), label, value, unit, rows=pair.both, headline=shown)
