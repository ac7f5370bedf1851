"""The embedded model as a LangChain chat model: local, no key, with the engine's own counts and times."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from queue import SimpleQueue
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, ConfigDict, Field

from swarmlab.errors import ModelError
from swarmlab.models.answers import PreparedCall, text_chunk
from swarmlab.models.constraint import STRING_LIMIT, grammar, json_schema_of
from swarmlab.models.conversation import chat_messages
from swarmlab.models.engine import Engine, Job
from swarmlab.models.structured import structured_runnable
from swarmlab.models.tool_calls import plan_tools

# What a call may override or carry; anything else is a mistake that must not pass in silence.
_CALL_OPTIONS = ("temperature", "seed", "max_tokens", "top_p", "repeat_penalty")
_CARRIED = frozenset(
    {"tools", "tool_choice", "max_tool_calls", "response_schema", "ls_structured_output_format"}
)


class EmbeddedChat(BaseChatModel):
    """A chat model on an `Engine`: sync, async, streaming; tools and structured output by constraint.

    Every answer carries `usage_metadata` (the engine's counts, `input_token_details.cache_read`) and
    `response_metadata` with `finish_reason` (`stop` or `length`), `model_name` and `timings`: `queue_ns`,
    `prefill_ns`, `decode_ns`, `prefill_tokens`, `cached_tokens`, `decode_tokens`; when streaming, on the
    last chunk.

    The same request after the same predecessor gives the same text. After another predecessor more or less
    of the prompt comes from the prefix cache, which rounds differently, and at a near tie one token can
    flip; build the engine with `prefix_cache=False` to rule that out.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    engine: Engine = Field(exclude=True, repr=False)
    model_name: str = ""
    """Shown in records; the file's stem when empty."""
    temperature: float = 0.0
    top_p: float | None = None
    seed: int = 0
    max_tokens: int | None = 512
    """Bound of one answer; None lets it run until it ends or fills the context."""
    repeat_penalty: float | None = None
    """Above 1 it keeps prose from loops; it also bends choices, so leave it off for those."""
    stop: list[str] | None = None
    string_limit: int | None = STRING_LIMIT
    """Characters of a string in structured output or a tool call whose schema does not bound it."""
    max_tool_calls: int = 8
    """Bound of parallel tool calls in one answer, when `bind_tools(parallel_tool_calls=True)`."""

    def model_post_init(self, context: Any, /) -> None:
        """Name the model after its file."""
        super().model_post_init(context)
        if not self.model_name:
            self.model_name = self.engine.path.stem

    @property
    def _llm_type(self) -> str:
        return "embedded-llama.cpp"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        names = ("model_name", *_CALL_OPTIONS, "stop", "string_limit")
        return {name: getattr(self, name) for name in names}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "embedded"
        params["ls_model_name"] = kwargs.get("model", self.model_name)
        return params

    def get_num_tokens(self, text: str) -> int:
        """Exact number of tokens of a plain text."""
        return self.engine.count_tokens(text)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Exact number of prompt tokens, the chat template's and the description of `tools` included."""
        plan = plan_tools([convert_to_openai_tool(tool) for tool in tools or ()], "auto", self.max_tool_calls)
        return self.engine.count_prompt_tokens(chat_messages(messages, plan.preamble if plan else ""))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain's signature
        **kwargs: Any,
    ) -> ChatResult:
        call = self._prepare(messages, stop, kwargs)
        job = self.engine.submit(call.body)
        try:
            completion = job.future.result()
        except BaseException:
            job.cancel()
            raise
        return call.result(completion)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain's signature
        **kwargs: Any,
    ) -> ChatResult:
        call = self._prepare(messages, stop, kwargs)
        job = self.engine.submit(call.body)
        try:
            completion = await asyncio.wrap_future(job.future)
        except BaseException:
            job.cancel()
            raise
        return call.result(completion)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call = self._prepare(messages, stop, kwargs)
        pieces: SimpleQueue[str | None] = SimpleQueue()
        job = self._submit_streaming(call, pieces.put)
        try:
            while (piece := pieces.get()) is not None:
                chunk = text_chunk(piece)
                if run_manager:
                    run_manager.on_llm_new_token(piece, chunk=chunk)
                yield chunk
            yield call.last_chunk(job.future.result())
        finally:
            job.cancel()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = self._prepare(messages, stop, kwargs)
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def put(piece: str | None) -> None:
            # A loop that was closed under a running call has nobody left to tell.
            if not loop.is_closed():
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        job = self._submit_streaming(call, put)
        try:
            while (piece := await pieces.get()) is not None:
                chunk = text_chunk(piece)
                if run_manager:
                    await run_manager.on_llm_new_token(piece, chunk=chunk)
                yield chunk
            yield call.last_chunk(job.future.result())
        finally:
            job.cancel()

    def _submit_streaming(self, call: PreparedCall, put: Callable[[str | None], None]) -> Job:
        # An answer that may be a tool call is read whole, so its raw JSON is not streamed.
        job = self.engine.submit(call.body, None if call.tools else put)
        job.future.add_done_callback(lambda _: put(None))
        return job

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        parallel_tool_calls: bool = False,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Let the model call tools, by a schema the decoder enforces.

        Parameters
        ----------
        tools
            Anything `convert_to_openai_tool` takes.
        tool_choice
            None, False or "auto" (words or a call), True, "any" or "required" (a call), "none", or a name.
        parallel_tool_calls
            Several calls in one answer, at most `max_tool_calls`; otherwise exactly one.
        """
        limit = self.max_tool_calls if parallel_tool_calls else 1
        openai_tools = [convert_to_openai_tool(tool) for tool in tools]
        choice = _choice(tool_choice)
        # Mistakes in names and schemas are reported here, not at the first call.
        plan_tools(openai_tools, choice, limit, self.string_limit)
        return self.bind(tools=openai_tools, tool_choice=choice, max_tool_calls=limit, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: str = "json_schema",
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """Answer under a schema that the decoder enforces token by token.

        Parameters
        ----------
        schema
            A pydantic class (returns an instance), a TypedDict class or a JSON schema (returns a dict).
        include_raw
            Return `{"raw", "parsed", "parsing_error"}` instead of raising when the answer was cut off.
        method, strict
            Accepted for compatibility: "json_schema", "function_calling" and "json_mode" are all the same
            here, constrained and always strict.

        Raises
        ------
        ModelError
            Here, for a keyword that cannot be enforced; at the call, for an answer cut off by `max_tokens`.
        """
        if method not in ("json_schema", "function_calling", "json_mode"):
            raise ModelError(f"unknown structured output method {method!r}")
        # Always strict: the decoder cannot leave the schema.
        del strict
        json_schema = json_schema_of(schema, self.string_limit)
        bound = self.bind(
            response_schema=json_schema,
            ls_structured_output_format={"kwargs": {"method": method}, "schema": schema},
            **kwargs,
        )
        return structured_runnable(bound, schema, json_schema, include_raw=include_raw)

    def _prepare(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, options: Mapping[str, Any]
    ) -> PreparedCall:
        unknown = sorted(set(options) - {*_CALL_OPTIONS} - _CARRIED)
        if unknown:
            raise ModelError(f"the embedded model does not know the option {unknown[0]!r}")
        settings = {name: options.get(name, getattr(self, name)) for name in _CALL_OPTIONS}
        body = {name: value for name, value in settings.items() if value is not None}
        if stop or self.stop:
            body["stop"] = stop or self.stop
        tools = plan_tools(
            options.get("tools", ()),
            options.get("tool_choice", "auto"),
            options.get("max_tool_calls", self.max_tool_calls),
            self.string_limit,
        )
        schema = tools.schema if tools else options.get("response_schema")
        if schema is not None:
            body["grammar"] = grammar(schema)
        body["messages"] = chat_messages(messages, tools.preamble if tools else "")
        return PreparedCall(body, tools, self.model_name)


def _choice(tool_choice: str | dict[str, Any] | bool | None) -> str:
    match tool_choice:
        case None | False:
            return "auto"
        case True | "required":
            return "any"
        case {"function": {"name": str(name)}}:
            return name
        case str(name):
            return name
        case _:
            raise ModelError(f"unknown tool_choice {tool_choice!r}")
