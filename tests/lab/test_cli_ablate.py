"""`swarmlab ablate` from parsing to the ledger, its cells measured in this process with a scripted model."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from lab_fakes import DATA, FakeChat
from typer.testing import CliRunner

from swarmlab.cli import app
from swarmlab.errors import SpecError, StoreError
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


def _ablate(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["ablate", *arguments], catch_exceptions=False)
    return done.exit_code, done.output


def test_ablate_runs_and_shows_the_ledger(tmp_path: Path) -> None:
    """Only what is missing is run; the ledger is shown, and again for the folder, as a table and as JSON."""
    small = ("--base", "partial", "--target", "none", "--factors", "tool_schedule+tool_impl,cache")
    options = (*small, "--repeats", "1", "--data", DATA, "--out", str(tmp_path))
    code, output = _ablate(*options)
    assert code == 0, output
    assert "4 runs of 4 levels" in output
    for text in ("Ablation ledger: cold cache", "tool_schedule+tool_impl", "Interactions", "report.html"):
        assert text in output
    code, output = _ablate(*options, "--json")
    (found,) = json.loads(output)
    seconds = found["metrics"]["duration_s"]
    credits = [row["estimate"] for row in seconds["credits"].values()]
    assert sum(credits) == pytest.approx(seconds["total"]["estimate"])
    assert _ablate(str(tmp_path / "ablation"), "--json") == (0, output)
    assert "Ablation ledger" in _ablate(str(tmp_path / "ablation"))[1]


def test_a_failed_level_is_told_with_exit_code_1(tmp_path: Path, chat: FakeChat) -> None:
    """Without a success of each level there is no sum, and the line says which is missing."""
    chat.fails_at = 1
    small = ("--base", "partial", "--target", "none", "--factors", "tool_schedule+tool_impl,cache")
    code, output = _ablate(*small, "--repeats", "1", "--data", DATA, "--out", str(tmp_path))
    assert code == 1
    assert "No ledger without" in output
    assert "failed: " in output


def test_a_folder_of_no_ablation_and_factors_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """Each is an error that says what to do."""
    with pytest.raises(StoreError, match="no published results"):
        _ablate(str(tmp_path))
    with pytest.raises(SpecError, match="the factors leave out context"):
        _ablate("--target", "none", "--factors", "roster", "--data", DATA, "--out", str(tmp_path))
