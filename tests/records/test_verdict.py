"""How many more runs a verdict takes: the first number that decides, and none where no number would."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from swarmlab.records.contrast import Speed
from swarmlab.records.scores import ScoreDifference
from swarmlab.records.verdict import TOLERANCE, pairs_needed, works_needed


def speed_of(mean: float, spread: float, n: int) -> Speed:
    """A speed whose log ratios have this mean and standard deviation over n pairs."""
    half = stats.t.ppf(0.975, n - 1) * spread / math.sqrt(n)
    ratio, low, high = (math.exp(value) for value in (mean, mean - half, mean + half))
    return Speed(ratio, ratio, low, high, n, 1, True, n < 10, "fake")


def score_of(difference: float, spread: float, differing: int = 10) -> ScoreDifference:
    """A difference with this standard deviation over ten works."""
    return ScoreDifference("m", 0.5, 0.5 + difference, difference, None, None, 10, differing, spread, "fake")


@given(st.floats(-1, 1), st.floats(0.01, 1), st.integers(3, 40))
def test_the_pairs_needed_are_the_first_that_decide(mean: float, spread: float, n: int) -> None:
    """At the number named the interval excludes 1, or is within the tolerance; one pair fewer does not do."""
    found = pairs_needed(speed_of(mean, spread, n))
    distance = max(abs(mean), math.log1p(TOLERANCE) - mean)
    assume(found is not None)

    def half(count: int) -> float:
        return float(stats.t.ppf(0.975, count - 1)) * spread / math.sqrt(count)

    assert found >= 10
    assert half(found) <= distance * (1 + 1e-6)
    if found > 10:
        assert half(found - 1) >= distance * (1 - 1e-6)


def test_without_an_interval_no_number_of_pairs_is_guessed() -> None:
    """One pair has no spread to plan by."""
    assert pairs_needed(Speed(2.0, 2.0, None, None, 1, 1, True, True, "fake")) is None


@given(st.floats(-0.2, 0.2), st.floats(0.01, 0.3), st.floats(0.01, 0.2))
def test_the_works_needed_are_the_first_that_decide(difference: float, spread: float, margin: float) -> None:
    """At the number named the interval is on one side of minus the margin; with one work fewer it is not."""
    distance = abs(difference + margin)
    assume(distance > 1e-3)
    found = works_needed(score_of(difference, spread), margin)
    assume(found is not None)
    assert stats.t.ppf(0.975, found - 1) * spread / math.sqrt(found) < distance
    if found > 2:
        assert stats.t.ppf(0.975, found - 2) * spread / math.sqrt(found - 1) >= distance


@pytest.mark.parametrize(("margin", "works"), [(0.01, 368), (0.1, 36)])
def test_scores_without_any_spread_need_the_exact_bound(margin: float, works: int) -> None:
    """Where no work differed, as many are needed as bound what none of them showed."""
    assert works_needed(score_of(0.0, 0.0, differing=0), margin) == works


@pytest.mark.parametrize(("difference", "works"), [(0.001, 36), (-0.02, 50)])
def test_few_differing_works_need_enough_or_the_exact_bound(difference: float, works: int) -> None:
    """While one work in ten differs: as many as bring five, or, if none was lost, the exact bound's."""
    assert works_needed(score_of(difference, 0.02, differing=1), 0.1) == works


def test_a_difference_at_the_margin_is_never_decided() -> None:
    """Where B is worse by just the margin no number of works would tell."""
    assert works_needed(score_of(-0.05, 0.1), 0.05) is None
