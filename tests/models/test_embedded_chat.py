"""The embedded chat model: what every answer carries, structured output, tools, cancelling."""

import asyncio
import threading
from enum import StrEnum
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel, Field, field_validator

from swarmlab.errors import ModelError
from swarmlab.models import EmbeddedChat, Engine, prose_schema

TIMINGS = {"queue_ns", "prefill_ns", "decode_ns", "prefill_tokens", "cached_tokens", "decode_tokens"}
QUESTION = "Cola leads the market and the north sells most. What should a marketer do?"


def _check_counts(message: AIMessage) -> None:
    usage, metadata = message.usage_metadata, message.response_metadata
    assert usage is not None
    timings = metadata["timings"]
    assert set(timings) == TIMINGS
    assert all(isinstance(value, int) and value >= 0 for value in timings.values())
    assert usage["input_tokens"] == timings["prefill_tokens"] + timings["cached_tokens"]
    assert usage["output_tokens"] == timings["decode_tokens"] > 0
    assert usage["input_token_details"]["cache_read"] == timings["cached_tokens"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert metadata["finish_reason"] in ("stop", "length")
    assert metadata["model_name"] == "SmolLM2-135M-Instruct.Q4_1"


async def test_all_four_ways_give_one_text_and_full_counts(chat: EmbeddedChat) -> None:
    """Invoke, async, stream and async stream agree on the text, and each carries counts and times once."""
    chat.invoke(QUESTION)
    streamed = list(chat.stream(QUESTION))
    streamed_async = [chunk async for chunk in chat.astream(QUESTION)]
    answers: list[AIMessage] = [chat.invoke(QUESTION), await chat.ainvoke(QUESTION)]
    for chunks in (streamed, streamed_async):
        assert len(chunks) > 2
        assert [chunk.usage_metadata is not None for chunk in chunks].count(True) == 1
        merged = sum(chunks[1:], start=chunks[0])
        assert isinstance(merged, AIMessageChunk)
        answers.append(merged)
    for answer in answers:
        _check_counts(answer)
    assert len({answer.text for answer in answers}) == 1


async def test_tasks_and_threads_at_once_are_all_answered_alike(chat: EmbeddedChat) -> None:
    """Callers on an event loop and on threads share one queue and get the same text."""
    chat.invoke(QUESTION)
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(chat.invoke(QUESTION).text)) for _ in range(3)]
    for thread in threads:
        thread.start()
    answers = await asyncio.gather(*(chat.ainvoke(QUESTION) for _ in range(3)))
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    assert len(texts) == 3
    assert len({*texts, *(answer.text for answer in answers)}) == 1


async def test_a_cancelled_task_leaves_the_model_usable(chat: EmbeddedChat) -> None:
    """Cancelling an async call, and leaving an async stream early, free the slot for the next call."""
    long = chat.bind(max_tokens=2000)
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in long.astream("Count upwards from one."):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    waiting = asyncio.create_task(long.ainvoke("Count upwards from two."))
    await asyncio.sleep(0)
    for cancelled in (task, waiting):
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    _check_counts(await chat.ainvoke(QUESTION))


def test_options_of_a_call_are_kept_and_unknown_ones_refused(chat: EmbeddedChat) -> None:
    """`max_tokens` and `stop` bind per call; a misspelt option is an error, not silence."""
    short = chat.invoke(QUESTION, max_tokens=3)
    assert short.response_metadata["finish_reason"] == "length"
    assert short.response_metadata["timings"]["decode_tokens"] == 3
    word = short.text.split()[1]
    assert word not in chat.invoke(QUESTION, stop=[word]).text
    with pytest.raises(ModelError, match="max_token'"):
        chat.invoke(QUESTION, max_token=3)


def test_a_seed_repeats_sampling(engine: Engine) -> None:
    """At a temperature above zero one seed gives one text, another seed another."""
    chat = EmbeddedChat(engine=engine, temperature=1.0, max_tokens=16)
    chat.invoke(QUESTION)
    assert chat.invoke(QUESTION, seed=3).text == chat.invoke(QUESTION, seed=3).text
    assert chat.invoke(QUESTION, seed=3).text != chat.invoke(QUESTION, seed=4).text


def test_a_repeated_prompt_is_read_from_the_cache(chat: EmbeddedChat) -> None:
    """All of a repeated prompt but its last token comes from the prefix cache, and the counts say so."""
    chat.invoke(QUESTION)
    usage = chat.invoke(QUESTION).usage_metadata
    assert usage is not None
    assert usage["input_token_details"]["cache_read"] == usage["input_tokens"] - 1


def test_tokens_of_messages_are_exact(chat: EmbeddedChat) -> None:
    """The count before a call equals the one after it, system message and tools included."""
    messages = [SystemMessage("Be brief."), HumanMessage(QUESTION)]
    usage = chat.invoke(messages).usage_metadata
    assert usage is not None
    assert chat.get_num_tokens_from_messages(messages) == usage["input_tokens"]
    assert chat.get_num_tokens_from_messages(messages, [add]) > usage["input_tokens"]


def test_a_picture_is_refused(chat: EmbeddedChat) -> None:
    """Content that is not text raises instead of being left out."""
    with pytest.raises(ModelError, match="text only"):
        chat.invoke([HumanMessage([{"type": "image", "url": "x"}])])


class Region(StrEnum):
    """Named options."""

    NORTH = "north"
    SOUTH = "south"


class Choice(BaseModel):
    """A nested part."""

    region: Region
    fact_ids: list[str] = Field(min_length=2, max_length=3)


class Plan(BaseModel):
    """Nested references, enum, numbers, optional."""

    choices: list[Choice] = Field(min_length=1, max_length=2)
    share: float = Field(ge=0, le=1)
    remark: str | None = Field(default=None, max_length=40)


def test_a_nested_pydantic_class_comes_back_as_an_instance(chat: EmbeddedChat) -> None:
    """References, enums, bounds and optional fields hold in the answer."""
    plan = chat.with_structured_output(Plan).invoke(QUESTION, max_tokens=300)
    assert isinstance(plan, Plan)
    assert all(2 <= len(choice.fact_ids) <= 3 for choice in plan.choices)


FACTS = [f"brand_performance.revenue[brand=B{index}]" for index in range(40)]


@pytest.mark.parametrize(
    "part",
    [
        {"enum": FACTS},
        {"const": {"a": [1]}},
        {"type": "array", "items": {"enum": FACTS}, "minItems": 2, "maxItems": 3},
        {"type": "array", "prefixItems": [{"const": 1}, {"enum": ["a"]}], "items": False, "minItems": 2},
        {"type": "string", "minLength": 30, "maxLength": 40},
        {"type": "string", "pattern": "^[^0-9]*$", "minLength": 5, "maxLength": 40},
        {"type": "string", "pattern": "^[a-z]{3}-[0-9]{2}$"},
        {"type": "string", "format": "date"},
        {"type": "integer", "exclusiveMinimum": 3, "maximum": 5},
        {"anyOf": [{"$ref": "#/$defs/leaf"}, {"type": "null"}]},
        prose_schema(6, 12),
    ],
)
def test_each_form_of_schema_holds(chat: EmbeddedChat, part: dict[str, Any]) -> None:
    """The engine keeps each form (the reader validates the answer against it)."""
    schema = {
        "type": "object",
        "properties": {"value": part},
        "required": ["value"],
        "$defs": {"leaf": {"enum": ["x", "y"]}},
    }
    answer = chat.with_structured_output(schema).invoke(QUESTION, max_tokens=150)
    assert isinstance(answer, dict)
    assert set(answer) == {"value"}


def test_an_answer_cut_off_is_an_error_or_stands_beside_the_raw_message(chat: EmbeddedChat) -> None:
    """Structured output that ran out of tokens raises, or with `include_raw` is a parsing error."""
    schema = {
        "type": "object",
        "properties": {"text": {"type": "string", "minLength": 100}},
        "required": ["text"],
    }
    with pytest.raises(ModelError, match="raise max_tokens"):
        chat.with_structured_output(schema).invoke(QUESTION, max_tokens=5)
    both = chat.with_structured_output(schema, include_raw=True).invoke(QUESTION, max_tokens=5)
    assert isinstance(both, dict)
    assert both["parsed"] is None
    assert isinstance(both["parsing_error"], ModelError)
    assert both["raw"].response_metadata["finish_reason"] == "length"
    whole = chat.with_structured_output({"const": 1}, include_raw=True).invoke(QUESTION)
    assert isinstance(whole, dict)
    assert (whole["parsed"], whole["parsing_error"]) == (1, None)


class Never(BaseModel):
    """A rule that JSON schema cannot say."""

    yes: bool

    @field_validator("yes")
    @classmethod
    def refuse(cls, value: bool) -> bool:
        """Refuse every value."""
        raise ValueError(f"never {value}")


def test_a_broken_rule_of_the_class_is_a_model_error(chat: EmbeddedChat) -> None:
    """A pydantic validator's refusal surfaces as a ModelError that names the class."""
    with pytest.raises(ModelError, match="rule of Never"):
        chat.with_structured_output(Never).invoke(QUESTION)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def look_up(region: Region) -> str:
    """Look up the sales of a region."""
    return region


def test_tool_calls_are_bounded_and_have_ids(chat: EmbeddedChat) -> None:
    """One call by default; several, with distinct ids, at most `max_tool_calls`, when asked for."""
    (single,) = chat.bind_tools([add, look_up], tool_choice="any").invoke(QUESTION, max_tokens=200).tool_calls
    assert single["name"] in ("add", "look_up")
    capped = chat.model_copy(update={"max_tool_calls": 3})
    many = capped.bind_tools([look_up], tool_choice="look_up", parallel_tool_calls=True)
    calls = many.invoke("Look up every region, then look up all regions again.", max_tokens=200).tool_calls
    assert 1 <= len(calls) <= 3
    assert len({call["id"] for call in calls}) == len(calls)
    assert all(call["args"]["region"] in ("north", "south") for call in calls)


def test_tools_leave_room_for_words(chat: EmbeddedChat) -> None:
    """Without a tool choice the answer is words or one call, never raw JSON; "none" gives words."""
    history = [
        HumanMessage("What is 1 + 2?"),
        AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1, "b": 2}, "id": "c1"}]),
        ToolMessage("3", tool_call_id="c1", name="add"),
    ]
    answer = chat.bind_tools([add]).invoke(history)
    assert bool(answer.text) != bool(answer.tool_calls)
    assert not answer.text.startswith("{")
    assert chat.bind_tools([add], tool_choice="none").invoke(history).tool_calls == []


def test_a_call_cut_off_is_an_error_and_an_unknown_tool_too(chat: EmbeddedChat) -> None:
    """A tool call that ran out of tokens raises; so does the choice of a tool that was not bound."""
    with pytest.raises(ModelError, match="cut off"):
        chat.bind_tools([add], tool_choice="any").invoke(QUESTION, max_tokens=4)
    with pytest.raises(ModelError, match="'subtract' names no bound tool"):
        chat.bind_tools([add], tool_choice="subtract")
