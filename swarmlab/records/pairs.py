"""Which runs may be set beside which: alike in all but the level, and paired only within equal work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from swarmlab.records.interval import RatioInterval, ratio_interval

__all__ = [
    "ALIKE",
    "LEVEL_ORDER",
    "AaCheck",
    "aa_check",
    "alike",
    "by_pair",
    "by_work",
    "level_key",
    "no_ratio",
    "paired",
    "succeeded",
    "times_by_work",
    "twin_of",
    "with_identity",
    "with_pair",
    "works_of",
]

ALIKE = ("clock", "model", "profile", "data_name", "data_fingerprint")
"""Only runs equal in these, and in cache state, are compared: one clock, one model, one data set."""
LEVEL_ORDER = ("blackboard", "none", "partial", "full")
"""The presets' order in tables and plots; other levels follow by name."""


@dataclass(frozen=True, slots=True)
class AaCheck:
    """A level against its twin, which has the same switches: a sound instrument sees a ratio of 1.

    `ratio` is how many times faster the level came out than its twin, over `n` pairs; None without a pair.
    `covers_1` is None without an interval.
    """

    level: str
    twin: str
    ratio: float | None
    low: float | None
    high: float | None
    n: int
    covers_1: bool | None

    def __str__(self) -> str:
        """Say it in a few words."""
        if self.low is None:
            return f"A/A with {self.twin}: no interval"
        said = "covers 1" if self.covers_1 else "does not cover 1"
        return f"A/A with {self.twin}: {self.ratio:.2f} [{self.low:.2f}, {self.high:.2f}] {said}"


def no_ratio(*sides: pd.DataFrame) -> str:
    """Say why the sides' durations have no ratio."""
    # A virtual clock does not move where all comes from a cache.
    if any((succeeded(side)["duration_s"] == 0).any() for side in sides):
        return "it took no time, so there is no ratio"
    return "no work in which both succeeded"


def with_pair(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with `_pair`, their block: `pair`, or the repeat where a record names none."""
    return runs.assign(_pair=runs["pair"].fillna(runs["repeat"]))


def with_identity(runs: pd.DataFrame) -> pd.DataFrame:
    """Give runs of a level of which only the level could be read the identity of its others, where it is one.

    So that a run whose record is broken counts among those that failed.
    """
    names = [*ALIKE, "cache_state"]
    lost = runs["clock"].isna()
    known = runs.loc[~lost, names].drop_duplicates()
    if not lost.any() or len(known) != 1:
        return runs
    return runs.assign(**{name: runs[name].where(~lost, known[name].iloc[0]) for name in names})


def alike(runs: pd.DataFrame, first: "pd.Series[Any]", columns: Sequence[str]) -> pd.DataFrame:
    """Return the runs that equal `first` in `columns`, missing values being equal to each other."""
    same = pd.Series(True, index=runs.index)
    for name in columns:
        same &= runs[name].isna() if pd.isna(first[name]) else runs[name] == first[name]
    return runs[same]


def works_of(runs: pd.DataFrame) -> list[str]:
    """Return the works that the runs did or attempted, in order of first appearance."""
    return [str(work) for work in runs["work_id"].dropna().unique()]


def succeeded(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that succeeded."""
    return runs[runs["status"] == "ok"]


def times_by_work(runs: pd.DataFrame, column: str = "duration_s") -> dict[str, list[float]]:
    """Return the values of the runs that succeeded, by work; of a duration only positive ones."""
    known = succeeded(runs)
    known = known[known[column].notna() & known["work_id"].notna()]
    if column == "duration_s":
        known = known[known[column] > 0]
    return {
        str(work): [float(value) for value in group]
        for work, group in known.groupby("work_id", sort=False)[column]
    }


def by_pair(runs: pd.DataFrame, column: str = "duration_s") -> "pd.Series[float]":
    """Return a column of the runs that succeeded by (work_id, pair).

    Parameters
    ----------
    runs
        Runs of one level and cache state, as `with_pair` returns them.
    column
        A column of numbers; of a duration only positive ones count.

    Returns
    -------
    Series
        Several runs in one pair count once, as their median; runs of unknown work are left out, for nothing
        says that their work was the same.
    """
    known = runs[["work_id", "_pair", column]].notna().all(axis=1) & (runs["status"] == "ok")
    if column == "duration_s":
        known &= runs[column] > 0
    return runs[known].groupby(["work_id", "_pair"], sort=False)[column].median().astype("float64")


def by_work(runs: pd.DataFrame, column: str) -> dict[str, float]:
    """Return the mean of a column over the runs of each work that succeeded and have it."""
    known = runs[(runs["status"] == "ok") & runs[column].notna() & runs["work_id"].notna()]
    means = known.groupby("work_id", sort=False)[column].mean()
    return {str(work): float(value) for work, value in means.items()}


def paired(a: pd.DataFrame, b: pd.DataFrame, column: str = "duration_s") -> pd.DataFrame:
    """Return columns `a` and `b` of the pairs in which both sides succeeded, by (work_id, pair)."""
    return pd.concat({"a": by_pair(a, column), "b": by_pair(b, column)}, axis=1, join="inner")


def level_key(level: str) -> tuple[int, str]:
    """Return the key that sorts levels: the presets in their order, then others by name."""
    return (LEVEL_ORDER.index(level) if level in LEVEL_ORDER else len(LEVEL_ORDER), level)


def twin_of(level: str, runs: pd.DataFrame) -> str | None:
    """Return the first other level among `runs` with the same switches (`level_id`), if there is one."""
    own = set(runs.loc[runs["level"] == level, "level_id"].dropna())
    others = runs.loc[runs["level_id"].isin(own) & (runs["level"] != level), "level"]
    return min(map(str, others), key=level_key, default=None)


def aa_check(level: str, twin: str, runs: pd.DataFrame) -> AaCheck:
    """Compare a level with its twin.

    Parameters
    ----------
    level, twin
        Two levels with the same switches.
    runs
        Runs that are alike and of one cache state, as `with_pair` returns them.
    """
    pairs = paired(runs[runs["level"] == twin], runs[runs["level"] == level])
    if pairs.empty:
        return AaCheck(level, twin, None, None, None, 0, None)
    found: RatioInterval = ratio_interval(pairs["a"].tolist(), pairs["b"].tolist())
    covers = None if found.low is None or found.high is None else found.low <= 1 <= found.high
    return AaCheck(level, twin, found.ratio, found.low, found.high, found.n, covers)
