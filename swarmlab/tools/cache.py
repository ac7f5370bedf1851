"""A content-addressed cache on disk: JSON in SQLite, a checksum on every entry, errors never stored.

The key covers everything that can change the answer, so nothing is ever invalidated by guesswork; an entry
whose checksum does not match is dropped and computed again.
"""

import hashlib
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from copy import copy
from pathlib import Path
from typing import Any

from swarmlab.errors import StoreError

# Made once: `json.dumps` would make one for each key.
_encode = json.JSONEncoder(sort_keys=True, allow_nan=False, separators=(",", ":")).encode

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    layer TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, checksum TEXT NOT NULL,
    PRIMARY KEY (layer, key)
) WITHOUT ROWID
"""


class Cache:
    """One run's view of a cache folder; only the layers its level switches on are read or written.

    Parameters
    ----------
    folder
        Holds `cache.sqlite`; made private to the user (mode 0700). None keeps the cache in memory.
    layers
        Layers in use: any of tools, completions, analyses.

    Raises
    ------
    StoreError
        The folder or its database cannot be opened.
    """

    def __init__(self, folder: Path | None, layers: Collection[str]) -> None:
        self.layers = frozenset(layers)
        self.hits: Counter[str] = Counter()
        self.misses: Counter[str] = Counter()
        self._lock = threading.Lock()
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            place = ":memory:" if folder is None else str(folder / "cache.sqlite")
            self._db = sqlite3.connect(place, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cache {folder} cannot be opened: {error}") from error

    def view(self) -> "Cache":
        """The same entries, with counts of hits and misses of its own: for one of the runs that share it."""
        view = copy(self)
        view.hits, view.misses = Counter(), Counter()
        return view

    def get(self, layer: str, key: str) -> Any | None:
        """Return the stored value, or None; counts a hit or a miss when the layer is in use."""
        if layer not in self.layers:
            return None
        with self._lock:
            row = self._db.execute(
                # As bytes: damaged text need not be UTF-8 any more.
                "SELECT CAST(value AS BLOB), CAST(checksum AS BLOB) FROM entries WHERE layer = ? AND key = ?",
                (layer, key),
            ).fetchone()
            if row is not None and hashlib.sha256(row[0]).hexdigest().encode() != row[1]:
                self._db.execute("DELETE FROM entries WHERE layer = ? AND key = ?", (layer, key))
                row = None
            (self.misses if row is None else self.hits)[layer] += 1
        return None if row is None else json.loads(row[0])

    def put(self, layer: str, key: str, value: Any) -> None:
        """Store a JSON value; does nothing when the layer is off."""
        if layer not in self.layers:
            return
        text = json.dumps(value, sort_keys=True, allow_nan=False)
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", (layer, key, text, _checksum(text))
            )

    def close(self) -> None:
        """Close the database; the entries stay on disk."""
        with self._lock:
            self._db.close()


def content_key(parts: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of everything an answer depends on."""
    return _checksum(_encode(parts))


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
