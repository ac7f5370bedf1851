"""What a user names to be compared: a level, a results folder, a level's or a run's, or FOLDER:LEVEL."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from swarmlab.agents.levels import Level
from swarmlab.errors import SpecError, StoreError
from swarmlab.records.collect import read_tables, runs_of
from swarmlab.records.manifest import read_manifest
from swarmlab.records.pairs import level_key
from swarmlab.records.store import read_record, run_folder
from swarmlab.records.tables import runs_frame

_RECORD = "record.json"
_TABLE = "runs.parquet"


@dataclass(frozen=True)
class Side:
    """Runs that were named, with the experiment that they belong to."""

    text: str
    """As the user named it."""
    folder: Path
    """The experiment's results folder."""
    runs: pd.DataFrame
    every_run: pd.DataFrame
    """All runs of the experiment, for its A/A pairs."""
    manifest: Mapping[str, Any]

    @property
    def levels(self) -> list[str]:
        """Levels among the runs: the presets in their order, then others by name."""
        return sorted(map(str, self.runs["level"].unique()), key=level_key)

    def of(self, level: str) -> "Side":
        """Only the runs of one level."""
        return replace(self, runs=self.runs[self.runs["level"] == level])

    def definition(self, level: str) -> Level | None:
        """The level's switches, from the manifest or else a run's answer; None where neither has them."""
        for entry in self.manifest.get("spec", {}).get("levels", ()):
            if isinstance(entry, dict) and entry.get("name") == level:
                return _level(entry)
        for run_id in self.runs.loc[self.runs["level"] == level, "run_id"]:
            path = run_folder(self.folder, level, str(run_id)) / "answer.json"
            if path.is_file():
                return _level(_json(path).get("level"))
        return None


def read_side(text: str, results: Path) -> Side:
    """Read the runs that `text` names.

    Parameters
    ----------
    text
        A level's name, looked up in `results`; a results folder; a level's folder or a run's in one; or
        FOLDER:LEVEL.
    results
        The results folder in which a bare name is a level.

    Raises
    ------
    SpecError
        There is no such level; names the nearest.
    StoreError
        The path does not exist, cannot be read, or holds no runs.
    """
    bare = not any(mark in text for mark in "/\\:.~")
    if bare and holds_runs(results):
        side = read_experiment(results)
        if text in side.levels or not Path(text).exists():
            return _only(side, text, text)
    path = Path(text).expanduser()
    if path.exists():
        return replace(_at(path), text=text)
    folder, _, level = text.rpartition(":")
    if folder and Path(folder).expanduser().exists():
        return _only(_at(Path(folder).expanduser()), level, text)
    if bare:
        raise StoreError(
            f"{text!r} is a level's name, but there are no results at {results}; run 'swarmlab run' first, "
            "or name the folder with --results"
        )
    raise StoreError(f"{path} does not exist; name a level, a results folder, a run's folder or FOLDER:LEVEL")


def holds_runs(folder: Path) -> bool:
    """Say whether a folder is an experiment's results: run folders in it, or their published table."""
    return (folder / _TABLE).is_file() or next(folder.glob(f"*/*/{_RECORD}"), None) is not None


def read_experiment(folder: Path) -> Side:
    """Read every run of an experiment: from its run folders, or from `runs.parquet` where it has none.

    Raises
    ------
    StoreError
        It has no runs, or they cannot be read.
    """
    manifest = read_manifest(folder)
    if next(folder.glob(f"*/*/{_RECORD}"), None) is not None:
        runs = runs_frame(run.record for run in runs_of(folder, manifest))
    else:
        runs = read_tables(folder)["runs"]
    if runs.empty:
        raise StoreError(f"{folder} holds no runs of the setting that its manifest.json names")
    return Side(str(folder), folder.resolve(), runs, runs, manifest)


def experiments_in(folder: Path) -> list[Path]:
    """Return the results folders directly in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and holds_runs(path))


def _at(path: Path) -> Side:
    if not path.is_dir():
        raise StoreError(f"{path} is a file; name a results folder, a level's folder in it or a run's")
    if (path / _RECORD).is_file():
        return _one_run(path.resolve())
    if holds_runs(path):
        return read_experiment(path)
    if next(path.glob(f"*/{_RECORD}"), None) is not None:
        whole = path.resolve()
        return _only(read_experiment(whole.parent), whole.name, str(path))
    inside = ", ".join(map(str, experiments_in(path)))
    raise StoreError(f"{path} holds no runs" + (f"; its results folders are {inside}" if inside else ""))


def _one_run(folder: Path) -> Side:
    record = read_record(folder)
    if record is None:
        raise StoreError(f"{folder} holds no finished run")
    runs = runs_frame([record])
    experiment = folder.parent.parent
    every = read_experiment(experiment).runs if holds_runs(experiment) else runs
    return Side(str(folder), experiment, runs, every, read_manifest(experiment))


def _only(side: Side, level: str, text: str) -> Side:
    if level not in side.levels:
        near = difflib.get_close_matches(level, side.levels, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise SpecError(f"no level {level!r} in {side.folder}{hint}; it has {', '.join(side.levels)}")
    return replace(side.of(level), text=text)


def _level(entry: Any) -> Level | None:
    try:
        return Level.model_validate(entry)
    except ValidationError:
        # Written by code with other switches: what they did is then not known.
        return None


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
