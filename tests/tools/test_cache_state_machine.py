"""The cache against a plain dict, through everything that can happen to it, at each kind of place."""

import asyncio
import importlib.util
import shutil
import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cache_clock import HandClock
from cache_worlds import LAYERS, quick_folder, value_files
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swarmlab.tools.cache import Cache, Cost, Limits, Selection, Store, open_store, sqlite

HAS_SQL = importlib.util.find_spec("sqlalchemy") is not None
KINDS = ("memory", "folder", "folder of files", *(["sqlite address"] if HAS_SQL else []))
TTL_S = 60.0
# Few, or nothing would happen to one entry twice.
NAMES = st.sampled_from([(layer, key) for layer in ("tools", "completions") for key in "ab"])
TAGS = st.sampled_from(("roi", "growth"))
VALUES = st.one_of(
    st.dictionaries(st.text(max_size=3), st.integers() | st.floats(allow_nan=False) | st.text(), max_size=3),
    st.integers(0, 400).map(lambda length: "x" * length),
).filter(lambda value: "inf" not in repr(value))


@dataclass
class Held:
    """What the model knows of an entry."""

    value: Any
    created_s: float
    seconds: int
    tag: str
    may_be_missing: bool = False
    """It was driven out, or damaged, on disk; memory may still have it."""


class CacheAsAModel(RuleBasedStateMachine):
    """Two views of one cache; other processes remove, shrink, damage and clear what is on disk."""

    @initialize(
        kind=st.sampled_from(KINDS),
        max_bytes=st.sampled_from((None, 1_000)),
        memory_bytes=st.sampled_from((0, 700)),
    )
    def start(self, kind: str, max_bytes: int | None, memory_bytes: int) -> None:
        """An empty place."""
        self.root = quick_folder()
        self.patch = pytest.MonkeyPatch()
        if kind == "folder of files":
            # The model's values are small.
            self.patch.setattr(sqlite, "_IN_FILE_BYTES", 20)
        folder = self.root / "cache"
        places = {
            "folder": folder,
            "folder of files": folder,
            "sqlite address": f"sqlite:///{self.root}/team.sqlite",
        }
        self.place: Path | str | None = places.get(kind)
        self.file = self.root / ("team.sqlite" if kind == "sqlite address" else "cache/cache.sqlite")
        self.limits = Limits(max_bytes, memory_bytes, {"completions": TTL_S}, lease_s=30)
        self.clock = HandClock()
        self.model: dict[tuple[str, str], Held] = {}
        self.all_troubles: Counter[str] = Counter()
        self.evicted_by_request = self.driven_out = 0
        self.caches: list[Cache] = []
        self.open()

    def open(self) -> None:
        """One cache and a second view of it."""
        cache = Cache(self.place, LAYERS, clock=self.clock, limits=self.limits)
        self.caches = [cache, cache.view()]
        self.hits, self.saved_s = [0, 0], [0, 0]

    @rule(at=st.sampled_from((0, 1)), name=NAMES, value=VALUES, tag=TAGS)
    def put(self, at: int, name: tuple[str, str], value: Any, tag: str) -> None:
        """Store."""
        seconds = len(self.model) + 1
        self.caches[at].put(*name, value, Cost(seconds), tag=tag, data="d")
        self.stored(name, value, seconds, tag)

    @rule(at=st.sampled_from((0, 1)), name=NAMES)
    def get(self, at: int, name: tuple[str, str]) -> None:
        """Read what the model holds, and nothing else."""
        self.found(at, name, self.caches[at].get(*name))

    @rule(at=st.sampled_from((0, 1)), name=NAMES, value=VALUES)
    def fetch(self, at: int, name: tuple[str, str], value: Any) -> None:
        """Compute what is not there, and only that."""

        async def compute() -> tuple[Any, Cost]:
            return value, Cost(5)

        fetched = asyncio.run(self.caches[at].fetch(*name, compute, tag="roi"))
        self.found(at, name, fetched.value if fetched.is_hit else None)
        if not fetched.is_hit:
            assert repr(fetched.value) == repr(value)
            self.stored(name, value, 5, "roi")

    @rule(at=st.sampled_from((0, 1)), name=NAMES)
    def fail(self, at: int, name: tuple[str, str]) -> None:
        """A computation that raises stores nothing."""

        def compute() -> tuple[Any, Cost]:
            raise ZeroDivisionError

        try:
            found = self.caches[at].fetch_sync(*name, compute).value
        except ZeroDivisionError:
            found = None
        self.found(at, name, found)

    @rule(seconds=st.sampled_from((1.0, TTL_S / 2, TTL_S + 1)))
    def time_passes(self, seconds: float) -> None:
        """Entries of a layer with a limit age."""
        self.clock.pass_time(seconds)

    @precondition(lambda self: self.place is not None)
    @rule()
    def reopen(self) -> None:
        """Close and open again: what is on disk is there."""
        self.close()
        self.open()

    @precondition(lambda self: self.place is not None)
    @rule(
        layer=st.sampled_from((None, *LAYERS)), tag=st.none() | TAGS, age_s=st.sampled_from((None, 0.0, 30.0))
    )
    def remove(self, layer: str | None, tag: str | None, age_s: float | None) -> None:
        """Another process removes by layer, tool and age; this one forgets them too."""
        before_s = None if age_s is None else self.clock.elapsed_s - age_s
        chosen = {
            name: held
            for name, held in self.model.items()
            if layer in (None, name[0])
            and tag in (None, held.tag)
            and (before_s is None or held.created_s < before_s)
        }
        before_us = None if age_s is None else self.now_us() - round(age_s * 1e6)
        removed = self.other().remove(Selection(layer, tag, None, before_us))
        sure = sum(not held.may_be_missing for held in chosen.values())
        assert sure <= removed.n <= len(chosen)
        for name in chosen:
            del self.model[name]
        self.clock.pass_time(1)

    @precondition(lambda self: self.place is not None)
    @rule(max_bytes=st.sampled_from((0, 500, 10**6)))
    def shrink(self, max_bytes: int) -> None:
        """Another process shrinks the store to a size."""
        removed = self.other().shrink_to(max_bytes)
        self.evicted_by_request += removed.n
        self.clock.pass_time(1)
        self.lose(removed.n)

    @precondition(lambda self: self.place is not None)
    @rule()
    def clear(self) -> None:
        """Another process removes all."""
        self.other().clear()
        self.model.clear()
        self.clock.pass_time(1)

    @precondition(lambda self: self.place is not None and self.model)
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        """A bit of an entry on disk turns."""
        layer, key = data.draw(st.sampled_from(sorted(self.model)))
        database = sqlite3.connect(self.file, isolation_level=None)
        where = (layer, key)
        row = database.execute(
            "SELECT value FROM swarmlab_cache_entries WHERE layer = ? AND key = ?", where
        ).fetchone()
        if row is not None and isinstance(row[0], str):
            path = self.root / "cache/values" / row[0]
            path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
            self.model[layer, key].may_be_missing = True
        elif row is not None:
            value = bytes([row[0][0] ^ 1]) + row[0][1:]
            database.execute(
                "UPDATE swarmlab_cache_entries SET value = ? WHERE layer = ? AND key = ?", (value, *where)
            )
            self.model[layer, key].may_be_missing = True
        database.close()

    @invariant()
    def the_books_are_right(self) -> None:
        """Hits and what they saved are counted by view, and the store keeps to its limit."""
        for at, cache in enumerate(self.caches):
            assert cache.hits.total() == self.hits[at]
            assert cache.saved_s == self.saved_s[at]
            assert (
                not cache.troubles["unwritten"]
                + cache.troubles["unread"]
                + cache.troubles["file_quarantined"]
            )
        if self.caches and self.place is not None and self.limits.max_bytes is not None:
            assert sum(entry.bytes for entry in self.other().entries()) <= self.limits.max_bytes

    def teardown(self) -> None:
        """What was driven out and set aside is known to the store; leave nothing behind."""
        if not hasattr(self, "root"):
            return
        try:
            self.close()
            if self.place is not None:
                stats = self.other().stats()
                assert stats.evicted == self.all_troubles["evicted"] + self.evicted_by_request
                assert stats.quarantined == self.all_troubles["quarantined"]
                assert stats.unwritten == 0
                assert {path.name for path in value_files(self.root / "cache")} == self.named()
        finally:
            self.patch.undo()
            shutil.rmtree(self.root)

    def found(self, at: int, name: tuple[str, str], value: Any) -> None:
        """What was found is what the model holds; nothing is found only where there may be nothing."""
        held = self.model.get(name)
        is_expired = held is not None and name[0] == "completions" and self.age_s(held) > TTL_S
        if value is None:
            assert held is None or is_expired or held.may_be_missing or self.was_driven_out(), name
            self.model.pop(name, None)
        else:
            assert held is not None
            assert not is_expired
            assert repr(value) == repr(held.value)
            self.hits[at] += 1
            self.saved_s[at] += held.seconds

    def stored(self, name: tuple[str, str], value: Any, seconds: int, tag: str) -> None:
        """An entry is there, and maybe others went for it."""
        self.model[name] = Held(value, self.clock.elapsed_s, seconds, tag)
        evicted = sum(cache.troubles["evicted"] for cache in self.caches)
        if self.place is None:
            self.driven_out += evicted - self.all_troubles["evicted"]
            self.all_troubles["evicted"] = evicted
        else:
            self.lose(evicted - self.evicted_now)
            self.evicted_now = evicted

    evicted_now = 0

    def lose(self, n: int) -> None:
        """Of the entries on disk, exactly so many went."""
        listed = {(entry.layer, entry.key) for entry in self.other().entries()}
        gone = [held for name, held in self.model.items() if name not in listed]
        assert sum(not held.may_be_missing for held in gone) <= n
        for held in gone:
            held.may_be_missing = True

    def was_driven_out(self) -> bool:
        """In memory alone it cannot be told which entries went, only how many."""
        self.driven_out -= 1
        return self.place is None and self.driven_out >= 0

    def named(self) -> set[str]:
        """The files that the store's rows name."""
        database = sqlite3.connect(self.file)
        tables = ("swarmlab_cache_entries", "swarmlab_cache_quarantine")
        rows = [row for table in tables for row in database.execute(f"SELECT value FROM {table}")]
        database.close()
        return {value for (value,) in rows if isinstance(value, str)}

    def close(self) -> None:
        """Close, and remember what was counted."""
        for cache in self.caches:
            self.all_troubles.update(cache.troubles)
            cache.close()
        self.evicted_now = 0

    def other(self) -> Store:
        """The store as another process has it open."""
        assert self.place is not None
        return open_store(self.place)

    def age_s(self, held: Held) -> float:
        """How old an entry is."""
        return self.clock.elapsed_s - held.created_s

    def now_us(self) -> int:
        """The date of the store's clock."""
        return round(self.clock.utc_now().timestamp() * 1e6)


TestCacheAsAModel = CacheAsAModel.TestCase
TestCacheAsAModel.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
