"""Customer churn: how many households stop buying, how much of the revenue they were, and who comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swarmlab.errors import ToolError
from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.proportions import add_proportion
from swarmlab.tools.ratios import NAN, pct
from swarmlab.tools.sales import Floats
from swarmlab.tools.scope import EVERYTHING, Scope
from swarmlab.tools.scoped import Scoped, day_name, known_names

TOOL = "customer_churn"

NEEDS: Final = ("sale_date", "units_sold", "total_revenue", "household_id")

WINDOW_DAYS: Final = 56
"""Length of a window: eight whole weeks, so that each weekday weighs alike."""

SHORTEST_WINDOW: Final = 7
"""Under two windows of so many days the data cannot show churn."""


@dataclass(frozen=True)
class Windows:
    """Who bought in each window, latest first, and for how much in ticks (shape: windows x households)."""

    length: int
    starts: tuple[int, ...]
    bought: NDArray[np.bool_]
    revenue: Floats


def customer_churn(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Churn of households (or customers, cards: what household_id tells apart), with its interval.

    Time is cut into windows of eight weeks back from the last day of the data (of half the data where they
    are shorter than sixteen); days before the first whole window count for nothing. A household is at risk if
    it bought in the window before the last, and churned if it then bought nothing in the last one; the churn
    rate is the second over the first, retention the rest (Farris et al., Marketing Metrics, 2nd ed. 2010,
    ch. 5, retention rate). Revenue churn is the share of the earlier window's revenue that the churned
    brought. The interval is Wilson's, 95 % (JASA 22, 1927, pp. 209-212). Earlier windows are told as well:
    they show how much the rate varies by itself. Sales without a household are left out.

    Returns
    -------
    Facts `n_households`, `window_days`, `households_at_risk`, `churned_households`, `churn_pct` with
    `churn_low_pct` and `churn_high_pct`, `revenue_churn_pct`, `joined_households` (bought in the last window
    and not in the one before), `inactive_households` and `inactive_pct` (of all, those without a purchase in
    the last window), `previous_churn_pct`, `churn_change_points` and `churn_pct[from=]` by first day of the
    later window. With under fourteen days the rates are not available.
    """
    scoped = Scoped(frame, scope, tool=TOOL, needs=NEEDS)
    sheet = FactSheet(TOOL, scoped.rows)
    windows = _windows(scoped)
    n_households = windows.bought.shape[1]
    sheet.add("n_households", "households that bought", n_households, "count", headline=True)
    sheet.add("window_days", "days of a window", windows.length or None, "count")
    latest = _churned(windows, 0)
    at_risk, churned = int(latest[0].sum()), int(latest[1].sum())
    known = len(windows.starts) > 1
    sheet.add(
        "households_at_risk", "households that bought in the window before", _if(known, at_risk), "count"
    )
    sheet.add("churned_households", "of these, households that stopped", _if(known, churned), "count")
    add_proportion(sheet, "churn", "household churn", churned, at_risk)
    _add_revenue(sheet, windows, latest[1])
    _add_inactive(sheet, windows, known)
    _add_earlier(sheet, windows)
    return sheet.facts()


def _windows(scoped: Scoped) -> Windows:
    axis, known = known_names(scoped, "household_id")
    revenue = scoped.ticks("total_revenue")
    bought = known & ((revenue > 0) | (scoped.ticks("units_sold") > 0))
    if not bought.any():
        raise ToolError(TOOL, "no household bought anything in scope")
    present, household = np.unique(axis.codes[bought], return_inverse=True)
    length = min(WINDOW_DAYS, scoped.days // 2)
    n_windows = scoped.days // length if length >= SHORTEST_WINDOW else 0
    shape = (n_windows, len(present))
    window = (scoped.last - scoped.day[bought]) // max(length, 1)
    inside = window < n_windows
    cell = window[inside] * len(present) + household[inside]
    size = shape[0] * shape[1]
    return Windows(
        length=length if n_windows else 0,
        starts=tuple(scoped.last + 1 - length * (i + 1) for i in range(n_windows)),
        bought=(np.bincount(cell, minlength=size) > 0).reshape(shape),
        revenue=np.bincount(cell, weights=revenue[bought][inside], minlength=size)
        .astype(np.float64)
        .reshape(shape),
    )


def _churned(windows: Windows, later: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Who was at risk before window `later`, and who of them did not buy in it."""
    if later + 1 >= len(windows.starts):
        nobody = np.zeros(windows.bought.shape[1], dtype=bool)
        return nobody, nobody
    before = windows.bought[later + 1]
    return before, before & ~windows.bought[later]


def _add_revenue(sheet: FactSheet, windows: Windows, churned: NDArray[np.bool_]) -> None:
    share = NAN
    if len(windows.starts) > 1:
        before = windows.revenue[1]
        share = pct(before[churned].sum(), before.sum())
    label = "share of the earlier revenue that the churned brought"
    sheet.add("revenue_churn_pct", label, share, "%", headline=True)


def _add_inactive(sheet: FactSheet, windows: Windows, known: bool) -> None:
    joined = inactive = 0
    n_households = windows.bought.shape[1]
    if known:
        joined = int((windows.bought[0] & ~windows.bought[1]).sum())
        inactive = int((~windows.bought[0]).sum())
    label = "households that bought again or anew in the last window"
    sheet.add("joined_households", label, _if(known, joined), "count")
    label = "households without a purchase in the last window"
    sheet.add("inactive_households", label, _if(known, inactive), "count", headline=True)
    sheet.add("inactive_pct", "share of all households inactive", pct(inactive, n_households * known), "%")


def _add_earlier(sheet: FactSheet, windows: Windows) -> None:
    rates = []
    for later in range(len(windows.starts) - 1):
        before, churned = _churned(windows, later)
        rates.append(pct(churned.sum(), before.sum()))
    previous = rates[1] if len(rates) > 1 else NAN
    sheet.add("previous_churn_pct", "household churn a window earlier", previous, "%")
    change = rates[0] - previous if rates else NAN
    sheet.add("churn_change_points", "change of household churn on the window before", change, "points")
    for start, rate in zip(windows.starts, rates, strict=False):
        name = day_name(start)
        sheet.add(of("churn_pct", "from", name), f"household churn in the window from {name}", rate, "%")


def _if(known: bool, value: int) -> int | None:
    return value if known else None
