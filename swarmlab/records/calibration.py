"""How well a profile fits the runs it was fitted to, and how well it predicted runs it had not seen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from swarmlab.records.atomic import write_text
from swarmlab.records.calibration_plots import calls_figure, held_out_figure
from swarmlab.records.plots import write_figure

__all__ = [
    "FIT_TABLES",
    "TARGETS",
    "display_calibration",
    "fit_markdown",
    "held_out_frame",
    "held_out_markdown",
    "held_out_summary",
    "write_fit",
    "write_held_out",
]

TARGETS: Mapping[str, float] = {"error_median": 0.05, "error_p95": 0.10}
"""What the absolute relative error of a predicted duration is to stay within."""
FIT_TABLES: Mapping[str, str] = {
    "errors": "Seconds of model calls and of whole runs' calls, fitted and measured",
    "text_errors": "Tokens of prompts and answers, by the profile's weights and by the tokenizer",
    "length_errors": "Mean tokens of answers, simulated and measured",
    "tool_errors": "Seconds of the tools, fitted and measured",
}
"""Tables of a fit that are written, with their titles."""
_SHARES = frozenset({"bias", "error", "error_median", "error_p95", "error_worst"})


def held_out_frame(
    predictions: Sequence[Mapping[str, Any]], outcomes: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """Put every measured run beside the prediction for its work and level.

    Parameters
    ----------
    predictions
        One a work and level: `work`, `data`, `level`, `predicted_s`, `low_s`, `high_s`, `prompt_tokens` and
        `completion_tokens` (medians of the draws).
    outcomes
        One a run: `work`, `level`, `repeat`, `measured_s`, and what it used, `measured_prompt_tokens` and
        `measured_completion_tokens`.

    Returns
    -------
    DataFrame
        One row a run, in the order of the predictions. `error`: predicted over measured seconds, less 1;
        `in_interval`: the run lies between the 2.5th and 97.5th percentiles of the draws.
    """
    told = pd.DataFrame(list(predictions))
    frame = told.merge(pd.DataFrame(list(outcomes)), on=["work", "level"], how="left")
    frame = frame[frame["measured_s"].notna()].reset_index(drop=True)
    return frame.assign(
        error=frame["predicted_s"] / frame["measured_s"] - 1,
        in_interval=frame["measured_s"].between(frame["low_s"], frame["high_s"]),
    )


def held_out_summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Errors over all predictions, each against the median of its runs, over all runs, and by level and data.

    Returns
    -------
    DataFrame
        One row a group: `of`, `n`, `bias` (mean error), `error_median`, `error_p95` and `error_worst` of the
        absolute error, and `is_met`: both within `TARGETS`.
    """
    each = frame.groupby(["work", "data", "level"], as_index=False, sort=False)[
        ["predicted_s", "measured_s"]
    ].median()
    each["error"] = each["predicted_s"] / each["measured_s"] - 1
    groups = [("predictions", each), ("runs", frame)]
    groups += [(f"predictions of {level}", part) for level, part in each.groupby("level", sort=False)]
    groups += [(f"predictions on {data}", part) for data, part in each.groupby("data", sort=False)]
    rows = []
    for of, part in groups:
        errors = {
            "error_median": float(part["error"].abs().median()),
            "error_p95": float(part["error"].abs().quantile(0.95)),
        }
        rows.append(
            {
                "of": of,
                "n": len(part),
                "bias": float(part["error"].mean()),
                **errors,
                "error_worst": float(part["error"].abs().max()),
                "is_met": all(errors[name] <= target for name, target in TARGETS.items()),
            }
        )
    return pd.DataFrame(rows)


def write_held_out(
    folder: Path, predictions: Sequence[Mapping[str, Any]], outcomes: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """Write `calibration.csv` (every run), `calibration.md` and the figure; returns the summary."""
    frame = held_out_frame(predictions, outcomes)
    write_text(folder / "calibration.csv", frame.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "calibration.md", held_out_markdown(frame))
    write_figure(folder / "figures", "held_out", held_out_figure(frame))
    return held_out_summary(frame)


def held_out_markdown(frame: pd.DataFrame) -> str:
    """The summary and every run, worst miss first."""
    runs = frame.reindex(frame["error"].abs().sort_values(ascending=False, kind="stable").index)
    columns = ["work", "level", "predicted_s", "low_s", "high_s", "measured_s", "error", "in_interval"]
    lines = [
        "# Held-out runs: predicted and measured",
        "",
        f"Simulated durations, predicted before the runs were made. Targets: median error within "
        f"{TARGETS['error_median']:.0%}, 95th percentile within {TARGETS['error_p95']:.0%}.",
        "",
        *_markdown(held_out_summary(frame)),
        "",
        "Every run:",
        "",
        *_markdown(runs[columns]),
    ]
    return "\n".join(lines) + "\n"


def write_fit(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write a fit's tables as CSV, `fit.md`, and the figure of calls and their residuals.

    Parameters
    ----------
    tables
        `calls` and those of `FIT_TABLES`, as `swarmlab.lab.calibrate_profile.fit_profile` gives them.
    """
    for name in FIT_TABLES:
        write_text(folder / f"{name}.csv", tables[name].to_csv(index=False, lineterminator="\n"))
    write_text(folder / "fit.md", fit_markdown(tables))
    write_figure(folder / "figures", "calls", calls_figure(tables["calls"]))


def fit_markdown(tables: Mapping[str, pd.DataFrame]) -> str:
    """The tables of a fit for reading."""
    lines = ["# The fit of a profile", ""]
    for name, title in FIT_TABLES.items():
        lines += [f"## {title}", "", *_markdown(tables[name]), ""]
    return "\n".join(lines)


def _markdown(frame: pd.DataFrame) -> list[str]:
    shown = display_calibration(frame)
    lines = [f"| {' | '.join(shown.columns)} |", "|" + " --- |" * len(shown.columns)]
    return lines + [f"| {' | '.join(row)} |" for row in shown.itertuples(index=False, name=None)]


def display_calibration(frame: pd.DataFrame) -> pd.DataFrame:
    """A table of a fit or of held-out runs as text: errors in per cent, seconds and tokens in digits."""
    return pd.DataFrame(
        {name.replace("_", " "): [_shown(name, value) for value in frame[name]] for name in frame.columns}
    )


def _shown(name: str, value: Any) -> str:
    if pd.isna(value):
        return "-"
    if isinstance(value, bool) or name in ("is_met", "in_interval"):
        return "yes" if value else "no"
    if name in _SHARES:
        return f"{value:+.1%}" if name in ("bias", "error") else f"{value:.1%}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
