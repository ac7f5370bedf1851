"""Runs tool calls in bounded parallel, each with a deadline, attempts and a context of its own.

A call that fails, hangs or returns garbage costs its siblings nothing and is named. All waits are the event
loop's, so deadlines and retries hold in virtual time too.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from swarmlab.errors import ToolError
from swarmlab.trace.backoff import Backoff
from swarmlab.trace.clock import Clock, WallClock

T = TypeVar("T")

Schedule = Literal["sequential", "parallel"]
Work = Callable[[int], Awaitable[T]]

TRANSIENT = (ConnectionError, TimeoutError, BlockingIOError, InterruptedError)
"""Errors after which the same call may succeed."""

CLEAN_UP_S = 5.0
"""How long a cancelled call may take to end; then it is left behind, and its outcome says so."""

_WALL_CLOCK = WallClock()
_BACKOFF = Backoff()


def is_transient(error: BaseException) -> bool:
    """Whether an error, or what caused it, is one of `TRANSIENT`."""
    at: BaseException | None = error
    while at is not None and not isinstance(at, TRANSIENT):
        at = at.__cause__
    return at is not None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call, its name, and what it is allowed."""

    name: str
    run: Work[T]
    """Does the work, leaves the event loop free meanwhile, and raises `ToolError` when the tool fails. It is
    told its slot, a number below the bound of calls under way, which no other call has meanwhile."""
    timeout_s: float | None = None
    """Seconds for all attempts and the waits between them; None leaves it to the deadline of the batch."""
    attempts: int = 1
    """How often it may be tried while its errors are transient."""
    check: Callable[[T], str | None] | None = None
    """Says what is wrong with a value; None where nothing is."""
    is_transient: Callable[[Exception], bool] = is_transient

    def __post_init__(self) -> None:
        """Refuse a call that could not be tried at all."""
        if self.attempts < 1 or (self.timeout_s is not None and self.timeout_s <= 0):
            raise ValueError(f"call {self.name!r} needs an attempt or more and a timeout above 0 s")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What one call came to: a value, or the error that names its tool."""

    value: T | None
    error: ToolError | None
    attempts: int = 1
    """How often it was tried; 0 when the batch was over before its turn came."""


async def run_calls(
    calls: Iterable[Call[T] | Work[T]] | AsyncIterable[Call[T] | Work[T]],
    *,
    schedule: Schedule,
    workers: int,
    deadline_s: float | None = None,
    clock: Clock = _WALL_CLOCK,
    backoff: Backoff = _BACKOFF,
) -> list[Outcome[T]]:
    """Run tool calls, each in a copy of the caller's context, and keep their order.

    Parameters
    ----------
    calls
        Drawn one by one, when a slot is free. A bare function is a call without a name, limit or retries.
    schedule
        `sequential`: one after the other; `parallel`: up to `workers` at a time.
    workers
        Upper bound of calls under way at once.
    deadline_s
        Seconds for the whole batch: then calls under way are cancelled, and the rest of a sequence of calls
        is not started; what an iterator has not given yet is not asked for.
    clock
        Waits between attempts.
    backoff
        How long these waits are.

    Returns
    -------
    list of Outcome
        In the order of `calls`, whatever order they finished in.

    Raises
    ------
    ValueError
        There are no workers.
    Exception
        Whatever a call (or the iterator) raised that is neither a `ToolError` nor transient; no further call
        is started then, and those under way are waited for.
    asyncio.CancelledError
        The batch was cancelled: its calls were too, and their clean-up was waited for.
    """
    if workers < 1:
        raise ValueError(f"calls need a worker or more, not {workers}")
    batch = _Batch(calls, deadline_s, clock, backoff)
    n_lanes = 1 if schedule == "sequential" else workers
    if isinstance(calls, Sequence):
        n_lanes = min(n_lanes, len(calls))
    if n_lanes == 1:
        await batch.lane(0)
    else:
        # All are waited for, also when the batch is cancelled: the first to end would otherwise end it.
        lanes = (batch.lane(slot) for slot in range(n_lanes))
        for broken in filter(None, await asyncio.gather(*lanes, return_exceptions=True)):
            raise broken
    return batch.result()


class _Batch(Generic[T]):
    """Calls that are drawn by several lanes, one lane a slot; a lane runs one call at a time."""

    def __init__(
        self,
        calls: Iterable[Call[T] | Work[T]] | AsyncIterable[Call[T] | Work[T]],
        deadline_s: float | None,
        clock: Clock,
        backoff: Backoff,
    ) -> None:
        self._calls = calls
        self._source = aiter(calls if isinstance(calls, AsyncIterable) else _each(calls))
        self._drawing = asyncio.Lock()
        self._n_drawn = 0
        self._clock = clock
        self._backoff = backoff
        self._loop = asyncio.get_running_loop()
        self._deadline_s = deadline_s
        self._ends_at = None if deadline_s is None else self._loop.time() + deadline_s
        self._outcomes: dict[int, Outcome[T]] = {}
        self._attempts: dict[int, int] = {}
        self._breaks: list[Exception] = []

    async def lane(self, slot: int) -> None:
        """Run calls one after the other until there are none, time is over, or something broke."""
        try:
            while (drawn := await self._draw()) is not None:
                number, call = drawn
                self._outcomes[number] = await self._outcome(number, call, slot)
        except Exception as error:  # noqa: BLE001 - raised by `result`, once no lane is at work any more
            self._breaks.append(error)

    def result(self) -> list[Outcome[T]]:
        """All outcomes in order; raises what broke the batch."""
        if self._breaks:
            first, *others = self._breaks
            for other in others:
                first.add_note(f"another call of the batch broke too: {type(other).__name__}: {other}")
            raise first
        outcomes = [self._outcomes[number] for number in sorted(self._outcomes)]
        if isinstance(self._calls, Sequence):
            reason = f"was not started: the {self._deadline_s} s of all calls were over"
            names = [call.name if isinstance(call, Call) else "" for call in self._calls[len(outcomes) :]]
            outcomes += [Outcome(None, ToolError(name, reason), 0) for name in names]
        return outcomes

    async def _draw(self) -> tuple[int, Call[T]] | None:
        """The next call and its number; None when there is none, or none in time, or something broke."""
        if self._breaks or (self._ends_at is not None and self._loop.time() >= self._ends_at):
            return None
        if isinstance(self._calls, Sequence):
            # At hand: nothing to wait for, and so nothing to bound.
            call = self._calls[self._n_drawn] if self._n_drawn < len(self._calls) else None
        else:
            call = await self._next()
        if call is None:
            return None
        self._n_drawn += 1
        return self._n_drawn - 1, call if isinstance(call, Call) else _bare(call)

    async def _next(self) -> Call[T] | Work[T] | None:
        """What an iterator gives next; None when it has ended or time is over."""
        try:
            # One lane at a time: an asynchronous generator cannot be asked twice at once.
            async with asyncio.timeout_at(self._ends_at) as limit, self._drawing:
                return await anext(self._source, None)
        except TimeoutError:
            if limit.expired():
                return None
            raise

    async def _outcome(self, number: int, call: Call[T], slot: int) -> Outcome[T]:
        """Run one call as a task of its own, in a copy of this context; end it when its time is over."""
        limit_s, reason = self._limit(call)
        task = self._loop.create_task(self._tried(number, call, slot), name=call.name or None)
        try:
            await asyncio.wait((task,), timeout=limit_s)
        except asyncio.CancelledError:
            await _stop(task)
            raise
        if not task.done():
            await _stop(task)
            return Outcome(None, _overdue(call, reason, task), self._attempts.get(number, 0))
        if task.cancelled():
            # Not by this batch: something the call waited for was cancelled.
            error = ToolError(call.name, "was cancelled from within")
            return Outcome(None, error, self._attempts.get(number, 0))
        return task.result()

    def _limit(self, call: Call[T]) -> tuple[float | None, str]:
        """Seconds that a call may take, and how to say that it took longer."""
        timeout_s, ends_at = call.timeout_s, self._ends_at
        left_s = None if ends_at is None else ends_at - self._loop.time()
        if timeout_s is not None and (left_s is None or timeout_s <= left_s):
            return timeout_s, f"took longer than {timeout_s:g} s"
        return left_s, f"was at work when the {self._deadline_s} s of all calls were over"

    async def _tried(self, number: int, call: Call[T], slot: int) -> Outcome[T]:
        """Try a call as often as it may be. A loop of its own: a deadline must find the count of attempts."""
        attempt = 0
        while True:
            attempt += 1
            self._attempts[number] = attempt
            try:
                value = await call.run(slot)
            except Exception as error:
                if not call.is_transient(error):
                    if isinstance(error, ToolError):
                        return Outcome(None, error, attempt)
                    raise
                if attempt == call.attempts:
                    return Outcome(None, _exhausted(call, error), attempt)
            else:
                problem = None if call.check is None else call.check(value)
                if problem is None:
                    return Outcome(value, None, attempt)
                return Outcome(None, ToolError(call.name, problem), attempt)
            await self._clock.sleep(self._backoff.wait_s(attempt, call.name))


async def _each(calls: Iterable[Call[T] | Work[T]]) -> AsyncIterator[Call[T] | Work[T]]:
    """A plain iterable as an asynchronous one, which never waits."""
    for call in calls:
        yield call


def _bare(run: Work[T]) -> Call[T]:
    return Call("", run, is_transient=_never)


def _never(_: Exception) -> bool:
    return False


async def _stop(task: asyncio.Task[Any]) -> None:
    """Cancel a call and wait for its clean-up, but not for ever."""
    task.cancel()
    _, left = await asyncio.wait((task,), timeout=CLEAN_UP_S)
    if left:
        # Nobody will ask for its error any more.
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


def _overdue(call: Call[Any], reason: str, task: asyncio.Task[Any]) -> ToolError:
    if not task.done():
        return ToolError(call.name, f"{reason}, and has not stopped {CLEAN_UP_S:g} s after it was told to")
    error = ToolError(call.name, reason)
    error.__cause__ = None if task.cancelled() else task.exception()
    return error


def _exhausted(call: Call[Any], error: Exception) -> ToolError:
    if isinstance(error, ToolError):
        if call.attempts == 1:
            return error
        message = str(error).removeprefix(f"tool {error.tool} failed: ")
    else:
        message = f"{type(error).__name__}: {error}"
    failed = ToolError(call.name, f"{message} ({call.attempts} attempts)" if call.attempts > 1 else message)
    failed.__cause__ = error
    return failed
