"""A trace as a plan that can be run again: what each start and end waits for, and what each call occupies.

Starts and ends are events. A start comes as long after the last of what it waited for as it did: the spans of
its `links`; without links the sibling that ended last before it; the siblings that held it at a barrier; and
the start of its parent. The end of a span with children comes as long after the last of their ends as it did,
that of a span without children after its own duration. Where calls of the model queued, their order is found
anew by whoever runs the plan, and so is that of tool calls when their number of workers is changed.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from swarmlab.trace.barriers import barrier_waits
from swarmlab.trace.family import Family
from swarmlab.trace.spans import Span
from swarmlab.trace.tree import SpanTree

MODEL_PHASES = ("model_prefill", "model_decode")
CLOCKS_DIFFER_NS = 1_000_000
"""How far a model's own account of its phases may be off the clock that times the calls."""
MOST_BLOCKERS = 32
"""Siblings that a held start is tied to at most: those that ended last."""


@dataclass(slots=True)
class Step:
    """One span of the plan."""

    span: Span
    start_needs: list[tuple[int, bool]] = field(default_factory=list)
    """Events that the start waits for: index of a step, and whether its end is meant."""
    start_lag_ns: int = 0
    barrier_needs: list[tuple[int, bool]] = field(default_factory=list)
    """Ends of the siblings that held the start at a barrier."""
    end_needs: list[tuple[int, bool]] = field(default_factory=list)
    """Ends of children; empty where the end follows the start by `duration_ns`."""
    duration_ns: int = 0
    """Of a span without children: how long it lasts. Otherwise: from the last of `end_needs` to its end."""
    call: int | None = None
    """Step of the model call that this phase or queue is of."""
    group: int | None = None
    """First tool call of those that could run at once with this one: none of them reads another."""
    free_lag_ns: int = 0
    """A tool call's start after the one before it in its slot had ended, or after its group could start."""


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """The plan of one trace; build it with `replay_plan`."""

    tree: SpanTree
    steps: Sequence[Step]
    index: Mapping[str, int]
    """Position in `steps` by span id."""
    phases: Mapping[int, Sequence[int]]
    """Prefill and decode steps of each model call, in order, by the call's step."""
    queues: Mapping[int, int]
    """Step of the queue before each first phase, where there is one."""
    slots: int | None
    """Most model calls that were served at once, where some queued; None where none did: no known limit."""
    handovers_ns: Mapping[int, int]
    """By the first phase of a call that had to queue: from the end of the call it waited for to its start."""


def replay_plan(tree: SpanTree) -> ReplayPlan:
    """Build the plan of a checked trace; O(n log n) for n spans."""
    return _Planner(tree).plan()


class _Planner:
    def __init__(self, tree: SpanTree) -> None:
        self._tree = tree
        self._index = {span.span_id: number for number, span in enumerate(tree.spans)}
        self._steps = [Step(span) for span in tree.spans]
        self._families: dict[str, Family] = {}
        self._waits = barrier_waits(tree)
        self._queues: dict[int, int] = {}
        """Queue of each model call that has one, by the call's step."""
        # The first tool call of each parent that follows a given sibling without a link.
        self._heads: dict[tuple[str, str | None], Span] = {}

    def plan(self) -> ReplayPlan:
        phases = self._phases()
        slots = self._slots(phases)
        queues = {n[0]: self._queues[call] for call, n in phases.items() if call in self._queues}
        handovers_ns = {} if slots is None else self._handovers(phases)
        for number, step in enumerate(self._steps):
            self._plan_start(step, in_slot=slots is not None and step.call is not None)
            self._plan_end(step)
            self._plan_group(number, step)
        for first in handovers_ns:
            # What a call waited for another is found anew.
            self._steps[queues[first]].duration_ns = 0
        return ReplayPlan(self._tree, self._steps, self._index, phases, queues, slots, handovers_ns)

    def _phases(self) -> dict[int, list[int]]:
        """Phases by call; a leaf that is not one of several phases of a call is a call of its own."""
        phases: dict[int, list[int]] = {}
        for number, step in enumerate(self._steps):
            span = step.span
            if span.category not in (*MODEL_PHASES, "model_queue") or span.span_id in self._tree.children:
                continue
            in_call = span.parent_id is not None and self._is_call(span.parent_id)
            step.call = self._index[str(span.parent_id)] if in_call else number
            if span.category in MODEL_PHASES:
                phases.setdefault(step.call, []).append(number)
            else:
                self._queues[step.call] = number
        return phases

    def _is_call(self, parent_id: str) -> bool:
        """All children are phases of a model call, each at most once."""
        children = self._tree.children[parent_id]
        categories = [child.category for child in children[:4]]
        return (
            1 < len(children) <= 3
            and all(c in (*MODEL_PHASES, "model_queue") for c in categories)
            and len(set(categories)) == len(categories)
        )

    def _slots(self, phases: Mapping[int, Sequence[int]]) -> int | None:
        """Calls in service at once, by a sweep over their first and last phases."""
        if not any(step.span.category == "model_queue" for step in self._steps):
            return None
        changes: list[tuple[int, int]] = []
        for first, last in self._services(phases):
            # Ends come first at one instant, and a call may overlap the next by what clocks differ.
            changes.append((first.start_ns, 1))
            changes.append((max(first.start_ns, last.end_ns - CLOCKS_DIFFER_NS), -1))
        served, most = 0, 1
        for _, change in sorted(changes):
            served += change
            most = max(most, served)
        return most

    def _services(self, phases: Mapping[int, Sequence[int]]) -> list[tuple[Span, Span]]:
        """First and last phase of each call."""
        return [(self._steps[n[0]].span, self._steps[n[-1]].span) for n in phases.values()]

    def _handovers(self, phases: Mapping[int, Sequence[int]]) -> dict[int, int]:
        """Calls whose queue lasted until another call's end, and how long after it they began."""
        ends = sorted((self._steps[numbers[-1]].span.end_ns, call) for call, numbers in phases.items())
        found: dict[int, int] = {}
        for call, numbers in phases.items():
            if call in self._queues:
                began_ns = self._steps[numbers[0]].span.start_ns
                rank = bisect_right(ends, (began_ns + CLOCKS_DIFFER_NS, len(self._steps))) - 1
                if rank >= 0 and ends[rank][1] == call:
                    rank -= 1
                if rank >= 0 and ends[rank][0] > self._steps[self._queues[call]].span.start_ns:
                    found[numbers[0]] = max(0, began_ns - ends[rank][0])
        return found

    def _plan_start(self, step: Step, in_slot: bool) -> None:
        span = step.span
        if span.parent_id is None:
            return
        linked = [self._tree.by_id[i] for i in span.links if i in self._tree.by_id]
        needed = [target for target in linked if target.end_ns <= span.start_ns]
        if in_slot:
            # Which call held the model is order, not need.
            needed = [target for target in needed if target.category not in MODEL_PHASES]
        if not needed and (in_slot or not linked):
            sibling = self._family(span.parent_id).ended_before(span, span.start_ns)
            needed = [sibling] if sibling is not None else []
        step.start_needs = [(self._index[target.span_id], True) for target in needed]
        times = [target.end_ns for target in needed]
        if span.span_id in self._waits:
            blockers = self._blockers(span, max(times, default=0))
            step.barrier_needs = [(self._index[sibling.span_id], True) for sibling in blockers]
        parent = self._tree.by_id[span.parent_id]
        if parent.start_ns <= span.start_ns:
            step.start_needs.append((self._index[parent.span_id], False))
            times.append(parent.start_ns)
        held_until = max((self._steps[i].span.end_ns for i, _ in step.barrier_needs), default=None)
        last_ns = max(times) if times else span.start_ns
        step.start_lag_ns = span.start_ns - (last_ns if held_until is None else max(last_ns, held_until))

    def _blockers(self, span: Span, done_ns: int) -> list[Span]:
        siblings = self._tree.children[str(span.parent_id)]
        held = [s for s in siblings if done_ns < s.end_ns <= span.start_ns and s is not span]
        return sorted(held, key=lambda s: s.end_ns)[-MOST_BLOCKERS:]

    def _plan_end(self, step: Step) -> None:
        span = step.span
        children = self._tree.children.get(span.span_id, ())
        ended = [child for child in children if child.end_ns <= span.end_ns]
        step.end_needs = [(self._index[child.span_id], True) for child in ended]
        # A child may end before its parent starts.
        step.duration_ns = span.end_ns - max([span.start_ns, *(child.end_ns for child in ended)])

    def _plan_group(self, number: int, step: Step) -> None:
        span = step.span
        if span.category != "tool" or span.parent_id is None:
            return
        before = self._tool_before(span)
        if before is None:
            step.group = number
            step.free_lag_ns = step.start_lag_ns
            return
        head = self._steps[self._index[before.span_id]].group
        step.group = number if head is None else head
        after_ns = before.end_ns if before.end_ns <= span.start_ns else self._steps[step.group].span.start_ns
        step.free_lag_ns = max(0, span.start_ns - after_ns)

    def _tool_before(self, span: Span) -> Span | None:
        """An earlier sibling tool call whose group this one is in: it ran before or beside it, unread."""
        links = [self._tree.by_id[i] for i in span.links if i in self._tree.by_id]
        if links:
            order = [s for s in links if is_slot_order(span, s)]
            return order[0] if len(order) == len(links) else None
        family = self._family(str(span.parent_id))
        sibling = family.ended_before(span, span.start_ns)
        if sibling is not None and sibling.category == "tool":
            return sibling
        # Side by side from the start on: with an earlier one that nothing but the same sibling came before.
        beside = self._heads.setdefault(
            (str(span.parent_id), None if sibling is None else sibling.span_id), span
        )
        return None if beside is span else beside

    def _family(self, parent_id: str) -> Family:
        if parent_id not in self._families:
            self._families[parent_id] = Family(self._tree.children[parent_id])
        return self._families[parent_id]


def is_slot_order(span: Span, target: Span) -> bool:
    """Whether a tool call's link says only that another held its slot before it: it read nothing of it."""
    both_tools = span.category == target.category == "tool" and span.parent_id == target.parent_id
    return both_tools and span.reads is not None and target.span_id not in span.reads
