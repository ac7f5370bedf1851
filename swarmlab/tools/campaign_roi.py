"""Campaign ROI: what campaigns added to the revenue of the households they were sent to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.regression.linear_model import OLS

from swarmlab.tools.axis import Codes
from swarmlab.tools.effects import UNKNOWN_ESTIMATE, Estimate, interval
from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.promotion_lift import finding
from swarmlab.tools.ratios import NAN, highest, pct
from swarmlab.tools.sales import TICK, TOP_N, Floats
from swarmlab.tools.scope import EVERYTHING, Scope
from swarmlab.tools.scoped import Scoped, known_names

TOOL = "campaign_roi"

NEEDS: Final = (
    *("sale_date", "total_revenue", "household_id"),
    *("campaign_target", "campaign_active"),
)

MIN_SIDE: Final = 5
"""Targeted and other households that a campaign must have, each, to be compared."""

BASIS: Final = "break-even (the data have no cost of campaigns)"


@dataclass(frozen=True)
class Households:
    """One row a campaign and household: revenue a date in ticks, in the two halves before and during."""

    campaign: Codes
    household: Codes
    target: NDArray[np.bool_]
    early: Floats
    late: Floats
    during: Floats
    names: tuple[str, ...]
    dates: Floats
    """Dates of the data during each campaign."""

    @property
    def before(self) -> Floats:
        """Mean of the two halves before the campaign."""
        return (self.early + self.late) / 2


def campaign_roi(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Revenue that campaigns added, by difference in differences, and what they may have cost at most.

    For each household the change of its revenue a date (a day, or the week of weekly data), from before the
    campaign to the time it ran; the effect is the mean change of targeted households less that of the others.
    So a targeted household's larger purchases do not count, only what changed; it rests on both having
    developed alike without the campaign (Angrist & Pischke, Mostly Harmless Econometrics, 2009, ch. 5). The
    check on that: the same difference between the two halves of the time before, where it should be none.
    Several campaigns are stacked, each with its own effect (Cengiz et al., Quarterly Journal of Economics
    134, 2019, pp. 1405-1454), and the added revenue is the sum of effect x targeted households x dates. The
    95 % intervals are robust to clusters by household. Rows after a campaign do not count.

    No campaign has a cost in the data: its return cannot be known, but the added revenue is what it may
    have cost at most to break even, before the cost of the goods.

    Returns
    -------
    Facts `basis`, `finding`, `added_revenue` with `added_revenue_low` and `added_revenue_high`,
    `breakeven_cost_per_household` (added revenue, if any, per targeted household and campaign), `uplift_pct`
    (of what the targeted would have spent), `trend_gap_pct` (the check, in percent of the earlier revenue)
    and `trends_alike`, `campaigns`, `targeted`, `controls`, `best_campaign`, and `added_revenue[campaign=]`,
    `..._low`, `..._high`, `targeted[campaign=]` of the ten campaigns with most targeted households. Not
    available without five households on each side, or two dates before a campaign.
    """
    scoped = Scoped(frame, scope, tool=TOOL, needs=NEEDS)
    sheet = FactSheet(TOOL, scoped.rows)
    households = _compared(_households(scoped))
    targeted = np.bincount(households.campaign[households.target], minlength=len(households.names))
    scale = targeted * households.dates
    total, each = _effects(households, households.during - households.before, scale)
    sheet.add("basis", "return of campaigns is judged by", BASIS, "label")
    sheet.add("finding", "targeted households during campaigns", finding(total), "label", headline=True)
    low, high = (total.low / TICK, total.high / TICK) if total.is_known else (NAN, NAN)
    value = total.value / TICK if total.is_known else NAN
    sheet.add("added_revenue", "revenue that campaigns added", value, "$", headline=True)
    sheet.add("added_revenue_low", "low end of the interval of added revenue", low, "$", headline=True)
    sheet.add("added_revenue_high", "high end of the interval of added revenue", high, "$", headline=True)
    sent = float(targeted.sum())
    label = "most that a campaign may cost per targeted household to break even"
    most = max(value, 0.0) / sent if total.is_known else NAN
    sheet.add("breakeven_cost_per_household", label, most, "$ exact", headline=True)
    spent = float((households.during * households.dates[households.campaign])[households.target].sum())
    uplift = pct(value * TICK, spent - value * TICK) if total.is_known else NAN
    sheet.add("uplift_pct", "uplift of targeted households", uplift, "% change")
    _add_trend(sheet, households)
    _add_sizes(sheet, households, targeted)
    _by_campaign(sheet, households, each, targeted)
    return sheet.facts()


def _households(scoped: Scoped) -> Households:
    household, known = known_names(scoped, "household_id")
    if "campaign" in scoped.columns:
        axis, has_campaign = scoped.axis("campaign"), scoped.known("campaign")
        known, codes, names = known & has_campaign, axis.codes, axis.names
    else:
        codes, names = np.zeros(scoped.rows, dtype=np.intp), ("campaign",)
    rows = pd.DataFrame(
        {
            "campaign": codes,
            "household": household.codes,
            "day": scoped.day,
            "active": scoped.flag("campaign_active"),
            "target": scoped.flag("campaign_target"),
            "revenue": scoped.ticks("total_revenue"),
        }
    )[known]
    rows["part"], dates = _parts(rows, len(names))
    rows = rows[rows["part"] >= 0]
    keys = rows.groupby(["campaign", "household"], sort=True)
    target = keys["target"].any()
    index = keys.ngroup().to_numpy(dtype=np.intp)
    sums = np.zeros((3, len(target)))
    np.add.at(sums, (rows["part"].to_numpy(dtype=np.intp), index), rows["revenue"].to_numpy())
    campaign = target.index.get_level_values("campaign").to_numpy(dtype=np.intp)
    per_date = sums / np.maximum(dates[:, campaign], 1.0)
    return Households(
        campaign=campaign,
        household=target.index.get_level_values("household").to_numpy(dtype=np.intp),
        target=target.to_numpy(dtype=bool),
        early=per_date[0],
        late=per_date[1],
        during=per_date[2],
        names=names,
        dates=dates[2] * (dates > 0).all(axis=0),
    )


def _parts(rows: pd.DataFrame, n: int) -> tuple[NDArray[np.intp], Floats]:
    """Part of each row (0, 1 the halves before, 2 during, -1 after), and dates by part and campaign."""
    part = np.full(len(rows), -1, dtype=np.intp)
    dates = np.zeros((3, n))
    position = np.arange(len(rows))
    for campaign, own in rows.assign(position=position).groupby("campaign", sort=True):
        active = own.loc[own["active"], "day"]
        if active.empty:
            continue
        day, where = own["day"].to_numpy(), own["position"].to_numpy()
        before = np.unique(day[day < active.min()])
        # Of an odd number of dates the first is left out, so that the halves are alike.
        before = before[len(before) % 2 :]
        if len(before) < 2:
            continue
        middle = before[len(before) // 2]
        part[where[(day >= before[0]) & (day < middle)]] = 0
        part[where[(day >= middle) & (day < active.min())]] = 1
        part[where[own["active"].to_numpy()]] = 2
        dates[:, int(str(campaign))] = (len(before) // 2, len(before) // 2, active.nunique())
    return part, dates


def _compared(households: Households) -> Households:
    """The campaigns with enough households on both sides, and dates before and during."""
    n = len(households.names)
    sides = [
        np.bincount(households.campaign[mask], minlength=n)
        for mask in (households.target, ~households.target)
    ]
    kept = (np.minimum(*sides) >= MIN_SIDE) & (households.dates > 0)
    rows = kept[households.campaign]
    code = np.cumsum(kept) - 1
    return Households(
        campaign=code[households.campaign[rows]].astype(np.intp),
        household=households.household[rows],
        target=households.target[rows],
        early=households.early[rows],
        late=households.late[rows],
        during=households.during[rows],
        names=tuple(name for name, is_kept in zip(households.names, kept, strict=True) if is_kept),
        dates=households.dates[kept],
    )


def _effects(households: Households, change: Floats, scale: Floats) -> tuple[Estimate, list[Estimate]]:
    """Scaled effect of all campaigns together and of each: the targeted's mean change less the others'."""
    n = len(households.names)
    if n == 0:
        return UNKNOWN_ESTIMATE, []
    own = np.eye(n)[households.campaign]
    design = np.hstack([own, own * households.target[:, None]])
    fit = OLS(change, design).fit(cov_type="cluster", cov_kwds={"groups": households.household})
    effect, spread = fit.params[n:], fit.cov_params()[n:, n:]
    n_clusters = len(np.unique(households.household))
    total = interval(float(scale @ effect), float(np.sqrt(scale @ spread @ scale)), n_clusters)
    errors = np.sqrt(np.diag(spread))
    each = [interval(float(scale[i] * effect[i]), float(scale[i] * errors[i]), n_clusters) for i in range(n)]
    return total, each


def _add_trend(sheet: FactSheet, households: Households) -> None:
    """The same difference where it should be none: between the halves of the time before."""
    targeted = np.bincount(households.campaign[households.target], minlength=len(households.names))
    gap, _ = _effects(households, households.late - households.early, targeted.astype(np.float64))
    base = float(households.early[households.target].sum())
    share = pct(gap.value, base) if gap.is_known else NAN
    label = "difference of the trends before the campaigns"
    sheet.add("trend_gap_pct", label, share, "% change")
    alike = None
    if gap.is_known:
        alike = "yes, the difference may be none" if gap.low <= 0 <= gap.high else "no, the trends differed"
    sheet.add("trends_alike", "targeted and other households developed alike before", alike, "label")


def _add_sizes(sheet: FactSheet, households: Households, targeted: NDArray[np.intp]) -> None:
    controls = int((~households.target).sum())
    sheet.add("campaigns", "campaigns that can be compared", len(households.names), "count")
    sheet.add("targeted", "households targeted, by campaign and added up", int(targeted.sum()), "count")
    sheet.add("controls", "other households compared with, by campaign and added up", controls, "count")


def _by_campaign(
    sheet: FactSheet, households: Households, each: list[Estimate], targeted: NDArray[np.intp]
) -> None:
    order = sorted(range(len(each)), key=lambda i: (-targeted[i], households.names[i]))[:TOP_N]
    known = {households.names[i]: each[i].value for i in order if each[i].is_known}
    label = "most added revenue of the largest campaigns"
    sheet.add("best_campaign", label, highest(known), "name", headline=True)
    for i in order:
        name, effect = households.names[i], each[i]
        ends = (effect.value, effect.low, effect.high) if effect.is_known else (NAN, NAN, NAN)
        words = ("revenue that {} added", "low end of what {} added", "high end of what {} added")
        metrics = ("added_revenue", "added_revenue_low", "added_revenue_high")
        for metric, label, end in zip(metrics, words, ends, strict=True):
            sheet.add(of(metric, "campaign", name), label.format(name), end / TICK, "$", rows=targeted[i])
        sheet.add(
            of("targeted", "campaign", name), f"households targeted by {name}", int(targeted[i]), "count"
        )
