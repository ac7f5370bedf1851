"""The only source of time in swarmlab: everything that measures or waits is given a Clock."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Literal, Protocol


class Clock(Protocol):
    """What a run needs from time: a monotonic reading, a date, and a way to wait."""

    @property
    def kind(self) -> Literal["wall", "virtual"]:
        """`wall` for measured time, `virtual` for simulated time; the two are never averaged."""

    def now_ns(self) -> int:
        """Monotonic time in nanoseconds since an arbitrary origin."""

    def utc_now(self) -> datetime:
        """The date and time in UTC, for `started_at`; never for durations."""

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of this clock's time."""


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
