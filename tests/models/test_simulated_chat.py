"""The simulated chat model: what answers carry, virtual time, structured output, tools, identity."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel, Field, field_validator
from simulations import make_profile

from swarmlab.errors import ModelError, SpecError, VirtualTimeError
from swarmlab.models import (
    LoadedModel,
    SimulatedChat,
    SimulatedServer,
    load_model,
    load_profile,
    prose_schema,
)
from swarmlab.models.author import Author, Bounds
from swarmlab.models.counts import prompt_tokens, token_counts
from swarmlab.trace.clock import VirtualClock, WallClock

T = TypeVar("T")
TIMINGS = {"queue_ns", "prefill_ns", "decode_ns", "prefill_tokens", "cached_tokens", "decode_tokens"}
QUESTION = "Which is the leading brand?\n- leading brand: Fizz\n- weakest brand: Cola"
DECISION = {
    "title": "decision",
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": ["Cola", "Fizz", "Brew"]}, "why": prose_schema(4, 9)},
    "required": ["answer", "why"],
    "additionalProperties": False,
}


def make_chat(**changes: Any) -> SimulatedChat:
    """A chat on the plain profile, some of whose sections are changed."""
    return SimulatedChat(server=SimulatedServer(make_profile(**changes), VirtualClock()))


def within(chat: SimulatedChat, main: Callable[[], Awaitable[T]]) -> T:
    """Run in the virtual time of the chat's clock."""

    async def run() -> T:
        return await main()

    return chat.server.clock.run(run())


def _times(message: AIMessage) -> int:
    timings = message.response_metadata["timings"]
    return int(timings["queue_ns"] + timings["prefill_ns"] + timings["decode_ns"])


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
    assert metadata["finish_reason"] == "stop"
    assert (metadata["model_name"], metadata["attempts"]) == ("plain", 1)


def _merged(chunks: list[AIMessageChunk]) -> AIMessage:
    assert len(chunks) > 2
    assert [chunk.usage_metadata is not None for chunk in chunks].count(True) == 1
    merged = sum(chunks[1:], start=chunks[0])
    assert isinstance(merged, AIMessageChunk)
    return merged


async def test_all_ways_give_one_text_and_full_counts() -> None:
    """Invoke, async, stream and async stream, in a simulation and out of one, agree on text and times."""
    chat = make_chat()
    answers = [chat.invoke(QUESTION), await chat.ainvoke(QUESTION), _merged(list(chat.stream(QUESTION)))]
    answers.append(_merged([chunk async for chunk in chat.astream(QUESTION)]))

    async def simulated() -> list[AIMessage]:
        return [await chat.ainvoke(QUESTION), _merged([c async for c in chat.astream(QUESTION)])]

    answers += await asyncio.to_thread(within, chat, simulated)
    for answer in answers:
        _check_counts(answer)
    assert len({answer.text for answer in answers}) == 1
    assert len({_times(answer) for answer in answers}) == 1


def test_a_call_takes_the_time_that_its_metadata_say() -> None:
    """Two calls at once on one slot: each one's queue, prefill and decode add up to its own virtual time."""
    chat = make_chat(time_to_first_token_s=0.1)
    clock = chat.server.clock

    async def timed(text: str) -> tuple[AIMessage, int]:
        started_ns = clock.now_ns()
        return await chat.ainvoke(text), clock.now_ns() - started_ns

    async def main() -> list[tuple[AIMessage, int]]:
        return await asyncio.gather(timed(QUESTION), timed("And now?"))

    for message, elapsed_ns in within(chat, main):
        assert _times(message) == elapsed_ns > 0


def test_a_stream_begins_at_its_first_token_and_ends_with_its_last() -> None:
    """In virtual time the first piece comes after the prefill, the end after the decode."""
    chat = make_chat()
    clock = chat.server.clock

    async def main() -> tuple[list[int], AIMessage]:
        chunks, at = [], []
        async for chunk in chat.astream(QUESTION):
            chunks.append(chunk)
            at.append(clock.now_ns())
        return at, _merged(chunks)

    at, message = within(chat, main)
    timings = message.response_metadata["timings"]
    assert at[0] == timings["prefill_ns"]
    assert at[-1] == timings["prefill_ns"] + timings["decode_ns"]


def test_a_stream_that_is_left_frees_the_slot() -> None:
    """Leaving an async stream early ends its call at once."""
    chat = make_chat()

    async def main() -> tuple[int, int]:
        stream = chat.astream(QUESTION)
        await anext(stream)
        await stream.aclose()
        left_ns = chat.server.clock.now_ns()
        answer = await chat.ainvoke("And now?")
        return left_ns, chat.server.clock.now_ns() - _times(answer)

    left_ns, began_ns = within(chat, main)
    assert began_ns == left_ns


def test_outside_a_simulation_no_time_passes() -> None:
    """A synchronous call says what it would have taken, and the clock stands still."""
    chat = make_chat(limits={"requests_per_minute": 1}, failure={"rate": 1.0})
    for _ in range(3):
        assert _times(chat.invoke(QUESTION)) > 0
    assert chat.server.clock.now_ns() == 0


def test_a_synchronous_call_within_a_simulation_is_refused() -> None:
    """There it could take no time without anyone noticing, so it is an error that says what to use."""
    chat = make_chat()

    async def main() -> Any:
        return chat.invoke(QUESTION)

    with pytest.raises(VirtualTimeError, match="ainvoke"):
        within(chat, main)


def test_options_of_a_call_are_kept_and_unknown_ones_refused() -> None:
    """`max_tokens` and `stop` bind per call; sampling options change nothing; a misspelt one is an error."""
    chat = make_chat()
    whole = chat.invoke(QUESTION)
    short = chat.invoke(QUESTION, max_tokens=3)
    assert short.response_metadata["finish_reason"] == "length"
    assert short.response_metadata["timings"]["decode_tokens"] == 3
    assert whole.text.startswith(short.text)
    word = whole.text.split()[1]
    assert word not in chat.invoke(QUESTION, stop=[word]).text
    assert chat.invoke(QUESTION, temperature=0.9, seed=7, top_p=0.5).text == whole.text
    with pytest.raises(ModelError, match="simulated model does not know the option 'max_token'"):
        chat.invoke(QUESTION, max_token=3)


def test_a_prompt_that_fills_the_context_is_an_error() -> None:
    """The message has both sizes; a prompt that just fits leaves room for what is left of the answer."""
    chat = make_chat(context_tokens=20)
    with pytest.raises(ModelError, match="prompt has 30 tokens, the model's context holds 20"):
        chat.invoke("word " * 30)
    assert chat.invoke("word " * 18).response_metadata["timings"]["decode_tokens"] == 2


def test_tokens_of_messages_are_known_before_the_call() -> None:
    """The count before a call equals the one after it, for the swarm's own counting too."""
    chat = SimulatedChat(server=SimulatedServer(load_profile(""), VirtualClock()))
    messages = [SystemMessage("Be brief."), HumanMessage(QUESTION)]
    answer = chat.invoke(messages)
    assert answer.usage_metadata is not None
    expected = answer.usage_metadata["input_tokens"]
    assert chat.get_num_tokens_from_messages(messages) == prompt_tokens(chat, messages) == expected
    assert token_counts(messages, answer).prompt == expected
    assert chat.get_num_tokens_from_messages(messages, [add]) > expected
    assert chat.get_num_tokens("one two") >= 2


def test_an_answers_tokens_can_have_weights_of_their_own() -> None:
    """Where a profile weighs answers apart, their end counts too; else the prompt's weights serve."""
    text = make_profile().text
    tokens = text.tokens.model_copy(update={"per_prompt": 5.0})
    alone = text.model_copy(update={"tokens": tokens})
    apart = text.model_copy(update={"tokens": tokens, "answer_tokens": tokens})
    counts = [
        Author(make_profile().model_copy(update={"text": kind})).draft(
            [{"role": "user", "content": QUESTION}], None, Bounds()
        )
        for kind in (text, alone, apart)
    ]
    assert [draft.prompt_tokens - counts[0].prompt_tokens for draft in counts] == [0, 5, 5]
    assert [draft.completion_tokens - counts[0].completion_tokens for draft in counts] == [0, 0, 5]


def test_structured_output_is_the_grounded_choice_beside_its_message() -> None:
    """In a simulation and out of one, with and without the raw message, the same answer comes back."""
    chat = make_chat()
    structured = chat.with_structured_output(DECISION, include_raw=True)

    async def main() -> Any:
        return await structured.ainvoke([HumanMessage(QUESTION)])

    simulated, alone = within(chat, main), structured.invoke(QUESTION)
    assert simulated["parsed"] == alone["parsed"] == chat.with_structured_output(DECISION).invoke(QUESTION)
    assert simulated["parsed"]["answer"] == "Fizz"
    assert simulated["parsing_error"] is None
    _check_counts(simulated["raw"])
    light, whole = (both["raw"].model_dump(exclude={"id"}) for both in (simulated, alone))
    assert light == whole


def test_answers_share_nothing_that_can_be_changed() -> None:
    """What a caller does to one answer's parts is not seen in the next answer to the same request."""
    chat = make_chat()
    structured = chat.with_structured_output(DECISION, include_raw=True)

    async def main() -> list[Any]:
        first = await structured.ainvoke(QUESTION)
        first["parsed"]["answer"] = "changed"
        message = first["raw"]
        message.content = "changed"
        message.tool_calls.append("changed")
        for part in (message.additional_kwargs, message.response_metadata, message.usage_metadata):
            part["changed"] = True
        return await structured.ainvoke(QUESTION)

    second: Any = within(chat, main)
    assert second["parsed"]["answer"] == "Fizz"
    assert "changed" not in repr(second)


async def test_structured_output_is_a_runnable_like_any_other() -> None:
    """It chains, batches and streams."""
    structured = make_chat().with_structured_output(DECISION)
    chain = (
        RunnableLambda(lambda brand: f"Which?\n- which: {brand}") | structured | (lambda got: got["answer"])
    )
    assert chain.batch(["Cola", "Brew"]) == await chain.abatch(["Cola", "Brew"]) == ["Cola", "Brew"]
    assert list(chain.stream("Fizz")) == ["Fizz"]


class Listener(AsyncCallbackHandler):
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        """A call begins."""
        self.heard.append("start")

    async def on_llm_end(self, *_: Any, **__: Any) -> None:
        """A call is over."""
        self.heard.append("end")


def test_a_listener_hears_the_call() -> None:
    """With callbacks, in the config or of the model, a call goes LangChain's way and takes the same time."""
    chat = make_chat()
    listeners = [Listener(), Listener()]
    own = chat.model_copy(update={"callbacks": [listeners[1]]})

    async def main() -> list[int]:
        at = [chat.server.clock.now_ns()]
        for model, config in ((chat, None), (chat, {"callbacks": [listeners[0]]}), (own, None)):
            got: Any = await model.with_structured_output(DECISION).ainvoke(QUESTION, config)
            assert got["answer"] == "Fizz"
            at.append(chat.server.clock.now_ns())
        return [later - earlier for earlier, later in pairwise(at)]

    assert len(set(within(chat, main))) == 1
    assert [listener.heard for listener in listeners] == [["start", "end"], ["start", "end"]]


class Choice(BaseModel):
    """A pydantic answer."""

    brand: str = Field(max_length=20)
    share: float = Field(ge=0, le=1)


class Never(BaseModel):
    """A rule that JSON schema cannot say."""

    yes: bool

    @field_validator("yes")
    @classmethod
    def refuse(cls, value: bool) -> bool:
        """Refuse every value."""
        raise ValueError(f"never {value}")


async def test_a_pydantic_class_comes_back_as_an_instance_or_its_broken_rule() -> None:
    """Instances on both ways; a validator's refusal is a ModelError, raised or beside the raw message."""
    chat = make_chat()
    choice = chat.with_structured_output(Choice)
    assert isinstance(await choice.ainvoke(QUESTION), Choice)
    assert await choice.ainvoke(QUESTION) == choice.invoke(QUESTION)
    with pytest.raises(ModelError, match="rule of Never"):
        await chat.with_structured_output(Never).ainvoke(QUESTION)
    both: Any = await chat.with_structured_output(Never, include_raw=True).ainvoke(QUESTION)
    assert isinstance(both["parsing_error"], ModelError)


async def test_an_answer_cut_off_is_an_error_or_stands_beside_the_raw_message() -> None:
    """Structured output that ran out of tokens raises, or with `include_raw` is a parsing error."""
    chat = make_chat().model_copy(update={"max_tokens": 3})
    with pytest.raises(ModelError, match="raise max_tokens"):
        await chat.with_structured_output(DECISION).ainvoke(QUESTION)
    both: Any = await chat.with_structured_output(DECISION, include_raw=True).ainvoke(QUESTION)
    assert both["parsed"] is None
    assert isinstance(both["parsing_error"], ModelError)
    assert both["raw"].response_metadata["finish_reason"] == "length"


def test_a_schema_that_cannot_be_kept_is_refused_before_the_call() -> None:
    """A keyword that decoding does not honour is named at once, as by the embedded model."""
    with pytest.raises(ModelError, match="uniqueItems"):
        make_chat().with_structured_output({"type": "array", "uniqueItems": True})
    with pytest.raises(ModelError, match="unknown structured output method"):
        make_chat().with_structured_output(DECISION, method="magic")


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def look_up(brand: str) -> str:
    """Look up the sales of a brand."""
    return brand


def test_tools_are_called_by_their_name_and_then_their_results_are_spoken_of() -> None:
    """The tool that the request names is called; given its result the model answers in words."""
    bound = make_chat().bind_tools([add, look_up])
    (call,) = bound.invoke("Please look up 'Fizz'.").tool_calls
    assert (call["name"], call["args"]) == ("look_up", {"brand": "Fizz"})
    history = [
        HumanMessage("What is 1 + 2?"),
        AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1, "b": 2}, "id": "c1"}]),
        ToolMessage("3", tool_call_id="c1", name="add"),
    ]
    answer = bound.invoke(history)
    assert answer.text
    assert not answer.tool_calls
    assert make_chat().bind_tools([add], tool_choice="any").invoke(history).tool_calls


def test_a_run_has_its_own_draw_on_the_same_server() -> None:
    """`for_run` changes times but not answers, and both runs' calls meet in one queue."""
    clock = VirtualClock()
    model = load_model("simulated", clock=clock, seed=3)

    async def main() -> list[AIMessage]:
        chats = [model.for_run(draw).chat for draw in ("a", "b", "a")]
        return await asyncio.gather(*(chat.ainvoke(QUESTION) for chat in chats))

    first, other, again = clock.run(main())
    assert first.text == other.text == again.text
    decode = [m.response_metadata["timings"]["decode_ns"] for m in (first, other, again)]
    # The same to the microsecond that a clock rounds to.
    assert abs(decode[0] - decode[2]) <= 1000 < abs(decode[0] - decode[1])
    assert 0 < other.response_metadata["timings"]["queue_ns"] < again.response_metadata["timings"]["queue_ns"]


def test_the_loaded_model_says_what_it_is() -> None:
    """Identity, profile and the source of counts stand beside the model."""
    model = load_model("simulated", clock=VirtualClock())
    profile = load_profile("")
    assert (model.id, model.file_hash, model.profile) == (
        "simulated:embedded-2core",
        profile.fingerprint,
        profile,
    )
    assert (model.tokens_source, model.context_tokens, model.load_s) == ("simulated", 8192, 0.0)
    assert isinstance(model.chat, SimulatedChat)
    model.close()


def test_a_simulated_model_needs_a_virtual_clock() -> None:
    """On a real clock it would neither wait nor be right, so it is refused."""
    with pytest.raises(SpecError, match="runs on virtual time"):
        load_model("simulated", clock=WallClock())


def test_another_model_has_no_draws() -> None:
    """For a model that is not simulated, every run has the model itself."""
    model = load_model("simulated", clock=VirtualClock())
    other = LoadedModel(**{**vars(model), "chat": None})
    assert other.for_run("a") is other


_REPEATABLE = """
import asyncio, json
from langchain_core.messages import HumanMessage
from swarmlab.models import load_model, prose_schema
from swarmlab.trace.clock import VirtualClock
clock = VirtualClock()
model = load_model("simulated", clock=clock, seed=5)
schema = {"type": "object", "required": ["pick", "why"], "additionalProperties": False, "properties": {
    "pick": {"enum": ["Cola", "Fizz", "Brew"]}, "why": prose_schema(5, 30)}}
async def one(n):
    prompt = chr(10).join([f"Which of {n} brands?", "- first brand: Fizz", f"- others: {n} more brands"])
    chat = model.for_run(str(n % 3)).chat
    got = await chat.with_structured_output(schema, include_raw=True).ainvoke([HumanMessage(prompt)])
    return [got["parsed"], got["raw"].response_metadata, got["raw"].usage_metadata, clock.now_ns()]
async def main():
    return await asyncio.gather(*(one(n) for n in range(40)))
print(json.dumps(clock.run(main())))
"""


def test_two_processes_with_other_hash_seeds_give_the_same_bytes() -> None:
    """Texts, counts and times do not depend on the process or on the order in which it hashes strings."""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", _REPEATABLE],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) > 10_000
