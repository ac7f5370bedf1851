"""What a cache keeps of one answer, and the seal that shows whether a bit of it has changed since."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import ormsgpack
import xxhash

OVERHEAD_BYTES = 250
"""What an entry takes beside its value: its key, twice, its seal and the rest of its row."""

_LARGE_BYTES = 1 << 16
"""From this length on MessagePack gives it in four bytes."""


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


Name = tuple[str, str]
"""Layer and key."""
About = tuple[str, str, int, int, float, int]
"""What is known of an answer:

- what made it, say a tool's name, and the fingerprint of the data it is about
- 1 when its date is simulated time, which says nothing about its age; else 0
- its date: microseconds since 1970, UTC
- the seconds and tokens that it cost
"""
Entry = tuple[bytes, str, str, int, int, float, int, bytes]
"""An answer, packed, what is known of it, and its seal; as a row is read, so that a hit makes nothing new."""
Row = tuple[Any, ...]
"""The same as it is read, maybe damaged."""
COLUMNS = ("value", "tag", "data", "is_virtual", "created_us", "seconds", "tokens", "seal")
"""Of an entry, in its order."""


def sealed(name: Name, packed: bytes, about: About) -> Entry:
    """An entry of that name."""
    return (packed, *about, _seal(name, about, packed))


def is_whole(name: Name, row: Row) -> TypeGuard[Entry]:
    """Whether everything in a row is what was written under that name."""
    value = row[0]
    try:
        return isinstance(value, bytes) and _seal(name, row[1:7], value) == row[7]
    except TypeError:
        # A damaged text may be none any more.
        return False


def size_of(entry: Entry) -> int:
    """Bytes that it is counted as."""
    return len(entry[0]) + OVERHEAD_BYTES


def _seal(name: Name, about: Row, value: bytes) -> bytes:
    """XXH3, 128 bits, over all of an entry; packed, what looks alike is kept apart, such as 1 and 1.0."""
    layer, key = name
    if len(value) < _LARGE_BYTES:
        return xxhash.xxh3_128_digest(ormsgpack.packb((layer, key, about, value)))
    # Over the same bytes, without a copy of the value: a list of four, the last of them bytes of this length.
    head = ormsgpack.packb((layer, key, about))
    seal = xxhash.xxh3_128(b"\x94" + head[1:] + b"\xc6" + len(value).to_bytes(4, "big"))
    seal.update(value)
    return seal.digest()
