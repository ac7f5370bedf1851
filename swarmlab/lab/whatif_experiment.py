"""Runs a what-if experiment in two stages, so that no prediction can know its outcome.

First the bases are run and every prediction is written to `predictions.json`. Only once that file is there
are the changes made and run, each beside its base in the same block, and prediction and outcome compared.
"""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

from swarmlab.agents.brief import Brief
from swarmlab.agents.levels import Level
from swarmlab.errors import StoreError, SwarmlabError
from swarmlab.lab.api import plan
from swarmlab.lab.changed import REQUIRED_CALLS, ChangedRun
from swarmlab.lab.experiment import Cell
from swarmlab.lab.known_graphs import KnownGraph, changed_graph, run_known_graph
from swarmlab.lab.runner import finished_record, run_cell
from swarmlab.lab.together import measure_together
from swarmlab.lab.version import code_version
from swarmlab.lab.whatif_spec import WhatIfSpec, changed_level, load_whatif_spec
from swarmlab.models.profile import load_profile
from swarmlab.records.atomic import write_text
from swarmlab.records.manifest import environment
from swarmlab.records.predictions import predictions_frame, write_outcomes
from swarmlab.records.store import check_writable, json_text, run_folder
from swarmlab.records.timing import MEASURED, timing
from swarmlab.trace.changes import parse_changes
from swarmlab.trace.clock import WallClock
from swarmlab.trace.io import read_spans, write_spans
from swarmlab.trace.prediction import predict
from swarmlab.trace.spans import Span

PREDICTIONS = "predictions.json"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Arm:
    """One kind of run: a base, or a base with changes made."""

    kind: str
    """`level` or `graph`."""
    base: str
    changes: tuple[str, ...]
    """Empty for the base itself."""
    measure: Callable[[int, str], list[list[Span]]]
    """Make the run of a repeat, in a stage; returns the spans of the runs that it was."""
    timing: str = MEASURED
    """"measured", or "simulated: PROFILE"."""

    @property
    def name(self) -> str:
        """The base's name and the changes."""
        return " ".join((self.base, *self.changes))


def whatif_experiment(spec_path: str | Path, out: str | Path, say: Say) -> tuple[Path, pd.DataFrame, bool]:
    """Go one stage on: predict where nothing is predicted yet, else run what was predicted.

    Parameters
    ----------
    spec_path
        YAML of a `WhatIfSpec`.
    out
        Parent of the experiment's results folder.
    say
        Called with a line for each finished run.

    Returns
    -------
    tuple
        The results folder, the table of the stage, and whether the predictions have been put to the test.

    Raises
    ------
    UserError
        The spec, its data, its model or the results folder cannot be used.
    """
    spec = load_whatif_spec(Path(spec_path))
    folder = Path(out).expanduser().resolve() / spec.name
    if (folder / PREDICTIONS).exists():
        return folder, check_all(spec, folder, say), True
    check_writable(folder)
    return folder, predict_all(spec, folder, say), False


def predict_all(spec: WhatIfSpec, folder: Path, say: Say) -> pd.DataFrame:
    """Run the bases and write every prediction; nothing changed is run.

    Raises
    ------
    StoreError
        There are predictions already.
    """
    path = folder / PREDICTIONS
    if path.exists():
        raise StoreError(f"{path} is there already; predictions are made once")
    arms = _arms(spec, folder)
    traces: dict[str, list[list[Span]]] = {}
    for number, arm, repeat in _order([arm for arm in arms if not arm.changes], spec):
        traces.setdefault(arm.base, []).extend(arm.measure(repeat, "before"))
        say(f"[{number}] base {arm.name}, run {repeat + 1}")
    return _write_predictions(spec, path, [_predicted(arm, traces[arm.base]) for arm in arms if arm.changes])


def predict_from(spec: WhatIfSpec, folder: Path, traces: Sequence[Sequence[Span]], say: Say) -> pd.DataFrame:
    """Write the predictions of a spec with one base from traces of it that are there already."""
    path = folder / PREDICTIONS
    if path.exists():
        say(f"{path} is there already and stands")
        return predictions_frame(json.loads(path.read_text(encoding="utf-8"))["predictions"])
    folder.mkdir(parents=True, exist_ok=True)
    return _write_predictions(
        spec, path, [_predicted(arm, traces) for arm in _arms(spec, folder) if arm.changes]
    )


def _write_predictions(spec: WhatIfSpec, path: Path, rows: list[dict[str, Any]]) -> pd.DataFrame:
    document = {
        "spec_id": spec.spec_id,
        "made_at": WallClock().utc_now().isoformat(),
        "code": asdict(code_version()),
        "machine": environment(["swarmlab", "xllamacpp", "langgraph", "pandas"]),
        "predictions": rows,
    }
    write_text(path, json_text(document))
    return predictions_frame(rows)


def check_all(spec: WhatIfSpec, folder: Path, say: Say) -> pd.DataFrame:
    """Make every change that was predicted, run it beside its base, and write `whatif.csv` and `whatif.md`.

    Raises
    ------
    StoreError
        The predictions are of another spec.
    """
    document = json.loads((folder / PREDICTIONS).read_text(encoding="utf-8"))
    if document.get("spec_id") != spec.spec_id:
        raise StoreError(
            f"{folder / PREDICTIONS} was made from another spec; "
            "move it away to predict anew, or put the spec back"
        )
    outcomes: dict[str, list[float]] = {}
    for number, arm, repeat in _order(_arms(spec, folder), spec):
        durations = [_duration_s(spans) for spans in arm.measure(repeat, "after")]
        # Of several runs at once the mean is what was predicted.
        outcomes.setdefault(arm.name, []).append(sum(durations) / len(durations))
        kind = "" if arm.timing == MEASURED else " simulated"
        say(f"[{number}] {arm.name}, run {repeat + 1}: {outcomes[arm.name][-1]:.3f} s{kind}")
    return write_outcomes(folder, document["predictions"], outcomes)


def _predicted(arm: Arm, traces: Sequence[Sequence[Span]]) -> dict[str, Any]:
    told = predict(traces, parse_changes(arm.changes), REQUIRED_CALLS)
    return {
        "kind": arm.kind,
        "timing": arm.timing,
        "base": arm.base,
        "changes": list(arm.changes),
        "n_base_runs": told.n_runs,
        "base_s": told.measured_s,
        "predicted_s": told.predicted_s,
        "low_s": told.low_s,
        "high_s": told.high_s,
        "interval": told.interval,
        "predicted_speedup": told.speedup,
        "assumptions": list(told.assumptions),
    }


def _order(arms: Sequence[Arm], spec: WhatIfSpec) -> list[tuple[str, Arm, int]]:
    """Blocks of every arm once, each in an order of its own drawn from the seed."""
    draw = random.Random(spec.seed)
    runs: list[tuple[Arm, int]] = []
    for repeat in range(spec.repeats):
        block = list(arms)
        draw.shuffle(block)
        runs += [(arm, repeat) for arm in block]
    return [(f"{number}/{len(runs)}", arm, repeat) for number, (arm, repeat) in enumerate(runs, 1)]


def _arms(spec: WhatIfSpec, folder: Path) -> list[Arm]:
    arms = []
    told = _timing(spec.model)
    for question in spec.levels:
        base = ChangedRun(question.base, None, "cold", 1)
        arms.append(Arm("level", question.base.name, (), _LevelRuns(spec, base, folder), told))
        for changes in question.changes:
            changed = changed_level(question.base, changes)
            arms.append(Arm("level", question.base.name, changes, _LevelRuns(spec, changed, folder), told))
    for asked in spec.graphs:
        arms.append(Arm("graph", asked.graph.name, (), _GraphRuns(asked.graph, folder / "graphs" / "base")))
        for number, changes in enumerate(asked.changes, 1):
            graph = changed_graph(asked.graph, parse_changes(changes))
            arms.append(
                Arm("graph", asked.graph.name, changes, _GraphRuns(graph, folder / "graphs" / f"{number}"))
            )
    return arms


@dataclass(frozen=True)
class _LevelRuns:
    """Runs of a level, kept in run folders, so that what is done is not done again."""

    spec: WhatIfSpec
    how: ChangedRun
    folder: Path

    def __call__(self, repeat: int, stage: str) -> list[list[Span]]:
        if self.how.concurrency > 1:
            briefs = (self.spec.brief, *self.spec.other_briefs)[: self.how.concurrency]
            return self._together([self._cell(repeat, stage, brief) for brief in briefs])
        cell = self._cell(repeat, stage, self.spec.brief)
        record = finished_record(cell) or run_cell(cell)
        if record.status != "ok":
            raise SwarmlabError(f"{record.level} {record.run_id} failed: {record.error}")
        return [read_spans(run_folder(Path(cell.out), record.level, record.run_id))]

    def _cell(self, repeat: int, stage: str, brief: Brief) -> Cell:
        level: Level = self.how.level
        planned = plan(
            out=self.folder,
            name=stage,
            levels=[level],
            data=self.spec.data,
            model=self.spec.model,
            base_url=self.spec.base_url,
            brief=brief,
            seed=self.spec.seed,
            workers=self.how.workers,
            repeats=repeat + 1,
            cache=self.how.cache_state,
        )
        return planned.cells[repeat]

    def _together(self, cells: Sequence[Cell]) -> list[list[Span]]:
        place = run_folder(Path(cells[0].out), cells[0].level.name, f"together-{cells[0].run_id}")
        files = [place / f"spans-{number}.jsonl" for number in range(len(cells))]
        if not all(file.exists() for file in files):
            # A process of its own, as every run has.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                traces = pool.submit(measure_together, cells).result()
            place.mkdir(parents=True, exist_ok=True)
            for file, spans in zip(files, traces, strict=True):
                write_spans(file, spans)
        return [read_spans(file) for file in files]


@dataclass(frozen=True)
class _GraphRuns:
    """Runs of a known graph in this process."""

    graph: KnownGraph
    folder: Path

    def __call__(self, repeat: int, stage: str) -> list[list[Span]]:
        spans = asyncio.run(run_known_graph(self.graph, WallClock()))
        place = self.folder / stage
        place.mkdir(parents=True, exist_ok=True)
        write_spans(place / f"{self.graph.name}-{repeat}.spans.jsonl", spans)
        return [spans]


def _timing(model: str) -> str:
    backend, _, name = model.partition(":")
    return timing("virtual", profile=load_profile(name).name) if backend == "simulated" else MEASURED


def _duration_s(spans: Sequence[Span]) -> float:
    return next(span.duration_ns for span in spans if span.parent_id is None) / 1e9
