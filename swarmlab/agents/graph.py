"""LangGraph graphs of a roster, one a schedule.

`sequential`  a chain of nodes in the roster's order; each sees all that was said before it.
`superstep`   dependency edges in a StateGraph, whose supersteps are barriers between unrelated branches.
`dataflow`    tasks of LangGraph's functional API: each starts when what it depends on is done, no barrier.
"""

import asyncio
import operator
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Protocol, TypedDict

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph

from swarmlab.agents.resources import Contribution
from swarmlab.agents.rosters import Agent

Turn = Callable[[Agent, Sequence[Contribution]], Awaitable[Contribution]]


class SwarmState(TypedDict):
    """State of the graph: contributions in the order they were made."""

    said: Annotated[list[Contribution], operator.add]


class Runnable(Protocol):
    """A compiled graph, as far as a run needs it."""

    async def ainvoke(self, input: Any, config: Any = None) -> Any:
        """Run to the end."""


def build_graph(agents: Sequence[Agent], schedule: str, turn: Turn) -> Runnable:
    """The graph of a roster; `ainvoke({"said": []})` returns {"said": [Contribution, …]}.

    Parameters
    ----------
    agents
        In the roster's order; an agent depends only on earlier ones.
    schedule
        `sequential`, `superstep` or `dataflow`.
    turn
        Called once an agent with the contributions it may see.
    """
    return _Bound(_compiled(tuple(agents), schedule), {"configurable": {_TURN: turn}})


_TURN = "swarmlab_turn"


@dataclass(frozen=True)
class _Bound:
    """A compiled graph, which knows nothing of a run, with the turn of one run."""

    graph: Runnable
    config: RunnableConfig

    async def ainvoke(self, input: Any, config: Any = None) -> Any:
        return await self.graph.ainvoke(input, merge_configs(config, self.config) if config else self.config)


@lru_cache(maxsize=64)
def _compiled(agents: tuple[Agent, ...], schedule: str) -> Runnable:
    """Compiled once a process: compiling takes LangGraph longer than running the graph."""
    if schedule == "dataflow":
        return _dataflow(agents)
    graph = StateGraph(SwarmState)
    for agent in agents:
        graph.add_node(agent.name, _node(agent, agents if schedule == "superstep" else None))
    if schedule == "sequential":
        for before, after in zip(
            [START, *(a.name for a in agents)], [*(a.name for a in agents), END], strict=True
        ):
            graph.add_edge(before, after)
    else:
        depended_on = {name for agent in agents for name in agent.depends_on}
        for agent in agents:
            graph.add_edge(list(agent.depends_on) or START, agent.name)
            if agent.name not in depended_on:
                graph.add_edge(agent.name, END)
    compiled: Runnable = graph.compile()
    return compiled


def _node(agent: Agent, roster: Sequence[Agent] | None) -> Any:
    async def node(state: SwarmState, config: RunnableConfig) -> dict[str, list[Contribution]]:
        said = state["said"]
        if roster is not None:
            said = _upstream(agent, roster, {c.agent: c for c in said})
        return {"said": [await config["configurable"][_TURN](agent, said)]}

    return node


async def _take_turn(agent: Agent, said: list[Contribution], config: RunnableConfig) -> Contribution:
    contribution: Contribution = await config["configurable"][_TURN](agent, said)
    return contribution


# LangGraph makes a function that it does not find in its module ready anew at each call.
_work = task(_take_turn)


def _dataflow(roster: Sequence[Agent]) -> Runnable:
    @entrypoint()
    async def swarm(_: SwarmState) -> dict[str, list[Contribution]]:
        running: dict[str, asyncio.Task[Contribution]] = {}

        async def start_when_ready(agent: Agent) -> Contribution:
            await asyncio.gather(*(running[name] for name in agent.depends_on))
            finished = {name: t.result() for name, t in running.items() if t.done()}
            contribution: Contribution = await _work(agent, _upstream(agent, roster, finished))
            return contribution

        for agent in roster:
            running[agent.name] = asyncio.create_task(start_when_ready(agent))
        try:
            return {"said": list(await asyncio.gather(*running.values()))}
        finally:
            # Where one agent failed, the others must not go on behind the run's back.
            for unfinished in running.values():
                unfinished.cancel()

    graph: Runnable = swarm
    return graph


def _upstream(agent: Agent, roster: Sequence[Agent], said: dict[str, Contribution]) -> list[Contribution]:
    """Contributions of all the agent depends on, directly or not, in the roster's order.

    Not whatever else happens to be finished: what an agent sees must not depend on timing.
    """
    by_name = {member.name: member for member in roster}
    wanted: set[str] = set()
    pending = list(agent.depends_on)
    while pending:
        name = pending.pop()
        if name not in wanted:
            wanted.add(name)
            pending.extend(by_name[name].depends_on)
    return [said[member.name] for member in roster if member.name in wanted]
