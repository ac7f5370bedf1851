"""Runs cells: each one a papermill run of the notebook `10_run_level`.

Measured runs go one at a time, each in a kernel of its own. Simulated ones may go side by side, in kernels
that are kept. The truth about a run is its record, never the notebook's metadata; the notebook is put in
place whole, so a kill cannot damage an earlier result.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import joblib

import swarmlab
from swarmlab.agents.tool_runs import ToolAnswers
from swarmlab.errors import SpecError, StoreError, SwarmlabError, ToolError, TraceError
from swarmlab.lab.experiment import Cell
from swarmlab.lab.identity import identity
from swarmlab.lab.kernels import NotebookRun, execute, execute_chains
from swarmlab.lab.work import fact_store, known_of
from swarmlab.records.record import Record
from swarmlab.records.store import read_record, run_folder, write_run
from swarmlab.trace.io import read_spans

NOTEBOOK = "10_run_level.ipynb"
CELLS_A_KERNEL = 16
"""A further kernel and the process that drives it take as long to start as so many simulated runs take."""


def finished_record(cell: Cell) -> Record | None:
    """Return the record of this very cell if it is on disk and ok; failed runs are made again."""
    folder = _folder(cell)
    try:
        record = read_record(folder)
        if record is not None and record.status == "ok":
            read_spans(folder)
    except (StoreError, TraceError):
        # Without a readable record and trace a run is not finished: it is measured again.
        return None
    return record if record is not None and record.status == "ok" and record.cell_id == cell.cell_id else None


def check_jobs(cells: Sequence[Cell], n_jobs: int | None) -> int:
    """Return how many runs may go on at once.

    Parameters
    ----------
    n_jobs
        None for as many as pay: one for every `CELLS_A_KERNEL` simulated cells, up to the number of cores;
        and 1 where any cell is measured.

    Raises
    ------
    SpecError
        Under 1, or over 1 where a cell is measured.
    """
    measured = [cell for cell in cells if not cell.is_virtual]
    if n_jobs is None:
        return 1 if measured else max(1, min(joblib.cpu_count(), len(cells) // CELLS_A_KERNEL))
    if n_jobs < 1:
        raise SpecError(f"jobs must be at least 1, got {n_jobs}")
    if n_jobs > 1 and measured:
        raise SpecError(
            f"{n_jobs} jobs: runs with {measured[0].model} are measured and go one at a time, for they would "
            "slow each other; leave jobs out, or use a simulated model"
        )
    return n_jobs


def run_cells(cells: Sequence[Cell], n_jobs: int | None = None) -> Generator[Record, None, None]:
    """Run cells and yield each record as soon as it is there.

    Measured cells run one at a time, in their order. Simulated cells run side by side, a warm run after the
    cold one that fills its cache; no file depends on how many or in which order.

    Parameters
    ----------
    n_jobs
        As of `check_jobs`.

    Raises
    ------
    SpecError
        `n_jobs` is out of range.
    UserError
        The data of a simulated cell cannot be used, or have changed.
    StoreError
        A run's folder cannot be written.
    """
    n_jobs = check_jobs(cells, n_jobs)
    chains: dict[Path, list[Cell]] = {}
    for cell in cells:
        if cell.is_virtual:
            chains.setdefault(cell.cache_folder, []).append(cell)
        else:
            yield run_cell(cell)
    if not chains:
        return
    by_folder = {_folder(cell): cell for chain in chains.values() for cell in chain}
    first = next(iter(by_folder.values()))
    prepared = [_prepared(chain) for chain in chains.values()]
    with closing(execute_chains(prepared, n_jobs, meanwhile=lambda: _store_facts(first))) as ended:
        for run, problem in ended:
            yield _record(by_folder[run.output.parent], problem)


def run_cell(cell: Cell) -> Record:
    """Run one cell in a kernel of its own; a kernel that dies leaves a failed record."""
    (run,) = _prepared([cell])
    return _record(cell, execute(run))


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


def _folder(cell: Cell) -> Path:
    return run_folder(Path(cell.out), cell.level.name, cell.run_id)


def _prepared(cells: Iterable[Cell]) -> Iterator[NotebookRun]:
    """Make room for each cell's run, not before its turn."""
    notebook = find_notebook(NOTEBOOK)
    for cell in cells:
        folder = _folder(cell)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "record.json").unlink(missing_ok=True)  # of an earlier attempt that failed
        except OSError as error:
            raise StoreError(f"cannot write {folder}: {error.strerror or error}") from error
        parameters = {"cell": cell.model_dump(mode="json")}
        yield NotebookRun(notebook, folder / "run.ipynb", parameters, cell.timeout_s)


def _store_facts(cell: Cell) -> None:
    """Find out what is true of the data and what tools find, and leave it where simulated runs look first."""
    store = fact_store(Path(cell.out))
    try:
        dataset = known_of(cell, store).dataset
        answers = ToolAnswers(store, cell.code_version)
        for tool in cell.brief.plan:
            # A tool that cannot answer says so in the run, to whom it concerns.
            with suppress(ToolError):
                answers.get(dataset, tool, cell.brief.scope, "vectorized")
    finally:
        store.close()


def _record(cell: Cell, problem: str | None) -> Record:
    """Return the record that the run left, or write and return that of one which left none."""
    record = read_record(_folder(cell))
    if record is None:
        error = problem or "the run ended without a record"
        record = Record(**identity(cell), status="failed", error=error)
        write_run(Path(cell.out), record, [])
    return record
