"""Cells in kernels of their own or kept: a failed record whatever breaks; good ones are in test_real_runs."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest
from lab_fakes import DATA, cell_of

from swarmlab.errors import SpecError
from swarmlab.lab import Cell, api, run, runner
from swarmlab.lab.kernels import KeptKernel, NotebookRun, execute
from swarmlab.lab.runner import CELLS_A_KERNEL, check_jobs, finished_record, run_cell, run_cells
from swarmlab.records.manifest import read_manifest
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


SIMULATED = "simulated:embedded-2core"
_SEEN = """
import os
from pathlib import Path
assert "left_over" not in globals()
left_over = 1
name = f"{cell['level']['name']}-{cell['cache_state']}-{cell['repeat']}"
with (Path(cell["out"]) / "seen").open("a") as seen:
    seen.write(f"{name} {os.getpid()}\\n")
"""
"""A notebook that says which cell ran in which kernel, and fails where another's names are left."""


def _simulated(out: Path, levels: tuple[str, ...], states: tuple[str, ...] = ("cold",)) -> list[Cell]:
    return [
        cell_of(out, level=level, model=SIMULATED, cache_state=state) for level in levels for state in states
    ]


def _seen(out: Path) -> list[list[str]]:
    return [line.split() for line in (out / "seen").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_simulated_cells_share_kernels_and_no_names(tmp_path: Path, notebook: Path, n_jobs: int) -> None:
    """No more kernels than jobs, a warm run after its cold one, and every notebook starts clean."""
    _write(notebook, _SEEN)
    cells = _simulated(tmp_path, ("none", "partial", "full"), ("cold", "warm"))
    records = list(run_cells(cells, n_jobs))
    assert {record.error for record in records} == {"the run ended without a record"}
    assert sorted(record.run_id for record in records) == sorted(cell.run_id for cell in cells)
    seen = _seen(tmp_path)
    assert len({kernel for _, kernel in seen}) <= n_jobs
    names = [name for name, _ in seen]
    for level in ("none", "partial", "full"):
        assert names.index(f"{level}-cold-0") < names.index(f"{level}-warm-0")
    counts = {
        tuple(c.get("execution_count") for c in nbformat.read(_folder(cell) / "run.ipynb", 4).cells)
        for cell in cells
    }
    assert counts == {(1, 2, 3)}


def test_measured_cells_have_a_kernel_each(tmp_path: Path, notebook: Path) -> None:
    """What a measured run finds in memory is never what another left there."""
    _write(notebook, _SEEN)
    list(run_cells([cell_of(tmp_path, repeat=repeat) for repeat in range(2)]))
    assert len({kernel for _, kernel in _seen(tmp_path)}) == 2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_kept_kernel_that_dies_costs_one_cell(tmp_path: Path, notebook: Path, n_jobs: int) -> None:
    """The cell has its failed row, and the next ones run in a new kernel."""
    _write(
        notebook, _SEEN + "\nimport signal\nif name == 'none-cold-0': os.kill(os.getpid(), signal.SIGKILL)"
    )
    cells = _simulated(tmp_path, ("none", "partial", "full"), ("cold", "warm"))
    errors = {f"{r.level}-{r.cache_state}-{r.repeat}": r.error for r in run_cells(cells, n_jobs)}
    assert errors.pop("none-cold-0") == "the kernel died (killed, or out of memory)"
    assert list(errors.values()) == ["the run ended without a record"] * 5
    (dead,) = (kernel for name, kernel in _seen(tmp_path) if name == "none-cold-0")
    after = [name for name, kernel in _seen(tmp_path) if kernel == dead]
    assert after[-1] == "none-cold-0"


def test_a_kept_kernel_is_replaced_after_a_cell_that_failed(tmp_path: Path, notebook: Path) -> None:
    """What a failed or endless notebook left in memory reaches no other."""
    hang = "import threading\nif name == 'partial-cold-0': threading.Event().wait()"
    _write(notebook, f"{_SEEN}\nassert name != 'none-cold-0', 'bad'\n{hang}")
    cells = [
        cell.model_copy(update={"timeout_s": 2.0})
        for cell in _simulated(tmp_path, ("none", "partial", "full"), ("cold",))
    ]
    errors = [record.error for record in run_cells(cells, 1)]
    assert errors == ["AssertionError: bad", "timed out after 2 s", "the run ended without a record"]
    assert len({kernel for _, kernel in _seen(tmp_path)}) == 3


def test_only_simulated_runs_go_side_by_side(tmp_path: Path) -> None:
    """Two jobs are refused where a model is measured, and so are none; cores are the simulation's default."""
    measured, simulated = [cell_of(tmp_path)], _simulated(tmp_path, ("full",))
    with pytest.raises(SpecError, match="one at a time"):
        check_jobs(measured, 2)
    with pytest.raises(SpecError, match="at least 1"):
        check_jobs(simulated, 0)
    assert check_jobs(measured, None) == check_jobs(measured + simulated, None) == 1
    assert check_jobs(simulated, 7) == 7


def test_a_second_kernel_is_started_where_it_pays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default a few runs share one kernel, and many have as many as there are cores."""
    monkeypatch.setattr(runner.joblib, "cpu_count", lambda: 3)
    few, many = (_simulated(tmp_path, ("full",)) * n for n in (8, 1000))
    assert check_jobs(few, None) == 1
    assert check_jobs(many[: 2 * CELLS_A_KERNEL], None) == 2
    assert check_jobs(many, None) == 3


def test_tables_are_the_same_from_one_process_and_from_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal simulated experiments leave equal bytes, however many runs went on at once."""
    # Also where somebody saves a source file between the two.
    version = api.code_version()
    monkeypatch.setattr(api, "code_version", lambda: version)
    for n_jobs in (1, 2):
        result = run(
            levels=["full", "partial"], data=DATA, model=SIMULATED, out=tmp_path / str(n_jobs), n_jobs=n_jobs
        )
        assert result.is_ok
        assert len(result.runs) == 4
        assert set(result.runs["clock"]) == {"virtual"}
    for name in ("runs.csv", "spans.parquet", "bottlenecks.csv", "comparison.csv", "steps.csv"):
        one, two = ((tmp_path / n_jobs / "levels" / name).read_bytes() for n_jobs in ("1", "2"))
        assert one == two
    assert read_manifest(tmp_path / "1" / "levels")["clock"] == "virtual"


_INTERRUPTED = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from lab_fakes import DATA, cell_of
from swarmlab.lab import runner
runner.find_notebook = lambda _: Path({notebook!r})
cells = [cell_of(Path({out!r}), level=level, model={model!r}) for level in ("none", "partial", "full")]
for _ in runner.run_cells(cells, {n_jobs}):
    pass
"""


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_leaves_no_process_behind(tmp_path: Path, notebook: Path, n_jobs: int) -> None:
    """Interrupted while its kernels work, a process ends and takes its workers and their kernels with it."""
    begun = "import threading\nprint(flush=True)\nthreading.Event().wait()"
    _write(notebook, f"{_SEEN}\n(Path(cell['out']) / f'begun-{{name}}').touch()\n{begun}")
    script = _INTERRUPTED.format(
        tests=str(Path(__file__).parent), notebook=str(notebook), out=str(tmp_path), model=SIMULATED,
        n_jobs=n_jobs,
    )  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_for(lambda: len(list(tmp_path.glob("begun-*"))) == n_jobs, process)
        family = psutil.Process(process.pid).children(recursive=True)
        kernels = {int(kernel) for _, kernel in _seen(tmp_path)}
        assert kernels <= {member.pid for member in family}
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=30) != 0
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _wait_for(is_so: Callable[[], bool], process: "subprocess.Popen[str]", most_s: float = 60.0) -> None:
    """Look every tenth of a second, for there is nothing here that a kernel could signal."""
    for _ in range(int(most_s * 10)):
        if is_so():
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
            break
    pytest.fail(f"it did not come to that: {process.poll()}")


@pytest.mark.parametrize("is_kept", [False, True])
def test_a_line_printed_in_pieces_is_one_output(tmp_path: Path, is_kept: bool) -> None:
    """How a kernel cuts what is printed into messages does not show in the notebook."""
    source = "import time\nfor piece in ('level', ' full', '\\n'):\n    print(piece, end='', flush=True)"
    _write(tmp_path / "in.ipynb", source + "\n    time.sleep(0.3)")
    asked = NotebookRun(tmp_path / "in.ipynb", tmp_path / "out.ipynb", {}, 60.0)
    kept = KeptKernel(tmp_path) if is_kept else None
    try:
        assert execute(asked, kept) is None
    finally:
        if kept is not None:
            kept.close()
    outputs = nbformat.read(tmp_path / "out.ipynb", 4).cells[-1].outputs
    assert [dict(output) for output in outputs] == [
        {"name": "stdout", "output_type": "stream", "text": "level full\n"}
    ]
