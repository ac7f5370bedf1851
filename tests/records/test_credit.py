"""Credits that add up and are Shapley values, and intervals that cover."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from swarmlab.records.credit import (
    factorial_credits,
    interaction_contrasts,
    path_credits,
    shapley_contrasts,
)
from swarmlab.records.estimate import Units, least_squares, over_units

FIGURES = st.floats(-1e5, 1e5, allow_nan=False)


def cells(k):
    """Return which of k factors is on in each of the 2^k cells."""
    return np.array(list(itertools.product([False, True], repeat=k)))


def blocks(n):
    """Return n blocks, each a unit of its own."""
    return Units(range(n), "blocks")


@st.composite
def tables_of_cells(draw):
    """Draw values, blocks by cells, of a factorial of one to five factors."""
    k, n = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    return np.array(draw(st.lists(FIGURES, min_size=n * 2**k, max_size=n * 2**k))).reshape(n, 2**k)


@settings(deadline=None)
@given(tables_of_cells())
def test_credits_of_a_factorial_sum_to_the_total(values):
    """Whatever the runs took, base plus credits is target, and the total is target minus base."""
    found = factorial_credits(
        values, cells(int(math.log2(values.shape[1]))), blocks(len(values)), pooled=True
    )
    means, size = values.mean(axis=0), np.abs(values).max() + 1
    assert sum(credit.value for credit in found.credits) == pytest.approx(found.total.value, abs=1e-9 * size)
    assert found.total.value == pytest.approx(means[-1] - means[0], abs=1e-9 * size)
    assert found.base.value == pytest.approx(means[0], abs=1e-9 * size)


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 6), st.randoms(use_true_random=False), st.data())
def test_credits_of_sampled_orders_sum_to_the_total(k, n, draw, data):
    """On any paths, whatever the runs took, the credits sum to mean target minus mean base."""
    orders = np.array([draw.sample(range(k), k) for _ in range(n)])
    count = n * (k + 1)
    values = np.array(data.draw(st.lists(FIGURES, min_size=count, max_size=count))).reshape(n, k + 1)
    found = path_credits(values, orders, blocks(n), pooled=True)
    total, size = values[:, -1].mean() - values[:, 0].mean(), np.abs(values).max() + 1
    assert sum(credit.value for credit in found.credits) == pytest.approx(total, abs=1e-9 * size)
    assert found.total.value == pytest.approx(total, abs=1e-9 * size)


def test_two_factors_share_their_interaction_in_halves():
    """Worked by hand: 10 alone saves 3, 01 alone 1, both 8; the 4 beyond their sum are shared."""
    found = factorial_credits(np.array([[20.0, 19.0, 17.0, 12.0]]), cells(2), blocks(1), pooled=True)
    assert [credit.value for credit in found.credits] == pytest.approx([-5.0, -3.0])
    assert found.interactions[0].value == pytest.approx(-4.0)


@given(st.integers(2, 5), st.data())
def test_a_factor_that_does_nothing_has_no_credit(k, data):
    """If a factor changes no cell, its credit and its interactions are zero."""
    on = cells(k)
    others = {row.tobytes(): data.draw(FIGURES) for row in on[:, 1:]}
    values = np.array([others[row.tobytes()] for row in on[:, 1:]])
    size = np.abs(values).max() + 1
    assert shapley_contrasts(on)[0] @ values == pytest.approx(0, abs=1e-9 * size)
    with_first = interaction_contrasts(on)[: k - 1]
    assert with_first @ values == pytest.approx(np.zeros(k - 1), abs=1e-9 * size)


def test_all_orders_give_the_factorials_credits():
    """Over every order of four factors, mean steps are the exact Shapley values."""
    on, random = cells(4), np.random.default_rng(1)
    value_of = dict(zip(map(tuple, on), random.normal(size=16), strict=True))
    orders = np.array(list(itertools.permutations(range(4))))
    paths = [
        [tuple(factor in order[:n] for factor in range(4)) for n in range(5)] for order in orders.tolist()
    ]
    values = np.array([[value_of[point] for point in path] for path in paths])
    found = path_credits(values, orders, blocks(24), pooled=True)
    exact = shapley_contrasts(on) @ np.array(list(value_of.values()))
    assert [credit.value for credit in found.credits] == pytest.approx(exact)


def test_pairwise_interactions_come_back_from_orders():
    """Where factors interact in pairs only, both designs find the same interactions."""
    random = np.random.default_rng(2)
    pairs = list(itertools.combinations(range(6), 2))
    main, both = random.normal(size=6), random.normal(size=len(pairs))

    def value(on):
        return main @ on + sum(b * on[i] * on[j] for b, (i, j) in zip(both, pairs, strict=True))

    orders = np.array([random.permutation(6) for _ in range(12)])
    values = np.array([[value(np.isin(range(6), order[:n])) for n in range(7)] for order in orders])
    found = path_credits(values, orders, blocks(12), pooled=True)
    assert [pair.value for pair in found.interactions] == pytest.approx(both)
    exact = interaction_contrasts(cells(6)) @ np.array([value(on) for on in cells(6)])
    assert exact == pytest.approx(both)


def test_too_few_orders_leave_interactions_open():
    """Two orders cannot tell fifteen pairs apart: those have no figure, and say so."""
    orders = np.array([range(6), range(6)[::-1]])
    found = path_credits(np.arange(14.0).reshape(2, 7), orders, blocks(2), pooled=True)
    lost = [pair for pair in found.interactions if math.isnan(pair.value)]
    assert lost
    assert {pair.why for pair in lost} == {"the runs do not determine it"}


def test_the_interval_is_students_over_blocks():
    """From three blocks on, each block's credit is one observation."""
    values = np.random.default_rng(3).normal(50, 5, (4, 4))
    found = factorial_credits(values, cells(2), blocks(4), pooled=True).credits[0]
    own = values @ shapley_contrasts(cells(2))[0]
    low, high = stats.t.interval(0.95, 3, own.mean(), stats.sem(own))
    assert (found.value, found.low, found.high) == pytest.approx((own.mean(), low, high))


def test_blocks_of_one_unit_count_once():
    """Blocks that are copies of each other give the interval of the blocks they are copies of."""
    once = over_units(np.array([1.0, 2.0, 4.0]), Units("abc", "works"))
    twice = over_units(np.array([1.0, 2.0, 4.0] * 2), Units("abcabc", "works"))
    assert (once.low, once.high) == pytest.approx((twice.low, twice.high))
    assert over_units(np.array([1.0, 2.0]), Units("ab", "works")).why == "needs 3 works, has 2"


def test_the_variance_of_two_groups_is_welchs():
    """Of two groups of unequal spread the interval's standard error is Welch's."""
    first, second = np.array([1.0, 2.0, 4.0]), np.array([10.0, 30.0, 35.0, 50.0])
    model = np.repeat(np.eye(2), [3, 4], axis=0)
    (found,) = least_squares(np.concatenate([first, second]), model, np.array([[-1.0, 1.0]]))
    error = math.sqrt(first.var(ddof=1) / 3 + second.var(ddof=1) / 4)
    parts = np.array([1 / 3, 1 / 4])
    df = parts.sum() ** 2 / (parts**2 / np.array([2, 3])).sum()
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, df) * error)


@pytest.mark.parametrize(("k", "n"), [(3, 2), (3, 3), (2, 5)])
def test_intervals_cover_at_their_nominal_rate(k, n):
    """Over simulated ablations with skewed times the intervals hold the true credit about 95 times in 100."""
    random, on = np.random.default_rng(4), cells(k)
    means = 60 * np.prod(np.where(on, [0.7, 0.8, 1.1][:k], 1.0), axis=1)
    truth = shapley_contrasts(on) @ means
    covered = []
    for _ in range(400):
        drift = np.exp(0.1 * random.normal(size=(n, 1)))
        values = means * drift * np.exp(0.2 * random.normal(size=(n, 2**k)) - 0.02) / math.exp(0.005)
        found = factorial_credits(values, on, blocks(n), pooled=True)
        covered += [c.low <= true <= c.high for c, true in zip(found.credits, truth, strict=True)]
    assert 0.93 <= np.mean(covered) <= 0.975
