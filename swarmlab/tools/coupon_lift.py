"""Coupon lift: what a household spends in a basket with a coupon, against its own baskets without."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swarmlab.tools.axis import Codes
from swarmlab.tools.effects import poisson_ratio
from swarmlab.tools.facts import Fact, FactSheet
from swarmlab.tools.promotion_lift import add_lift, finding
from swarmlab.tools.proportions import add_proportion
from swarmlab.tools.ratios import NAN, pct, ratio
from swarmlab.tools.sales import TICK, Floats
from swarmlab.tools.scope import EVERYTHING, Scope
from swarmlab.tools.scoped import Scoped, known_names

TOOL = "coupon_lift"

NEEDS: Final = ("sale_date", "units_sold", "total_revenue", "household_id", "coupon_value")


def coupon_lift(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """How often coupons are used, and how much larger a basket with one is, with its interval.

    A basket is what basket_id tells apart, else what a household buys on a day; it has a coupon if some row's
    coupon_value is above zero. The lift is the revenue of baskets with a coupon over the same household's
    baskets without, less one, by the conditional Poisson ratio of means (`effects.poisson_ratio`), so that
    households that use coupons and buy much anyway do not make it. The interval is robust to clusters by
    household. A household may still take coupons along when it plans a large purchase: read it as what goes
    with coupons, at most what comes of them (Neslin, Marketing Science 9, 1990, pp. 125-145, on the share
    that is incremental). Sales without a household are left out.

    Returns
    -------
    Facts `finding`, `basket_lift_pct` with `basket_lift_low_pct` and `basket_lift_high_pct`, `baskets`,
    `coupon_baskets_pct` with its interval, `coupon_households_pct`, `coupon_value`, `coupon_value_pct` (of
    the revenue of baskets with one), `basket_value_with`, `basket_value_without`, and
    `revenue_per_coupon_unit` (the lift's revenue for each unit of currency of coupons). The lift is not
    available where no household bought both with and without a coupon, or under five did.
    """
    scoped = Scoped(frame, scope, tool=TOOL, needs=NEEDS)
    sheet = FactSheet(TOOL, scoped.rows)
    household, value, coupon = _baskets(scoped)
    used = coupon > 0
    lift = poisson_ratio(value, used, household, household)
    sheet.add("finding", "baskets with a coupon against those without", finding(lift), "label", headline=True)
    add_lift(sheet, "basket_lift", "lift of the basket's revenue with a coupon", lift)
    sheet.add("baskets", "baskets", len(value), "count")
    add_proportion(sheet, "coupon_baskets", "share of baskets with a coupon", float(used.sum()), len(value))
    users = pct(len(np.unique(household[used])), len(np.unique(household)))
    sheet.add("coupon_households_pct", "share of households that used a coupon", users, "%", headline=True)
    sheet.add("coupon_value", "paid by coupons", coupon.sum() / TICK, "$")
    with_coupon = float(value[used].sum())
    share = pct(coupon.sum(), with_coupon)
    sheet.add("coupon_value_pct", "coupons as a share of the revenue of their baskets", share, "%")
    mean = ratio(with_coupon, used.sum()) / TICK
    sheet.add("basket_value_with", "mean revenue of baskets with a coupon", mean, "$ exact")
    mean = ratio(value[~used].sum(), (~used).sum()) / TICK
    sheet.add("basket_value_without", "mean revenue of baskets without a coupon", mean, "$ exact")
    added = with_coupon * (1 - np.exp(-lift.value)) if lift.is_known else NAN
    label = "revenue that goes with each dollar of coupons"
    sheet.add("revenue_per_coupon_unit", label, ratio(added, coupon.sum()), "$/unit")
    return sheet.facts()


def _baskets(scoped: Scoped) -> tuple[Codes, Floats, Floats]:
    """Household, revenue and coupons (both in ticks) of each basket."""
    axis, known = known_names(scoped, "household_id")
    household = axis.codes[known]
    basket = _basket_of(scoped)[known]
    found, code = np.unique(household * (int(basket.max()) + 1) + basket, return_inverse=True)
    owners: Codes = found // (int(basket.max()) + 1)
    sums = [
        np.bincount(code, weights=scoped.ticks(name)[known]).astype(np.float64)
        for name in ("total_revenue", "coupon_value")
    ]
    dense: Codes = np.unique(owners, return_inverse=True)[1]
    # A basket that was returned in full is no purchase.
    bought: NDArray[np.bool_] = sums[0] >= 0
    return dense[bought], sums[0][bought], sums[1][bought]


def _basket_of(scoped: Scoped) -> Codes:
    if "basket_id" in scoped.columns:
        return scoped.axis("basket_id").codes
    day: Codes = scoped.day - scoped.first
    return day
