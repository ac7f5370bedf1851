"""Runs cells: each one a papermill run of the notebook `10_run_level` in a kernel process of its own.

The truth about a run is its record, never the notebook's metadata. The notebook is written under a temporary
name and put in place whole, so a kill cannot damage an earlier result.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import papermill
from joblib import Parallel, delayed
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillException, PapermillExecutionError

import swarmlab
from swarmlab.errors import StoreError, SwarmlabError, TraceError
from swarmlab.lab.experiment import Cell
from swarmlab.lab.identity import identity
from swarmlab.records.record import Record
from swarmlab.records.store import read_record, run_folder, write_run
from swarmlab.trace.io import read_spans

NOTEBOOK = "10_run_level.ipynb"
KERNEL_START_S = 120


def finished_record(cell: Cell) -> Record | None:
    """Return the record of this very cell if it is on disk and ok; failed runs are made again."""
    folder = run_folder(Path(cell.out), cell.level.name, cell.run_id)
    try:
        record = read_record(folder)
        if record is not None and record.status == "ok":
            read_spans(folder)
    except (StoreError, TraceError):
        # Without a readable record and trace a run is not finished: it is measured again.
        return None
    return record if record is not None and record.status == "ok" and record.cell_id == cell.cell_id else None


def run_cells(cells: Sequence[Cell]) -> Iterator[Record]:
    """Run cells one at a time, as wall-clock cells must be, and yield each record as soon as it is there."""
    yield from Parallel(n_jobs=1, return_as="generator")(delayed(run_cell)(cell) for cell in cells)


def run_cell(cell: Cell) -> Record:
    """Run one cell in a kernel of its own; a kernel that dies leaves a failed record."""
    folder = run_folder(Path(cell.out), cell.level.name, cell.run_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "record.json").unlink(missing_ok=True)  # of an earlier attempt that failed
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror or error}") from error
    problem = _execute(cell, folder)
    record = read_record(folder)
    if record is None:
        record = _failed(cell, problem or "the run ended without a record")
        write_run(Path(cell.out), record, [])
    return record


def find_notebook(name: str) -> Path:
    """Find a shipped notebook: in the installed package, or in the checkout beside it.

    Raises
    ------
    SwarmlabError
        Neither place has it.
    """
    package = Path(swarmlab.__file__).parent
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if (folder / name).is_file():
            return folder / name
    raise SwarmlabError(f"notebook {name} is not installed; install swarmlab from its checkout with pip -e")


def _execute(cell: Cell, folder: Path) -> str | None:
    """Execute the notebook; returns what went wrong, or None."""
    temporary = folder / f".run-{os.getpid()}.ipynb"
    problem = None
    try:
        papermill.execute_notebook(
            find_notebook(NOTEBOOK),
            str(temporary),
            parameters={"cell": cell.model_dump(mode="json")},
            kernel_name="python3",
            progress_bar=False,
            start_timeout=KERNEL_START_S,
            execution_timeout=cell.timeout_s,
            # The kernel's own warnings (a loopback connection is not encrypted) are not about the run.
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
    except PapermillExecutionError as error:
        problem = f"{error.ename}: {error.evalue}"
    except CellTimeoutError:
        problem = f"timed out after {cell.timeout_s:g} s"
    except DeadKernelError:
        problem = "the kernel died (killed, or out of memory)"
    except (PapermillException, RuntimeError) as error:
        problem = f"the notebook could not be run: {error}"
    finally:
        if temporary.exists():
            os.replace(temporary, folder / "run.ipynb")
    return problem


def _failed(cell: Cell, error: str) -> Record:
    return Record(**identity(cell), status="failed", error=error)
