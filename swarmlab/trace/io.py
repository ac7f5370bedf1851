"""Traces on disk: `spans.jsonl`, one span a line, JSON documents with a list of spans, and Parquet tables."""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from swarmlab.errors import StoreError, TraceError
from swarmlab.trace.check import check_spans
from swarmlab.trace.spans import Span

SPANS_FILE = "spans.jsonl"

_RUNS_NAMED = 3


def read_spans(path: str | Path) -> list[Span]:
    """Read and check a trace.

    Parameters
    ----------
    path
        A run's folder (its `spans.jsonl` is read), a `.jsonl` file with one span a line, a JSON file that is
        a list of spans or an object with such a list under `spans`, or a `.parquet` file with one span a row,
        all of one run. Fields other than a span's own are ignored; all but ids, category, name and times may
        be absent.

    Raises
    ------
    TraceError
        Naming the file, the line, entry or row, and the span: nothing to read, no JSON, a missing or
        ill-typed field, spans of several runs, or a set of spans that is not one trace (`check_spans`).
    """
    path = Path(path)
    source = path / SPANS_FILE if path.is_dir() else path
    try:
        entries = list(_rows(source) if source.suffix == ".parquet" else _entries(_text_of(source), source))
    except FileNotFoundError as error:
        where = f"{path} has no {SPANS_FILE}" if path.is_dir() else f"{path} does not exist"
        raise TraceError(
            f"{where}; give a run's folder, a {SPANS_FILE}, or a trace in JSON or Parquet"
        ) from error
    spans = [_span(entry, where) for where, entry in entries]
    try:
        check_spans(spans)
    except TraceError as error:
        raise TraceError(f"{source}: {error}") from error
    return spans


def write_spans(path: str | Path, spans: Iterable[Span]) -> None:
    """Write `spans`, one JSON object a line in the order given, replacing `path` in one step.

    Raises
    ------
    StoreError
        The file cannot be written; what was there before is kept.
    """
    write_text(Path(path), "".join(json.dumps(span._asdict(), ensure_ascii=False) + "\n" for span in spans))


def write_text(path: Path, text: str) -> None:
    """Replace the file `path` by `text` in one step, so that a kill leaves the old or the new, never half.

    Raises
    ------
    StoreError
        The file cannot be written; what was there before is kept.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreError(f"{path} cannot be written: {error}") from error


def _text_of(source: Path) -> str:
    try:
        return source.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{source} cannot be read as UTF-8 text: {error}") from error


def _rows(source: Path) -> Iterator[tuple[str, Any]]:
    """Each row of a Parquet file with the place to name in an error."""
    try:
        table = pq.read_table(source)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise TraceError(f"{source} cannot be read as Parquet: {error}") from error
    runs = table["run_id"].unique().to_pylist() if "run_id" in table.column_names else []
    if len(runs) > 1:
        some = ", ".join(map(str, runs[:_RUNS_NAMED])) + (", …" if len(runs) > _RUNS_NAMED else "")
        raise TraceError(
            f"{source}: holds the spans of {len(runs)} runs ({some}); give the folder of one of them"
        )
    yield from ((f"{source}, row {index}", entry) for index, entry in enumerate(table.to_pylist()))


def _entries(text: str, source: Path) -> Iterator[tuple[str, Any]]:
    """Each span's JSON value with the place to name in an error."""
    if source.suffix == ".jsonl":
        yield from _lines(text, source)
        return
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise TraceError(f"{source}, line {error.lineno}: not JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise TraceError(f"{source}: not JSON that can be read ({error})") from error
    entries = document.get("spans") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise TraceError(f"{source}: expected a list of spans, or an object with one under 'spans'")
    yield from ((f"{source}, spans[{index}]", entry) for index, entry in enumerate(entries))


def _lines(text: str, source: Path) -> Iterator[tuple[str, Any]]:
    # Only "\n" ends a line: str.splitlines would also cut at separators that JSON allows inside strings.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{source}, line {number}"
        try:
            yield where, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TraceError(f"{where}: not JSON ({error})") from error


def _span(entry: Any, where: str) -> Span:
    if not isinstance(entry, dict):
        raise TraceError(f"{where}: expected a span as a JSON object, found {_shown(entry)}")
    named = entry.get("span_id")
    where = f"{where}, span {named!r}" if isinstance(named, str) else where
    for field in ("span_id", "parent_id", "category", "name", "start_ns", "end_ns"):
        if field not in entry:
            raise TraceError(f"{where}: the field {field!r} is missing")
    return Span(
        span_id=_text(entry, "span_id", where),
        parent_id=_text_or_none(entry, "parent_id", where),
        links=_ids(entry.get("links", []), "links", where),
        category=_text(entry, "category", where),
        name=_text(entry, "name", where),
        agent=_text_or_none(entry, "agent", where),
        start_ns=_integer(entry["start_ns"], "start_ns", where),
        end_ns=_integer(entry["end_ns"], "end_ns", where),
        cached=_boolean(entry.get("cached", False), where),
        attempt=_integer(entry.get("attempt", 1), "attempt", where),
        status=_text(entry, "status", where) if "status" in entry else "ok",
        key=_text_or_none(entry, "key", where),
        reads=None if entry.get("reads") is None else _ids(entry["reads"], "reads", where),
        tokens=_count_or_none(entry, "tokens", where),
        repeated_tokens=_count_or_none(entry, "repeated_tokens", where),
    )


def _text(entry: dict[str, Any], field: str, where: str) -> str:
    value = entry[field]
    if not isinstance(value, str):
        raise TraceError(f"{where}: {field!r} must be text, found {_shown(value)}")
    return value


def _text_or_none(entry: dict[str, Any], field: str, where: str) -> str | None:
    return None if entry.get(field) is None else _text(entry, field, where)


def _integer(value: Any, field: str, where: str) -> int:
    # A float cannot hold every nanosecond of a long trace, so not even a whole one is taken for an integer.
    if not isinstance(value, int) or isinstance(value, bool):
        raise TraceError(f"{where}: {field!r} must be a whole number, found {_shown(value)}")
    if not -(2**63) <= value < 2**63:
        raise TraceError(f"{where}: {field!r} does not fit in 64 bits")
    return value


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise TraceError(f"{where}: 'cached' must be true or false, found {_shown(value)}")
    return value


def _count_or_none(entry: dict[str, Any], field: str, where: str) -> int | None:
    if entry.get(field) is None:
        return None
    value = _integer(entry[field], field, where)
    if value < 0:
        raise TraceError(f"{where}: {field!r} must not be negative, found {value}")
    return value


def _ids(value: Any, field: str, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(link, str) for link in value):
        raise TraceError(f"{where}: {field!r} must be a list of span ids, found {_shown(value)}")
    return tuple(value)


def _shown(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return shown if len(shown) <= 60 else shown[:59] + "…"
