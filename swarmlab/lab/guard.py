"""`swarmlab compare --against REFERENCE [NEW]`: has anything become slower, worse, or started to fail?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Group
from rich.text import Text

from swarmlab.errors import StoreError, UserError
from swarmlab.lab.compare import RESULTS, switches_between
from swarmlab.lab.sides import Side, experiments_in, holds_runs, read_experiment, read_side
from swarmlab.records.pairs import ALIKE, alike, with_identity
from swarmlab.records.regression import Change, change, nothing_told
from swarmlab.records.regression_text import changes_table
from swarmlab.records.timing import is_simulated
from swarmlab.records.verdict import TOLERANCE

MARGIN = 0.01
_MACHINE = ("cpu_model", "cores", "cores_usable", "cpu_quota", "python")


@dataclass(frozen=True)
class Guard:
    """New runs against a reference: a change for each level and cache state in both."""

    changes: tuple[Change, ...]
    not_run: tuple[str, ...]
    """Levels of the reference that the new runs do not have."""
    other_machine: tuple[str, ...]
    """In what the environments differ; while anything does, durations are not compared."""
    tolerance: float
    margin: float

    @property
    def is_regression(self) -> bool:
        """Some level is slower, worse, or fails more often."""
        return any(row.is_regression for row in self.changes)

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "is_regression": self.is_regression,
            "tolerance": self.tolerance,
            "margin": self.margin,
            "other_machine": list(self.other_machine),
            "not_run": list(self.not_run),
            "changes": [row.as_dict() for row in self.changes],
        }

    def __rich__(self) -> Group:
        """Return it for the terminal."""
        said = [f"Slower or faster: the whole interval is beyond the tolerance of {self.tolerance:.0%}."]
        if self.other_machine:
            said.append(f"Durations are not compared: {'; '.join(self.other_machine)}.")
        if self.not_run:
            said.append(f"In the reference, but not run anew: {', '.join(self.not_run)}.")
        return Group(changes_table(self.changes), *(Text(sentence) for sentence in said))


def against(
    new: str | Path = RESULTS,
    reference: str | Path = Path("results/reference"),
    *,
    tolerance: float = TOLERANCE,
    margin: float = MARGIN,
) -> Guard:
    """Compare new runs with a reference, level by level and cache state by cache state.

    Another version of the code is what is guarded against. Another machine, model file or set of packages
    makes durations incomparable ("cannot tell"); tokens, failures and quality are compared all the same.

    Parameters
    ----------
    new
        A results folder, or a folder of several.
    reference
        The same; where it holds several experiments, those are taken that have the new ones' names.
    tolerance
        Share by which two sessions' durations may differ though nothing has changed; above 0, below 1.
    margin
        A score that fell by more than this is worse; above 0, below 1.

    Raises
    ------
    UserError
        A folder is missing or holds no runs, both are the same, no experiment or level is in both, one is
        measured and the other simulated, or a number is out of range.
    """
    for name, value in (("tolerance", tolerance), ("margin", margin)):
        if not 0 < value < 1:
            raise UserError(f"the {name} must be above 0 and below 1, a share; got {value:g}")
    changes: list[Change] = []
    not_run: list[str] = []
    differs: list[str] = []
    for side_new, side_old in _experiments(str(new), str(reference)):
        _check_clocks(side_new, side_old)
        others = environment_differences(side_new, side_old)
        differs += [said for said in others if said not in differs]
        kind = "" if is_simulated(side_new.runs) else "other machine: "
        no_time = f"{kind}{'; '.join(others)}" if others else None
        not_run += [level for level in side_old.levels if level not in side_new.levels]
        shared = [level for level in side_old.levels if level in side_new.levels]
        for level in shared:
            changes += _changes(side_new.of(level), side_old.of(level), no_time, tolerance, margin)
    if not changes:
        raise UserError(f"{new} and {reference} have no level and cache state in common")
    return Guard(tuple(changes), tuple(not_run), tuple(differs), tolerance, margin)


def environment_differences(new: Side, reference: Side) -> list[str]:
    """Say in what two environments differ that may change a duration; of simulations only in the profile."""
    hashes = [set(side.runs["model_hash"].dropna()) for side in (new, reference)]
    is_other_model = all(hashes) and not hashes[0] & hashes[1]
    if set(new.runs["clock"].dropna()) == {"virtual"} == set(reference.runs["clock"].dropna()):
        return ["the profile has other figures"] if is_other_model else []
    machines: list[Mapping[str, Any]] = [side.manifest.get("machine", {}) for side in (new, reference)]
    if not all(machines):
        return ["no manifest.json says what machine one of them ran on"]
    found = [
        f"{name} {machines[1].get(name)} became {machines[0].get(name)}"
        for name in _MACHINE
        if machines[0].get(name) != machines[1].get(name)
    ]
    now, before = (machine.get("packages", {}) for machine in machines)
    # A package that only one of them looked up tells nothing; swarmlab's own version is what is guarded.
    both = [name for name in before if before[name] and now.get(name) and name != "swarmlab"]
    changed = [f"{name} {before[name]} became {now[name]}" for name in both if before[name] != now[name]]
    return found + changed + (["the model file is another"] if is_other_model else [])


def _check_clocks(new: Side, reference: Side) -> None:
    clocks = [sorted(side.runs["clock"].dropna().unique()) for side in (new, reference)]
    if all(clocks) and not set(clocks[0]) & set(clocks[1]):
        raise UserError(
            f"{new.text} and {reference.text} cannot be compared: clock {', '.join(clocks[0])} against "
            f"{', '.join(clocks[1])}; measured and simulated times are never compared"
        )


def _experiments(new: str, reference: str) -> Iterator[tuple[Side, Side]]:
    """Match experiments by name; one folder on each side is a match whatever its name."""
    ours, theirs = _sides(new), _sides(reference)
    if len(ours) == len(theirs) == 1 and holds_runs(Path(reference).expanduser()):
        pairs = [(next(iter(ours.values())), next(iter(theirs.values())))]
    else:
        pairs = [(ours[name], theirs[name]) for name in theirs if name in ours]
    if not pairs:
        raise UserError(
            f"no experiment in common: {new} has {', '.join(ours)}; {reference} has {', '.join(theirs)}"
        )
    for side_new, side_old in pairs:
        if side_new.folder == side_old.folder:
            raise UserError(f"{new} and {reference} are the same results; name new runs and a reference")
        yield side_new, side_old


def _sides(text: str) -> dict[str, Side]:
    """Read one experiment, or each of a folder of them, by name."""
    path = Path(text).expanduser()
    if not path.exists():
        raise StoreError(f"{path} does not exist; name a results folder, or a folder of several")
    inside = experiments_in(path) if path.is_dir() and not holds_runs(path) else []
    sides = [read_experiment(folder) for folder in inside] or [read_side(str(path.resolve()), path)]
    return {str(side.manifest.get("experiment") or side.folder.name): side for side in sides}


def _changes(
    new: Side, reference: Side, no_time: str | None, tolerance: float, margin: float
) -> Iterator[Change]:
    name = str(reference.manifest.get("experiment") or reference.folder.name)
    level = reference.levels[0]
    definitions = [side.definition(level) for side in (new, reference)]
    switches = switches_between(*definitions) if all(definitions) else []  # type: ignore[arg-type]
    runs_new = with_identity(new.runs)
    for _, old in with_identity(reference.runs).groupby("cache_state", dropna=False, sort=False):
        now = alike(runs_new, old.iloc[0], ["cache_state"])
        if now.empty:
            continue
        if switches:
            why = f"another level under the same name: {', '.join(switches)} differ"
            yield nothing_told(name, now, old, why)
            continue
        same = alike(now, old.iloc[0], ALIKE)
        if same.empty or len(old[list(ALIKE)].drop_duplicates()) > 1:
            yield nothing_told(name, now, old, f"other {_differing(now, old)}")
            continue
        yield change(name, same, old, tolerance=tolerance, margin=margin, no_time=no_time)


def _differing(new: pd.DataFrame, reference: pd.DataFrame) -> str:
    said = {"clock": "clock", "model": "model", "profile": "profile", "data_name": "data"}
    found = [word for name, word in said.items() if set(new[name].dropna()) != set(reference[name].dropna())]
    return " and ".join(found) or "data"
