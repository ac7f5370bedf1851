"""The comparison over several works: what is paired, what is not, and the A/A pair."""

import pandas as pd
import pytest
from fake_results import make_failed, make_record
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.records.caveats import caveats
from swarmlab.records.comparison import comparison
from swarmlab.records.pairs import paired, twin_of, with_pair
from swarmlab.records.render import comparison_markdown, display_frame
from swarmlab.records.tables import runs_frame


def records_of(level, durations_s, works=("fake-work",), **changes):
    """Return one ok record a duration, repeat by repeat, the works in turn."""
    return [
        make_record(
            (),
            level=level,
            repeat=index,
            wall_ns=round(seconds * 1e9),
            work_id=works[index % len(works)],
            **changes,
        )
        for index, seconds in enumerate(durations_s)
    ]


def compared(*groups):
    """Return the comparison of the records, indexed by level."""
    return comparison(runs_frame([record for group in groups for record in group])).set_index("level")


def test_a_level_on_several_works_is_one_row():
    """Repeats on different briefs and exams are pooled, and each is paired within its own work."""
    works = ("w1", "w2", "w3")
    frame = compared(records_of("blackboard", [30, 60, 90], works), records_of("full", [3, 6, 9], works))
    assert frame.index.tolist() == ["blackboard", "full"]
    row = frame.loc["full"]
    assert (row["n_works"], row["n"], row["n_pairs"]) == (3, 3, 3)
    assert (row["ratio"], row["ratio_low"], row["ratio_high"]) == pytest.approx((10, 10, 10))
    assert row["ratio_median"] == pytest.approx(10)
    assert row["work_id"] == "3 works"


def test_one_work_keeps_its_name():
    """A row of one work shows which."""
    assert compared(records_of("full", [3])).loc["full", "work_id"] == "fake-work"


def test_unequal_work_in_one_block_is_not_paired():
    """The same pair number on another work is no pair."""
    frame = compared(
        records_of("blackboard", [30, 60], ("w1", "w2")), records_of("full", [3, 6], ("w2", "w1"))
    )
    assert pd.isna(frame.loc["full", "ratio"])
    assert "no pair with blackboard" in frame.loc["full", "note"]


def test_works_of_one_side_only_are_said():
    """Where the baseline did fewer works only the shared pairs count, and the note says how many works."""
    frame = compared(
        records_of("blackboard", [30, 60], ("w1", "w2")), records_of("full", [3, 6, 1], ("w1", "w2", "w3"))
    )
    row = frame.loc["full"]
    assert (row["n_pairs"], row["ratio"]) == (2, pytest.approx(10))
    assert "2 of 3 works shared with blackboard: only their pairs count" in row["note"]


def test_other_data_is_another_row():
    """Levels are not pooled over data sets."""
    frame = compared(records_of("full", [3]), records_of("full", [4], data_fingerprint="e" * 64))
    assert frame["n"].tolist() == [1, 1]


def test_quality_and_time_are_over_all_works():
    """A row's figures are those of all its runs that succeeded."""
    better = make_record(
        (), level="full", repeat=1, wall_ns=5_000_000_000, work_id="w2", decision_accuracy=1.0
    )
    worse = make_record(
        (), level="full", repeat=0, wall_ns=3_000_000_000, work_id="w1", decision_accuracy=0.5
    )
    row = compared([worse, better, make_failed("full", repeat=2, work_id="w3")]).loc["full"]
    assert (row["duration_median_s"], row["decision_accuracy"], row["n_works"]) == (4, 0.75, 2)
    assert row["attempted"] == 3


def twins(durations, again, **changes):
    """Return blackboard, and `full` twice under two names."""
    return compared(
        records_of("blackboard", [30.0] * len(durations), level_id="b"),
        records_of("full", durations, level_id="f", **changes),
        records_of("full-again", again, level_id="f", **changes),
    )


def test_an_a_a_pair_is_found_by_its_switches():
    """The level under another name says whose twin it is and that the interval covers 1."""
    frame = twins([3.0, 3.1, 2.9], [3.1, 2.9, 3.0])
    row = frame.loc["full-again"]
    assert row["aa_of"] == "full"
    assert row["aa_covers_1"]
    assert row["aa_ratio_low"] < 1 < row["aa_ratio_high"]
    assert "A/A with full: 1.00" in row["note"]
    assert "covers 1" in row["note"]
    assert frame.loc[["full", "blackboard"], "aa_of"].isna().all()
    assert any(
        "A/A check: full-again" in sentence and "as it must" in sentence
        for sentence in caveats(frame.reset_index())
    )


def test_an_a_a_pair_that_does_not_cover_1_is_said():
    """Twins that come out apart are a warning about everything smaller."""
    frame = twins([3.0, 3.1, 2.9], [2.0, 2.1, 1.9])
    assert not frame.loc["full-again", "aa_covers_1"]
    assert "does not cover 1" in frame.loc["full-again", "note"]
    assert any("trust nothing smaller" in sentence for sentence in caveats(frame.reset_index()))


def test_an_a_a_pair_with_one_pair_has_no_interval():
    """One pair cannot tell, and the row says so."""
    row = twins([3.0], [3.0]).loc["full-again"]
    assert pd.isna(row["aa_covers_1"])
    assert "A/A with full: no interval" in row["note"]


def test_unknown_switches_are_no_twins():
    """Records of before switches were hashed have no A/A pair."""
    assert twin_of("full", runs_frame([*records_of("full", [3]), *records_of("none", [3])])) is None


def test_the_number_of_works_is_shown_where_it_matters():
    """The column is in the page only where some level did more than one work."""
    one = comparison(runs_frame(records_of("full", [3, 3])))
    several = comparison(runs_frame(records_of("full", [3, 3], ("w1", "w2"))))
    assert "Works" not in display_frame(one)
    assert display_frame(several)["Works"].tolist() == ["2"]
    assert "| Works |" in comparison_markdown(several)


ROUNDS = st.lists(
    st.tuples(st.sampled_from(["w1", "w2"]), st.sampled_from(["w1", "w2"]), st.booleans(), st.booleans()),
    min_size=1,
    max_size=8,
)


@given(ROUNDS)
def test_only_equal_work_in_one_block_that_succeeded_twice_is_paired(rounds):
    """Whatever was run, a pair is one block, one work, and two runs that succeeded."""
    records = []
    for repeat, (work_a, work_b, ok_a, ok_b) in enumerate(rounds):
        for level, work, ok in (("blackboard", work_a, ok_a), ("full", work_b, ok_b)):
            make = make_record if ok else lambda _, **fields: make_failed(**fields)
            extra = {"wall_ns": 10**9} if ok else {}
            records.append(make((), level=level, repeat=repeat, work_id=work, **extra))
    runs = with_pair(runs_frame(records))
    pairs = paired(runs[runs["level"] == "blackboard"], runs[runs["level"] == "full"])
    expected = [(a, i) for i, (a, b, ok_a, ok_b) in enumerate(rounds) if a == b and ok_a and ok_b]
    assert sorted(pairs.index) == sorted(expected)
