"""Calibrate a profile: fit it to measured runs, predict held-out runs with it, and put that to the test.

As with what-ifs, predictions are written before the runs that test them: the first call fits and predicts,
the same call given again measures and compares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from rich.table import Table

from swarmlab.lab.calibration.fitted import fit_profile, write_profile
from swarmlab.lab.calibration.held_out import PREDICTIONS, Say, measure_held_out, predict_held_out
from swarmlab.lab.calibration.prompts import prompts_of
from swarmlab.lab.calibration.runs import read_measurements
from swarmlab.lab.calibration.spec import CalibrationSpec, calibration_spec, load_calibration_spec
from swarmlab.lab.calibration.text import count_texts
from swarmlab.lab.calibration.tools import time_tools
from swarmlab.lab.version import code_version
from swarmlab.models import load_model
from swarmlab.records.atomic import write_text
from swarmlab.records.calibration import FIT_TABLES, display_calibration, write_fit
from swarmlab.records.render import frame_table
from swarmlab.records.store import check_writable
from swarmlab.tools.cache import content_key
from swarmlab.trace.clock import WallClock


@dataclass(frozen=True)
class Calibration:
    """How far a calibration has come, and the tables of its last stage."""

    folder: Path
    profile: Path
    """The fitted profile."""
    stage: Literal["fitted", "predicted", "tested"]
    tables: dict[str, pd.DataFrame]
    """By title."""

    def terminal_tables(self) -> Sequence[Table]:
        """The tables for the terminal."""
        return [frame_table(display_calibration(table), title=title) for title, table in self.tables.items()]


def calibrate(
    spec_path: str | Path | None = None,
    out: str | Path = "results",
    say: Say = lambda _: None,
    *,
    profile: str | Path | None = None,
    fit_only: bool = False,
) -> Calibration:
    """Go one stage on: fit and predict where nothing is predicted yet, else run what was predicted.

    Parameters
    ----------
    spec_path
        YAML of a `CalibrationSpec`; None for `experiments/calibration.yaml`.
    out
        Parent of the calibration's results folder.
    say
        Called with a line for each step.
    profile
        Where to write the fitted profile too; it is always in the results folder, by its name.
    fit_only
        Fit, whatever is there, and neither predict nor test.

    Raises
    ------
    UserError
        The spec, its runs, its data, its model or the results folder cannot be used.
    """
    path = calibration_spec() if spec_path is None else Path(spec_path)
    spec = load_calibration_spec(path)
    folder = Path(out).expanduser().resolve() / spec.name
    fitted = folder / f"{spec.profile.name}.yaml"
    if spec.held_out is not None and not fit_only and (folder / PREDICTIONS).exists():
        errors = measure_held_out(spec, spec.held_out, folder, say)
        return Calibration(folder, fitted, "tested", {"Held-out runs: errors of the predictions": errors})
    check_writable(folder)
    write_text(folder / "spec.yaml", path.read_text(encoding="utf-8"))
    tables = _fit(spec, folder, fitted, say)
    if profile is not None:
        write_text(Path(profile), fitted.read_text(encoding="utf-8"))
    shown = {title: tables[name] for name, title in FIT_TABLES.items()}
    if spec.held_out is None or fit_only:
        return Calibration(folder, fitted, "fitted", shown)
    predictions = predict_held_out(spec, spec.held_out, folder, fitted)
    return Calibration(folder, fitted, "predicted", {**shown, "Predictions (simulated)": predictions})


def _fit(spec: CalibrationSpec, folder: Path, fitted: Path, say: Say) -> dict[str, pd.DataFrame]:
    # What costs nothing and may be wrong comes first.
    measured = read_measurements(spec.fit)
    say(f"{len(measured.calls):,} model calls of {measured.model}")
    texts = _texts(spec, folder, say)
    times = _times(spec, folder, say)
    fields, tables = fit_profile(spec.profile, measured, texts, times)
    made = write_profile(fitted, fields)
    say(f"{fitted}: fingerprint {made.fingerprint[:16]}")
    write_fit(folder, tables)
    return tables


def _texts(spec: CalibrationSpec, folder: Path, say: Say) -> pd.DataFrame:
    """Counted texts, made anew when the works or the code have changed."""
    asked = {
        **spec.model_dump(mode="json", include={"texts", "levels", "text_levels", "model"}),
        "code": code_version().sources,
    }
    path = folder / f"texts-{content_key(asked)[:8]}.csv"
    if path.exists():
        return pd.read_csv(path)
    say(f"counting the tokens of {len(spec.texts)} works' prompts")
    model = load_model(spec.model, clock=WallClock())
    try:
        texts = count_texts(prompts_of(spec.texts, [*spec.levels, *spec.text_levels]), model)
    finally:
        model.close()
    for earlier in folder.glob("texts-*.csv"):
        earlier.unlink()
    write_text(path, texts.to_csv(index=False, lineterminator="\n"))
    return texts


def _times(spec: CalibrationSpec, folder: Path, say: Say) -> pd.DataFrame:
    """The tools' times, taken once, on a machine that does nothing else. Remove the file to time anew."""
    path = folder / f"tool-times-{content_key(spec.tools.model_dump(mode='json'))[:8]}.csv"
    if path.exists():
        return pd.read_csv(path)
    say(f"timing the tools on {', '.join(spec.tools.data)}, {spec.tools.repeats} times each")
    times = time_tools(spec.tools.data, spec.tools.repeats)
    write_text(path, times.to_csv(index=False, lineterminator="\n"))
    return times
