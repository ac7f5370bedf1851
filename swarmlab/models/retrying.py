"""Any provider's chat model, asked again while there is hope, within a budget, and counted.

A subclass of the provider's own class is made, so that its structured output, tools and streaming stay what
they are; only the methods that ask the provider are wrapped.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field, SkipValidation
from tenacity import AsyncRetrying, Retrying

from swarmlab.models.attempts import Attempts, Retries, finish_reason
from swarmlab.trace.clock import Clock, WallClock


class RetryingChat(BaseChatModel):
    """What `with_retries` puts before a provider's class.

    `response_metadata["attempts"]` says how often the provider was asked. An answer that does not say why it
    ended, whole or streamed, counts as cut and is asked for again; one that was cut at its limit of tokens is
    an error where a schema was asked for.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    asked_as: str = Field(default="", exclude=True, repr=False)
    retries: Retries = Field(default_factory=Retries, exclude=True, repr=False)
    clock: SkipValidation[Clock] = Field(default_factory=WallClock, exclude=True, repr=False)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        attempts = self._attempts(messages)
        for attempt in Retrying(**attempts.policy):
            with attempt, attempts.attempt():
                result = super()._generate(messages, *args, **kwargs)  # type: ignore[safe-super]
                attempts.check_finish(finish_reason(result.generations[0]), kwargs)
        return _counted(result, attempts.made)

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        attempts = self._attempts(messages)
        async for attempt in AsyncRetrying(sleep=self.clock.sleep, **attempts.policy):
            with attempt, attempts.attempt():
                async with asyncio.timeout(attempts.left_s()):
                    result = await super()._agenerate(messages, *args, **kwargs)
                attempts.check_finish(finish_reason(result.generations[0]), kwargs)
        return _counted(result, attempts.made)

    def _attempts(self, messages: list[BaseMessage]) -> Attempts:
        return Attempts(self.asked_as, self.retries, self.clock, messages)


class RetryingStreams(RetryingChat):
    """The same for providers that stream.

    A stream is tried again until its first piece with content is there. From then on a failure is an error:
    what was handed on cannot be taken back, and is never taken for the whole.
    """

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        attempts = self._attempts(messages)
        for attempt in Retrying(**attempts.policy):
            with attempt, attempts.attempt():
                pieces = _whole(super()._stream(messages, *args, **kwargs), attempts, kwargs)
                opening = _opening(pieces)
        yield from _counted_pieces(opening, attempts.made)
        with attempts.rest():
            yield from pieces

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        attempts = self._attempts(messages)
        async for attempt in AsyncRetrying(sleep=self.clock.sleep, **attempts.policy):
            with attempt, attempts.attempt():
                pieces = _awhole(super()._astream(messages, *args, **kwargs), attempts, kwargs)
                opening = await _aopening(pieces)
        for piece in _counted_pieces(opening, attempts.made):
            yield piece
        with attempts.rest():
            async for piece in pieces:
                yield piece


def with_retries(chat: BaseChatModel, asked_as: str, retries: Retries, clock: Clock) -> BaseChatModel:
    """The same chat model, which asks again.

    Parameters
    ----------
    chat
        Of any provider; its own client must not ask again too, or those attempts are not counted.
    asked_as
        Names it in errors.

    Returns
    -------
    BaseChatModel
        An instance of a subclass of its class. It raises ModelError where the provider gives no answer, which
        says how often it was asked and why, and lets errors that are not the provider's through.
    """
    retrying = _retrying_class(type(chat))
    made = retrying.__new__(retrying)
    # As pickling would carry it: nothing is validated or connected again.
    state = chat.__getstate__()
    own = {"asked_as": asked_as, "retries": retries, "clock": clock}
    made.__setstate__({**state, "__dict__": {**state["__dict__"], **own}})
    return made


@cache
def _retrying_class(kind: type[BaseChatModel]) -> type[BaseChatModel]:
    # LangChain streams where a class has a method for it, so one that has none must not get one.
    can_stream = (kind._stream, kind._astream) != (BaseChatModel._stream, BaseChatModel._astream)
    base = RetryingStreams if can_stream else RetryingChat
    return type(f"Retrying{kind.__name__}", (base, kind), {"__module__": __name__})


def _counted(result: ChatResult, made: int) -> ChatResult:
    for generation in result.generations:
        _count(generation, made)
    return result


def _counted_pieces(opening: list[ChatGenerationChunk], made: int) -> list[ChatGenerationChunk]:
    for piece in opening:
        _count(piece, made)
    return opening


def _count(generation: ChatGeneration, made: int) -> None:
    metadata = generation.message.response_metadata
    # A provider's class may answer by its own stream, whose attempts were counted already.
    metadata["attempts"] = metadata.get("attempts", 1) + made - 1


def _whole(
    pieces: Iterator[ChatGenerationChunk], attempts: Attempts, options: dict[str, Any]
) -> Iterator[ChatGenerationChunk]:
    """The pieces of a stream; raises at its end where it was cut."""
    reason = None
    for piece in pieces:
        reason = finish_reason(piece) or reason
        yield piece
    attempts.check_finish(reason, options)


async def _awhole(
    pieces: AsyncIterator[ChatGenerationChunk], attempts: Attempts, options: dict[str, Any]
) -> AsyncIterator[ChatGenerationChunk]:
    """As `_whole`; raises TimeoutError, too, where a piece does not come in time."""
    reason, limit_s = None, attempts.left_s()
    while True:
        async with asyncio.timeout(limit_s):
            piece = await anext(pieces, None)
        if piece is None:
            break
        reason, limit_s = finish_reason(piece) or reason, attempts.piece_s
        yield piece
    attempts.check_finish(reason, options)


def _opening(pieces: Iterator[ChatGenerationChunk]) -> list[ChatGenerationChunk]:
    """The first pieces, up to one with content."""
    opening = []
    for piece in pieces:
        opening.append(piece)
        if _has_content(piece):
            break
    return opening


async def _aopening(pieces: AsyncIterator[ChatGenerationChunk]) -> list[ChatGenerationChunk]:
    opening = []
    async for piece in pieces:
        opening.append(piece)
        if _has_content(piece):
            break
    return opening


def _has_content(piece: ChatGenerationChunk) -> bool:
    message = piece.message
    return bool(message.content or message.additional_kwargs or getattr(message, "tool_call_chunks", None))
