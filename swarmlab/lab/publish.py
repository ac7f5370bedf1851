"""Writes what an experiment leaves beside its runs: the manifest before, tables, figures and report after."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import requires
from pathlib import Path
from re import match
from typing import Any

import pandas as pd
import yaml

from swarmlab.data import Dataset
from swarmlab.lab.experiment import Cell, Spec
from swarmlab.lab.version import code_version
from swarmlab.records.atomic import write_text
from swarmlab.records.manifest import environment, read_manifest, write_manifest
from swarmlab.records.published import load_study
from swarmlab.records.report import publish as publish_records

SPEC = "spec.yaml"
_PUBLISHED = ("manifest.json", SPEC, "report.html", "figures", "certificates", "*.csv", "*.parquet", "*.md")


def write_plan(folder: Path, spec: Spec, dataset: Dataset, cells: Sequence[Cell]) -> None:
    """Write `manifest.json` and `spec.yaml`: all that is needed to make the results again, and the machine.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    # An ablation's levels follow from it, and there may be 32.
    own = spec.model_dump(mode="json", exclude=None if spec.ablation is None else {"levels"})
    manifest: dict[str, Any] = {
        "experiment": spec.name,
        "spec": own,
        "command": f"swarmlab run {SPEC}",
        "setting_id": cells[0].setting_id,
        "levels": {level.name: level.switches_id for level in spec.levels},
        **({} if spec.design is None else {"design": spec.design.model_dump(mode="json")}),
        "code": asdict(code_version()),
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "fingerprint": dataset.fingerprint,
            "rows": dataset.rows,
            "columns": list(dataset.columns),
            "notes": list(dataset.notes),
        },
        "clock": " and ".join(sorted({"virtual" if cell.is_virtual else "wall" for cell in cells})),
        "seeds": {"order": spec.seed, "model": "the exam's", "exam": sorted({cell.seed for cell in cells})},
        "order": [f"{cell.level.name}/{cell.run_id}" for cell in cells],
        "machine": environment(_packages()),
    }
    _set_aside(folder, cells[0].setting_id)
    write_manifest(folder, manifest)
    write_text(folder / SPEC, yaml.safe_dump(own, sort_keys=False))


def publish(folder: Path) -> dict[str, pd.DataFrame]:
    """Make every table, figure and the report from the run folders, the published study's row beside ours."""
    return publish_records(folder, load_study())


def _set_aside(folder: Path, setting_id: str) -> None:
    """Move tables and report of another setting to `.earlier/<setting>/`; its runs stay where they are."""
    earlier = read_manifest(folder).get("setting_id")
    if earlier is None or earlier == setting_id:
        return
    aside = folder / ".earlier" / str(earlier)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for pattern in _PUBLISHED:
        for path in folder.glob(pattern):
            path.rename(aside / path.name)


def _packages() -> list[str]:
    needed = [requirement for requirement in requires("swarmlab") or () if "extra ==" not in requirement]
    names = (match(r"[A-Za-z0-9._-]+", requirement) for requirement in needed)
    return ["swarmlab", *sorted({name.group() for name in names if name})]
