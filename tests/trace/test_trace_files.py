"""Traces on disk: what is written is read back, and what is wrong is named by file, line and span."""

import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from trace_cases import make, root, traces

from swarmlab.errors import StoreError, TraceError
from swarmlab.trace.io import read_spans, write_spans


@pytest.fixture
def entry():
    return {
        "span_id": "r",
        "parent_id": None,
        "category": "framework",
        "name": "run",
        "start_ns": 0,
        "end_ns": 5,
    }


@given(spans=traces())
def test_round_trip(tmp_path_factory, spans):
    """Any trace comes back equal from a run's folder and from its spans.jsonl."""
    folder = tmp_path_factory.mktemp("run")
    write_spans(folder / "spans.jsonl", spans)
    assert read_spans(folder) == read_spans(str(folder / "spans.jsonl")) == list(spans)
    assert [path.name for path in folder.iterdir()] == ["spans.jsonl"]


def test_odd_text_round_trips(tmp_path):
    """Names with line separators, quotes and other scripts come back unchanged."""
    spans = [
        root(5),
        make("a", "r", 0, 1, name='x\u2028"\n\\ ü 漢', agent="é", cached=True, attempt=3, status="error"),
    ]
    write_spans(tmp_path / "spans.jsonl", spans)
    assert read_spans(tmp_path) == spans


def test_json_documents(tmp_path, entry):
    """A JSON list of spans, an object with one, a byte order mark, and columns of others are all read."""
    entry["run_id"] = "run-7"
    for number, text in enumerate(
        [json.dumps([entry]), "\ufeff" + json.dumps({"spans": [entry], "expected": {}})]
    ):
        path = tmp_path / f"{number}.json"
        path.write_text(text, encoding="utf-8")
        assert read_spans(path) == [root(5)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start_ns": "soon"}, "'start_ns' must be a whole number, found \"soon\""),
        ({"end_ns": 5.0}, "'end_ns' must be a whole number, found 5.0"),
        ({"end_ns": float("nan")}, "'end_ns' must be a whole number, found NaN"),
        ({"end_ns": True}, "'end_ns' must be a whole number, found true"),
        ({"end_ns": None}, "'end_ns' must be a whole number, found null"),
        ({"end_ns": 2**63}, "'end_ns' does not fit in 64 bits"),
        ({"attempt": "1"}, "'attempt' must be a whole number"),
        ({"links": "a"}, "'links' must be a list of span ids"),
        ({"links": [1]}, "'links' must be a list of span ids"),
        ({"cached": 1}, "'cached' must be true or false"),
        ({"name": 3}, "'name' must be text"),
        ({"agent": 3}, "'agent' must be text"),
        ({"end_ns": ...}, "the field 'end_ns' is missing"),
        ({"parent_id": ...}, "the field 'parent_id' is missing"),
    ],
)
def test_bad_field(tmp_path, entry, change, message):
    """A missing or ill-typed field is reported with file, line and span."""
    bad = {key: value for key, value in ({**entry, **change}).items() if value is not ...}
    path = tmp_path / "spans.jsonl"
    path.write_text("\n" + json.dumps(bad) + "\n", encoding="utf-8")
    with pytest.raises(TraceError) as caught:
        read_spans(path)
    assert str(caught.value).startswith(f"{path}, line 2, span 'r': {message}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("spans.jsonl", b"{", "line 1: not JSON"),
        ("spans.jsonl", b"[1]\n", "line 1: expected a span as a JSON object, found \\[1\\]"),
        ("spans.jsonl", b"", "the trace has no spans"),
        ("spans.jsonl", b"\xff\xfe{}", "cannot be read as UTF-8"),
        ("trace.json", b'{"spans": [', "line 1: not JSON"),
        ("trace.json", b'{"traceEvents": []}', "expected a list of spans"),
        ("trace.json", b"[3]", "spans\\[0\\]: expected a span"),
        ("trace.json", b"[" * 100_000, "not JSON"),
        ("trace.json", b"9" * 5_000, "not JSON that can be read"),
    ],
)
def test_no_trace(tmp_path, name, content, message):
    """A file that is no trace is reported with its name and the place in it."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TraceError, match=message) as caught:
        read_spans(path)
    assert str(path) in str(caught.value)


def test_malformed_set_names_the_file(tmp_path, entry):
    """An error of the set of spans names the file too."""
    path = tmp_path / "trace.json"
    path.write_text(json.dumps([entry, {**entry, "span_id": "q"}]), encoding="utf-8")
    with pytest.raises(TraceError, match=r"trace\.json: the trace has 2 roots, 'r' and 'q'"):
        read_spans(path)


def test_nothing_there(tmp_path):
    """A path that does not exist, and a folder without spans, say so."""
    with pytest.raises(TraceError, match="nowhere does not exist"):
        read_spans(tmp_path / "nowhere")
    with pytest.raises(TraceError, match=r"has no spans\.jsonl"):
        read_spans(tmp_path)


def test_unwritable_place_keeps_what_was_there(tmp_path):
    """Writing where no file can be is a StoreError and leaves nothing behind."""
    (tmp_path / "taken").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        write_spans(tmp_path / "taken", [root(1)])
    with pytest.raises(StoreError, match="cannot be written"):
        write_spans(tmp_path / "absent" / "spans.jsonl", [root(1)])
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@settings(deadline=None, max_examples=30)
@given(spans=traces())
def test_parquet_of_one_run(tmp_path_factory, spans):
    """The rows of a Parquet file are spans, whatever other columns it has."""
    path = tmp_path_factory.mktemp("run") / "spans.parquet"
    rows = [{"run_id": "run-7", **span._asdict()} for span in spans]
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert read_spans(path) == list(spans)


def test_bad_parquet_is_named(tmp_path, entry):
    """A file of several runs says whose it holds; an ill-typed cell is named by row; text is no Parquet."""
    path = tmp_path / "spans.parquet"
    pq.write_table(pa.Table.from_pylist([entry | {"run_id": "a"}, entry | {"run_id": "b"}]), path)
    with pytest.raises(TraceError, match=r"holds the spans of 2 runs \(a, b\); give the folder of one"):
        read_spans(path)
    pq.write_table(pa.Table.from_pylist([entry | {"start_ns": datetime(2026, 1, 1)}]), path)
    with pytest.raises(TraceError, match=r"row 0, span 'r': 'start_ns' must be a whole number, found \"2026"):
        read_spans(path)
    path.write_text("no table")
    with pytest.raises(TraceError, match=r"spans\.parquet cannot be read as Parquet"):
        read_spans(path)
    with pytest.raises(TraceError, match="does not exist"):
        read_spans(tmp_path / "none.parquet")
