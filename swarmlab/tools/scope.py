"""What an analysis is about: focus brands, the categories and regions it is limited to, and its settings."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from swarmlab.errors import SpecError

REGION_DIMENSIONS: Final = ("region", "country", "store_id")
"""Where "region" is looked for, best first."""

GROWTH_TILT: Final = {"awareness": 1.0, "conversion": 1.0, "launch": 2.0, "retention": 0.0}
"""How strongly a campaign type follows growth when money is split; a retention campaign does not."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Categories and regions restrict the rows; brands are in focus, shares stay those of the market."""

    brands: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    forecast_periods: int = 3
    """Calendar months ahead."""
    budget: float = 100_000.0
    """Currency units to be spent."""
    campaign_type: str = "awareness"
    goals: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("brands", "categories", "regions", "goals"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not 1 <= self.forecast_periods <= 24:
            raise SpecError(f"forecast_periods is {self.forecast_periods}; give 1 to 24 months")
        if not 0 < self.budget < float("inf"):
            raise SpecError(f"budget is {self.budget}; give an amount above zero")


EVERYTHING: Final = Scope()
"""The whole data with default settings."""


def region_dimension(columns: Collection[str]) -> str | None:
    """Column that stands for "region" in data with these columns; None where there is none of them."""
    return next((name for name in REGION_DIMENSIONS if name in columns), None)


def growth_tilt(campaign_type: str) -> float:
    """Tilt of a campaign type; 1 for a type without one of its own."""
    return GROWTH_TILT.get(campaign_type, 1.0)


def check_scope(scope: Scope, known: Mapping[str, Sequence[str]]) -> None:
    """Check that each brand, category and region of `scope` is in the data.

    Parameters
    ----------
    scope
        As the brief gives it.
    known
        Names under "brands", "categories" and "regions", as `entities(dataset, Scope())` returns them.

    Raises
    ------
    SpecError
        Names the unknown value and the nearest known one.
    """
    for kind in ("brands", "categories", "regions"):
        names = known.get(kind, ())
        for value in getattr(scope, kind):
            if value not in names:
                raise SpecError(_unknown(kind, value, names))


def _unknown(kind: str, value: str, names: Sequence[str]) -> str:
    if not names:
        return f"{kind} has {value!r}, but the data has no {kind}"
    folded = {name.casefold(): name for name in reversed(names)}
    near = difflib.get_close_matches(str(value).casefold(), list(folded), n=1, cutoff=0.4)
    hint = f"did you mean {folded[near[0]]!r}?" if near else f"known are {', '.join(names[:5])}"
    return f"{kind} has {value!r}, which is not in the data; {hint}"
