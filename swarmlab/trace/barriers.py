"""Superstep barriers: how long ready spans waited for siblings, and the run's length without that wait."""

from bisect import bisect_right
from collections.abc import Mapping

from swarmlab.trace.family import Family
from swarmlab.trace.spans import Span
from swarmlab.trace.tree import SpanTree


def barrier_waits(tree: SpanTree) -> dict[str, int]:
    """Nanoseconds that each span was held by a barrier, by span id; spans that were not held are left out.

    A span is held while all it waited for (`links`) is done and its parent runs, but a sibling that it does
    not depend on is still running and ends by the time the span starts. A sibling that runs on afterwards
    held nobody. A span without links says nothing of what it needed, so it never counts as held.
    """
    waits: dict[str, int] = {}
    for parent_id, children in tree.children.items():
        parent_start_ns = tree.by_id[parent_id].start_ns
        by_end = sorted(children, key=lambda span: span.end_ns)
        over, n_over = _Over(), 0
        for span in children:
            while n_over < len(by_end) and by_end[n_over].end_ns <= span.start_ns:
                over.add(by_end[n_over])
                n_over += 1
            done_ns = [tree.by_id[link].end_ns for link in span.links if link in tree.by_id]
            if not done_ns or max(done_ns) >= span.start_ns:
                continue
            # What it waited for was over by then, so only others are in the way after it.
            held_ns = over.covered_since(max(*done_ns, parent_start_ns))
            if held_ns:
                waits[span.span_id] = held_ns
    return waits


def wall_without_barriers_ns(tree: SpanTree, waits: Mapping[str, int]) -> int:
    """The root's duration in nanoseconds had no span been held, by replaying the trace.

    Every span starts as long after what it waited for as it did, less its wait in `waits`, and lasts as long
    as it did; a parent ends as long after its last child as it did. Resources are taken as they were: spans
    that now overlap do not slow each other.

    Parameters
    ----------
    waits
        As `barrier_waits` returns them.
    """
    return _Replay(tree, waits).end_ns(tree.root) - tree.root.start_ns if waits else tree.wall_ns


class _Over:
    """The time covered by spans that are over, added by their end: disjoint intervals, the last on top."""

    def __init__(self) -> None:
        self._since: list[int] = []
        self._until: list[int] = []
        self._covered_before: list[int] = []

    def add(self, span: Span) -> None:
        """Add a span that ended no earlier than those added before."""
        start_ns = span.start_ns
        while self._until and self._until[-1] >= start_ns:
            start_ns = min(start_ns, self._since.pop())
            self._until.pop()
            self._covered_before.pop()
        self._covered_before.append(self._covered())
        self._since.append(start_ns)
        self._until.append(span.end_ns)

    def covered_since(self, time_ns: int) -> int:
        """How much of the time after `time_ns` is covered, in nanoseconds."""
        index = bisect_right(self._until, time_ns)
        if index == len(self._until):
            return 0
        return self._covered() - self._covered_before[index] - max(0, time_ns - self._since[index])

    def _covered(self) -> int:
        return self._covered_before[-1] + self._until[-1] - self._since[-1] if self._until else 0


_Event = tuple[str, bool]
"""A span's id and whether its end is meant."""


class _Replay:
    """New times of a trace's starts and ends, each found from those it depends on.

    Only what was over by then is depended on, so no new time is later than the old one.
    """

    def __init__(self, tree: SpanTree, waits: Mapping[str, int]) -> None:
        self._tree = tree
        self._waits = waits
        self._families: dict[str, Family] = {}
        self._new_ns: dict[_Event, int] = {}

    def end_ns(self, span: Span) -> int:
        """The new end of `span`: depth first without recursion."""
        target = (span.span_id, True)
        pending = [target]
        open_events: set[_Event] = set()
        while pending:
            event = pending[-1]
            if event in self._new_ns:
                pending.pop()
                continue
            needs = self._needs(event)
            missing = [need for need in needs if need not in self._new_ns and need not in open_events]
            if event in open_events or not missing:
                # What is open still waits for this very event, which only happens among spans of no time at
                # one instant: those keep their old time.
                self._new_ns[event] = self._time(event, needs)
                pending.pop()
            else:
                open_events.add(event)
                pending.extend(missing)
        return self._new_ns[target]

    def _needs(self, event: _Event) -> list[_Event]:
        span = self._tree.by_id[event[0]]
        if event[1]:
            children = self._tree.children.get(span.span_id, ())
            ends = [(child.span_id, True) for child in children if child.end_ns <= span.end_ns]
            return [(span.span_id, False), *ends]
        if span.parent_id is None:
            return []
        links = [link for link in span.links if link in self._tree.by_id]
        needs = [(link, True) for link in links if self._tree.by_id[link].end_ns <= span.start_ns]
        if not links:
            sibling = self._family(span.parent_id).ended_before(span, span.start_ns)
            needs = [(sibling.span_id, True)] if sibling is not None else []
        if self._tree.by_id[span.parent_id].start_ns <= span.start_ns:
            needs.append((span.parent_id, False))
        return needs

    def _time(self, event: _Event, needs: list[_Event]) -> int:
        """As long after the last of `needs` as it was, less the wait at a barrier."""
        span = self._tree.by_id[event[0]]
        old_ns = span.end_ns if event[1] else span.start_ns
        if not needs:
            return old_ns
        if event[1] and len(needs) > 1:
            needs = needs[1:]
        was_ns = max(self._old(need) for need in needs)
        is_ns = max(self._new_ns.get(need, self._old(need)) for need in needs)
        held_ns = 0 if event[1] else self._waits.get(span.span_id, 0)
        return is_ns + (old_ns - was_ns) - held_ns

    def _old(self, event: _Event) -> int:
        span = self._tree.by_id[event[0]]
        return span.end_ns if event[1] else span.start_ns

    def _family(self, parent_id: str) -> Family:
        if parent_id not in self._families:
            self._families[parent_id] = Family(self._tree.children[parent_id])
        return self._families[parent_id]
