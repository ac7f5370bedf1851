"""The arithmetic on the source study's figures: what reproduces them and what they rule out."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.agents.levels import LEVELS, make_level
from swarmlab.agents.rosters import ROSTERS, n_planned
from swarmlab.errors import SpecError
from swarmlab.lab.study.bounds import Scenario, needed, reproduced, scenarios, tool_bounds
from swarmlab.lab.study.costs import (
    Costs,
    alternatives,
    assumptions,
    difference,
    figures,
    residue_s,
    same_costs,
    solve_costs,
    tokens,
)
from swarmlab.lab.study.replication import CHANGED, expected
from swarmlab.models.profile import load_profile
from swarmlab.records.published import load_study

STUDY = load_study()
COSTS = solve_costs(STUDY)
SECONDS = st.floats(min_value=0.0, max_value=1000.0, allow_nan=False)


def test_costs_are_the_split_over_calls_and_agents() -> None:
    """The blackboard row and its split fix all four costs; the 0.06 s of rounding go to the report."""
    assert residue_s(STUDY) == pytest.approx(0.06)
    assert pytest.approx(80 / 12) == COSTS.tool_s
    assert pytest.approx(35 / 6) == COSTS.context_s
    assert pytest.approx(20 / 6) == COSTS.coordination_s
    assert pytest.approx(8.06) == COSTS.result_s
    assert list(assumptions(STUDY)["seconds"]) == [
        COSTS.tool_s,
        COSTS.context_s,
        COSTS.coordination_s,
        COSTS.result_s,
    ]


def test_profile_holds_the_solved_costs() -> None:
    """The declared profile that the simulation runs on is these very costs, and its model costs nothing."""
    profile = load_profile("source-study")
    for implementation in profile.tools.values():
        assert implementation.compute["default"].seconds(10**9) == pytest.approx(COSTS.tool_s, abs=1e-6)
        assert implementation.read.seconds(10**9) == 0
        assert implementation.cores == 12
    assert profile.overhead.context_s == pytest.approx(COSTS.context_s, abs=1e-6)
    assert profile.overhead.agent_turn_s == pytest.approx(COSTS.coordination_s, abs=1e-6)
    assert profile.overhead.result_s == pytest.approx(COSTS.result_s, abs=1e-6)
    assert profile.prefill.seconds(10**6, 0) + profile.decode.seconds(10**6, 0) < 1e-5
    assert profile.time_to_first_token_s == profile.overhead.model_call_s == 0


def test_three_agents_at_the_same_costs_take_115_seconds() -> None:
    """`none` comes out 6.84 s too long with a cost an agent and 3.66 s too short with one an entry read."""
    table = same_costs(STUDY).set_index("level")
    assert table.same_costs_s["blackboard"] == pytest.approx(143.06)
    assert table.same_costs_s["none"] == pytest.approx(80 + 17.5 + 10 + 8.06)
    assert table.residual_s["none"] == pytest.approx(-6.84)
    assert table.same_costs_by_entry_s["blackboard"] == pytest.approx(143.06)
    assert table.same_costs_by_entry_s["none"] == pytest.approx(80 + 35 * 3 / 15 + 10 + 8.06)
    assert table.residual_s["partial"] == pytest.approx(7.81 - 115.56)
    assert "full" not in table.index


def test_fewer_agents_explain_four_fifths_of_the_difference() -> None:
    """Of the 34.34 s between blackboard and none, 27.50 s go with the number of agents."""
    parts = difference(STUDY)["seconds"]
    assert list(parts) == pytest.approx([17.5, 10.0, 6.84, 34.34])
    assert difference(STUDY)["share"].iloc[:3].sum() == pytest.approx(1)


def test_each_alternative_gives_the_published_duration() -> None:
    """Putting one needed value in place of the solved one gives 108.72 s, whichever it is."""
    run, needs = figures(STUDY, "none"), alternatives(STUDY)["needed"]
    for field, value in zip(("tool_s", "context_s", "coordination_s", "result_s"), needs, strict=False):
        changed = replace(COSTS, **{field: value})
        assert changed.seconds(run.calls, run.agents) == pytest.approx(run.seconds), field
    assert COSTS.seconds(needs.iloc[4], run.agents) == pytest.approx(run.seconds)
    assert alternatives(STUDY)["possible"].all()
    # One call fewer comes within a fifth of a second.
    assert COSTS.seconds(11, run.agents) == pytest.approx(run.seconds, abs=0.2)


def test_no_single_assumption_but_the_calls_could_make_partial() -> None:
    """No one cost, not even at zero, brings twelve calls in a row down to 7.81 s, nor do fewer calls."""
    assert not alternatives(STUDY, "partial")["possible"].any()


def test_the_report_alone_is_longer_than_partial() -> None:
    """At the study's own split the report takes 8.06 s, so no schedule and no cache of tools gives 7.81 s."""
    assert figures(STUDY, "partial").seconds < COSTS.result_s


def test_bounds_of_the_tools() -> None:
    """On w workers the tools take at least max(longest, all / w); with unlimited ones, a call a stage."""
    table = tool_bounds(STUDY).set_index("workers")
    assert table.one_pool_s[1] == pytest.approx(80)
    assert table.one_pool_s[4] == pytest.approx(20)
    assert table.one_pool_s[12] == pytest.approx(80 / 12)
    assert table.in_a_row_s[4] == pytest.approx((2 + 1 + 1) * 80 / 12)
    assert table.stages_s[12] == pytest.approx(2 * 80 / 12)
    assert table.most_executed.to_dict() == {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 12: 12}
    assert table.least_hit_rate[4] == pytest.approx(2 / 3)


@given(workers=st.integers(1, 40))
def test_bounds_are_ordered_and_fall_with_workers(workers: int) -> None:
    """Agents in a row are never faster than by dependency, nor the pool in whole calls than the bound."""
    few, more = tool_bounds(STUDY, workers=(workers, workers + 1)).to_dict("records")
    for row in (few, more):
        assert row["in_a_row_s"] >= row["stages_s"] >= COSTS.tool_s
        assert row["in_a_row_s"] >= row["one_pool_s"] - 1e-9
        assert 0 <= row["least_hit_rate"] < 1
    for column in ("one_pool_s", "stages_s", "in_a_row_s", "least_hit_rate"):
        assert more[column] <= few[column]


def test_each_scenario_gives_the_published_duration() -> None:
    """Whatever is said to have happened adds up to 7.81 s, at a saving of at least 78 % of all else."""
    table = needed(STUDY)
    assert list(table["seconds"]) == pytest.approx([7.81] * len(scenarios(STUDY)))
    assert list(table["executed"]) == [12, 4, 0, 12, 12]
    assert (table["all_else_change"] <= -0.78).all()
    assert table["a_call_s"].iloc[3] == pytest.approx(7.81 / 12)


@given(
    costs=st.builds(Costs, SECONDS, SECONDS, SECONDS, SECONDS), rounds=st.integers(0, 50), n=st.integers(1, 9)
)
def test_parts_add_up(costs: Costs, rounds: int, n: int) -> None:
    """A duration is the sum of its parts, and a scenario that changes nothing is the duration itself."""
    assert costs.seconds(rounds, n) == pytest.approx(sum(costs.parts(rounds, n).values()))
    unchanged = Scenario("nothing changed", rounds, rounds, 1.0)
    assert sum(unchanged.parts(costs, n).values()) == pytest.approx(costs.seconds(rounds, n))


def test_reproductions_match_and_say_what_they_changed() -> None:
    """Each published duration is reproduced to the hundredth, with a note; a failed level has none."""
    durations = {level: sum(parts.values()) for level, parts in reproduced(STUDY).items()}
    assert durations == pytest.approx({"blackboard": 143.06, "none": 108.72, "partial": 7.81})
    assert CHANGED.keys() == durations.keys()


def test_tokens_against_time_and_work() -> None:
    """596 tokens in 7.81 s are 76 a second, at which blackboard's 422 would have taken 5.5 s of its 143."""
    table = tokens(STUDY).set_index("level")
    assert table.tokens_per_s["partial"] == pytest.approx(596 / 7.81)
    assert table.at_fastest_s["blackboard"] == pytest.approx(422 * 7.81 / 596)
    assert table.tokens_per_call["blackboard"] == pytest.approx(422 / 12)


def test_expected_durations_at_equal_work() -> None:
    """Four workers bring partial to 62.23 s and full to 53.06 s; unlimited ones partial to 55.56 s."""
    on_four = {name: sum(expected(COSTS, level, 4).values()) for name, level in LEVELS.items()}
    assert on_four == pytest.approx(
        {"blackboard": 143.06, "none": 115.56, "partial": 62.2267, "full": 53.06}, abs=1e-3
    )
    on_twelve = sum(expected(COSTS, LEVELS["partial"], 12).values())
    assert on_twelve == pytest.approx(3 * 80 / 12 + 17.5 + 10 + 8.06)
    assert all(sum(map(n_planned, roster)) == 12 for roster in ROSTERS.values())


def test_overlapping_agents_have_no_sum() -> None:
    """A level whose agents run side by side is refused rather than given a wrong sum."""
    level = make_level({"name": "side-by-side", "base": "none", "agent_schedule": "superstep"})
    with pytest.raises(SpecError, match="overlap"):
        expected(COSTS, level, 4)


def test_incomplete_studies_are_refused() -> None:
    """A study without the row or without a part of the split is refused, with the name of what is missing."""
    with pytest.raises(SpecError, match="no run of 'full'"):
        figures(STUDY, "full")
    with pytest.raises(SpecError, match="no seconds for 'context'"):
        solve_costs(STUDY.model_copy(update={"split": STUDY.split[:1]}))
    rows = (STUDY.runs[0].model_copy(update={"n_agents": None}), *STUDY.runs[1:])
    with pytest.raises(SpecError, match="agents are not given"):
        solve_costs(STUDY.model_copy(update={"runs": rows}))
