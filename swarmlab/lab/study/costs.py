"""The source study's durations as sums of costs: what they solve to, and what that leaves unexplained.

Arithmetic on published figures: nothing here is measured or simulated.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from swarmlab.errors import SpecError
from swarmlab.records.published import PublishedRun, SourceStudy


@dataclass(frozen=True)
class Costs:
    """Seconds of a run in which one thing is done after the other; a model call costs nothing beyond them."""

    tool_s: float
    """A tool call."""
    context_s: float
    """An agent's view of what the others said."""
    coordination_s: float
    """An agent's turn, without its view and its tools."""
    result_s: float
    """A run's report."""

    def parts(self, rounds: float, n_agents: int) -> dict[str, float]:
        """Seconds by category, with tool calls in so many rounds one after the other."""
        return {
            "tool": rounds * self.tool_s,
            "context": n_agents * self.context_s,
            "coordination": n_agents * self.coordination_s,
            "result": self.result_s,
        }

    def seconds(self, rounds: float, n_agents: int) -> float:
        """Sum of `parts`."""
        return sum(self.parts(rounds, n_agents).values())


@dataclass(frozen=True)
class Figures:
    """A published run that succeeded."""

    level: str
    seconds: float
    agents: int
    calls: int
    tokens: int


def figures(study: SourceStudy, level: str) -> Figures:
    """Return what the study published of a level; raises SpecError where it has no complete row."""
    for run in study.runs:
        if run.level == level and run.status == "ok":
            return _figures(run)
    raise SpecError(f"{study.title} has no run of {level!r} that succeeded")


def solve_costs(study: SourceStudy) -> Costs:
    """Costs that reproduce the run whose split the study claims.

    Four costs from four parts and their sum leave no degree of freedom: that this run comes out right tests
    nothing. What the parts fall short of the duration (`residue_s`) goes to the report.

    Raises
    ------
    SpecError
        The study's split lacks a part.
    """
    run, part = figures(study, study.split_of), _split(study)
    return Costs(
        tool_s=part["tool"] / run.calls,
        context_s=part["context"] / run.agents,
        coordination_s=part["coordination"] / run.agents,
        result_s=part["result"] + residue_s(study),
    )


def residue_s(study: SourceStudy) -> float:
    """Seconds by which the claimed split falls short of the duration that it splits."""
    return figures(study, study.split_of).seconds - sum(share.seconds for share in study.split)


def assumptions(study: SourceStudy) -> pd.DataFrame:
    """The solved costs, each with the figures that it comes from."""
    costs, run, part = solve_costs(study), figures(study, study.split_of), _split(study)
    over_agents = f"over {run.agents} agents"
    rows = [
        ("a tool call", costs.tool_s, f"{part['tool']:g} s over {run.calls} calls"),
        ("context, an agent", costs.context_s, f"{part['context']:g} s {over_agents}"),
        (
            "coordination, an agent",
            costs.coordination_s,
            f"{part['coordination']:g} s {over_agents}",
        ),
        ("the report", costs.result_s, f"{part['result']:g} s and a residue of {residue_s(study):.2f} s"),
    ]
    return pd.DataFrame(rows, columns=["cost", "seconds", "from the split"])


def same_costs(study: SourceStudy) -> pd.DataFrame:
    """Each published duration beside what the solved costs give for its agents and calls, all in a row.

    Columns
    -------
    same_costs_s
        With the context's seconds in proportion to agents.
    same_costs_by_entry_s
        With the context's seconds in proportion to entries read: the n-th agent reads n - 1 of them.
    residual_s, residual
        Published less `same_costs_s`, in seconds and as a share of it.
    """
    costs, board = solve_costs(study), figures(study, study.split_of)
    an_entry = board.agents * costs.context_s / _entries(board.agents)
    rows = []
    for run in _succeeded(study):
        same = costs.seconds(run.calls, run.agents)
        by_entry = same - run.agents * costs.context_s + _entries(run.agents) * an_entry
        rows.append(
            {
                "level": run.level,
                "agents": run.agents,
                "calls": run.calls,
                "published_s": run.seconds,
                "same_costs_s": same,
                "residual_s": run.seconds - same,
                "residual": run.seconds / same - 1,
                "same_costs_by_entry_s": by_entry,
            }
        )
    return pd.DataFrame(rows)


def difference(study: SourceStudy) -> pd.DataFrame:
    """What the solved costs say of the seconds between `blackboard` and `none`.

    They differ in agents as well as in context, so only what agents do not explain can be the context's.
    """
    costs, before, after = solve_costs(study), figures(study, "blackboard"), figures(study, "none")
    fewer, whole = before.agents - after.agents, before.seconds - after.seconds
    views, turns = fewer * costs.context_s, fewer * costs.coordination_s
    rows = [
        (f"views of {fewer} agents fewer", views),
        (f"turns of {fewer} agents fewer", turns),
        ("left for the kind of context, or anything else", whole - views - turns),
        ("the published difference", whole),
    ]
    table = pd.DataFrame(rows, columns=["part", "seconds"])
    return table.assign(share=table["seconds"] / whole)


def alternatives(study: SourceStudy, level: str = "none") -> pd.DataFrame:
    """Ways to reproduce a level exactly with its calls in a row, each by a change of one assumption alone.

    Where `needed` is below zero, that assumption alone cannot do it (`possible`).
    """
    costs, run = solve_costs(study), figures(study, level)
    over = costs.seconds(run.calls, run.agents) - run.seconds
    rows = [
        ("seconds of a tool call", costs.tool_s, costs.tool_s - over / run.calls),
        ("seconds of context, an agent", costs.context_s, costs.context_s - over / run.agents),
        ("seconds of coordination, an agent", costs.coordination_s, costs.coordination_s - over / run.agents),
        ("seconds of the report", costs.result_s, costs.result_s - over),
        ("tool calls executed", float(run.calls), run.calls - over / costs.tool_s),
    ]
    table = pd.DataFrame(rows, columns=["assumption", "solved", "needed"])
    return table.assign(change=table["needed"] / table["solved"] - 1, possible=table["needed"] >= 0)


def tokens(study: SourceStudy) -> pd.DataFrame:
    """The study's token estimates against its time and its work.

    `at_fastest_s` is how long a level's tokens would have taken at the highest rate the study published.
    """
    runs = _succeeded(study)
    fastest = max(run.tokens / run.seconds for run in runs)
    rows = [
        {
            "level": run.level,
            "tokens": run.tokens,
            "seconds": run.seconds,
            "tokens_per_s": run.tokens / run.seconds,
            "tokens_per_agent": run.tokens / run.agents,
            "tokens_per_call": run.tokens / run.calls,
            "at_fastest_s": run.tokens / fastest,
        }
        for run in runs
    ]
    return pd.DataFrame(rows)


def _split(study: SourceStudy) -> dict[str, float]:
    part = {share.category: share.seconds for share in study.split}
    missing = [name for name in ("tool", "context", "coordination", "result") if name not in part]
    if missing:
        raise SpecError(f"{study.title} claims no seconds for {missing[0]!r}")
    return part


def _entries(n_agents: int) -> int:
    return n_agents * (n_agents - 1) // 2


def _succeeded(study: SourceStudy) -> list[Figures]:
    return [_figures(run) for run in study.runs if run.status == "ok"]


def _figures(run: PublishedRun) -> Figures:
    given: Mapping[str, float | None] = {
        "seconds": run.duration_s,
        "agents": run.n_agents,
        "calls": run.n_tool_calls,
        "tokens": run.total_tokens,
    }
    missing = [name for name, value in given.items() if value is None]
    if run.duration_s is None or run.n_agents is None or run.n_tool_calls is None or run.total_tokens is None:
        raise SpecError(f"the published run of {run.level!r} succeeded, but its {missing[0]} are not given")
    return Figures(run.level, run.duration_s, run.n_agents, run.n_tool_calls, run.total_tokens)
