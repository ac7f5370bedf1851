"""What if: predict from the traces of runs what a change would bring."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError
from rich import box
from rich.table import Table

from swarmlab.errors import SpecError, first_problem
from swarmlab.lab.changed import REQUIRED_CALLS
from swarmlab.lab.experiment import load_spec
from swarmlab.lab.publish import SPEC
from swarmlab.lab.traces import trace_timing
from swarmlab.lab.whatif_experiment import check_all, predict_from
from swarmlab.lab.whatif_spec import LevelQuestion, WhatIfSpec, check_runnable
from swarmlab.records.predictions import display_predictions, prediction_timing
from swarmlab.records.render import duration_text, frame_table
from swarmlab.records.store import RECORD, read_record
from swarmlab.trace.changes import parse_changes
from swarmlab.trace.io import SPANS_FILE, read_spans
from swarmlab.trace.prediction import Prediction, predict
from swarmlab.trace.spans import CATEGORIES, Span


@dataclass(frozen=True)
class WhatIf:
    """A prediction, what it was made from, and for which changes."""

    path: Path
    cache_state: str | None
    """Of the runs, where they have a record that says it."""
    timing: str | None
    """"measured" or "simulated: PROFILE", where the runs have a record."""
    changes: tuple[str, ...]
    prediction: Prediction

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON; times in seconds."""
        told = asdict(self.prediction)
        return {
            "path": str(self.path),
            "cache_state": self.cache_state,
            "timing": self.timing,
            "changes": list(self.changes),
            **told,
            "speedup": self.prediction.speedup,
        }

    def tables(self) -> Sequence[Table]:
        """The prediction for the terminal."""
        return (prediction_table(self),)


def whatif(path: str | Path, changes: Sequence[str]) -> WhatIf:
    """Predict how long a run would take with changes made to it.

    Parameters
    ----------
    path
        A run's folder, a trace (`spans.jsonl` or JSON), or a level's folder, all of whose cold runs are used
        (where there are none, its warm ones).
    changes
        In the words of `swarmlab.trace.changes.FORMS`.

    Raises
    ------
    TraceError, SpecError
        There is no trace, it is malformed, or a change is unknown or does not fit it. A level's runs are
        measured and simulated ones, or of several profiles.
    """
    path = Path(path)
    parsed = parse_changes(changes)
    traces, state, told = traces_at(path)
    return WhatIf(path, state, told, tuple(changes), predict(traces, parsed, REQUIRED_CALLS))


def traces_at(path: Path) -> tuple[list[list[Span]], str | None, str | None]:
    """The traces of a run, or of a level's runs that succeeded and were alike, their cache state and timing.

    Raises
    ------
    SpecError
        Several levels, or runs that are not of one timing.
    """
    if not path.is_dir() or (path / SPANS_FILE).exists():
        return [read_spans(path)], None, trace_timing(path)
    found: dict[str, list[Path]] = {}
    kinds: set[str] = set()
    for folder in sorted(record.parent for record in path.glob(f"*/{RECORD}")):
        record = read_record(folder)
        if record is not None and record.status == "ok" and (folder / SPANS_FILE).exists():
            found.setdefault(str(record.cache_state), []).append(folder)
            kinds.add(record.timing)
    if len(kinds) > 1:
        raise SpecError(
            f"{path} holds runs that are {' and '.join(sorted(kinds))}, never averaged; name one run's folder"
        )
    if not found:
        levels = sorted({record.parents[1].name for record in path.glob(f"*/*/{RECORD}")})
        if levels:
            raise SpecError(f"{path} holds several levels; name one of them: {', '.join(levels)}")
        return [read_spans(path)], None, None
    state = "cold" if "cold" in found else next(iter(found))
    return [read_spans(folder) for folder in found[state]], state, next(iter(kinds))


def prediction_table(found: WhatIf) -> Table:
    """Measured (or simulated) and predicted seconds side by side, with the assumptions below."""
    told = found.prediction
    simulated = found.timing is not None and found.timing != "measured"
    table = Table(
        title=f"What if {', '.join(found.changes)}{f' ({found.timing})' if simulated else ''}",
        caption="; ".join(told.assumptions) + ".",
        box=box.SIMPLE_HEAD,
    )
    for heading in ("", "Seconds", "95 % interval", "Times faster"):
        table.add_column(heading, justify="left" if not heading else "right")
    state = f", {found.cache_state} cache" if found.cache_state else ""
    kind = "simulated" if simulated else "measured"
    table.add_row(
        f"{kind} ({told.n_runs} run{'s' if told.n_runs > 1 else ''}{state})",
        duration_text(told.measured_s),
        "",
        "1",
    )
    interval = (
        "none"
        if told.low_s is None or told.high_s is None
        else (f"{duration_text(told.low_s)} to {duration_text(told.high_s)}")
    )
    speedup = "-" if told.speedup is None else f"{told.speedup:.2f}"
    name = "predicted" if len(told.runs_s) == 1 else f"predicted, mean of {len(told.runs_s)} runs at once"
    table.add_row(name, duration_text(told.predicted_s), interval, speedup)
    table.add_section()
    for category in CATEGORIES:
        if told.exclusive_s.get(category):
            table.add_row(f"  of it {category}", duration_text(told.exclusive_s[category]), "", "")
    table.add_section()
    table.add_row(f"interval: {told.interval}", "", "", "")
    return table


def whatif_table(frame: pd.DataFrame) -> Table:
    """Predictions for the terminal, with their outcomes once there are any."""
    return frame_table(display_predictions(frame), title=f"Predictions{prediction_timing(frame)}")


def run_change(
    path: str | Path, changes: Sequence[str], repeats: int, say: Callable[[str], None]
) -> tuple[Path, pd.DataFrame]:
    """Predict from a run of swarmlab's own, make the change, and run it beside the run's level.

    Parameters
    ----------
    path
        A run's folder in its experiment's results, or a level's.
    changes
        As for `whatif`; all together are one prediction.
    repeats
        Runs of the level as it is and of the changed one, in blocks.
    say
        Called with a line for each finished run.

    Returns
    -------
    tuple
        The folder with `predictions.json`, `whatif.csv` and `whatif.md`, and the table in them.

    Raises
    ------
    SpecError
        The change has no switch, or the path is no run of swarmlab's.
    """
    path = Path(path)
    traces, _, _ = traces_at(path)
    spec = _spec_of(path, tuple(changes), repeats)
    folder = _experiment_of(path) / "whatif" / spec.spec_id
    predict_from(spec, folder, traces, say)
    return folder, check_all(spec, folder, say)


def _experiment_of(path: Path) -> Path:
    for folder in (path.parent.parent, path.parent):
        if (folder / SPEC).is_file():
            return folder
    raise SpecError(
        f"{path} lies in no experiment's results (no {SPEC} above it); it can be predicted, not run"
    )


def _spec_of(path: Path, changes: tuple[str, ...], repeats: int) -> WhatIfSpec:
    experiment = load_spec(_experiment_of(path) / SPEC)
    is_run = (path / SPANS_FILE).exists()
    record = read_record(path) if is_run else None
    level_name = path.parent.name if is_run else path.name
    levels = {level.name: level for level in experiment.levels}
    if level_name not in levels:
        raise SpecError(f"{path}: level {level_name!r} is not one of its experiment's: {', '.join(levels)}")
    brief, seed = experiment.work(0 if record is None or record.pair is None else record.pair)
    try:
        spec = WhatIfSpec(
            data=experiment.data,
            model=experiment.model,
            base_url=experiment.base_url,
            brief=brief,
            other_briefs=tuple(other for other in experiment.briefs if other != brief),
            seed=seed,
            repeats=repeats,
            levels=(LevelQuestion(base=levels[level_name], changes=(changes,)),),
        )
    except ValidationError as error:
        raise SpecError(first_problem(error)) from error
    check_runnable(spec)
    return spec
