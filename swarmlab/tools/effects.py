"""Estimates of an effect within groups: a Poisson ratio and a regression slope, each with its interval.

What all rows of a group share (an article sells well, a household is large) and what all rows of a period
share (a holiday) drops out. Intervals are robust to any spread and to correlation within a cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.stats import t as student
from statsmodels.regression.linear_model import OLS

from swarmlab.tools.axis import Codes
from swarmlab.tools.ratios import NAN
from swarmlab.tools.sales import Floats

LEVEL: Final = 0.95
"""Level of the intervals."""

MIN_CLUSTERS: Final = 5
"""Under so many clusters an interval that is robust to them means nothing, and there is none."""


MAX_ROUNDS: Final = 50
"""Of Newton's steps; under ten are usual."""

SWEEPS: Final = 8
"""Over the margins before each step."""

TINY: Final = 1e-300
"""Stands for zero where it would be divided by."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; NaN where it is not identified."""

    value: float
    low: float
    high: float
    n_clusters: int

    @property
    def is_known(self) -> bool:
        """The data identify the value and its interval."""
        return bool(np.isfinite([self.value, self.low, self.high]).all())


UNKNOWN_ESTIMATE: Final = Estimate(NAN, NAN, NAN, 0)


def interval(value: float, error: float, n_clusters: int) -> Estimate:
    """Student's t interval with as many degrees of freedom as there are clusters less one."""
    if n_clusters < MIN_CLUSTERS or not np.isfinite(error) or error <= 0:
        return Estimate(value, NAN, NAN, n_clusters)
    half = float(student.ppf((1 + LEVEL) / 2, n_clusters - 1)) * error
    return Estimate(value, value - half, value + half, n_clusters)


def poisson_ratio(
    counts: Floats,
    treated: NDArray[np.bool_],
    group: Codes,
    cluster: Codes,
    period: Codes | None = None,
) -> Estimate:
    """Logarithm of the ratio of the mean of treated to untreated cells of the same group (and period).

    The Poisson estimator with fixed effects, consistent for the ratio of means whatever the distribution of
    `counts`, zeros among them (Wooldridge, Journal of Econometrics 90, 1999, pp. 77-97); with its
    cluster-robust variance. Groups that are all treated, all untreated or all zero say nothing and drop out.

    Parameters
    ----------
    counts
        Amount of each cell, zero or more (shape: cells).
    treated, group, cluster, period
        Of each cell; a group lies within a cluster. Without periods there are effects of the groups alone.
    """
    telling = _telling(counts, treated, group)
    if not telling.any():
        return UNKNOWN_ESTIMATE
    counts, treated = counts[telling], treated[telling]
    codes = [np.unique(group[telling], return_inverse=True)[1]]
    if period is not None:
        codes.append(np.unique(period[telling], return_inverse=True)[1])
    clusters = np.unique(cluster[telling], return_inverse=True)[1]
    n_clusters = int(clusters.max()) + 1
    if not 0 < counts[treated].sum() < counts.sum():
        return Estimate(NAN, NAN, NAN, n_clusters)
    log_ratio, mean, left = _fit_poisson(counts, treated.astype(np.float64), codes)
    slope = float((mean * left**2).sum())
    if not np.isfinite(log_ratio):
        return Estimate(NAN, NAN, NAN, n_clusters)
    scores = np.bincount(clusters, weights=left * (counts - mean))
    inflation = n_clusters / max(n_clusters - 1, 1)
    return interval(log_ratio, float(np.sqrt(inflation * (scores**2).sum())) / slope, n_clusters)


def _telling(counts: Floats, treated: NDArray[np.bool_], group: Codes) -> NDArray[np.bool_]:
    """Cells of the groups that have both kinds of cells, and something in them."""
    n = int(group.max(initial=-1)) + 1
    on = np.bincount(group, weights=treated, minlength=n)
    whole = np.bincount(group, minlength=n)
    total = np.bincount(group, weights=counts, minlength=n)
    telling: NDArray[np.bool_] = ((on > 0) & (on < whole) & (total > 0))[group]
    return telling


def _fit_poisson(counts: Floats, treated: Floats, codes: Sequence[Codes]) -> tuple[float, Floats, Floats]:
    """Effect of treatment, fitted means, and treatment without the effects of the margins.

    The effects of the margins are found by scaling the means to each in turn (iterative proportional fitting;
    Bishop, Fienberg & Holland, Discrete Multivariate Analysis, 1975, ch. 3), that of treatment by Newton's
    steps along what they leave of it. NaN where that is nothing: treatment is then a matter of the period.
    """
    mean, left = np.ones_like(counts), treated
    log_ratio = 0.0
    totals = [np.bincount(code, weights=counts) for code in codes]
    for _ in range(MAX_ROUNDS):
        for _ in range(SWEEPS):
            for code, total in zip(codes, totals, strict=True):
                mean = mean * (total / np.maximum(np.bincount(code, weights=mean), TINY))[code]
        # Only cells whose mean goes to nothing are outside, and they weigh nothing.
        left = np.clip(treated - _fitted(treated, codes, mean), -2.0, 2.0)
        slope = float((mean * left**2).sum())
        if slope <= 1e-9 * float((mean * treated).sum()):
            return NAN, mean, left
        step = float(np.clip((left * (counts - mean)).sum() / slope, -1.0, 1.0))
        mean = mean * np.exp(step * left)
        log_ratio += step
        if abs(step) < 1e-9:
            break
    return log_ratio, mean, left


def _fitted(values: Floats, codes: Sequence[Codes], weights: Floats) -> Floats:
    """Weighted least squares of values on a dummy for each code of the margins, a group and perhaps a period.

    Exact: the groups are solved out (they are many, and in each normal equation there is one of them), which
    leaves as many equations as there are periods.
    """
    group = codes[0]
    group_weight = np.maximum(np.bincount(group, weights=weights), TINY)
    group_sum = np.bincount(group, weights=weights * values)
    if len(codes) == 1:
        means: Floats = (group_sum / group_weight)[group]
        return means
    period = codes[1]
    shape = (len(group_weight), int(period.max()) + 1)
    table = coo_array((weights, (group, period)), shape=shape).tocsr()
    period_weight = np.maximum(np.bincount(period, weights=weights), TINY)
    per_group = table.multiply(1 / group_weight[:, None]).tocsr()
    left = np.diag(period_weight) - (per_group.T @ table).toarray()
    right = np.bincount(period, weights=weights * values) - per_group.T @ group_sum
    # Scaled to a unit diagonal, so that a week of few sales is no rounding error. One equation is the sum of
    # the others: the smallest solution is taken, and any gives the same fit.
    scale = 1 / np.sqrt(period_weight)
    solved = np.linalg.lstsq(left * scale[:, None] * scale, right * scale, rcond=1e-11)[0]
    of_period = solved * scale
    of_group = (group_sum - table @ of_period) / group_weight
    fitted: Floats = of_group[group] + of_period[period]
    return fitted


def without_effects(values: Sequence[Floats], group: Codes, period: Codes) -> list[Floats]:
    """What is left of each variable after the effects of group and period (Frisch-Waugh-Lovell)."""
    # The mean first: what is then left to explain is of the size of the answer.
    centred = [value - value.mean() for value in values]
    return [value - _fitted(value, (group, period), np.ones_like(value)) for value in centred]


def within_slope(y: Floats, x: Floats, group: Codes, period: Codes, cluster: Codes) -> Estimate:
    """Slope of y on x among cells of the same group and period (two-way fixed effects, least squares).

    Its variance is robust to correlation within clusters (Cameron & Miller, Journal of Human Resources 50,
    2015, pp. 317-372). NaN where x varies in no group beyond what all groups share.
    """
    n_clusters = len(np.unique(cluster))
    if len(y) < 3 or n_clusters < 1:
        return Estimate(NAN, NAN, NAN, n_clusters)
    left_y, left_x = without_effects((y, x), group, period)
    if left_x.var() <= 1e-10 * max(float(np.var(x)), 1e-12) or left_x.var() < 1e-12:
        return Estimate(NAN, NAN, NAN, n_clusters)
    if n_clusters < MIN_CLUSTERS:
        return Estimate(float(left_x @ left_y / (left_x @ left_x)), NAN, NAN, n_clusters)
    fit = OLS(left_y, left_x).fit(cov_type="cluster", cov_kwds={"groups": cluster})
    return interval(float(fit.params[0]), float(fit.bse[0]), n_clusters)
