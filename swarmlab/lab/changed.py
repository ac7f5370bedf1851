"""From a what-if's changes to cells that really make them: the switches of a level, and how it is run."""

from collections.abc import Sequence
from dataclasses import dataclass

from swarmlab.agents.levels import Level, make_level
from swarmlab.agents.rosters import ROSTERS
from swarmlab.errors import SpecError
from swarmlab.lab.experiment import CacheState
from swarmlab.trace.changes import Changes

REQUIRED_CALLS = ("model call: decide",)
"""Model calls that somebody has to make however few the agents: the brief's decisions."""

_LAYER = {"tool": "tools", "model": "completions"}


@dataclass(frozen=True)
class ChangedRun:
    """How a changed run is made."""

    level: Level
    workers: int | None
    """None for the experiment's own."""
    cache_state: CacheState
    concurrency: int


def changed_run(base: Level, changes: Changes, name: str) -> ChangedRun:
    """Find the switches that make the changes.

    Parameters
    ----------
    base
        The level that the prediction was made from.
    name
        Name of the changed level.

    Raises
    ------
    SpecError
        swarmlab has no switch for a change, or the level has nothing to change there; says which and why.
    """
    for what in changes.speed:
        raise SpecError(f"{what!r} cannot be made faster by a switch; it can be predicted, not run")
    if changes.slots is not None:
        raise SpecError("the embedded model serves one call at once; 'slots' can be predicted, not run")
    switches: dict[str, object] = {}
    if changes.workers is not None:
        switches["tool_schedule"] = "parallel" if changes.workers > 1 else "sequential"
    if changes.remove_barriers:
        if base.agent_schedule != "superstep":
            raise SpecError(f"level {base.name!r} has no barriers: its agents run {base.agent_schedule}")
        switches["agent_schedule"] = "dataflow"
    if changes.context_tokens is not None:
        switches["context_tokens"] = changes.context_tokens
    if changes.agents is not None:
        switches["roster"] = _roster(changes.agents)
    if changes.cache:
        switches["cache"] = _layers(changes)
    level = make_level({"base": base, "name": name, **switches})
    state: CacheState = "warm" if changes.cache else "cold"
    return ChangedRun(level, changes.workers, state, changes.concurrency)


def _roster(agents: int) -> str:
    sizes = {len(roster): name for name, roster in ROSTERS.items()}
    if agents not in sizes:
        raise SpecError(
            f"there is no roster of {agents} agents; there are {', '.join(map(str, sorted(sizes)))}"
        )
    return sizes[agents]


def _layers(changes: Changes) -> Sequence[str]:
    for what, rate in changes.cache.items():
        if rate != 1:
            raise SpecError(
                f"a hit rate of {rate:g} for {what} can be predicted; only a rate of 1 can be run"
            )
    return tuple(_LAYER[what] for what in changes.cache)
