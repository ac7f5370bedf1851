"""Arrivals and the mix of analyses: drawn before anything runs, alike at every rate, read from traces."""

import itertools
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.errors import SpecError
from swarmlab.lab.load.arrivals import (
    Arrivals,
    Bursts,
    Mix,
    Poisson,
    Steady,
    Trace,
    arrival_times,
    read_trace,
    trace_rate,
)

KINDS = [Poisson(), Steady(kind="steady"), Bursts(kind="bursts", size=7, within_s=3)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_rate_is_what_was_asked(kind: Arrivals) -> None:
    """Twenty thousand arrivals at 360 an hour come 10 s apart on average, in ascending order."""
    times = arrival_times(kind, 360, 20_000, seed=1)
    assert len(times) == 20_000
    assert times == sorted(times)
    assert times[-1] / len(times) == pytest.approx(10, rel=0.05)


def test_poisson_gaps_are_exponential() -> None:
    """Mean and standard deviation of the gaps are equal."""
    gaps = np.diff(arrival_times(Poisson(), 3600, 20_000, seed=2))
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)


@given(st.floats(1, 1e5), st.integers(0, 2**31 - 1))
def test_another_rate_is_the_same_process_in_other_units(rate: float, seed: int) -> None:
    """Doubling the rate halves every Poisson time, to the microsecond: steps differ by the rate alone."""
    slow, fast = (arrival_times(Poisson(), r, 50, seed) for r in (rate, 2 * rate))
    assert fast == pytest.approx([time / 2 for time in slow], abs=1.5e-6)


def test_bursts_come_together() -> None:
    """Of bursts of five without spread each five arrive at one instant, and the bursts do not."""
    times = arrival_times(Bursts(kind="bursts", size=5), 600, 22, seed=3)
    instants = [len(list(group)) for _, group in itertools.groupby(times)]
    assert instants == [5, 5, 5, 5, 2]


@given(st.floats(0, 1), st.integers(0, 10_000))
def test_a_repeat_asks_what_was_asked_before_and_else_nothing_does(rate: float, seed: int) -> None:
    """Every repeat is an earlier analysis, every other one is new, and the first is no repeat."""
    asked: set[tuple[int, int]] = set()
    for brief, exam_seed, is_repeat in itertools.islice(Mix((1.0, 3.0), rate, seed).draw(), 200):
        assert ((brief, exam_seed) in asked) == is_repeat
        asked.add((brief, exam_seed))


def test_the_mix_keeps_weights_and_repeat_rate() -> None:
    """Of 20,000 arrivals the shares of repeats and of the second brief are as stated."""
    drawn = list(itertools.islice(Mix((1.0, 3.0), 0.4, 5).draw(), 20_000))
    assert np.mean([is_repeat for *_, is_repeat in drawn]) == pytest.approx(0.4, abs=0.02)
    first_time = [brief for brief, _, is_repeat in drawn if not is_repeat]
    assert np.mean(first_time) == pytest.approx(0.75, abs=0.02)


@given(st.floats(0, 1), st.integers(1, 300))
def test_a_closed_loop_has_its_share_of_repeats_in_any_stretch(rate: float, count: int) -> None:
    """Evenly drawn, repeats are within one of their share however many are counted."""
    drawn = [is_repeat for *_, is_repeat in itertools.islice(Mix((1.0,), rate, 5).draw(evenly=True), count)]
    assert abs(sum(drawn) - rate * count) <= 1 + 1e-9


def test_a_trace_is_read_and_stretched(tmp_path: Path) -> None:
    """Recorded seconds or dates keep their pattern, and their mean rate becomes the one asked for."""
    csv = tmp_path / "a.csv"
    csv.write_text("user,time_s\na,10\nb,13\nc,11\n", encoding="utf-8")
    jsonl = tmp_path / "a.jsonl"
    jsonl.write_text(
        '{"time": "2024-05-01T10:00:00Z"}\n\n{"time": "2024-05-01T10:00:03+00:00"}\n'
        '{"time": "2024-05-01T12:00:01+02:00"}\n',
        encoding="utf-8",
    )
    for path in (csv, jsonl):
        assert read_trace(path) == [0, 1, 3]
        assert trace_rate(read_trace(path)) == pytest.approx(2400)
        trace = Trace(kind="trace", file=str(path))
        assert arrival_times(trace, 2400, 10, seed=0) == pytest.approx([0, 1, 3])
        assert arrival_times(trace, 1200, 10, seed=0) == pytest.approx([0, 2, 6])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", "when\n1\n", "line 1: expected 'time_s' or 'time', found when"),
        ("t.csv", "", "found nothing"),
        ("t.csv", "time_s\n1\nsoon\n", "line 3: a time is seconds or an ISO 8601 date, not 'soon'"),
        ("t.csv", "time_s\n1\nnan\n", "line 3: a time is a finite number"),
        ("t.csv", "time_s\n1\n", "two or more arrivals at different times; it has 1"),
        ("t.csv", "time_s\n1\n1e300\n", "line 3: a time is a finite number up to 1e[+]12, not '1e300'"),
        ("t.csv", "time_s\n1\n" + 200_000 * "2", "line 2: not CSV"),
        ("t.jsonl", '{"time_s": 1' + 400 * "0" + "}", "line 1: a time is a finite number"),
        ("t.jsonl", '{"time_s": ' + 100_000 * "[", "line 1: not JSON"),
        ("t.jsonl", "{", "line 1: not JSON"),
        ("t.jsonl", "[1]", "line 1: expected an object"),
    ],
)
def test_a_bad_trace_is_refused_with_its_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    """What cannot be read as times is a spec error that names file and line."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=said):
        read_trace(tmp_path / name)


def test_dates_without_a_zone_are_the_same_hours_apart_on_every_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The night in which clocks go forward in Berlin has all its hours, whatever the machine's zone."""
    path = tmp_path / "night.csv"
    path.write_text("time\n" + "\n".join(f"2024-03-31T0{hour}:30" for hour in range(5)), encoding="utf-8")
    try:
        for zone in ("UTC", "Europe/Berlin"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert read_trace(path) == [0, 3600, 7200, 10_800, 14_400]
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("arrivals", KINDS)
def test_a_rate_of_one_in_a_lifetime_is_refused(arrivals: Arrivals) -> None:
    """Arrivals beyond what the virtual clock can wait for are an error about the rate, and no deadlock."""
    with pytest.raises(SpecError, match="at 1e-06 analyses per hour 25 arrivals take decades"):
        arrival_times(arrivals, 1e-6, 25, seed=0)


def test_arrivals_at_one_time_have_no_rate(tmp_path: Path) -> None:
    """Where the arrivals that count are one burst, the error says to take more of the trace."""
    path = tmp_path / "burst.csv"
    path.write_text("time_s\n" + 9 * "5\n" + "6\n", encoding="utf-8")
    assert arrival_times(Trace(kind="trace", file=str(path)), 60, 10, seed=0)[-1] == pytest.approx(540)
    with pytest.raises(SpecError, match="the first 9 arrivals of the trace are at one time; raise 'users'"):
        arrival_times(Trace(kind="trace", file=str(path)), 60, 9, seed=0)


def test_a_missing_trace_is_refused(tmp_path: Path) -> None:
    """A trace that is not there is a spec error."""
    with pytest.raises(SpecError, match="cannot be read"):
        read_trace(tmp_path / "none.csv")
