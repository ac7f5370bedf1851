"""What was damaged on disk is never served: it is set aside, counted, and computed again."""

import enum
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from postgres_server import postgres_server

from swarmlab.errors import StoreError
from swarmlab.tools.cache import Cache, Cost, Limits, open_store

LAYERS = ("tools", "completions")
ON_DISK_ONLY = Limits(memory_bytes=0)


class Named(enum.StrEnum):
    """A text by another type."""

    TOOLS = "tools"


VALUE = {"word": "elderflower"}
ENTRIES = "swarmlab_cache_entries"


@contextmanager
def direct(folder: Path) -> Iterator[sqlite3.Connection]:
    """The cache's file without the cache; committed at the end."""
    with closing(sqlite3.connect(folder / "cache.sqlite")) as db, db:
        yield db


def filled(folder: Path) -> Path:
    """A closed cache with one entry and one that is to stay."""
    cache = Cache(folder, LAYERS)
    cache.put("tools", "k", VALUE, Cost(1.5, 30), tag="roi", data="d1")
    cache.put("tools", "other", "stays")
    cache.close()
    return folder / "cache.sqlite"


DAMAGE: dict[str, Any] = {
    "value": b'{"word":"elderflowes"}',
    "value, not a text any more": b"\xff\xfe",
    "value, cut": b'{"word":"elder',
    "value, empty": b"",
    "value, of another type": 7,
    "seal": b"\x00" * 32,
    "seal, cut": b"",
    "tag": "rol",
    "tag, not a text any more": b"\xff",
    "data": "d2",
    "is_virtual": 1,
    "created_us": 0,
    "created_us, of another type": "yesterday",
    "seconds": 1.5000000000000002,
    "tokens": 31,
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_change_anywhere_in_an_entry_is_found(tmp_path: Path, what: str) -> None:
    """Its value, date, cost or origin was altered: a miss, and computing it again mends it; others stay."""
    filled(tmp_path)
    with direct(tmp_path) as db:
        column = what.partition(",")[0]
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute(f"UPDATE {ENTRIES} SET {column} = ? WHERE key = 'k'", (DAMAGE[what],))
    cache = Cache(tmp_path, LAYERS, limits=ON_DISK_ONLY)
    assert cache.get("tools", "k") is None
    assert (cache.hits.total(), cache.misses.total(), cache.saved_s) == (0, 1, 0.0)
    assert cache.troubles == {"quarantined": 1}
    cache.put("tools", "k", VALUE)
    assert (cache.get("tools", "k"), cache.get("tools", "other")) == (VALUE, "stays")
    cache.close()
    store = open_store(tmp_path)
    assert store.stats().quarantined == 1
    assert store.quarantine() == [("tools", "k", "its content does not match its seal")]


def test_one_entrys_value_in_anothers_place_is_found(tmp_path: Path) -> None:
    """A whole row, seal and all, under another key or layer is not that key's answer."""
    filled(tmp_path)
    with direct(tmp_path) as db:
        db.execute(f"UPDATE {ENTRIES} SET key = 'moved' WHERE key = 'k'")
        db.execute(f"UPDATE {ENTRIES} SET layer = 'completions' WHERE key = 'other'")
    cache = Cache(tmp_path, LAYERS)
    assert cache.get("tools", "moved") is None
    assert cache.get("completions", "other") is None
    assert cache.troubles == {"quarantined": 2}
    cache.close()


def test_a_byte_flipped_in_the_file_is_found(tmp_path: Path) -> None:
    """One bit changed in the database file itself makes the entry a miss."""
    path = filled(tmp_path)
    content = path.read_bytes()
    assert content.count(b"elderflower") == 1
    path.write_bytes(content.replace(b"elderflower", b"elderflowes"))
    cache = Cache(tmp_path, LAYERS)
    assert cache.get("tools", "k") is None
    assert cache.troubles == {"quarantined": 1}
    cache.close()


def test_the_quarantine_keeps_the_last_hundred_and_counts_all(place: Path | str) -> None:
    """However much is damaged, what is kept of it for inspection stays bounded."""
    cache = Cache(place, LAYERS, limits=ON_DISK_ONLY)
    store = open_store(place)
    for number in range(105):
        cache.put("tools", f"k{number}", number)
    with store._db.writing() as run:
        run(f"UPDATE {ENTRIES} SET tokens = 1")
    assert all(cache.get("tools", f"k{number}") is None for number in range(105))
    assert cache.troubles == {"quarantined": 105}
    assert store.stats().quarantined == 105
    assert [key for _, key, _ in store.quarantine()] == [f"k{number}" for number in range(5, 105)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"this is no database, but long enough to be asked" * 40,
        lambda content: b"short",
        lambda content: content[: len(content) // 2],
        lambda content: content[:100] + bytes(len(content) - 100),
        lambda content: content.replace(b"tokens INTEGER", b"tokens INTEGES"),
        lambda content: content[:60] + b"\x00\x00\x00\x07" + content[64:],
    ],
    ids=["text", "short", "cut", "zeros", "other table", "other version"],
)
def test_a_damaged_file_is_set_aside_and_begun_anew(tmp_path: Path, damage: Any) -> None:
    """The run goes on without its cache's entries; the file is kept as it was found, and that is counted."""
    path = filled(tmp_path)
    found = damage(path.read_bytes())
    path.write_bytes(found)
    cache = Cache(tmp_path, LAYERS, limits=ON_DISK_ONLY)
    assert cache.get("tools", "k") is None
    assert cache.troubles == {"file_quarantined": 1}
    cache.put("tools", "k", VALUE)
    assert cache.get("tools", "k") == VALUE
    cache.close()
    assert [p.read_bytes() for p in tmp_path.glob("cache.sqlite.quarantined-?")] == [found]


def test_a_file_that_is_only_looked_at_is_left_as_it_is(tmp_path: Path) -> None:
    """Without leave to repair a damaged or missing file is an error, and nothing is made or moved."""
    path = filled(tmp_path / "cache")
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="damaged"):
        open_store(tmp_path / "cache", repairs=False)
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(tmp_path / "none", repairs=False)
    assert path.read_bytes() == b"no database" * 100
    assert not (tmp_path / "none").exists()


def test_a_file_damaged_under_two_that_use_it_is_set_aside_once(tmp_path: Path) -> None:
    """Whoever sees it first sets it aside, the other finds the new one, and they see each other's entries."""
    path = filled(tmp_path)
    caches = [Cache(tmp_path, LAYERS, limits=ON_DISK_ONLY) for _ in range(2)]
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x55" * (path.stat().st_size - 4096))
    for cache in caches:
        assert cache.get("tools", "k") is None
    for number, cache in enumerate(caches):
        cache.put("tools", f"by {number}", number)
    assert [[cache.get("tools", f"by {n}") for n in range(2)] for cache in caches] == [[0, 1], [0, 1]]
    assert len(list(tmp_path.glob("cache.sqlite.quarantined-?"))) == 1
    for cache in caches:
        cache.close()


def test_a_folder_removed_under_a_cache_is_made_again(tmp_path: Path) -> None:
    """What is put after another process has removed the folder is there for the next."""
    cache = Cache(tmp_path / "cache", LAYERS)
    cache.put("tools", "before", 1)
    shutil.rmtree(tmp_path / "cache")
    cache.put("tools", "after", 2)
    cache.close()
    later = Cache(tmp_path / "cache", LAYERS)
    assert (later.get("tools", "before"), later.get("tools", "after")) == (None, 2)
    later.close()


def test_a_full_disk_costs_no_answer(tmp_path: Path) -> None:
    """What cannot be written is kept in memory and counted; earlier entries stay, later ones are written."""
    cache = Cache(tmp_path, LAYERS)
    cache.put("tools", "before", 1)
    file = cache._tiers.disk._db._db  # type: ignore[union-attr]
    file.execute("PRAGMA max_page_count = 1")
    cache.put("tools", "k", "x" * 50_000)
    assert cache.troubles == {"unwritten": 1}
    assert cache.get("tools", "k") == "x" * 50_000
    file.execute("PRAGMA max_page_count = 100000")
    cache.put("tools", "after", 2)
    cache.close()
    later = Cache(tmp_path, LAYERS)
    assert [later.get("tools", key) for key in ("before", "k", "after")] == [1, None, 2]
    later.close()
    assert open_store(tmp_path).stats().unwritten == 1


async def test_a_full_disk_holds_up_nobody(tmp_path: Path) -> None:
    """A fetch that can neither claim nor write computes, answers, and the value is in memory."""
    cache = Cache(tmp_path, LAYERS)
    cache._tiers.disk._db._db.execute("PRAGMA query_only = ON")  # type: ignore[union-attr]

    async def compute() -> tuple[Any, Cost]:
        return 1, Cost()

    found = [await cache.fetch("tools", "k", compute) for _ in range(2)]
    assert [fetched.is_hit for fetched in found] == [False, True]
    assert cache.troubles == {"unclaimed": 1, "unwritten": 1}
    cache.close()


def test_connections_that_were_cut_are_made_anew(postgres: str) -> None:
    """A server that ended all connections, as one does that restarts, is no trouble."""
    cache = Cache(postgres, LAYERS, limits=ON_DISK_ONLY, namespace="cut")
    cache.put("tools", "k", 1)
    with open_store(postgres)._db.writing() as run:
        run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert cache.get("tools", "k") == 1
    cache.put("tools", "k", 2)
    assert cache.get("tools", "k") == 2
    assert cache.troubles == {}
    cache.close()


def test_a_server_that_is_gone_fails_no_run() -> None:
    """Reads are misses, what is put stays in memory, both are counted, and closing is quiet."""
    with postgres_server() as url:
        cache = Cache(url, LAYERS)
        cache.put("tools", "before", 1)
    assert cache.get("tools", "unknown") is None
    cache.put("tools", "k", 2)
    assert (cache.get("tools", "before"), cache.get("tools", "k")) == (1, 2)
    assert cache.fetch_sync("tools", "new", lambda: (3, Cost())).value == 3
    assert cache.troubles["unwritten"] == 2
    assert cache.troubles["unread"] > 0
    cache.close()


def test_a_callers_mistake_costs_nobodys_entries(tmp_path: Path) -> None:
    """A key or tag that is no text is an error, and the file stays where it is."""
    cache = Cache(tmp_path, LAYERS)
    cache.put("tools", "k", 1)
    for key, tag in ((b"bytes", ""), (None, ""), ("k", 7)):
        with pytest.raises(TypeError):
            cache.put("tools", key, 2, tag=tag)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="64-bit"):
        cache.put("tools", "many", 2, Cost(tokens=2**70))
    assert cache.get("tools", "k") == 1
    assert cache.troubles == {}
    assert not list(tmp_path.glob("*quarantined*"))
    cache.close()


def test_what_is_like_a_text_or_number_is_kept_as_one(tmp_path: Path) -> None:
    """An enumeration's text and NumPy's numbers do not make an entry look damaged when it is read."""
    cache = Cache(tmp_path, LAYERS, limits=ON_DISK_ONLY)
    cost = Cost(np.float64(1.5), np.int64(7))  # type: ignore[arg-type]
    cache.put(Named.TOOLS, Named.TOOLS, 1, cost, tag=Named.TOOLS, data=Named.TOOLS)
    assert (cache.get("tools", "tools"), cache.saved_s, cache.saved_tokens) == (1, 1.5, 7)
    assert cache.troubles == {}
    cache.close()
