"""Flipped bits and cut ends, at every place of an entry and of its file: a wrong value is never served."""

import shutil
import sqlite3
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cache_worlds import LAYERS, ON_DISK_ONLY, quick_folder

from swarmlab.tools.cache import Cache, Cost, open_store
from swarmlab.tools.cache.packed import pack

FILE = "cache.sqlite"
VALUE = {"word": "elderflower", "n": [1, 2.5]}
TOLD = (VALUE, 1.25, 7)
"""The value of the entry, and the seconds and tokens that a hit says were saved."""
COLUMNS = ("value", "seal", "tag", "data", "is_virtual", "created_us", "seconds", "tokens", "layer", "key")
"""Everything of an entry but when and how often it was used."""


@pytest.fixture
def quick() -> Iterator[Path]:
    """A folder in memory, where there is one: hundreds of files are made."""
    folder = quick_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(quick: Path) -> Path:
    """A cache of two small entries, `k` and `other`, closed."""
    cache = Cache(quick / "cache", LAYERS)
    cache.put("tools", "k", VALUE, Cost(1.25, 7), tag="roi", data="d1")
    cache.put("tools", "other", "another value", Cost(0.5, 3), tag="roi", data="d1")
    cache.close()
    return quick / "cache"


def _look(cache: Cache) -> tuple[Any, float, int] | None:
    """What a hit on the entry tells, or None."""
    before_s, before_tokens = cache.saved_s, cache.saved_tokens
    value = cache.get("tools", "k")
    return None if value is None else (value, cache.saved_s - before_s, cache.saved_tokens - before_tokens)


def _flipped(content: bytes) -> Iterator[bytes]:
    """The content with each bit turned, one at a time."""
    for at in range(8 * len(content)):
        changed = bytearray(content)
        changed[at // 8] ^= 1 << at % 8
        yield bytes(changed)


def _damaged(stored: Any) -> Iterator[Any]:
    """What a stored value may have become: each bit turned, each end cut, and read as another type."""
    if isinstance(stored, str):
        raw = stored.encode()
        yield from (other.decode("latin-1") for other in _flipped(raw))
        yield from (stored[:length] for length in range(len(stored)))
        yield raw
    elif isinstance(stored, bytes):
        yield from _flipped(stored)
        yield from (stored[:length] for length in range(len(stored)))
        yield stored.decode("latin-1")
    else:
        form = "<q" if isinstance(stored, int) else "<d"
        others = (struct.unpack(form, other)[0] for other in _flipped(struct.pack(form, stored)))
        # A column takes no NaN.
        yield from (other for other in others if other == other)
        yield str(stored).encode()
        yield -1
    yield b""


@pytest.mark.parametrize("column", COLUMNS)
def test_an_entry_changed_in_any_bit_is_no_hit(
    folder: Path, column: str, record_property: Callable[[str, object], None]
) -> None:
    """Each bit of each stored value turned and each end cut: not found, or set aside; never served."""
    cache = Cache(folder, LAYERS, limits=ON_DISK_ONLY)
    database = sqlite3.connect(folder / FILE, isolation_level=None)
    row = dict(zip(COLUMNS, database.execute(_SELECT).fetchone(), strict=True))
    changes = list(_damaged(row[column]))
    for changed in changes:
        database.execute(f"UPDATE swarmlab_cache_entries SET {column} = ? WHERE rowid = 1", (changed,))
        (stored,) = database.execute(
            f"SELECT {column} FROM swarmlab_cache_entries WHERE rowid = 1"
        ).fetchone()
        assert type(stored) is not type(row[column]) or stored != row[column]
        assert _look(cache) is None, changed
        # Set aside or not: as it was, for the next change.
        database.execute("DELETE FROM swarmlab_cache_entries WHERE rowid = 1")
        database.execute(_INSERT, row)
    assert _look(cache) == TOLD
    assert cache.get("tools", "other") == "another value"
    # A changed name is another entry's: it is not looked at.
    assert cache.troubles["quarantined"] == (0 if column in ("layer", "key") else len(changes))
    record_property("changes", len(changes))
    cache.close()
    database.close()


_SELECT = f"SELECT {', '.join(COLUMNS)} FROM swarmlab_cache_entries WHERE key = 'k'"
_INSERT = (
    f"INSERT INTO swarmlab_cache_entries (rowid, used, hits, {', '.join(COLUMNS)})"
    f" VALUES (1, 0, 0, {', '.join(f':{name}' for name in COLUMNS)})"
)


def _outcome(raw: bytes, folder: Path) -> str:
    """What becomes of the entry in a file of this content: served as it was, or how it was missed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / FILE).write_bytes(raw)
    cache = Cache(folder, LAYERS, limits=ON_DISK_ONLY)
    found = _look(cache)
    assert found in (None, TOLD), found
    assert cache.get("tools", "other") in (None, "another value")
    troubles = "+".join(sorted(cache.troubles))
    set_aside = len(list(folder.glob(f"{FILE}.quarantined-*")))
    cache.put("tools", "new", "new")
    assert cache.get("tools", "new") == "new" or cache.troubles
    cache.close()
    if found is not None:
        return "served as it was"
    return "file set aside" if set_aside else troubles or "not found"


def _own_bytes(raw: bytes) -> range:
    """Where the entry's own record lies in the file, from its tag to the end of its value."""
    value = pack(VALUE)
    end = raw.index(value) + len(value)
    # Before the value come, from the back: seal, tokens, seconds, date; before them tag and data.
    start = raw.rindex(b"roid1", 0, end)
    return range(start, end)


def test_a_byte_flipped_in_the_entrys_record_on_disk_is_no_hit(
    folder: Path, quick: Path, record_property: Callable[[str, object], None]
) -> None:
    """One bit, then all bits, of each byte of tag, data, date, cost, seal and value in the file itself."""
    raw = (folder / FILE).read_bytes()
    own = _own_bytes(raw)
    assert len(own) > 60
    outcomes: Counter[str] = Counter()
    for at in own:
        for mask in (1 << at % 8, 0xFF):
            changed = bytearray(raw)
            changed[at] ^= mask
            outcomes[_outcome(bytes(changed), quick / "damaged")] += 1
    record_property("outcomes", dict(outcomes))
    assert outcomes == {"quarantined": 2 * len(own)}


@pytest.mark.parametrize("step", [193, pytest.param(7, marks=pytest.mark.long)])
def test_a_byte_flipped_anywhere_in_the_file_gives_no_wrong_value(
    folder: Path, quick: Path, step: int, record_property: Callable[[str, object], None]
) -> None:
    """Headers, schema, indexes, totals and free space too: the entry is served as it was, or missed."""
    raw = (folder / FILE).read_bytes()
    outcomes: Counter[str] = Counter()
    for at in range(0, len(raw), step):
        for mask in (1 << at % 8, 0xFF):
            changed = bytearray(raw)
            changed[at] ^= mask
            outcomes[_outcome(bytes(changed), quick / "damaged")] += 1
    record_property("outcomes", dict(outcomes))
    assert outcomes.keys() >= {"served as it was", "file set aside"}


@pytest.mark.parametrize("step", [193, pytest.param(7, marks=pytest.mark.long)])
def test_a_file_cut_anywhere_gives_no_wrong_value(
    folder: Path, quick: Path, step: int, record_property: Callable[[str, object], None]
) -> None:
    """Cut at any length, the file is set aside or begun anew, and the entry is missed or as it was."""
    raw = (folder / FILE).read_bytes()
    outcomes = Counter(_outcome(raw[:length], quick / "damaged") for length in range(0, len(raw), step))
    record_property("outcomes", dict(outcomes))
    assert outcomes["file set aside"] > 0


@pytest.mark.parametrize("step", [193, pytest.param(7, marks=pytest.mark.long)])
def test_a_journal_flipped_or_cut_anywhere_gives_no_wrong_value(
    quick: Path, step: int, record_property: Callable[[str, object], None]
) -> None:
    """What a killed process left in SQLite's journal, damaged: its last entries are whole or absent."""
    living = Cache(quick / "cache", LAYERS)
    living.put("tools", "k", VALUE, Cost(1.25, 7), tag="roi", data="d1")
    raw = (quick / "cache" / FILE).read_bytes()
    journal = (quick / "cache" / f"{FILE}-wal").read_bytes()
    living.close()
    outcomes: Counter[str] = Counter()
    for at in range(0, len(journal), step):
        flipped = bytearray(journal)
        flipped[at] ^= 1 << at % 8
        for name, content in (("flipped", bytes(flipped)), ("cut", journal[:at])):
            outcomes[name, _with_journal(raw, content, quick / "damaged")] += 1
    record_property("outcomes", {" ".join(name): n for name, n in outcomes.items()})
    assert outcomes["cut", "not found"] > 0


def _with_journal(raw: bytes, journal: bytes, folder: Path) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / FILE).write_bytes(raw)
    (folder / f"{FILE}-wal").write_bytes(journal)
    cache = Cache(folder, LAYERS, limits=ON_DISK_ONLY)
    found = _look(cache)
    assert found in (None, TOLD), found
    cache.put("tools", "k", VALUE, Cost(1.25, 7))
    assert _look(cache) == TOLD or cache.troubles
    cache.close()
    assert open_store(folder).stats().layers[0].n >= 1
    return "not found" if found is None else "served as it was"
