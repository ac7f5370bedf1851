"""Entries in memory, packed so that nobody shares an object; those used least recently go first."""

import threading
from collections import OrderedDict

from swarmlab.tools.cache.entry import Entry, Name, size_of


class Memory:
    """The fastest tier, and the only one of a cache without a place.

    Parameters
    ----------
    max_bytes
        Of all entries; None for no limit.
    """

    def __init__(self, max_bytes: int | None) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Name, Entry] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def find(self, name: Name) -> Entry | None:
        """Return an entry and mark it as used."""
        # Without the lock, which takes longer than to look; another thread may drop it meanwhile.
        entry = self._entries.get(name)
        if entry is not None:
            with self._lock:
                if name in self._entries:
                    self._entries.move_to_end(name)
        return entry

    def add(self, name: Name, entry: Entry) -> int:
        """Keep an entry; return how many others had to go for it, itself counted when it is too large."""
        if self._max_bytes == 0:
            return 1
        size = size_of(entry)
        is_too_large = self._max_bytes is not None and size > self._max_bytes
        if is_too_large and not self._entries:
            return 1
        with self._lock:
            self._drop(name)
            if is_too_large:
                return 1
            self._entries[name] = entry
            self._bytes += size
            evicted = 0
            while self._max_bytes is not None and self._bytes > self._max_bytes:
                self._drop(next(iter(self._entries)))
                evicted += 1
            return evicted

    def drop(self, name: Name) -> None:
        """Forget an entry, if it is there."""
        with self._lock:
            self._drop(name)

    def clear(self) -> None:
        """Forget all entries."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def _drop(self, name: Name) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._bytes -= size_of(entry)
