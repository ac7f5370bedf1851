"""Searches by simulation: the rate at which a service level is missed, the least limit that keeps it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Meets = Callable[[float], bool]
"""Simulates a rate (analyses per hour) or a limit (a minute) and says whether the service level is met."""

_MOST_DOUBLINGS = 12


@dataclass(frozen=True, slots=True)
class Bracket:
    """Where an answer lies: simulated on both sides. A side that is None was not seen."""

    met: float | None
    """The greatest rate, or the least limit, that met the service level."""
    missed: float | None
    """The nearest one beyond it that missed it."""

    @property
    def is_found(self) -> bool:
        """Both sides were seen."""
        return self.met is not None and self.missed is not None


def find_knee(
    meets: Meets, rates: Sequence[float], tolerance: float, *, beyond: bool = False, floor: float = 0.0
) -> Bracket:
    """Find the rate at which the service level is first missed.

    Parameters
    ----------
    meets
        Simulates one rate.
    rates
        Rates to step through, ascending; all of them are simulated.
    tolerance
        Width of the bracket relative to its lower end at which the bisection ends.
    beyond
        Also go on from the last rate by doubling while it meets, and down from the first by halving while it
        misses. Otherwise there is no answer outside the rates.
    floor
        No rate below it is simulated: analyses would meet no others there.

    Returns
    -------
    Bracket
        `met` is None where no rate met the service level, `missed` where none missed it.
    """
    found = [meets(rate) for rate in rates]
    first_missed = found.index(False) if False in found else len(rates)
    met = rates[first_missed - 1] if first_missed else None
    missed = rates[first_missed] if first_missed < len(rates) else None
    doublings = _MOST_DOUBLINGS if beyond else 0
    while not (met and missed) and doublings:
        doublings -= 1
        rate = met * 2 if met else missed / 2 if missed else math.nan
        if rate < floor:
            break
        met, missed = (rate, missed) if meets(rate) else (met, rate)
    return _bisect(meets, Bracket(met, missed), tolerance)


def least_limit(meets: Meets, guess: float, tolerance: float) -> Bracket:
    """Find the least limit that meets the service level.

    Parameters
    ----------
    meets
        Simulates one limit; a larger one never does worse.
    guess
        Where to begin; the search doubles and halves from there.
    tolerance
        Width of the bracket relative to its lower end at which the bisection ends.

    Returns
    -------
    Bracket
        `met` is None where no limit tried was enough.
    """
    met: float | None = None
    missed: float | None = None
    limit = guess
    for _ in range(_MOST_DOUBLINGS):
        if meets(limit):
            met, limit = limit, limit / 2
        else:
            missed, limit = limit, limit * 2
        if met and missed:
            break
    return _bisect(meets, Bracket(met, missed), tolerance)


def _bisect(meets: Meets, bracket: Bracket, tolerance: float) -> Bracket:
    met, missed = bracket.met, bracket.missed
    while met and missed and abs(missed - met) > tolerance * min(met, missed):
        middle = math.sqrt(met * missed)
        met, missed = (middle, missed) if meets(middle) else (met, middle)
    return Bracket(met, missed)
