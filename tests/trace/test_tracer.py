"""The tracer: parents, links, agents and status are right across tasks, threads, generators and errors."""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from swarmlab.errors import TraceError
from swarmlab.trace.check import check_spans
from swarmlab.trace.clock import Clock, WallClock
from swarmlab.trace.tracer import Tracer


class TickClock:
    """Moves on by one nanosecond at each reading, so that every time in a test is known."""

    kind = "virtual"

    def __init__(self):
        self.reading_ns = 0

    def now_ns(self):
        self.reading_ns += 1
        return self.reading_ns

    def utc_now(self):
        return datetime(2024, 1, 1, tzinfo=UTC)

    async def sleep(self, seconds):
        self.reading_ns += round(seconds * 1e9)


@pytest.fixture
def tracer():
    return Tracer(TickClock())


def parents(tracer):
    names = {span.span_id: span.name for span in tracer.finished()}
    return {span.name: names.get(span.parent_id) for span in tracer.finished()}


def test_nested_spans(tracer):
    """Ids follow the order of opening, times the clock, parents the nesting, and agents are inherited."""
    with (
        tracer.span("framework", "run"),
        tracer.span("coordination", "turn", agent="analyst") as turn,
        tracer.span("tool", "kpis", links=[turn.span_id], attempt=2) as call,
    ):
        call.cached = True
        call.link("s0009")
        call.link("s0009")
        assert tracer.current_id == call.span_id == "s0003"
    assert tracer.current_id is None
    run, turn_done, call_done = tracer.finished()
    assert (run.span_id, run.parent_id, run.start_ns, run.end_ns, run.agent) == ("s0001", None, 1, 6, None)
    assert (turn_done.span_id, turn_done.parent_id, turn_done.agent) == ("s0002", "s0001", "analyst")
    assert (call_done.parent_id, call_done.agent, call_done.links) == ("s0002", "analyst", ("s0002", "s0009"))
    assert (call_done.start_ns, call_done.end_ns, call_done.cached, call_done.attempt) == (3, 4, True, 2)


def test_exception_marks_and_propagates(tracer):
    """An exception leaves the span recorded as an error, and so its parents, and reaches the caller."""
    with pytest.raises(KeyError), tracer.span("framework", "run"), tracer.span("tool", "kpis"):
        raise KeyError("gone")
    assert [span.status for span in tracer.finished()] == ["error", "error"]
    assert tracer.current_id is None


def test_caught_exception_leaves_the_parent_ok(tracer):
    """An error handled inside a parent is its child's alone; a status set by hand is kept."""
    with tracer.span("framework", "run") as run:
        with pytest.raises(ValueError, match="bad"), tracer.span("tool", "kpis"):
            raise ValueError("bad")
        run.status = "partial"
    assert [(span.name, span.status) for span in tracer.finished()] == [("run", "partial"), ("kpis", "error")]


async def test_parents_across_tasks(tracer):
    """Concurrent tasks nest under the span that started them, never under one another."""

    async def agent(name):
        with tracer.span("coordination", name, agent=name):
            await asyncio.sleep(0)
            with tracer.span("tool", f"{name}-tool"):
                await asyncio.sleep(0)

    with tracer.span("framework", "run"):
        await asyncio.gather(agent("a"), agent("b"), agent("c"))
    expected = {"run": None}
    for name in "abc":
        expected |= {name: "run", f"{name}-tool": name}
    assert parents(tracer) == expected
    assert {s.agent for s in tracer.finished() if s.name == "b-tool"} == {"b"}
    check_spans(tracer.finished())


def test_parents_across_threads(tracer):
    """Threads run with a copied context keep their parent, and no span of theirs is lost."""

    def work(number):
        with tracer.span("tool", f"t{number}"), tracer.span("context", f"c{number}"):
            return tracer.current_id

    with tracer.span("framework", "run"), ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(contextvars.copy_context().run, work, number) for number in range(250)]
        innermost = {future.result() for future in futures}
    assert len(innermost) == 250
    spans = tracer.finished()
    check_spans(spans)
    assert len({span.span_id for span in spans}) == len(spans) == 501
    assert all(parents(tracer)[f"c{number}"] == f"t{number}" for number in range(250))
    # Ids are given in the order of the starts.
    assert [span.span_id for span in spans] == sorted(span.span_id for span in spans)


async def test_thread_of_the_event_loop(tracer):
    """`asyncio.to_thread` copies the context, so a tool called through it has its parent."""

    def tool():
        with tracer.span("tool", "kpis"):
            return tracer.current_id

    with tracer.span("framework", "run"):
        await asyncio.to_thread(tool)
    assert parents(tracer) == {"run": None, "kpis": "run"}


async def test_generator_closed_in_another_task(tracer):
    """A stream closed early, and by another task, is recorded without error and disturbs no parent."""

    async def stream():
        with tracer.span("model_decode", "stream"):
            yield 1
            yield 2

    with tracer.span("framework", "run"):
        generator = stream()
        await asyncio.create_task(anext(generator))
        await generator.aclose()
        with tracer.span("tool", "after"):
            pass
    assert parents(tracer) == {"run": None, "stream": "run", "after": "run"}
    assert {span.status for span in tracer.finished()} == {"ok"}


def test_two_tracers_do_not_mix(tracer):
    """A span of one tracer is no parent of another's."""
    other = Tracer(TickClock())
    with tracer.span("framework", "run"), other.span("framework", "other run"):
        assert (tracer.current_id, other.current_id) == ("s0001", "s0001")
    assert other.finished()[0].parent_id is None


def test_add_finished_span(tracer):
    """A span with known times goes under the current span or the one named, with that one's agent."""
    with tracer.span("framework", "run"), tracer.span("coordination", "turn", agent="a") as turn:
        added = tracer.add("model_queue", "queue", 3, 3, links=["s0001"])
    later = tracer.add("model_decode", "decode", 3, 9, parent_id=turn.span_id, cached=True)
    by_id = {span.span_id: span for span in tracer.finished()}
    assert (by_id[added].parent_id, by_id[added].agent, by_id[added].links) == (turn.span_id, "a", ("s0001",))
    assert (by_id[later].parent_id, by_id[later].agent, by_id[later].cached) == (turn.span_id, "a", True)


def test_misuse_is_refused(tracer):
    """An unknown category, an end before its start and a span entered twice are errors at once."""
    with pytest.raises(TraceError, match="'x' has the unknown category 'magic'"):
        tracer.span("magic", "x")
    with pytest.raises(TraceError, match="before its start"):
        tracer.add("tool", "x", 5, 4)
    span = tracer.span("tool", "x")
    with span:
        pass
    with pytest.raises(TraceError, match="entered twice"), span:
        pass


def test_open_spans_are_not_finished(tracer):
    """Only spans that ended are listed, sorted by start and id."""
    with tracer.span("framework", "run"):
        with tracer.span("tool", "a"):
            pass
        assert [span.name for span in tracer.finished()] == ["a"]
    assert [span.name for span in tracer.finished()] == ["run", "a"]


async def test_wall_clock():
    """The wall clock never runs backwards, dates in UTC, and waits on the event loop."""
    clock: Clock = WallClock()
    first_ns = clock.now_ns()
    await clock.sleep(0)
    assert clock.now_ns() >= first_ns
    assert clock.utc_now().tzinfo is UTC
    assert clock.kind == "wall"
