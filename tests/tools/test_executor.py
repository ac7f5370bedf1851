"""The executor: order, bound, isolation of errors, and the caller's context."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmlab.errors import ToolError
from swarmlab.tools.executor import Outcome, Schedule, run_calls
from swarmlab.trace.clock import WallClock

T = TypeVar("T")

SCHEDULES: tuple[Schedule, ...] = ("sequential", "parallel")
WAIT_S = 20


class Gauge:
    """Counts how many calls are inside at once."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()

    def enter(self) -> None:
        """One more is inside."""
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def leave(self) -> None:
        """One fewer is inside."""
        with self._lock:
            self.inside -= 1


def _in_threads(calls: Sequence[Callable[[int], T]]) -> list[Callable[[int], Awaitable[T]]]:
    """Calls that work off the loop, as the swarm's tools do."""
    clock = WallClock()

    def in_thread(call: Callable[[int], T]) -> Callable[[int], Awaitable[T]]:
        return lambda slot: clock.work(partial(call, slot))

    return [in_thread(call) for call in calls]


def _run(calls: list[Callable[[int], int]], schedule: Schedule, workers: int = 4) -> list[Outcome[int]]:
    return asyncio.run(run_calls(_in_threads(calls), schedule=schedule, workers=workers))


def _value(number: int, slot: int = 0) -> int:
    if number < 0:
        raise ToolError(f"tool{number}", "out of order")
    return number


@given(
    numbers=st.lists(st.integers(-3, 9), max_size=8),
    schedule=st.sampled_from(SCHEDULES),
    workers=st.integers(1, 5),
)
@settings(max_examples=40, deadline=None)
def test_outcomes_are_those_of_the_calls_in_their_order(
    numbers: list[int], schedule: Schedule, workers: int
) -> None:
    """Whatever fails and however many workers there are, outcome i is what call i came to."""
    outcomes = _run([partial(_value, number) for number in numbers], schedule, workers)
    assert [o.value for o in outcomes] == [None if number < 0 else number for number in numbers]
    for number, outcome in zip(numbers, outcomes, strict=True):
        assert (outcome.error is not None) == (number < 0)
        assert outcome.error is None or outcome.error.tool == f"tool{number}"


def test_order_is_kept_when_the_first_call_finishes_last() -> None:
    """The first call waits for the second to be done, and its outcome still comes first."""
    second_done = threading.Event()

    def first(slot: int) -> int:
        assert second_done.wait(WAIT_S)
        return 1

    def second(slot: int) -> int:
        second_done.set()
        return 2

    assert [o.value for o in _run([first, second], "parallel", workers=2)] == [1, 2]


def test_parallel_calls_fill_all_workers_and_no_more() -> None:
    """With three workers three calls meet at a barrier, and a fourth is never inside with them."""
    gauge, barrier = Gauge(), threading.Barrier(3)

    def call(slot: int) -> int:
        gauge.enter()
        barrier.wait(WAIT_S)
        gauge.leave()
        return 0

    _run([call] * 6, "parallel", workers=3)
    assert gauge.most == 3


def test_sequential_calls_run_one_at_a_time_in_order() -> None:
    """Sequential means one call inside at any time, in their order, whatever `workers`."""
    gauge, started = Gauge(), list[int]()

    def call(number: int, slot: int) -> int:
        gauge.enter()
        started.append(number)
        gauge.leave()
        return number

    _run([partial(call, number) for number in range(6)], "sequential", workers=6)
    assert gauge.most == 1
    assert started == list(range(6))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_an_error_that_is_no_tool_error_propagates(schedule: Schedule) -> None:
    """A programming error is not turned into an outcome."""

    def broken(slot: int) -> int:
        raise ZeroDivisionError("not a tool's failure")

    with pytest.raises(ZeroDivisionError, match="not a tool's failure"):
        _run([partial(_value, 1), broken, partial(_value, 2)], schedule)


async def test_no_call_is_left_running_when_an_error_propagates() -> None:
    """The error comes out only when the calls under way have ended, so nothing works on behind the run."""
    inside, ended = threading.Event(), threading.Event()
    release = threading.Event()

    def slow(slot: int) -> int:
        inside.set()
        assert release.wait(WAIT_S)
        ended.set()
        return 1

    def broken(slot: int) -> int:
        assert inside.wait(WAIT_S)
        asyncio.run_coroutine_threadsafe(_set(release), loop)
        raise KeyError("gone")

    loop = asyncio.get_running_loop()
    with pytest.raises(KeyError):
        await run_calls(_in_threads([slow, broken]), schedule="parallel", workers=2)
    assert ended.is_set()


async def _set(event: threading.Event) -> None:
    event.set()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_calls_see_the_callers_context_and_keep_theirs_to_themselves(schedule: Schedule) -> None:
    """A context variable reaches every call, and what one call sets no sibling sees."""
    variable: ContextVar[int] = ContextVar("variable", default=0)

    def call(number: int, slot: int) -> int:
        seen = variable.get()
        variable.set(number)
        return seen

    async def main() -> list[int | None]:
        variable.set(7)
        outcomes = await run_calls(
            _in_threads([partial(call, n) for n in range(3)]), schedule=schedule, workers=1
        )
        assert variable.get() == 7
        return [o.value for o in outcomes]

    assert asyncio.run(main()) == [7, 7, 7]
