"""Schedules: who may start when, what each agent sees, and what a failure does to the others."""

import asyncio
from collections.abc import Sequence

import pytest
from scripted import contribution

from swarmlab.agents.graph import build_graph
from swarmlab.agents.resources import Contribution
from swarmlab.agents.rosters import ROSTERS, SIX, Agent
from swarmlab.errors import ModelError

# `quick` and `slow` start together; `after` needs quick only, so a barrier alone can hold it back.
FORK = (
    Agent("quick", "", "", ("kpis",)),
    Agent("slow", "", "", ("roi",)),
    Agent("after", "", "", ("budget_plan",), depends_on=("quick",)),
)


class Stage:
    """Turns that note who started and ended, and wait for the gates they are given."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.seen: dict[str, list[str]] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.started: dict[str, asyncio.Event] = {}

    async def turn(self, agent: Agent, said: Sequence[Contribution]) -> Contribution:
        self.seen[agent.name] = [c.agent for c in said]
        self.log.append(f"start {agent.name}")
        self.started.setdefault(agent.name, asyncio.Event()).set()
        try:
            if agent.name in self.gates:
                await self.gates[agent.name].wait()
        except asyncio.CancelledError:
            self.log.append(f"cancelled {agent.name}")
            raise
        self.log.append(f"end {agent.name}")
        return contribution(agent.name)


@pytest.mark.parametrize("roster", ROSTERS)
async def test_sequential_follows_the_roster(roster: str) -> None:
    """One agent after the other, each seeing all that was said before it."""
    stage, names = Stage(), [agent.name for agent in ROSTERS[roster]]
    result = await build_graph(ROSTERS[roster], "sequential", stage.turn).ainvoke({"said": []})
    assert stage.log == [f"{what} {name}" for name in names for what in ("start", "end")]
    assert stage.seen == {name: names[:i] for i, name in enumerate(names)}
    assert [c.agent for c in result["said"]] == names


async def test_a_superstep_holds_back_an_agent_that_could_start() -> None:
    """`after` has all it needs when `quick` ends, yet starts only when `slow` has ended too."""
    stage = Stage()
    slow = stage.gates["slow"] = asyncio.Event()
    running = asyncio.create_task(build_graph(FORK, "superstep", stage.turn).ainvoke({"said": []}))
    while "end quick" not in stage.log or "start slow" not in stage.log:
        await asyncio.sleep(0)
    for _ in range(200):
        await asyncio.sleep(0)
    assert "start after" not in stage.log
    slow.set()
    await running
    assert stage.log.index("end slow") < stage.log.index("start after")


async def test_dataflow_starts_an_agent_as_soon_as_its_dependencies_are_done() -> None:
    """`slow` waits until `after` has started: behind a barrier this would never end."""
    stage = Stage()
    stage.gates["slow"] = stage.started["after"] = asyncio.Event()
    async with asyncio.timeout(20):
        await build_graph(FORK, "dataflow", stage.turn).ainvoke({"said": []})
    assert stage.log.index("start after") < stage.log.index("end slow")


@pytest.mark.parametrize("first", [agent.name for agent in SIX[:3]])
@pytest.mark.parametrize("schedule", ["superstep", "dataflow"])
async def test_what_an_agent_sees_follows_from_dependencies_alone(schedule: str, first: str) -> None:
    """Whichever analyst is done first, every agent sees what it depends on, in the roster's order."""
    stage, done = Stage(), asyncio.Event()
    for agent in SIX[:3]:
        if agent.name != first:
            stage.gates[agent.name] = done

    async def turn(agent: Agent, said: Sequence[Contribution]) -> Contribution:
        made = await stage.turn(agent, said)
        if agent.name == first:
            done.set()
        return made

    result = await build_graph(SIX, schedule, turn).ainvoke({"said": []})
    assert stage.seen["forecasting"] == ["market_research", "data"]
    assert stage.seen["brand"] == ["competitive", "data"]
    assert stage.seen["campaign"] == ["market_research", "competitive", "data", "forecasting", "brand"]
    assert all(stage.seen[agent.name] == [] for agent in SIX[:3])
    assert {c.agent for c in result["said"]} == {agent.name for agent in SIX}


@pytest.mark.parametrize("schedule", ["sequential", "superstep", "dataflow"])
async def test_a_failing_agent_ends_the_run_with_its_own_error(schedule: str) -> None:
    """The error comes out as it was raised; agents under way are cancelled, later ones never start."""
    stage = Stage()
    stage.gates["slow"] = asyncio.Event()

    async def turn(agent: Agent, said: Sequence[Contribution]) -> Contribution:
        if agent.name == "quick":
            if schedule != "sequential":
                await stage.started.setdefault("slow", asyncio.Event()).wait()
            raise ModelError("the model is gone")
        return await stage.turn(agent, said)

    with pytest.raises(ModelError) as raised:
        await build_graph(FORK, schedule, turn).ainvoke({"said": []})
    assert (type(raised.value), str(raised.value)) == (ModelError, "the model is gone")
    expected = [] if schedule == "sequential" else ["start slow", "cancelled slow"]
    assert stage.log == expected


async def test_cancelling_the_run_cancels_every_agent() -> None:
    """Ctrl-C or a timeout leaves no agent working behind the run's back."""
    stage = Stage()
    stage.gates = {"quick": asyncio.Event(), "slow": asyncio.Event()}
    running = asyncio.create_task(build_graph(FORK, "dataflow", stage.turn).ainvoke({"said": []}))
    for name in ("quick", "slow"):
        await stage.started.setdefault(name, asyncio.Event()).wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(stage.log) == ["cancelled quick", "cancelled slow", "start quick", "start slow"]
