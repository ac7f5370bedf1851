"""Memory over disk: where an entry is looked for and kept, what is too old, and who may compute it."""

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from swarmlab.errors import StoreError
from swarmlab.tools.cache.database import DamagedEntryError, DamagedError, UnavailableError
from swarmlab.tools.cache.entry import Entry, Limits, Name, size_of
from swarmlab.tools.cache.flights import Flights
from swarmlab.tools.cache.memory import Memory
from swarmlab.tools.cache.owner import is_gone, new_owner
from swarmlab.tools.cache.store import Store, open_store
from swarmlab.trace.clock import Clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ASK_EVERY_NS = 100_000_000

Troubles = Counter[str]
"""What went wrong and cost no more than time, by kind:

- `unwritten`: an answer could not be written down, say because the disk is full; it is kept in memory
- `unread`: the store could not be read; the answer was computed
- `unclaimed`: nor could be written down who computes; others may have done so too
- `quarantined`: an entry was damaged; it was set aside and computed again
- `file_quarantined`: the store's file was damaged; it was set aside and begun anew
- `evicted`: an older entry had to go to keep within the limits
- `expired`: an entry was too old; it was computed again
"""


class Tiers:
    """The entries that all views of one cache share.

    Parameters
    ----------
    place
        A folder, a database's address, or None for memory only.
    """

    def __init__(self, place: Path | str | None, clock: Clock, limits: Limits) -> None:
        self.limits = limits
        self.clock = clock
        self.flights = Flights()
        self.disk = None if place is None else open_store(place, max_bytes=limits.max_bytes)
        memory_bytes = limits.max_bytes if self.disk is None else limits.memory_bytes
        self._memory = None if self.disk is not None and memory_bytes == 0 else Memory(memory_bytes)
        self._pid, self._owner = 0, ""
        self._ask_again_ns = 0

    @property
    def has_leases(self) -> bool:
        """Whether processes wait for one another; a simulation's time must not depend on other processes."""
        return self.disk is not None and self.clock.kind == "wall"

    def find(self, name: Name, troubles: Troubles) -> Entry | None:
        """Return an entry that is whole and not too old."""
        entry = None if self._memory is None else self._memory.find(name)
        if self.disk is not None:
            entry = self._from_disk(name, entry, troubles)
        if entry is not None and self.limits.ttl_s and self._is_expired(name, entry):
            troubles["expired"] += 1
            self._drop(name)
            return None
        return entry

    def mark_used(self, name: Name) -> None:
        """Note a hit, so that the entry is not the next to go."""
        if self.disk is not None:
            try:
                self.disk.mark_used(name)
            except (UnavailableError, DamagedError):
                # Only the order in which entries go depends on it.
                return

    def add(self, name: Name, entry: Entry, troubles: Troubles, *, ends_lease: bool = False) -> bool:
        """Keep an entry; return whether it was written down, or is in memory only."""
        evicted = 0 if self._memory is None else self._memory.add(name, entry)
        if self.disk is not None:
            try:
                evicted = self._write(name, entry, self._me() if ends_lease else "", troubles)
            except (UnavailableError, DamagedError):
                troubles["unwritten"] += 1
                self.disk.count_unwritten()
                return False
        if evicted:
            troubles["evicted"] += evicted
        return True

    def claim(self, name: Name, troubles: Troubles) -> bool:
        """Whether the caller is to compute an entry; False while another process does."""
        if self.disk is None:
            return True
        me, now_us = self._me(), self.now_us()
        until_us = now_us + round(self.limits.lease_s * 1e6)
        try:
            holder = self.disk.claim(name, me, now_us, until_us)
            if holder != me and is_gone(holder):
                holder = self.disk.claim(name, me, now_us, until_us, gone=holder)
        except (UnavailableError, DamagedError):
            # Who cannot say that he computes it computes it all the same.
            troubles["unclaimed"] += 1
            return True
        return holder == me

    def renew(self, name: Name) -> None:
        """Say that this process still computes an entry."""
        if self.disk is not None:
            try:
                self.disk.renew(name, self._me(), self.now_us() + round(self.limits.lease_s * 1e6))
            except StoreError:
                # At worst another process computes it too.
                return

    def release(self, name: Name) -> None:
        """Let another process compute an entry."""
        if self.disk is not None:
            try:
                self.disk.release(name, self._me())
            except StoreError:
                # It runs out by itself.
                return

    def _me(self) -> str:
        # A fork is another process.
        if self._pid != os.getpid():
            self._pid, self._owner = os.getpid(), new_owner()
        return self._owner

    def now_us(self) -> int:
        """The clock's date in microseconds since 1970."""
        return (self.clock.utc_now() - _EPOCH) // _MICROSECOND

    def close(self) -> None:
        """Write down what is left and close the store."""
        if self.disk is not None:
            self.disk.close()

    def _write(self, name: Name, entry: Entry, owner: str, troubles: Troubles) -> int:
        assert self.disk is not None
        size = size_of(entry)
        if self.limits.max_bytes is not None and size > self.limits.max_bytes:
            raise UnavailableError(f"cache {self.disk.label}: an entry of {size} bytes is over its limit")
        try:
            return self.disk.add(name, entry, owner)
        except DamagedError:
            troubles["file_quarantined"] += 1
            return self.disk.add(name, entry, owner)

    def _from_disk(self, name: Name, entry: Entry | None, troubles: Troubles) -> Entry | None:
        assert self.disk is not None
        try:
            if entry is not None and self._memory is not None and self._was_pruned(self.disk):
                self._memory.clear()
                entry = None
            if entry is None:
                entry = self.disk.find(name)
                if entry is not None and self._memory is not None:
                    self._memory.add(name, entry)
        except DamagedEntryError:
            troubles["quarantined"] += 1
        except DamagedError:
            troubles["file_quarantined"] += 1
        except UnavailableError:
            troubles["unread"] += 1
        return entry

    def _was_pruned(self, disk: Store) -> bool:
        """Whether others removed entries by request; asked rarely, or memory would save no time."""
        now_ns = self.clock.now_ns()
        if now_ns < self._ask_again_ns:
            return False
        self._ask_again_ns = now_ns + _ASK_EVERY_NS
        return disk.was_pruned()

    def _drop(self, name: Name) -> None:
        if self._memory is not None:
            self._memory.drop(name)
        if self.disk is not None:
            try:
                self.disk.drop(name)
            except (UnavailableError, DamagedError):
                # It is as old at the next look.
                return

    def _is_expired(self, name: Name, entry: Entry) -> bool:
        """Whether it is further from now than its layer's limit, or dated by another kind of clock."""
        ttl_s = self.limits.ttl_s.get(name[0])
        if ttl_s is None:
            return False
        _, _, _, is_virtual, created_us, *_ = entry
        is_other_time = bool(is_virtual) != (self.clock.kind == "virtual")
        return is_other_time or abs(self.now_us() - created_us) > ttl_s * 1e6
