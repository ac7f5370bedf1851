"""Growth between the halves of the full months, and what counts as growing."""

from __future__ import annotations

from typing import Final

import numpy as np

from swarmlab.tools.ratios import NAN, change_pct, pct
from swarmlab.tools.sales import Floats, Sales

TREND_THRESHOLD_PCT: Final = 2.0
"""A change of at least this much either way is a trend; less is flat.

Months count alike, so the lengths of the halves of a year (181 and 184 days) alone make 1.7 %.
"""


def halves_by(sales: Sales, dimension: str, measure: str = "revenue") -> tuple[Floats, Floats] | None:
    """Sums of the first and of the last half of the full months by code of `dimension`, in ticks.

    Both halves have the same number of months. None with fewer than two full months.
    """
    halves = sales.halves
    if halves is None:
        return None
    cube = sales.sums(measure, dimension, "month")
    return cube[:, halves[0]].sum(axis=1), cube[:, halves[1]].sum(axis=1)


def growth_by(sales: Sales, dimension: str) -> Floats:
    """Revenue change in percent, last against first half of the full months; NaN where there is none."""
    halves = halves_by(sales, dimension)
    if halves is None:
        return np.full(sales.axis(dimension).size, NAN)
    return np.array([change_pct(before, after) for before, after in zip(*halves, strict=True)])


def share_change_by(sales: Sales, dimension: str) -> Floats:
    """Change of revenue share in percentage points, last against first half of the full months."""
    halves = halves_by(sales, dimension)
    if halves is None:
        return np.full(sales.axis(dimension).size, NAN)
    shares = [[pct(value, half.sum()) for value in half] for half in halves]
    return np.subtract(shares[1], shares[0], dtype=np.float64)


def direction(change: float | int | str) -> str | None:
    """Word for a change in percent: "growing", "flat" or "declining"; None for a change that is not known."""
    if isinstance(change, str):
        return None
    if change >= TREND_THRESHOLD_PCT:
        return "growing"
    return "declining" if change <= -TREND_THRESHOLD_PCT else "flat"
