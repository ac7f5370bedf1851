"""The cache on disk: a dict as far as its layers are on, and never a damaged or stale value."""

import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from swarmlab.errors import StoreError
from swarmlab.tools.cache import Cache, content_key

LAYERS = ("tools", "completions", "analyses")

VALUES = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)


class CacheAsADict(RuleBasedStateMachine):
    """Against a dict: get, put, close and open again with other layers."""

    @initialize(layers=st.sets(st.sampled_from(LAYERS)))
    def start(self, layers: set[str]) -> None:
        """An empty folder."""
        self.temporary = tempfile.TemporaryDirectory()
        self.model: dict[tuple[str, str], Any] = {}
        self.open(layers)

    def open(self, layers: set[str]) -> None:
        """Open the folder with these layers on."""
        self.layers = layers
        self.cache = Cache(Path(self.temporary.name), layers)
        self.expected_hits = self.expected_misses = 0

    @rule(layer=st.sampled_from(LAYERS), key=st.sampled_from("abc"), value=VALUES)
    def put(self, layer: str, key: str, value: Any) -> None:
        """Store, which counts only in a layer that is on."""
        self.cache.put(layer, key, value)
        if layer in self.layers:
            self.model[layer, key] = value

    @rule(layer=st.sampled_from(LAYERS), key=st.sampled_from("abc"))
    def get(self, layer: str, key: str) -> None:
        """Read what the dict holds, and nothing from a layer that is off."""
        expected = self.model.get((layer, key)) if layer in self.layers else None
        assert self.cache.get(layer, key) == expected
        if layer in self.layers:
            self.expected_hits += expected is not None
            self.expected_misses += expected is None

    @rule(layers=st.sets(st.sampled_from(LAYERS)))
    def reopen(self, layers: set[str]) -> None:
        """Close and open again: the entries are still there."""
        self.cache.close()
        self.open(layers)

    @invariant()
    def counts_are_right(self) -> None:
        """Hits and misses are counted, and only in layers that are on."""
        assert self.cache.hits.total() == self.expected_hits
        assert self.cache.misses.total() == self.expected_misses

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "cache"):
            self.cache.close()
            self.temporary.cleanup()


TestCacheAsADict = CacheAsADict.TestCase
TestCacheAsADict.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


@pytest.mark.parametrize("damage", [b'{"n": 2}', b'{"n": \xff}', b"", b"\x00"])
def test_a_damaged_value_is_a_miss_and_can_be_stored_again(tmp_path: Path, damage: bytes) -> None:
    """A value that does not fit its checksum, text or not, is never returned; computing it again mends it."""
    cache = Cache(tmp_path, LAYERS)
    cache.put("tools", "k", {"n": 1})
    with sqlite3.connect(tmp_path / "cache.sqlite") as direct:
        direct.execute("UPDATE entries SET value = CAST(? AS TEXT)", (damage,))
    direct.close()
    assert cache.get("tools", "k") is None
    assert (cache.hits.total(), cache.misses.total()) == (0, 1)
    cache.put("tools", "k", {"n": 1})
    assert cache.get("tools", "k") == {"n": 1}
    cache.close()


def test_a_byte_flipped_in_the_file_is_detected(tmp_path: Path) -> None:
    """One bit changed in the database file itself makes the entry a miss."""
    cache = Cache(tmp_path, LAYERS)
    cache.put("tools", "k", {"word": "elderflower"})
    cache.close()  # the last one to close moves the journal into the database
    path = tmp_path / "cache.sqlite"
    content = path.read_bytes()
    assert content.count(b"elderflower") == 1
    path.write_bytes(content.replace(b"elderflower", b"elderflowes"))
    cache = Cache(tmp_path, LAYERS)
    assert cache.get("tools", "k") is None
    cache.close()


def test_layers_are_apart(tmp_path: Path) -> None:
    """The same key in two layers is two entries."""
    cache = Cache(tmp_path, LAYERS)
    cache.put("tools", "k", {"n": 1})
    cache.put("completions", "k", {"n": 2})
    assert cache.get("tools", "k") == {"n": 1}
    assert cache.get("analyses", "k") is None
    cache.close()


def test_a_layer_that_is_off_is_not_written(tmp_path: Path) -> None:
    """A put into a layer that is off leaves nothing for a later cache that has it on."""
    cache = Cache(tmp_path, ("completions",))
    cache.put("tools", "k", {"n": 1})
    cache.close()
    later = Cache(tmp_path, LAYERS)
    assert later.get("tools", "k") is None
    later.close()


def test_in_memory_nothing_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder two caches share nothing and no file is made."""
    monkeypatch.chdir(tmp_path)
    one, other = Cache(None, LAYERS), Cache(None, LAYERS)
    one.put("tools", "k", {"n": 1})
    assert one.get("tools", "k") == {"n": 1}
    assert other.get("tools", "k") is None
    assert not list(tmp_path.iterdir())


WRITER = """
import sys
from pathlib import Path
from swarmlab.tools.cache import Cache
cache = Cache(Path(sys.argv[1]), ["tools"])
for number in range(100):
    cache.put("tools", f"{sys.argv[2]}-{number}", {"by": sys.argv[2], "n": number})
    cache.put("tools", "both", {"by": sys.argv[2]})
cache.close()
"""


def test_two_processes_write_at_the_same_time(tmp_path: Path) -> None:
    """Every entry of both writers is there afterwards, and one they both wrote is one of theirs, whole."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    cache = Cache(tmp_path, LAYERS)
    for name in "ab":
        for number in range(100):
            assert cache.get("tools", f"{name}-{number}") == {"by": name, "n": number}
    assert cache.get("tools", "both") in ({"by": "a"}, {"by": "b"})
    cache.close()


def test_the_folder_is_private(tmp_path: Path) -> None:
    """A folder that the cache makes can be read by its user only."""
    Cache(tmp_path / "mine", LAYERS).close()
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o700


def test_a_place_that_cannot_hold_a_cache_is_a_clear_error(tmp_path: Path) -> None:
    """A file where the folder should be, or a file that is no database, names the place."""
    (tmp_path / "file").write_text("text")
    with pytest.raises(StoreError, match="file"):
        Cache(tmp_path / "file", LAYERS)
    (tmp_path / "cache.sqlite").write_text("this is no database, but long enough to be asked" * 40)
    with pytest.raises(StoreError, match="cannot be opened"):
        Cache(tmp_path, LAYERS)


def test_a_value_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    """NaN is refused when it is stored, not found when it is read."""
    cache = Cache(tmp_path, LAYERS)
    with pytest.raises(ValueError, match="JSON"):
        cache.put("tools", "k", {"n": float("nan")})
    assert cache.get("tools", "k") is None
    cache.close()


@given(parts=VALUES, name=st.text(max_size=5), value=st.integers(10**6, 10**7))
def test_the_key_depends_on_every_part(parts: dict[str, Any], name: str, value: int) -> None:
    """Adding or changing any part gives another key."""
    assert content_key({**parts, name: value}) != content_key(parts)
    assert content_key({**parts, name: value}) != content_key({**parts, name: value + 1})


@given(parts=VALUES)
def test_the_key_does_not_depend_on_the_order_of_parts(parts: dict[str, Any]) -> None:
    """The same parts in another order are the same content."""
    assert content_key(dict(reversed(parts.items()))) == content_key(parts)
