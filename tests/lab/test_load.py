"""Load on queues with known answers: open loop, closed loop, timeouts and the pool."""

import heapq
import random

import numpy as np
import pytest
from queue_worlds import QueueWorld, exponential, mean_wait_s

from swarmlab.errors import DeadlockError
from swarmlab.lab.load.arrivals import Mix, Poisson, Request, arrival_times
from swarmlab.lab.load.loops import Outcome, Served, closed_loop, open_loop
from swarmlab.records.load_tables import requests_frame, step_row

ONE_SECOND = lambda request, draw: 1.0  # noqa: E731 - a constant service time


def requests_at(*times_s: float) -> list[Request]:
    """Requests that are intended at these times."""
    return Mix((1.0,), 0.0, 0).requests(times_s)


def summed(served: list[Served], timeout_s: float = 1e6, **about: object) -> dict[str, object]:
    """The step's row."""
    told = {"kind": "open", "slo_percentile": 95, "slo_latency_s": 15, "pool": None, **about}
    return step_row(requests_frame(one.row(0, timeout_s) for one in served), told)


def test_latency_counts_from_the_intended_start() -> None:
    """A request that finds the one server busy has the wait in its latency."""
    world = QueueWorld(1, ONE_SECOND)
    served = world.clock.run(open_loop(world, requests_at(0, 0, 0.5), pool=None, timeout_s=100))
    times = [(one.intended_s, one.start_s, one.end_s) for one in served]
    assert times == [(0, 0, 1), (0, 0, 2), (0.5, 0.5, 3)]


def test_a_pool_lets_so_many_work_and_keeps_the_order() -> None:
    """With two workers the third and fourth request start when the first two end."""
    world = QueueWorld(10, ONE_SECOND)
    served = world.clock.run(open_loop(world, requests_at(0, 0, 0.1, 0.2), pool=2, timeout_s=100))
    assert [one.start_s for one in served] == [0, 0, 1, 1]
    row = summed(served, pool=2)
    assert row["pool_utilisation"] == pytest.approx(1.0)
    assert row["queue_max"] == 2


def test_a_request_that_is_given_up_leaves_the_queue_and_counts() -> None:
    """What times out has status timeout, at work or in the queue, and at least the timeout's latency."""
    world = QueueWorld(1, lambda request, draw: 5.0)
    served = world.clock.run(open_loop(world, requests_at(0, 1, 1), pool=1, timeout_s=6))
    assert [(one.status, one.start_s, one.end_s) for one in served] == [
        ("ok", 0, 5),
        ("timeout", 5, 7),
        ("timeout", None, 7),
    ]
    row = summed(served, 6, pool=1)
    assert (row["attempted"], row["succeeded"], row["timed_out"]) == (3, 1, 2)
    assert row["latency_mean_s"] == pytest.approx((5 + 6 + 6) / 3)


def test_a_fast_failure_is_no_fast_answer() -> None:
    """A failure after no time at all has the timeout's latency in the percentiles."""

    class Broken(QueueWorld):
        async def run(self, request: Request) -> Outcome:
            return Outcome(error="no")

    world = Broken(1, ONE_SECOND)
    served = world.clock.run(open_loop(world, requests_at(0, 1), pool=None, timeout_s=30))
    row = summed(served, 30)
    assert (row["failed"], row["error_rate"], row["latency_p50_s"]) == (2, 1.0, 30)


def test_an_exception_of_the_world_ends_the_step_as_it_is() -> None:
    """A defect is not hidden in an exception group, nor counted as a failed request."""

    class Defect(QueueWorld):
        async def run(self, request: Request) -> Outcome:
            raise ZeroDivisionError

    for load in (
        lambda world: open_loop(world, requests_at(0, 1), pool=None, timeout_s=30),
        lambda world: closed_loop(world, Mix((1.0,), 0, 0).stream(), n_users=2, n_warm_up=1, n_counted=2),
    ):
        world = Defect(1, ONE_SECOND)
        with pytest.raises(ZeroDivisionError):
            world.clock.run(load(world))


def test_a_deadlock_of_the_world_is_said() -> None:
    """A world that waits for ever does not hang the load."""
    world = QueueWorld(0, ONE_SECOND)
    with pytest.raises(DeadlockError):
        world.clock.run(closed_loop(world, Mix((1.0,), 0, 0).stream(), n_users=2, n_warm_up=1, n_counted=2))


@pytest.mark.parametrize(("servers", "users", "per_s"), [(1, 1, 1), (1, 5, 1), (4, 2, 2), (4, 16, 4)])
def test_a_closed_loop_has_the_throughput_of_its_servers_or_its_users(
    servers: int, users: int, per_s: int
) -> None:
    """Of constant one-second services the throughput is the smaller of users and servers a second."""
    world = QueueWorld(servers, ONE_SECOND)
    load = closed_loop(
        world, Mix((1.0,), 0, 0).stream(), n_users=users, n_warm_up=2 * users, n_counted=4 * users
    )
    served = world.clock.run(load)
    assert len(served) >= 6 * users
    assert summed(served, kind="closed")["throughput_per_h"] == pytest.approx(3600 * per_s)


def test_an_mmc_queue_waits_as_erlang_says() -> None:
    """Mean wait within 5 % of Erlang C; and every row keeps Little's law, throughput and utilisation."""
    servers, mean_s, rate = 4, 1.0, 2.8
    rows = []
    for seed in range(4):
        world = QueueWorld(10**6, exponential(mean_s), seed)
        requests = Mix((1.0,), 0.0, seed).requests(arrival_times(Poisson(), rate * 3600, 25_000, seed))
        load = open_loop(world, requests, pool=servers, timeout_s=1e6, warm_up=0.02)
        rows.append(summed(world.clock.run(load), pool=servers))
    waits = [row["wait_mean_s"] for row in rows]
    assert np.mean(waits) == pytest.approx(mean_wait_s(servers, rate, mean_s), rel=0.05)
    for row in rows:
        assert row["in_system_mean"] == pytest.approx(rate * row["latency_mean_s"], rel=0.03)
        assert row["queue_mean"] == pytest.approx(rate * row["wait_mean_s"], rel=0.03)
        assert row["throughput_per_h"] == pytest.approx(rate * 3600, rel=0.03)
        assert row["pool_utilisation"] == pytest.approx(rate * mean_s / servers, rel=0.03)


@pytest.mark.parametrize("via_pool", [False, True])
def test_each_request_ends_when_the_recursion_says(via_pool: bool) -> None:
    """In the world's queue and in the pool's, every end is that of Kiefer and Wolfowitz's recursion."""
    servers = 3
    times = arrival_times(Poisson(), 9000, 3000, 1)
    world = QueueWorld(10**6 if via_pool else servers, exponential(1.0), 1)
    load = open_loop(
        world, Mix((1.0,), 0.0, 1).requests(times), pool=servers if via_pool else None, timeout_s=1e6
    )
    served = world.clock.run(load)
    draw = random.Random("service/1")
    free = [0.0] * servers
    for one in served:
        start = max(one.intended_s, heapq.heappop(free))
        end = round(start + exponential(1.0)(one.request, draw), 6)
        assert one.end_s == pytest.approx(end, abs=1e-4)
        heapq.heappush(free, end)


def test_a_hundred_runs_are_one() -> None:
    """The same seed gives the same request table, to the byte."""
    tables = set()
    for _ in range(20):
        world = QueueWorld(2, exponential(1.0), seed=7)
        times = arrival_times(Poisson(), 5000, 200, 7)
        load = open_loop(world, Mix((2.0, 1.0), 0.4, 7).requests(times), pool=3, timeout_s=9)
        served = world.clock.run(load)
        tables.add(requests_frame(one.row(0, 9) for one in served).to_csv())
    assert len(tables) == 1


def test_a_closed_loop_goes_on_for_its_time() -> None:
    """With a least time more analyses are counted than were asked for."""
    world = QueueWorld(1, ONE_SECOND)
    load = closed_loop(world, Mix((1.0,), 0, 0).stream(), n_users=1, n_warm_up=2, n_counted=3, least_s=20)
    served = world.clock.run(load)
    assert len(served) == 20
    assert sum(one.is_warm_up for one in served) == 2


def test_the_users_of_a_closed_loop_ask_in_turn() -> None:
    """Analyses are taken from one stream, so no user asks what another is asked to."""
    world = QueueWorld(3, exponential(1.0))
    load = closed_loop(world, Mix((1.0,), 0.3, 0).stream(), n_users=3, n_warm_up=0, n_counted=30)
    numbers = sorted(one.request.number for one in world.clock.run(load))
    assert len(numbers) == len(set(numbers)) >= 30
    assert set(range(28)) <= set(numbers)
