"""A full disk: the run goes on, what was stored stays, and what could not be stored is counted."""

import resource
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cache_worlds import LAYERS, in_a_fork, look, small_disk, value_of

from swarmlab.errors import StoreError
from swarmlab.tools.cache import Cache, Cost, open_store

EARLIER = [f"earlier-{number}" for number in range(5)]
COST = Cost(1.25, 7)


def _fill(folder: Path) -> None:
    cache = Cache(folder, LAYERS)
    for key in EARLIER:
        cache.put("tools", key, value_of(key))
    cache.close()


def _put_until_full(folder: Path, make_room: Callable[[], None]) -> dict[str, Any]:
    """Put 200 entries of 5 kB where there is room for fewer, make room, and put one more."""
    cache = Cache(folder, LAYERS)
    keys = [f"k{number}" for number in range(200)]
    for key in keys:
        cache.put("tools", key, {"key": key, "text": "x" * 5_000})
    fetched = cache.fetch_sync("tools", "fetched", lambda: (1, COST))
    troubles = dict(cache.troubles)
    in_memory = [cache.get("tools", key) == {"key": key, "text": "x" * 5_000} for key in keys]
    make_room()
    cache.put("tools", "afterwards", 1)
    cache.close()
    return {
        "troubles": troubles,
        "fetched": (fetched.value, fetched.is_hit),
        "in_memory": in_memory,
        "later": cache.troubles["unwritten"] - troubles["unwritten"],
    }


def _check_full(folder: Path, told: dict[str, Any]) -> None:
    """Nothing is lost but what could not be written, and that is counted."""
    unwritten = told["troubles"]["unwritten"]
    assert told["troubles"] == {"unwritten": unwritten}
    assert 0 < unwritten < 200
    assert told["fetched"] == (1, False)
    assert all(told["in_memory"])
    assert told["later"] == 0
    assert look(folder, EARLIER) == (0, 0)
    cache = Cache(folder, LAYERS)
    assert cache.get("tools", "afterwards") == 1
    found = [cache.get("tools", f"k{number}") for number in range(200)]
    # The answer that was fetched is one of those that could not be written.
    assert sum(value is None for value in found) == unwritten - 1
    assert all(v in (None, {"key": f"k{n}", "text": "x" * 5_000}) for n, v in enumerate(found))
    cache.close()
    assert open_store(folder).stats().unwritten == unwritten
    assert not list(folder.glob("*quarantined*"))


def test_a_file_that_may_not_grow_costs_no_run(tmp_path: Path) -> None:
    """Beyond the process's limit of a file's size answers are kept in memory, and written afterwards."""
    _fill(tmp_path)

    def work() -> dict[str, Any]:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        return _put_until_full(tmp_path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)))

    _check_full(tmp_path, in_a_fork(work))


def test_a_full_disk_costs_no_run(tmp_path: Path) -> None:
    """On a disk of 1 MB with half of it taken; when that goes, it is written to again."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        folder, filler = disk / "cache", disk / "filler"
        _fill(folder)
        filler.write_bytes(bytes(500_000))
        _check_full(folder, _put_until_full(folder, filler.unlink))


def test_a_put_cut_short_at_any_size_leaves_the_store_whole(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Under any limit of a file's size, in steps of 1 kB: the entry is whole or absent, the others there."""
    _fill(tmp_path / "full")
    outcomes: Counter[str] = Counter()
    for limit in range(0, 80_000, 2_048):
        folder = tmp_path / f"{limit}"
        shutil.copytree(tmp_path / "full", folder)

        def work(folder: Path = folder, limit: int = limit) -> str:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            try:
                cache = Cache(folder, LAYERS)
            except StoreError as error:
                return f"not opened: {str(error).removeprefix(f'cache {folder} ')}"
            cache.put("tools", "large", "x" * 20_000)
            assert cache.get("tools", "large") == "x" * 20_000
            cache.close()
            return "unwritten" if cache.troubles["unwritten"] else "written"

        outcome = in_a_fork(work)
        outcomes[outcome] += 1
        assert look(folder, EARLIER) == (0, 0), limit
        cache = Cache(folder, LAYERS)
        assert cache.get("tools", "large") == ("x" * 20_000 if outcome == "written" else None), limit
        cache.close()
    record_property("outcomes", dict(outcomes))
    assert outcomes["unwritten"] > 2
    assert outcomes["written"] > 5
    assert all(outcome.endswith(("written", "cannot be opened: disk I/O error")) for outcome in outcomes), (
        outcomes
    )
