"""The record: what it refuses, and what it fills in."""

import json

import pytest
from fake_results import make_failed, make_record, make_spans
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from swarmlab.records.record import NS_PER_S, Record, column_kinds, is_plain_name, seconds_text

# fmt: off
RUNS_COLUMNS = [
    "experiment", "run_id", "level", "repeat", "status", "error", "clock", "model", "cache_state",
    "duration_s", "prompt_tokens", "completion_tokens", "total_tokens", "tokens_source", "tokens_per_s",
    "n_agents", "n_tool_calls", "n_tool_executions", "n_model_calls", "cache_hits", "cache_misses",
    "cost_usd", "fact_coverage", "groundedness", "decision_accuracy", "load_s", "other_cpu_share",
    "started_at",
]
# fmt: on


def test_columns_begin_with_the_contract():
    """The columns of `runs` come first and in the agreed order; added ones follow."""
    assert list(column_kinds())[: len(RUNS_COLUMNS)] == RUNS_COLUMNS


def test_kinds_of_columns():
    """A column's kind follows from its type, optional or not."""
    kinds = column_kinds()
    assert [kinds[name] for name in ("wall_ns", "duration_s", "started_at", "error", "alerts")] == [
        "integer", "number", "datetime", "text", "text",
    ]  # fmt: skip


def test_duration_follows_from_nanoseconds():
    """A record given only nanoseconds knows its duration."""
    assert make_record(make_spans(), wall_ns=1_500_000_001).duration_s == 1.500000001


def test_duration_that_contradicts_nanoseconds_is_refused():
    """A duration that is not the nanoseconds over 1e9 is an error."""
    with pytest.raises(ValidationError, match="wall_ns / 1e9"):
        make_record(make_spans(), duration_s=3.0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "failed"}, "must say its error"),
        ({"error": "caught"}, "a run with an error is not ok"),
        ({"wall_ns": None}, "must have wall_ns"),
        ({"fact_coverage": 1.2}, "less than or equal to 1"),
        ({"groundedness": float("nan")}, "finite"),
        ({"run_id": "../up"}, "pattern"),
        ({"unheard_of": 1}, "Extra inputs"),
        ({"status": "completed"}, "'ok', 'failed' or 'interrupted'"),
        ({"started_at": "2001-01-01T00:00:00"}, "timezone"),
    ],
)
def test_bad_records_are_refused(changes, reason):
    """A record that would mislead is refused, with the reason."""
    with pytest.raises(ValidationError, match=reason):
        make_record(make_spans(), **changes)


def test_a_failed_run_keeps_what_it_could_not_measure_missing():
    """A failed run's unmeasured fields are None, not zero."""
    record = make_failed()
    assert record.duration_s is None
    assert record.total_tokens is None


def test_json_round_trip_is_exact():
    """Writing a record as JSON and reading it back gives an equal record."""
    record = make_record(make_spans(), alerts=("slow-run",), cost_usd=0.1 + 0.2)
    assert Record.model_validate_json(record.model_dump_json()) == record
    assert json.loads(record.model_dump_json())["alerts"] == ["slow-run"]


@given(st.integers(min_value=0, max_value=10**15))
def test_seconds_text_is_exact(ns):
    """Nine decimals say every nanosecond."""
    whole, decimals = seconds_text(ns).split(".")
    assert int(whole) * NS_PER_S + int(decimals) == ns
    assert len(decimals) == 9


@given(st.integers(min_value=0, max_value=2_000_000 * NS_PER_S))
def test_a_float_duration_keeps_its_nanoseconds(ns):
    """A duration of up to three weeks as a float rounds back to its own nanoseconds."""
    assert round(ns / NS_PER_S * NS_PER_S) == ns


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", ".hidden", "a b", "ä", "a\n", "x" * 201])
def test_names_that_could_not_be_folders_are_not_plain(name):
    """A name that could leave its folder or hide in it is not plain."""
    assert not is_plain_name(name)
