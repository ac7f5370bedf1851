"""Whatever the switches: the same requests, facts and answers, and a trace that adds up."""

from functools import lru_cache
from itertools import product
from typing import Any

import pytest
from scripted import Sales, chat_of, level, resources

from swarmlab.agents import tool_runs
from swarmlab.agents.answer import Answer
from swarmlab.agents.resources import Resources
from swarmlab.agents.rosters import ROSTERS
from swarmlab.agents.swarm import run_swarm
from swarmlab.tools import DEFAULT_PLAN
from swarmlab.trace.attribution import attribute
from swarmlab.trace.check import check_spans
from swarmlab.trace.spans import Span

CONTEXTS = ("blackboard", "transcript", "lightweight")
SCHEDULES = ("sequential", "superstep", "dataflow")
LOSSLESS = list(product(SCHEDULES, ("sequential", "parallel"), ("baseline", "vectorized")))


async def _run(sales: Sales, **switches: Any) -> tuple[Resources, Answer, list[Span]]:
    run = resources(sales, level(**switches))
    answer = await run_swarm(run)
    return run, answer, run.tracer.finished()


def _check_work(sales: Sales, run: Resources, answer: Answer, spans: list[Span]) -> None:
    requests = [span.name for span in spans if span.category == "tool"]
    assert sorted(requests) == sorted(DEFAULT_PLAN)
    assert (run.counts.tool_calls, run.tool_executions) == (12, 12)
    assert answer.errors == ()
    assert set(answer.choices) == {question.id for question in sales.exam.questions}
    options = {question.id: question.options for question in sales.exam.questions}
    assert all(choice in options[i] for i, choice in answer.choices.items())
    assert [note.agent for note in answer.notes] == [agent.name for agent in ROSTERS[run.level.roster]]
    assert run.counts.model_calls == len(chat_of(run).sent)


def _check_trace(run: Resources, spans: list[Span]) -> None:
    check_spans(spans)
    (root,) = [span for span in spans if span.parent_id is None]
    by_id = {span.span_id: span for span in spans}
    attribution = attribute(spans)
    assert attribution.wall_ns == root.end_ns - root.start_ns
    assert sum(attribution.exclusive_by_span.values()) == attribution.wall_ns
    assert sum(attribution.exclusive_by_category.values()) == attribution.wall_ns
    owner = {tool: agent.name for agent in ROSTERS[run.level.roster] for tool in agent.tools}
    turns = [span for span in spans if span.category == "coordination"]
    assert {span.agent for span in turns} == set(owner.values())
    for span in spans:
        assert all(link in by_id for link in span.links)
        if span.parent_id is None:
            continue
        parent = by_id[span.parent_id]
        assert parent.start_ns <= span.start_ns
        assert span.end_ns <= parent.end_ns
        if span.category in ("tool", "context") or span.name.startswith("model call"):
            assert span.agent is not None
        if span.category == "tool":
            assert (parent.category, parent.agent) == ("coordination", owner[span.name])
            assert span.agent == owner[span.name]
        if parent.agent is not None:
            assert span.agent == parent.agent


@pytest.fixture(name="quick_tools")
def _quick_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tool really runs once by either implementation; further runs get the same answer again."""
    real = tool_runs.run_tool
    once = lru_cache(maxsize=None)(lambda name, scope, dataset, impl: real(name, scope, dataset, impl))
    monkeypatch.setattr(
        tool_runs, "run_tool", lambda name, scope, data, impl, *_: once(name, scope, data, impl)
    )


@pytest.mark.usefixtures("quick_tools")
@pytest.mark.parametrize("roster", ROSTERS)
@pytest.mark.parametrize("context", CONTEXTS)
async def test_every_combination_does_the_same_work(sales: Sales, roster: str, context: str) -> None:
    """Twelve requests, identical facts, every question answered and time that adds up, for all switches."""
    facts = set()
    for agents, tools, impl in LOSSLESS:
        run, answer, spans = await _run(
            sales,
            roster=roster,
            context=context,
            agent_schedule=agents,
            tool_schedule=tools,
            tool_impl=impl,
        )
        _check_work(sales, run, answer, spans)
        _check_trace(run, spans)
        facts.add(answer.facts)
    assert len(facts) == 1


@pytest.mark.usefixtures("quick_tools")
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("schedule", ["superstep", "dataflow"])
async def test_prompts_do_not_depend_on_how_tools_are_scheduled(
    sales: Sales, context: str, schedule: str
) -> None:
    """Sequential or parallel tools: the model reads the same prompts."""
    asked = []
    for tools in ("sequential", "parallel"):
        run, _, _ = await _run(
            sales, roster="six", context=context, agent_schedule=schedule, tool_schedule=tools
        )
        asked.append(sorted((sent.system, sent.user) for sent in chat_of(run).sent))
    assert asked[0] == asked[1]


@pytest.mark.parametrize("roster", ROSTERS)
async def test_the_report_prints_every_fact(sales: Sales, roster: str) -> None:
    """No fact is lost between a tool and the reader; only the names of the rules behind advice stay out."""
    _, answer, _ = await _run(sales, roster=roster)
    unprinted = [f.id for f in answer.facts if f.text not in answer.report]
    assert [i for i in unprinted if not i.startswith("recommendations.rule[")] == []
    assert {fact.tool for fact in answer.facts} == set(DEFAULT_PLAN)


async def test_real_parallel_tools_give_the_facts_of_a_sequential_baseline(sales: Sales) -> None:
    """Threads on one shared frame find what twelve readings of the file find."""
    _, slow, _ = await _run(sales, tool_impl="baseline")
    run, quick, spans = await _run(sales, tool_schedule="parallel", agent_schedule="dataflow", roster="two")
    assert quick.facts == slow.facts
    _check_trace(run, spans)


async def test_tools_wait_for_the_one_that_held_their_slot(sales: Sales) -> None:
    """One slot when sequential, two here when parallel; the draft waits for all of them."""
    for schedule, linked in (("sequential", 9), ("parallel", 6)):
        _, _, spans = await _run(sales, tool_schedule=schedule)
        tools = [span for span in spans if span.category == "tool"]
        assert sum(bool(span.links) for span in tools) == linked
        drafts = [span for span in spans if span.name == "model call: draft"]
        ids = {span.span_id for span in tools}
        assert sorted(link for span in drafts for link in span.links if link in ids) == sorted(ids)


async def test_an_agent_links_to_the_turns_it_waited_for(sales: Sales) -> None:
    """Under dataflow a turn links to the turns of all it depends on, and to no other."""
    _, _, spans = await _run(sales, roster="six", agent_schedule="dataflow")
    turns = {span.agent: span for span in spans if span.category == "coordination"}
    agent_of = {span.span_id: span.agent for span in turns.values()}
    waited = {agent: {agent_of[link] for link in span.links} for agent, span in turns.items()}
    assert waited["market_research"] == waited["competitive"] == waited["data"] == set()
    assert waited["forecasting"] == {"market_research", "data"}
    assert waited["brand"] == {"competitive", "data"}
    assert waited["campaign"] == set(turns) - {"campaign"}


async def test_a_plan_of_some_tools_is_followed(sales: Sales) -> None:
    """Agents without a planned tool call none, say nothing and do not fail the run."""
    run = resources(sales, level())
    run = resources(sales, level(), brief=run.brief.model_copy(update={"plan": ("kpis", "roi")}))
    answer = await run_swarm(run)
    assert [s.name for s in run.tracer.finished() if s.category == "tool"] == ["kpis", "roi"]
    assert answer.errors == ()
    assert {note.agent for note in answer.notes if note.finding} == {"data", "campaign"}
