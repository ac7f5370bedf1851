"""Runs tool calls one after the other or in parallel; one that fails costs its siblings nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from swarmlab.errors import ToolError

T = TypeVar("T")

Schedule = Literal["sequential", "parallel"]


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What one call came to: a value, or the error that names its tool."""

    value: T | None
    error: ToolError | None


async def run_calls(
    calls: Sequence[Callable[[int], Awaitable[T]]], *, schedule: Schedule, workers: int
) -> list[Outcome[T]]:
    """Run tool calls, each in a copy of the caller's context, and keep their order.

    Parameters
    ----------
    calls
        Each does one tool's work, leaves the event loop free meanwhile (`Clock.work`), and raises `ToolError`
        when the tool fails. It is told its slot, a number below the bound of calls under way, which no other
        call has meanwhile.
    schedule
        `sequential`: one after the other; `parallel`: up to `workers` at a time.
    workers
        Upper bound of calls under way at once.

    Returns
    -------
    list of Outcome
        In the order of `calls`, whatever order they finished in.

    Raises
    ------
    Exception
        Whatever a call raised that is not a `ToolError`; only once no call is under way any more.
    """
    slots: asyncio.Queue[int] = asyncio.Queue()
    for number in range(1 if schedule == "sequential" else workers):
        slots.put_nowait(number)

    async def run_one(call: Callable[[int], Awaitable[T]]) -> Outcome[T]:
        slot = await slots.get()
        try:
            return Outcome(await call(slot), None)
        except ToolError as error:
            return Outcome(None, error)
        finally:
            slots.put_nowait(slot)

    if schedule == "sequential":
        # A task each, so that what a call sets in its context stays there.
        return [await asyncio.create_task(run_one(call)) for call in calls]
    # All are waited for, also when one breaks the run: a thread left behind would work on, untraced.
    ended = await asyncio.gather(*(run_one(call) for call in calls), return_exceptions=True)
    outcomes: list[Outcome[T]] = []
    for outcome in ended:
        if isinstance(outcome, BaseException):
            raise outcome
        outcomes.append(outcome)
    return outcomes
