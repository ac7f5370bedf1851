"""Single flight within a process: one task or thread computes an answer, the others wait for it."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Generator, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from swarmlab.tools.cache.entry import Entry, Fetched, Name

Flight = Future[Entry | None]
"""A computation under way; its result is None when it failed."""


class Flights:
    """The computations that are under way in this process, by what they compute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Flight] = {}
        self._pid = os.getpid()

    def join(self, name: Hashable) -> tuple[Flight, bool]:
        """Return the flight of that name, and whether the caller has just begun it and has to land it."""
        with self._lock:
            if self._pid != os.getpid():
                # A fork has no part of what its parent's threads compute.
                self._pid, self._flights = os.getpid(), {}
            flight = self._flights.get(name)
            if flight is not None:
                return flight, False
            flight = self._flights[name] = Flight()
            return flight, True

    def land(self, name: Hashable, entry: Entry | None) -> None:
        """End a flight and wake all who wait for it."""
        with self._lock:
            flight = self._flights.pop(name)
        flight.set_result(entry)


@dataclass(frozen=True)
class Work:
    """Compute the answer and meanwhile keep the lease, if there is one."""

    lease: Name | None


Step = Flight | float | Work
"""What a fetch does next: wait for a computation under way, wait some seconds, or compute."""
Steps = Generator[Step, Any, Fetched]
"""A fetch, whatever waits for it: a task or a thread."""


def advance(steps: Steps, answer: Any, error: BaseException | None) -> Step | Fetched:
    """Go on to the next step with what came of the last, or to the end."""
    try:
        return steps.send(answer) if error is None else steps.throw(error)
    except StopIteration as end:
        fetched: Fetched = end.value
        return fetched


async def landed(flight: Flight) -> Entry | None:
    """Wait for a flight on any event loop; to be cancelled in this ends the wait, not the flight."""
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    def tell(_: Flight) -> None:
        # A loop that has closed meanwhile has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(wake)

    flight.add_done_callback(tell)
    await woken
    return flight.result()
