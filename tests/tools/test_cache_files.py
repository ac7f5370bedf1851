"""Values too large for a row are files: served as they were written, counted, and gone with their entry."""

import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cache_clock import HandClock
from cache_worlds import FORK, LAYERS, ON_DISK_ONLY, age_files, in_a_fork, small_disk, value_files, value_of

from swarmlab.errors import StoreError
from swarmlab.tools.cache import Cache, Cost, Limits, Removed, Selection, open_store
from swarmlab.tools.cache.entry import OVERHEAD_BYTES
from swarmlab.tools.cache.packed import pack

KEY = "large-1"
VALUE = value_of(KEY)
SIZE = len(pack(VALUE)) + OVERHEAD_BYTES


def put(folder: Path, *keys: str, limits: Limits = ON_DISK_ONLY) -> None:
    """Put these keys' values in a cache and close it."""
    cache = Cache(folder, LAYERS, limits=limits)
    for key in keys:
        cache.put("tools", key, value_of(key), Cost(1.5, 7), tag="roi", data="d1")
    assert not cache.troubles["unwritten"]
    cache.close()


def the_file(folder: Path) -> Path:
    """The only file."""
    (path,) = value_files(folder)
    return path


def get(folder: Path, key: str = KEY) -> tuple[Any, dict[str, int]]:
    """What a new cache finds, and its troubles."""
    cache = Cache(folder, LAYERS, limits=ON_DISK_ONLY)
    found = cache.get("tools", key)
    cache.close()
    return found, dict(cache.troubles)


def test_a_large_value_is_in_a_private_file_and_not_in_the_database(tmp_path: Path) -> None:
    """Another cache reads it whole; nobody else may; the database does not grow by it."""
    put(tmp_path / "cache", KEY)
    assert get(tmp_path / "cache") == (VALUE, {})
    path = the_file(tmp_path / "cache")
    assert path.read_bytes() == pack(VALUE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    assert (tmp_path / "cache/cache.sqlite").stat().st_size < len(pack(VALUE))


def test_its_size_counts_everywhere_and_files_go_with_their_entries(tmp_path: Path) -> None:
    """In stats, lists and the limit; what is driven out, shrunk away, removed or cleared has no file."""
    keys = [f"large-{number}" for number in range(5)]
    put(tmp_path, *keys, limits=Limits(max_bytes=4 * SIZE + 2_000, memory_bytes=0))
    store = open_store(tmp_path)
    listed = store.entries()
    assert store.stats().evicted == 2
    assert [entry.key for entry in listed] == keys[2:]
    assert all(abs(entry.bytes - SIZE) < 10 for entry in listed)
    assert store.stats().layers[0].bytes == sum(entry.bytes for entry in listed)
    assert len(value_files(tmp_path)) == 3
    assert store.shrink_to(2 * SIZE + 100).n == 1
    assert len(value_files(tmp_path)) == 2
    put(tmp_path, "small")
    assert store.remove(Selection(tag="roi", layer="completions")) == Removed(0, 0)
    assert len(value_files(tmp_path)) == 2
    assert store.clear().n == 3
    assert not value_files(tmp_path)
    store.close()


def test_an_entry_replaced_or_expired_leaves_no_file(tmp_path: Path) -> None:
    """Put again, put small, and too old: the file that nobody needs any more is gone."""
    clock = HandClock()
    cache = Cache(tmp_path, LAYERS, clock=clock, limits=Limits(memory_bytes=0, ttl_s={"tools": 60}))
    cache.put("tools", KEY, "x" * 100_000)
    first = the_file(tmp_path)
    cache.put("tools", KEY, "y" * 100_000)
    assert the_file(tmp_path) != first
    assert cache.get("tools", KEY) == "y" * 100_000
    cache.put("tools", KEY, "small")
    assert not value_files(tmp_path)
    cache.put("tools", KEY, "z" * 100_000)
    clock.pass_time(61)
    assert cache.get("tools", KEY) is None
    assert not value_files(tmp_path)
    cache.close()


@pytest.mark.parametrize("step", [1_613, pytest.param(61, marks=pytest.mark.long)])
def test_a_file_flipped_or_cut_anywhere_is_no_hit(tmp_path: Path, step: int) -> None:
    """One bit of a byte, or cut there: set aside, counted, computed again; the damaged file is kept."""
    put(tmp_path, KEY, "other")
    whole = pack(VALUE)
    cache = Cache(tmp_path, LAYERS, limits=ON_DISK_ONLY)
    offsets = [*range(0, len(whole), step), len(whole) - 1]
    for number, at in enumerate(offsets):
        (path,) = (path for path in value_files(tmp_path) if path.read_bytes() == whole)
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        damaged = bytes(flipped) if number % 2 else whole[:at]
        path.write_bytes(damaged)
        assert cache.get("tools", KEY) is None
        assert cache.troubles == {"quarantined": number + 1}
        assert path.read_bytes() == damaged
        cache.put("tools", KEY, VALUE, Cost(1.5, 7), tag="roi", data="d1")
        assert cache.get("tools", KEY) == VALUE
    assert cache.get("tools", "other") == value_of("other")
    cache.close()
    kept = min(len(offsets), 100)
    assert len(value_files(tmp_path)) == kept + 1
    store = open_store(tmp_path)
    assert len(store.quarantine()) == kept
    store.clear()
    assert not value_files(tmp_path)
    store.close()


def test_a_file_that_is_gone_or_anothers_is_no_hit(tmp_path: Path) -> None:
    """Removed by hand, or swapped with another entry's: missed, counted, and mended by the next put."""
    put(tmp_path, KEY, "large-2")
    one, other = value_files(tmp_path)
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1])
    other.write_bytes(contents[0])
    assert get(tmp_path) == (None, {"quarantined": 1})
    assert get(tmp_path, "large-2") == (None, {"quarantined": 1})
    put(tmp_path, KEY)
    shutil.rmtree(tmp_path / "values")
    assert get(tmp_path) == (None, {"quarantined": 1})
    put(tmp_path, KEY)
    assert get(tmp_path) == (VALUE, {})


@pytest.mark.parametrize(
    "name",
    ["../victim", "{folder}/victim", "0000000007-victim", "", "9" * 400, "0000080042-" + "\udc80" * 32],
)
def test_a_row_that_names_another_file_neither_reads_nor_removes_it(tmp_path: Path, name: str) -> None:
    """A damaged row is damaged, whatever it names; that file stays, and no size overflows."""
    put(tmp_path / "cache", KEY)
    victims = [tmp_path / "cache/victim", tmp_path / "cache/values/0000000007-victim"]
    for victim in victims:
        victim.write_bytes(pack(VALUE))
    named = name.format(folder=tmp_path / "cache").encode("utf-8", "surrogateescape")
    with closing(sqlite3.connect(tmp_path / "cache/cache.sqlite")) as db, db:
        db.execute("UPDATE swarmlab_cache_entries SET value = CAST(? AS TEXT)", (named,))
    store = open_store(tmp_path / "cache")
    assert store.stats().layers[0].n == 1
    assert get(tmp_path / "cache") == (None, {"quarantined": 1})
    store.clear()
    store.close()
    assert all(victim.read_bytes() == pack(VALUE) for victim in victims)


def test_a_put_that_fails_leaves_no_file(tmp_path: Path) -> None:
    """The row could not be written: its file goes at once, the answer stays in memory, earlier files stay."""
    put(tmp_path, KEY)
    earlier = the_file(tmp_path)
    cache = Cache(tmp_path, LAYERS)
    cache._tiers.disk._db._db.execute("PRAGMA query_only = ON")  # type: ignore[union-attr]
    cache.put("tools", KEY, "x" * 100_000)
    cache.put("tools", "large-2", value_of("large-2"))
    assert cache.troubles == {"unwritten": 2}
    assert cache.get("tools", "large-2") == value_of("large-2")
    assert the_file(tmp_path) == earlier
    cache.close()
    assert get(tmp_path) == (VALUE, {})


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    """What does not fit is counted and kept in memory; of the files that are there each is an entry's."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        cache = Cache(disk / "cache", LAYERS)
        keys = [f"large-{number}" for number in range(20)]
        for key in keys:
            cache.put("tools", key, value_of(key))
        unwritten = cache.troubles["unwritten"]
        assert cache.troubles == {"unwritten": unwritten}
        assert 0 < unwritten < 20
        assert all(cache.get("tools", key) == value_of(key) for key in keys)
        assert len(value_files(disk / "cache")) == 20 - unwritten
        assert open_store(disk / "cache").clear().n == 20 - unwritten
        cache.put("tools", KEY, VALUE)
        assert cache.troubles == {"unwritten": unwritten}
        cache.close()
        assert get(disk / "cache") == (VALUE, {})


def test_what_killed_processes_left_is_swept_up_when_it_is_old(tmp_path: Path) -> None:
    """At the next opening and by a prune; not a young file, which may be a put's, nor an entry's."""
    put(tmp_path, KEY)
    known = the_file(tmp_path)
    orphans = [known.with_name(f"0000000004-{number:032x}") for number in range(2)]
    foreign = known.with_name("notes.txt")

    def leave() -> None:
        for path in (*orphans, foreign):
            path.write_bytes(b"left")

    leave()
    Cache(tmp_path, LAYERS).close()
    assert value_files(tmp_path) == {known, foreign, *orphans}
    store = open_store(tmp_path, repairs=False)
    age_files(tmp_path)
    orphans[0].touch()
    store.shrink()
    assert value_files(tmp_path) == {known, foreign, orphans[0]}
    store.close()
    leave()
    age_files(tmp_path)
    open_store(tmp_path, repairs=False).close()
    assert value_files(tmp_path) == {known, foreign, *orphans}
    Cache(tmp_path, LAYERS).close()
    assert value_files(tmp_path) == {known, foreign}
    assert get(tmp_path) == (VALUE, {})


def test_an_entry_in_quarantine_keeps_its_file_from_the_sweep(tmp_path: Path) -> None:
    """However old: it is there to be looked at until the quarantine is cleared."""
    put(tmp_path, KEY)
    path = the_file(tmp_path)
    path.write_bytes(b"damaged")
    assert get(tmp_path) == (None, {"quarantined": 1})
    age_files(tmp_path)
    Cache(tmp_path, LAYERS).close()
    assert path.read_bytes() == b"damaged"


def test_reading_while_another_process_replaces_and_removes_is_never_damage(tmp_path: Path) -> None:
    """Whoever reads meets the value or a miss, though its file may go between the row and the read."""
    put(tmp_path, KEY)
    stop = FORK.Event()

    def replace() -> None:
        cache, store = Cache(tmp_path, LAYERS, limits=ON_DISK_ONLY), open_store(tmp_path)
        number = 0
        while not stop.is_set():
            number += 1
            cache.put("tools", KEY, VALUE)
            if number % 5 == 0:
                store.remove(Selection())

    writers = [FORK.Process(target=replace, daemon=True) for _ in range(2)]
    for writer in writers:
        writer.start()
    cache = Cache(tmp_path, LAYERS, limits=ON_DISK_ONLY)
    found: list[Any] = []
    while min(found.count(None), len(found) - found.count(None)) < 200 and len(found) < 50_000:
        found += [cache.get("tools", KEY) for _ in range(100)]
    stop.set()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert cache.troubles == {}
    assert {value is None for value in found} == {True, False}
    assert all(value in (None, VALUE) for value in found)
    cache.close()


def test_threads_of_one_cache_share_its_files(tmp_path: Path) -> None:
    """Eight threads that put and get at once: each value is its own, and there is one file an entry."""
    cache = Cache(tmp_path, LAYERS, limits=ON_DISK_ONLY)
    keys = [f"large-{number}" for number in range(8)]
    wrong: list[str] = []

    def work(key: str) -> None:
        for _ in range(5):
            cache.put("tools", key, value_of(key))
            if cache.get("tools", key) != value_of(key):
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert (dict(cache.troubles), len(value_files(tmp_path))) == ({}, 8)
    cache.close()


def test_a_file_set_aside_takes_no_value_with_it_that_is_put_again(tmp_path: Path) -> None:
    """The database is begun anew; what it had in files is nobody's and goes when it is old."""
    put(tmp_path, KEY)
    earlier = the_file(tmp_path)
    (tmp_path / "cache.sqlite").write_bytes(b"no database" * 500)
    assert get(tmp_path) == (None, {"file_quarantined": 1})
    put(tmp_path, KEY)
    age_files(tmp_path)
    assert get(tmp_path) == (VALUE, {})
    assert the_file(tmp_path) != earlier


def _make_older(folder: Path) -> None:
    """A file of layout 2, in which every value, however large, was in its row."""
    put(folder, "put-2", KEY)
    with closing(sqlite3.connect(folder / "cache.sqlite")) as db, db:
        db.execute("UPDATE swarmlab_cache_entries SET value = ? WHERE key = ?", (pack(VALUE), KEY))
        db.execute("DROP INDEX swarmlab_cache_files")
        db.execute("UPDATE swarmlab_cache_totals SET layout = 2")
        db.execute("PRAGMA user_version = 2")
    shutil.rmtree(folder / "values")


def test_an_older_file_keeps_its_entries(tmp_path: Path) -> None:
    """Layout 2 is brought up to date when a run opens it; its large values are served from their rows."""
    _make_older(tmp_path)
    assert get(tmp_path) == (VALUE, {})
    assert get(tmp_path, "put-2") == (value_of("put-2"), {})
    put(tmp_path, "large-2")
    assert len(value_files(tmp_path)) == 1
    with closing(sqlite3.connect(tmp_path / "cache.sqlite")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (3,)


def test_an_older_file_that_is_only_looked_at_is_left_as_it_is(tmp_path: Path) -> None:
    """Its entries are listed with their sizes, and its layout stays; entries can be removed all the same."""
    _make_older(tmp_path)
    store = open_store(tmp_path, repairs=False)
    assert {entry.key: entry.bytes for entry in store.entries()}[KEY] == SIZE
    assert store.remove(Selection()).n == 2
    store.shrink()
    store.close()
    with closing(sqlite3.connect(tmp_path / "cache.sqlite")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """Its reader says what to do, and changes nothing."""
    put(tmp_path, KEY)
    with closing(sqlite3.connect(tmp_path / "cache.sqlite")) as db, db:
        db.execute("UPDATE swarmlab_cache_totals SET layout = 4")
        db.execute("PRAGMA user_version = 4")
    with pytest.raises(StoreError, match=r"layout 4.*upgrade swarmlab"):
        Cache(tmp_path, LAYERS)
    assert value_files(tmp_path)


def test_a_fork_reads_and_writes_files_of_its_parents_cache(tmp_path: Path) -> None:
    """What one side puts the other finds."""
    cache = Cache(tmp_path, LAYERS, limits=ON_DISK_ONLY)
    cache.put("tools", KEY, VALUE)

    def work() -> bool:
        parents = cache._tiers.disk._db._db  # type: ignore[union-attr]
        is_found = cache.get("tools", KEY) == VALUE
        cache.put("tools", "large-2", value_of("large-2"))
        return is_found and cache._tiers.disk._db._db is not parents  # type: ignore[union-attr]

    assert cache.get("tools", KEY) == VALUE
    assert in_a_fork(work)
    assert cache.get("tools", "large-2") == value_of("large-2")
    assert cache.troubles == {}
    cache.close()


def test_a_place_in_which_no_folder_can_be_made_costs_no_run(tmp_path: Path) -> None:
    """A file where the folder of values should be: large answers stay in memory, small ones are written."""
    (tmp_path / "values").write_bytes(b"")
    cache = Cache(tmp_path, LAYERS)
    cache.put("tools", KEY, VALUE)
    cache.put("tools", "put-2", value_of("put-2"))
    assert cache.get("tools", KEY) == VALUE
    assert cache.troubles == {"unwritten": 1}
    cache.close()
    assert get(tmp_path, "put-2") == (value_of("put-2"), {})
