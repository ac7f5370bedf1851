"""`swarmlab cache`: find the caches of a results folder, tell what they hold, and let entries go."""

import os
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from swarmlab.errors import SpecError, StoreError
from swarmlab.tools.cache import Listed, Removed, Selection, Stats, Store, open_store, shown_address
from swarmlab.tools.cache.files import value_bytes
from swarmlab.trace.clock import WallClock

FILE = "cache.sqlite"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


@dataclass(frozen=True)
class CacheState:
    """What one cache holds, or why it could not be looked at; it was left as it is then."""

    place: str
    stats: Stats | None
    problem: str | None
    file_bytes: int | None
    """Of its file; None for one at a database's address."""
    set_aside: tuple[str, ...]
    """Damaged files that runs have set aside and begun anew."""

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON, dates in ISO 8601."""
        told = asdict(self)
        for layer in () if told["stats"] is None else told["stats"]["layers"]:
            for name in ("oldest", "newest"):
                layer[name] = _iso(layer.pop(f"{name}_us"))
        return told


@dataclass(frozen=True)
class CacheEntries:
    """The entries of one cache, or why they could not be listed."""

    place: str
    entries: tuple[Listed, ...]
    problem: str | None

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON, dates in ISO 8601; `created` is None for a simulated date."""
        told = asdict(self)
        for entry in told["entries"]:
            is_virtual = entry["is_virtual"] = bool(entry["is_virtual"])
            created_us = entry.pop("created_us")
            entry["created"] = None if is_virtual else _iso(created_us)
        return told


@dataclass(frozen=True)
class CacheRemoval:
    """What went from one cache, or would go, or why nothing did."""

    place: str
    removed: Removed
    problem: str | None


@dataclass(frozen=True)
class Pruning:
    """What is to go: the entries that are selected or, with a size, those used least beyond it."""

    selection: Selection
    max_bytes: int | None
    """That much stays of each cache."""


def pruning(
    *,
    older_than: str | None = None,
    tool: str | None = None,
    data: str | None = None,
    layer: str | None = None,
    max_bytes: str | None = None,
) -> Pruning:
    """Say what is to go: entries that have all of what is given, or those used least beyond a size.

    Parameters
    ----------
    older_than
        An age, such as `7d`, `36h` or `90m`. Simulated entries have none, and stay.
    tool, data, layer
        What made them, the fingerprint of their data, and where they are.
    max_bytes
        A size, such as `500MB` or `1.5GiB`, that stays of each cache; not with the others.

    Raises
    ------
    SpecError
        Nothing is given, or a size and more; or an age or a size is none.
    """
    selection = Selection(layer, tool, data, None if older_than is None else _before(older_than))
    is_selected = selection != Selection()
    if not is_selected and max_bytes is None:
        raise SpecError(
            "say what is to go: --older-than, --tool, --data, --layer or --max-bytes (clear removes all)"
        )
    if is_selected and max_bytes is not None:
        raise SpecError("--max-bytes chooses by use alone: give it without the other options")
    return Pruning(selection, None if max_bytes is None else _size(max_bytes))


Told = TypeVar("Told", CacheState, CacheEntries, CacheRemoval)


def find_caches(place: str) -> list[Path | str]:
    """The caches at a place: a cache's folder, all below a results or experiment's folder, or an address.

    Raises
    ------
    StoreError
        There is no such place, or no cache there.
    """
    if "://" in place:
        return [place]
    folder = Path(place)
    if not place or not folder.is_dir():
        raise StoreError(f"no caches at {place or 'an empty name'}: there is no such folder")
    if (folder / FILE).is_file():
        return [folder]
    # Runs make and remove folders meanwhile; os.walk passes over what is gone, and rglob breaks on it.
    holding = (Path(path) for path, _, files in os.walk(folder) if FILE in files)
    found: list[Path | str] = sorted(path for path in holding if ".cache" in path.absolute().parts)
    if not found:
        raise StoreError(f"no caches at {place}: no level that caches has run there yet")
    return found


def cache_states(place: str) -> list[CacheState]:
    """What the caches at a place hold; raises StoreError when there is none, or the named is of no use."""
    return _unless_named(place, [_state(cache) for cache in find_caches(place)])


def cache_entries(place: str, layer: str | None = None) -> list[CacheEntries]:
    """The entries of the caches at a place, or of one layer; raises StoreError as `cache_states`."""
    told = []
    for cache in find_caches(place):
        entries: tuple[Listed, ...] = ()
        problem = None
        try:
            with closing(_looked_at(cache)) as store:
                entries = tuple(e for e in store.entries() if layer is None or e.layer == layer)
        except StoreError as error:
            problem = str(error)
        told.append(CacheEntries(_name(cache), entries, problem))
    return _unless_named(place, told)


def prune_caches(place: str, what: Pruning, *, dry_run: bool = False) -> list[CacheRemoval]:
    """Remove entries from each of the caches at a place, or say what would go.

    Processes that use them go on, and forget what they have in memory of them.

    Raises
    ------
    StoreError
        There is no cache, or the one that was named is of no use.
    """

    def prune(store: Store) -> Removed:
        if what.max_bytes is not None:
            removed = store.shrink_to(what.max_bytes, dry_run=dry_run)
        else:
            removed = store.selected(what.selection) if dry_run else store.remove(what.selection)
        if not dry_run:
            store.shrink()
        return removed

    return _unless_named(place, [_removed_from(cache, prune) for cache in find_caches(place)])


def clear_caches(place: str) -> list[CacheRemoval]:
    """Remove all entries of the caches at a place, and the damaged files that were set aside.

    Processes that use them go on.

    Raises
    ------
    StoreError
        There is no cache, or the one that was named is of no use.
    """

    def clear(store: Store) -> Removed:
        removed = store.clear()
        store.shrink()
        return removed

    done = []
    for cache in find_caches(place):
        removal = _removed_from(cache, clear)
        if removal.problem is None:
            for path in _set_aside(cache):
                path.unlink(missing_ok=True)
        done.append(removal)
    return _unless_named(place, done)


def _before(age: str) -> int:
    """What is older than an age was made before this, in microseconds since 1970."""
    seconds = _amount(age, _SECONDS, "an age, such as 7d, 36h or 90m")
    try:
        return (WallClock().utc_now() - timedelta(seconds=seconds) - _EPOCH) // timedelta(microseconds=1)
    except OverflowError:
        raise SpecError(f"{age!r} reaches back before any date") from None


def _size(size: str) -> int:
    number = size.strip().lower().removesuffix("b")
    return int(_amount(number, _BYTES, "a size, such as 500MB or 1.5GiB"))


def _amount(text: str, units: dict[str, int], what: str) -> float:
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in units:
        raise SpecError(f"{text!r} is not {what}")
    return float(found[1]) * units[found[2]]


def _unless_named(place: str, told: list[Told]) -> list[Told]:
    """A cache that is of no use is one line among those of a results folder, and an error by its own name."""
    if told[0].problem is not None and ("://" in place or (Path(place) / FILE).is_file()):
        raise StoreError(told[0].problem)
    return told


def _state(cache: Path | str) -> CacheState:
    file_bytes, stats, problem = None, None, None
    if isinstance(cache, Path):
        file_bytes = (cache / FILE).stat().st_size + value_bytes(cache)
    try:
        with closing(_looked_at(cache)) as store:
            stats = store.stats()
    except StoreError as error:
        problem = str(error)
    return CacheState(_name(cache), stats, problem, file_bytes, tuple(p.name for p in _set_aside(cache)))


def _removed_from(cache: Path | str, remove: Callable[[Store], Removed]) -> CacheRemoval:
    try:
        with closing(_looked_at(cache)) as store:
            return CacheRemoval(_name(cache), remove(store), None)
    except StoreError as error:
        return CacheRemoval(_name(cache), Removed(0, 0), str(error))


def _looked_at(cache: Path | str) -> Store:
    """A store as it is: nothing is made where there is none, and a damaged or foreign file is left alone."""
    return open_store(cache, repairs=False)


def _set_aside(cache: Path | str) -> Sequence[Path]:
    return sorted(cache.glob(f"{FILE}.quarantined-*")) if isinstance(cache, Path) else ()


def _name(cache: Path | str) -> str:
    return str(cache) if isinstance(cache, Path) else shown_address(cache)


def _iso(created_us: int | None) -> str | None:
    return None if created_us is None else (_EPOCH + timedelta(microseconds=created_us)).isoformat()
