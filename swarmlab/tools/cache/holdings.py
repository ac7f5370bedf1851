"""What can be told of a store's entries, and asked for when some are to go."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """Entries that have all of what is given; with nothing given, all entries."""

    layer: str | None = None
    tag: str | None = None
    data: str | None = None
    before_us: int | None = None
    """Made before that, in microseconds since 1970; never one of simulated time."""


@dataclass(frozen=True)
class Removed:
    """How many entries went, or would go, and their bytes."""

    n: int
    bytes: int


@dataclass(frozen=True)
class LayerStats:
    """What a layer holds; the dates are those of its entries that were not simulated, if any."""

    layer: str
    n: int
    bytes: int
    hits: int
    seconds: float
    tokens: int
    oldest_us: int | None
    newest_us: int | None


@dataclass(frozen=True)
class Stats:
    """What a store holds, and what has become of other entries since it was made."""

    layers: tuple[LayerStats, ...]
    evicted: int
    evicted_bytes: int
    quarantined: int
    unwritten: int


@dataclass(frozen=True)
class Listed:
    """An entry without its value."""

    layer: str
    key: str
    tag: str
    data: str
    is_virtual: int
    created_us: int
    seconds: float
    tokens: int
    hits: int
    bytes: int
