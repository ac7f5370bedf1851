"""An experiment's results as data frames and figures."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.table import Table

from swarmlab.errors import StoreError
from swarmlab.lab.experiment import Cell
from swarmlab.lab.publish import publish
from swarmlab.records.collect import read_tables
from swarmlab.records.ledger_text import render_ledger
from swarmlab.records.plots import PLOTS, PlotOptions
from swarmlab.records.published import load_study
from swarmlab.records.record import Record
from swarmlab.records.render import display_steps, frame_table, render_breakdown, render_table
from swarmlab.records.store import StoredRun, read_record, read_records, run_folder
from swarmlab.records.tables import build_tables
from swarmlab.records.timing import titled
from swarmlab.trace.io import read_spans


@dataclass(frozen=True)
class Result:
    """Results of an experiment; everything in it was read from `folder`."""

    folder: Path
    tables: Mapping[str, pd.DataFrame]
    failed: tuple[Record, ...] = ()
    """Runs of the plan that did not succeed."""
    n_apart: int = 0
    """Runs in the folder of other data, model, brief or code; they are in no table."""

    @property
    def is_ok(self) -> bool:
        """Every run in the tables succeeded."""
        return bool((self.runs["status"] == "ok").all())

    @property
    def runs(self) -> pd.DataFrame:
        """One row a run, failed ones too."""
        return self.tables["runs"]

    @property
    def comparison(self) -> pd.DataFrame:
        """One row a level and cache state, quality and failures beside speed."""
        return self.tables["comparison"]

    @property
    def bottlenecks(self) -> pd.DataFrame:
        """Ten rows a run, one a category of time."""
        return self.tables["bottlenecks"]

    def figure(self, name: str, run_id: str | None = None) -> Figure:
        """Draw one of `PLOTS`; a `gantt` is of `run_id`, or of a run that it chooses."""
        return PLOTS[name](self.tables, PlotOptions(run_id=run_id))

    def answer(self, level: str) -> str:
        """The report (Markdown) of the level's first run that succeeded.

        Raises
        ------
        StoreError
            No run of that level succeeded, or its answer was not kept (as in a reference).
        """
        ok = self.runs[(self.runs["level"] == level) & (self.runs["status"] == "ok")]
        for run_id in ok["run_id"]:
            path = run_folder(self.folder, level, run_id) / "answer.md"
            if path.is_file():
                return path.read_text(encoding="utf-8")
        raise StoreError(f"{self.folder} holds no answer of level {level!r}")

    def terminal_tables(self) -> Sequence[Table]:
        """The comparison, the breakdown by category and by step, an ablation's ledger, for `rich`."""
        return (
            render_table(self.comparison, title=titled("Comparison", self.runs)),
            render_breakdown(
                self.tables["breakdown"], title=titled("Where the time went, exclusive seconds", self.runs)
            ),
            frame_table(
                display_steps(self.tables["steps"]),
                title=titled("What the time was for, exclusive seconds", self.runs),
            ),
            *render_ledger(self.tables["ledger"]),
        )

    def __repr__(self) -> str:
        succeeded = int((self.runs["status"] == "ok").sum())
        ran = f"{succeeded} of {len(self.runs)} runs ok"
        return f"<swarmlab.Result {self.folder.name}: {titled(ran, self.runs)}>"

    def _repr_html_(self) -> str:
        shown = self.comparison[_SHOWN].to_html(index=False, table_id="swarmlab-comparison", border=0)
        return f"<p>{html.escape(repr(self))}</p>{shown}"


_SHOWN = [
    "kind",
    "level",
    "cache_state",
    "succeeded",
    "attempted",
    "duration_median_s",
    "ratio",
    "ratio_low",
    "ratio_high",
    "total_tokens",
    "n_agents",
    "fact_coverage",
    "decision_accuracy",
]


def run_figure(cell: Cell) -> Figure:
    """Draw one measured cell's run as a timeline, one lane an agent.

    Raises
    ------
    StoreError, TraceError
        The run is not on disk, or its trace cannot be read.
    """
    folder = run_folder(Path(cell.out), cell.level.name, cell.run_id)
    record = read_record(folder)
    if record is None:
        raise StoreError(f"{folder} holds no finished run")
    stored = StoredRun(folder, record, tuple(read_spans(folder)))
    return PLOTS["gantt"](build_tables([stored]), PlotOptions(run_id=cell.run_id))


def open_results(folder: str | Path) -> Result:
    """Read an experiment's published tables; writes nothing.

    Raises
    ------
    StoreError
        There are no tables at `folder`, or they cannot be read.
    """
    return Result(Path(folder), read_tables(Path(folder), load_study()))


def republish(folder: str | Path) -> Result:
    """Write an experiment's tables, figures and report anew from its run folders.

    Raises
    ------
    StoreError
        There is no such folder, or it cannot be read or written.
    """
    tables = publish(Path(folder))
    listed = set(tables["runs"]["run_id"])
    records = read_records(Path(folder))
    failed = tuple(record for record in records if record.status != "ok" and record.run_id in listed)
    return Result(Path(folder), tables, failed, n_apart=len(records) - len(listed))
