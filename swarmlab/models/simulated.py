"""The simulated model as a LangChain chat model: the same agents' code, on a virtual clock."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from pydantic import BaseModel, ConfigDict, Field

from swarmlab.errors import VirtualTimeError
from swarmlab.models.answers import AnswerReader, metadata_of, text_chunk, usage_of
from swarmlab.models.author import Bounds, Draft
from swarmlab.models.client import Delivered, deliver
from swarmlab.models.constrained import ConstrainedChat
from swarmlab.models.constraint import read_json
from swarmlab.models.conversation import chat_messages
from swarmlab.models.generation import Completion
from swarmlab.models.server import SimulatedServer
from swarmlab.models.structured import typed, with_raw
from swarmlab.models.tool_calls import ToolPlan
from swarmlab.trace.clock import VirtualClock
from swarmlab.trace.virtual_loop import VirtualLoop

_DECODER = json.JSONDecoder()

# Copied for each answer, which is several times faster than a message that pydantic checks.
_BLANK = AIMessage("", usage_metadata=None, tool_calls=[], invalid_tool_calls=[])


class SimulatedChat(ConstrainedChat):
    """A chat model on a `SimulatedServer`: deterministic answers, and the time they take on the clock.

    Answers follow from the request and the profile alone; the sampling options (temperature, `top_p`, `seed`,
    `repeat_penalty`) are taken and change nothing. Counts and times stand where `EmbeddedChat` puts them, and
    `response_metadata["attempts"]` says how often the provider was asked; waits between attempts are in
    `queue_ns`.

    Awaited within its clock's `run`, a call queues and takes virtual time. Anywhere else (a cell of a
    notebook, a synchronous call) it is answered at once: its times stand in the metadata, no time passes, and
    there is no queue, limit or failure.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)
    kind: ClassVar[str] = "simulated"

    server: SimulatedServer = Field(exclude=True, repr=False)
    draw: str = ""
    """Whose calls these are: another draw has another jitter and other failures, and the same answers."""

    def model_post_init(self, context: Any, /) -> None:
        """Name the model after its profile."""
        super().model_post_init(context)
        if not self.model_name:
            self.model_name = self.server.profile.name

    @property
    def _llm_type(self) -> str:
        return "simulated"

    def get_num_tokens(self, text: str) -> int:
        """Tokens of a plain text by the profile's weights."""
        return round(self.server.author.prompt_counter.count(text))

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Prompt tokens by the profile's weights, the description of `tools` included."""
        turns = chat_messages(messages, self._preamble(tools))
        return self.server.author.prompt_counter.prompt([(turn["role"], turn["content"]) for turn in turns])

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """Answer under a schema, as `ConstrainedChat` says; the runnable is a light one, for speed."""
        if kwargs:
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        return StructuredCall(self, schema, include_raw=include_raw)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain's signature
        **kwargs: Any,
    ) -> ChatResult:
        draft, reader = self._prepare(messages, stop, kwargs)
        return reader.result(self._at_once(draft))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain's signature
        **kwargs: Any,
    ) -> ChatResult:
        draft, reader = self._prepare(messages, stop, kwargs)
        return reader.result(await self.complete(draft))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        draft, reader = self._prepare(messages, stop, kwargs)
        completion = self._at_once(draft)
        for piece in _pieces(draft, reader.tools):
            chunk = text_chunk(piece)
            if run_manager:
                run_manager.on_llm_new_token(piece, chunk=chunk)
            yield chunk
        yield reader.last_chunk(completion)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        """The first piece comes when its token would, the others with the last one."""
        draft, reader = self._prepare(messages, stop, kwargs)
        begun = asyncio.Event()
        call = asyncio.create_task(self.complete(draft, begun))
        call.add_done_callback(lambda _: begun.set())
        try:
            await begun.wait()
            for number, piece in enumerate(_pieces(draft, reader.tools)):
                if number == 1:
                    await call
                chunk = text_chunk(piece)
                if run_manager:
                    await run_manager.on_llm_new_token(piece, chunk=chunk)
                yield chunk
            yield reader.last_chunk(await call)
        finally:
            call.cancel()

    async def complete(self, draft: Draft, begun: asyncio.Event | None = None) -> Completion:
        """Take the time that an answer takes; `begun` is set at its first token."""
        if not (self._is_on_clock() or _in_simulation()):
            return self._at_once(draft)
        on_first_token = None if begun is None else begun.set
        return _completion(draft, await deliver(self.server, draft, self.draw, on_first_token))

    def _is_on_clock(self) -> bool:
        """Whether this is within the simulation of the server's clock; quicker to tell than of any."""
        clock = self.server.clock
        return isinstance(clock, VirtualClock) and clock.is_here()

    def _at_once(self, draft: Draft) -> Completion:
        if _in_simulation():
            raise VirtualTimeError(
                "a simulated model was called synchronously within a simulation, where no time can pass "
                "meanwhile: use `await chat.ainvoke(...)`"
            )
        served = self.server.at_once(draft.prompt, draft.prompt_tokens, draft.completion_tokens, self.draw)
        return _completion(draft, Delivered(served, 0, 1))

    def _prepare(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, options: Mapping[str, Any]
    ) -> tuple[Draft, AnswerReader]:
        settings = self._settings(options)
        tools = self._tool_plan(options)
        author = self.server.author
        schema = _wanted(tools, messages) if tools else options.get("response_schema")
        draft = author.draft(
            chat_messages(messages, tools.preamble if tools else ""),
            None if schema is None else author.form(schema),
            Bounds(settings.get("max_tokens"), tuple(stop or self.stop or ())),
        )
        return draft, AnswerReader(tools, self.model_name)


class StructuredCall(Runnable[LanguageModelInput, Any]):
    """A chat model and a schema: what `with_structured_output` returns.

    Where nobody listens by callbacks, an awaited call goes straight to the model, without the callback
    managers that cost more than all the rest of a simulated call. A tracer that only the environment switches
    on is not such a listener.
    """

    def __init__(self, chat: SimulatedChat, schema: dict[str, Any] | type, *, include_raw: bool) -> None:
        self._chat = chat
        self._schema = schema
        self._include_raw = include_raw
        self._form = chat.server.author.form_of(schema, chat.string_limit)
        self._bounds = Bounds(chat.max_tokens, tuple(chat.stop or ()))

    def invoke(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Answer at once."""
        return self._chain().invoke(input, config, **kwargs)

    async def ainvoke(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Answer in the clock's time."""
        chat = self._chat
        if kwargs or _is_heard(chat, config):
            return await self._chain().ainvoke(input, config, **kwargs)
        draft = chat.server.author.reply(_messages(chat, input), self._form, self._bounds)
        message = _message(await chat.complete(draft), chat.model_name)
        if draft.finish_reason == "stop" and not isinstance(self._schema, type):
            # It was checked when it was written.
            value, _ = _DECODER.raw_decode(draft.text)
            return {"raw": message, "parsed": value, "parsing_error": None} if self._include_raw else value
        return with_raw(message, self._read) if self._include_raw else self._read(message)

    def _read(self, message: AIMessage) -> Any:
        finish_reason = message.response_metadata["finish_reason"]
        return typed(self._schema, read_json(message.text, finish_reason, self._form.schema))

    def _chain(self) -> Runnable[LanguageModelInput, Any]:
        """The same by LangChain's own means."""
        return ConstrainedChat.with_structured_output(self._chat, self._schema, include_raw=self._include_raw)


def _completion(draft: Draft, delivered: Delivered) -> Completion:
    served = delivered.served
    return Completion(
        text=draft.text,
        finish_reason=draft.finish_reason,
        prompt_tokens=draft.prompt_tokens,
        cached_tokens=served.cached_tokens,
        completion_tokens=draft.completion_tokens,
        queue_ns=delivered.queue_ns,
        prefill_ns=served.prefill_ns,
        decode_ns=served.decode_ns,
        attempts=delivered.attempts,
    )


def _message(completion: Completion, model_name: str) -> AIMessage:
    message = copy(_BLANK)
    message.__dict__.update(
        content=completion.text,
        additional_kwargs={},
        tool_calls=[],
        invalid_tool_calls=[],
        usage_metadata=usage_of(completion),
        response_metadata=metadata_of(completion, model_name),
    )
    return message


def _messages(chat: SimulatedChat, given: LanguageModelInput) -> Sequence[BaseMessage]:
    if isinstance(given, list) and all(isinstance(message, BaseMessage) for message in given):
        return given
    return chat._convert_input(given).to_messages()


def _is_heard(chat: SimulatedChat, config: RunnableConfig | None) -> bool:
    """Whether somebody listens to a call: its own config, that of the graph it is in, or the model's."""
    if chat.callbacks or chat.rate_limiter or chat.cache:
        return True
    for given in (config, var_child_runnable_config.get()):
        callbacks = given.get("callbacks") if given else None
        if callbacks and (isinstance(callbacks, list) or callbacks.handlers):
            return True
    return False


def _wanted(tools: ToolPlan, messages: Sequence[BaseMessage]) -> dict[str, Any]:
    """With results before it and leave to speak, a model that never tires of calling would go on for ever."""
    has_results = bool(messages) and isinstance(messages[-1], ToolMessage)
    return (tools.reply_schema if has_results else None) or tools.schema


def _pieces(draft: Draft, tools: ToolPlan | None) -> Iterator[str]:
    """The text in words; an answer that may be a tool call is not streamed as raw JSON."""
    if tools is None:
        words = draft.text.split(" ")
        yield from (f"{word} " for word in words[:-1])
        yield words[-1]


def _in_simulation() -> bool:
    try:
        return isinstance(asyncio.get_running_loop(), VirtualLoop)
    except RuntimeError:
        return False
