"""Load tables: percentiles that keep the rules, counts that reconcile, means over time by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.records.load_tables import (
    REQUEST_COLUMNS,
    STEP_COLUMNS,
    fewest_requests,
    latency_percentile,
    requests_frame,
    step_row,
    steps_frame,
)

ABOUT = {"kind": "open", "slo_percentile": 50.0, "slo_latency_s": 2.0, "pool": 2}


def request(
    number: int, intended: float, start: float | None, end: float, **other: object
) -> dict[str, object]:
    """One row."""
    row = dict.fromkeys(REQUEST_COLUMNS, 0) | {
        "request": number,
        "repeat": False,
        "warm_up": False,
        "intended_start_s": intended,
        "start_s": start,
        "end_s": end,
        "status": "ok",
        "error": "",
        "latency_s": end - intended,
    }
    return row | other


def test_no_p99_under_a_thousand_requests() -> None:
    """The 99th percentile takes 1,000 requests; 999 give none."""
    assert fewest_requests(99) == 1000
    assert math.isnan(latency_percentile(np.arange(999.0), 99))
    assert latency_percentile(np.arange(1.0, 1001.0), 99) == 990


@given(st.lists(st.floats(0, 1e4), min_size=200, max_size=400), st.sampled_from([50.0, 90.0, 95.0]))
def test_a_percentile_is_a_latency_that_so_many_do_not_exceed(latencies: list[float], q: float) -> None:
    """It is one of the latencies; at least q percent are no longer, and fewer than q percent are shorter."""
    found = latency_percentile(np.array(latencies), q)
    assert found in latencies
    assert np.mean([value <= found for value in latencies]) >= q / 100 - 1e-12
    assert np.mean([value < found for value in latencies]) < q / 100


def test_a_step_by_hand() -> None:
    """Three requests on two workers, one of them given up: every figure of the row as computed by hand."""
    frame = requests_frame(
        [
            request(0, 0, 0, 4, prompt_tokens=10, completion_tokens=2, cache_hits=1, cost_usd=0.5),
            request(1, 1, 1, 2, prompt_tokens=20, completion_tokens=4, cache_misses=3, repeat=True),
            request(2, 2, None, 8, status="timeout", latency_s=6.0, error="late"),
        ]
    )
    row = step_row(frame, ABOUT)
    assert (row["attempted"], row["succeeded"], row["failed"], row["timed_out"]) == (3, 2, 0, 1)
    assert row["error_rate"] == pytest.approx(1 / 3)
    assert row["throughput_per_h"] == pytest.approx(2 / 8 * 3600)
    assert row["latency_mean_s"] == pytest.approx((4 + 1 + 6) / 3)
    assert (row["latency_p50_s"], row["latency_slo_s"], row["slo_met"]) == (4, 4, False)
    assert math.isnan(row["latency_p99_s"])
    # While requests arrived, from 0 to 2: request 0 all the time and request 1 for one second.
    assert row["in_system_mean"] == pytest.approx(1.5)
    assert (row["in_system_max"], row["queue_mean"], row["queue_max"]) == (2, 0, 1)
    assert row["pool_utilisation"] == pytest.approx((4 + 1) / (2 * 8))
    assert row["tokens_per_analysis"] == pytest.approx(18)
    assert row["cost_per_1000_usd"] == pytest.approx(250)
    assert row["cache_hit_rate"] == pytest.approx(0.25)
    assert row["repeat_share"] == pytest.approx(1 / 3)
    assert "no p99" in row["note"]


def test_what_the_provider_charged_goes_before_what_answers_cost() -> None:
    """A run that was given up has no outcome, and was charged all the same."""
    frame = requests_frame([request(0, 0, 0, 1, cost_usd=0.5)])
    assert step_row(frame, {**ABOUT, "charged_usd": 2.0})["cost_per_1000_usd"] == pytest.approx(2000)


def test_the_warm_up_is_not_counted() -> None:
    """Requests of the warm-up are in the queue that others meet, and in no count or latency."""
    frame = requests_frame(
        [request(0, 0, 0, 100, warm_up=True), request(1, 10, 10, 11), request(2, 20, 20, 21)]
    )
    row = step_row(frame, ABOUT)
    assert (row["attempted"], row["latency_mean_s"]) == (2, 1)
    assert row["in_system_mean"] == pytest.approx(1.1)
    assert row["window_s"] == 11


def test_a_step_in_which_nothing_succeeded_stays_a_row() -> None:
    """Error rate one, throughput zero, no cost a thousand; nothing divides by zero."""
    frame = requests_frame([request(0, 0, 0, 5, status="failed", latency_s=30.0)])
    table = steps_frame([step_row(frame, {**ABOUT, "step": 0, "seed": 0})])
    assert list(table.columns) == list(STEP_COLUMNS)
    row = table.iloc[0]
    assert (row["error_rate"], row["throughput_per_h"], row["latency_p50_s"]) == (1, 0, 30)
    assert math.isnan(row["cost_per_1000_usd"])


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0, 50), st.floats(0, 50)),
        min_size=2,
        max_size=40,
    )
)
def test_littles_law_holds_on_the_whole_window(rows: list[tuple[float, float, float]]) -> None:
    """Over a window with all of every request the mean number there is latency times rate, exactly."""
    last = max(at + wait + work for at, wait, work in rows) + 1
    frame = requests_frame(
        [
            *(request(n, at, at + wait, at + wait + work) for n, (at, wait, work) in enumerate(sorted(rows))),
            request(len(rows), last, last, last),
        ]
    )
    row = step_row(frame, ABOUT)
    length = last - frame["intended_start_s"].min()
    if length > 0:
        assert row["in_system_mean"] * length == pytest.approx(frame["latency_s"].sum(), abs=1e-6)
        waited = (frame["start_s"] - frame["intended_start_s"]).sum()
        assert row["queue_mean"] * length == pytest.approx(waited, abs=1e-6)


def test_an_empty_table_has_its_columns() -> None:
    """No requests, no steps: the columns are there all the same."""
    assert list(requests_frame(()).columns) == list(REQUEST_COLUMNS)
    assert isinstance(steps_frame(()), pd.DataFrame)
