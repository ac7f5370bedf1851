"""The children of one span, indexed for the questions that the walks through a trace ask."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from types import MappingProxyType

from swarmlab.trace.spans import Span

_OWN_ENDS: Mapping[str, int] = MappingProxyType({})


class Family:
    """The children of one span; every question takes O(log n), the pieces of an answer apart.

    Parameters
    ----------
    children
        In (start_ns, span_id) order.
    ends
        Ends to use in place of a child's own, by span id: those of subtrees that outlast their top, say.
    """

    # A deep trace has as many families as spans.
    __slots__ = ("_by_end", "_by_start", "_end_of", "_ends", "_latest_end", "_union")

    def __init__(self, children: Sequence[Span], ends: Mapping[str, int] = _OWN_ENDS) -> None:
        self._by_start = children
        self._end_of = ends
        self._latest_end = list(accumulate((self.end_ns(child) for child in children), max))
        self._by_end = sorted(children, key=self._order)
        self._ends = [self.end_ns(child) for child in self._by_end]
        self._union: tuple[list[int], list[int]] | None = None

    def end_ns(self, child: Span) -> int:
        """The end that counts for `child`."""
        return self._end_of.get(child.span_id, child.end_ns)

    def last_until(self, time_ns: int) -> Span | None:
        """The child that ended last, each cut off at `time_ns`; of several, the one that started first."""
        index = bisect_left(self._latest_end, time_ns)
        if index < len(self._by_start) and self._by_start[index].start_ns < time_ns:
            return self._by_start[index]
        rank = bisect_right(self._ends, time_ns) - 1
        return self._by_end[rank] if rank >= 0 else None

    def ended_before(self, child: Span, time_ns: int) -> Span | None:
        """The sibling of `child` that ended last by `time_ns`, no later than the start of `child`."""
        if len(self._by_start) == 1:
            return None
        rank = bisect_right(self._ends, time_ns)
        # A child of no time would find itself, or one that comes after it at the same instant.
        rank = min(rank, bisect_left(self._by_end, self._order(child), key=self._order)) - 1
        return self._by_end[rank] if rank >= 0 else None

    def running(self, low_ns: int, high_ns: int) -> list[tuple[int, int]]:
        """The parts of [low_ns, high_ns) in which a child was active, in order."""
        if self._union is None:
            self._union = self._intervals()
        running_since, running_until = self._union
        pieces = []
        for index in range(bisect_right(running_until, low_ns), len(running_since)):
            if running_since[index] >= high_ns:
                break
            pieces.append((max(running_since[index], low_ns), min(running_until[index], high_ns)))
        return pieces

    def _order(self, child: Span) -> tuple[int, bool, int, str]:
        # Of those that end together the longest comes last, but for spans of no time: they are steps between
        # it and what follows.
        end_ns = self.end_ns(child)
        return (end_ns, child.start_ns == end_ns, -child.start_ns, child.span_id)

    def _intervals(self) -> tuple[list[int], list[int]]:
        """Starts and ends of the disjoint intervals in which at least one child was active."""
        since: list[int] = []
        until: list[int] = []
        for child in self._by_start:
            end_ns = self.end_ns(child)
            if child.start_ns == end_ns:
                continue
            if until and child.start_ns <= until[-1]:
                until[-1] = max(until[-1], end_ns)
            else:
                since.append(child.start_ns)
                until.append(end_ns)
        return since, until
