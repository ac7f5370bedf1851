"""A chat model that answers by rule within the schema and notes what it was sent; and runs set up with it."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import Field

from swarmlab.agents.brief import Brief
from swarmlab.agents.levels import Level
from swarmlab.agents.questions import Exam
from swarmlab.agents.resources import Contribution, Resources
from swarmlab.agents.tool_runs import MeasuredTools
from swarmlab.data import Dataset
from swarmlab.models import LoadedModel
from swarmlab.tools import Fact, ToolAnswer
from swarmlab.tools.cache import Cache
from swarmlab.trace.clock import WallClock
from swarmlab.trace.tracer import Tracer

TIMINGS = {
    "queue_ns": 10,
    "prefill_ns": 200,
    "decode_ns": 3000,
    "prefill_tokens": 90,
    "cached_tokens": 10,
    "decode_tokens": 20,
}
USAGE = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}


@dataclass(frozen=True)
class Sent:
    """One prompt as the model got it."""

    title: str
    system: str
    user: str
    schema: dict[str, Any]


class ScriptedChat(BaseChatModel):
    """Answers every schema by `fitting`, unless `reply` answers for it."""

    sent: list[Sent] = Field(default_factory=list)
    timings: dict[str, int] | None = Field(default_factory=lambda: dict(TIMINGS))
    usage: dict[str, Any] | None = Field(default_factory=lambda: dict(USAGE))
    reply: Callable[[Sent], Any] | None = None

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._message("{}"))])

    def _message(self, text: str) -> AIMessage:
        metadata = {} if self.timings is None else {"timings": self.timings}
        return AIMessage(text, response_metadata=metadata, usage_metadata=self.usage)

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **_: Any) -> Runnable:
        """Answer in LangChain's form with `include_raw`; a reply that is an exception does not parse."""
        assert include_raw

        def answer(messages: list[BaseMessage]) -> dict[str, Any]:
            sent = Sent(schema["title"], str(messages[0].content), str(messages[1].content), schema)
            self.sent.append(sent)
            parsed = None if self.reply is None else self.reply(sent)
            if isinstance(parsed, Exception):
                return {"raw": self._message("{"), "parsed": None, "parsing_error": parsed}
            parsed = fitting(schema) if parsed is None else parsed
            return {"raw": self._message(json.dumps(parsed)), "parsed": parsed, "parsing_error": None}

        async def aanswer(messages: list[BaseMessage]) -> dict[str, Any]:
            return answer(messages)

        return RunnableLambda(answer, aanswer)

    def prompts(self, title: str) -> list[Sent]:
        """What was asked under the schema of this title."""
        return [sent for sent in self.sent if sent.title == title]


def fitting(schema: dict[str, Any]) -> Any:
    """The first value that fits a schema: first option, fewest items, shortest sentence."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: fitting(part) for name, part in schema["properties"].items()}
    if schema["type"] == "array":
        return schema["items"]["enum"][: schema["minItems"]]
    fewest = int(re.findall(r"\{(\d+),\d+\}", schema["pattern"])[-1])
    sentence = "Sales" + " grow" * fewest + "."
    assert re.fullmatch(schema["pattern"], sentence)
    return sentence


def loaded(chat: ScriptedChat, **changes: Any) -> LoadedModel:
    """A scripted model as `load_model` would give it."""
    fields = {
        "chat": chat,
        "writer": chat,
        "id": "scripted",
        "file_hash": "0" * 64,
        "load_s": 0.0,
        "tokens_source": "provider",
        "context_tokens": 4096,
    }
    return LoadedModel(**{**fields, **changes})


@dataclass(frozen=True)
class Sales:
    """A small dataset with its exam."""

    dataset: Dataset
    truth: dict[str, Any]
    names: dict[str, list[str]]
    exam: Exam


def level(**switches: Any) -> Level:
    """A level of the lightest switches, some of them changed."""
    plain = {
        "name": "test",
        "roster": "three",
        "context": "transcript",
        "agent_schedule": "sequential",
        "tool_schedule": "sequential",
        "tool_impl": "vectorized",
        "cache": (),
        "output": "prose",
    }
    return Level(**{**plain, **switches})


def resources(sales: Sales, at: Level, *, folder: Path | None = None, **changes: Any) -> Resources:
    """A run of its own: fresh tracer, cache view and, unless given, model."""
    clock = WallClock()
    fields = {
        "brief": Brief(),
        "level": at,
        "dataset": sales.dataset,
        "model": loaded(ScriptedChat()),
        "clock": clock,
        "tracer": Tracer(clock),
        "cache": Cache(folder, at.cache),
        "tools": MeasuredTools(sales.dataset, clock),
        "questions": sales.exam.questions,
        "seed": 0,
        "code_version": "v1",
        "workers": 2,
    }
    return Resources(**{**fields, **changes})


def chat_of(run: Resources) -> ScriptedChat:
    """The run's scripted model."""
    assert isinstance(run.model.chat, ScriptedChat)
    return run.model.chat


def fact(fact_id: str, value: float | int | str, *, label: str = "", **changes: Any) -> Fact:
    """A fact of any id."""
    fields = {"unit": "name" if isinstance(value, str) else "count", "rows": 10, "headline": True}
    tool = fact_id.partition(".")[0]
    return Fact(id=fact_id, tool=tool, label=label or fact_id, value=value, **{**fields, **changes})


def contribution(agent: str, facts: Sequence[Fact] = (), **changes: Any) -> Contribution:
    """What an agent said, with one answer a tool."""
    tools = dict.fromkeys(f.tool for f in facts)
    answers = tuple(
        ToolAnswer(
            tool,
            tuple(f for f in facts if f.tool == tool),
            "\n".join(f"{f.label}: {f.text}" for f in facts if f.tool == tool),
        )
        for tool in tools
    )
    fields = {
        "agent": agent,
        "title": f"{agent} analyst",
        "span_id": f"span-{agent}",
        "answers": answers,
        "errors": (),
        "finding": f"{agent} finds something.",
        "recommendation": f"{agent} recommends something.",
        "cites": (),
        "choices": {},
    }
    return Contribution(**{**fields, **changes})
