"""Worlds with known answers: queues whose throughput and waiting time have formulas."""

import asyncio
import math
import random
from collections.abc import Callable

from swarmlab.agents.levels import Level
from swarmlab.lab.load.arrivals import Request
from swarmlab.lab.load.loops import Outcome, Usage
from swarmlab.models.profile import Profile
from swarmlab.trace.clock import VirtualClock

Service = Callable[[Request, random.Random], float]


class QueueWorld:
    """`servers` at once, each request served for a drawn time; others wait in the order of arrival."""

    def __init__(self, servers: int, service: Service, seed: int = 0) -> None:
        self.clock = VirtualClock()
        self._free = asyncio.Semaphore(servers)
        self._servers = servers
        self._service = service
        self._draw = random.Random(f"service/{seed}")
        self._busy_s = 0.0

    async def run(self, request: Request) -> Outcome:
        """Wait for a server, and be served."""
        seconds = self._service(request, self._draw)
        async with self._free:
            await self.clock.sleep(seconds)
        self._busy_s += seconds
        return Outcome(prompt_tokens=900, completion_tokens=100, cost_usd=0.01, cache_misses=12)

    def usage(self) -> Usage:
        """Busy seconds and slots."""
        return Usage(model_busy_s=self._busy_s, model_slots=self._servers)


def exponential(mean_s: float) -> Service:
    """Service times of an M/M/c queue."""
    return lambda request, draw: draw.expovariate(1 / mean_s)


def queue_worlds(servers: int, service: Service) -> Callable[[Profile, Level, int], QueueWorld]:
    """A maker of such worlds, whatever the profile and level."""
    return lambda profile, level, seed: QueueWorld(servers, service, seed)


def erlang_c(servers: int, load: float) -> float:
    """Probability that an arrival waits in an M/M/c queue with `load` erlangs.

    Source: Kleinrock, "Queueing Systems", volume 1 (1975), section 3.5.
    """
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(load**k / math.factorial(k) for k in range(servers)) + last)


def mean_wait_s(servers: int, rate_per_s: float, mean_service_s: float) -> float:
    """Mean wait in the queue of M/M/c."""
    load = rate_per_s * mean_service_s
    return erlang_c(servers, load) * mean_service_s / (servers - load)


def latency_beyond(servers: int, rate_per_s: float, mean_service_s: float, latency_s: float) -> float:
    """Probability that wait and service of M/M/c together take longer than `latency_s`."""
    mu, load = 1 / mean_service_s, rate_per_s * mean_service_s
    waits = erlang_c(servers, load)
    drain = servers * mu - rate_per_s
    if math.isclose(drain, mu):
        return math.exp(-mu * latency_s) * (1 + waits * mu * latency_s)
    both = waits * (drain * math.exp(-mu * latency_s) - mu * math.exp(-drain * latency_s)) / (drain - mu)
    return (1 - waits) * math.exp(-mu * latency_s) + both
