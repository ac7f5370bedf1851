"""A run's identity: known before it is measured, so that a run that died counts against its level."""

from datetime import UTC, datetime
from pathlib import Path

from lab_fakes import cell_of

from swarmlab.data import open_dataset
from swarmlab.lab import Cell, Spec
from swarmlab.lab.identity import identity
from swarmlab.lab.publish import write_plan
from swarmlab.records.collect import collect
from swarmlab.records.record import Record
from swarmlab.records.store import write_run
from swarmlab.trace.spans import Span


def _write_ok(cell: Cell) -> None:
    span = Span("s1", None, (), "framework", "run", None, 0, 5)
    record = Record(**identity(cell), status="ok", wall_ns=5, started_at=datetime(2001, 1, 1, tzinfo=UTC))
    write_run(Path(cell.out), record, [span])


def test_a_run_that_died_counts_against_its_level(tmp_path: Path) -> None:
    """A record made without a measurement lands in the same row of the comparison as its level's others."""
    cell = cell_of(tmp_path)
    _write_ok(cell)
    died = cell.model_copy(update={"repeat": 1})
    write_run(tmp_path, Record(**identity(died), status="failed", error="the kernel died"), [])
    (row,) = collect(tmp_path)["comparison"].to_dict("records")
    assert (row["attempted"], row["succeeded"]) == (2, 1)


def test_results_of_another_setting_are_set_aside_not_lost(tmp_path: Path) -> None:
    """A plan with another seed moves the earlier tables; the earlier runs stay where they are."""
    first = cell_of(tmp_path)
    second = cell_of(tmp_path, seed=1)
    dataset = open_dataset(first.data)
    for cell in (first, second):
        write_plan(tmp_path, Spec(seed=cell.seed), dataset, [cell])
        _write_ok(cell)
        collect(tmp_path)
    aside = tmp_path / ".earlier" / first.setting_id
    assert first.run_id in (aside / "runs.csv").read_text()
    assert first.run_id not in (tmp_path / "runs.csv").read_text()
    assert (tmp_path / "full" / first.run_id / "record.json").exists()
