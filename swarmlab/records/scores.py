"""How much better or worse one level's answers score than another's, over the works that both did.

The unit is the work (a brief with its exam): at temperature 0 a model answers one exam the same way each
time, so repeats of it are one observation.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from swarmlab.records.interval import t_interval

__all__ = [
    "ENOUGH_DIFFERING",
    "EXACT_METHOD",
    "METRICS",
    "T_METHOD",
    "ScoreDifference",
    "identical_scores",
    "rarest_seen",
    "score_difference",
]

METRICS = ("fact_coverage", "groundedness", "decision_accuracy")
"""Columns of `runs` with a score of the answer, 0 to 1, higher is better."""
ENOUGH_DIFFERING = 5
"""Works that must score unlike before their spread is trusted."""
T_METHOD = "mean difference over works; Student's t interval"
EXACT_METHOD = "exact bound on the share of works that score unlike, each counted as a whole exam"


@dataclass(frozen=True, slots=True)
class ScoreDifference:
    """Score of B less score of A on the same works, -1 to 1, with its 95 % interval.

    `n_differing` works of `n_works` score unlike; `spread` is the differences' standard deviation over works.
    Without an interval (one work, or a score that one side lacks) `low` and `high` are None.
    """

    metric: str
    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    n_works: int
    n_differing: int
    spread: float | None
    method: str


def score_difference(metric: str, a: Mapping[str, float], b: Mapping[str, float]) -> ScoreDifference:
    """Estimate how much better B scores than A on works like those that both did.

    Parameters
    ----------
    metric
        Name of the score.
    a, b
        Score by work, 0 to 1, repeats of a work as their mean. Only works on both sides count.

    Returns
    -------
    ScoreDifference
        The mean difference over works. Where at least `ENOUGH_DIFFERING` works score unlike: Student's t
        interval. Where fewer do, their spread says next to nothing (with none it would claim certainty), so
        the bound is exact instead: by Clopper and Pearson, at 97.5 % a side, for the share of works on which
        B is worse (for `low`) or better (for `high`), each counted as the loss or gain of a whole exam. Of W
        works without any difference that leaves 1 - 0.025^(1/W), about 3.7/W. Simulated coverage: the rows
        "score difference" of `results/reference/interval_coverage.csv`.
    """
    shared = [work for work in a if work in b]
    if not shared:
        alone = [float(np.mean(list(side.values()))) if side else None for side in (a, b)]
        why = "not measured on both sides"
        return ScoreDifference(metric, alone[0], alone[1], None, None, None, 0, 0, None, why)
    mean_a, mean_b = (float(np.mean([side[work] for work in shared])) for side in (a, b))
    gaps = np.array([b[work] - a[work] for work in shared])
    # Means of repeats are sums of floats: what differs by rounding only does not differ.
    gaps[np.abs(gaps) < 1e-12] = 0.0
    centre, margin = (float(value) for value in t_interval(gaps))
    differing, n = int((gaps != 0).sum()), len(gaps)
    if n < 2:
        why = "one work: no interval"
        return ScoreDifference(metric, mean_a, mean_b, centre, None, None, n, differing, None, why)
    if differing >= ENOUGH_DIFFERING:
        low, high, method = centre - margin, centre + margin, T_METHOD
    else:
        low, high = -_share_at_most(int((gaps < 0).sum()), n), _share_at_most(int((gaps > 0).sum()), n)
        method = EXACT_METHOD
    low, high, spread = max(low, -1.0), min(high, 1.0), float(gaps.std(ddof=1))
    return ScoreDifference(metric, mean_a, mean_b, centre, low, high, n, differing, spread, method)


def identical_scores(
    metric: str, a: Mapping[str, float], b: Mapping[str, float], why: str
) -> ScoreDifference:
    """Return a difference that is exactly zero because of what the two sides are, not by statistics.

    Parameters
    ----------
    metric, a, b
        As of `score_difference`.
    why
        The reason, as the method.
    """
    shared = [work for work in a if work in b]
    mean = float(np.mean([a[work] for work in shared]))
    return ScoreDifference(metric, mean, mean, 0.0, 0.0, 0.0, len(shared), 0, 0.0, why)


def rarest_seen(margin: float) -> int:
    """Return how many works without any difference bound their share below `margin`, 0 to 1, at 97.5 %."""
    return math.ceil(math.log(0.025) / math.log(1 - margin))


def _share_at_most(count: int, n: int) -> float:
    """Return the exact upper bound, at 97.5 %, of a share of which `count` in `n` were seen.

    Source: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934).
    """
    return 1.0 if count == n else float(stats.beta.ppf(0.975, count + 1, n - count))
