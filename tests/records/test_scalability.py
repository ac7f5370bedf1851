"""The Universal Scalability Law: known parameters come back, intervals hold them, nothing is extrapolated."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.errors import UserError
from swarmlab.records.scalability import fit_usl, usl_throughput

USERS = [1, 2, 4, 8, 16, 32, 64]


def throughput(users: list[int], per_user: float, contention: float, coherency: float) -> np.ndarray:
    """The law's throughput."""
    return usl_throughput(np.array(users, dtype=float), per_user, contention, coherency)


@given(st.floats(0.01, 1e5), st.floats(0, 0.9), st.floats(0, 0.05))
def test_exact_throughput_gives_its_parameters_back(
    per_user: float, contention: float, coherency: float
) -> None:
    """Without noise the fit is the law that made the data, and says that it saw no spread."""
    fit = fit_usl(USERS, throughput(USERS, per_user, contention, coherency))
    assert fit.per_user.value == pytest.approx(per_user, rel=1e-6)
    assert fit.contention.value == pytest.approx(contention, abs=1e-6)
    assert fit.coherency.value == pytest.approx(coherency, abs=1e-8)
    assert fit.worst_residual < 1e-6


def test_gunthers_peak_is_found_inside_the_data() -> None:
    """The peak is at the root of (1 - sigma) / kappa, here 20 users, with an interval that holds it."""
    noise = np.exp(np.random.default_rng(3).normal(0, 0.02, len(USERS)))
    fit = fit_usl(USERS, throughput(USERS, 100, 0.04, 0.0024) * noise)
    assert fit.peak_users.value == pytest.approx(20, rel=0.1)
    assert fit.peak_users.low < 20 < fit.peak_users.high
    assert fit.peak_per_h == pytest.approx(fit.throughput(fit.peak_users.value))


@pytest.mark.parametrize(("contention", "coherency"), [(0, 0), (0.3, 0), (0.05, 0.0001)])
def test_a_peak_that_was_not_reached_is_not_told(contention: float, coherency: float) -> None:
    """Linear, Amdahl, and a peak beyond the users simulated: no peak, and the reason."""
    fit = fit_usl(USERS, throughput(USERS, 10, contention, coherency))
    assert math.isnan(fit.peak_users.value)
    assert math.isnan(fit.peak_per_h)
    assert "not reached with the 64 users" in str(fit.peak_users.why)


@pytest.mark.parametrize(("contention", "coherency"), [(1, 0), (0.9, 0.5)])
def test_throughput_that_never_rises_has_no_peak_inside(contention: float, coherency: float) -> None:
    """Where a second user makes it no better, or worse, there is no number of users to name."""
    fit = fit_usl(USERS, throughput(USERS, 10, contention, coherency))
    assert math.isnan(fit.peak_users.value)
    assert "does not rise" in str(fit.peak_users.why)


def test_the_law_is_silent_beyond_the_users_simulated() -> None:
    """Asked for more users than were simulated it refuses, and says to simulate more."""
    fit = fit_usl(USERS, throughput(USERS, 10, 0.1, 0.001))
    assert fit.throughput(64) == pytest.approx(throughput([64], 10, 0.1, 0.001)[0])
    with pytest.raises(UserError, match="1 to 64 users and says nothing about 65"):
        fit.throughput(65)


@pytest.mark.parametrize(
    ("contention", "coherency", "spread"),
    [(0.05, 0.002, 0.03), (0.2, 0.0005, 0.05), (0.0, 0.0, 0.03), (0.5, 0.0, 0.02)],
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    contention: float, coherency: float, spread: float
) -> None:
    """Over 200 draws of noise the 95 % intervals hold in 91 to 99 %, at a bound more often."""
    draw = np.random.default_rng(5)
    users = USERS * 2
    truth = throughput(users, 50, contention, coherency)
    held = {"per_user": 0, "contention": 0, "coherency": 0}
    for _ in range(200):
        fit = fit_usl(users, truth * np.exp(draw.normal(0, spread, len(users))))
        for name, value in (("per_user", 50), ("contention", contention), ("coherency", coherency)):
            estimate = getattr(fit, name)
            held[name] += estimate.low <= value <= estimate.high
    for name, count in held.items():
        is_at_bound = {"contention": contention == 0, "coherency": coherency == 0}.get(name, False)
        assert 0.91 <= count / 200 <= (1.0 if is_at_bound or 0 in (contention, coherency) else 0.99), name


@given(st.lists(st.floats(0.5, 2), min_size=14, max_size=14))
def test_an_interval_holds_its_estimate_and_keeps_the_bounds(noise: list[float]) -> None:
    """Whatever the noise: low <= value <= high, and no contention or coherency below zero."""
    users = USERS * 2
    fit = fit_usl(users, throughput(users, 50, 0.1, 0.001) * np.array(noise))
    for estimate in (fit.per_user, fit.contention, fit.coherency):
        if estimate.low is not None and estimate.high is not None:
            assert 0 <= estimate.low <= estimate.value * (1 + 1e-6)
            assert estimate.value <= estimate.high * (1 + 1e-6) + 1e-12
    assert fit.contention.value <= 1


def test_the_unit_of_throughput_does_not_matter() -> None:
    """An hour's or a second's throughput give the same contention and coherency."""
    noisy = throughput(USERS, 50, 0.1, 0.001) * np.exp(np.random.default_rng(1).normal(0, 0.05, len(USERS)))
    hour, second = fit_usl(USERS, noisy), fit_usl(USERS, noisy / 3600)
    assert second.contention.value == pytest.approx(hour.contention.value, rel=1e-9)
    assert second.coherency.high == pytest.approx(hour.coherency.high, rel=1e-6)


def test_too_few_steps_and_no_throughput_are_refused() -> None:
    """Three parameters take four different numbers of users, and a throughput above zero."""
    with pytest.raises(UserError, match="takes 4 different numbers of users, got 3"):
        fit_usl([1, 2, 4, 4], [1, 2, 3, 3])
    with pytest.raises(UserError, match="above zero"):
        fit_usl([1, 2, 4, 8], [1, 2, 3, 0])


def test_a_fit_is_ready_for_json() -> None:
    """What is not known is null, never NaN."""
    fit = fit_usl(USERS, throughput(USERS, 10, 0.3, 0))
    told = json.loads(json.dumps(fit.as_dict(), allow_nan=False))
    assert told["peak_users"]["value"] is None
    assert told["contention"]["value"] == pytest.approx(0.3)
    assert told["largest_users"] == 64
