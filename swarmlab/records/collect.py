"""Rebuild an experiment's tables from its run folders: the same folders give the same bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from swarmlab.errors import StoreError
from swarmlab.records.atomic import replacing, write_text
from swarmlab.records.design import design_of
from swarmlab.records.ledger_text import ledger_markdown
from swarmlab.records.manifest import read_manifest
from swarmlab.records.published import SourceStudy
from swarmlab.records.record import NS_PER_S, Record, column_kinds, seconds_text
from swarmlab.records.render import comparison_markdown
from swarmlab.records.store import StoredRun, read_runs
from swarmlab.records.tables import (
    SPAN_COLUMNS,
    build_tables,
    derive_tables,
    typed_runs,
    typed_spans,
)

__all__ = ["collect", "csv_text", "read_tables"]

_ARROW = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "datetime": pa.timestamp("us", tz="UTC"),
    "text": pa.string(),
}
_SPANS = pa.schema(
    [
        *((name, pa.string()) for name in ("run_id", "span_id", "parent_id")),
        ("links", pa.list_(pa.string())),
        *((name, pa.string()) for name in ("category", "name", "agent")),
        ("start_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("cached", pa.bool_()),
        ("attempt", pa.int64()),
        ("status", pa.string()),
        ("key", pa.string()),
        ("reads", pa.list_(pa.string())),
        ("tokens", pa.int64()),
        ("repeated_tokens", pa.int64()),
    ]
)


def collect(experiment_dir: Path, study: SourceStudy | None = None) -> dict[str, pd.DataFrame]:
    """Write the tables: runs and spans as Parquet; runs, bottlenecks, comparison, steps and ledger as CSV.

    Parameters
    ----------
    experiment_dir
        The results folder. Its run folders are the input; its manifest says which code they must be of, and
        the design of an ablation.
    study
        The published study, whose rows stand beside ours; None leaves them out.

    Returns
    -------
    dict
        The tables by name.

    Raises
    ------
    StoreError
        There is no such folder, it cannot be written, or its manifest cannot be read.
    TraceError
        A run's spans are malformed.
    """
    manifest = read_manifest(experiment_dir)
    runs = runs_of(experiment_dir, manifest)
    if not runs:
        raise StoreError(f"no runs to report at {experiment_dir}; name an experiment's results folder")
    tables = build_tables(runs, study, design_of(manifest))
    runs_schema = pa.schema([(name, _ARROW[kind]) for name, kind in column_kinds().items()])
    _write_parquet(experiment_dir / "runs.parquet", tables["runs"], runs_schema)
    _write_parquet(experiment_dir / "spans.parquet", tables["spans"], _SPANS)
    for name in ("runs", "bottlenecks", "comparison", "steps"):
        write_text(experiment_dir / f"{name}.csv", csv_text(tables[name]))
    write_text(experiment_dir / "comparison.md", comparison_markdown(tables["comparison"]))
    _write_ledger(experiment_dir, tables["ledger"])
    return tables


def read_tables(experiment_dir: Path, study: SourceStudy | None = None) -> dict[str, pd.DataFrame]:
    """Read runs.parquet and spans.parquet and make the other tables from them; writes nothing.

    The run folders are not needed, so results that were published without them can be read too.

    Parameters
    ----------
    experiment_dir
        The results folder.
    study
        The published study, whose rows stand beside ours; None leaves them out.

    Returns
    -------
    dict
        The tables by name, as `collect` returns them.

    Raises
    ------
    StoreError
        A file is missing or cannot be read; names it.
    """
    runs = _read_parquet(experiment_dir / "runs.parquet", list(column_kinds()))
    spans = _read_parquet(experiment_dir / "spans.parquet", list(SPAN_COLUMNS))
    design = design_of(read_manifest(experiment_dir))
    return derive_tables(typed_runs(runs), typed_spans(spans), study, design)


def runs_of(experiment_dir: Path, manifest: Mapping[str, Any]) -> list[StoredRun]:
    """Read the runs of the manifest's setting (data, brief, model, code, seed) and its levels' switches.

    Of an ablation only the levels of its design, for the folder may hold runs of another one. Other runs
    stay on disk but are in no table, for they cannot be compared with these. What the manifest or a record
    does not say leaves nothing out, so an unreadable run stays a row.
    """
    setting, levels = manifest.get("setting_id"), manifest.get("levels", {})

    def belongs(record: Record) -> bool:
        same_setting = setting is None or record.setting_id in (None, setting)
        if "design" in manifest and record.level not in levels:
            return False
        return same_setting and record.level_id in (None, levels.get(record.level, record.level_id))

    return [run for run in read_runs(experiment_dir) if belongs(run.record)]


def csv_text(frame: pd.DataFrame) -> str:
    """Print a frame as CSV: missing is empty, and seconds have nine decimals, exact to the nanosecond.

    Parameters
    ----------
    frame
        Any table of this room. Columns named `…_s` hold seconds (not rates, `…_per_s`).
    """
    printed = frame.copy()
    for name in frame.columns:
        if str(name).endswith("_s") and not str(name).endswith("_per_s"):
            printed[name] = [_seconds(value) for value in frame[name]]
        elif isinstance(frame[name].dtype, pd.DatetimeTZDtype):
            printed[name] = [None if pd.isna(value) else value.isoformat() for value in frame[name]]
    return str(printed.to_csv(index=False, lineterminator="\n"))


def _seconds(value: float) -> str | None:
    """Print seconds through whole nanoseconds: a float holds those exactly for runs of up to 26 days."""
    return None if pd.isna(value) else seconds_text(round(value * NS_PER_S))


def _read_parquet(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read a table; columns that a later version added are missing values, as they are in old records."""
    try:
        frame: pd.DataFrame = pq.read_table(path).to_pandas()
    except FileNotFoundError as error:
        raise StoreError(f"no published results at {path.parent}: {path.name} is missing") from error
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} unreadable: {error}") from error
    return frame.reindex(columns=columns)


def _write_ledger(experiment_dir: Path, ledger: pd.DataFrame) -> None:
    """Write the ledger, or take away that of an earlier design when this experiment has none."""
    texts = {"ledger.csv": csv_text, "ledger.md": ledger_markdown}
    for name, text in texts.items():
        if len(ledger):
            write_text(experiment_dir / name, text(ledger))
        else:
            (experiment_dir / name).unlink(missing_ok=True)


def _write_parquet(path: Path, frame: pd.DataFrame, schema: pa.Schema) -> None:
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    with replacing(path) as temporary:
        pq.write_table(table, temporary)
