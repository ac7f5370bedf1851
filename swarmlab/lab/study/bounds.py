"""What the source study's short duration rules out: least seconds of its calls, and what else must have held.

Arithmetic on published figures: nothing here is measured or simulated.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

import pandas as pd

from swarmlab.agents.levels import LEVELS
from swarmlab.agents.rosters import ROSTERS, Agent, n_planned
from swarmlab.lab.study.costs import Costs, figures, solve_costs
from swarmlab.records.published import SourceStudy

WORKERS = (1, 2, 3, 4, 6, 12)


def tool_bounds(study: SourceStudy, level: str = "partial", workers: Sequence[int] = WORKERS) -> pd.DataFrame:
    """Least seconds of a level's tool calls at equal work on so many workers, and what fits its duration.

    Columns
    -------
    one_pool_s
        So many workers in all: max(longest call, all calls / workers). No schedule is shorter.
    stages_s
        So many workers an agent, each agent of swarmlab's roster as early as what it depends on allows.
    in_a_row_s
        The same, one agent after the other. The study does not say which agent calls what.
    most_executed
        Calls that fit the published duration when everything else takes no time.
    least_hit_rate
        Share of the calls that then has to come from a cache or be left out.
    """
    costs, run, roster = solve_costs(study), figures(study, level), ROSTERS[LEVELS[level].roster]
    rows = []
    for n in workers:
        executed = min(run.calls, n * floor(run.seconds / costs.tool_s))
        rows.append(
            {
                "workers": n,
                "one_pool_s": max(costs.tool_s, run.calls * costs.tool_s / n),
                "stages_s": _rounds_by_dependency(roster, n) * costs.tool_s,
                "in_a_row_s": sum(_rounds(agent, n) for agent in roster) * costs.tool_s,
                "most_executed": executed,
                "least_hit_rate": 1 - executed / run.calls,
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Scenario:
    """What would have to hold for a published duration."""

    name: str
    executed: int
    """Tool calls executed; the others come from a cache or are left out."""
    rounds: float
    """Rounds of tool calls one after the other."""
    rest: float
    """Context, coordination and report, as a share of what the solved costs give."""
    faster: float = 1.0
    """How many times faster a tool call is."""

    def parts(self, costs: Costs, n_agents: int) -> dict[str, float]:
        """Seconds by category."""
        parts = replace(costs, tool_s=costs.tool_s / self.faster).parts(self.rounds, n_agents)
        return {name: s * (1.0 if name == "tool" else self.rest) for name, s in parts.items()}


def scenarios(study: SourceStudy, level: str = "partial", workers: int = 4) -> list[Scenario]:
    """Ways to come to a level's duration; the first executes every call at its solved cost."""
    costs, run = solve_costs(study), figures(study, level)
    whole, rest = costs.seconds(run.calls, run.agents), costs.seconds(0, run.agents)
    one_round = (run.seconds - costs.tool_s) / rest
    in_a_row = run.calls * costs.tool_s / run.seconds
    return [
        Scenario(f"all {run.calls} calls at once", run.calls, 1, one_round),
        Scenario(f"one round of {workers} workers, the other calls cached", workers, 1, one_round),
        Scenario("every call cached", 0, 0, run.seconds / rest),
        Scenario("faster calls in a row, all else free", run.calls, run.calls, 0.0, in_a_row),
        Scenario("everything faster alike", run.calls, run.calls, run.seconds / whole, whole / run.seconds),
    ]


def needed(study: SourceStudy, level: str = "partial") -> pd.DataFrame:
    """`scenarios` as a table; each gives the published duration, at what `all_else_change` says."""
    costs, run = solve_costs(study), figures(study, level)
    rows = []
    for scenario in scenarios(study, level):
        parts = scenario.parts(costs, run.agents)
        rows.append(
            {
                "what must have happened": scenario.name,
                "executed": scenario.executed,
                "hit_rate": 1 - scenario.executed / run.calls,
                "a_call_s": costs.tool_s / scenario.faster,
                "tools_s": parts["tool"],
                "all_else_s": sum(parts.values()) - parts["tool"],
                "all_else_change": scenario.rest - 1,
                "seconds": sum(parts.values()),
            }
        )
    return pd.DataFrame(rows)


def reproduced(study: SourceStudy) -> dict[str, dict[str, float]]:
    """Seconds by category that give each published duration, with as little changed as will do.

    `blackboard` by the solved costs; `none` with another cost of context, the one switch in which it differs
    besides its roster; `partial` by the first of `scenarios`. A level that failed has no duration.
    """
    costs = solve_costs(study)
    board, none, partial = (figures(study, level) for level in ("blackboard", "none", "partial"))
    over = costs.seconds(none.calls, none.agents) - none.seconds
    transcript = replace(costs, context_s=costs.context_s - over / none.agents)
    return {
        "blackboard": costs.parts(board.calls, board.agents),
        "none": transcript.parts(none.calls, none.agents),
        "partial": scenarios(study)[0].parts(costs, partial.agents),
    }


def _rounds(agent: Agent, workers: int) -> int:
    return ceil(n_planned(agent) / workers)


def _rounds_by_dependency(roster: Sequence[Agent], workers: int) -> int:
    done: dict[str, int] = {}
    for agent in roster:
        begun = max((done[name] for name in agent.depends_on), default=0)
        done[agent.name] = begun + _rounds(agent, workers)
    return max(done.values())
