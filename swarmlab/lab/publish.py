"""Writes what an experiment leaves beside its runs: the manifest before, tables, figures and report after."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import requires
from pathlib import Path
from re import match
from typing import Any

import pandas as pd

from swarmlab.data import Dataset
from swarmlab.lab.experiment import Cell, Spec
from swarmlab.lab.version import code_version
from swarmlab.records.manifest import environment, write_manifest
from swarmlab.records.published import load_study
from swarmlab.records.report import publish as publish_records


def write_plan(folder: Path, spec: Spec, dataset: Dataset, cells: Sequence[Cell]) -> None:
    """Write `manifest.json`: everything needed to make the results again, and on what machine.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    manifest: dict[str, Any] = {
        "experiment": spec.name,
        "spec": spec.model_dump(mode="json"),
        "command": command(spec),
        "code": asdict(code_version()),
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "fingerprint": dataset.fingerprint,
            "rows": dataset.rows,
            "columns": list(dataset.columns),
            "notes": list(dataset.notes),
        },
        "clock": "wall",
        "seeds": {"order": spec.seed, "model": spec.seed, "exam": spec.seed},
        "order": [f"{cell.level.name}/{cell.run_id}" for cell in cells],
        "machine": environment(_packages()),
    }
    write_manifest(folder, manifest)


def command(spec: Spec) -> str:
    """The command that runs this spec again; a spec with levels of its own is in the manifest whole."""
    levels = ",".join(level.name for level in spec.levels)
    parts = ["swarmlab", "run", "--levels", levels, "--data", spec.data, "--model", spec.model]
    return shlex.join([*parts, "--repeats", str(spec.repeats), "--cache", spec.cache])


def publish(folder: Path) -> dict[str, pd.DataFrame]:
    """Make every table, figure and the report from the run folders, the published study's row beside ours."""
    return publish_records(folder, load_study())


def _packages() -> list[str]:
    names = (match(r"[A-Za-z0-9._-]+", requirement) for requirement in requires("swarmlab") or ())
    return ["swarmlab", *sorted({name.group() for name in names if name})]
