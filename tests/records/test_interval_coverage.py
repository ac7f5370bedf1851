"""Intervals: what they are, that they cover, and that the published coverage is what the script simulates."""

import importlib.util
import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from swarmlab.records.interval import (
    median_interval,
    ratio_interval,
    unpaired_interval,
    unpaired_ratio,
    welch_interval,
)
from swarmlab.records.scores import (
    ENOUGH_DIFFERING,
    EXACT_METHOD,
    T_METHOD,
    identical_scores,
    rarest_seen,
    score_difference,
)

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "results" / "reference" / "interval_coverage.csv"
SECONDS = st.lists(st.floats(0.01, 1e4), min_size=3, max_size=8)


@pytest.fixture(scope="module")
def coverage():
    """The published rows of the product's own methods."""
    frame = pd.read_csv(PUBLISHED)
    return frame[frame["is_product"]]


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("quantity", ["paired ratio", "median duration", "unpaired ratio"])
def test_the_product_covers_in_every_required_condition(coverage, quantity, n):
    """For normal and lognormal times of every spread, 93 to 97 in 100 intervals hold the truth."""
    rows = coverage[(coverage["quantity"] == quantity) & (coverage["n"] == n)]
    rows = rows[rows["is_required"] == True]  # noqa: E712 - a score has no such mark
    assert set(rows["shape"]) == {"normal", "lognormal"}
    assert len(rows) >= 8
    assert rows["experiments"].min() >= 4000
    assert rows["coverage"].between(0.93, 0.97).all()


def test_a_score_s_interval_covers_until_whole_exams_fail(coverage):
    """Over every condition but the one named as the rule's limit, scores are covered 93 times in 100."""
    rows = coverage[coverage["quantity"] == "score difference"]
    limit = rows["shape"].str.contains("half fails")
    assert (rows.loc[~limit, "coverage"] >= 0.93).all()
    assert (rows.loc[limit, "coverage"] < 0.93).any()


def test_the_published_coverage_is_what_the_script_simulates():
    """The first rows of the committed table come out of the script again."""
    spec = importlib.util.spec_from_file_location("coverage", ROOT / "experiments" / "interval_coverage.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    published = pd.read_csv(PUBLISHED).head(4)
    again = pd.DataFrame(itertools.islice(script.ratios(), 4))
    assert published["method"].tolist() == again["method"].tolist()
    np.testing.assert_allclose(published["coverage"], again["coverage"], atol=1e-3)


def test_the_median_of_the_pairs_stands_beside_their_geometric_mean():
    """One wild pair moves the mean and not the median."""
    found = ratio_interval([20.0, 20.0, 2000.0], [10.0, 10.0, 10.0])
    assert found.median == pytest.approx(2)
    assert found.ratio == pytest.approx(2 * 100 ** (1 / 3))


def test_a_median_has_an_interval_from_two_runs_on():
    """One run has its own duration and no interval; more have one around the middle."""
    alone = median_interval([3.0])
    assert (alone.median_s, alone.low_s, alone.high_s, alone.n) == (3.0, None, None, 1)
    found = median_interval([10.0, 11.0, 12.0])
    assert found.median_s == 11
    assert found.low_s < 11 < found.high_s


@pytest.mark.parametrize("bad", [[], [1.0, 0.0], [1.0, -2.0]])
def test_durations_must_be_positive(bad):
    """No duration, or one that is not positive, has no interval."""
    with pytest.raises(ValueError, match=r"positive|one or more"):
        median_interval(bad)
    with pytest.raises(ValueError, match=r"positive|one or more"):
        ratio_interval(bad, [1.0] * len(bad))


def test_unpaired_runs_of_one_work_are_welch_s():
    """With one work the unpaired interval is that of Welch's t test."""
    a, b = np.array([1.0, 2.0, 4.0, 5.0]), np.array([1.5, 1.6, 1.7])
    difference, margin = unpaired_interval([a], [b])
    assert difference == pytest.approx(1.4)
    known = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert (difference - margin, difference + margin) == pytest.approx((known.low, known.high))
    assert welch_interval(a, b)[1] == pytest.approx(margin)


def test_works_of_unlike_length_do_not_blur_an_unpaired_ratio():
    """Each work is compared with itself, so that a long and a short one leave the interval narrow."""
    short, long_ = [1.0, 1.01, 0.99], [100.0, 101.0, 99.0]
    found = unpaired_ratio(
        {"s": [2 * t for t in short], "l": [2 * t for t in long_]}, {"s": short, "l": long_}
    )
    assert found.ratio == pytest.approx(2)
    assert 1.9 < found.low < 2 < found.high < 2.1


def test_one_run_a_work_on_both_sides_is_paired_by_work():
    """Without repeats the works' differences are what varies; under three of them nothing is said."""
    a, b = {"x": [2.0], "y": [4.2], "z": [5.9]}, {"x": [1.0], "y": [2.0], "z": [3.0]}
    found = unpaired_ratio(a, b)
    paired = ratio_interval([2.0, 4.2, 5.9], [1.0, 2.0, 3.0])
    assert (found.low, found.high) == (pytest.approx(paired.low), pytest.approx(paired.high))
    assert unpaired_ratio({"x": [2.0], "y": [4.0]}, {"x": [1.0], "y": [2.0]}).low is None


@pytest.mark.parametrize(("above", "below"), [([2.0], [1.0] * 9), ([2.0, 2.1], [1.0, 1.1])])
def test_too_few_unpaired_runs_have_no_interval(above, below):
    """Under three runs on a side coverage was not kept, so there is a ratio and no interval."""
    found = unpaired_ratio({"w": above}, {"w": below})
    assert found.ratio > 1
    assert (found.low, found.high) == (None, None)


@given(SECONDS, SECONDS)
def test_swapping_unpaired_sides_inverts_the_ratio(above, below):
    """How much slower and how much faster are the same statement, unpaired too."""
    forth, back = unpaired_ratio({"w": above}, {"w": below}), unpaired_ratio({"w": below}, {"w": above})
    assert forth.ratio * back.ratio == pytest.approx(1)
    assert forth.low * back.high == pytest.approx(1)


def scores(*values):
    """Return scores by work."""
    return {f"w{number}": value for number, value in enumerate(values)}


def test_repeated_zeros_do_not_make_certainty():
    """Ten exams without a difference still leave room for as many as could have gone unseen."""
    found = score_difference("decision_accuracy", scores(*[0.8] * 10), scores(*[0.8] * 10))
    assert found.method == EXACT_METHOD
    assert found.low == pytest.approx(-(1 - 0.025 ** (1 / 10)))
    assert found.high == -found.low
    assert found.difference == 0


def test_one_better_exam_does_not_make_certainty_either():
    """A single exam that B does better says nothing of how often it does worse."""
    found = score_difference("m", scores(*[0.8] * 10), scores(*[0.8] * 9, 0.9))
    assert found.low == pytest.approx(-(1 - 0.025 ** (1 / 10)))
    assert found.high > -found.low


def test_enough_differing_exams_have_a_t_interval():
    """From five works on that score unlike it is Student's t over works."""
    gaps = [0.1, -0.05, 0.02, 0.04, -0.01, 0.0]
    found = score_difference("m", scores(*[0.5] * 6), scores(*[0.5 + gap for gap in gaps]))
    assert found.n_differing == ENOUGH_DIFFERING
    assert found.method == T_METHOD
    half = 2.570582 * np.std(gaps, ddof=1) / math.sqrt(6)
    assert (found.low, found.high) == (
        pytest.approx(np.mean(gaps) - half, abs=1e-6),
        pytest.approx(np.mean(gaps) + half, abs=1e-6),
    )


def test_one_work_and_one_side_have_no_interval():
    """One work gives a difference without an interval; a score of one side only gives neither."""
    one = score_difference("m", scores(0.5), scores(0.7))
    assert (one.difference, one.low, one.n_works) == (pytest.approx(0.2), None, 1)
    none = score_difference("m", scores(0.5), {})
    assert (none.a, none.b, none.difference) == (0.5, None, None)


def test_only_shared_works_count():
    """A work that one side did alone is in no difference."""
    found = score_difference("m", {"x": 0.5, "y": 0.0}, {"x": 0.6, "z": 1.0})
    assert (found.a, found.b, found.n_works) == (0.5, 0.6, 1)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12))
def test_swapping_the_scores_turns_the_interval_round(pairs):
    """B against A is A against B with the sign changed, whichever rule applies."""
    a, b = scores(*[pair[0] for pair in pairs]), scores(*[pair[1] for pair in pairs])
    forth, back = score_difference("m", a, b), score_difference("m", b, a)
    assert forth.low == pytest.approx(-back.high)
    assert -1 <= forth.low <= forth.high <= 1
    assert forth.low <= forth.difference + 1e-9


@pytest.mark.parametrize(("margin", "works"), [(0.01, 368), (0.05, 72), (0.5, 6)])
def test_as_many_works_without_a_loss_hold_a_margin(margin, works):
    """The number of works named is the first whose exact bound is inside the margin."""
    bounds = [score_difference("m", scores(*[1.0] * n), scores(*[1.0] * n)).low for n in (works - 1, works)]
    assert rarest_seen(margin) == works
    assert bounds[0] < -margin <= bounds[1]


def test_identity_is_exact():
    """A difference that is zero by what the sides are has no width and names its reason."""
    found = identical_scores("m", scores(0.5, 0.7), scores(0.5, 0.7), "exact: why")
    assert (found.difference, found.low, found.high, found.method) == (0, 0, 0, "exact: why")
    assert found.a == pytest.approx(0.6)
