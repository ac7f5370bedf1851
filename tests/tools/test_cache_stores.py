"""What a cache keeps and what goes is the same in a folder, at an SQLite address and in PostgreSQL."""

import sys
import traceback
from pathlib import Path

import pytest
from cache_clock import HandClock

from swarmlab.errors import StoreError
from swarmlab.tools.cache import Cache, Cost, Limits, Removed, Selection, open_store
from swarmlab.tools.cache.entry import OVERHEAD_BYTES

LAYERS = ("tools", "completions", "analyses")
ON_DISK_ONLY = Limits(memory_bytes=0)
DAY_S = 86_400


def test_an_entry_is_found_by_another_cache_at_the_same_place(place: Path | str) -> None:
    """Put, put again with another value, and read it from the place, with what it had cost."""
    one = Cache(place, LAYERS)
    one.put("tools", "k", {"n": [1, 2.5, None, "é\u2028"]})
    one.put("tools", "k", {"n": 2}, Cost(1.5, 30), tag="roi", data="d1")
    other = Cache(place, LAYERS, limits=ON_DISK_ONLY)
    assert other.get("tools", "k") == {"n": 2}
    assert other.get("analyses", "k") is None
    assert (other.saved_s, other.saved_tokens) == (1.5, 30)
    assert (dict(other.hits), dict(other.misses)) == ({"tools": 1}, {"analyses": 1})
    one.close()
    other.close()
    assert open_store(place).stats().layers[0].n == 1


def test_namespaces_share_no_answers(place: Path | str) -> None:
    """Who must not see another's answers does not, at one place and with one key."""
    one, other = Cache(place, LAYERS, namespace="one"), Cache(place, LAYERS, namespace="other")
    one.put("tools", "k", 1)
    assert other.get("tools", "k") is None
    other.put("tools", "k", 2)
    assert Cache(place, LAYERS, namespace="one", limits=ON_DISK_ONLY).get("tools", "k") == 1


def test_the_least_recently_used_entries_go_first(place: Path | str) -> None:
    """Beyond the limit entries go until a tenth of it is free; one that was used since is not among them."""
    limits = Limits(max_bytes=10 * (OVERHEAD_BYTES + 100), memory_bytes=0)
    cache = Cache(place, LAYERS, limits=limits)
    for number in range(10):
        cache.put("tools", f"k{number}", "x" * 98)
    assert cache.get("tools", "k0") is not None
    cache.put("tools", "k10", "x" * 98)
    assert cache.troubles == {"evicted": 2}
    kept = {number for number in range(11) if cache.get("tools", f"k{number}") is not None}
    assert kept == {0, *range(3, 11)}
    cache.close()
    stats = open_store(place).stats()
    assert (stats.evicted, stats.evicted_bytes) == (2, 2 * (OVERHEAD_BYTES + 100))
    assert stats.layers[0].bytes == 9 * (OVERHEAD_BYTES + 100)


def test_an_entry_larger_than_the_limit_drives_no_other_out(place: Path | str) -> None:
    """It is not written, and the rest stays."""
    cache = Cache(place, LAYERS, limits=Limits(max_bytes=2000))
    cache.put("tools", "small", "x")
    cache.put("tools", "large", "x" * 3000)
    assert cache.troubles == {"unwritten": 1}
    assert cache.get("tools", "large") == "x" * 3000
    later = Cache(place, LAYERS)
    assert (later.get("tools", "small"), later.get("tools", "large")) == ("x", None)


def test_an_entry_replaced_many_times_counts_once(place: Path | str) -> None:
    """The size that is kept to is that of what is there, not of all that was ever written."""
    cache = Cache(place, LAYERS, limits=Limits(max_bytes=5000))
    for number in range(50):
        cache.put("tools", "k", "x" * (100 + number))
    assert cache.troubles == {}
    assert open_store(place).stats().layers[0].bytes == OVERHEAD_BYTES + 151


def test_entries_expire_by_the_clock(place: Path | str) -> None:
    """A layer's entries are served until they are older than its limit; those of other layers for ever."""
    clock = HandClock()
    cache = Cache(place, LAYERS, clock=clock, limits=Limits(ttl_s={"completions": 60}))
    for layer in ("tools", "completions"):
        cache.put(layer, "k", 1)
    clock.pass_time(60)
    assert cache.get("completions", "k") == 1
    clock.pass_time(0.001)
    assert cache.get("completions", "k") is None
    assert cache.get("tools", "k") == 1
    assert cache.troubles == {"expired": 1}
    assert [entry.layer for entry in open_store(place).entries()] == ["tools"]
    cache.put("completions", "k", 2)
    assert cache.get("completions", "k") == 2


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        (Selection(layer="tools"), "c"),
        (Selection(tag="roi"), "bc"),
        (Selection(data="d1"), "b"),
        (Selection(tag="roi", data="d2"), "abc"),
        (Selection(before_us=1_772_323_200_000_000 + DAY_S * 1_000_000), "bc"),
        (Selection(), ""),
    ],
)
def test_entries_go_by_layer_tool_data_or_age(place: Path | str, selection: Selection, left: str) -> None:
    """What is asked to go goes, no more; a process that has it in memory forgets it."""
    clock = HandClock()
    cache = Cache(place, LAYERS, clock=clock)
    cache.put("tools", "a", "A", tag="roi", data="d1")
    clock.pass_time(DAY_S)
    cache.put("tools", "b", "B", tag="growth", data="d2")
    cache.put("completions", "c", "C", data="d1")
    store = open_store(place)
    expected = Removed(3 - len(left), (3 - len(left)) * (OVERHEAD_BYTES + 2))
    assert store.selected(selection) == expected
    assert store.remove(selection) == expected
    clock.pass_time(1)
    found = {"a": cache.get("tools", "a"), "b": cache.get("tools", "b"), "c": cache.get("completions", "c")}
    assert {key for key, value in found.items() if value is not None} == set(left)
    cache.put("tools", "a", "A")
    assert cache.get("tools", "a") == "A"


def test_a_store_shrinks_to_a_size_and_says_first_what_would_go(place: Path | str) -> None:
    """A dry run tells exactly what the run then does."""
    cache = Cache(place, LAYERS)
    for number in range(10):
        cache.put("tools", f"k{number}", "x" * 98)
    store = open_store(place)
    size = OVERHEAD_BYTES + 100
    assert store.shrink_to(4 * size, dry_run=True) == Removed(6, 6 * size)
    assert store.stats().layers[0].n == 10
    assert store.shrink_to(4 * size) == Removed(6, 6 * size)
    assert [entry.key for entry in store.entries()] == ["k6", "k7", "k8", "k9"]
    assert store.shrink_to(4 * size) == Removed(0, 0)
    store.shrink()


def test_stats_tell_what_there_is_and_what_it_saves(place: Path | str) -> None:
    """By layer: entries, bytes, hits, seconds and tokens that a hit on each would save, oldest and newest."""
    clock = HandClock()
    cache = Cache(place, LAYERS, clock=clock)
    cache.put("tools", "a", 1, Cost(1.5))
    clock.pass_time(5)
    cache.put("tools", "b", 1, Cost(2.0, 7))
    for _ in range(3):
        cache.get("tools", "b")
    cache.close()
    (layer,) = open_store(place).stats().layers
    assert (layer.layer, layer.n, layer.hits, layer.seconds, layer.tokens) == ("tools", 2, 3, 3.5, 7)
    assert layer.oldest_us is not None
    assert layer.newest_us == layer.oldest_us + 5_000_000


def test_clear_leaves_an_empty_store_that_serves_on(place: Path | str) -> None:
    """A process that has the store open goes on with it."""
    cache = Cache(place, LAYERS, limits=ON_DISK_ONLY)
    cache.put("tools", "k", 1)
    assert open_store(place).clear().n == 1
    assert cache.get("tools", "k") is None
    cache.put("tools", "k", 2)
    assert cache.get("tools", "k") == 2
    assert cache.troubles == {}


class TestAddresses:
    """What is said about an address that cannot be used, and what is never said."""

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("no address", "cannot be read"),
            ("mysql://me:geheim@host/db", "cannot be kept in 'mysql'"),
            ("postgresql+nodriver://me:geheim@host/db", "driver .* is missing"),
            ("postgresql+psycopg://me:geheim@/db?host=/nowhere&connect_timeout=1", "cache postgresql"),
            ("postgresql+psycopg://me@/db?host=/nowhere&password=geheim", "cache postgresql"),
            ("postgresql+psycopg://me@/db?host=/nowhere&passwrd=geheim", "cache postgresql"),
            ("sqlite:////nowhere/at/all.sqlite", "unable to open"),
        ],
    )
    def test_a_bad_address_is_an_error_without_its_password(self, url: str, said: str) -> None:
        """One line that says what is wrong, with nothing of the password in it or in what led to it."""
        pytest.importorskip("sqlalchemy", reason="no SQLAlchemy here")
        pytest.importorskip("psycopg", reason="no driver for PostgreSQL here")
        with pytest.raises(StoreError, match=said) as raised:
            Cache(url, LAYERS)
        assert "geheim" not in str(raised.value)
        assert "geheim" not in "".join(traceback.format_exception(raised.value)).replace(url, "")

    def test_without_sqlalchemy_it_says_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only who uses an address needs the extra."""
        monkeypatch.setitem(sys.modules, "sqlalchemy", None)
        with pytest.raises(StoreError, match=r"swarmlab\[sql\]"):
            Cache("sqlite://", LAYERS)
