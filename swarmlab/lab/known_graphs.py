"""LangGraph graphs with a known answer: agents whose tool calls wait a stated time and do nothing else.

They go through the same graphs, executor and tracer as the swarm, so a prediction about them is put to the
test without a model's spread. A wait stands for a call to a service elsewhere; it is no work, and no table
calls it any.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from swarmlab.agents.graph import build_graph
from swarmlab.agents.resources import Contribution
from swarmlab.agents.rosters import Agent
from swarmlab.errors import SpecError
from swarmlab.tools.executor import run_calls
from swarmlab.trace.changes import Changes
from swarmlab.trace.clock import Clock
from swarmlab.trace.spans import Span
from swarmlab.trace.tracer import Tracer

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,31}$")]
Wait = Annotated[float, Field(gt=0, le=60)]


class Node(BaseModel):
    """An agent of a known graph: it makes its calls when the agents it needs are done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    needs: tuple[Name, ...] = ()
    calls: dict[Name, Wait]
    """Seconds that each tool call waits, in the order in which they are made."""


class KnownGraph(BaseModel):
    """A graph of such agents and how it is scheduled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    nodes: Annotated[tuple[Node, ...], Field(min_length=1)]
    agent_schedule: Literal["sequential", "superstep", "dataflow"] = "superstep"
    tool_schedule: Literal["sequential", "parallel"] = "sequential"
    workers: Annotated[int, Field(ge=1, le=64)] = 1

    @model_validator(mode="after")
    def _needs_come_before(self) -> Self:
        seen: set[str] = set()
        for node in self.nodes:
            for need in node.needs:
                if need not in seen:
                    raise ValueError(f"node {node.name!r} needs {need!r}, which is not listed before it")
            if node.name in seen:
                raise ValueError(f"node {node.name!r} is listed twice")
            seen.add(node.name)
        return self


def changed_graph(graph: KnownGraph, changes: Changes) -> KnownGraph:
    """The graph with the changes really made.

    Raises
    ------
    SpecError
        A change has no counterpart in such a graph.
    """
    unknown = changes.slots or changes.cores or changes.context_tokens or changes.agents or changes.cache
    if unknown or changes.concurrency > 1:
        raise SpecError(
            f"graph {graph.name!r}: only speed, workers and barriers of a known graph can be changed"
        )
    switches: dict[str, object] = {}
    if changes.workers is not None:
        switches |= {"tool_schedule": "parallel", "workers": changes.workers}
    if changes.remove_barriers:
        switches["agent_schedule"] = "dataflow"
    nodes = tuple(
        node.model_copy(
            update={"calls": {name: wait / _factor(changes, node, name) for name, wait in node.calls.items()}}
        )
        for node in graph.nodes
    )
    return graph.model_copy(update={"nodes": nodes, **switches})


def _factor(changes: Changes, node: Node, call: str) -> float:
    factor = 1.0
    for name in ("tool", node.name, call):
        factor *= changes.speed.get(name, 1.0)
    return factor


async def run_known_graph(graph: KnownGraph, clock: Clock) -> list[Span]:
    """Run a graph once and return its spans."""
    tracer = Tracer(clock)
    roster = [Agent(node.name, node.name, "wait", tuple(node.calls), node.needs) for node in graph.nodes]
    nodes = {node.name: node for node in graph.nodes}

    async def turn(agent: Agent, said: Sequence[Contribution]) -> Contribution:
        links = tuple(
            one.span_id
            for one in said
            if graph.agent_schedule == "sequential" or one.agent in agent.depends_on
        )
        with tracer.span("coordination", agent.name, agent=agent.name, links=links) as span:
            last_in_slot: dict[int, str] = {}
            calls = [
                partial(_wait, tracer, clock, name, seconds, last_in_slot)
                for name, seconds in nodes[agent.name].calls.items()
            ]
            await run_calls(calls, schedule=graph.tool_schedule, workers=graph.workers)
            return Contribution(agent.name, agent.name, span.span_id, (), (), "", "", (), {})

    compiled = build_graph(roster, graph.agent_schedule, turn)
    with tracer.span("framework", "run"):
        await compiled.ainvoke({"said": []})
    return tracer.finished()


async def _wait(
    tracer: Tracer, clock: Clock, name: str, seconds: float, last_in_slot: dict[int, str], slot: int
) -> None:
    links = (last_in_slot[slot],) if slot in last_in_slot else ()
    with tracer.span("tool", name, links=links, reads=()) as span:
        last_in_slot[slot] = span.span_id
        await clock.sleep(seconds)
