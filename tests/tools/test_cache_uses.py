"""Hits are noted by many threads and written down together, each once."""

import threading
from collections import Counter
from pathlib import Path

from cache_worlds import LAYERS

from swarmlab.tools.cache import Cache, open_store
from swarmlab.tools.cache import store as stores
from swarmlab.tools.cache.uses import Uses


def test_no_hit_is_lost_or_counted_twice_among_threads() -> None:
    """Eight threads note while a ninth takes: what was taken adds up to what was noted."""
    uses, taken, is_done = Uses(), Counter(), threading.Event()

    def note(thread: int) -> None:
        for number in range(5_000):
            uses.note(("tools", f"{(thread + number) % 7}"))

    def take() -> None:
        while not is_done.is_set():
            taken.update(uses.taken())

    threads = [threading.Thread(target=note, args=(number,)) for number in range(8)]
    taker = threading.Thread(target=take)
    for thread in (*threads, taker):
        thread.start()
    for thread in threads:
        thread.join(60)
    is_done.set()
    taker.join(60)
    taken.update(uses.taken())
    expected = Counter(("tools", f"{(t + n) % 7}") for t in range(8) for n in range(5_000))
    assert taken == expected


def test_hits_on_few_entries_never_wait_for_a_write(tmp_path: Path) -> None:
    """However many they are, they are written down at the end, all of them."""
    cache = Cache(tmp_path, LAYERS)
    cache.put("tools", "k", 1)
    for _ in range(3_500):
        cache.get("tools", "k")
    other = open_store(tmp_path)
    assert other.stats().layers[0].hits == 0
    cache.close()
    assert other.stats().layers[0].hits == 3_500
    other.close()


def test_hits_on_many_entries_are_written_down_in_between(tmp_path: Path) -> None:
    """Beyond so many entries that were hit, what is noted is not kept for ever."""
    store = open_store(tmp_path)
    for number in range(stores._FLUSH_AT + 1_000):
        store.mark_used(("tools", f"{number}"))
    assert len(store._uses.taken()) < stores._FLUSH_AT
    store.close()
