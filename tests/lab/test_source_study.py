"""The replication of the source study: its costs on swarmlab's own graphs in virtual time, and its figure."""

import pandas as pd
import pytest

from swarmlab.lab.study.replication import Replication, replicate
from swarmlab.records.published import load_study
from swarmlab.records.replication import BARS

PARTS = ["tool", "context", "coordination", "result"]


@pytest.fixture(scope="module")
def replication() -> Replication:
    """The replication as the notebook makes it."""
    return replicate()


@pytest.fixture(scope="module")
def simulated(replication: Replication) -> pd.DataFrame:
    """Its simulated runs."""
    return replication.tables["equal_work"]


def test_simulated_runs_take_what_the_arithmetic_says(simulated: pd.DataFrame) -> None:
    """Graphs, executor and tracer add nothing: a cold run is the sum, to a microsecond a wait."""
    cold = simulated[simulated["cache"] == "cold"]
    assert (cold["simulated_s"] - cold["expected_s"]).abs().max() < 5e-5
    assert list(zip(cold["level"], cold["workers"], strict=True)) == [
        ("blackboard", 4),
        ("none", 4),
        ("partial", 4),
        ("partial", 12),
        ("full", 4),
        ("full", 12),
    ]
    seconds = cold.set_index(["level", "workers"])["simulated_s"]
    assert seconds["blackboard", 4] == pytest.approx(143.06, abs=1e-4)
    assert seconds["partial", 4] == pytest.approx(62.2267, abs=1e-3)


def test_parts_of_a_simulated_run_add_up(simulated: pd.DataFrame) -> None:
    """The four categories of the study's split hold every simulated second; no model call takes any."""
    assert (simulated[PARTS].sum(axis=1) - simulated["simulated_s"]).abs().max() < 1e-9
    split = {share.category: share.seconds for share in load_study().split}
    board = simulated.iloc[0]
    assert [board[name] for name in PARTS[:3]] == pytest.approx([split[n] for n in PARTS[:3]], abs=1e-4)


def test_levels_do_equal_work(simulated: pd.DataFrame) -> None:
    """Every level makes the same twelve tool calls, executes all of them when cold, and finds every fact."""
    assert (simulated["tool_calls"] == 12).all()
    assert (simulated.loc[simulated["cache"] == "cold", "executed"] == 12).all()
    assert (simulated.loc[simulated["cache"] == "warm", "executed"] == 0).all()
    assert (simulated["facts_right"] == 1).all()


def test_no_equal_work_comes_near_the_published_partial(simulated: pd.DataFrame) -> None:
    """Cold on unlimited workers, or warm with every tool call cached, it takes over four times 7.81 s."""
    partial = simulated[simulated["level"] == "partial"]
    assert partial["simulated_s"].min() == pytest.approx(17.5 + 10 + 8.06, abs=1e-4)
    assert partial["simulated_s"].min() > 4 * 7.81


def test_replication_is_the_same_every_time(replication: Replication) -> None:
    """Virtual time has no spread: a second replication gives the same tables to the last digit."""
    again = replicate()
    for name, table in replication.tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name], obj=name, check_exact=True)


def test_bars_are_the_three_durations_of_each_level(replication: Replication) -> None:
    """Published, reproduced and simulated bars add up to their durations; a failed run has none."""
    assert tuple(replication.bars.columns) == BARS
    seconds = replication.bars.groupby(["kind", "level"])["seconds"].sum(min_count=1)
    for run in load_study().runs:
        if run.duration_s is None:
            assert pd.isna(seconds["published", run.level])
            assert ("reproduced", run.level) not in seconds.index
        else:
            assert seconds["published", run.level] == pytest.approx(run.duration_s)
            assert seconds["reproduced", run.level] == pytest.approx(run.duration_s)
    cold = replication.tables["equal_work"].query("cache == 'cold' and workers == 4")
    for level, duration in zip(cold["level"], cold["simulated_s"], strict=True):
        assert seconds["simulated", level] == pytest.approx(duration)


def test_figure_says_what_is_simulated(replication: Replication) -> None:
    """Each simulated bar and the title say so, and a failed run is written out."""
    figure = replication.figure()
    axes = figure.axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[:3] == ["blackboard: published", "reproduced", "equal work, simulated"]
    assert sum("simulated" in label for label in labels) == 4
    assert "simulated" in figure.get_suptitle()
    assert "failed" in [text.get_text() for text in axes.texts]
