"""Ratios that say "not a number" where they have no meaning, and choices that do not hang on row order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

NAN: Final = float("nan")

_CHOICE_DECIMALS = 6
"""Values are compared to this many decimals, so that a tie is a tie whatever the order of the arithmetic."""


def ratio(part: float, whole: float) -> float:
    """Weighted ratio, sum over sum; NaN unless `whole` is above zero."""
    return float(part) / float(whole) if whole > 0 else NAN


def pct(part: float, whole: float) -> float:
    """`part` in percent of `whole`; NaN unless `whole` is above zero."""
    return 100.0 * float(part) / float(whole) if whole > 0 else NAN


def change_pct(before: float, after: float) -> float:
    """Change in percent of `before`; NaN unless `before` is above zero."""
    return pct(float(after) - float(before), before)


def hhi(parts: Iterable[float]) -> float:
    """Herfindahl-Hirschman index of the parts of a market: sum of squared percentage shares, 0 to 10,000."""
    values = [float(part) for part in parts]
    whole = sum(values)
    return sum(pct(value, whole) ** 2 for value in values) if whole > 0 else NAN


def highest(values: Mapping[str, float]) -> str | None:
    """Name with the highest value, ties by name; names whose value is NaN do not take part."""
    known = [
        (-round(value, _CHOICE_DECIMALS), name) for name, value in values.items() if not math.isnan(value)
    ]
    return min(known)[1] if known else None


def lowest(values: Mapping[str, float]) -> str | None:
    """Name with the lowest value, ties by name; names whose value is NaN do not take part."""
    return highest({name: -value for name, value in values.items()})
