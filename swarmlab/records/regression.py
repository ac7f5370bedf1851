"""The regression guard: what has changed since a reference, told from noise.

The two sides were run at different times, so no run shares a block with another, and what differs between two
sessions on one machine is in the ratio. A tolerance, declared and not estimated, stands for that.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from swarmlab.records.contrast import Facts, facts_agree
from swarmlab.records.interval import UNPAIRED_METHOD, RatioInterval, unpaired_interval, unpaired_ratio
from swarmlab.records.pairs import no_ratio, paired, succeeded, times_by_work, with_pair, works_of
from swarmlab.records.scores import METRICS
from swarmlab.records.timing import timing

__all__ = [
    "WIDEST",
    "Change",
    "ScoreChange",
    "TimeVerdict",
    "change",
    "nothing_told",
    "time_verdict",
]

TimeVerdict = Literal["slower", "faster", "no change shown", "cannot tell"]
WIDEST = 4
"""Tolerances that an interval may reach to either side and still show that nothing much has changed."""
EXACT_METHOD = "exact: geometric mean of the ratios of equal work and repeat in virtual time"
_STEADY = "exact: repeats of a work score alike"
_OVER_RUNS = "difference within works, runs not paired; Welch's t"


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """A score's mean over the shared works, before and now; `is_worse` beyond the margin."""

    metric: str
    reference: float
    new: float
    difference: float
    low: float | None
    high: float | None
    is_worse: bool
    method: str


@dataclass(frozen=True, slots=True)
class Change:
    """What has become of a level in one cache state; `ratio` is how many times as long it takes now."""

    experiment: str
    level: str
    cache_state: str | None
    timing: str
    """How the new durations came about: "measured", or "simulated: PROFILE"."""
    verdict: TimeVerdict
    why: str
    ratio: float | None
    low: float | None
    high: float | None
    method: str
    n_works: int
    n_new: int
    n_reference: int
    failed_new: int
    failed_reference: int
    fails_more: bool
    tokens_new: float | None
    tokens_reference: float | None
    facts: Facts
    scores: tuple[ScoreChange, ...]

    @property
    def is_worse(self) -> bool:
        """A score fell by more than the margin, or the tool facts are not what they were."""
        return self.facts == "differ" or any(score.is_worse for score in self.scores)

    @property
    def is_regression(self) -> bool:
        """Slower, worse, or failing more."""
        return self.verdict == "slower" or self.is_worse or self.fails_more

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {**asdict(self), "is_worse": self.is_worse, "is_regression": self.is_regression}


def time_verdict(low: float | None, high: float | None, tolerance: float) -> TimeVerdict:
    """Tell noise from change.

    Parameters
    ----------
    low, high
        The 95 % interval of the ratio new over reference; None where there is none.
    tolerance
        Share by which two sessions may differ though nothing has changed.

    Returns
    -------
    str
        "slower": the whole interval is above 1 + tolerance. "faster": all of it is below 1 / (1 + tolerance).
        "cannot tell": there is none, or it reaches further than a factor of 1 + `WIDEST` tolerance to either
        side of its centre, so that a change of that size could hide in it. Else "no change shown": what
        change there may be is within the interval.
    """
    if low is None or high is None:
        return "cannot tell"
    if low > 1 + tolerance:
        return "slower"
    if high < 1 / (1 + tolerance):
        return "faster"
    return "no change shown" if (high / low) ** 0.5 <= 1 + WIDEST * tolerance else "cannot tell"


def change(
    experiment: str,
    new: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    tolerance: float,
    margin: float,
    no_time: str | None = None,
) -> Change:
    """Compare a level's new runs with those of the reference on the works that both did.

    Parameters
    ----------
    experiment
        The experiment's name.
    new, reference
        Rows of `runs`: one level in one cache state, alike in clock, model and data.
    tolerance
        As of `time_verdict`.
    margin
        A score is worse when its mean fell by more than this: for certain where repeats of a work score
        alike, else when the whole 95 % interval is below.
    no_time
        Why durations cannot be compared (another machine); None where they can.

    Returns
    -------
    Change
        Tokens and scores are compared also where durations cannot be.
    """
    works = [work for work in works_of(reference) if work in works_of(new)]
    if not works:
        return nothing_told(experiment, new, reference, "other work: no brief with its exam in common")
    on_new, on_old = (side[side["work_id"].isin(works) | side["work_id"].isna()] for side in (new, reference))
    found = _ratio(on_new, on_old)
    verdict: TimeVerdict = "cannot tell"
    why = no_time or no_ratio(on_new, on_old)
    if no_time is None and found is not None:
        verdict = time_verdict(found.low, found.high, tolerance)
        why = _why(found, verdict)
    shown = found if no_time is None else None
    return _change(
        experiment,
        on_new,
        on_old,
        verdict=verdict,
        why=why,
        ratio=shown.ratio if shown else None,
        low=shown.low if shown else None,
        high=shown.high if shown else None,
        n_works=len(works),
        facts=facts_agree(on_new, on_old),
        scores=_scores(on_new, on_old, margin),
    )


def nothing_told(experiment: str, new: pd.DataFrame, reference: pd.DataFrame, why: str) -> Change:
    """Return a change of which nothing but the failures can be told, and why."""
    return _change(
        experiment,
        new,
        reference,
        verdict="cannot tell",
        why=why,
        ratio=None,
        low=None,
        high=None,
        n_works=0,
        facts="not recorded",
        scores=(),
    )


def _change(experiment: str, new: pd.DataFrame, reference: pd.DataFrame, **told: Any) -> Change:
    good = [succeeded(side) for side in (new, reference)]
    failed = [len(side) - len(ok) for side, ok in zip((new, reference), good, strict=True)]
    shares = [count / len(side) for count, side in zip(failed, (new, reference), strict=True)]
    tokens = [side["total_tokens"].astype("float64").median() for side in good]
    first = new.iloc[0]
    return Change(
        experiment=experiment,
        level=str(first["level"]),
        cache_state=None if pd.isna(first["cache_state"]) else str(first["cache_state"]),
        timing=timing(first["clock"], first["model"], first["profile"]),
        method=EXACT_METHOD if first["clock"] == "virtual" else UNPAIRED_METHOD,
        n_new=len(good[0]),
        n_reference=len(good[1]),
        failed_new=failed[0],
        failed_reference=failed[1],
        fails_more=shares[0] > shares[1],
        tokens_new=None if pd.isna(tokens[0]) else float(tokens[0]),
        tokens_reference=None if pd.isna(tokens[1]) else float(tokens[1]),
        **told,
    )


def _ratio(new: pd.DataFrame, reference: pd.DataFrame) -> RatioInterval | None:
    if (new["clock"] == "virtual").all():
        # Equal code would give equal times, so that these runs' ratio is exact, however few they are.
        pairs = paired(with_pair(new), with_pair(reference))
        ratio = float(np.exp(np.log(pairs["a"] / pairs["b"]).mean())) if len(pairs) else None
        return None if ratio is None else RatioInterval(ratio, ratio, ratio, len(pairs), ratio)
    above, below = times_by_work(new), times_by_work(reference)
    return unpaired_ratio(above, below) if set(above) & set(below) else None


def _why(found: RatioInterval, verdict: TimeVerdict) -> str:
    if verdict != "cannot tell":
        return ""
    return (
        "too few runs for an interval"
        if found.low is None
        else "the interval is too wide: more runs are needed"
    )


def _scores(new: pd.DataFrame, reference: pd.DataFrame, margin: float) -> tuple[ScoreChange, ...]:
    found = []
    for metric in METRICS:
        now, before = times_by_work(new, metric), times_by_work(reference, metric)
        shared = [work for work in before if work in now]
        if shared:
            found.append(
                _score(metric, [now[work] for work in shared], [before[work] for work in shared], margin)
            )
    return tuple(found)


def _score(
    metric: str, now: Sequence[Sequence[float]], before: Sequence[Sequence[float]], margin: float
) -> ScoreChange:
    arrays = [[np.asarray(values) for values in side] for side in (now, before)]
    difference, half = unpaired_interval(arrays[0], arrays[1])
    repeats = [values for side in arrays for values in side if len(values) > 1]
    method = _OVER_RUNS
    if repeats and all(np.ptp(values) < 1e-12 for values in repeats):
        half, method = 0.0, _STEADY
    low, high = (None, None) if np.isnan(half) else (difference - half, difference + half)
    means = [float(np.mean([values.mean() for values in side])) for side in arrays]
    is_worse = high is not None and high < -margin
    return ScoreChange(metric, means[1], means[0], difference, low, high, is_worse, method)
