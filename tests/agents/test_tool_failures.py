"""A tool that fails costs its siblings nothing, is named, and leaves a gap that the reader sees."""

import multiprocessing
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted import Sales, ScriptedChat, Sent, chat_of, level, loaded, resources

from swarmlab.agents import tool_runs
from swarmlab.agents.faults import check_faults
from swarmlab.agents.rosters import ROSTERS
from swarmlab.agents.swarm import run_swarm
from swarmlab.agents.tool_runs import MeasuredTools
from swarmlab.errors import ModelError, SpecError, ToolError
from swarmlab.tools import DEFAULT_PLAN, TOOLS, Scope
from swarmlab.trace.check import check_spans
from swarmlab.trace.clock import VirtualClock, WallClock
from swarmlab.trace.tracer import Tracer


@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
@pytest.mark.parametrize("roster", ROSTERS)
async def test_siblings_keep_their_facts(sales: Sales, roster: str, schedule: str) -> None:
    """Eleven tools answer, the twelfth is named in the errors, its span and its section."""
    run = resources(
        sales, level(roster=roster, tool_schedule=schedule), faults=frozenset({"market_overview"})
    )
    answer = await run_swarm(run)
    sound = await run_swarm(resources(sales, level(roster=roster, tool_schedule=schedule)))
    assert answer.facts == tuple(f for f in sound.facts if f.tool != "market_overview")
    assert answer.errors == ("tool market_overview failed: fault switched on for this run",)
    spans = run.tracer.finished()
    check_spans(spans)
    assert [s.name for s in spans if s.status == "error"] == ["market_overview"]
    assert "Not available: tool market_overview failed" in answer.report
    assert (run.counts.tool_calls, run.tool_executions) == (12, 12)


@pytest.mark.parametrize("context", ["blackboard", "transcript", "lightweight"])
async def test_an_agent_without_any_tool_left_says_nothing(sales: Sales, context: str) -> None:
    """It invents no finding and cites nothing; the run goes on and every question is still answered."""
    campaign = ROSTERS["six"][-1]
    data = ROSTERS["six"][2]
    run = resources(
        sales, level(roster="six", context=context), faults=frozenset(data.tools + campaign.tools)
    )
    answer = await run_swarm(run)
    notes = {note.agent: note for note in answer.notes}
    for agent in (data, campaign):
        assert (notes[agent.name].finding, notes[agent.name].cites) == ("", ())
    assert notes["competitive"].finding
    assert len(answer.errors) == len(set(data.tools + campaign.tools) & set(DEFAULT_PLAN))
    assert len(chat_of(run).prompts("contribution")) == 4
    assert set(answer.choices) == set(sales.exam.answers)


async def test_all_tools_may_fail(sales: Sales) -> None:
    """The answer then holds no fact, twelve errors, and a report that says so."""
    run = resources(sales, level(roster="two", tool_schedule="parallel"), faults=frozenset(DEFAULT_PLAN))
    answer = await run_swarm(run)
    assert answer.facts == ()
    assert len(answer.errors) == 12
    assert answer.report.count("Not available: tool ") == 12


async def test_a_crash_inside_a_tool_is_a_tool_error(sales: Sales, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `run_tool` reports by name ends up in the answer with its cause."""
    real = tool_runs.run_tool

    def breaking(name: str, *rest: object) -> object:
        if name == "kpis":
            raise ToolError("kpis", "ZeroDivisionError: no rows")
        return real(name, *rest)

    monkeypatch.setattr(tool_runs, "run_tool", breaking)
    answer = await run_swarm(resources(sales, level()))
    assert answer.errors == ("tool kpis failed: ZeroDivisionError: no rows",)
    assert {fact.tool for fact in answer.facts} == set(DEFAULT_PLAN) - {"kpis"}


async def test_a_run_that_breaks_off_does_not_wait_for_other_agents_tools(
    sales: Sales, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One agent's model error surfaces while a tool of another still works; the trace stays sound."""
    started, release = threading.Event(), threading.Event()
    real = tool_runs.run_tool

    def holding(name: str, *rest: Any) -> Any:
        if name == "kpis":
            started.set()
            release.wait(30)
        return real(name, *rest)

    def reply(sent: Sent) -> Any:
        if "competitive analyst" not in sent.system:
            return None
        assert started.wait(30)
        return ValueError("cut off")

    monkeypatch.setattr(tool_runs, "run_tool", holding)
    run = resources(
        sales,
        level(roster="six", agent_schedule="dataflow", tool_schedule="parallel"),
        model=loaded(ScriptedChat(reply=reply)),
    )
    try:
        with pytest.raises(ModelError, match="cut off"):
            await run_swarm(run)
        assert not release.is_set()
        spans = run.tracer.finished()
    finally:
        release.set()
    check_spans(spans)
    assert [span.status for span in spans if span.name == "kpis"] == ["error"]
    assert any(s.agent == "data" and s.category == "coordination" and s.status == "error" for s in spans)


@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
@pytest.mark.parametrize("cache", [(), ("tools",)])
def test_a_tool_that_hangs_is_given_up(
    sales: Sales, schedule: str, cache: tuple[str, ...], tmp_path: Path
) -> None:
    """At its deadline it is named, the eleven others' facts are kept, and nothing of it is stored."""
    at, clock = level(tool_schedule=schedule, cache=cache), VirtualClock()
    timed = {"clock": clock, "tracer": Tracer(clock), "tools": MeasuredTools(sales.dataset, clock)}
    run = resources(sales, at, folder=tmp_path, **timed, faults=frozenset({"kpis:hang"}), tool_timeout_s=5.0)
    answer = clock.run(run_swarm(run))
    assert answer.errors == ("tool kpis failed: took longer than 5 s",)
    assert {fact.tool for fact in answer.facts} == set(DEFAULT_PLAN) - {"kpis"}
    assert clock.now_ns() == 5 * 10**9
    sound = resources(sales, at, folder=tmp_path, **timed | {"tracer": Tracer(clock)})
    again = clock.run(run_swarm(sound))
    assert again.errors == ()
    assert sound.cache.hits["tools"] == (11 if cache else 0)


async def test_garbage_is_refused_and_never_stored(sales: Sales, tmp_path: Path) -> None:
    """What is no answer fails its tool by name; the next run computes it."""
    at = level(cache=("tools",))
    answer = await run_swarm(resources(sales, at, folder=tmp_path, faults=frozenset({"roi:garbage"})))
    assert answer.errors == ("tool roi failed: it returned str, not an answer",)
    sound = resources(sales, at, folder=tmp_path)
    assert (await run_swarm(sound)).errors == ()
    assert (sound.cache.hits["tools"], sound.cache.misses["tools"]) == (11, 1)


async def test_a_lost_connection_is_tried_again(sales: Sales) -> None:
    """A transient error costs an attempt, which has a span of its own, and no fact."""
    run = resources(sales, level(), faults=frozenset({"kpis:flaky"}))
    answer = await run_swarm(run)
    assert answer.errors == ()
    assert answer.facts == (await run_swarm(resources(sales, level()))).facts
    spans = [span for span in run.tracer.finished() if span.name == "kpis"]
    assert [(span.attempt, span.status) for span in spans] == [(1, "error"), (2, "ok")]


async def test_a_hung_thread_holds_up_nobody(sales: Sales, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that blocks its thread for good is left behind; the run ends, and closing it does not wait."""
    real, never = tool_runs.run_tool, threading.Event()

    def blocking(name: str, *rest: object) -> object:
        return never.wait() if name == "kpis" else real(name, *rest)

    monkeypatch.setattr(tool_runs, "run_tool", blocking)
    run = resources(sales, level(tool_schedule="parallel"), tool_timeout_s=4.0)
    answer = await run_swarm(run)
    run.tools.close()
    never.set()
    assert answer.errors == ("tool kpis failed: took longer than 4 s",)


@pytest.mark.parametrize("fault", ["nothing", "kpis:nothing", "kpis:"])
def test_unknown_faults_are_refused(fault: str) -> None:
    """A tool or a kind of fault that does not exist is named, with those that do."""
    with pytest.raises(SpecError, match="known: "):
        check_faults([fault])


def test_a_second_fault_of_a_tool_is_refused() -> None:
    """It would never be seen; faults of two tools are fine."""
    check_faults(["kpis", "roi:hang"])
    with pytest.raises(SpecError, match="names the tool kpis twice"):
        check_faults(["kpis", "roi:hang", "kpis:hang"])


async def test_a_tool_that_asks_for_a_process_gets_one(sales: Sales, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its facts are those that a thread finds, and the process ends with the run."""
    tools = MeasuredTools(sales.dataset, WallClock())
    try:
        in_thread = await tools.answer("kpis", Scope(), "vectorized")
        assert multiprocessing.active_children() == []
        monkeypatch.setitem(TOOLS, "kpis", replace(TOOLS["kpis"], runs_in="process"))
        assert await tools.answer("kpis", Scope(), "vectorized") == in_thread
        assert [child.name for child in multiprocessing.active_children()] == ["swarmlab-tool"]
    finally:
        tools.close()
    assert multiprocessing.active_children() == []
