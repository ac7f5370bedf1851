"""Searches: the bracket holds the answer and is as narrow as stated; what was not simulated is not told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.lab.load.knee import find_knee, least_limit

RATES = (10.0, 20.0, 40.0, 80.0)


@given(st.floats(11, 79), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_bracket_holds_the_knee(knee: float, tolerance: float) -> None:
    """Both ends were simulated, the knee is between them, and they are within the tolerance."""
    seen: dict[float, bool] = {}

    def meets(rate: float) -> bool:
        seen[rate] = rate <= knee
        return seen[rate]

    found = find_knee(meets, RATES, tolerance)
    assert found.is_found
    assert found.met <= knee < found.missed
    assert found.missed - found.met <= tolerance * found.met
    assert seen[found.met]
    assert not seen[found.missed]
    assert set(RATES) <= set(seen)


def test_the_first_miss_counts() -> None:
    """A rate that is kept beyond one that is missed does not move the knee."""
    found = find_knee(lambda rate: rate < 30 or rate == 80, RATES, 0.05)
    assert found.met < 30 <= found.missed


def test_outside_the_rates_nothing_is_told() -> None:
    """With all kept or all missed one side stays open."""
    assert (
        find_knee(lambda rate: True, RATES, 0.05).met,
        find_knee(lambda rate: True, RATES, 0.05).missed,
    ) == (
        80.0,
        None,
    )
    assert find_knee(lambda rate: False, RATES, 0.05).met is None


@pytest.mark.parametrize("knee", [0.7, 300.0])
def test_beyond_the_rates_is_simulated_where_asked(knee: float) -> None:
    """With `beyond` the search goes on by halves and doubles until both sides are seen."""
    found = find_knee(lambda rate: rate <= knee, RATES, 0.05, beyond=True)
    assert found.met <= knee < found.missed


def test_below_the_floor_nothing_is_simulated() -> None:
    """The search down ends before the first rate below the floor."""
    seen: list[float] = []
    find_knee(lambda rate: seen.append(rate) or False, RATES, 0.05, beyond=True, floor=3)
    assert min(seen) == 5


def test_a_search_that_finds_nothing_ends() -> None:
    """A level that is never kept, or always, ends the search with that side open."""
    assert find_knee(lambda rate: False, RATES, 0.05, beyond=True).met is None
    assert find_knee(lambda rate: True, RATES, 0.05, beyond=True).missed is None
    assert least_limit(lambda limit: False, 100, 0.05).met is None


@given(st.floats(1, 1e5))
def test_the_least_limit_is_found_from_any_guess(limit: float) -> None:
    """The limit is between the least that was enough and the nearest that was not."""
    found = least_limit(lambda tried: tried >= limit, 300, 0.05)
    assert found.missed < limit <= found.met
    assert found.met - found.missed <= 0.05 * found.missed
