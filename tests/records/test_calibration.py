"""Calibration tables: errors against known ones, the verdict against the targets, and readable files."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.records.calibration import (
    FIT_TABLES,
    TARGETS,
    display_calibration,
    held_out_frame,
    held_out_markdown,
    held_out_summary,
    write_fit,
    write_held_out,
)


def _predictions(n: int = 2) -> list[dict[str, Any]]:
    """Works that are all predicted to take 10 s, between 9 and 11."""
    return [
        {
            "work": f"work-{place}",
            "data": "grocery" if place % 2 else "beverage:1000",
            "level": level,
            "predicted_s": 10.0,
            "low_s": 9.0,
            "high_s": 11.0,
            "prompt_tokens": 1000.0,
            "completion_tokens": 100.0,
        }
        for place in range(n)
        for level in ("none", "full")
    ]


def _outcomes(seconds: list[float]) -> list[dict[str, Any]]:
    """A run a prediction, in their order."""
    return [
        {"work": told["work"], "level": told["level"], "repeat": 0, "measured_s": measured}
        for told, measured in zip(_predictions(len(seconds) // 2), seconds, strict=True)
    ]


def test_errors_are_of_the_prediction_over_the_measurement() -> None:
    """A prediction of 10 s for 8 s is 25 % too long and outside 9 to 11 s; for 10 s it is right."""
    frame = held_out_frame(_predictions(), _outcomes([8, 10, 10, 12.5]))
    assert frame["error"].tolist() == pytest.approx([0.25, 0, 0, -0.2])
    assert frame["in_interval"].tolist() == [False, True, True, False]


def test_a_prediction_without_a_run_has_no_error() -> None:
    """What was not measured is left out, not counted as right."""
    assert len(held_out_frame(_predictions(), _outcomes([8, 10, 10, 12.5])[:1])) == 1


def test_repeats_are_judged_by_their_median() -> None:
    """Two runs of 9 and 11 s make a prediction of 10 s right, though each run is off."""
    runs = _outcomes([9, 10, 10, 10]) + _outcomes([11, 10, 10, 10])
    summary = held_out_summary(held_out_frame(_predictions(), runs)).set_index("of")
    assert summary.loc["predictions", "error_worst"] == pytest.approx(0)
    assert summary.loc["runs", "error_worst"] == pytest.approx(10 / 9 - 1)
    assert summary.loc["runs", "n"] == 8


@given(st.lists(st.floats(5, 20), min_size=8, max_size=8))
def test_the_verdict_is_that_of_the_targets(seconds: list[float]) -> None:
    """Met means both the median and the 95th percentile are within their targets, in every group."""
    summary = held_out_summary(held_out_frame(_predictions(4), _outcomes(seconds)))
    for row in summary.to_dict("records"):
        within = all(row[name] <= target for name, target in TARGETS.items())
        assert row["is_met"] == within
        assert row["error_median"] <= row["error_p95"] + 1e-12 <= row["error_worst"] + 2e-12
    assert {"predictions of none", "predictions on grocery"} <= set(summary["of"])


def test_held_out_runs_are_written_with_every_error(tmp_path: Path) -> None:
    """The CSV has every run, the text says that predictions are simulated and puts the worst miss first."""
    summary = write_held_out(tmp_path, _predictions(), _outcomes([8, 10, 10, 12.5]))
    assert len(pd.read_csv(tmp_path / "calibration.csv")) == 4
    text = (tmp_path / "calibration.md").read_text(encoding="utf-8")
    runs = text.partition("Every run:")[2].strip().splitlines()
    assert "+25.0%" in runs[2]
    assert "Simulated durations" in text
    assert (tmp_path / "figures" / "held_out.svg").exists()
    assert not summary.set_index("of").loc["predictions", "is_met"]
    assert held_out_markdown(held_out_frame(_predictions(), _outcomes([10] * 4))).count("yes") > 4


def test_a_fit_is_written_with_its_residuals(tmp_path: Path) -> None:
    """Every table becomes a CSV and a part of the text; the figure of the calls is the same bytes again."""
    calls = pd.DataFrame(
        {
            "purpose": ["draft", "decide", "choose"],
            "prefill_tokens": [500, 40, 90],
            "cached_tokens": [0, 79, 0],
            "decode_tokens": [80, 1, 9],
            "prefill_s": [1.6, 0.15, 0.3],
            "prefill_fit_s": [1.5, 0.16, 0.3],
            "decode_s": [1.2, 0.001, 0.1],
            "decode_fit_s": [1.25, 0.0, 0.1],
        }
    )
    table = pd.DataFrame([{"of": "all calls", "phase": "both", "n": 3, "bias": -0.012, "error_median": 0.05}])
    tables = {"calls": calls, **dict.fromkeys(FIT_TABLES, table)}
    write_fit(tmp_path, tables)
    assert {path.stem for path in tmp_path.glob("*.csv")} == set(FIT_TABLES)
    text = (tmp_path / "fit.md").read_text(encoding="utf-8")
    assert text.count("| all calls | both | 3 | -1.2% | 5.0% |") == len(FIT_TABLES)
    first = (tmp_path / "figures" / "calls.svg").read_bytes()
    write_fit(tmp_path, tables)
    assert (tmp_path / "figures" / "calls.svg").read_bytes() == first


def test_tables_read_as_text() -> None:
    """Shares are per cent with a sign where they have one, verdicts are words, what is missing is a dash."""
    frame = pd.DataFrame(
        {"bias": [0.015], "error_p95": [0.1], "is_met": [True], "r2": [float("nan")], "n": [3]}
    )
    assert display_calibration(frame).iloc[0].tolist() == ["+1.5%", "10.0%", "yes", "-", "3"]
