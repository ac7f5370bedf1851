"""Two clocks, never averaged: how a simulated duration says so, and by which profile, wherever it appears."""

from typing import Any

import pandas as pd

__all__ = ["MEASURED", "SIMULATED_ANSWERS", "is_simulated", "profile_name", "timing", "timings", "titled"]

MEASURED = "measured"
SIMULATED_ANSWERS = (
    "Simulated completions are made up by the profile, not written by a model: their decisions, groundedness "
    "and tokens are no evidence of the real model's quality."
)


def timing(clock: Any, model: Any = None, profile: Any = None) -> str:
    """Say how durations came about: "measured", or "simulated: PROFILE".

    Parameters
    ----------
    clock, model, profile
        Fields of a `Record`; a missing value is None or NaN. A clock that is not known counts as a wall's.
    """
    if clock != "virtual":
        return MEASURED
    name = profile_name(model, profile)
    return f"simulated: {name}" if name else "simulated"


def profile_name(model: Any, profile: Any = None) -> str | None:
    """Return the profile's name; where none is recorded it is in the model's, `simulated:PROFILE`."""
    if isinstance(profile, str) and profile:
        return profile
    backend, _, name = str(model).partition(":")
    return name or None if backend == "simulated" else None


def timings(rows: pd.DataFrame) -> list[str]:
    """Return each of the timings among rows with a clock, in order; a row without one is of no timing."""
    known = rows[rows["clock"].notna()]
    names = [name for name in ("clock", "model", "profile") if name in rows]
    found = known[names].drop_duplicates().to_dict("records")
    return list(dict.fromkeys(timing(**{str(name): value for name, value in row.items()}) for row in found))


def is_simulated(rows: pd.DataFrame) -> bool:
    """Say whether any of the rows is of a virtual clock."""
    return bool((rows["clock"] == "virtual").any())


def titled(title: str, rows: pd.DataFrame) -> str:
    """Return a title that says which durations under it are simulated; alone where all are measured."""
    return f"{title} ({'; '.join(timings(rows))})" if is_simulated(rows) else title
