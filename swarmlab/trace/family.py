"""The children of one span, indexed for the questions that the walks through a trace ask."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from swarmlab.trace.spans import Span


class Family:
    """The children of one span; every question takes O(log n), the pieces of an answer apart.

    Parameters
    ----------
    children
        In (start_ns, span_id) order.
    """

    def __init__(self, children: Sequence[Span]) -> None:
        self._by_start = children
        self._latest_end = list(accumulate((child.end_ns for child in children), max))
        # Of those that end together the longest comes last, but for spans of no time: they are steps between
        # it and what follows.
        self._by_end = sorted(
            children, key=lambda s: (s.end_ns, s.start_ns == s.end_ns, -s.start_ns, s.span_id)
        )
        self._ends = [child.end_ns for child in self._by_end]
        self._rank = {child.span_id: rank for rank, child in enumerate(self._by_end)}
        self._running_since, self._running_until = _union(children)

    def last_until(self, time_ns: int) -> Span | None:
        """The child that ended last, each cut off at `time_ns`; of several, the one that started first."""
        index = bisect_left(self._latest_end, time_ns)
        if index < len(self._by_start) and self._by_start[index].start_ns < time_ns:
            return self._by_start[index]
        rank = bisect_right(self._ends, time_ns) - 1
        return self._by_end[rank] if rank >= 0 else None

    def ended_before(self, child: Span, time_ns: int) -> Span | None:
        """The sibling of `child` that ended last by `time_ns`, no later than the start of `child`."""
        rank = bisect_right(self._ends, time_ns)
        # A child of no time would find itself, or one that comes after it at the same instant.
        rank = min(rank, self._rank[child.span_id]) - 1
        return self._by_end[rank] if rank >= 0 else None

    def running(self, low_ns: int, high_ns: int) -> list[tuple[int, int]]:
        """The parts of [low_ns, high_ns) in which a child was active, in order."""
        pieces = []
        for index in range(bisect_right(self._running_until, low_ns), len(self._running_since)):
            if self._running_since[index] >= high_ns:
                break
            pieces.append((max(self._running_since[index], low_ns), min(self._running_until[index], high_ns)))
        return pieces


def _union(children: Sequence[Span]) -> tuple[list[int], list[int]]:
    """Starts and ends of the disjoint intervals in which at least one child was active."""
    since: list[int] = []
    until: list[int] = []
    for child in children:
        if child.start_ns == child.end_ns:
            continue
        if until and child.start_ns <= until[-1]:
            until[-1] = max(until[-1], child.end_ns)
        else:
            since.append(child.start_ns)
            until.append(child.end_ns)
    return since, until
