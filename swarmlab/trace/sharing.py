"""Processors shared equally by the tool calls that run at once."""

import heapq
from bisect import bisect_right

from swarmlab.trace.tree import SpanTree


class SharedProcessors:
    """Egalitarian processor sharing: with n jobs on p processors each goes at rate min(1, p / n).

    Source: Kleinrock, "Queueing Systems", volume 2 (1976), section 4.4.
    """

    def __init__(self, cores: float) -> None:
        self._cores = cores
        self._attained = 0.0
        self._since_ns = 0
        self._jobs: list[tuple[float, int]] = []
        self.version = 0
        """Changes whenever the rate does; an end that was foreseen under an older version is void."""

    def add(self, job: int, work_ns: float, now_ns: int) -> None:
        """Start a job that alone would last `work_ns`."""
        self._advance(now_ns)
        heapq.heappush(self._jobs, (self._attained + work_ns, job))
        self.version += 1

    def next_end(self, now_ns: int) -> tuple[int, int] | None:
        """When the next job ends if none is added, and the version this was foreseen under."""
        self._advance(now_ns)
        if not self._jobs:
            return None
        left = max(self._jobs[0][0] - self._attained, 0.0)
        return now_ns + round(left / self._rate()), self.version

    def take_ended(self, now_ns: int) -> list[int]:
        """Jobs that are done by now."""
        self._advance(now_ns)
        ended = []
        # Half a nanosecond of rounding a job at most.
        while self._jobs and self._jobs[0][0] <= self._attained + 1.0:
            ended.append(heapq.heappop(self._jobs)[1])
        self.version += 1
        return ended

    def _advance(self, now_ns: int) -> None:
        if self._jobs:
            self._attained += (now_ns - self._since_ns) * self._rate()
        self._since_ns = now_ns

    def _rate(self) -> float:
        return min(1.0, self._cores / len(self._jobs)) if self._jobs else 1.0


def unshared_work(tree: SpanTree, cores: float) -> dict[int, float]:
    """Nanoseconds that each tool call without children would have lasted alone, by position in tree order.

    Taken from a run in which the calls shared `cores` processors as `SharedProcessors` has it.
    """
    calls = {
        i: span
        for i, span in enumerate(tree.spans)
        if span.category == "tool" and span.span_id not in tree.children
    }
    changes = sorted((t, c) for span in calls.values() for t, c in ((span.start_ns, 1), (span.end_ns, -1)))
    times, attained = [changes[0][0] if changes else 0], [0.0]
    running = 0
    for time_ns, change in changes:
        rate = min(1.0, cores / running) if running else 0.0
        attained.append(attained[-1] + (time_ns - times[-1]) * rate)
        times.append(time_ns)
        running += change

    def at(time_ns: int) -> float:
        return attained[bisect_right(times, time_ns) - 1]

    return {i: at(span.end_ns) - at(span.start_ns) for i, span in calls.items()}
