"""The store: a run is whole or not there, and nothing good is written over."""

import os
from datetime import UTC, datetime

import pytest
from fake_results import LEVELS, make_failed, make_record, make_spans
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmlab.errors import StoreError, TraceError
from swarmlab.records.atomic import replacing, write_text
from swarmlab.records.collect import collect
from swarmlab.records.manifest import write_manifest
from swarmlab.records.store import (
    check_writable,
    read_record,
    read_records,
    read_runs,
    run_folder,
    write_run,
)

names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._+=@-]{0,12}\Z").filter(lambda name: name != "figures")
shares = st.floats(0, 1)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    run_id=names,
    level=names,
    text=st.text(st.characters(codec="utf-8"), max_size=40),
    coverage=shares,
    stretch=st.floats(0.001, 50),
    when=st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)),
)
def test_what_is_written_is_read(tmp_path_factory, run_id, level, text, coverage, stretch, when):
    """Any record and its spans come back equal from disk."""
    folder = tmp_path_factory.mktemp("results")
    spans = make_spans(stretch=stretch)
    record = make_record(
        spans,
        run_id=run_id,
        level=level,
        model=text,
        fact_coverage=coverage,
        started_at=when.replace(tzinfo=UTC),
    )
    write_run(folder, record, spans, answer={"text": text}, answer_md=text)
    (run,) = read_runs(folder)
    assert run.record == record
    assert sorted(run.spans, key=str) == sorted(spans, key=str)


@pytest.mark.parametrize("step", range(5))
def test_a_kill_between_files_leaves_earlier_results_whole(tmp_path, monkeypatch, step):
    """Whichever file a kill hits, the earlier run is intact, and the new one is not done and can be made."""
    spans = make_spans()
    earlier = make_record(spans, run_id="earlier")
    write_run(tmp_path, earlier, spans, answer={}, answer_md="")
    later = make_record(spans, run_id="later")
    real, calls = os.replace, []

    def killed(source, target):
        calls.append(target)
        if len(calls) > step:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_run(tmp_path, later, spans, answer={}, answer_md="")
    monkeypatch.undo()
    assert read_records(tmp_path) == [earlier]
    assert read_record(run_folder(tmp_path, "blackboard", "later")) is None
    write_run(tmp_path, later, spans, answer={}, answer_md="")
    assert read_records(tmp_path) == [earlier, later]


def test_a_full_disk_keeps_the_earlier_file(tmp_path, monkeypatch):
    """A write that cannot be finished is a clear error, keeps the old bytes and leaves no part behind."""
    path = tmp_path / "table.csv"
    write_text(path, "old")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"table\.csv: No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    """An error while a file is being made removes the part and goes on to the caller."""

    def fail():
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("part")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_is_not_written_over(tmp_path):
    """Writing an ok run a second time is refused; a failed one may be made again."""
    spans = make_spans()
    record = make_record(spans, run_id="twice")
    write_run(tmp_path, make_failed("blackboard", run_id="twice"), ())
    write_run(tmp_path, record, spans)
    with pytest.raises(StoreError, match="finished run already"):
        write_run(tmp_path, make_failed("blackboard", run_id="twice"), ())
    assert read_records(tmp_path) == [record]


def test_files_of_others_in_the_run_folder_stay(tmp_path):
    """The notebook that made the run is in its folder and is left alone."""
    folder = run_folder(tmp_path, "full", "one")
    folder.mkdir(parents=True)
    (folder / "run.ipynb").write_text("{}")
    spans = make_spans("full")
    write_run(tmp_path, make_record(spans, level="full", run_id="one"), spans)
    assert (folder / "run.ipynb").read_text() == "{}"


@pytest.mark.parametrize("content", ["", "{", '{"level": 3}', "null", "[]", "\x00"])
def test_an_unreadable_record_stays_a_row(tmp_path, content):
    """A record that cannot be read is a failed row that says so, and the other runs are untouched."""
    spans = make_spans()
    good = make_record(spans, run_id="good")
    folder = write_run(tmp_path, make_record(spans, run_id="bad"), spans)
    write_run(tmp_path, good, spans)
    (folder / "record.json").write_text(content)
    rows = {row.run_id: row for row in read_records(tmp_path)}
    assert rows["good"] == good
    assert rows["bad"].status == "failed"
    assert rows["bad"].error.startswith("record.json unreadable: ")
    with pytest.raises(StoreError, match=r"bad/record\.json unreadable"):
        read_record(folder)


def test_a_record_of_another_run_stays_a_row(tmp_path):
    """A copied record does not count as the run whose folder it lies in."""
    spans = make_spans()
    folder = write_run(tmp_path, make_record(spans, run_id="one"), spans)
    folder.rename(folder.with_name("two"))
    (row,) = read_records(tmp_path)
    assert (row.run_id, row.status) == ("two", "failed")
    assert "another run" in row.error


@pytest.mark.parametrize("content", [None, "", "not json\n", '{"span_id": "a"}\n'])
def test_a_run_whose_spans_are_lost_is_not_ok(tmp_path, content):
    """Without its spans a duration cannot be backed, so the run becomes a failed row without one."""
    spans = make_spans()
    folder = write_run(tmp_path, make_record(spans, run_id="one"), spans)
    if content is None:
        (folder / "spans.jsonl").unlink()
    else:
        (folder / "spans.jsonl").write_text(content)
    (run,) = read_runs(tmp_path)
    assert (run.record.status, run.record.duration_s, run.spans) == ("failed", None, ())
    assert "spans.jsonl" in run.record.error


def test_spans_must_last_the_wall_time(tmp_path):
    """A record whose nanoseconds are not its spans' is refused before anything is written."""
    spans = make_spans()
    with pytest.raises(StoreError, match="spans last"):
        write_run(tmp_path, make_record(spans, wall_ns=5), spans)
    assert list(tmp_path.iterdir()) == []


def test_an_ok_run_needs_spans(tmp_path):
    """An ok run without a trace is refused."""
    with pytest.raises(StoreError, match="no spans"):
        write_run(tmp_path, make_record(make_spans()), ())


def test_spans_that_are_no_trace_are_refused(tmp_path):
    """A malformed trace names its fault, and the run does not count as done."""
    spans = make_spans()
    with pytest.raises(TraceError):
        write_run(tmp_path, make_record(spans), [*spans, spans[1]])
    assert read_records(tmp_path) == []


@pytest.mark.parametrize(("level", "run_id"), [("..", "a"), ("a", "b/c"), ("figures", "a"), ("", "a")])
def test_names_cannot_leave_the_results(tmp_path, level, run_id):
    """A level or run that could not be a folder of its own is refused."""
    with pytest.raises(StoreError):
        run_folder(tmp_path, level, run_id)


def test_no_results_is_an_error(tmp_path):
    """A folder that is not there is named."""
    with pytest.raises(StoreError, match="no results at"):
        read_records(tmp_path / "nothing")


def test_an_unwritable_place_is_an_error(tmp_path):
    """A results folder that cannot be made is one clear error, before anything is run."""
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StoreError, match="cannot write"):
        check_writable(tmp_path / "taken")
    with pytest.raises(StoreError, match="cannot write"):
        write_run(tmp_path / "taken", make_record(make_spans()), make_spans())
    assert (tmp_path / "taken").read_text() == "a file"


def test_a_writable_place_is_left_empty(tmp_path):
    """The test write leaves nothing behind."""
    check_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_collecting_twice_gives_the_same_bytes(fake_results):
    """Tables depend on the run folders alone."""
    folder = fake_results(failing=("full",))
    files = (
        "runs.parquet",
        "runs.csv",
        "spans.parquet",
        "bottlenecks.csv",
        "comparison.csv",
        "comparison.md",
    )
    collect(folder)
    before = [(folder / name).read_bytes() for name in files]
    collect(folder)
    assert [(folder / name).read_bytes() for name in files] == before


def test_runs_come_in_the_order_they_were_made(fake_results):
    """The randomised order of the experiment is the order of the rows."""
    records = read_records(fake_results(repeats=2, caches=("cold",)))
    assert [record.order for record in records] == list(range(2 * len(LEVELS)))


def test_runs_of_another_setting_stay_on_disk_but_are_in_no_table(tmp_path):
    """The manifest names the setting and its levels' switches; only runs of these are collected."""
    spans = make_spans("full")
    for name, setting, level_id in (("old", "s0", "l"), ("edited", "s1", "l0"), ("new", "s1", "l")):
        record = make_record(spans, run_id=f"run-{name}", level="full", setting_id=setting, level_id=level_id)
        write_run(tmp_path, record, spans)
    write_manifest(tmp_path, {"setting_id": "s1", "levels": {"full": "l"}})
    tables = collect(tmp_path)
    assert tables["runs"]["run_id"].tolist() == ["run-new"]
    assert len(read_records(tmp_path)) == 3


def test_a_folder_without_runs_is_not_reported(tmp_path):
    """Tables are never written over by empty ones."""
    (tmp_path / "runs.csv").write_text("kept")
    with pytest.raises(StoreError, match="no runs"):
        collect(tmp_path)
    assert (tmp_path / "runs.csv").read_text() == "kept"
