"""`tool_choice: model`: the model chooses its tools under a schema, and no more than the plan gave it."""

from typing import Any

import pytest
from scripted import Sales, ScriptedChat, Sent, chat_of, level, loaded, resources

from swarmlab.agents.brief import Brief
from swarmlab.agents.rosters import THREE
from swarmlab.agents.swarm import run_swarm
from swarmlab.errors import ModelError
from swarmlab.tools import DEFAULT_PLAN, TOOLS, available_tools

FREE = Brief(tool_choice="model")


def _choosing(tools: list[str]) -> Any:
    def reply(sent: Sent) -> dict[str, Any] | None:
        return {"tools": tools} if sent.title == "tool_choice" else None

    return loaded(ScriptedChat(reply=reply))


async def test_each_agent_is_asked_once_among_the_tools_that_the_data_allow(sales: Sales) -> None:
    """The schema offers every tool whose columns are there; the cap is the agent's share of the plan."""
    run = resources(sales, level(), brief=FREE)
    await run_swarm(run)
    asked = chat_of(run).prompts("tool_choice")
    offers = [sent.schema["properties"]["tools"] for sent in asked]
    assert [offer["maxItems"] for offer in offers] == [
        len(set(agent.tools) & set(DEFAULT_PLAN)) for agent in THREE
    ]
    allowed = list(available_tools(sales.dataset))
    assert set(DEFAULT_PLAN) < set(allowed) < set(TOOLS)
    assert all(offer["items"]["enum"] == allowed for offer in offers)
    assert all((tool.description in asked[0].user) == (name in allowed) for name, tool in TOOLS.items())


async def test_what_the_model_chose_is_what_runs(sales: Sales) -> None:
    """Repeats count once; tools not chosen are not run and are missing from the report by name."""
    run = resources(sales, level(), brief=FREE, model=_choosing(["roi", "kpis", "roi"]))
    answer = await run_swarm(run)
    called = [span.name for span in run.tracer.finished() if span.category == "tool"]
    assert called == ["roi", "kpis"] * len(THREE)
    assert run.counts.tool_calls == len(called)
    assert {fact.tool for fact in answer.facts} == {"roi", "kpis"}
    assert len({fact.id for fact in answer.facts}) == len(answer.facts)
    assert "Not available: the tool was not asked" in answer.report


async def test_the_cap_holds_where_the_provider_ignores_the_schema(sales: Sales) -> None:
    """A model that asks for everything gets as many tools as the plan gave the agent."""
    run = resources(sales, level(), brief=FREE, model=_choosing(list(DEFAULT_PLAN)))
    await run_swarm(run)
    assert run.counts.tool_calls == 12


async def test_a_tool_that_does_not_exist_is_the_models_error(sales: Sales) -> None:
    """The error names the model and what it asked for."""
    run = resources(sales, level(), brief=FREE, model=_choosing(["crystal_ball"]))
    with pytest.raises(ModelError, match=r"scripted chose .*'crystal_ball'"):
        await run_swarm(run)


async def test_a_planned_brief_never_asks(sales: Sales) -> None:
    """The default costs no model call for choosing tools."""
    run = resources(sales, level())
    await run_swarm(run)
    assert chat_of(run).prompts("tool_choice") == []
