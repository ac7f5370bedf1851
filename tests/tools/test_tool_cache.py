"""The cache on disk: a dict as far as its layers are on, and never a damaged or stale value."""

import multiprocessing
import sqlite3
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from swarmlab.errors import StoreError
from swarmlab.tools.cache import Cache, Cost, open_store

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


def _write(folder: Path, name: str) -> None:
    cache = Cache(folder, ["tools"])
    for number in range(100):
        cache.put("tools", f"{name}-{number}", {"by": name, "n": number})
        cache.put("tools", "both", {"by": name})
    cache.close()


def test_two_processes_write_at_the_same_time(tmp_path: Path) -> None:
    """Every entry of both writers is there afterwards, and one they both wrote is one of theirs, whole."""
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_write, args=(tmp_path, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    cache = Cache(tmp_path, LAYERS)
    for name in "ab":
        for number in range(100):
            assert cache.get("tools", f"{name}-{number}") == {"by": name, "n": number}
    assert cache.get("tools", "both") in ({"by": "a"}, {"by": "b"})
    assert cache.troubles == {}
    cache.close()


def test_the_folder_is_private(tmp_path: Path) -> None:
    """A folder that the cache makes can be read by its user only."""
    Cache(tmp_path / "mine", LAYERS).close()
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o700


def test_a_place_that_cannot_hold_a_cache_is_a_clear_error(tmp_path: Path) -> None:
    """A file where the folder should be is an error that names the place."""
    (tmp_path / "file").write_text("text")
    with pytest.raises(StoreError, match=r"file cannot be opened: .*exists"):
        Cache(tmp_path / "file", LAYERS)


def test_a_closed_cache_says_so(tmp_path: Path) -> None:
    """Closing twice is nothing; to use it afterwards is an error, not an answer from nowhere."""
    cache = Cache(tmp_path, LAYERS)
    cache.close()
    cache.close()
    with pytest.raises(StoreError, match="is closed"):
        cache.get("tools", "k")


def test_nobody_shares_an_object(tmp_path: Path) -> None:
    """What a caller does to a value it put or got is not seen by the next who gets it."""
    for cache in (Cache(tmp_path, LAYERS), Cache(None, LAYERS)):
        value = {"facts": [1, 2]}
        cache.put("tools", "k", value)
        value["facts"].append(3)
        cache.get("tools", "k")["facts"].append(4)
        assert cache.get("tools", "k") == {"facts": [1, 2]}
        cache.close()


def test_views_share_entries_and_count_for_themselves() -> None:
    """Hits, misses and what they saved belong to the run that had them."""
    one = Cache(None, LAYERS)
    other = one.view()
    assert one.get("tools", "k") is None
    one.put("tools", "k", 1, Cost(2.5, 30))
    assert [other.get("tools", "k"), other.get("tools", "k")] == [1, 1]
    assert (one.hits.total(), one.misses.total(), one.saved_s, one.saved_tokens) == (0, 1, 0.0, 0)
    assert (other.hits.total(), other.misses.total(), other.saved_s, other.saved_tokens) == (2, 0, 5.0, 60)


def test_a_stored_answer_reads_as_it_was_computed(tmp_path: Path) -> None:
    """Names keep their order, text its odd characters, and whole numbers stay whole."""
    value = {"z": 1, "a": 1.0, "\ud800": "é\u2028\x00", "big": 2**70, "tiny": 5e-324, "zero": -0.0}
    Cache(tmp_path, LAYERS).put("tools", "k", value)
    found = Cache(tmp_path, LAYERS).get("tools", "k")
    assert repr(found) == repr(value)


def test_a_cache_of_the_layout_before_is_begun_anew(tmp_path: Path) -> None:
    """Its entries have no seal, and their keys name other code: they go, and the file serves on."""
    with sqlite3.connect(tmp_path / "cache.sqlite") as old:
        old.execute("CREATE TABLE entries (layer TEXT, key TEXT, value TEXT, checksum TEXT)")
        old.execute("INSERT INTO entries VALUES ('tools', 'k', '1', 'x')")
    old.close()
    cache = Cache(tmp_path, LAYERS)
    assert cache.get("tools", "k") is None
    cache.put("tools", "k", 1)
    assert cache.get("tools", "k") == 1
    cache.close()
    assert not list(tmp_path.glob("*quarantined*"))


def test_a_newer_layout_is_refused(tmp_path: Path) -> None:
    """A file that a newer swarmlab has written is left as it is, and the error says what to do."""
    Cache(tmp_path, LAYERS).close()
    with sqlite3.connect(tmp_path / "cache.sqlite") as newer:
        newer.execute("UPDATE swarmlab_cache_totals SET layout = 9")
        newer.execute("PRAGMA user_version = 9")
    newer.close()
    before = (tmp_path / "cache.sqlite").read_bytes()
    with pytest.raises(StoreError, match=r"layout 9.*upgrade swarmlab, or delete"):
        Cache(tmp_path, LAYERS)
    assert (tmp_path / "cache.sqlite").read_bytes() == before


def test_a_number_that_is_none_is_refused(tmp_path: Path) -> None:
    """NaN is refused when it is stored, not found when it is read."""
    cache = Cache(tmp_path, LAYERS)
    with pytest.raises(ValueError, match="nan is no number"):
        cache.put("tools", "k", {"n": float("nan")})
    assert cache.get("tools", "k") is None
    cache.close()


def test_a_cleared_cache_gives_its_space_back(tmp_path: Path) -> None:
    """The file shrinks, also while another process has it open."""
    cache = Cache(tmp_path, LAYERS)
    for number in range(100):
        cache.put("tools", f"k{number}", "x" * 10_000)
    store = open_store(tmp_path)
    store.shrink()
    full = (tmp_path / "cache.sqlite").stat().st_size
    assert store.clear().n == 100
    store.shrink()
    assert full > 1_000_000
    assert (tmp_path / "cache.sqlite").stat().st_size < 100_000
    cache.put("tools", "k", 1)
    store.close()
    cache.close()
    assert open_store(tmp_path).stats().layers[0].n == 1
