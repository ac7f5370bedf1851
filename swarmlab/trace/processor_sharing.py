"""A resource that the jobs of a simulation share equally, such as processors or a batching model server."""

import asyncio
import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

from swarmlab.trace.clock import Clock

_ROUNDING_NS = 501.0
"""A job ends at the microsecond nearest to its end, and so with up to half a one of its work left."""


@dataclass(slots=True)
class _Job:
    done: "asyncio.Future[None]"
    is_active: bool = True


class ProcessorSharing:
    """Egalitarian processor sharing: with n jobs each goes on at `rate(n)` of the speed it would have alone.

    Source: Kleinrock, "Queueing Systems", volume 2 (1976), section 4.4.

    Parameters
    ----------
    clock
        The time it serves in. On a virtual clock jobs end at whole microseconds.
    rate
        Seconds of a job's own work done in a second while n jobs are served; positive for every n from 1.
        `lambda n: min(1.0, cores / n)` is `cores` processors.
    """

    def __init__(self, clock: Clock, rate: Callable[[int], float]) -> None:
        self.n_active = 0
        """Jobs served at this moment."""
        self._clock = clock
        self._rate_of = rate
        self._rate = 1.0
        # What a job that was always there has attained; the jobs as a heap by how much of this ends them.
        self._attained_ns = 0.0
        self._jobs: list[tuple[float, int, _Job]] = []
        self._since_ns = clock.now_ns()
        self._n_served = 0
        self._timer: asyncio.TimerHandle | None = None

    async def serve(self, work_s: float) -> None:
        """Return when a job that alone would last `work_s` seconds is done; cancelled, it leaves at once.

        Raises
        ------
        ValueError
            The work is negative or not finite, or `rate` is not positive.
        """
        if not 0 <= work_s < math.inf:
            raise ValueError(f"a job's work must be a finite number of seconds from 0, got {work_s!r}")
        if work_s == 0:
            return
        self._advance()
        self._change_load(self.n_active + 1)
        self._n_served += 1
        job = _Job(asyncio.get_running_loop().create_future())
        heapq.heappush(self._jobs, (self._attained_ns + work_s * 1e9, self._n_served, job))
        self._set_timer()
        try:
            await job.done
        finally:
            if job.is_active:
                job.is_active = False
                self._advance()
                self._change_load(self.n_active - 1)
                self._set_timer()

    def _advance(self) -> None:
        """Account for the time since the load last changed."""
        now_ns = self._clock.now_ns()
        if self.n_active:
            self._attained_ns += (now_ns - self._since_ns) * self._rate
        else:
            # Nobody is left to whom the sum matters, and small numbers are the more exact.
            self._attained_ns = 0.0
        self._since_ns = now_ns

    def _change_load(self, n: int) -> None:
        rate = self._rate_of(n) if n else 1.0
        if not 0 < rate < math.inf:
            raise ValueError(f"the rate of {n} jobs must be a positive number, got {rate!r}")
        self.n_active, self._rate = n, rate

    def _set_timer(self) -> None:
        """Have the job that ends first end when it does."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._jobs and not self._jobs[0][2].is_active:
            heapq.heappop(self._jobs)
        if self._jobs:
            left_ns = max(self._jobs[0][0] - self._attained_ns, 0.0)
            self._timer = asyncio.get_running_loop().call_later(left_ns / self._rate / 1e9, self._end_jobs)

    def _end_jobs(self) -> None:
        self._advance()
        ended = 0
        while self._jobs and self._jobs[0][0] <= self._attained_ns + _ROUNDING_NS * self._rate:
            job = heapq.heappop(self._jobs)[2]
            if job.is_active:
                job.is_active = False
                ended += 1
                # It is done already where its task is being cancelled at this very moment.
                if not job.done.done():
                    job.done.set_result(None)
        self._change_load(self.n_active - ended)
        self._set_timer()
