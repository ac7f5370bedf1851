"""The simulated server against queueing theory: M/M/c, hard limits, processor sharing."""

import asyncio
import heapq
import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from simulations import at_once, make_profile, simulate

from swarmlab.errors import RateLimitedError
from swarmlab.models import SimulatedServer
from swarmlab.models.draws import digest, share
from swarmlab.models.server import Served

MEAN_SERVICE_S = 1.0


def erlang_wait_s(c: int, utilization: float, service_s: float = MEAN_SERVICE_S) -> float:
    """Mean wait in an M/M/c queue. Source: Erlang's C formula (Kleinrock, "Queueing Systems" 1, 3.5)."""
    load = c * utilization
    blocked = load**c / math.factorial(c) / (1 - utilization)
    some = sum(load**k / math.factorial(k) for k in range(c))
    return blocked / (some + blocked) * service_s / (c * (1 - utilization))


def mmc_profile(c: int) -> Any:
    """Prefill only, exponential: 100 tokens take a second on average."""
    return make_profile(concurrency=c, jitter={"kind": "exponential"})


def open_loop(c: int, utilization: float, n: int, seed: int) -> tuple[list[float], list[Served]]:
    """Poisson arrivals at a server of c slots: arrival times and what was served."""
    gap_s = MEAN_SERVICE_S / (c * utilization)

    async def main(server: SimulatedServer) -> tuple[list[float], list[Served]]:
        arrivals, calls = [], []
        for number in range(n):
            await server.clock.sleep(-math.log(share(digest(seed, "arrival", number))) * gap_s)
            arrivals.append(server.clock.now_ns() / 1e9)
            calls.append(asyncio.create_task(server.complete(str(number), 100, 0)))
        return arrivals, await asyncio.gather(*calls)

    return simulate(mmc_profile(c), main, seed)[0]


def fifo_waits(arrivals: Iterable[float], services: Iterable[float], c: int) -> Iterator[float]:
    """Wait of each call where the first come goes to the first free of c servers.

    Source: Kiefer and Wolfowitz, "On the theory of queues with many servers" (1955).
    """
    free_at = [0.0] * c
    for arrival, service in zip(arrivals, services, strict=True):
        began = max(arrival, heapq.heappop(free_at))
        heapq.heappush(free_at, began + service)
        yield began - arrival


def seconds_served(call: Served) -> float:
    """How long a call held its slot."""
    return (call.prefill_ns + call.decode_ns) / 1e9


@pytest.mark.parametrize(("c", "utilization"), [(1, 0.5), (2, 0.7), (4, 0.8)])
def test_the_mean_wait_is_erlangs(c: int, utilization: float) -> None:
    """Poisson arrivals and exponential service wait as M/M/c queues do, within 5 %.

    The theory is asked at the rates that the draws came out at, which leaves less to chance.
    """
    arrivals, served = open_loop(c, utilization, 100_000, seed=1)
    service_s = sum(map(seconds_served, served)) / len(served)
    load = len(served) * service_s / arrivals[-1] / c
    assert (service_s, load) == pytest.approx((MEAN_SERVICE_S, utilization), rel=0.02)
    mean_s = sum(call.queue_ns for call in served) / len(served) / 1e9
    assert mean_s == pytest.approx(erlang_wait_s(c, load, service_s), rel=0.05)


@pytest.mark.parametrize("c", [1, 4])
def test_every_single_wait_is_that_of_a_fifo_queue(c: int) -> None:
    """Each of 5,000 waits at 95 % load is, to the microsecond, what the recursion of a FIFO queue gives."""
    arrivals, served = open_loop(c, 0.95, 5000, seed=2)
    expected = fifo_waits(arrivals, map(seconds_served, served), c)
    assert [call.queue_ns / 1e9 for call in served] == pytest.approx(list(expected), abs=1e-6)


def test_such_a_queue_waits_as_erlang_says_at_high_load_too() -> None:
    """At 90 % load chance asks for millions of calls, so there the recursion stands for the server."""
    n, c, utilization = 3_000_000, 4, 0.9
    draws = np.random.default_rng(1)
    arrivals = np.cumsum(draws.exponential(MEAN_SERVICE_S / (c * utilization), n)).tolist()
    waits = fifo_waits(arrivals, draws.exponential(MEAN_SERVICE_S, n).tolist(), c)
    assert sum(waits) / n == pytest.approx(erlang_wait_s(c, utilization), rel=0.05)


async def _insist(server: SimulatedServer, until_s: float, served_at: list[float]) -> None:
    """Ask again and again, waiting as long as a refusal says."""
    while server.clock.now_ns() < until_s * 1e9:
        try:
            await server.complete("x", 80, 20)
        except RateLimitedError as refusal:
            await server.clock.sleep(refusal.retry_after_s)
        else:
            served_at.append(server.clock.now_ns() / 1e9)


@pytest.mark.parametrize(
    ("limits", "per_minute"),
    [
        ({"tokens_per_minute": 6000}, 60),
        ({"requests_per_minute": 45}, 45),
        ({"requests_per_minute": 90, "tokens_per_minute": 7000}, 70),
    ],
)
def test_throughput_is_what_the_limits_allow(limits: dict[str, float], per_minute: float) -> None:
    """With more demand than a limit allows, calls per minute are the limit's within 1 %."""

    async def main(server: SimulatedServer) -> list[float]:
        served_at: list[float] = []
        await asyncio.gather(*(_insist(server, 3600, served_at) for _ in range(20)))
        return served_at

    served_at, server = simulate(make_profile(concurrency=1000, limits=limits), main)
    late = [at for at in served_at if 600 < at <= 3600]
    assert len(late) / 50 == pytest.approx(per_minute, rel=0.01)
    # The bucket was full at first: one minute's worth more than the rate.
    assert len(served_at) == pytest.approx(per_minute * 61, rel=0.01)
    assert server.stats.refused > 0


def test_a_full_bucket_lets_a_minutes_worth_through_and_then_one_by_one() -> None:
    """The first 60 of 65 requests pass at once, and each refused one at the very time it was told."""

    async def one(server: SimulatedServer) -> float:
        while True:
            try:
                await server.complete("x", 100, 0)
            except RateLimitedError as refusal:
                await server.clock.sleep(refusal.retry_after_s)
            else:
                return server.clock.now_ns() / 1e9 - 1

    async def main(server: SimulatedServer) -> list[float]:
        return sorted(await asyncio.gather(*(one(server) for _ in range(65))))

    limited = make_profile(concurrency=100, limits={"requests_per_minute": 60})
    at, _ = simulate(limited, main)
    assert at[:60] == pytest.approx([0.0] * 60)
    assert [later - earlier for earlier, later in pairwise(at[59:])] == pytest.approx([1.0] * 5)


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("slowdown", [0.0, 0.25, 1.0])
def test_a_batch_lasts_what_the_formula_says(n: int, slowdown: float) -> None:
    """n equal calls at once each take 1 + slowdown * (n - 1) times as long as one alone."""
    profile = make_profile(concurrency=8, batching={"slowdown": slowdown})
    served, server = simulate(profile, lambda server: at_once(server, [(str(i), 200, 30) for i in range(n)]))
    factor = 1 + slowdown * (n - 1)
    alone_s = server.seconds(200, 0, 30)
    for call in served:
        assert call.queue_ns == 0
        assert call.prefill_ns / 1e9 == pytest.approx(alone_s[0] * factor, abs=1e-5)
        assert call.decode_ns / 1e9 == pytest.approx(alone_s[1] * factor, abs=1e-5)
    assert server.stats.busy_s == pytest.approx(sum(alone_s) * factor * n, abs=1e-4)


def test_a_call_that_joins_slows_the_others_from_then_on() -> None:
    """A second call after 1 s of a 4 s call, taking turns: both go at half speed until the first is done."""

    async def main(server: SimulatedServer) -> list[int]:
        async def late() -> int:
            await server.clock.sleep(1)
            await server.complete("late", 100, 0)
            return server.clock.now_ns()

        async def early() -> int:
            await server.complete("early", 400, 0)
            return server.clock.now_ns()

        return list(await asyncio.gather(early(), late()))

    ended, _ = simulate(make_profile(concurrency=2, batching={"slowdown": 1.0}), main)
    # The late call's second of work takes 2 s; then 2 s of the early one's are left.
    assert [at / 1e9 for at in ended] == pytest.approx([5.0, 3.0], abs=1e-5)
