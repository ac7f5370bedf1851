"""The tier that outlives a process: entries, leases and totals in a database, each change one transaction."""

import contextlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from swarmlab.errors import StoreError
from swarmlab.tools.cache import statements as sql
from swarmlab.tools.cache.database import DamagedEntryError, DamagedError, Database, Run, UnavailableError
from swarmlab.tools.cache.entry import COLUMNS, Entry, Name, is_whole, size_of
from swarmlab.tools.cache.holdings import LayerStats, Listed, Removed, Selection, Stats
from swarmlab.tools.cache.sql import SqlDatabase
from swarmlab.tools.cache.sqlite import SqliteFile
from swarmlab.tools.cache.uses import Uses

_KEEP_AFTER_EVICTION = 0.9
_FLUSH_AT = 10_000
_QUARANTINE_KEPT = 100


def open_store(place: Path | str, *, max_bytes: int | None = None, repairs: bool = True) -> "Store":
    """Open the store in a folder (Path) or at a database's address (str, as SQLAlchemy writes them).

    Parameters
    ----------
    max_bytes
        Beyond it, entries used least recently go with each new one.
    repairs
        Whether a folder without a store gets one, and a damaged file is set aside.

    Raises
    ------
    StoreError
        It cannot be opened; says why.
    """
    if isinstance(place, str):
        return Store(SqlDatabase(place, creates=repairs), max_bytes)
    return Store(SqliteFile(place, repairs=repairs), max_bytes)


class Store:
    """Entries in a database; any method may raise UnavailableError, or DamagedError when it began anew."""

    def __init__(self, database: Database, max_bytes: int | None) -> None:
        self.label = database.label
        self._db = database
        self._max_bytes = max_bytes
        self._uses = Uses()
        self._unwritten = 0
        self._lock = threading.Lock()
        try:
            ((_, self._generation, *_),) = database.read(sql.GET_TOTALS)
        except DamagedError:
            # Unless it was only looked at, it has begun anew.
            ((_, self._generation, *_),) = database.read(sql.GET_TOTALS)

    @property
    def set_aside(self) -> int:
        """How many damaged files were set aside since it was opened."""
        return self._db.set_aside

    def find(self, name: Name) -> Entry | None:
        """Return an entry; one that is not as it was written goes to the quarantine.

        Raises
        ------
        DamagedEntryError
            It went there.
        """
        row = self._db.find(name)
        if row is None:
            return None
        if not is_whole(name, row):
            # Where it cannot be moved it is found damaged again; it is never used.
            with contextlib.suppress(UnavailableError):
                self._quarantine(name)
            raise DamagedEntryError(f"cache {self.label}: entry {name[1][:16]} of {name[0]} was damaged")
        return row

    def add(self, name: Name, entry: Entry, owner: str = "") -> int:
        """Write an entry and end its owner's lease; return how many others had to go for it."""
        values = {"layer": name[0], "key": name[1], "owner": owner, **dict(zip(COLUMNS, entry, strict=True))}
        values["value"] = kept = self._db.keep(entry[0])
        try:
            with self._db.writing() as run:
                run(sql.TICK)
                before = run(sql.GET_SIZE, values)
                run(sql.ADD, values)
                run(sql.GROW, {"bytes": size_of(entry) - (before[0][0] if before else 0)})
                if owner:
                    run(sql.RELEASE, values)
                return 0 if self._max_bytes is None else self._make_room(run, self._max_bytes)
        except BaseException:
            self._db.discard(kept)
            raise

    def drop(self, name: Name) -> None:
        """Remove an entry, if it is there."""
        with self._db.writing() as run:
            run(sql.TICK)
            self._drop(run, name)

    def mark_used(self, name: Name) -> None:
        """Note a hit; many are written at once, for a hit must not cost a write."""
        if self._uses.note(name) >= _FLUSH_AT:
            self.flush()

    def count_unwritten(self) -> None:
        """Note that an entry could not be written; written down when that is possible again."""
        with self._lock:
            self._unwritten += 1

    def flush(self) -> None:
        """Write down which entries were used, and how many could not be written."""
        used = self._uses.taken()
        with self._lock:
            unwritten, self._unwritten = self._unwritten, 0
        if not used and not unwritten:
            return
        try:
            with self._db.writing() as run:
                run(sql.TICK)
                self._write_used(run, used)
                run(sql.COUNT_UNWRITTEN, {"n": unwritten})
        except StoreError:
            with self._lock:
                self._unwritten += unwritten
            raise

    def was_pruned(self) -> bool:
        """Whether another process has removed entries by request since this was last asked, where known."""
        if not self._db.was_changed():
            return False
        ((_, generation, *_),) = self._db.read(sql.GET_TOTALS)
        pruned = bool(generation != self._generation)
        self._generation = generation
        return pruned

    def claim(self, name: Name, owner: str, now_us: int, until_us: int, gone: str = "") -> str:
        """Ask to be the one who computes an entry; return who is.

        Parameters
        ----------
        gone
            An owner that is known to have died: its lease is taken over.
        """
        layer, key = name
        asked = {"layer": layer, "key": key, "owner": owner, "now_us": now_us, "until_us": until_us}
        with self._db.writing() as run:
            run(sql.TICK)
            run(sql.CLAIM, {**asked, "gone": gone})
            return str(run(sql.GET_HOLDER, {"layer": layer, "key": key})[0][0])

    def renew(self, name: Name, owner: str, until_us: int) -> None:
        """Say that its owner is still at it."""
        with self._db.writing() as run:
            run(sql.RENEW, {"layer": name[0], "key": name[1], "owner": owner, "until_us": until_us})

    def release(self, name: Name, owner: str) -> None:
        """End a lease."""
        with self._db.writing() as run:
            run(sql.RELEASE, {"layer": name[0], "key": name[1], "owner": owner})

    def entries(self) -> list[Listed]:
        """All entries, by layer and age."""
        return [Listed(*row) for row in self._db.read(sql.LIST)]

    def stats(self) -> Stats:
        """What it holds."""
        layers = tuple(
            LayerStats(layer, int(n), int(size), int(hits), float(seconds), int(tokens), oldest, newest)
            for layer, n, size, hits, seconds, tokens, oldest, newest in self._db.read(sql.BY_LAYER)
        )
        ((_, _, evicted, evicted_bytes, quarantined, unwritten),) = self._db.read(sql.GET_TOTALS)
        return Stats(layers, evicted, evicted_bytes, quarantined, unwritten)

    def quarantine(self) -> list[tuple[str, str, str]]:
        """Layer, key and reason of the last entries that were found damaged."""
        return [(layer, key, reason) for layer, key, reason in self._db.read(sql.LIST_QUARANTINE)]

    def selected(self, selection: Selection) -> Removed:
        """How much `remove` would remove."""
        condition, values = _condition(selection)
        ((n, size),) = self._db.read(sql.SELECT_SIZES + condition, values)
        return Removed(int(n), int(size))

    def remove(self, selection: Selection) -> Removed:
        """Remove entries; other processes go on, and forget what they hold of them."""
        condition, values = _condition(selection)
        with self._db.writing() as run:
            run(sql.TICK)
            ((n, size),) = run(sql.SELECT_SIZES + condition, values)
            run(sql.DROP_SELECTED + condition, values)
            run(sql.RECOUNT)
            run(sql.NEW_GENERATION)
        return Removed(int(n), int(size))

    def shrink_to(self, max_bytes: int, *, dry_run: bool = False) -> Removed:
        """Remove the entries used least recently until the others take no more than `max_bytes`."""
        if dry_run:
            removed = _least_used(self._db.read(sql.BY_USE), max_bytes)
            return Removed(len(removed), sum(size for _, size in removed))
        self.flush()
        with self._db.writing() as run:
            run(sql.TICK)
            removed = self._evict(run, max_bytes)
            run(sql.NEW_GENERATION)
        return Removed(len(removed), sum(size for _, size in removed))

    def clear(self) -> Removed:
        """Remove all entries and what is in quarantine."""
        removed = self.remove(Selection())
        with self._db.writing() as run:
            run(sql.DROP_QUARANTINE)
        return removed

    def shrink(self) -> None:
        """Give free space back to the disk, unless others are in the way just now."""
        with contextlib.suppress(UnavailableError):
            self._db.shrink()

    def close(self) -> None:
        """Write down what is left to be written, and close the database."""
        # Which entries were used, and no more: a full disk is no reason to fail at the end.
        with contextlib.suppress(StoreError):
            self.flush()
        self._db.close()

    def _make_room(self, run: Run, max_bytes: int) -> int:
        ((size, *_),) = run(sql.GET_TOTALS)
        if size <= max_bytes:
            return 0
        self._write_used(run, self._uses.taken())
        return len(self._evict(run, int(max_bytes * _KEEP_AFTER_EVICTION)))

    def _evict(self, run: Run, max_bytes: int) -> list[tuple[Name, int]]:
        removed = _least_used(run(sql.BY_USE), max_bytes)
        for (layer, key), _ in removed:
            run(sql.DROP, {"layer": layer, "key": key})
        run(sql.RECOUNT)
        run(sql.COUNT_EVICTED, {"n": len(removed), "bytes": sum(size for _, size in removed)})
        return removed

    def _write_used(self, run: Run, used: Mapping[Name, int]) -> None:
        for (layer, key), hits in used.items():
            run(sql.TOUCH, {"layer": layer, "key": key, "hits": hits})

    def _drop(self, run: Run, name: Name) -> None:
        values = {"layer": name[0], "key": name[1]}
        before = run(sql.GET_SIZE, values)
        run(sql.DROP, values)
        run(sql.GROW, {"bytes": -before[0][0] if before else 0})

    def _quarantine(self, name: Name) -> None:
        """Move an entry out of the way, unless another process has mended it meanwhile."""
        values = {"layer": name[0], "key": name[1]}
        with self._db.writing() as run:
            run(sql.TICK)
            rows = run(sql.FIND, values)
            row = self._db.whole(name, rows[0]) if rows else None
            if row is not None and not is_whole(name, row):
                run(sql.QUARANTINE, {**values, "reason": "its content does not match its seal"})
                run(sql.DROP_OLD_QUARANTINE, {"kept": _QUARANTINE_KEPT})
                run(sql.COUNT_QUARANTINED)
                self._drop(run, name)


def _condition(selection: Selection) -> tuple[str, dict[str, Any]]:
    given = {name: value for name, value in asdict(selection).items() if value is not None}
    return " AND ".join(["1 = 1", *(sql.CONDITIONS[name] for name in given)]), given


def _least_used(rows: Iterable[tuple[Any, ...]], max_bytes: int) -> list[tuple[Name, int]]:
    """Of all entries, least recently used first, those that have to go."""
    entries = [((layer, key), int(size)) for layer, key, size in rows]
    excess = sum(size for _, size in entries) - max_bytes
    removed: list[tuple[Name, int]] = []
    for name, size in entries:
        if excess <= 0:
            break
        removed.append((name, size))
        excess -= size
    return removed
