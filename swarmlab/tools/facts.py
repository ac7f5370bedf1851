"""Typed facts: what a tool found, with an id to cite, a unit, and the rows it rests on.

A value is rounded when the fact is made, by the rule of its unit, so that two ways of computing
it give the same fact. `FactSheet` collects the facts of one tool and keeps their ids unique.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

NOT_AVAILABLE: Final = "not available"
"""Value of a fact that the data cannot support (unit "none"), e.g. growth with under two full months."""

DECIMALS: Final[dict[str, int]] = {
    "%": 1,
    "% change": 1,
    "% per month": 2,
    "points": 1,
    "$ exact": 2,
    "$/unit": 2,
    "ratio": 2,
    "index": 2,
    "hhi": 0,
    "count": 0,
    "per row": 2,
}
"""Decimals kept by unit. Amounts ("$") follow `rounded`; words, names and dates are not rounded."""

WORD_UNITS: Final = frozenset({"name", "label", "date", "month", "weekday", "sentence", "none"})
"""Units whose values are text."""

LARGE_AMOUNT: Final = 1000
"""From here on an amount of money is kept in whole currency units, below it in cents."""

_GUARD_DECIMALS = 5
"""Extra decimals of the first rounding, which levels the last-bit noise of two orders of arithmetic."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One finding. `id` is `tool.metric` or `tool.metric[dimension=entity]`."""

    id: str
    tool: str
    label: str
    """A phrase that reads well before a colon, e.g. "revenue share of brand National"."""
    value: float | int | str
    unit: str
    rows: int
    """How many rows of data the value rests on."""
    headline: bool = False
    """One of the few facts that a reader must see from this tool."""

    def __hash__(self) -> int:
        """By id alone, which tells facts apart: tuples of hundreds are what memos are asked for."""
        return hash(self.id)

    @property
    def text(self) -> str:
        """The value printed for people, with its unit; every digit of it is a digit of the value."""
        if isinstance(self.value, str):
            return self.value
        return _TEXT.get(self.unit, _plain)(self.value)

    def as_dict(self) -> dict[str, float | int | str]:
        """The fields by name, ready for JSON; a run has hundreds of facts, and `asdict` is far slower."""
        return {name: getattr(self, name) for name in self.__slots__}


class Facts(tuple[Fact, ...]):
    """Facts in order, whose hash is worked out once: memos are asked for hundreds of them again and again."""

    _hash: int | None = None

    def __hash__(self) -> int:
        """As of any tuple."""
        if self._hash is None:
            self._hash = super().__hash__()
        return self._hash

    def __reduce__(self) -> tuple[type[Facts], tuple[tuple[Fact, ...]]]:
        """Without the hash, which another process would work out otherwise."""
        return Facts, (tuple(self),)

    def shared(self) -> Facts:
        """The first of the equal ones, which a memo finds without comparing hundreds of facts."""
        return _first(self)


@lru_cache(maxsize=256)
def _first(facts: Facts) -> Facts:
    return facts


class FactSheet:
    """The facts of one tool call, in the order they were added; a repeated id is an error."""

    def __init__(self, tool: str, rows: int) -> None:
        self.tool = tool
        self.rows = rows
        self._facts: dict[str, Fact] = {}

    def add(
        self,
        metric: str,
        label: str,
        value: float | int | str | None,
        unit: str,
        *,
        rows: float | None = None,
        headline: bool = False,
    ) -> Fact:
        """Round `value` by its unit and keep the fact. None, NaN and infinity become "not available".

        `metric` may carry its entity (see `of`); `rows` defaults to all rows in scope.
        """
        fact_id = f"{self.tool}.{metric}"
        if fact_id in self._facts:
            raise ValueError(f"fact {fact_id} was added twice")
        kept = rounded(value, unit)
        unit = "none" if kept == NOT_AVAILABLE else unit.removesuffix(" exact")
        n_rows = self.rows if rows is None else int(rows)
        fact = Fact(fact_id, self.tool, label, kept, unit, n_rows, headline)
        self._facts[fact_id] = fact
        return fact

    def facts(self) -> Facts:
        """All facts added so far, oldest first."""
        return Facts(self._facts.values()).shared()


def of(metric: str, dimension: str, entity: str) -> str:
    """Name a metric of one entity: `of("revenue_share", "brand", "Fizz")` → `revenue_share[brand=Fizz]`."""
    return f"{metric}[{dimension}={entity}]"


def spelled(n: int) -> str:
    """Write a small number as a word, for a label that is to hold no figures but facts."""
    return _NUMBER_WORDS[n] if n < len(_NUMBER_WORDS) else str(n)


def rounded(value: float | int | str | None, unit: str) -> float | int | str:
    """Round by the rule of the unit; None, NaN and infinity become `NOT_AVAILABLE`.

    Amounts ("$") of 1,000 and more are kept in whole currency units, smaller ones in cents; "$ exact" keeps
    the cents of any amount. Rounding goes through a few guard decimals first: two sums that differ only in
    their last bits then agree even where the value lies on a tie.
    """
    if value is None:
        return NOT_AVAILABLE
    if isinstance(value, str):
        return value
    number = float(value)
    if not math.isfinite(number):
        return NOT_AVAILABLE
    decimals = DECIMALS.get(unit)
    if decimals is None:
        decimals = 0 if abs(number) >= LARGE_AMOUNT else 2
    number = round(round(number, decimals + _GUARD_DECIMALS), decimals)
    if decimals == 0 or (unit in ("$", "$ exact") and number.is_integer()):
        return int(number)
    return number + 0.0  # turns -0.0 into 0.0


_NUMBER_WORDS: Final = (
    *("no", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)


def _money(value: float) -> str:
    sign = "-" if value < 0 else ""
    return f"{sign}${abs(value):,}" if isinstance(value, int) else f"{sign}${abs(value):,.2f}"


def _plain(value: float) -> str:
    return f"{value:,}"


_TEXT: Final[dict[str, Callable[[float], str]]] = {
    "$": _money,
    "$/unit": lambda value: _money(float(value)),
    "%": lambda value: f"{value:.1f} %",
    "% change": lambda value: f"{value:+.1f} %",
    "% per month": lambda value: f"{value:+.2f} % per month",
    "points": lambda value: f"{value:+.1f} points",
    "ratio": lambda value: f"{value:.2f}",
    "index": lambda value: f"{value:.2f}",
    "per row": lambda value: f"{value:.2f}",
}
