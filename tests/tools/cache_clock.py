"""A clock for tests of caches: real to whoever asks, and moved by hand or by whoever sleeps on it."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

T = TypeVar("T")


class HandClock:
    """A wall clock whose time passes only by `sleep` and `pass_time`."""

    kind: Literal["wall"] = "wall"

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def pass_time(self, seconds: float) -> None:
        """Move on."""
        self.elapsed_s += seconds

    def now_ns(self) -> int:
        """Time since the clock was made."""
        return round(self.elapsed_s * 1e9)

    def utc_now(self) -> datetime:
        """A day in 2026 and the time since the clock was made."""
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed_s)

    async def sleep(self, seconds: float) -> None:
        """Move on at once, and let other tasks have their turn."""
        self.elapsed_s += seconds
        await asyncio.sleep(0)

    async def work(self, function: Callable[[], T]) -> T:
        """Call it here and now."""
        return function()

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run it to its end."""
        return asyncio.run(main)
