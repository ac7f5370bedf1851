"""Every prompt and schema the agents use. Digits are forbidden in prose: numbers come from cited facts."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from swarmlab.agents.brief import Brief
from swarmlab.agents.resources import Contribution
from swarmlab.agents.rosters import Agent
from swarmlab.models import FixedSchema, prose_schema


def object_schema(title: str, **properties: dict[str, Any]) -> FixedSchema:
    """Schema of a closed object in which every property is required."""
    return FixedSchema(
        title=title,
        description=title.replace("_", " "),
        type="object",
        properties=properties,
        required=list(properties),
        additionalProperties=False,
    )


SUMMARY_SCHEMA = object_schema("board_summary", summary=prose_schema(8, 25))


@lru_cache(maxsize=64)
def system_prompt(agent: Agent) -> str:
    """Who the agent is."""
    return (
        f"You are the {agent.title} of a marketing team. Your duty: {agent.duty}. Use only the facts given."
    )


@lru_cache(maxsize=4096)
def summary_prompt(agent: Agent, author: str, lines: tuple[str, ...]) -> str:
    """Ask for a summary of one entry of the board."""
    return (
        f"The {author} wrote on the team's blackboard:\n"
        + "\n".join(lines)
        + f"\n\nSummarise this for the {agent.title} in one sentence without figures."
    )


def draft_prompt(brief: Brief, view: str, texts: Sequence[str]) -> str:
    """Ask for the agent's contribution: citations, a finding, a recommendation."""
    parts = [f"Brief: {brief.analysis_type} for the {brief.audience}. Goals: {'; '.join(brief.goals)}."]
    if view:
        parts.append("From the team:\n" + view)
    parts.append("From your tools:\n" + "\n".join(texts))
    parts.append(
        "Cite by id the facts that matter most. State your main finding and recommendation in plain words, "
        "without figures."
    )
    return "\n\n".join(parts)


@lru_cache(maxsize=1024)
def draft_schema(output: str, citable: tuple[str, ...]) -> FixedSchema:
    """Schema of a contribution: `prose` allows paragraphs, `structured` bounds it to a line each."""
    most = min(len(citable), 5 if output == "prose" else 2)
    cites = {
        "type": "array",
        "items": {"type": "string", "enum": list(citable)},
        "minItems": 1,
        "maxItems": most,
    }
    if output == "prose":
        texts = {"finding": prose_schema(8, 25), "recommendation": prose_schema(6, 18)}
    else:
        texts = {"finding": prose_schema(4, 12), "recommendation": prose_schema(4, 10)}
    return object_schema("contribution", cites=cites, **texts)


DECIDE_SYSTEM = """Answer each question from the facts.

Question: Which region leads by sales?
Facts:
- weakest region by sales: East
- leading region by sales: North
Answer: North

Question: Are weekly units growing, flat or declining?
Facts:
- trend of weekly units: flat
Answer: flat"""


@lru_cache(maxsize=4096)
def decide_prompt(question: str, lines: tuple[str, ...]) -> str:
    """Ask one decision question beside the facts that speak to it; the options are in the schema."""
    facts = "\n".join(f"- {line}" for line in lines) or "- none known"
    return f"Question: {question}\nFacts:\n{facts}\nAnswer:"


@lru_cache(maxsize=16_384)
def decide_schema(options: tuple[str, ...]) -> FixedSchema:
    """Schema of a choice among named options."""
    return object_schema("decision", answer={"type": "string", "enum": list(options)})


def choose_tools_prompt(brief: Brief, described: Sequence[str]) -> str:
    """Ask the model which tools to call (`tool_choice: model`)."""
    return (
        f"Brief: {brief.analysis_type} for the {brief.audience}. Goals: {'; '.join(brief.goals)}.\n"
        "Tools:\n" + "\n".join(described) + "\n\nChoose the tools you need for your duty."
    )


def choose_tools_schema(names: Sequence[str], at_most: int) -> FixedSchema:
    """Schema of a bounded list of tool names."""
    tools = {
        "type": "array",
        "items": {"type": "string", "enum": list(names)},
        "minItems": 1,
        "maxItems": at_most,
    }
    return object_schema("tool_choice", tools=tools)


def links_of(said: Sequence[Contribution]) -> tuple[str, ...]:
    """Span ids of the turns that these contributions came from."""
    return tuple(contribution.span_id for contribution in said)
