"""The results store: one folder a run, written so that no kill can make a half-written run look done.

`record.json` is written last: a run folder without it, or with one that cannot be read, is not done.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from swarmlab.errors import StoreError, TraceError, first_problem
from swarmlab.records.atomic import write_text
from swarmlab.records.record import NS_PER_S, Record, is_plain_name
from swarmlab.trace.io import read_spans, write_spans
from swarmlab.trace.perfetto import write_perfetto
from swarmlab.trace.spans import Span

__all__ = [
    "StoredRun",
    "check_writable",
    "json_text",
    "read_record",
    "read_records",
    "read_runs",
    "run_folder",
    "write_run",
]

RECORD = "record.json"
SPANS = "spans.jsonl"
_RESERVED_LEVELS = frozenset({"certificates", "figures"})


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One run as found on disk.

    `spans` is empty when none were written; `folder` holds its other files.
    """

    folder: Path
    record: Record
    spans: tuple[Span, ...]


def run_folder(experiment_dir: Path, level: str, run_id: str) -> Path:
    """Return the folder of a run, `<experiment>/<level>/<run_id>`, whether it exists or not.

    Raises
    ------
    StoreError
        A name that could leave the results folder or collide with another entry of it.
    """
    for what, name in (("level", level), ("run", run_id)):
        if not is_plain_name(name):
            raise StoreError(
                f"{what} name {name!r} cannot be a folder: use letters, digits and . _ + = @ -, "
                "beginning with a letter or digit, at most 200 characters"
            )
    if level in _RESERVED_LEVELS:
        raise StoreError(f"level name {level!r} is taken by the results folder itself")
    return experiment_dir / level / run_id


def check_writable(experiment_dir: Path) -> None:
    """Make the results folder and try a write in it, so that a long run does not end in "permission denied".

    Raises
    ------
    StoreError
        The folder cannot be made or written.
    """
    probe = experiment_dir / "write-probe"
    write_text(probe, "")
    try:
        probe.unlink()
    except OSError as error:
        raise StoreError(f"cannot write {experiment_dir}: {error.strerror or error}") from error


def write_run(
    experiment_dir: Path,
    record: Record,
    spans: Sequence[Span],
    *,
    answer: Mapping[str, Any] | None = None,
    answer_md: str | None = None,
) -> Path:
    """Write one run: spans.jsonl, trace.json, answer.json, answer.md, and record.json last.

    Parameters
    ----------
    experiment_dir
        The results folder of the experiment.
    record
        Its row.
    spans
        All spans of the run; empty when it failed before its first.
    answer, answer_md
        The answer as data and for reading; None when there is none.

    Returns
    -------
    Path
        The run's folder.

    Raises
    ------
    StoreError
        The place cannot be written; the run is there already and ok (a good result is never written over);
        or the spans do not last exactly the record's `wall_ns`.
    TraceError
        The spans are not one trace.
    """
    folder = run_folder(experiment_dir, record.level, record.run_id)
    _check_wall(record, spans)
    earlier = _record_or_none(folder)
    if earlier is not None and earlier.status == "ok":
        raise StoreError(f"{folder} holds a finished run already; choose another results folder or run id")
    _clear(folder)
    if spans:
        write_spans(folder / SPANS, spans)
        write_perfetto(folder / "trace.json", _labelled(spans, record))
    if answer is not None:
        write_text(folder / "answer.json", json_text(answer))
    if answer_md is not None:
        write_text(folder / "answer.md", answer_md)
    write_text(folder / RECORD, record.model_dump_json(indent=2) + "\n")
    return folder


def read_record(folder: Path) -> Record | None:
    """Read a run folder's record; None when it has none, so the run is not done.

    Raises
    ------
    StoreError
        The record is there but cannot be read or is not valid; names the file and the field.
    """
    path = folder / RECORD
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} unreadable: {error}") from error
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(f"{path} unreadable: {first_problem(error)}") from error


def read_records(experiment_dir: Path) -> list[Record]:
    """Read every record of an experiment, in the order the runs were made.

    A record that cannot be read becomes a failed row with the reason as its error, so that no run is lost.

    Raises
    ------
    StoreError
        There is no such folder.
    """
    return sorted((_record_or_row(folder) for folder in _run_folders(experiment_dir)), key=_order)


def read_runs(experiment_dir: Path) -> list[StoredRun]:
    """Read every run of an experiment with its spans, in the order the runs were made.

    A run whose record or spans cannot be read, or whose spans do not last its `wall_ns`, becomes a failed row
    with the reason as its error.

    Raises
    ------
    StoreError
        There is no such folder.
    """
    runs = (_read_run(folder) for folder in _run_folders(experiment_dir))
    return sorted(runs, key=lambda run: _order(run.record))


def json_text(value: Mapping[str, Any]) -> str:
    """Print `value` as JSON for a file: UTF-8, two spaces, no NaN, one newline at the end.

    Raises
    ------
    StoreError
        A value that JSON cannot hold.
    """
    try:
        return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise StoreError(f"cannot write as JSON: {error}") from error


def _labelled(spans: Sequence[Span], record: Record) -> list[Span]:
    """Return the spans for a viewer, in which a simulated run's name is all that says so."""
    if record.clock != "virtual":
        return list(spans)
    said = f" ({record.timing})"
    return [span._replace(name=span.name + said) if span.parent_id is None else span for span in spans]


def _clear(folder: Path) -> None:
    """Make the folder and drop what an unfinished attempt left, the record first: without it none is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (RECORD, SPANS, "trace.json", "answer.json", "answer.md"):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror or error}") from error


def _check_wall(record: Record, spans: Sequence[Span]) -> None:
    if record.status == "ok" and not spans:
        raise StoreError(f"run {record.run_id} is ok but has no spans")
    roots = [span for span in spans if span.parent_id is None]
    if not spans or record.wall_ns is None or len(roots) != 1:
        return
    lasted = roots[0].end_ns - roots[0].start_ns
    if lasted != record.wall_ns:
        raise StoreError(
            f"run {record.run_id}: spans last {lasted / NS_PER_S} s, its record says {record.duration_s} s"
        )


def _run_folders(experiment_dir: Path) -> Iterator[Path]:
    if not experiment_dir.is_dir():
        raise StoreError(f"no results at {experiment_dir}")
    for path in sorted(experiment_dir.glob(f"*/*/{RECORD}")):
        folder = path.parent
        if is_plain_name(folder.name) and is_plain_name(folder.parent.name):
            yield folder


def _record_or_none(folder: Path) -> Record | None:
    try:
        return read_record(folder)
    except StoreError:
        # An unreadable record is not a finished run, so it may be written again.
        return None


def _record_or_row(folder: Path) -> Record:
    try:
        record = read_record(folder)
    except StoreError as error:
        return _failed_row(folder, str(error).replace(str(folder), "").lstrip("/\\"))
    if record is None:
        return _failed_row(folder, f"{RECORD} vanished while it was being read")
    if (record.level, record.run_id) != (folder.parent.name, folder.name):
        return _failed_row(folder, f"{RECORD} belongs to {record.level}/{record.run_id}, another run")
    return record


def _failed_row(folder: Path, error: str) -> Record:
    experiment = folder.parent.parent.resolve().name
    return Record(
        experiment=experiment if is_plain_name(experiment) else "unnamed",
        run_id=folder.name,
        level=folder.parent.name,
        status="failed",
        error=error,
    )


def _read_run(folder: Path) -> StoredRun:
    record = _record_or_row(folder)
    path = folder / SPANS
    if not path.exists():
        return StoredRun(
            folder, _distrust(record, f"{SPANS} is missing") if record.status == "ok" else record, ()
        )
    try:
        spans = tuple(read_spans(path))
        _check_wall(record, spans)
    except (TraceError, StoreError, OSError, UnicodeDecodeError) as error:
        return StoredRun(folder, _distrust(record, f"{SPANS} unreadable: {error}"), ())
    return StoredRun(folder, record, spans)


def _distrust(record: Record, reason: str) -> Record:
    """Turn a run whose trace cannot back its duration into a failed row without that duration."""
    error = f"{record.error}; {reason}" if record.error else reason
    return record.model_copy(
        update={"status": "failed", "error": error, "wall_ns": None, "duration_s": None, "tokens_per_s": None}
    )


def _order(record: Record) -> tuple[bool, int, str, str]:
    return (record.order is None, record.order or 0, record.level, record.run_id)
