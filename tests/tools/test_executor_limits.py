"""The executor's limits, in virtual time: deadlines, retries, garbage, cancellation and back-pressure."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmlab.errors import ToolError
from swarmlab.tools.executor import CLEAN_UP_S, Call, Outcome, run_calls
from swarmlab.trace.backoff import Backoff
from swarmlab.trace.clock import VirtualClock

T = TypeVar("T")

HOURS = 10_000.0


def _simulate(main: Callable[[VirtualClock], Coroutine[Any, Any, T]]) -> tuple[T, float]:
    """What a coroutine gives, and the virtual seconds it takes."""
    clock = VirtualClock()
    value = clock.run(main(clock))
    return value, clock.now_ns() / 1e9


def _call(name: str, work: Callable[[], Awaitable[T]], **limits: Any) -> Call[T]:
    return Call(name, lambda _: work(), **limits)


async def _after(clock: VirtualClock, seconds: float, value: T) -> T:
    await clock.sleep(seconds)
    return value


async def _fail() -> int:
    raise ToolError("tool5", "no rows")


def _not_a_number(value: object) -> str | None:
    return None if isinstance(value, int) else f"it returned {type(value).__name__}"


@pytest.mark.parametrize(
    ("fault", "reason", "ends_s"),
    [
        ("fails", "tool tool5 failed: no rows", 3.0),
        ("hangs", "tool tool5 failed: took longer than 5 s", 6.0),
        ("returns garbage", "tool tool5 failed: it returned str", 3.0),
    ],
)
def test_one_of_twelve_costs_the_eleven_nothing(fault: str, reason: str, ends_s: float) -> None:
    """Eleven answers are kept, the twelfth is named, and the batch ends when its deadline says, exactly."""

    async def main(clock: VirtualClock) -> list[Outcome[Any]]:
        faulty: dict[str, Callable[[], Awaitable[Any]]] = {
            "fails": _fail,
            "hangs": partial(clock.sleep, HOURS),
            "returns garbage": partial(_after, clock, 1.0, "<html>"),
        }
        works = [partial(_after, clock, 1.0, n) for n in range(12)]
        calls = [
            _call(f"tool{n}", faulty[fault] if n == 5 else work, timeout_s=5.0, check=_not_a_number)
            for n, work in enumerate(works)
        ]
        return await run_calls(calls, schedule="parallel", workers=4, clock=clock)

    outcomes, took_s = _simulate(main)
    assert [o.value for o in outcomes] == [None if n == 5 else n for n in range(12)]
    assert str(outcomes[5].error) == reason
    assert took_s == ends_s


@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
def test_a_batch_ends_at_its_deadline(schedule: Any) -> None:
    """What is done is kept, what is at work is cut off, what waits is not started; each says which."""

    async def main(clock: VirtualClock) -> list[Outcome[int]]:
        calls = [_call(f"tool{n}", partial(_after, clock, 2.0, n)) for n in range(6)]
        return await run_calls(calls, schedule=schedule, workers=2, deadline_s=3.0, clock=clock)

    outcomes, took_s = _simulate(main)
    assert took_s == 3.0
    done, cut = (1, 1) if schedule == "sequential" else (2, 2)
    assert [o.attempts for o in outcomes] == [1] * (done + cut) + [0] * (6 - done - cut)
    assert [o.value for o in outcomes[:done]] == list(range(done))
    assert str(outcomes[done].error) == (
        f"tool tool{done} failed: was at work when the 3.0 s of all calls were over"
    )
    assert str(outcomes[-1].error) == "tool tool5 failed: was not started: the 3.0 s of all calls were over"


def test_a_transient_error_is_tried_again_after_the_waits_of_the_backoff() -> None:
    """Two lost connections and an answer: three attempts, and the waits drawn for this call between them."""
    backoff = Backoff(first_s=1.0, most_s=8.0, seed=3)
    left = [ConnectionResetError("reset"), ConnectionResetError("reset")]

    async def flaky() -> int:
        if left:
            raise left.pop()
        return 7

    async def main(clock: VirtualClock) -> list[Outcome[int]]:
        calls = [_call("kpis", flaky, attempts=3)]
        return await run_calls(calls, schedule="parallel", workers=1, clock=clock, backoff=backoff)

    outcomes, took_s = _simulate(main)
    assert outcomes == [Outcome(7, None, attempts=3)]
    waits_s = [backoff.wait_s(1, "kpis"), backoff.wait_s(2, "kpis")]
    assert 0.5 <= waits_s[0] <= 1.0 <= waits_s[1] <= 2.0
    assert took_s == pytest.approx(sum(waits_s), abs=2e-6)


def test_an_error_that_stays_is_named_with_its_attempts() -> None:
    """A transient cause behind a ToolError counts as transient, and the last error says how often."""

    async def cut_off() -> int:
        raise ToolError("kpis", "OSError: cut off") from TimeoutError("30 s")

    async def main(clock: VirtualClock) -> list[Outcome[int]]:
        calls = [_call("kpis", cut_off, attempts=4), _call("roi", cut_off)]
        return await run_calls(calls, schedule="parallel", workers=2, clock=clock)

    (tried, once), _ = _simulate(main)
    assert (str(tried.error), tried.attempts) == ("tool kpis failed: OSError: cut off (4 attempts)", 4)
    assert isinstance(tried.error, ToolError)
    assert isinstance(tried.error.__cause__, ToolError)
    assert (str(once.error), once.attempts) == ("tool kpis failed: OSError: cut off", 1)


def test_a_lasting_error_is_not_tried_again() -> None:
    """A tool that fails for a reason of its own is asked once, however many attempts it has."""
    asked = []

    async def no_rows() -> int:
        asked.append(1)
        raise ToolError("kpis", "no rows") from ValueError("no rows")

    async def main(clock: VirtualClock) -> list[Outcome[int]]:
        return await run_calls(
            [_call("kpis", no_rows, attempts=5)], schedule="parallel", workers=1, clock=clock
        )

    (outcome,), took_s = _simulate(main)
    assert (len(asked), outcome.attempts, took_s) == (1, 1, 0.0)


def test_a_timeout_holds_for_all_attempts_together() -> None:
    """A call that would be tried for hours ends at its timeout, with the attempts it had."""

    async def main(clock: VirtualClock) -> list[Outcome[int]]:
        async def refused() -> int:
            await clock.sleep(1.0)
            raise ConnectionRefusedError

        call = _call("kpis", refused, attempts=1000, timeout_s=2.5)
        backoff = Backoff(first_s=0.5, most_s=0.5)
        return await run_calls([call], schedule="parallel", workers=1, clock=clock, backoff=backoff)

    (outcome,), took_s = _simulate(main)
    assert took_s == 2.5
    assert (str(outcome.error), outcome.attempts) == ("tool kpis failed: took longer than 2.5 s", 2)


def test_a_call_that_does_not_stop_is_left_behind() -> None:
    """A call deaf to cancellation costs its own slot the clean-up time, and its siblings nothing."""

    async def main(clock: VirtualClock) -> list[Outcome[int]]:
        async def deaf() -> int:
            ends_ns = clock.now_ns() + 60_000_000_000
            while clock.now_ns() < ends_ns:
                try:
                    await clock.sleep(60.0)
                except asyncio.CancelledError:
                    continue
            raise ValueError("nobody asks any more")

        calls = [_call("deaf", deaf, timeout_s=1.0), _call("kpis", partial(_after, clock, 2.0, 7))]
        outcomes = await run_calls(calls, schedule="parallel", workers=2, clock=clock)
        assert clock.now_ns() == (1 + CLEAN_UP_S) * 1e9
        await clock.sleep(200.0)
        return outcomes

    outcomes, _ = _simulate(main)
    assert str(outcomes[0].error) == (
        "tool deaf failed: took longer than 1 s, and has not stopped 5 s after it was told to"
    )
    assert outcomes[1].value == 7


def test_what_goes_wrong_in_the_clean_up_is_the_cause() -> None:
    """A call that fails while it is ended is overdue all the same, and its error is kept."""

    async def main(clock: VirtualClock) -> list[Outcome[None]]:
        async def clumsy() -> None:
            try:
                await clock.sleep(HOURS)
            finally:
                raise OSError("disk full")

        return await run_calls(
            [_call("kpis", clumsy, timeout_s=1.0)], schedule="parallel", workers=1, clock=clock
        )

    (outcome,), _ = _simulate(main)
    assert outcome.error is not None
    assert (str(outcome.error), repr(outcome.error.__cause__)) == (
        "tool kpis failed: took longer than 1 s",
        "OSError('disk full')",
    )


@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
def test_cancelling_the_batch_ends_every_call_and_leaves_no_task(schedule: Any) -> None:
    """Calls under way clean up before the cancellation comes out, no other starts, and no task is left."""
    cleaned, started = list[int](), list[int]()

    async def main(clock: VirtualClock) -> int:
        async def work(number: int) -> None:
            started.append(number)
            try:
                await clock.sleep(HOURS)
            finally:
                await clock.sleep(1.0 + number)
                cleaned.append(number)

        calls = [_call(f"tool{n}", partial(work, n)) for n in range(5)]
        batch = asyncio.create_task(run_calls(calls, schedule=schedule, workers=3, clock=clock))
        await clock.sleep(10.0)
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        return len(asyncio.all_tasks())

    left, took_s = _simulate(main)
    n_under_way = 1 if schedule == "sequential" else 3
    assert started == sorted(cleaned) == list(range(n_under_way))
    assert (left, took_s) == (1, 11.0 if schedule == "sequential" else 13.0)


def test_a_call_that_was_cancelled_from_within_is_named() -> None:
    """A cancellation that did not come from the batch is that call's failure, not the batch's end."""

    async def main(clock: VirtualClock) -> list[Outcome[int]]:
        async def broken() -> int:
            raise asyncio.CancelledError

        calls = [_call("kpis", broken), _call("roi", partial(_after, clock, 1.0, 1))]
        return await run_calls(calls, schedule="parallel", workers=2, clock=clock)

    outcomes, _ = _simulate(main)
    assert [(o.value, str(o.error)) for o in outcomes] == [
        (None, "tool kpis failed: was cancelled from within"),
        (1, "None"),
    ]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_request_to_exit_is_not_an_outcome(kind: type[BaseException]) -> None:
    """What is no Exception comes out of the batch as it is."""

    async def leave() -> int:
        raise kind

    with pytest.raises(kind):
        asyncio.run(run_calls([_call("kpis", leave), _call("roi", leave)], schedule="parallel", workers=2))


def test_no_call_starts_after_one_broke_and_every_break_is_told() -> None:
    """Those under way end, the first error comes out, and the second is in its notes."""
    started = list[int]()

    async def main(clock: VirtualClock) -> None:
        async def work(number: int) -> None:
            started.append(number)
            await clock.sleep(1.0 + number)
            if number < 2:
                raise KeyError(number)

        calls = [_call(f"tool{n}", partial(work, n)) for n in range(9)]
        await run_calls(calls, schedule="parallel", workers=3, clock=clock)

    with pytest.raises(KeyError, match="0") as found:
        _simulate(main)
    assert started == [0, 1, 2]
    assert found.value.__notes__ == ["another call of the batch broke too: KeyError: 1"]


class _Drawn:
    """An endless supply of calls that counts how many were drawn and how many have ended."""

    def __init__(self, clock: VirtualClock, n_calls: int) -> None:
        self.ahead: list[int] = []
        self._clock = clock
        self._n_calls = n_calls
        self._ended = 0

    def calls(self) -> Iterator[Call[int]]:
        for number in range(self._n_calls):
            self.ahead.append(number + 1 - self._ended)
            yield _call(f"tool{number}", partial(self._work, number))

    async def acalls(self) -> AsyncIterator[Call[int]]:
        for call in self.calls():
            await self._clock.sleep(0.25)
            yield call

    async def _work(self, number: int) -> int:
        await self._clock.sleep(1.0 + number % 3)
        self._ended += 1
        return number


@pytest.mark.parametrize("is_async", [False, True])
def test_no_more_calls_are_drawn_than_workers_are_free(is_async: bool) -> None:
    """From a hundred calls of a generator, plain or asynchronous, never more than three are out at once."""

    async def main(clock: VirtualClock) -> tuple[list[Outcome[int]], list[int]]:
        supply = _Drawn(clock, 100)
        calls = supply.acalls() if is_async else supply.calls()
        return await run_calls(calls, schedule="parallel", workers=3, clock=clock), supply.ahead

    (outcomes, ahead), _ = _simulate(main)
    assert [o.value for o in outcomes] == list(range(100))
    assert max(ahead) == 3


def test_a_supply_that_hangs_ends_at_the_deadline() -> None:
    """The calls that came in time are kept."""

    async def main(clock: VirtualClock) -> list[Outcome[int]]:
        async def calls() -> AsyncIterator[Call[int]]:
            yield _call("kpis", partial(_after, clock, 1.0, 7))
            await clock.sleep(HOURS)
            raise AssertionError("it was asked again")

        return await run_calls(calls(), schedule="parallel", workers=2, deadline_s=5.0, clock=clock)

    assert _simulate(main) == ([Outcome(7, None)], 5.0)


def test_a_supply_that_breaks_is_raised_when_its_calls_have_ended() -> None:
    """An error of the generator is no call's outcome; the call under way is waited for."""
    ended = []

    async def main(clock: VirtualClock) -> None:
        async def work() -> None:
            await clock.sleep(1.0)
            ended.append(1)

        def calls() -> Iterator[Call[None]]:
            yield _call("kpis", work)
            raise LookupError("no more")

        await run_calls(calls(), schedule="parallel", workers=2, clock=clock)

    with pytest.raises(LookupError, match="no more"):
        _simulate(main)
    assert ended == [1]


@pytest.mark.parametrize("limits", [{"attempts": 0}, {"timeout_s": 0.0}, {"timeout_s": -1.0}])
def test_a_call_without_any_time_or_attempt_is_refused(limits: dict[str, Any]) -> None:
    """A limit that leaves nothing to try is the programmer's mistake, and is said at once."""
    with pytest.raises(ValueError, match="'kpis' needs an attempt or more and a timeout above 0 s"):
        _call("kpis", _fail, **limits)


class _Steady(Backoff):
    """Waits of whole seconds, for a model that computes exactly."""

    def wait_s(self, attempt: int, *what: object) -> float:
        return float(attempt)


@dataclass(frozen=True)
class _Plan:
    """What a call does: so many transient failures, then its end, each after `work_s`."""

    work_s: int
    failures: int
    end: str
    attempts: int
    timeout_s: float | None

    async def run(self, clock: VirtualClock, tried: list[int]) -> str:
        await clock.sleep(self.work_s)
        tried.append(1)
        if len(tried) <= self.failures:
            raise ConnectionResetError
        if self.end == "error":
            raise ToolError("t", "no rows")
        if self.end == "hang":
            await clock.sleep(HOURS)
        return self.end


# Ends fall on whole or half seconds and deadlines between them, so that the model has no ties to break.
PLANS = st.builds(
    _Plan,
    work_s=st.integers(0, 4),
    failures=st.integers(0, 3),
    end=st.sampled_from(["value", "garbage", "error", "hang"]),
    attempts=st.integers(1, 3),
    timeout_s=st.integers(0, 12).map(lambda n: n + 0.5),
)


def _expected(
    plans: list[_Plan], workers: int, deadline_s: float | None
) -> tuple[list[tuple[str, int]], float]:
    """The model: calls go, in their order, to the worker that is free first."""
    free, found, last = [0.0] * workers, [], 0.0
    for plan in plans:
        start = heapq.heappop(free)
        if deadline_s is not None and start >= deadline_s:
            found.append(("error", 0))
            heapq.heappush(free, start)
            continue
        cut = min(start + (plan.timeout_s or HOURS), deadline_s or HOURS)
        at, attempt = start + plan.work_s, 1
        while at < cut and attempt <= plan.failures and attempt < plan.attempts:
            at += attempt
            if at >= cut:
                break
            attempt += 1
            at += plan.work_s
        is_exhausted = attempt <= plan.failures
        is_over = at >= cut or (plan.end == "hang" and not is_exhausted)
        end = cut if is_over else at
        kind = "value" if plan.end == "value" and not is_over and not is_exhausted else "error"
        found.append((kind, attempt))
        heapq.heappush(free, end)
        last = max(last, end)
    return found, last


@given(
    plans=st.lists(PLANS, max_size=10),
    workers=st.integers(1, 4),
    deadline_s=st.none() | st.integers(1, 20).map(lambda n: n + 0.25),
)
@settings(max_examples=300, deadline=None)
def test_any_mix_of_faults_comes_out_as_a_simple_model_says(
    plans: list[_Plan], workers: int, deadline_s: float | None
) -> None:
    """Values, errors, attempts and the end of the batch are those of a queue before free workers."""

    async def main(clock: VirtualClock) -> list[Outcome[str]]:
        calls = [
            _call(
                f"tool{n}",
                partial(plan.run, clock, []),
                attempts=plan.attempts,
                timeout_s=plan.timeout_s,
                check=lambda value: "garbage" if value == "garbage" else None,
            )
            for n, plan in enumerate(plans)
        ]
        return await run_calls(
            calls,
            schedule="parallel",
            workers=workers,
            deadline_s=deadline_s,
            clock=clock,
            backoff=_Steady(),
        )

    outcomes, took_s = _simulate(main)
    expected, ends_s = _expected(plans, workers, deadline_s)
    assert [("value" if o.error is None else "error", o.attempts) for o in outcomes] == expected
    assert took_s == ends_s
    assert all(
        f"tool{n} " in str(o.error) or "tool t " in str(o.error) for n, o in enumerate(outcomes) if o.error
    )


async def test_a_batch_without_workers_is_refused() -> None:
    """No calls are dropped in silence because nobody is there to make them."""
    with pytest.raises(ValueError, match="calls need a worker or more, not 0"):
        await run_calls([_call("kpis", None)], schedule="parallel", workers=0)
