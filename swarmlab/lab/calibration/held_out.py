"""The test of a profile: durations of held-out works predicted, written down, and then measured."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from swarmlab.errors import StoreError, SwarmlabError
from swarmlab.lab.api import plan
from swarmlab.lab.calibration.spec import CalibrationSpec, HeldOut, Work
from swarmlab.lab.experiment import Cell
from swarmlab.lab.runner import finished_record, run_cell
from swarmlab.lab.simulate import simulate
from swarmlab.lab.version import code_version
from swarmlab.models.profile import load_profile
from swarmlab.records.atomic import write_text
from swarmlab.records.calibration import write_held_out
from swarmlab.records.manifest import environment
from swarmlab.records.store import json_text
from swarmlab.trace.clock import WallClock

PREDICTIONS = "predictions.json"

Say = Callable[[str], None]


def predict_held_out(spec: CalibrationSpec, held_out: HeldOut, folder: Path, profile: Path) -> pd.DataFrame:
    """Simulate every level on every held-out work and write the predictions; nothing is measured.

    Returns
    -------
    DataFrame
        One row a work and level: predicted seconds (the median of the draws) with the 2.5th and 97.5th
        percentiles, and tokens.
    """
    rows = []
    for work in held_out.works:
        cells = _cells(spec, work, folder, f"simulated:{profile}", held_out.draws)
        records = pd.DataFrame([record.model_dump() for record in simulate(cells)])
        failed = records[records["status"] != "ok"]
        if len(failed):
            row = failed.iloc[0]
            raise SwarmlabError(f"{row['level']} on {work.data} cannot be simulated: {row['error']}")
        for level in spec.levels:
            part = records[records["level"] == level.name]
            rows.append({"work": work.name, "data": work.data, "level": level.name, **_predicted(part)})
    document = {
        "spec_id": spec.spec_id,
        "made_at": WallClock().utc_now().isoformat(),
        "code": asdict(code_version()),
        "machine": environment(["swarmlab", "xllamacpp", "langgraph", "pandas"]),
        "profile": {"name": spec.profile.name, "fingerprint": load_profile(str(profile)).fingerprint},
        "predictions": rows,
    }
    write_text(folder / PREDICTIONS, json_text(document))
    return pd.DataFrame(rows)


def _predicted(runs: pd.DataFrame) -> dict[str, Any]:
    seconds = runs["duration_s"]
    return {
        "draws": len(runs),
        "predicted_s": float(seconds.median()),
        "low_s": float(seconds.quantile(0.025)),
        "high_s": float(seconds.quantile(0.975)),
        "prompt_tokens": float(runs["prompt_tokens"].median()),
        "completion_tokens": float(runs["completion_tokens"].median()),
    }


def measure_held_out(spec: CalibrationSpec, held_out: HeldOut, folder: Path, say: Say) -> pd.DataFrame:
    """Run the model on every held-out work, one run at a time, and compare; returns the summary of errors.

    Raises
    ------
    StoreError
        The predictions are of another spec.
    SwarmlabError
        A run failed.
    """
    document = json.loads((folder / PREDICTIONS).read_text(encoding="utf-8"))
    if document.get("spec_id") != spec.spec_id:
        raise StoreError(
            f"{folder / PREDICTIONS} was made from another spec; "
            "move it away to predict anew, or put the spec back"
        )
    outcomes = []
    runs = _order(spec, held_out, folder)
    for number, (work, cell) in enumerate(runs, 1):
        record = finished_record(cell) or run_cell(cell)
        if record.status != "ok":
            raise SwarmlabError(f"{record.level} {record.run_id} on {work.data} failed: {record.error}")
        say(f"[{number}/{len(runs)}] {record.level} on {work.name}: {record.duration_s:.3f} s")
        outcomes.append(
            {
                "work": work.name,
                "level": record.level,
                "repeat": record.repeat,
                "measured_s": record.duration_s,
                "measured_prompt_tokens": record.prompt_tokens,
                "measured_completion_tokens": record.completion_tokens,
                "other_cpu_share": record.other_cpu_share,
            }
        )
    return write_held_out(folder, document["predictions"], outcomes)


def _order(spec: CalibrationSpec, held_out: HeldOut, folder: Path) -> list[tuple[Work, Cell]]:
    """Blocks of every level on every work once, each in an order of its own drawn from the seed."""
    draw = random.Random(held_out.seed)
    blocks: list[list[tuple[Work, Cell]]] = [[] for _ in range(held_out.repeats)]
    for work in held_out.works:
        for cell in _cells(spec, work, folder, spec.model, held_out.repeats):
            blocks[cell.repeat].append((work, cell))
    for block in blocks:
        draw.shuffle(block)
    return [run for block in blocks for run in block]


def _cells(spec: CalibrationSpec, work: Work, folder: Path, model: str, repeats: int) -> Sequence[Cell]:
    planned = plan(
        out=folder,
        name="measured",
        levels=list(spec.levels),
        data=work.data,
        model=model,
        brief=work.brief,
        seed=work.seed,
        repeats=repeats,
        cache="cold",
    )
    return planned.cells
