"""While a simulation runs, its thread is refused what waits in real time; other threads wait as ever.

Refused are `time.sleep`, and waits for threads, sockets and processes by Python's own modules. A bare lock,
and what a compiled library waits for by itself, cannot be told from work.
"""

import asyncio
import functools
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any, NamedTuple

from swarmlab.errors import RealWaitError
from swarmlab.trace.virtual_loop import VirtualLoop

_sleep = time.sleep

_WAITING_MODULES = frozenset(
    {__name__, "threading", "queue", "concurrent.futures._base", "concurrent.futures.thread"}
    | {"socket", "ssl", "subprocess"}
)
"""Through which others wait."""
_MAY_WAIT = frozenset({"swarmlab", "ipykernel", "debugpy", "_pydevd_bundle"})
"""Packages that wait for threads of theirs: for a simulation within this one, for a kernel to print."""

_THREADS = (
    "virtual time does not wait for other threads: call the function in place with"
    " `await clock.work(function)`, or await an event, queue or future of asyncio"
)
_NETWORK = "no simulated run may reach the network: simulate the other side, or run on the wall clock"
_PROCESSES = "no simulated run may wait for another process: simulate it, or run on the wall clock"


def _has_time(_self: object, timeout: float | None = None) -> bool:
    return timeout is None or timeout > 0


def _is_alive(thread: threading.Thread, timeout: float | None = None) -> bool:
    return thread.is_alive() and _has_time(thread, timeout)


def _is_blocking(own: socket.socket, *_args: object, **_options: object) -> bool:
    return own.gettimeout() != 0


def _select_waits(*_files: object) -> bool:
    return len(_files) < 4 or _has_time(None, _files[3])  # type: ignore[arg-type]


def _ever(*_args: object, **_options: object) -> bool:
    return True


class _Wait(NamedTuple):
    owner: Any
    name: str
    waits: Callable[..., bool]
    """Whether a call with these arguments would wait."""
    instead: str


_WAITS = (
    _Wait(threading.Condition, "wait", _has_time, _THREADS),
    _Wait(threading.Thread, "join", _is_alive, _THREADS),
    *(
        _Wait(socket.socket, name, _is_blocking, _NETWORK)
        for name in ("accept", "connect", "connect_ex", "recv", "recv_into", "recvfrom", "recvfrom_into")
    ),
    *(_Wait(socket, name, _ever, _NETWORK) for name in ("getaddrinfo", "gethostbyname", "getnameinfo")),
    _Wait(select, "select", _select_waits, _NETWORK),
    _Wait(subprocess.Popen, "__init__", _ever, _PROCESSES),
    _Wait(os, "system", _ever, _PROCESSES),
)
"""Events, queues, barriers, semaphores and futures of threads all wait on a condition."""


def _refusing(wait: _Wait) -> Callable[..., Any]:
    """The same function, which raises in a simulation where it would wait."""
    original = getattr(wait.owner, wait.name)

    @functools.wraps(original)
    def call(*args: Any, **options: Any) -> Any:
        loop = asyncio._get_running_loop()
        if not isinstance(loop, VirtualLoop) or loop.is_shutting_down or not wait.waits(*args, **options):
            return original(*args, **options)
        waiter = _waiter(sys._getframe(1))
        if waiter is None:
            return original(*args, **options)
        name = wait.owner.__name__ if wait.name == "__init__" else f"{wait.owner.__name__}.{wait.name}"
        raise RealWaitError(
            f"{name} was called at virtual time {loop.time():.6f} s by"
            f" {waiter.f_code.co_filename}:{waiter.f_lineno}: {wait.instead}"
        )

    return call


def _waiter(frame: FrameType | None) -> FrameType | None:
    """Who waits through Python's modules; None for who may."""
    while frame is not None and frame.f_globals.get("__name__") in _WAITING_MODULES:
        # A thread is waited for until it has started, which it does at once.
        if frame.f_code is threading.Thread.start.__code__:
            return None
        frame = frame.f_back
    package = "" if frame is None else str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return None if package in _MAY_WAIT else frame


def _sleep_unless_virtual(seconds: float, /) -> None:
    loop = asyncio._get_running_loop()
    if isinstance(loop, VirtualLoop) and seconds != 0:
        raise RealWaitError(
            f"time.sleep({seconds!r}) was called at virtual time {loop.time():.6f} s:"
            " use `await clock.sleep(seconds)`"
        )
    _sleep(seconds)


class _Patch:
    """Replaces what waits while anyone needs it; `time.sleep` wherever a module's variable holds it."""

    def __init__(self) -> None:
        self._waits = [(wait.owner, wait.name, _refusing(wait)) for wait in _WAITS]
        self._originals: list[tuple[Any, str, Any]] = []
        self._lock = threading.Lock()
        self._users = 0
        self._places: list[tuple[dict[str, Any], str]] = []
        self._seen: dict[str, object] = {}
        self._last_search: tuple[int, object] = (0, None)

    @contextmanager
    def applied(self) -> Iterator[None]:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._search_new_modules()
                self._exchange(_sleep, _sleep_unless_virtual)
                self._refuse_waits()
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._allow_waits()
                    # Modules imported meanwhile took the replacement for the original.
                    self._search_new_modules()
                    self._exchange(_sleep_unless_virtual, _sleep)

    def _refuse_waits(self) -> None:
        for owner, name, refusing in self._waits:
            self._originals.append((owner, name, vars(owner).get(name)))
            setattr(owner, name, refusing)

    def _allow_waits(self) -> None:
        while self._originals:
            owner, name, original = self._originals.pop()
            if original is None:
                # It was inherited.
                delattr(owner, name)
            else:
                setattr(owner, name, original)

    def _search_new_modules(self) -> None:
        """Find where it is held in modules not seen before; to look through all of them each time is slow."""
        # An import adds its module at the end: as many, and the same last one, means none was added.
        newest = next(reversed(sys.modules.values()), None)
        if self._last_search == (len(sys.modules), newest):
            return
        self._last_search = (len(sys.modules), newest)
        for name, module in list(sys.modules.items()):
            if self._seen.get(name) is module:
                continue
            self._seen[name] = module
            if name == __name__ or not issubclass(type(module), ModuleType):
                continue
            # Not `vars`: that would load a module whose loading was put off until its first use.
            variables = object.__getattribute__(module, "__dict__")
            for variable, value in list(variables.items()):
                if value is _sleep or value is _sleep_unless_virtual:
                    self._places.append((variables, variable))

    def _exchange(self, old: object, new: object) -> None:
        for variables, variable in self._places:
            if variables.get(variable) is old:
                variables[variable] = new


refused = _Patch().applied
"""While this context lasts, waits on the thread of a running virtual loop raise a RealWaitError."""
