"""One run's view of a cache: what it may read, what it found, what that saved, and one computation at a time.

The key covers everything that can change the answer, so nothing is ever invalidated by guesswork. Errors are
never stored: there is no way to put one.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Hashable
from concurrent.futures import Future
from copy import copy
from pathlib import Path
from typing import Any

from swarmlab.tools.cache.entry import Cost, Entry, Fetched, Limits, Name, sealed
from swarmlab.tools.cache.flights import Step, Steps, Work, advance, landed
from swarmlab.tools.cache.packed import pack, unpack
from swarmlab.tools.cache.tiers import Tiers, Troubles
from swarmlab.trace.clock import Clock, WallClock

_POLL_S = 0.01
_LONGEST_POLL_S = 0.2
_BEATS = 3
_NO_COST = Cost()
_NO_LIMITS = Limits()


class Cache:
    """One run's view of a store; only the layers its level switches on are read or written.

    A run never fails because its cache cannot be read or written: what happened is in `troubles`.

    Parameters
    ----------
    place
        A folder, which is made private to the user (mode 0700) and holds `cache.sqlite` and, in `values`,
        a file for each large value; a database's address, such as `postgresql+psycopg://…`, which a team
        shares; or None for a cache in memory.
    layers
        Layers in use: any of tools, completions, analyses.
    clock
        Dates the entries, and waits for other processes; by default the wall clock. In a simulation no
        process waits for another.
    limits
        How much is kept and for how long.
    namespace
        Keeps apart the entries of those who share a place and must not share answers.

    Raises
    ------
    StoreError
        The place cannot be opened.
    """

    def __init__(
        self,
        place: Path | str | None,
        layers: Collection[str],
        *,
        clock: Clock | None = None,
        limits: Limits = _NO_LIMITS,
        namespace: str = "",
    ) -> None:
        self.layers = frozenset(layers)
        self._prefix = f"{namespace}/" if namespace else ""
        self._tiers = Tiers(place, WallClock() if clock is None else clock, limits)
        self._reset()
        if self._tiers.disk is not None and self._tiers.disk.set_aside:
            self.troubles["file_quarantined"] = self._tiers.disk.set_aside

    def _reset(self) -> None:
        self.hits: Counter[str] = Counter()
        self.misses: Counter[str] = Counter()
        self.saved_s = 0.0
        self.saved_tokens = 0
        self.troubles: Troubles = Counter()
        self._lock = threading.Lock()

    def view(self) -> "Cache":
        """The same entries, with counts of its own: for one of the runs that share them."""
        view = copy(self)
        view._reset()
        return view

    def get(self, layer: str, key: str) -> Any | None:
        """Return the stored value, or None; counts a hit or a miss when the layer is in use."""
        if layer not in self.layers:
            return None
        name = self._name(layer, key)
        entry = self._tiers.find(name, self.troubles)
        if entry is None:
            with self._lock:
                self.misses[layer] += 1
            return None
        return self._hit(name, entry)

    def put(
        self, layer: str, key: str, value: Any, cost: Cost = _NO_COST, *, tag: str = "", data: str = ""
    ) -> None:
        """Store a value of numbers, text, None, lists and dicts; does nothing when the layer is off.

        Parameters
        ----------
        cost
            What it took to compute, which every hit will count as saved.
        tag, data
            What made it (a tool's name) and the fingerprint of the data it is about, to invalidate it by.

        Raises
        ------
        ValueError, TypeError
            The value holds something else.
        """
        if layer in self.layers:
            name = self._name(layer, key)
            self._tiers.add(name, self._entry(name, value, cost, (tag, data)), self.troubles)

    async def fetch(
        self,
        layer: str,
        key: str,
        compute: Callable[[], Awaitable[tuple[Any, Cost]]],
        *,
        tag: str = "",
        data: str = "",
    ) -> Fetched:
        """Return the stored value, or compute and store it; whoever asks meanwhile waits for that.

        Among the tasks and threads of a process, and on the wall clock among processes that share a place,
        one computes. What it raises is its own caller's, and nothing is stored; the next of those who wait
        computes then itself. The same when it is cancelled or its process dies: of another process of this
        host that is seen at once, of another host when its lease has run out.

        Parameters
        ----------
        compute
            Returns the value and what it cost, and does not itself ask for this key. With the layer off it is
            called, and that is all.
        tag, data
            As for `put`.

        Returns
        -------
        Fetched
            The value, an object of the caller's own (tuples as lists); whether it is from the store or
            from another who computed it (a hit); whether another was waited for.
        """
        if layer not in self.layers:
            value, _ = await compute()
            return Fetched(value, False, False)
        steps = self._steps(self._name(layer, key), (tag, data))
        answer: Any = None
        error: BaseException | None = None
        while True:
            step = advance(steps, answer, error)
            if isinstance(step, Fetched):
                return step
            try:
                answer, error = await self._do(step, compute), None
            except BaseException as failure:  # noqa: BLE001 - raised again by `_steps`, which cleans up
                answer, error = None, failure

    def fetch_sync(
        self,
        layer: str,
        key: str,
        compute: Callable[[], tuple[Any, Cost]],
        *,
        tag: str = "",
        data: str = "",
    ) -> Fetched:
        """`fetch` for a thread that may block."""
        if layer not in self.layers:
            return Fetched(compute()[0], False, False)
        steps = self._steps(self._name(layer, key), (tag, data))
        answer: Any = None
        error: BaseException | None = None
        while True:
            step = advance(steps, answer, error)
            if isinstance(step, Fetched):
                return step
            try:
                answer, error = self._do_sync(step, compute), None
            except BaseException as failure:  # noqa: BLE001 - raised again by `_steps`, which cleans up
                answer, error = None, failure

    def close(self) -> None:
        """Write down which entries were used, and close the store; the entries stay."""
        self._tiers.close()

    def _steps(self, name: Name, about: tuple[str, str]) -> Steps:
        """What a fetch does, whatever waits for it: yields what to wait for, is sent what came of it."""
        waited = False
        while True:
            entry = self._tiers.find(name, self.troubles)
            if entry is None:
                flight, is_own = self._tiers.flights.join(self._flight_of(name))
                if is_own:
                    return (yield from self._lead(name, about, waited))
                waited = True
                entry = yield flight
            if entry is not None:
                return Fetched(self._hit(name, entry), True, waited)

    def _lead(self, name: Name, about: tuple[str, str], waited: bool) -> Steps:
        """Compute for all who wait in this process, unless another process does."""
        tiers, entry, is_claimed = self._tiers, None, False
        try:
            poll_s = _POLL_S
            while tiers.has_leases and not (is_claimed := tiers.claim(name, self.troubles)):
                waited = True
                yield poll_s
                poll_s = min(poll_s * 1.5, _LONGEST_POLL_S)
            # It may have been stored since it was looked for.
            entry = tiers.find(name, self.troubles)
            if entry is not None:
                return Fetched(self._hit(name, entry), True, waited)
            value, cost = yield Work(name if is_claimed else None)
            entry = self._entry(name, value, cost, about)
            is_claimed = not tiers.add(name, entry, self.troubles, ends_lease=is_claimed) and is_claimed
            with self._lock:
                self.misses[name[0]] += 1
            return Fetched(unpack(entry[0]), False, waited)
        finally:
            if is_claimed:
                tiers.release(name)
            tiers.flights.land(self._flight_of(name), entry)

    def _flight_of(self, name: Name) -> Hashable:
        # Virtual time does not wait for other threads.
        return (*name, threading.get_ident()) if self._tiers.clock.kind == "virtual" else name

    async def _do(self, step: Step, compute: Callable[[], Awaitable[tuple[Any, Cost]]]) -> Any:
        if isinstance(step, Future):
            return await landed(step)
        if isinstance(step, float):
            return await self._tiers.clock.sleep(step)
        if step.lease is None:
            return await compute()
        beat = asyncio.create_task(self._beat(step.lease))
        try:
            return await compute()
        finally:
            beat.cancel()

    async def _beat(self, lease: Name) -> None:
        while True:
            await self._tiers.clock.sleep(self._tiers.limits.lease_s / _BEATS)
            self._tiers.renew(lease)

    def _do_sync(self, step: Step, compute: Callable[[], tuple[Any, Cost]]) -> Any:
        if isinstance(step, Future):
            return step.result()
        if isinstance(step, float):
            return threading.Event().wait(step)
        if step.lease is None:
            return compute()
        done = threading.Event()
        threading.Thread(target=self._beat_sync, args=(step.lease, done), daemon=True).start()
        try:
            return compute()
        finally:
            done.set()

    def _beat_sync(self, lease: Name, done: threading.Event) -> None:
        while not done.wait(self._tiers.limits.lease_s / _BEATS):
            self._tiers.renew(lease)

    def _hit(self, name: Name, entry: Entry) -> Any:
        self._tiers.mark_used(name)
        packed, _, _, _, _, seconds, tokens, _ = entry
        with self._lock:
            self.hits[name[0]] += 1
            self.saved_s += seconds
            self.saved_tokens += tokens
        return unpack(packed)

    def _entry(self, name: Name, value: Any, cost: Cost, about: tuple[str, str]) -> Entry:
        made = (int(self._tiers.clock.kind == "virtual"), self._tiers.now_us())
        # Plain texts and numbers, for that is what is read back.
        plain = ("" + about[0], "" + about[1])
        return sealed(name, pack(value), (*plain, *made, float(cost.seconds), int(cost.tokens)))

    def _name(self, layer: str, key: str) -> Name:
        return "" + layer, self._prefix + key
