"""Tables: time that adds up to the nanosecond, fair ratios, and no row lost."""

import math
from collections import defaultdict
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from fake_results import make_failed, make_record, make_spans
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from swarmlab.errors import SpecError, StoreError
from swarmlab.records.caveats import caveats
from swarmlab.records.collect import collect, csv_text, read_tables
from swarmlab.records.comparison import comparison, study_frame
from swarmlab.records.interval import ratio_interval
from swarmlab.records.published import load_study
from swarmlab.records.render import comparison_markdown, display_frame, render_breakdown, render_table
from swarmlab.records.store import StoredRun, write_run
from swarmlab.records.tables import TABLES, bottlenecks_frame, build_tables, runs_frame, spans_frame, spans_of
from swarmlab.trace.spans import CATEGORIES


def records_of(level, durations_s, **changes):
    """Return one ok record a duration, paired by position."""
    return [
        make_record((), level=level, repeat=index, wall_ns=round(duration * 1e9), **changes)
        for index, duration in enumerate(durations_s)
    ]


def compared(*groups, study=None):
    """Return the comparison of the records, indexed by level and cache state."""
    frame = comparison(runs_frame([record for group in groups for record in group]), study_frame(study))
    return frame.set_index(["level", "cache_state"])


def terminal(table, width=120):
    """Return a rich table as printed."""
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table)
    return console.export_text()


def test_exclusive_seconds_in_the_csv_sum_to_the_nanosecond(fake_results):
    """In the CSVs as printed, each run's exclusive seconds add up to its duration exactly."""
    folder = fake_results(repeats=2, failing=("full",))
    collect(folder)
    runs = pd.read_csv(folder / "runs.csv", dtype=str).set_index("run_id")
    parts = pd.read_csv(folder / "bottlenecks.csv", dtype=str)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for run_id, seconds in zip(parts["run_id"], parts["exclusive_s"], strict=True):
        if isinstance(seconds, str):
            sums[run_id] += Decimal(seconds)
    assert len(sums) == 12
    assert {run_id: Decimal(runs.loc[run_id, "duration_s"]) for run_id in sums} == sums


@settings(deadline=None, max_examples=30)
@given(st.floats(1e-6, 20), st.sampled_from(["blackboard", "partial", "full"]))
def test_exclusive_nanoseconds_sum_exactly(stretch, level):
    """Whatever the times, a run's exclusive nanoseconds are its wall time, as integers and as printed."""
    spans = make_spans(level, stretch)
    record = make_record(spans, level=level)
    frame = bottlenecks_frame(runs_frame([record]), spans_frame([StoredRun(None, record, tuple(spans))]))
    assert frame["exclusive_ns"].sum() == record.wall_ns
    printed = csv_text(frame).splitlines()[1:]
    assert sum(Decimal(line.split(",")[3]) for line in printed) == Decimal(record.wall_ns) / 10**9


def test_bottlenecks_keep_all_ten_categories():
    """Categories without time are rows of zero, and a run without spans has its rows with figures missing."""
    spans, failed = make_spans(), make_failed()
    record = make_record(spans)
    frame = bottlenecks_frame(
        runs_frame([record, failed]), spans_frame([StoredRun(None, record, tuple(spans))])
    )
    assert frame["category"].tolist() == [*CATEGORIES, *CATEGORIES]
    ok = frame[frame["run_id"] == record.run_id].set_index("category")
    assert ok.loc["barrier", "exclusive_s"] == 0
    assert ok["share"].sum() == pytest.approx(1)
    assert frame.loc[frame["run_id"] == failed.run_id, "exclusive_s"].isna().all()
    assert frame.columns.tolist()[:7] == [
        "run_id", "level", "category", "exclusive_s", "share", "critical_path_s", "busy_s",
    ]  # fmt: skip


def test_the_breakdown_keeps_failed_levels_and_adds_up():
    """Means of the runs that succeeded add up to their mean duration; a level without one stays, empty."""
    spans, longer = make_spans(), make_spans(stretch=2)
    records = [make_record(spans), make_record(longer, repeat=1), make_failed("full")]
    runs = [
        StoredRun(None, record, tuple(own)) for record, own in zip(records, (spans, longer, ()), strict=True)
    ]
    frame = build_tables(runs)["breakdown"].set_index("level")
    mean_s = (records[0].duration_s + records[1].duration_s) / 2
    assert frame.loc["blackboard", "exclusive_s"].sum() == pytest.approx(mean_s, abs=1e-9)
    assert frame.loc["blackboard", "share"].sum() == pytest.approx(1)
    assert set(frame.loc["blackboard", "n"]) == {2}
    assert set(frame.loc["full", "n"]) == {0}
    assert frame.loc["full", ["exclusive_s", "share"]].isna().all(axis=None)
    assert "full" in terminal(render_breakdown(frame.reset_index()))


def test_spans_come_back_from_the_table():
    """The spans of a run in the spans table are the spans it was made from."""
    spans = make_spans("partial")
    frame = spans_frame([StoredRun(None, make_record(spans), tuple(spans))])
    assert spans_of(frame, "blackboard-cold-0") == spans


def test_published_tables_are_read_without_the_run_folders(fake_results, tmp_path):
    """The Parquet files alone give back every table, failed runs and missing values included."""
    folder = fake_results(failing=("full",))
    collected = collect(folder, load_study())
    (tmp_path / "published").mkdir()
    for name in ("runs.parquet", "spans.parquet"):
        (tmp_path / "published" / name).write_bytes((folder / name).read_bytes())
    read = read_tables(tmp_path / "published", load_study())
    assert read.keys() == collected.keys()
    for name, frame in collected.items():
        pd.testing.assert_frame_equal(read[name], frame)


def test_missing_or_broken_published_tables_are_errors(tmp_path):
    """A folder without tables, and a table that is no Parquet, are each named."""
    with pytest.raises(StoreError, match=r"no published results at .*runs\.parquet is missing"):
        read_tables(tmp_path)
    (tmp_path / "runs.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(StoreError, match=r"runs\.parquet unreadable"):
        read_tables(tmp_path)


def test_the_ratio_is_of_pairs():
    """Speed is blackboard over the level in the same pair; a slow machine in one pair cancels out."""
    frame = compared(records_of("blackboard", [30, 90, 33]), records_of("full", [3, 9, 3.3]))
    row = frame.loc[("full", "cold")]
    assert row["ratio"] == pytest.approx(10)
    assert (row["ratio_low"], row["ratio_high"]) == (pytest.approx(10), pytest.approx(10))
    assert row["n_pairs"] == 3


def test_pairs_in_which_one_failed_are_lost_and_counted():
    """A pair needs both runs; failures stay in attempted and the note says how many ratios are missing."""
    failed = make_failed("blackboard", repeat=1)
    frame = compared([*records_of("blackboard", [30]), failed], records_of("full", [3, 4]))
    row = frame.loc[("full", "cold")]
    assert (row["attempted"], row["succeeded"], row["n_pairs"]) == (2, 2, 1)
    assert "1 without a partner" in row["note"]
    assert frame.loc[("blackboard", "cold"), "failure_bound"] == "1 of 2 failed"


def test_one_run_has_no_interval():
    """With one pair the interval is empty and the row says so."""
    row = compared(records_of("blackboard", [30]), records_of("full", [3])).loc[("full", "cold")]
    assert math.isnan(row["ratio_low"])
    assert row["note"] == "exploratory; n = 1, no interval"


def test_ten_runs_are_not_exploratory():
    """From ten runs on a row is not marked, and no failure bounds the rate by three over n."""
    row = compared(records_of("blackboard", [30] * 10), records_of("full", [3] * 10)).loc[("full", "cold")]
    assert row["note"] == ""
    assert row["failure_bound"] == "below 3/10 (30%)"


@pytest.mark.parametrize(
    "difference",
    [
        {"work_id": "other"},
        {"clock": "virtual"},
        {"model": "other"},
        {"cache_state": "warm"},
        {"profile": "p"},
    ],
)
def test_unlike_runs_are_not_compared(difference):
    """Other work, another clock, model or cache state gives a row without a ratio that says why."""
    frame = compared(records_of("blackboard", [30]), records_of("full", [3], **difference))
    row = frame.loc["full"].iloc[0]
    assert math.isnan(row["ratio"])
    assert "no blackboard run of the same work" in row["note"]


def test_cold_and_warm_are_separate_rows():
    """Cache states are never pooled."""
    frame = compared(records_of("full", [3]), records_of("full", [1], cache_state="warm"))
    assert frame["duration_median_s"].to_dict() == {("full", "cold"): 3.0, ("full", "warm"): 1.0}


def test_cold_runs_with_hits_are_told():
    """A cold run that hit a cache is not cold, and the row says so."""
    assert "1 cold runs had cache hits" in compared(records_of("full", [3], cache_hits=2)).iloc[0]["note"]


def test_a_level_that_only_failed_is_a_row():
    """A failed level has its row, without figures and without a ratio."""
    row = compared(records_of("blackboard", [30]), [make_failed("full")]).loc[("full", "cold")]
    assert (row["attempted"], row["succeeded"], row["failure_bound"]) == (1, 0, "1 of 1 failed")
    assert math.isnan(row["duration_median_s"])
    assert row["note"] == "no run succeeded"


def test_only_failures_still_make_every_table():
    """An experiment in which nothing succeeded has all its tables."""
    tables = build_tables([StoredRun(None, make_failed(level), ()) for level in ("full", "none")])
    assert tables["comparison"]["level"].tolist() == ["none", "full"]
    assert set(TABLES) <= set(tables)
    assert "2 of 2" not in terminal(render_table(tables["comparison"]))
    terminal(render_breakdown(tables["breakdown"]))


def test_no_runs_make_empty_tables():
    """An experiment without runs has empty tables, with their columns."""
    tables = build_tables([])
    assert [len(tables[name]) for name in ("runs", "spans", *TABLES)] == [0] * (2 + len(TABLES))
    assert "Level" in comparison_markdown(tables["comparison"])


def test_a_run_with_unreadable_identity_is_a_row():
    """A run of which only the level is known is a row of its own."""
    from_nothing = make_failed(work_id=None, clock=None, model=None, cache_state=None, run_id="lost")
    frame = compared(records_of("full", [3]), [from_nothing])
    assert frame["attempted"].tolist() == [1, 1]


def test_rosters_that_differ_are_marked():
    """A level with other agents than the baseline carries a mark and a sentence."""
    frame = comparison(runs_frame(records_of("blackboard", [30]) + records_of("full", [3])))
    assert display_frame(frame)["Level"].tolist() == ["blackboard", "full †"]
    assert any(sentence.startswith("†") for sentence in caveats(frame))


def test_published_rows_stand_beside_and_apart():
    """The study's rows are marked, keep its figures, and are in no ratio."""
    frame = comparison(runs_frame(records_of("blackboard", [30])), study_frame(load_study()))
    published = frame[frame["kind"] == "published"]
    assert published["duration_median_s"].tolist()[:3] == [143.06, 108.72, 7.81]
    assert published["ratio"].isna().all()
    assert published["succeeded"].tolist() == [1, 1, 1, 0]
    assert published["note"].str.startswith("published, not comparable").all()
    assert frame.iloc[0]["kind"] == "measured"


def test_the_published_split_adds_up():
    """The study's claimed parts are its 143 s."""
    study = load_study()
    assert sum(part.seconds for part in study.split) == 143
    assert sum(part.share for part in study.split) == pytest.approx(1)


def test_a_bad_study_names_the_field(tmp_path):
    """A figure that is not a number is named with its place."""
    path = tmp_path / "study.yaml"
    path.write_text("title: x\ncaveats: []\nruns: [{level: a, status: ok, duration_s: long}]\nsplit_of: a\n")
    with pytest.raises(SpecError, match=r"study\.yaml: field 'runs\.0\.duration_s'"):
        load_study(path)


def test_simulated_rows_say_so():
    """A virtual clock makes a simulated row, with its profile, and a sentence."""
    frame = comparison(runs_frame(records_of("full", [3], clock="virtual", profile="fake-profile")))
    assert frame.iloc[0]["kind"] == "simulated"
    assert any("fake-profile" in sentence for sentence in caveats(frame))
    assert "simulated" in terminal(render_table(frame))


def test_the_terminal_table_fits(fake_results):
    """With every optional column in use the table keeps to 120 columns and breaks no preset's name."""
    folder = fake_results(repeats=2, alerts=("slow-run",), cost_usd=0.01)
    tables = collect(folder, load_study())
    printed = terminal(render_table(tables["comparison"]), width=120)
    assert all(len(line) <= 120 for line in printed.splitlines())
    assert printed.count("blackboard") >= 3
    assert "36%" in terminal(render_breakdown(tables["breakdown"]))


def test_names_cannot_break_the_markdown():
    """Bars and tags in a name stay text in their cell."""
    frame = comparison(runs_frame([*records_of("full", [3], model="a|b<script>"), *records_of("none", [3])]))
    lines = [line for line in comparison_markdown(frame).splitlines() if line.startswith("|")]
    assert "a\\|b\\<script\\>" in "".join(lines)
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_missing_figures_are_empty_in_the_csv(tmp_path):
    """What was not measured is an empty field, and seconds have nine decimals."""
    write_run(tmp_path, make_failed(), ())
    spans = make_spans()
    write_run(tmp_path, make_record(spans), spans)
    collect(tmp_path)
    runs = pd.read_csv(tmp_path / "runs.csv", dtype=str, keep_default_na=False).set_index("level")
    assert runs.loc["full", "duration_s"] == ""
    assert len(runs.loc["blackboard", "duration_s"].split(".")[1]) == 9
    assert runs.loc["blackboard", "started_at"] == "2001-01-01T00:00:00+00:00"


def test_the_interval_covers_at_its_nominal_rate():
    """Over many simulated experiments the 95 % interval holds the true ratio about 95 times in 100."""
    random = np.random.default_rng(5)
    for n in (3, 10):
        logs = random.normal(math.log(7), 0.12, (2000, n))
        intervals = [ratio_interval(list(np.exp(row)), [1.0] * n) for row in logs]
        covered = np.mean([found.low <= 7 <= found.high for found in intervals])
        assert 0.93 <= covered <= 0.97


@given(st.lists(st.tuples(st.floats(0.01, 1e4), st.floats(0.01, 1e4)), min_size=1, max_size=12))
def test_swapping_the_sides_inverts_the_ratio(pairs):
    """How much faster and how much slower are the same statement."""
    above, below = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    forth, back = ratio_interval(above, below), ratio_interval(below, above)
    assert forth.ratio * back.ratio == pytest.approx(1)
    if forth.low is not None:
        assert forth.low <= forth.ratio * (1 + 1e-12)
        assert forth.low * back.high == pytest.approx(1)


def test_an_a_a_pair_covers_one():
    """Two arms of the same level, spread alike, have an interval around 1."""
    durations = [30, 33, 31, 29, 32, 30.5, 31.5, 28.9, 33.3, 30.1]
    row = compared(records_of("blackboard", durations), records_of("twin", durations[::-1])).loc[
        ("twin", "cold")
    ]
    assert row["ratio_low"] < 1 < row["ratio_high"]
