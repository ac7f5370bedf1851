"""Predictions beside their outcomes: errors, misses included, and a plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from swarmlab.records.atomic import write_text
from swarmlab.records.interval import ratio_interval
from swarmlab.records.timing import MEASURED

__all__ = [
    "display_predictions",
    "error_summary",
    "outcomes_frame",
    "prediction_timing",
    "predictions_frame",
    "whatif_markdown",
    "write_outcomes",
]


def predictions_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a prediction: kind, base, changes, durations and interval in seconds, predicted_speedup."""
    frame = pd.DataFrame([{**row, "changes": " ".join(row["changes"])} for row in rows])
    return frame.drop(columns="assumptions", errors="ignore")


def outcomes_frame(
    predictions: Sequence[Mapping[str, Any]], outcomes: Mapping[str, Sequence[float]]
) -> pd.DataFrame:
    """Put predictions and outcomes side by side.

    Parameters
    ----------
    predictions
        As they were written before the runs that test them.
    outcomes
        Durations (s) by base (`none`) and by base and changes (`none workers=4`), one a block in order.

    Returns
    -------
    DataFrame
        One row a prediction. `outcome_s`: median duration; `base_again_s`: the base's in the same blocks.
        `speedup`: median over the blocks, with its 95 % interval. `error`: predicted over measured seconds,
        less 1. `error_speedup`: the same with each in units of its own base, which takes the machine's drift
        between the stages out and the spread of the base's runs in. `in_interval`: the outcome lies in the
        prediction's interval.
    """
    rows = []
    for told in predictions:
        base = outcomes[str(told["base"])]
        changed = outcomes[" ".join((str(told["base"]), *told["changes"]))]
        ratio = ratio_interval(list(base), list(changed))
        outcome_s = float(pd.Series(changed).median())
        low, high = told["low_s"], told["high_s"]
        # The duration is what the base takes now, over the predicted speed-up.
        drift = float(pd.Series(base).median()) / float(told["base_s"])
        rows.append(
            {
                **{name: told[name] for name in ("kind", "base")},
                "timing": told.get("timing", MEASURED),
                "changes": " ".join(told["changes"]),
                **{
                    name: told[name]
                    for name in ("base_s", "predicted_s", "low_s", "high_s", "predicted_speedup")
                },
                "n": len(changed),
                "base_again_s": float(pd.Series(base).median()),
                "outcome_s": outcome_s,
                "speedup": ratio.median,
                "speedup_low": ratio.low,
                "speedup_high": ratio.high,
                "error": float(told["predicted_s"]) / outcome_s - 1 if outcome_s else None,
                "error_speedup": _error(ratio.median, told["predicted_speedup"]),
                "drift": drift - 1,
                "in_interval": None if low is None or high is None else bool(low <= outcome_s <= high),
            }
        )
    return pd.DataFrame(rows)


def _error(speedup: float | None, predicted: float | None) -> float | None:
    """Predicted over measured duration, each in units of its base: the speed-ups the other way round."""
    return None if not speedup or not predicted else speedup / predicted - 1


def error_summary(frame: pd.DataFrame) -> dict[str, Any]:
    """Median and 95th percentile of the absolute errors, by kind and over all, with n.

    Measured and simulated outcomes are of different kinds, and of both there is no "all".
    """
    parts = {str(kind): part for kind, part in frame.groupby("kind")}
    if len(set(_timings(frame))) == 1:
        parts = {"all": frame, **parts}
    return {
        name: {
            "n": len(part),
            **{
                f"{which}_{label}": float(part[which].abs().quantile(share))
                for which in ("error", "error_speedup")
                for label, share in (("median", 0.5), ("p95", 0.95), ("worst", 1.0))
            },
        }
        for name, part in parts.items()
    }


def write_outcomes(
    folder: Path, predictions: Sequence[Mapping[str, Any]], outcomes: Mapping[str, Sequence[float]]
) -> pd.DataFrame:
    """Write `outcomes.csv` (every duration), `whatif.csv` and `whatif.md`; returns the table."""
    frame = outcomes_frame(predictions, outcomes)
    kinds = {
        name: told.get("timing", MEASURED)
        for told in predictions
        for name in (told["base"], " ".join((str(told["base"]), *told["changes"])))
    }
    each = [
        {"run": name, "block": block, "duration_s": duration, "timing": kinds[name]}
        for name, durations in outcomes.items()
        for block, duration in enumerate(durations)
    ]
    write_text(folder / "outcomes.csv", pd.DataFrame(each).to_csv(index=False, lineterminator="\n"))
    write_text(folder / "whatif.csv", frame.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "whatif.md", whatif_markdown(frame))
    return frame


def whatif_markdown(frame: pd.DataFrame) -> str:
    """The table for reading, worst miss first, with the errors' summary above it."""
    lines = [f"# Predictions and outcomes{prediction_timing(frame)}", ""]
    for name, told in error_summary(frame).items():
        lines.append(
            f"- {name}: {told['n']} predictions, absolute error median {told['error_median']:.1%}, "
            f"95th percentile {told['error_p95']:.1%}, worst {told['error_worst']:.1%} "
            f"(of the speed-up over the base run anew: {told['error_speedup_median']:.1%}, "
            f"{told['error_speedup_p95']:.1%}, {told['error_speedup_worst']:.1%})"
        )
    shown = display_predictions(frame)
    lines += ["", f"| {' | '.join(shown.columns)} |", "|" + " --- |" * len(shown.columns)]
    lines += [f"| {' | '.join(row)} |" for row in shown.itertuples(index=False, name=None)]
    return "\n".join(lines) + "\n"


def display_predictions(frame: pd.DataFrame) -> pd.DataFrame:
    """The table as text, tested or not, worst miss first where it is tested."""
    is_tested = "error" in frame
    if is_tested:
        frame = frame.reindex(frame["error"].abs().sort_values(ascending=False).index)
    base = frame["base_again_s"] if is_tested else frame["base_s"]
    columns: dict[str, list[str]] = {
        "kind": list(frame["kind"]),
        **({"timing": _timings(frame)} if prediction_timing(frame) else {}),
        "base": list(frame["base"]),
        "changes": list(frame["changes"]),
        "base, s": [f"{seconds:.3f}" for seconds in base],
        "predicted, s": [_with_interval(*row) for row in _columns(frame, "predicted_s", "low_s", "high_s")],
        "predicted x": [f"{ratio:.3f}" for ratio in frame["predicted_speedup"]],
    }
    if is_tested:
        ratios = _columns(frame, "speedup", "speedup_low", "speedup_high")
        columns |= {
            "outcome, s": [f"{seconds:.3f}" for seconds in frame["outcome_s"]],
            "n": [str(n) for n in frame["n"]],
            f"{'outcome' if prediction_timing(frame) else 'measured'} x [95 %]": [
                _with_interval(*row) for row in ratios
            ],
            "error": [f"{error:+.1%}" for error in frame["error"]],
        }
    return pd.DataFrame(columns)


def prediction_timing(frame: pd.DataFrame) -> str:
    """Return " (simulated: PROFILE)" for a title over simulated durations; nothing where all are measured."""
    kinds = sorted(set(_timings(frame)))
    return "" if kinds in ([], [MEASURED]) else f" ({'; '.join(kinds)})"


def _timings(frame: pd.DataFrame) -> list[str]:
    # Predictions of before simulations were possible do not say it.
    return list(frame["timing"].fillna(MEASURED)) if "timing" in frame else [MEASURED] * len(frame)


def _columns(frame: pd.DataFrame, *names: str) -> list[tuple[float, ...]]:
    return list(frame[list(names)].astype("float64").itertuples(index=False, name=None))


def _with_interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f}" if pd.isna(low) or pd.isna(high) else f"{value:.3f} [{low:.3f}, {high:.3f}]"
