"""While a simulation runs, `time.sleep` is refused on its thread; other threads sleep as ever."""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from swarmlab.errors import RealWaitError
from swarmlab.trace.virtual_loop import VirtualLoop

_sleep = time.sleep


def _sleep_unless_virtual(seconds: float, /) -> None:
    loop = asyncio._get_running_loop()
    if isinstance(loop, VirtualLoop) and seconds != 0:
        raise RealWaitError(
            f"time.sleep({seconds!r}) was called at virtual time {loop.time():.6f} s:"
            " use `await clock.sleep(seconds)`"
        )
    _sleep(seconds)


class _Patch:
    """Replaces `time.sleep` wherever a module's global variable holds it, while anyone needs it."""

    def __init__(self) -> None:
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
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    # Modules imported meanwhile took the replacement for the original.
                    self._search_new_modules()
                    self._exchange(_sleep_unless_virtual, _sleep)

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
"""While this context lasts, `time.sleep` on the thread of a running virtual loop raises a RealWaitError."""
