"""What a cache keeps of one answer, and the seal that shows whether a bit of it has changed since."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import ormsgpack
import xxhash

OVERHEAD_BYTES = 250
"""What an entry takes beside its value: its key, twice, its seal and the rest of its row."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What it cost to compute an answer, which every hit saves."""

    seconds: float = 0.0
    tokens: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds >= 0 and self.tokens >= 0):
            raise ValueError(f"a cost is finite and not negative: {self.seconds} s, {self.tokens} tokens")


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, whether it was stored already, and whether another's computation of it was waited for."""

    value: Any
    is_hit: bool
    waited: bool


@dataclass(frozen=True)
class Limits:
    """How much a cache keeps, for how long, and for how long a silent process holds up the others."""

    max_bytes: int | None = 1 << 30
    """Of all entries; beyond it those used least recently go. None for no limit."""
    memory_bytes: int = 64 << 20
    """Of the entries that are kept in memory beside those on disk."""
    ttl_s: Mapping[str, float] = field(default_factory=dict)
    """By layer: entries that are older are computed again. A layer that is not named keeps them for ever."""
    lease_s: float = 30.0
    """A process that computes says so anew every third of it; silent for all of it, it is taken for dead."""


class Entry(NamedTuple):
    """One answer and what is known of it."""

    layer: str
    key: str
    packed: bytes
    """The value."""
    tag: str
    """What made it, say a tool's name."""
    data: str
    """Fingerprint of the data it is about."""
    is_virtual: bool
    """Whether `created_us` is simulated time, which says nothing about the entry's age."""
    created_us: int
    """Microseconds since 1970, UTC."""
    seconds: float
    tokens: int

    @property
    def size(self) -> int:
        """Bytes that it is counted as."""
        return len(self.packed) + OVERHEAD_BYTES


Row = tuple[Any, ...]
"""value, seal, tag, data, is_virtual, created_us, seconds, tokens: as they are read, maybe damaged."""


def to_row(entry: Entry) -> dict[str, Any]:
    """What is written of an entry, sealed, by column."""
    about = (entry.tag, entry.data, int(entry.is_virtual), entry.created_us, entry.seconds, entry.tokens)
    return {
        "layer": entry.layer,
        "key": entry.key,
        "value": entry.packed,
        "seal": _seal(entry.layer, entry.key, about, entry.packed),
        "tag": entry.tag,
        "data": entry.data,
        "is_virtual": int(entry.is_virtual),
        "created_us": entry.created_us,
        "seconds": entry.seconds,
        "tokens": entry.tokens,
    }


def from_row(layer: str, key: str, row: Row) -> Entry | None:
    """The entry of a row; None when anything in it is not what was written."""
    value, seal, *about = row
    try:
        if not isinstance(value, bytes) or _seal(layer, key, tuple(about), value) != seal:
            return None
    except TypeError:
        # A damaged text may be none any more.
        return None
    tag, data, is_virtual, created_us, seconds, tokens = about
    return Entry(layer, key, value, tag, data, bool(is_virtual), created_us, seconds, tokens)


def _seal(layer: str, key: str, about: tuple[Any, ...], value: bytes) -> bytes:
    """XXH3, 128 bits, over all of an entry; packed, what looks alike is kept apart, such as 1 and 1.0."""
    return xxhash.xxh3_128_digest(ormsgpack.packb((layer, key, about, value)))
