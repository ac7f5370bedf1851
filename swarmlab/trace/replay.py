"""Runs a trace again under changes: a discrete-event simulation of its plan, in the trace's own time.

The model serves its calls first come, first served, `slots` at a time. Tool calls of a group take their
workers in the order of their starts. With `cores`, tool calls that run at once share the processors equally.
Everything else follows the dependencies of `replay_plan` with the delays that were recorded.
"""

import heapq
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from swarmlab.trace.changes import Changes
from swarmlab.trace.replay_costs import Costs
from swarmlab.trace.replay_plan import ReplayPlan, Step
from swarmlab.trace.sharing import SharedProcessors, unshared_work
from swarmlab.trace.spans import Span

START, END = False, True
NEVER_NS = -(2**63)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came out of a replay."""

    durations_ns: tuple[int, ...]
    """Of each of the runs that started together."""
    spans: tuple[Span, ...]
    """The first run's spans at their new times; what the changes did away with lasts no time."""


def replay(
    plan: ReplayPlan,
    changes: Changes,
    spared: Collection[str] = (),
    stretched: Mapping[str, float] | None = None,
) -> Replayed:
    """Run a plan under changes.

    Parameters
    ----------
    plan
        The trace's plan.
    changes
        `agents` and hit rates between 0 and 1 have to be turned into `spared` before.
    spared
        Ids of spans that take no time, with all below them: calls answered from a cache, say.
    stretched
        How many times longer single spans take, by id: their spread, for an interval.
    """
    return _Replay(plan, changes, Costs(plan, changes, spared, stretched or {})).run()


@dataclass(slots=True)
class _Resource:
    """Something that at most `capacity` holders have at once, granted in the order of asking."""

    capacity: int
    held: int = 0
    waiting: deque[int] = field(default_factory=deque)


class _Replay:
    """One replay; the steps of run c, n in all, are numbered from c times n on."""

    def __init__(self, plan: ReplayPlan, changes: Changes, costs: Costs) -> None:
        self._plan = plan
        self._changes = changes
        self._n = len(plan.steps)
        self._cost = costs
        self._slots = changes.slots if changes.slots is not None else plan.slots
        self._model = _Resource(self._slots or 0)
        self._workers: dict[int, _Resource] = {}
        self._last_phase = {numbers[-1]: numbers[0] for numbers in plan.phases.values()}
        self._first_phase = set(self._last_phase.values())
        self._processors = None if changes.cores is None else SharedProcessors(changes.cores)
        self._work_ns = {} if changes.cores is None else unshared_work(plan.tree, changes.cores)
        total = self._n * changes.concurrency
        self._start_ns: list[int | None] = [None] * total
        self._end_ns: list[int | None] = [None] * total
        self._missing: dict[tuple[int, bool], int] = {}
        self._latest: dict[tuple[int, bool], int] = {}
        self._dependents: dict[tuple[int, bool], list[tuple[int, bool]]] = {}
        self._heap: list[tuple[int, int, int, str]] = []

    def run(self) -> Replayed:
        for number in range(len(self._start_ns)):
            self._register(number)
        pending = sorted(self._missing, key=self._recorded)
        for event in pending:
            if not self._missing[event]:
                self._ready(event, self._latest[event])
        self._drain()
        for event in pending:
            # Spans of no time at one instant may wait for each other in a circle: the first goes on.
            if self._new(event) is None:
                known_ns = self._latest[event]
                self._ready(event, self._recorded(event)[0] if known_ns == NEVER_NS else known_ns)
                self._drain()
        return self._result()

    def _drain(self) -> None:
        while self._heap:
            now_ns, _, number, what = heapq.heappop(self._heap)
            if what == "processors":
                self._end_shared(now_ns, number)
            elif what == "start":
                self._ask(number, now_ns)
            elif what == "begin":
                self._begin(number, now_ns)
            elif self._end_ns[number] is None:
                self._end(number, now_ns)

    def _result(self) -> Replayed:
        origin = self._plan.tree.root.start_ns
        root = self._plan.index[self._plan.tree.root.span_id]
        ends = (self._end_ns[copy * self._n + root] or 0 for copy in range(self._changes.concurrency))
        spans = [
            step.span._replace(start_ns=self._start_ns[i] or 0, end_ns=self._end_ns[i] or 0)
            for i, step in enumerate(self._plan.steps)
        ]
        return Replayed(tuple(end - origin for end in ends), tuple(spans))

    def _step(self, number: int) -> Step:
        return self._plan.steps[number % self._n]

    def _register(self, number: int) -> None:
        """Count what the start and the end of a step wait for."""
        step, base = self._step(number), number - number % self._n
        for is_end, needs in ((START, self._start_needs(number % self._n)), (END, step.end_needs)):
            event = (number, is_end)
            if is_end and not needs:
                continue  # it follows its own start
            needed = {(base + i, end) for i, end in needs} | ({(number, START)} if is_end else set())
            self._missing[event] = len(needed)
            # What waits for nothing (the root, and what began before its parent) comes when it did.
            self._latest[event] = step.span.start_ns if not needed else NEVER_NS
            for need in needed:
                self._dependents.setdefault(need, []).append(event)

    def _start_needs(self, index: int) -> list[tuple[int, bool]]:
        step = self._plan.steps[index]
        if self._changes.workers is not None and step.group is not None:
            step = self._plan.steps[step.group]
        return step.start_needs if self._changes.remove_barriers else [*step.start_needs, *step.barrier_needs]

    def _recorded(self, event: tuple[int, bool]) -> tuple[int, int, bool]:
        span = self._step(event[0]).span
        return (span.end_ns if event[1] else span.start_ns, event[0], event[1])

    def _new(self, event: tuple[int, bool]) -> int | None:
        return self._end_ns[event[0]] if event[1] else self._start_ns[event[0]]

    def _ready(self, event: tuple[int, bool], now_ns: int) -> None:
        number, is_end = event
        if is_end:
            self._later(now_ns + self._cost.duration(number % self._n), number, "end")
        elif self._step(number).span.parent_id is None:
            self._later(now_ns, number, "start")
        else:
            in_group = self._changes.workers is not None and self._step(number).group is not None
            lag_ns = 0 if in_group else self._cost.start_lag(number % self._n)
            self._later(now_ns + lag_ns, number, "start")

    def _later(self, time_ns: int, number: int, what: str) -> None:
        # At one instant things happen in the order in which they were recorded.
        heapq.heappush(self._heap, (time_ns, number, number, what))

    def _ask(self, number: int, now_ns: int) -> None:
        """A start is due: take what it needs, or queue for it."""
        resource = self._resource(number)
        if resource is None:
            self._begin(number, now_ns)
        elif resource.held < resource.capacity:
            resource.held += 1
            self._granted(number, now_ns, waited=False)
        else:
            resource.waiting.append(number)

    def _resource(self, number: int) -> _Resource | None:
        index = number % self._n
        if self._cost.is_spared(index):
            return None
        if index in self._first_phase and self._slots is not None:
            return self._model
        group = self._plan.steps[index].group
        if group is not None and self._changes.workers is not None:
            head = number - index + group
            return self._workers.setdefault(head, _Resource(self._changes.workers))
        return None

    def _granted(self, number: int, now_ns: int, *, waited: bool) -> None:
        index = number % self._n
        if index in self._first_phase:
            lag_ns = self._plan.handovers_ns.get(index, 0) if waited else 0
        else:
            lag_ns = self._plan.steps[index].free_lag_ns
        self._later(now_ns + lag_ns, number, "begin")

    def _begin(self, number: int, now_ns: int) -> None:
        if self._start_ns[number] is not None:
            return
        self._start_ns[number] = now_ns
        index = number % self._n
        if index in self._plan.queues:
            queue = number - index + self._plan.queues[index]
            if self._end_ns[queue] is not None:
                self._end_ns[queue] = now_ns  # it lasted until now
        self._fired((number, START), now_ns)
        step = self._plan.steps[index]
        if step.end_needs:
            return
        if self._processors is not None and index in self._work_ns and not self._cost.is_spared(index):
            work_ns = self._cost.scaled(index, self._work_ns[index])
            self._processors.add(number, work_ns, now_ns)
            self._watch_processors(now_ns)
        else:
            self._later(now_ns + self._cost.duration(index), number, "end")

    def _watch_processors(self, now_ns: int) -> None:
        if self._processors is not None and (due := self._processors.next_end(now_ns)) is not None:
            self._later(due[0], due[1], "processors")

    def _end_shared(self, now_ns: int, version: int) -> None:
        if self._processors is None or version != self._processors.version:
            return
        for number in self._processors.take_ended(now_ns):
            self._end(number, now_ns)
        self._watch_processors(now_ns)

    def _end(self, number: int, now_ns: int) -> None:
        self._end_ns[number] = now_ns
        index = number % self._n
        first = self._last_phase.get(index)
        held = number if first is None else number - index + first
        if first is not None or self._plan.steps[index].group is not None:
            self._release(held, now_ns)
        self._fired((number, END), now_ns)

    def _release(self, number: int, now_ns: int) -> None:
        resource = self._resource(number)
        if resource is None:
            return
        if resource.waiting:
            self._granted(resource.waiting.popleft(), now_ns, waited=True)
        else:
            resource.held -= 1

    def _fired(self, event: tuple[int, bool], now_ns: int) -> None:
        for dependent in self._dependents.get(event, ()):
            self._missing[dependent] -= 1
            self._latest[dependent] = max(self._latest[dependent], now_ns)
            if not self._missing[dependent]:
                self._ready(dependent, self._latest[dependent])
