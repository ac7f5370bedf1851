"""`swarmlab compare A B`: two sides' runs, level by level and cache state by cache state."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Group

from swarmlab.agents.levels import LOSSY_SWITCHES, Level
from swarmlab.errors import SpecError, UserError
from swarmlab.lab.sides import Side, read_side
from swarmlab.records.contrast import Contrast, contrast
from swarmlab.records.contrast_text import contrast_table, contrasts_markdown
from swarmlab.records.pairs import (
    ALIKE,
    AaCheck,
    aa_check,
    alike,
    twin_of,
    with_identity,
    with_pair,
    works_of,
)

RESULTS = Path("results/levels")
_SAID = {
    "clock": "clock",
    "model": "model",
    "profile": "profile",
    "data_name": "data",
    "data_fingerprint": "data fingerprint",
}


@dataclass(frozen=True)
class Comparison:
    """B against A: one contrast a level and cache state."""

    a: str
    b: str
    rows: tuple[Contrast, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {"a": self.a, "b": self.b, "rows": [row.as_dict() for row in self.rows]}

    def markdown(self) -> str:
        """Return it as a page of Markdown."""
        return contrasts_markdown(f"{self.b} against {self.a}", self.rows)

    def __rich__(self) -> Group:
        """Return it for the terminal."""
        return Group(*(contrast_table(row) for row in self.rows))


def compare(a: str, b: str, *, results: str | Path = RESULTS, cache: str | None = None) -> Comparison:
    """Say how many times faster B is than A, and what that did to answers, tokens, cost and failures.

    Parameters
    ----------
    a, b
        Each a level's name (looked up in `results`), a results folder, a level's folder or a run's in one, or
        FOLDER:LEVEL. Two sides of one level each are compared whatever their levels are called; where a side
        has several, levels of equal name are.
    results
        The results folder of bare level names.
    cache
        Only this cache state; None for each that both sides have.

    Raises
    ------
    UserError
        A side cannot be found or read, both are the same runs, or they cannot be compared: other clocks,
        models or data, other work, no level or cache state in common. Says which.
    """
    side_a, side_b = read_side(a, Path(results)), read_side(b, Path(results))
    return compare_sides(side_a, side_b, cache)


def compare_sides(a: Side, b: Side, cache: str | None = None) -> Comparison:
    """`compare` of sides that were read already."""
    rows = [
        contrast(
            runs_a,
            runs_b,
            is_blocked=a.folder == b.folder,
            is_lossless=not lossy_between(one, other),
            aa=_aa_checks(one, other, runs_a, runs_b),
        )
        for one, other in matched_levels(a, b)
        for runs_a, runs_b in matched_runs(one, other, cache)
    ]
    return Comparison(a.text, b.text, tuple(rows))


def matched_levels(a: Side, b: Side) -> list[tuple[Side, Side]]:
    """Match the levels of two sides.

    Raises
    ------
    UserError
        Both sides are the same runs.
    SpecError
        They have no level in common.
    """
    if a.folder == b.folder and set(a.runs["run_id"]) & set(b.runs["run_id"]) and a.levels == b.levels:
        raise UserError(f"{a.text} and {b.text} are the same runs of {a.folder}; name two different sides")
    if len(a.levels) == len(b.levels) == 1:
        return [(a, b)]
    shared = [level for level in a.levels if level in b.levels]
    if not shared:
        raise SpecError(
            f"no level in common: {a.text} has {', '.join(a.levels)}; {b.text} has {', '.join(b.levels)}; "
            "name one level a side, as FOLDER:LEVEL"
        )
    pairs = [(a.of(level), b.of(level)) for level in shared]
    if a.folder == b.folder:
        raise UserError(f"{a.text} and {b.text} share runs of {a.folder}; name two different sides")
    return pairs


def matched_runs(a: Side, b: Side, cache: str | None) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Match two levels' runs by clock, model, data and cache state, and check that they did the same work.

    Raises
    ------
    UserError
        Nothing in common, or a model file or all the work differs; says what.
    """
    runs_a, runs_b = with_identity(a.runs), with_identity(b.runs)
    found = []
    for _, group in runs_a.groupby([*ALIKE, "cache_state"], dropna=False, sort=False):
        other = alike(runs_b, group.iloc[0], (*ALIKE, "cache_state"))
        if len(other) and cache in (None, group["cache_state"].iloc[0]):
            found.append((group, other))
    if not found:
        raise UserError(f"{a.text} and {b.text} cannot be compared: {_unlike(runs_a, runs_b, cache)}")
    for group, other in found:
        _check_work(a, b, group, other)
    return found


def lossy_between(a: Side, b: Side) -> list[str]:
    """Return the lossy switches in which two levels differ; all of them where a definition is not known."""
    one, other = (side.definition(side.levels[0]) for side in (a, b))
    if one is None or other is None:
        return list(LOSSY_SWITCHES)
    return [name for name in switches_between(one, other) if name in LOSSY_SWITCHES]


def switches_between(a: Level, b: Level) -> list[str]:
    """Return the switches in which two levels differ."""
    return [name for name in Level.model_fields if name != "name" and getattr(a, name) != getattr(b, name)]


def _unlike(a: pd.DataFrame, b: pd.DataFrame, cache: str | None) -> str:
    """Say in what the runs differ that are never compared."""
    for name, said in _SAID.items():
        ours, theirs = _values(a[name]), _values(b[name])
        if not set(ours) & set(theirs):
            rule = "; measured and simulated times are never compared" if name == "clock" else ""
            return f"{said} {_listed(ours)} against {_listed(theirs)}{rule}"
    states = [_values(side["cache_state"]) for side in (a, b)]
    both = [state for state in states[0] if state in states[1]]
    if cache is not None and cache not in both:
        return f"not both have runs with a {cache} cache (A: {_listed(states[0])}; B: {_listed(states[1])})"
    return f"cache state {_listed(states[0])} against {_listed(states[1])}; they are never mixed"


def _check_work(a: Side, b: Side, ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    hashes = [_values(runs["model_hash"], missing=False) for runs in (ours, theirs)]
    if all(hashes) and not set(hashes[0]) & set(hashes[1]):
        raise UserError(f"{a.text} and {b.text} cannot be compared: the model file differs under one name")
    works = [works_of(runs) for runs in (ours, theirs)]
    if not all(works):
        raise UserError(f"{a.text if not works[0] else b.text}: its runs do not say what work they did")
    if set(works[0]) & set(works[1]):
        return
    seeds = [_values(runs["seed"], missing=False) for runs in (ours, theirs)]
    differs = "brief"
    if not set(seeds[0]) & set(seeds[1]):
        differs = f"exam (seed {_listed(seeds[0])} against {_listed(seeds[1])})"
        briefs = [side.manifest.get("spec", {}) for side in (a, b)]
        if any(briefs[0].get(name) != briefs[1].get(name) for name in ("brief", "briefs")):
            differs += " and brief"
    raise UserError(
        f"{a.text} and {b.text} did different work: the {differs} differs; only equal work is compared"
    )


def _aa_checks(a: Side, b: Side, runs_a: pd.DataFrame, runs_b: pd.DataFrame) -> list[AaCheck]:
    """Check every A/A pair of the two levels in the folders they come from."""
    checks = []
    for side, runs in ((a, runs_a), (b, runs_b)):
        if runs["clock"].isna().all():
            continue
        same = with_pair(alike(side.every_run, runs.iloc[0], (*ALIKE, "cache_state")))
        level = str(runs["level"].iloc[0])
        twin = twin_of(level, same)
        if twin is not None:
            checks.append(aa_check(level, twin, same))
    return _without_mirrors(checks)


def _without_mirrors(checks: Sequence[AaCheck]) -> list[AaCheck]:
    """Leave out a check that is another one with the sides exchanged, or the same one again."""
    seen: dict[frozenset[Any], AaCheck] = {}
    for check in checks:
        seen.setdefault(frozenset((check.level, check.twin, check.n)), check)
    return list(seen.values())


def _values(column: "pd.Series[Any]", *, missing: bool = True) -> list[Any]:
    values: Iterable[Any] = column.dropna().unique()
    return [*values, *([None] if missing and column.isna().any() else [])]


def _listed(values: Sequence[Any]) -> str:
    return ", ".join("not known" if value is None else str(value) for value in values) or "none"
