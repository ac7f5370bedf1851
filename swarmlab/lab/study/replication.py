"""The source study, replicated: its durations reproduced by arithmetic, its costs simulated at equal work.

The simulated runs are swarmlab's own: its levels, graphs, tools and executor, on virtual time, with the
costs that the study's claimed split comes to (profile `source-study`).
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from swarmlab.agents.levels import LEVELS, Level
from swarmlab.agents.rosters import ROSTERS, n_planned
from swarmlab.errors import ModelError, SpecError
from swarmlab.lab.api import make_cell
from swarmlab.lab.experiment import Cell
from swarmlab.lab.simulate import Simulator
from swarmlab.lab.study.bounds import needed, reproduced, tool_bounds
from swarmlab.lab.study.costs import (
    Costs,
    alternatives,
    assumptions,
    difference,
    same_costs,
    solve_costs,
    tokens,
)
from swarmlab.records.published import SourceStudy, load_study
from swarmlab.records.replication import BARS, replication_figure
from swarmlab.tools.cache import Cache
from swarmlab.trace.attribution import attribute

PROFILE = "source-study"
CHANGED = {
    "blackboard": "by construction",
    "none": "context cheaper",
    "partial": "calls at once, all else nearly free",
}
"""What `reproduced` changed of each level."""
_DATA = "beverage:2000"
"""A call costs what the profile says, whatever the data's size."""
_PARTS = ("tool", "context", "coordination", "result")


@dataclass(frozen=True)
class Replication:
    """What came of it.

    Tables by name: `costs`, `same_costs`, `difference`, `alternatives`, `bounds`, `needed` and `tokens` are
    arithmetic on published figures, `equal_work` is simulated.
    """

    tables: Mapping[str, pd.DataFrame]
    bars: pd.DataFrame

    def figure(self) -> Figure:
        """Published, reproduced and simulated durations, side by side."""
        return replication_figure(self.bars)


def replicate(workers: Sequence[int] = (4, 12)) -> Replication:
    """Take the study's durations apart and simulate its levels at equal work; some seconds of real time.

    Parameters
    ----------
    workers
        Tool calls at once in the simulated runs, where a level's are parallel; the figure shows the first.
    """
    published = load_study()
    simulated = equal_work(solve_costs(published), workers)
    tables = {
        "costs": assumptions(published),
        "same_costs": same_costs(published),
        "difference": difference(published),
        "alternatives": alternatives(published),
        "bounds": tool_bounds(published),
        "needed": needed(published),
        "tokens": tokens(published),
        "equal_work": simulated,
    }
    return Replication(tables, _bars(published, simulated))


def equal_work(costs: Costs, workers: Sequence[int] = (4, 12)) -> pd.DataFrame:
    """Simulate the four levels, every one with the same twelve tool requests, on a cold and a warm cache.

    Returns
    -------
    DataFrame
        `simulated_s` are virtual seconds, which `tool`, `context`, `coordination` and `result` add up to;
        `expected_s` are those of a cold run by arithmetic.

    Raises
    ------
    ModelError
        A run failed.
    """
    simulator, rows = Simulator(), []
    for level in LEVELS.values():
        for n in workers if level.tool_schedule == "parallel" else workers[:1]:
            cell = make_cell({"level": level, "data": _DATA, "model": f"simulated:{PROFILE}", "workers": n})
            by_arithmetic = {"expected_s": sum(expected(costs, level, n).values())}
            with closing(Cache(None, level.cache)) as cache:
                rows.append(_run(simulator, cell, cache) | by_arithmetic)
                if level.cache:
                    rows.append(_run(simulator, cell.model_copy(update={"cache_state": "warm"}), cache))
    return pd.DataFrame(rows)


def expected(costs: Costs, level: Level, workers: int) -> dict[str, float]:
    """Seconds by category of a level on a cold cache, by arithmetic.

    Only of levels whose agents go one after the other: by their schedule, or since each needs the one before.

    Raises
    ------
    SpecError
        Agents of the level overlap.
    """
    roster = ROSTERS[level.roster]
    is_chain = all(before.name in agent.depends_on for before, agent in pairwise(roster))
    if level.agent_schedule != "sequential" and not is_chain:
        raise SpecError(f"agents of level {level.name!r} overlap, so its duration is no sum")
    at_once = 1 if level.tool_schedule == "sequential" else workers
    return costs.parts(sum(ceil(n_planned(agent) / at_once) for agent in roster), len(roster))


def _run(simulator: Simulator, cell: Cell, cache: Cache) -> dict[str, Any]:
    record, measured = simulator.run(cell, cache)
    if record.error is not None:
        raise ModelError(f"the simulated run of level {cell.level.name!r} failed: {record.error}")
    part = attribute(measured.spans).exclusive_by_category
    return {
        "level": cell.level.name,
        "cache": record.cache_state,
        "workers": cell.workers,
        "agents": record.n_agents,
        "tool_calls": record.n_tool_calls,
        "executed": record.n_tool_executions,
        "facts_right": record.fact_coverage,
        "simulated_s": measured.wall_ns / 1e9,
        **{name: part.get(name, 0) / 1e9 for name in _PARTS},
    }


def _bars(study: SourceStudy, simulated: pd.DataFrame) -> pd.DataFrame:
    """The figure's bars, a row a part: published, reproduced and simulated."""
    rows: list[tuple[Any, ...]] = []
    for run in study.runs:
        if run.duration_s is None:
            rows.append((run.level, "published", "failed", None, None))
            continue
        split = (
            {share.category: share.seconds for share in study.split} if run.level == study.split_of else {}
        )
        rest = run.duration_s - sum(split.values())
        label = "its claimed split" if split else ""
        rows += [(run.level, "published", label, name, s) for name, s in {**split, "": rest}.items()]
    for level, parts in reproduced(study).items():
        rows += [(level, "reproduced", CHANGED[level], name, s) for name, s in parts.items()]
    cold = simulated[simulated["cache"] == "cold"].drop_duplicates("level")
    for row in cold.to_dict("records"):
        parts = {name: row[name] for name in _PARTS}
        is_parallel = LEVELS[row["level"]].tool_schedule == "parallel"
        note = f"profile {PROFILE}, {row['workers']} workers" if is_parallel else f"profile {PROFILE}"
        rows += [(row["level"], "simulated", note, name, s) for name, s in parts.items()]
    return pd.DataFrame(rows, columns=list(BARS))
