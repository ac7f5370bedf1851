"""Sales on disk, of any size: grouped in one pass, and the groups added up as a frame's rows would be."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from swarmlab.tools.axis import Axis, Codes
from swarmlab.tools.period import Period
from swarmlab.tools.rows import Domain, Floats, GroupedRows, domain_of
from swarmlab.tools.scope import REGION_DIMENSIONS, region_dimension

Limits = Mapping[str, tuple[str, ...]]
Keys = tuple[str, ...]

TEXT_KEYS: Final = ("brand", "category", *REGION_DIMENSIONS)

_NEEDED_FOR: Final[dict[str, Keys]] = {
    "pair": ("brand", "category"),
    "month": ("month",),
    "any_month": ("month",),
    "weekday": ("day",),
    "day": ("day",),
}
"""Keys to group by for a dimension that is not a column."""


class SalesOnDisk(ABC):
    """Sales that are never held in memory; tools that ask for sums only take it in place of a frame."""

    columns: tuple[str, ...]
    """Canonical and extension columns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[tuple[str, Keys], ...], DiskRows] = {}

    def within(self, limits: Limits) -> DiskRows:
        """Return the rows that have one of the names given for each limited column."""
        key = tuple(sorted(limits.items()))
        with self._lock:
            if key not in self._known:
                self._known[key] = DiskRows(self, limits)
            return self._known[key]

    @abstractmethod
    def grouped(self, sets: Sequence[Keys], limits: Limits, *, with_sums: bool = True) -> list[pd.DataFrame]:
        """Return the groups of each set of keys ("day", "month" or columns of text), all from one pass.

        Each frame has the set's text columns, `day` where it is a key, `sale_date` (a day of the group),
        `rows` and by measure the sum in ticks.
        """


class DiskRows:
    """The rows of sales on disk within limits, as the groups that sums are folded from."""

    def __init__(self, sales: SalesOnDisk, limits: Limits) -> None:
        self._sales = sales
        self._limits = limits
        self._lock = threading.Lock()
        sets = base_sets(sales.columns)
        frames = sales.grouped(sets, limits)
        self._domain = _domain(frames if not limits else self._whole())
        self._groups = {keys: self._as_rows(frame) for keys, frame in zip(sets, frames, strict=True)}
        self._any = self._groups[sets[0]]

    @property
    def rows(self) -> int:
        """How many are in scope."""
        return self._any.rows

    @property
    def period(self) -> Period:
        """Days and full months of the whole sales."""
        return self._domain.period

    @property
    def pairs(self) -> tuple[Codes, Codes]:
        """Brand code and category code of each combination that occurs in scope."""
        return self._covering(("pair",)).pairs

    def axis(self, dimension: str) -> Axis:
        """Names of a dimension; its codes are not those of rows."""
        return self._covering((dimension,)).axis(dimension)

    def count(self, measure: str, dimensions: Keys) -> Floats:
        """Sum a measure by dimensions; "month" has a last cell for rows outside full months."""
        return self._covering(dimensions).count(measure, dimensions)

    def _covering(self, dimensions: Keys) -> GroupedRows:
        """Return groups that tell these dimensions apart; made by another scan where no set does."""
        needed = {key for name in dimensions for key in _NEEDED_FOR.get(name, (name,))}
        with self._lock:
            for keys, groups in self._groups.items():
                if needed <= ({*keys, "month"} if "day" in keys else set(keys)):
                    return groups
            keys = tuple(sorted(needed))
            (frame,) = self._sales.grouped([keys], self._limits)
            self._groups[keys] = self._as_rows(frame)
            return self._groups[keys]

    def _whole(self) -> list[pd.DataFrame]:
        names = [(name,) for name in (*TEXT_KEYS, "day") if name in (*self._sales.columns, "day")]
        return self._sales.grouped(names, {}, with_sums=False)

    def _as_rows(self, frame: pd.DataFrame) -> GroupedRows:
        coded = {
            name: pd.Categorical(frame[name], categories=list(self._domain.names[name]))
            for name in frame.columns
            if name in self._domain.names
        }
        return GroupedRows(frame.assign(**coded), self._domain)


def base_sets(columns: Sequence[str]) -> list[Keys]:
    """Return the sets of keys from which nearly all sums of the tools can be folded."""
    place = region_dimension(columns)
    others = tuple(name for name in REGION_DIMENSIONS[1:] if name in columns and name != place)
    sets: list[Keys] = [("brand", "category", "month"), ("day",)]
    if place:
        sets.append((place, "month"))
    if others:
        sets.append(tuple(sorted({*others, *({"country"} & set(columns))})))
    return sets


def _domain(frames: Sequence[pd.DataFrame]) -> Domain:
    names: dict[str, tuple[str, ...]] = {}
    for frame in frames:
        for name in TEXT_KEYS:
            if name in frame:
                names[name] = tuple(sorted(set(map(str, frame[name]))))
    days = next(frame["sale_date"] for frame in frames if "day" in frame)
    return domain_of(names, days.to_numpy().astype("datetime64[D]").astype(np.intp))
