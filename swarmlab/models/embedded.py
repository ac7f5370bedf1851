"""The embedded model as a LangChain chat model: local, no key, with the engine's own counts and times."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from queue import SimpleQueue
from typing import Any, ClassVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field

from swarmlab.models.answers import PreparedCall, text_chunk
from swarmlab.models.constrained import ConstrainedChat
from swarmlab.models.constraint import grammar
from swarmlab.models.conversation import chat_messages
from swarmlab.models.engine import Engine, Job


class EmbeddedChat(ConstrainedChat):
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
    kind: ClassVar[str] = "embedded"

    engine: Engine = Field(exclude=True, repr=False)

    def model_post_init(self, context: Any, /) -> None:
        """Name the model after its file."""
        super().model_post_init(context)
        if not self.model_name:
            self.model_name = self.engine.path.stem

    @property
    def _llm_type(self) -> str:
        return "embedded-llama.cpp"

    def get_num_tokens(self, text: str) -> int:
        """Exact number of tokens of a plain text."""
        return self.engine.count_tokens(text)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Exact number of prompt tokens, the chat template's and the description of `tools` included."""
        return self.engine.count_prompt_tokens(chat_messages(messages, self._preamble(tools)))

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

    def _prepare(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, options: Mapping[str, Any]
    ) -> PreparedCall:
        body = self._settings(options)
        if stop or self.stop:
            body["stop"] = stop or self.stop
        tools = self._tool_plan(options)
        schema = tools.schema if tools else options.get("response_schema")
        if schema is not None:
            body["grammar"] = grammar(schema)
        body["messages"] = chat_messages(messages, tools.preamble if tools else "")
        return PreparedCall(tools, self.model_name, body)
