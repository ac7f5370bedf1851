"""Put a load on a world: open loop (arrivals that wait for nobody) and closed loop (users who ask again).

A world is anything that runs one analysis on a clock: a simulated machine, or a queue with a known answer.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

from swarmlab.lab.load.arrivals import Request
from swarmlab.trace.clock import Clock


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one analysis came to; `error` is None when it succeeded."""

    error: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    cache_hits: int = 0
    cache_misses: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What the provider saw in a whole step; None where the world cannot tell."""

    model_busy_s: float | None = None
    """Seconds in which calls were served, added up over calls."""
    model_slots: int | None = None
    """Calls that it serves at once."""
    model_queue_max: int | None = None
    refused: int | None = None
    """Calls refused for a limit (429)."""
    charged_usd: float | None = None
    """For all calls, those of analyses that were given up among them."""


class World(Protocol):
    """One simulated machine and provider, empty at the start."""

    @property
    def clock(self) -> Clock:
        """The clock that everything in it goes by."""

    async def run(self, request: Request) -> Outcome:
        """Run one analysis; its failure is an outcome, not an exception."""

    def usage(self) -> Usage:
        """What the provider saw up to now."""


@dataclass(frozen=True, slots=True)
class Served:
    """What became of a request; times in seconds from the start of the step."""

    request: Request
    intended_s: float
    start_s: float | None
    """When it got a worker; None where it was given up before."""
    end_s: float
    status: str
    """ok, failed or timeout."""
    outcome: Outcome
    is_warm_up: bool = False

    def row(self, step: int, timeout_s: float) -> Mapping[str, Any]:
        """Return its row of the `requests` table."""
        taken_s = self.end_s - self.intended_s
        outcome = self.outcome
        return {
            "step": step,
            "request": self.request.number,
            "brief": self.request.brief,
            "exam_seed": self.request.exam_seed,
            "repeat": self.request.is_repeat,
            "warm_up": self.is_warm_up,
            "intended_start_s": self.intended_s,
            "start_s": self.start_s,
            "end_s": self.end_s,
            "status": self.status,
            "error": outcome.error or "",
            # A fast failure is no fast answer.
            "latency_s": taken_s if self.status == "ok" else max(taken_s, timeout_s),
            "prompt_tokens": outcome.prompt_tokens,
            "completion_tokens": outcome.completion_tokens,
            "cache_hits": outcome.cache_hits,
            "cache_misses": outcome.cache_misses,
            "cost_usd": outcome.cost_usd,
        }


async def open_loop(
    world: World, requests: Sequence[Request], *, pool: int | None, timeout_s: float, warm_up: float = 0.0
) -> list[Served]:
    """Start each request when it is due, whatever became of those before it.

    Parameters
    ----------
    world
        Where the analyses run.
    requests
        In the order of their intended starts.
    pool
        Analyses that run at once; others wait for a worker in the order of arrival. None: none waits.
    timeout_s
        From the intended start; then a request is given up, in the queue or at work.
    warm_up
        First share of the requests that is marked as not counted.

    Returns
    -------
    list of Served
        One a request, in their order.
    """
    clock = world.clock
    step = _Step(world, timeout_s, clock.now_ns(), nullcontext() if pool is None else asyncio.Semaphore(pool))
    n_warm_up = int(len(requests) * warm_up)
    tasks: list[asyncio.Task[Served]] = []
    async with _task_group() as group:
        for request in requests:
            wait_s = request.intended_s - step.now_s()
            if wait_s > 0:
                await clock.sleep(wait_s)
            tasks.append(group.create_task(step.serve(request, request.intended_s)))
    return [replace(task.result(), is_warm_up=place < n_warm_up) for place, task in enumerate(tasks)]


async def closed_loop(
    world: World,
    requests: Iterator[Request],
    *,
    n_users: int,
    n_warm_up: int,
    n_counted: int,
    least_s: float = 0.0,
) -> list[Served]:
    """Keep so many users busy: each asks again as soon as its analysis is done, and gives none up.

    Parameters
    ----------
    world
        Where the analyses run, all at once.
    requests
        What the users ask, in the order in which they come to ask.
    n_users
        Users.
    n_warm_up, n_counted
        Analyses that end before the count begins, and that are counted at least; then the rest is called off.
    least_s
        Time from the start for which the loop goes on at least, however many have ended.

    Returns
    -------
    list of Served
        In the order in which they ended, the first `n_warm_up` marked as not counted.
    """
    step = _Step(world, None, world.clock.now_ns(), nullcontext())
    ended: list[Served] = []
    is_done = asyncio.Event()

    async def ask_again() -> None:
        while not is_done.is_set():
            ended.append(await step.serve(next(requests), step.now_s()))
            if len(ended) >= n_warm_up + n_counted and step.now_s() >= least_s:
                is_done.set()

    async with _task_group() as group:
        users = [group.create_task(ask_again()) for _ in range(n_users)]
        await is_done.wait()
        for user in users:
            user.cancel()
    return [replace(served, is_warm_up=place < n_warm_up) for place, served in enumerate(ended)]


@dataclass(frozen=True, slots=True)
class _Step:
    world: World
    timeout_s: float | None
    origin_ns: int
    workers: AbstractAsyncContextManager[None]

    def now_s(self) -> float:
        return (self.world.clock.now_ns() - self.origin_ns) / 1e9

    async def serve(self, request: Request, intended_s: float) -> Served:
        start_s: float | None = None
        try:
            async with asyncio.timeout(self.timeout_s), self.workers:
                start_s = self.now_s()
                outcome = await self.world.run(request)
            status = "ok" if outcome.error is None else "failed"
        except TimeoutError:
            outcome, status = Outcome(error=f"not done within {self.timeout_s:g} s"), "timeout"
        return Served(request, intended_s, start_s, self.now_s(), status, outcome)


@asynccontextmanager
async def _task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises what broke it as it was raised."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as broken:
        raise broken.exceptions[0] from None
