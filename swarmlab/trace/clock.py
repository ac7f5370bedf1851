"""The only source of time in swarmlab: everything that measures, waits or runs is given a Clock."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

from swarmlab.errors import RealWaitError, VirtualTimeError
from swarmlab.trace import real_waits
from swarmlab.trace.loop_thread import run_in_thread
from swarmlab.trace.virtual_loop import VirtualLoop, VirtualTime

T = TypeVar("T")

_VIRTUAL_ORIGIN = datetime(2000, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """What a run needs from time: a monotonic reading, a date, and ways to wait, to work and to run."""

    @property
    def kind(self) -> Literal["wall", "virtual"]:
        """`wall` for measured time, `virtual` for simulated time; the two are never averaged."""

    def now_ns(self) -> int:
        """Monotonic time in nanoseconds since an arbitrary origin."""

    def utc_now(self) -> datetime:
        """The date and time in UTC, for `started_at`; never for durations."""

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of this clock's time."""

    async def work(self, function: Callable[[], T]) -> T:
        """Call a function that blocks, with a copy of this context, without holding up other tasks."""

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` to its end on an event loop of its own, also where another loop is running.

        Ctrl-C cancels it, waits for its clean-up and raises KeyboardInterrupt.
        """


class WallClock:
    """Real time: the machine's highest-resolution monotonic counter."""

    kind: Literal["wall"] = "wall"

    def now_ns(self) -> int:
        """Monotonic time in nanoseconds since an arbitrary origin."""
        return time.perf_counter_ns()

    def utc_now(self) -> datetime:
        """The machine's date and time in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of real time without blocking the event loop."""
        await asyncio.sleep(seconds)

    async def work(self, function: Callable[[], T]) -> T:
        """Call a function that blocks in another thread."""
        return await asyncio.to_thread(function)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` to its end on an event loop in a worker thread."""
        if isinstance(asyncio._get_running_loop(), VirtualLoop):
            main.close()
            raise RealWaitError("WallClock.run was called within a simulation: await the coroutine instead")
        return run_in_thread(asyncio.new_event_loop(), main)


class VirtualClock:
    """Simulated time, of one simulation: it moves only when every task waits, and then to the next timer.

    Inside it is a whole number of microseconds, to which every wait is rounded; so waits add up exactly.

    Parameters
    ----------
    start_ns
        What `now_ns` reads at first.
    """

    kind: Literal["virtual"] = "virtual"

    def __init__(self, start_ns: int = 0) -> None:
        self._start_ns = start_ns
        self._time = VirtualTime()
        self._loop: VirtualLoop | None = None

    def now_ns(self) -> int:
        """Virtual time in nanoseconds."""
        return self._start_ns + self._time.now_us * 1000

    def utc_now(self) -> datetime:
        """The first of January 2000 plus the virtual time: the same in every simulation."""
        return _VIRTUAL_ORIGIN + timedelta(microseconds=self.now_ns() // 1000)

    def is_here(self) -> bool:
        """Whether this very code runs in this clock's simulation."""
        # By the thread, for asyncio asks the operating system at each look for the loop that is running.
        return self._loop is not None and self._loop.runs_in(threading.get_ident())

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of virtual time, which takes none.

        Raises
        ------
        VirtualTimeError
            Awaited outside this clock's own `run`, where nothing would move its time on.
        """
        if seconds > 0 and not self.is_here():
            raise VirtualTimeError(
                f"VirtualClock.sleep({seconds!r}) was awaited on an event loop that is not this clock's:"
                " start the simulation with `clock.run(main())`"
            )
        if seconds <= 0 or self._loop is None:
            await asyncio.sleep(seconds)
        elif not self._loop.pass_time(seconds):
            await self._loop.sleep(seconds)

    async def work(self, function: Callable[[], T]) -> T:
        """Call the function here and now; virtual time stands still meanwhile.

        Raises
        ------
        RealWaitError
            It was about to wait in real time, as by `time.sleep`.
        """
        return contextvars.copy_context().run(function)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Simulate `main` to its end in a worker thread; a later run goes on from the time it ended at.

        Raises
        ------
        VirtualTimeError
            The clock is running a simulation already.
        DeadlockError
            Every task waits and no timer is left.
        RealWaitError
            Something was about to wait in real time: `time.sleep`, a thread, a socket, a process.
        """
        if self._loop is not None:
            main.close()
            raise VirtualTimeError(
                "this virtual clock is running a simulation already: await the coroutine within it,"
                " or run it with a VirtualClock of its own"
            )
        self._loop = loop = VirtualLoop(self._time)
        try:
            with real_waits.refused():
                return run_in_thread(loop, main, loop.shut_down)
        finally:
            # Open still when a second Ctrl-C did not wait for the end of this simulation.
            if loop.is_closed():
                self._loop = None
