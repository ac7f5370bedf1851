"""Processes killed while they write: what was acknowledged is there, and what is there is whole."""

import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cache_worlds import (
    LAYERS,
    ON_DISK_ONLY,
    age_files,
    kill_writers,
    kills_at_each_call,
    quick_folder,
    strace,
    value_files,
    value_of,
)

from swarmlab.tools.cache import Cache, Limits
from swarmlab.tools.cache.tiers import Troubles

WRITES = (
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    # Those that come seldom or never share a run: strace counts each for itself.
    "write,writev,pwritev,sync_file_range,fallocate,ftruncate,unlink,unlinkat,renameat,renameat2,mkdir",
)
"""Each way to change a file."""
LOCKS = ("openat", "fcntl")
"""What opens and locks it."""
EARLIER = [f"earlier-{number}" for number in range(12)]
PUT = "put-2"
"""In its row, on several pages."""
LARGE = "large-1"
NEXT = "large-2"
"""In files."""


@pytest.mark.parametrize("kills", [30, pytest.param(300, marks=pytest.mark.long)])
def test_what_a_killed_writer_had_acknowledged_is_there(
    tmp_path: Path, kills: int, record_property: Callable[[str, object], None]
) -> None:
    """Of two writers of one folder one after the other is killed: no entry is lost, none is another."""
    tally = kill_writers(tmp_path / "cache", kills)
    record_property("kills", tally.kills)
    record_property("acknowledged", tally.acknowledged)
    record_property("lost", tally.lost)
    record_property("wrong", tally.wrong)
    assert (tally.kills, tally.lost, tally.wrong) == (kills, 0, 0)
    assert tally.acknowledged > kills
    assert not list((tmp_path / "cache").glob("*quarantined*"))


@pytest.fixture
def quick() -> Iterator[Path]:
    """A folder in memory, where there is one: hundreds of files are made."""
    folder = quick_folder()
    yield folder
    shutil.rmtree(folder)


def _fill(folder: Path) -> None:
    cache = Cache(folder, LAYERS)
    for key in EARLIER:
        cache.put("tools", key, value_of(key))
    cache.close()


def _fill_large(folder: Path) -> None:
    _fill(folder)
    cache = Cache(folder, LAYERS)
    cache.put("tools", LARGE, value_of(LARGE))
    cache.close()


def _damage(folder: Path) -> None:
    _fill(folder)
    with (folder / "cache.sqlite").open("r+b") as file:
        file.write(b"no database")


def _leave_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    "calls", [WRITES, pytest.param(LOCKS, marks=pytest.mark.long)], ids=["writes", "locks"]
)
@pytest.mark.parametrize(
    ("prepare", "key", "max_bytes"),
    [
        pytest.param(_fill, PUT, None, id="put into a store with entries"),
        pytest.param(_leave_empty, LARGE, None, id="first put into a new folder", marks=pytest.mark.long),
        pytest.param(_damage, PUT, None, id="put into a damaged file"),
        pytest.param(_fill, PUT, 30_000, id="put that drives others out", marks=pytest.mark.long),
        pytest.param(_fill_large, LARGE, None, id="put of a file in place of another"),
        pytest.param(
            _fill_large, "large-2", 100_000, id="put that drives out a file", marks=pytest.mark.long
        ),
    ],
)
def test_a_put_killed_at_any_call_is_whole_or_absent(
    quick: Path,
    prepare: Callable[[Path], None],
    key: str,
    max_bytes: int | None,
    calls: tuple[str, ...],
    record_property: Callable[[str, object], None],
) -> None:
    """Killed at each write, sync, truncation and rename of open, put and close: the store serves on."""
    path, folder, notes = strace(), quick / "cache", quick / "notes"

    def work() -> None:
        cache = Cache(folder, LAYERS, limits=Limits(max_bytes=max_bytes))
        cache.put("tools", key, value_of(key))
        os.close(os.open(notes, os.O_CREAT))
        cache.close()

    def begin() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        notes.unlink(missing_ok=True)
        prepare(folder)

    keeps = [] if prepare in (_leave_empty, _damage) or max_bytes is not None else list(EARLIER)
    if key == LARGE and prepare is _fill_large:
        keeps += [LARGE]
    kills: Counter[str] = Counter()
    begin()
    for call, number in kills_at_each_call(path, work, calls):
        kills[call] += 1
        where = f"killed at {call} {number}"
        troubles = _check(folder, where, key, [*keeps, *([key] if notes.exists() else [])])
        # It may have been killed before it set the damaged file aside.
        assert troubles.keys() <= ({"file_quarantined"} if prepare is _damage else set()), where
        begin()
    record_property("kills", kills.total())
    record_property("at", dict(kills))
    assert min(kills[call] for call in calls if call in ("pwrite64", "openat")) > 3, kills


def _check(folder: Path, where: str, key: str, keeps: list[str]) -> Troubles:
    """Each entry is whole or absent, those of `keeps` are there, and the store serves on."""
    cache = Cache(folder, LAYERS, limits=ON_DISK_ONLY)
    for each in (key, *EARLIER, LARGE):
        found = cache.get("tools", each)
        assert found == value_of(each) or (found is None and each not in keeps), where
    cache.put("tools", key, value_of(key))
    assert cache.get("tools", key) == value_of(key), where
    there = sum(cache.get("tools", each) is not None for each in {key, LARGE} if each.startswith("large"))
    cache.close()
    age_files(folder)
    Cache(folder, LAYERS).close()
    assert len(value_files(folder)) == there, where
    database = sqlite3.connect(folder / "cache.sqlite")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], where
    database.close()
    return cache.troubles
