"""From a finished generation to LangChain's messages, whole or streamed, with counts and times."""

import json
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, ToolCall
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from swarmlab.models.generation import Completion
from swarmlab.models.tool_calls import ToolPlan


@dataclass(frozen=True, slots=True)
class AnswerReader:
    """How to read the answer to one request."""

    tools: ToolPlan | None
    model_name: str

    def result(self, completion: Completion) -> ChatResult:
        """Return the whole answer; raises ModelError for a tool call that cannot be read."""
        return ChatResult(generations=[ChatGeneration(message=self._message(completion))])

    def last_chunk(self, completion: Completion) -> ChatGenerationChunk:
        """Return the end of a stream: counts, times, and what was not streamed as text."""
        message = self._message(completion)
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content=message.text if self.tools else "",
                tool_call_chunks=[
                    tool_call_chunk(
                        name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index
                    )
                    for index, call in enumerate(message.tool_calls)
                ],
                usage_metadata=message.usage_metadata,
                response_metadata=message.response_metadata,
                chunk_position="last",
            )
        )

    def _message(self, completion: Completion) -> AIMessage:
        text: str = completion.text
        calls: list[ToolCall] = []
        if self.tools:
            text, calls = self.tools.read(completion.text, completion.finish_reason)
        return AIMessage(
            content=text,
            tool_calls=calls,
            usage_metadata=usage_of(completion),
            response_metadata=metadata_of(completion, self.model_name),
        )


@dataclass(frozen=True, slots=True)
class PreparedCall(AnswerReader):
    """A request to the engine, and how to read its answer."""

    body: dict[str, Any]


def text_chunk(piece: str) -> ChatGenerationChunk:
    """Return one piece of streamed text."""
    return ChatGenerationChunk(message=AIMessageChunk(content=piece))


def usage_of(completion: Completion) -> UsageMetadata:
    """Counts of a completion, as LangChain has them."""
    return UsageMetadata(
        input_tokens=completion.prompt_tokens,
        output_tokens=completion.completion_tokens,
        total_tokens=completion.prompt_tokens + completion.completion_tokens,
        input_token_details=InputTokenDetails(cache_read=completion.cached_tokens),
    )


def metadata_of(completion: Completion, model_name: str) -> dict[str, Any]:
    """How a completion ended, what made it, and its times."""
    attempts = {} if completion.attempts is None else {"attempts": completion.attempts}
    return {
        "finish_reason": completion.finish_reason,
        "model_name": model_name,
        **attempts,
        "timings": {
            "queue_ns": completion.queue_ns,
            "prefill_ns": completion.prefill_ns,
            "decode_ns": completion.decode_ns,
            "prefill_tokens": completion.prefill_tokens,
            "cached_tokens": completion.cached_tokens,
            "decode_tokens": completion.completion_tokens,
        },
    }
