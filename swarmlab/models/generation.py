"""One generation: the engine's stream of chunks, read into a completion with its counts and times."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any, NamedTuple

from swarmlab.errors import ModelError
from swarmlab.trace.clock import Clock


class Completion(NamedTuple):
    """One finished generation, with the engine's own counts and times."""

    text: str
    finish_reason: str
    """`stop` or `length`."""
    prompt_tokens: int
    """All tokens of the prompt: prefilled and cached."""
    cached_tokens: int
    """Prompt tokens taken from the prefix cache."""
    completion_tokens: int
    queue_ns: int
    """From the call to the slot being free, on the injected clock."""
    prefill_ns: int
    decode_ns: int
    attempts: int | None = None
    """Of a provider that refuses or fails: how often it was asked."""

    @property
    def prefill_tokens(self) -> int:
        """Prompt tokens computed for this call."""
        return self.prompt_tokens - self.cached_tokens


@dataclass(slots=True)
class Generation:
    """One request in the engine's queue; `run` is called when the slot is free."""

    server: Any
    request: dict[str, Any]
    reader: "StreamReader"
    clock: Clock
    queued_ns: int

    def run(self) -> Completion:
        """Generate; raises ModelError, CancelledError or what the listener raised."""
        queue_ns = self.clock.now_ns() - self.queued_ns
        body = {
            **self.request,
            # The text as generated: nothing of it is taken out as reasoning.
            "reasoning_format": "none",
            "stream": True,
            "return_progress": True,
            "stream_options": {"include_usage": True},
        }
        if not self.reader.stopped:
            self.server.handle_chat_completions(body, self.reader.take)
        return self.reader.completion(queue_ns)


class StreamReader:
    """Collects the engine's stream; answers True to make it stop."""

    def __init__(
        self,
        cancelled: threading.Event,
        stopping: threading.Event,
        on_text: Callable[[str], None] | None,
    ) -> None:
        self._cancelled = cancelled
        self._stopping = stopping
        self._on_text = on_text
        self._pieces: list[str] = []
        self._finish_reason: str | None = None
        self._final: Mapping[str, Any] | None = None
        self._error: BaseException | None = None

    @property
    def stopped(self) -> bool:
        """Whether the call was cancelled or the engine is closing."""
        return self._cancelled.is_set() or self._stopping.is_set()

    def take(self, chunk: Mapping[str, Any]) -> bool:
        """Read one chunk; True makes the engine stop."""
        # The binding drops exceptions of this callback, so they are kept for `completion`.
        try:
            self._read(chunk)
        except Exception as error:  # noqa: BLE001 - raised again on the caller's side
            self._error = error
        return self._error is not None or self.stopped

    def _read(self, chunk: Mapping[str, Any]) -> None:
        if "error" in chunk:
            raise model_error(chunk["error"])
        if "timings" in chunk:
            self._final = chunk
        for choice in chunk["choices"]:
            self._finish_reason = choice["finish_reason"] or self._finish_reason
            text = choice["delta"].get("content")
            if text:
                self._pieces.append(text)
                if self._on_text is not None:
                    self._on_text(text)

    def completion(self, queue_ns: int) -> Completion:
        """Return the whole answer, or raise what went wrong."""
        if self._error is not None:
            raise self._error
        if self._cancelled.is_set():
            raise CancelledError
        if self._stopping.is_set():
            raise ModelError("the embedded model was closed before its answer was complete")
        if self._final is None or self._finish_reason is None:
            raise ModelError("llama.cpp ended its answer without counts; the answer cannot be trusted")
        usage, timings = self._final["usage"], self._final["timings"]
        return Completion(
            text="".join(self._pieces),
            finish_reason=self._finish_reason,
            prompt_tokens=usage["prompt_tokens"],
            cached_tokens=timings["cache_n"],
            completion_tokens=usage["completion_tokens"],
            queue_ns=queue_ns,
            prefill_ns=round(timings["prompt_ms"] * 1e6),
            decode_ns=round(timings["predicted_ms"] * 1e6),
        )


def model_error(error: Mapping[str, Any]) -> ModelError:
    """Return llama.cpp's error object as an exception."""
    if error.get("type") == "exceed_context_size_error":
        return ModelError(
            f"the prompt has {error['n_prompt_tokens']} tokens, the model's context holds {error['n_ctx']}; "
            "shorten the prompt or use a model with a longer context"
        )
    return ModelError(f"llama.cpp refused the request: {error.get('message', error)}")
