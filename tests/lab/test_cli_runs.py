"""`swarmlab run` from parsing to tables, its cells measured in this process with a scripted model."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from lab_fakes import DATA, FakeChat
from typer.testing import CliRunner

from swarmlab import lab
from swarmlab.cli import app
from swarmlab.lab import Cell, api, measure
from swarmlab.records.record import Record


@pytest.fixture(autouse=True)
def _in_process(chat: FakeChat, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_cells(cells: Sequence[Cell], n_jobs: int | None) -> Iterator[Record]:
        yield from map(measure, cells)

    def check_model(spec: str, **_: Any) -> str:
        return spec

    monkeypatch.setattr(api, "run_cells", run_cells)
    monkeypatch.setattr(api, "check_model", check_model)


def _swarmlab(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return done.exit_code, done.output


def _run(out: Path, *options: str) -> tuple[int, str]:
    return _swarmlab("run", "--data", DATA, "--out", str(out), "--levels", "full", *options)


def test_a_run_ends_with_tables_and_a_report(tmp_path: Path) -> None:
    """Exit code 0; a line for each run, tables, files as the design lists them; seconds sum up."""
    code, output = _run(tmp_path)
    folder = tmp_path / "levels"
    assert code == 0, output
    assert "2 runs of 1 levels" in output
    assert "[2/2] full" in output
    assert "Comparison" in output
    assert "Where the time went" in output
    names = [
        "runs.parquet",
        "runs.csv",
        "spans.parquet",
        "comparison.csv",
        "comparison.md",
        "bottlenecks.csv",
    ]
    for name in [*names, "report.html", "manifest.json"]:
        assert (folder / name).is_file(), name
    assert list((folder / "figures").glob("*.png"))
    runs = pd.read_csv(folder / "runs.csv").set_index("run_id")
    parts = pd.read_csv(folder / "bottlenecks.csv").groupby("run_id")["exclusive_s"].sum()
    for run_id, seconds in runs["duration_s"].items():
        assert round(parts[run_id] * 1e9) == round(seconds * 1e9)


def test_only_what_is_missing_is_run(tmp_path: Path, chat: FakeChat) -> None:
    """The same command finds every run on disk and writes the same rows; more repeats run only those."""
    _run(tmp_path, "--cache", "cold")
    before, calls = (tmp_path / "levels" / "runs.csv").read_bytes(), len(chat.calls)
    code, output = _run(tmp_path, "--cache", "cold")
    assert code == 0
    assert output.count("(on disk already)") == 1
    assert (tmp_path / "levels" / "runs.csv").read_bytes() == before
    assert len(chat.calls) == calls
    code, output = _run(tmp_path, "--cache", "cold", "--repeats", "2")
    assert code == 0
    assert output.count("(on disk already)") == 1
    assert len(chat.calls) == 2 * calls
    assert len(pd.read_csv(tmp_path / "levels" / "runs.csv")) == 2


def test_a_fault_gives_failed_rows_and_exit_code_1(tmp_path: Path) -> None:
    """`--fault kpis`: the line, the table's row and the closing list say which tool failed."""
    code, output = _run(tmp_path, "--fault", "kpis", "--cache", "cold")
    assert code == 1
    assert "FAILED  tool kpis failed" in output
    assert "failed: full" in output
    runs = pd.read_csv(tmp_path / "levels" / "runs.csv")
    assert list(runs["status"]) == ["failed"]
    assert "kpis" in runs["error"][0]


def test_some_runs_failing_leaves_the_others_in_the_tables(tmp_path: Path, chat: FakeChat) -> None:
    """The first of two runs breaks: exit code 1 and both rows; then only that one is made again."""
    chat.fails_at = 3
    code, output = _run(tmp_path, "--cache", "cold", "--repeats", "2")
    assert code == 1
    assert "the fake failed at call 3" in output
    assert "Comparison" in output
    runs = pd.read_csv(tmp_path / "levels" / "runs.csv")
    assert sorted(runs["status"]) == ["failed", "ok"]
    code, output = _run(tmp_path, "--cache", "cold", "--repeats", "2")
    assert code == 0
    assert output.count("(on disk already)") == 1


def test_ctrl_c_between_runs_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt after the first of two runs: exit code 130, one clear line, tables of one run."""

    def interrupted(cells: Sequence[Cell], n_jobs: int | None) -> Iterator[Record]:
        yield measure(cells[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "run_cells", interrupted)
    code, output = _run(tmp_path)
    assert code == 130
    assert "interrupted: 1 of 2 runs are kept; the same command goes on" in output
    assert len(pd.read_csv(tmp_path / "levels" / "runs.csv")) == 1


def test_ctrl_c_before_the_first_run_is_clear_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no run done there is nothing to tabulate, and nothing breaks."""

    def interrupted(_: Sequence[Cell], n_jobs: int | None) -> Iterator[Record]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(api, "run_cells", interrupted)
    code, output = _run(tmp_path)
    assert code == 130
    assert "interrupted: 0 of 2" in output


def test_report_and_bottlenecks_read_what_a_run_left(tmp_path: Path) -> None:
    """`report` writes the tables anew, byte for byte; `bottlenecks` sums to the run's duration."""
    _run(tmp_path, "--cache", "cold")
    folder = tmp_path / "levels"
    before = (folder / "runs.csv").read_bytes()
    (folder / "runs.csv").unlink()
    code, _ = _swarmlab("report", str(folder))
    assert code == 0
    assert (folder / "runs.csv").read_bytes() == before
    (run,) = folder.glob("full/*")
    duration = json.loads((run / "record.json").read_text())["duration_s"]
    for path in (run, run / "spans.jsonl"):
        code, output = _swarmlab("bottlenecks", str(path), "--json")
        assert code == 0
        found = json.loads(output)
        assert found["wall_s"] == duration
        assert sum(found["exclusive_s"].values()) == pytest.approx(duration, abs=1e-9)
    code, output = _swarmlab("bottlenecks", str(run))
    assert code == 0
    assert "critical path" in output


async def test_arun_and_result_in_a_notebook(tmp_path: Path) -> None:
    """Under a running loop `arun` gives a result with frames, a report to read and a stable repr."""
    result = await lab.arun(levels=["full"], data=DATA, cache="cold", out=tmp_path, name="tiny")
    assert result.is_ok
    assert repr(result) == "<swarmlab.Result tiny: 1 of 1 runs ok>"
    assert "<table" in result._repr_html_()
    assert "## Decisions" in result.answer("full")
    assert len(lab.open_results(result.folder).runs) == 1
