"""Cells in kernels of their own: a failed record whatever breaks. Good runs are in test_real_runs."""

from pathlib import Path

import nbformat
import pytest
from lab_fakes import cell_of

from swarmlab.lab import Cell, runner
from swarmlab.lab.runner import finished_record, run_cell, run_cells
from swarmlab.records.record import Record
from swarmlab.records.store import read_record, run_folder


def _folder(cell: Cell) -> Path:
    return run_folder(Path(cell.out), cell.level.name, cell.run_id)


def _files(cell: Cell) -> set[str]:
    return {path.name for path in _folder(cell).iterdir()}


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notebook in the place of the shipped one, for a test to write."""
    path = tmp_path / "other.ipynb"
    monkeypatch.setattr(runner, "find_notebook", lambda _: path)
    return path


def _write(path: Path, source: str) -> None:
    parameters = nbformat.v4.new_code_cell("cell = {}", metadata={"tags": ["parameters"]})
    content = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(source)])
    content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(content, path)


def _is_failed_row(cell: Cell, record: Record) -> bool:
    same = read_record(_folder(cell)) == record and record.cell_id == cell.cell_id
    return same and record.status == "failed" and finished_record(cell) is None


def test_a_killed_kernel_is_a_failed_record_and_the_next_cell_runs(tmp_path: Path, notebook: Path) -> None:
    """Killed like by the out-of-memory killer: each cell has its row, and none stops the others."""
    _write(notebook, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    cells = [cell_of(tmp_path / "out", repeat=repeat) for repeat in range(2)]
    records = list(run_cells(cells))
    for cell, record in zip(cells, records, strict=True):
        assert _is_failed_row(cell, record)
        assert record.error == "the kernel died (killed, or out of memory)"


def test_a_run_over_its_time_is_a_failed_record(tmp_path: Path, notebook: Path) -> None:
    """A cell of a notebook that goes on for ever is stopped after `timeout_s`."""
    _write(notebook, "import threading\nthreading.Event().wait()")
    cell = cell_of(tmp_path / "out", timeout_s=1.0)
    record = run_cell(cell)
    assert _is_failed_row(cell, record)
    assert record.error == "timed out after 1 s"


def test_an_error_in_the_notebook_is_the_records_error(tmp_path: Path, notebook: Path) -> None:
    """The kind and message of what was raised are kept, and the notebook shows where."""
    _write(notebook, "from swarmlab.errors import DataError\nraise DataError('the shop is closed')")
    cell = cell_of(tmp_path / "out")
    record = run_cell(cell)
    assert _is_failed_row(cell, record)
    assert record.error == "DataError: the shop is closed"
    assert _files(cell) == {"run.ipynb", "record.json"}


def test_a_notebook_that_ends_without_a_record_is_a_failed_record(tmp_path: Path, notebook: Path) -> None:
    """A run is what its record says, not that its notebook came to the end."""
    _write(notebook, "cell['level']['name']")
    cell = cell_of(tmp_path / "out")
    record = run_cell(cell)
    assert _is_failed_row(cell, record)
    assert record.error == "the run ended without a record"


def test_a_record_of_another_cell_is_not_this_ones(tmp_path: Path) -> None:
    """A damaged record, or one of other code, is not taken for a finished run."""
    cell = cell_of(tmp_path / "out")
    _folder(cell).mkdir(parents=True)
    (_folder(cell) / "record.json").write_text("{", encoding="utf-8")
    assert finished_record(cell) is None
