"""The world of a capacity step: the swarm's own code, one provider and cache for all, limits that bind."""

from typing import Any

import pytest
from lab_fakes import DATA

from swarmlab.agents.levels import LEVELS
from swarmlab.data import open_dataset
from swarmlab.lab.api import make_cell
from swarmlab.lab.load.arrivals import Request
from swarmlab.lab.load.loops import open_loop
from swarmlab.lab.load.spec import CapacitySpec
from swarmlab.lab.load.steps import MakeWorld, Steps, silent
from swarmlab.lab.load.world import simulated_worlds
from swarmlab.lab.simulate import Simulator
from swarmlab.models.profile import Limits, Profile, load_profile


@pytest.fixture(scope="module")
def profile() -> Profile:
    """A profile without jitter, so that equal work takes equal time."""
    shipped = load_profile("embedded-2core")
    return shipped.model_copy(update={"jitter": type(shipped.jitter)(), "concurrency": 8})


@pytest.fixture(scope="module")
def make_world() -> MakeWorld:
    """Worlds on a small generated dataset."""
    return simulated_worlds(CapacitySpec(data=DATA), open_dataset(DATA))


def asked(number: int, seed: int, at_s: float = 0.0) -> Request:
    """A request of the only brief."""
    return Request(number, at_s, 0, seed, False)


def ends(world: Any, requests: list[Request], timeout_s: float = 1e5) -> list[Any]:
    """Run requests in the world."""
    return list(world.clock.run(open_loop(world, requests, pool=None, timeout_s=timeout_s)))


@pytest.mark.parametrize("level", ["blackboard", "full"])
def test_a_lone_analysis_is_the_run_that_the_laboratory_measures(make_world: MakeWorld, level: str) -> None:
    """One request in an empty world takes the time and tokens of the same cell run by itself."""
    shipped = load_profile("embedded-2core")
    served = ends(make_world(shipped, LEVELS[level], 0), [asked(0, 0)])[0]
    cell = make_cell({"level": level, "data": DATA, "model": "simulated", "seed": 0, "out": "none"})
    record, _ = Simulator().run(cell)
    assert served.end_s == pytest.approx(record.duration_s, abs=1e-5)
    assert served.outcome.prompt_tokens == record.prompt_tokens
    assert served.outcome.completion_tokens == record.completion_tokens
    assert served.outcome.cost_usd == record.cost_usd


def test_a_repeat_is_served_from_the_cache_only_where_there_is_one(
    make_world: MakeWorld, profile: Profile
) -> None:
    """Full finds the whole analysis of an earlier request; blackboard does everything again."""
    for level, is_cached in (("full", True), ("blackboard", False)):
        first, again = ends(make_world(profile, LEVELS[level], 0), [asked(0, 7), asked(1, 7, 1000.0)])
        assert first.outcome.cache_hits == 0
        assert (again.outcome.cache_hits > 0) == is_cached
        assert (again.end_s - 1000.0 < 0.1) == is_cached
        assert (again.outcome.completion_tokens == 0) == is_cached


def test_analyses_share_the_provider(make_world: MakeWorld, profile: Profile) -> None:
    """On one slot two analyses at once take about twice as long as one; on eight they do not."""
    lasts = {}
    for slots in (1, 8):
        world = make_world(profile.model_copy(update={"concurrency": slots}), LEVELS["blackboard"], 0)
        lasts[slots] = max(one.end_s for one in ends(world, [asked(0, 1), asked(1, 2)]))
        assert world.usage().model_slots == slots
    assert lasts[1] > 1.3 * lasts[8]


def test_limits_of_the_step_bind(make_world: MakeWorld, profile: Profile) -> None:
    """With few requests a minute the provider refuses some, and the analyses take longer."""
    taken = {}
    for per_minute in (None, 30.0):
        limited = profile.model_copy(update={"limits": Limits(requests_per_minute=per_minute)})
        world = make_world(limited, LEVELS["full"], 0)
        served = ends(world, [asked(number, number) for number in range(6)])
        taken[per_minute] = (max(one.end_s for one in served), world.usage().refused)
    assert taken[None][1] == 0
    assert taken[30.0][1] > 0
    assert taken[30.0][0] > taken[None][0]


def test_what_was_given_up_is_charged(make_world: MakeWorld, profile: Profile) -> None:
    """An analysis cancelled at its timeout has no outcome, and its calls so far are on the bill."""
    priced = profile.model_copy(
        update={"prices": profile.prices.model_copy(update={"input_per_million_usd": 1.0})}
    )
    world = make_world(priced, LEVELS["blackboard"], 0)
    served = ends(world, [asked(0, 0)], timeout_s=10.0)[0]
    assert (served.status, served.end_s, served.outcome.cost_usd) == ("timeout", 10.0, 0)
    assert world.usage().charged_usd > 0


def test_a_step_is_the_same_whenever_it_is_simulated(make_world: MakeWorld, profile: Profile) -> None:
    """Two simulations of a step, jitter and repeats in it, have equal request tables."""
    spec = CapacitySpec.model_validate(
        {"data": DATA, "users": 40, "slo": {"percentile": 70}, "repeat_rate": 0.4}
    )
    jittery = load_profile("embedded-2core")
    tables = []
    for _ in range(2):
        steps = Steps(spec, make_world, silent)
        steps.open(jittery, LEVELS["full"], 200.0, 3, "rate")
        tables.append(steps.requests.to_csv())
    assert tables[0] == tables[1]
