"""Traces for the eye: the Trace Event Format that Perfetto and chrome://tracing open.

Source: "Trace Event Format", Google: complete events of one thread must nest, so spans that overlap without
being parent and child get lanes of their own.
"""

import heapq
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swarmlab.trace.io import write_text
from swarmlab.trace.spans import Span
from swarmlab.trace.tree import SpanTree, span_tree

_RUN_LANE = "run"


def write_perfetto(path: str | Path, spans: Sequence[Span]) -> None:
    """Write `spans` as a JSON trace: one lane an agent, further lanes where its spans run side by side.

    Times are microseconds since the root's start; a span's id, links, attempt, status, tokens and whether it
    was cached are its arguments.

    Raises
    ------
    TraceError
        The spans are not one trace, as `check_spans` says.
    StoreError
        The file cannot be written.
    """
    write_text(Path(path), json.dumps({"traceEvents": trace_events(spans), "displayTimeUnit": "ms"}))


def trace_events(spans: Sequence[Span]) -> list[dict[str, Any]]:
    """The events of `write_perfetto`: names of lanes first, then one complete event a span."""
    tree = span_tree(spans)
    lanes = _Lanes(tree)
    # Parents before their children, also where both start and end together.
    depth = _depths(tree)
    order = sorted(tree.spans, key=lambda s: (s.start_ns, -s.end_ns, depth[s.span_id], s.span_id))
    complete = [_complete(span, lanes.place(span), tree.root.start_ns) for span in order]
    return [*_names(lanes.names, tree.root.name), *complete]


def _complete(span: Span, lane: int, origin_ns: int) -> dict[str, Any]:
    return {
        "ph": "X",
        "pid": 1,
        "tid": lane,
        "name": span.name,
        "cat": span.category,
        "ts": (span.start_ns - origin_ns) / 1000,
        "dur": span.duration_ns / 1000,
        "args": {
            "span_id": span.span_id,
            "links": list(span.links),
            "cached": span.cached,
            "attempt": span.attempt,
            "status": span.status,
            "tokens": span.tokens,
        },
    }


def _names(lanes: Sequence[str], run: str) -> list[dict[str, Any]]:
    events = [{"ph": "M", "pid": 1, "name": "process_name", "args": {"name": run}}]
    for lane, name in enumerate(lanes, start=1):
        on_lane = {"ph": "M", "pid": 1, "tid": lane}
        events.append({**on_lane, "name": "thread_name", "args": {"name": name}})
        events.append({**on_lane, "name": "thread_sort_index", "args": {"sort_index": lane}})
    return events


def _depths(tree: SpanTree) -> dict[str, int]:
    depths = {tree.root.span_id: 0}
    pending = [tree.root]
    while pending:
        parent = pending.pop()
        for child in tree.children.get(parent.span_id, ()):
            depths[child.span_id] = depths[parent.span_id] + 1
            pending.append(child)
    return depths


class _Lanes:
    """Which lane each span is drawn on; spans are placed by start, parents before children.

    A span lies on its parent's lane when it is the same agent's, inside the parent, and nobody else is on top
    of the parent then; otherwise on a lane of its agent that is free, for one sibling drawn under another
    would read as its child.
    """

    def __init__(self, tree: SpanTree) -> None:
        self.names: list[str] = []
        self._by_id = tree.by_id
        self._lane_of: dict[str, int] = {}
        self._stacks: dict[int, list[Span]] = {}
        self._lanes_of_agent: dict[str | None, int] = {}
        self._free: dict[str | None, list[int]] = {}
        self._taken: dict[str | None, list[tuple[int, int]]] = {}

    def place(self, span: Span) -> int:
        """The lane (from 1) of `span`."""
        lane = self._parents_lane(span)
        if lane is None:
            lane = self._free_lane(span)
            self._stacks[lane] = []
            heapq.heappush(self._taken[span.agent], (span.end_ns, lane))
        self._stacks[lane].append(span)
        self._lane_of[span.span_id] = lane
        return lane

    def _parents_lane(self, span: Span) -> int | None:
        parent = self._by_id[span.parent_id] if span.parent_id is not None else None
        if parent is None or parent.agent != span.agent or parent.span_id not in self._lane_of:
            return None
        lane = self._lane_of[parent.span_id]
        stack = self._stacks[lane]
        while stack and stack[-1].end_ns <= span.start_ns and stack[-1] is not parent:
            stack.pop()
        return lane if stack and stack[-1] is parent and span.end_ns <= parent.end_ns else None

    def _free_lane(self, span: Span) -> int:
        free = self._free.setdefault(span.agent, [])
        taken = self._taken.setdefault(span.agent, [])
        while taken and taken[0][0] <= span.start_ns:
            heapq.heappush(free, heapq.heappop(taken)[1])
        if free:
            return heapq.heappop(free)
        number = self._lanes_of_agent[span.agent] = self._lanes_of_agent.get(span.agent, 0) + 1
        name = _RUN_LANE if span.agent is None else span.agent
        self.names.append(name if number == 1 else f"{name} ({number})")
        return len(self.names)
