"""An event loop in virtual time: when no task can go on it moves to the next timer, and never waits."""

import asyncio
import heapq
import math
import sys
import threading
from asyncio import base_events
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, NoReturn, TypeVarTuple

from swarmlab.errors import DeadlockError, RealWaitError, VirtualTimeError

Ts = TypeVarTuple("Ts")

LATEST_US = 10**15
"""Some 31 years, over which seconds as floats tell microseconds apart. A timer set for later never ends."""

SHUTDOWN_WAIT_S = 5.0
"""How long a loop that shuts down may really wait for a thread that is to wake it."""

_TASKS_NAMED = 5
_STEPS_BETWEEN = 50
"""How often in a row time may pass without a step of the loop."""
_FEW_TIMERS = 50
"""So few cancelled timers may stay on the heap until they are due."""
_MISUSES = {
    "no simulated run may reach the network: simulate the other side, or run on the wall clock": (
        *("create_connection", "create_server", "create_unix_connection", "create_unix_server"),
        *("create_datagram_endpoint", "connect_accepted_socket", "start_tls", "sendfile", "sock_sendfile"),
        *("sock_recv", "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into", "sock_sendall"),
        *("sock_sendto", "sock_connect", "sock_accept", "getaddrinfo", "getnameinfo"),
    ),
    "no simulated run may wait for another process: simulate it, or run on the wall clock": (
        *("subprocess_exec", "subprocess_shell", "connect_read_pipe", "connect_write_pipe"),
        *("add_reader", "remove_reader", "add_writer", "remove_writer", "add_signal_handler"),
    ),
}
_IN_PLACE = frozenset({"langchain_core", "langchain", "langgraph"})
"""Packages that hand whatever is not `async def` (nodes, edges, tools, callbacks) to a thread."""


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


class VirtualTime:
    """The present of one simulation in whole microseconds since its origin."""

    __slots__ = ("now_us",)

    def __init__(self) -> None:
        self.now_us = 0


class VirtualLoop(base_events.BaseEventLoop):
    """Runs tasks as asyncio does, in virtual time; refuses whatever would wait in real time.

    Parameters
    ----------
    time
        Moved on by this loop alone while it runs.

    Raises
    ------
    DeadlockError
        From running it: every task waits and no timer is set.
    RealWaitError
        From its methods for threads, sockets, files and processes.

    Notes
    -----
    What blocks the loop's thread is refused by `real_waits`, but for a bare lock and what compiled libraries
    wait for by themselves; that takes no virtual time.
    A library that answers from its own thread, such as aiosqlite, is not waited for: time moves on meanwhile.
    """

    # Of BaseEventLoop, which types do not cover: the timers as a heap, what is to run next, and what waits.
    _scheduled: list[tuple[int, int, asyncio.TimerHandle]]
    """By the microsecond they are due; of several due at once the one set first comes first."""
    _timer_cancelled_count: int
    _stopping: bool
    _closed: bool
    _thread_id: int | None
    _ready: deque[asyncio.Handle]
    _debug: bool

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self.is_shutting_down = False
        """Whether its main task is done; then a thread that must end may be waited for."""
        self._time = time
        self._timers_set = 0
        self._passed = 0
        self._bare = Context()
        self._woken = threading.Event()

    def time(self) -> float:
        """Virtual seconds since the origin."""
        return self._time.now_us / 1e6

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call `callback` at virtual time `when`, rounded to the microsecond and never before now."""
        self._check_closed()  # type: ignore[attr-defined]
        if self._debug:
            self._check_thread()  # type: ignore[attr-defined]
            self._check_callback(callback, "call_at")  # type: ignore[attr-defined]
        if when * 1e6 < LATEST_US:
            due_us = max(round(when * 1e6), self._time.now_us)
        elif math.isnan(when):
            raise VirtualTimeError(f"a timer was set for no time at all (nan) by {callback!r}")
        else:
            due_us = LATEST_US
        self._timers_set += 1
        timer = asyncio.TimerHandle(due_us / 1e6, callback, args, self, context)
        heapq.heappush(self._scheduled, (due_us, self._timers_set, timer))
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Call `callback` in the next round. As asyncio has it, in one call instead of four."""
        if self._debug or self._closed:
            return super().call_soon(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def runs_in(self, thread_id: int) -> bool:
        """Whether it is running, in this thread."""
        return self._thread_id == thread_id

    def pass_time(self, seconds: float) -> bool:
        """Let time pass within a step, where nothing else would have happened until then; else return False.

        It comes to the same as a timer, and is several times as quick.
        """
        if self._ready or self._stopping or self._timer_cancelled_count or not 0 < seconds < LATEST_US / 1e6:
            return False
        due_us = round((self._time.now_us / 1e6 + seconds) * 1e6)
        if due_us >= LATEST_US or (self._scheduled and self._scheduled[0][0] <= due_us):
            return False
        self._passed += 1
        if self._passed % _STEPS_BETWEEN == 0:
            # Other threads are heard between steps only, such as one that was told to stop by Ctrl-C.
            return False
        self._time.now_us = due_us
        return True

    async def sleep(self, seconds: float) -> None:
        """Wait until so much time has passed; as `asyncio.sleep`, whose timers carry more."""
        woken = self.create_future()
        timer = self.call_at(self._time.now_us / 1e6 + seconds, _wake, woken, context=self._bare)
        try:
            await woken
        except BaseException:
            timer.cancel()
            raise

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], Any], *args: *Ts) -> asyncio.Future[Any]:
        """Call in place what LangChain and LangGraph would hand to a thread; no virtual time passes.

        Raises
        ------
        RealWaitError
            Somebody else wants a thread.
        """
        caller = str(sys._getframe(1).f_globals.get("__name__", ""))
        if executor is not None or caller.partition(".")[0] not in _IN_PLACE:
            raise RealWaitError(
                f"asyncio.to_thread or loop.run_in_executor was called at virtual time {self.time():.6f} s:"
                " use `await clock.work(function)`, which calls it in place"
            )
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - goes on to who awaits it
            done.set_exception(error)
        return done

    def shut_down(self) -> None:
        """From now on a thread that has to end may be waited for."""
        self.is_shutting_down = True

    def move_on(self) -> None:
        """Move the time to the next timer; nothing else is left to do now."""
        if self._scheduled and self._scheduled[0][0] < LATEST_US:
            self._time.now_us = max(self._scheduled[0][0], self._time.now_us)
            return
        self._woken.clear()
        if self._ready or (self.is_shutting_down and self._woken.wait(SHUTDOWN_WAIT_S)):
            return
        raise DeadlockError(_describe_deadlock(self))

    def _write_to_self(self) -> None:
        """Another thread has added something to do."""
        self._woken.set()

    def _run_once(self) -> None:
        """One round, in asyncio's order: what is ready, then the timers that are due; nothing they add.

        Not asyncio's own, which looks for files and sockets in every round; this loop has none.
        """
        timers, ready = self._scheduled, self._ready
        if self._timer_cancelled_count:
            self._drop_cancelled()
        if not ready and not self._stopping:
            self.move_on()
        now_us = self._time.now_us
        while timers and timers[0][0] <= now_us:
            timer = heapq.heappop(timers)[2]
            timer._scheduled = False  # type: ignore[attr-defined]
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _drop_cancelled(self) -> None:
        """Take cancelled timers off the heap: those in front, and all of them where they are most of it."""
        timers = self._scheduled
        dropped: list[asyncio.TimerHandle] = []
        if self._timer_cancelled_count > max(len(timers) / 2, _FEW_TIMERS):
            dropped = [timer for _, _, timer in timers if timer.cancelled()]
            timers[:] = [entry for entry in timers if not entry[2].cancelled()]
            heapq.heapify(timers)
        while timers and timers[0][2].cancelled():
            dropped.append(heapq.heappop(timers)[2])
        for timer in dropped:
            timer._scheduled = False  # type: ignore[attr-defined]
        self._timer_cancelled_count -= len(dropped)


def _refuse(method: str, instead: str) -> Callable[..., NoReturn]:
    def refuse(loop: VirtualLoop, *_args: object, **_options: object) -> NoReturn:
        raise RealWaitError(f"loop.{method} was called at virtual time {loop.time():.6f} s: {instead}")

    refuse.__name__ = method
    refuse.__doc__ = f"Raise a RealWaitError: {instead}."
    return refuse


for _instead, _methods in _MISUSES.items():
    for _method in _methods:
        setattr(VirtualLoop, _method, _refuse(_method, _instead))


def _describe_deadlock(loop: VirtualLoop) -> str:
    tasks = [(_describe_name(task), _describe_wait(task)) for task in asyncio.all_tasks(loop)]
    tasks.sort(key=lambda task: (task[0] != "main", len(task[0]), task))
    lines = [f"  {name}{': ' if name else ''}{wait}" for name, wait in tasks[:_TASKS_NAMED]]
    if len(tasks) > _TASKS_NAMED:
        lines.append(f"  and {len(tasks) - _TASKS_NAMED} more")
    while_what = "while the simulation shut down, " if loop.is_shutting_down else ""
    return "\n".join(
        [
            f"deadlock at virtual time {loop.time():.6f} s: {while_what}{len(tasks)} task(s) wait and nothing"
            " is left that could wake them (virtual time does not wait for other threads)",
            *lines,
        ]
    )


def _describe_name(task: asyncio.Task[Any]) -> str:
    """Return the name a task was given, if any: asyncio's own numbers differ from run to run."""
    name = task.get_name()
    return "" if name.startswith("Task-") and name[5:].isdecimal() else name


def _describe_wait(task: asyncio.Task[Any]) -> str:
    """Say what a suspended task waits in and where: `analyst() waits in Event.wait at agents/turn.py:41`."""
    coroutine: Any = task.get_coro()
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    where, inside = "a place unknown", ""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        module = "" if frame is None else frame.f_globals.get("__name__", "")
        if module == __name__ or module.partition(".")[0] == "asyncio":
            inside = inside or f" in {coroutine.__qualname__}"
        elif frame is not None:
            where, inside = f"{frame.f_code.co_filename}:{frame.f_lineno}", ""
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return f"{name} waits{inside} at {where}"
