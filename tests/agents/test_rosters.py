"""Rosters: the same twelve requests whoever is in them, and dependencies that can be met."""

import pytest

from swarmlab.agents.rosters import ROSTERS
from swarmlab.tools import DEFAULT_PLAN, TOOLS

TITLES = {
    "six": [
        "market research analyst",
        "competitive analyst",
        "data analyst",
        "forecasting specialist",
        "brand performance specialist",
        "campaign optimizer",
    ],
    "three": ["data analyst", "market analyst", "campaign optimizer"],
    "two": ["data analyst", "strategy analyst"],
}


@pytest.mark.parametrize("name", ROSTERS)
def test_every_tool_has_exactly_one_owner(name: str) -> None:
    """Each tool of the catalogue, the twelve of the default plan among them, is asked for by one agent."""
    assert sorted(tool for agent in ROSTERS[name] for tool in agent.tools) == sorted(TOOLS)
    assert set(DEFAULT_PLAN) < set(TOOLS)
    assert len(DEFAULT_PLAN) == 12


@pytest.mark.parametrize("name", ROSTERS)
def test_every_agent_has_work_in_the_default_plan(name: str) -> None:
    """No agent lives on the extra tools alone, and each names the default ones first."""
    for agent in ROSTERS[name]:
        planned = [tool in DEFAULT_PLAN for tool in agent.tools]
        assert planned[0]
        assert planned == sorted(planned, reverse=True)


@pytest.mark.parametrize("name", ROSTERS)
def test_dependencies_point_to_earlier_members(name: str) -> None:
    """A roster read in order never needs what is still to come; names are unique."""
    names = [agent.name for agent in ROSTERS[name]]
    assert len(set(names)) == len(names)
    for i, agent in enumerate(ROSTERS[name]):
        assert set(agent.depends_on) <= set(names[:i])


def test_members_are_those_of_the_design() -> None:
    """Titles and duties as the design has them."""
    assert {name: [agent.title for agent in roster] for name, roster in ROSTERS.items()} == TITLES
    assert [agent.duty for agent in ROSTERS["two"]] == [
        "data processing and metrics",
        "strategic recommendations",
    ]


def test_dependencies_are_those_of_the_design() -> None:
    """Analysts depend on none; brand, forecast and campaign on those the design names."""
    assert {agent.name: set(agent.depends_on) for agent in ROSTERS["six"]} == {
        "market_research": set(),
        "competitive": set(),
        "data": set(),
        "forecasting": {"market_research", "data"},
        "brand": {"competitive", "data"},
        "campaign": {"data", "forecasting", "brand"},
    }


@pytest.mark.parametrize("name", ROSTERS)
def test_the_last_member_hears_of_everybody(name: str) -> None:
    """Directly or not, the last agent depends on every other: its report leaves nobody out."""
    by_name = {agent.name: agent for agent in ROSTERS[name]}
    heard, pending = set(), [ROSTERS[name][-1].name]
    while pending:
        agent = by_name[pending.pop()]
        pending.extend(set(agent.depends_on) - heard)
        heard.update(agent.depends_on)
    assert heard == set(by_name) - {ROSTERS[name][-1].name}
