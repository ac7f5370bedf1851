"""Which entries were hit, and how often, until it is written down; to note a hit takes no lock, no write."""

import threading
from collections import Counter, deque

from swarmlab.tools.cache.entry import Name

_COUNT_AT = 1_000


class Uses:
    """Hits since they were last taken, noted by any thread."""

    def __init__(self) -> None:
        # Appended to without a lock, and counted with many others.
        self._noted: deque[Name] = deque()
        self._counted: Counter[Name] = Counter()
        self._lock = threading.Lock()

    def note(self, name: Name) -> int:
        """Note a hit; return of how many entries hits are known, as of the last thousand hits."""
        self._noted.append(name)
        if len(self._noted) >= _COUNT_AT:
            with self._lock:
                self._count()
        return len(self._counted)

    def taken(self) -> Counter[Name]:
        """The hits by entry; whoever takes them has to write them."""
        with self._lock:
            self._count()
            taken, self._counted = self._counted, Counter()
            return taken

    def _count(self) -> None:
        self._counted.update(self._noted.popleft() for _ in range(len(self._noted)))
