"""What a contrast proves: the certificate's verdict, and how many more runs it would take to reach one.

A verdict needs statistics only where nothing is certain: tool facts that differ between lossless levels, or a
run that failed, are proof by example and stand at any n.
"""

import math
from dataclasses import dataclass
from typing import Literal

from scipy import stats

from swarmlab.records.comparison import EXPLORATORY_BELOW
from swarmlab.records.contrast import Contrast, Speed, pair_word
from swarmlab.records.contrast_text import interval_text, score_text
from swarmlab.records.scores import ENOUGH_DIFFERING, ScoreDifference, rarest_seen
from swarmlab.records.timing import SIMULATED_ANSWERS

__all__ = ["TOLERANCE", "VERDICTS", "Verdict", "judge", "pairs_needed", "works_needed"]

TOLERANCE = 0.05
"""A change of duration up to this share is noise by declaration: one machine's sessions differ by as much."""
SIMULATED = "durations are simulated: run both levels with the real model to certify them"
MOST = 1_000_000
VERDICTS = {
    "certified": "faster, and not inferior on any measured quality at the margin",
    "trade-off": "faster, and inferior on some quality by more than the margin",
    "not faster": f"slower, or at most {TOLERANCE:.0%} faster",
    "not lossless": "only lossless switches differ, yet the tool facts are not the same",
    "fails": "a larger share of its runs failed",
    "inconclusive": "the runs do not decide",
}
"""Each verdict and what it means."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict, why, and what would decide where nothing does yet.

    `pairs_needed` and `works_needed` are totals, not additions; None where that side needs no more.
    """

    verdict: Literal["certified", "trade-off", "not faster", "not lossless", "fails", "inconclusive"]
    reasons: tuple[str, ...]
    pairs_needed: int | None
    works_needed: int | None


def judge(found: Contrast, margin: float, *, is_lossless: bool) -> Verdict:
    """Judge B against A.

    Parameters
    ----------
    found
        The contrast.
    margin
        Non-inferiority margin of every score, above 0 and below 1: B may lose less than this.
    is_lossless
        Only lossless switches differ between A and B.

    Returns
    -------
    Verdict
        The first that applies. "not lossless": `is_lossless`, and tool facts differ on a work. "fails": more
        of B's runs failed, as a share, than of A's. "inconclusive": no ratio, or under ten pairs
        (exploratory).
        A simulation decides nothing but "not lossless", for its tool facts are real ones.
        "not faster": the interval is below 1, or holds 1 and ends below 1 + `TOLERANCE`. "certified": faster
        (the interval above 1, and above what a failed A/A check saw) and on every score measured the interval
        above -`margin`. "trade-off": faster, and on some score the interval below -`margin`. Else
        "inconclusive". Every score must pass, so none needs a correction for their number
        (intersection-union test).
    """
    speed, scores = found.speed, [score for score in found.scores if _is_measured(score)]
    said = _reasons(found, scores, margin)
    if is_lossless and found.facts == "differ":
        return Verdict("not lossless", ("the tool facts differ on a work that both did", *said), None, None)
    if found.is_simulated:
        return Verdict("inconclusive", (SIMULATED, SIMULATED_ANSWERS, *said), None, None)
    if _failed_share(found.b.attempted, found.b.succeeded) > _failed_share(
        found.a.attempted, found.a.succeeded
    ):
        failed = f"failures of B: {found.b.failure_bound}; of A: {found.a.failure_bound}"
        return Verdict("fails", (failed, *said), None, None)
    needs = _needs(found, scores, margin)
    if speed.low is None or speed.is_exploratory:
        few = f"{pair_word(speed)}: under {EXPLORATORY_BELOW} it is exploratory"
        return Verdict("inconclusive", (few, *said), *needs)
    state = _speed_state(found)
    if state == "not faster":
        return Verdict("not faster", said, None, None)
    missing = _missing(found, is_lossless)
    inferior = [score for score in scores if score.high is not None and score.high < -margin]
    if state == "faster" and inferior:
        return Verdict("trade-off", said, None, None)
    if state == "faster" and not missing and scores and all(_holds(score, margin) for score in scores):
        return Verdict("certified", said, None, None)
    return Verdict("inconclusive", (*missing, *said), *needs)


def pairs_needed(speed: Speed) -> int | None:
    """Return how many pairs would decide whether B is faster, if they go on as they did; None if none tell.

    The smallest n >= 10 with t(0.975, n - 1) s / sqrt(n) < d: s is the standard deviation of the log ratios,
    taken from the interval, and d how far their mean is from 0, or, where that is more, below
    log(1 + `TOLERANCE`).
    """
    if speed.ratio is None or speed.low is None or speed.high is None or speed.n < 2:
        return None
    mean, half = math.log(speed.ratio), math.log(speed.high / speed.low) / 2
    spread = half * math.sqrt(speed.n) / float(stats.t.ppf(0.975, speed.n - 1))
    return _smallest(spread, max(abs(mean), math.log1p(TOLERANCE) - mean), EXPLORATORY_BELOW)


def works_needed(score: ScoreDifference, margin: float) -> int | None:
    """Return how many works would decide a score, if they go on as they did.

    The smallest W with t(0.975, W - 1) s / sqrt(W) < d: s is the standard deviation of the differences over
    works and d the distance of their mean from -`margin`; while under `ENOUGH_DIFFERING` works differ also so
    many that enough will, or, if fewer, the log(0.025) / log(1 - `margin`) works that do if none is worse.
    """
    exact = rarest_seen(margin)
    if score.difference is None or not score.spread or score.n_differing == 0:
        return exact
    by_spread = _smallest(score.spread, abs(score.difference + margin), 2)
    if score.n_differing >= ENOUGH_DIFFERING:
        return by_spread
    enough = math.ceil(ENOUGH_DIFFERING * score.n_works / score.n_differing)
    guess = None if by_spread is None else max(by_spread, enough)
    # The exact bound decides soonest only while no work is lost.
    return guess if score.difference < 0 else min(exact, guess or exact)


def _smallest(spread: float, distance: float, least: int) -> int | None:
    """Return the smallest n with t s / sqrt(n) < distance; None above a million, which nobody will run."""

    def decides(n: int) -> bool:
        return float(stats.t.ppf(0.975, n - 1)) * spread / math.sqrt(n) < distance

    if distance <= 0 or not decides(MOST):
        return None
    low, high = least - 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if middle > 1 and decides(middle) else (middle, high)
    return high


def _speed_state(found: Contrast) -> Literal["faster", "not faster", "undecided"]:
    low, high = found.speed.low, found.speed.high
    if low is None or high is None:
        return "undecided"
    if low > _seen_between_equals(found):
        return "faster"
    return "not faster" if high < 1 or (low <= 1 and high < 1 + TOLERANCE) else "undecided"


def _seen_between_equals(found: Contrast) -> float:
    """Return the largest ratio that a failed A/A check saw between equals; 1 where none failed."""
    failed = [check for check in found.aa if check.covers_1 is False]
    return max([1.0, *(end for check in failed for end in (check.high or 1.0, 1 / (check.low or 1.0)))])


def _is_measured(score: ScoreDifference) -> bool:
    return score.difference is not None


def _holds(score: ScoreDifference, margin: float) -> bool:
    return score.low is not None and score.low > -margin


def _missing(found: Contrast, is_lossless: bool) -> list[str]:
    """Say what was not recorded and would be needed."""
    one_sided = [
        score for score in found.scores if not _is_measured(score) and (score.a is None) != (score.b is None)
    ]
    lost = [f"{score_text(score.metric)}: measured on one side only" for score in one_sided]
    if not any(map(_is_measured, found.scores)):
        lost.append("no quality was measured on both sides")
    if is_lossless and found.facts == "not recorded":
        lost.append("the tool facts were not recorded, so that they cannot be shown to be identical")
    return lost


def _needs(found: Contrast, scores: list[ScoreDifference], margin: float) -> tuple[int | None, int | None]:
    undecided = [score for score in scores if not _is_decided(score, margin)]
    works = [works_needed(score, margin) for score in undecided]
    known = [count for count in works if count is not None]
    short = _speed_state(found) == "undecided" or found.speed.is_exploratory
    pairs = pairs_needed(found.speed) or EXPLORATORY_BELOW
    return pairs if short else None, max(known, default=None)


def _is_decided(score: ScoreDifference, margin: float) -> bool:
    return _holds(score, margin) or (score.high is not None and score.high < -margin)


def _failed_share(attempted: int, succeeded: int) -> float:
    return 0.0 if attempted == 0 else (attempted - succeeded) / attempted


def _reasons(found: Contrast, scores: list[ScoreDifference], margin: float) -> tuple[str, ...]:
    """Say what was seen, one sentence a figure."""
    speed = found.speed
    middle = speed.ratio if speed.ratio_median is None else speed.ratio_median
    where = "in simulation " if found.is_simulated else ""
    seen = f"{where}{interval_text(middle, speed.low, speed.high)} times as fast over {pair_word(speed)}"
    reasons = [seen if speed.n else f"no ratio: {speed.method}"]
    limit = _seen_between_equals(found)
    if limit > 1:
        reasons.append(f"the A/A check failed: equals came out up to {limit:.2f} times apart")
    for score in scores:
        said = f"{score_text(score.metric)}: {score.a:.3f} to {score.b:.3f}"
        if score.low is None or score.high is None:
            reasons.append(f"{said}; one work tells nothing about others")
        elif score.method.startswith("exact:"):
            reasons.append(f"{said}; equal on every work")
        else:
            interval = f"{score.difference:+.3f} [{score.low:+.3f}, {score.high:+.3f}]"
            reasons.append(f"{said}, {interval} over {score.n_works} works; {_standing(score, margin)}")
    return tuple(reasons)


def _standing(score: ScoreDifference, margin: float) -> str:
    if _holds(score, margin):
        return "not inferior"
    return "inferior" if score.high is not None and score.high < -margin else "undecided at the margin"
