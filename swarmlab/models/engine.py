"""llama.cpp inside this process: one model, one slot, requests served first come, first served.

One slot on purpose: with several, temperature 0 is not reproducible under load, and the prompt-prefix cache,
which belongs to a slot, is lost. Requests wait in a queue of our own, so that waiting is measured.
"""

import contextvars
import http.client
import json
import os
import secrets
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from swarmlab.errors import ModelError, ModelUnavailableError
from swarmlab.models.constraint import grammar
from swarmlab.models.generation import Completion, Generation, StreamReader, model_error
from swarmlab.trace.clock import Clock

# Decoding spins: a second decode thread collapses (1.6-8 tokens/s) as soon as anything else runs.
DECODE_THREADS = 1
PREFILL_THREADS = 2
# A prompt is prefilled in batches of this many tokens; a cancelled call is noticed between two of them.
PREFILL_BATCH = 512
DEFAULT_CONTEXT_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Job:
    """One request in the queue or in the slot."""

    future: Future[Completion]
    _cancelled: threading.Event

    def cancel(self) -> None:
        """Leave the queue, or stop at the next token or batch of the prompt; harmless when done."""
        self._cancelled.set()
        self.future.cancel()


class Engine:
    """A loaded GGUF model. Safe to call from any thread; use `close` or let it be collected.

    Parameters
    ----------
    path
        A GGUF file, already checked (see `swarmlab.models.gguf`).
    clock
        Measures the time a request waits.
    context_tokens
        Context wanted; the model's own training context is the upper bound.
    prefix_cache
        Keep the last prompt's state and compute only what differs from it.

    Raises
    ------
    ModelUnavailableError
        llama.cpp cannot load the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        context_tokens: int = DEFAULT_CONTEXT_TOKENS,
        prefix_cache: bool = True,
    ) -> None:
        self.path = path
        self._clock = clock
        self._api_key = secrets.token_hex(16)
        server = _start(path, context_tokens, prefix_cache, self._api_key)
        self._address = str(server.listening_address)
        self._holder = [server]
        self._stopping = threading.Event()
        self._queue = ThreadPoolExecutor(max_workers=1, thread_name_prefix="swarmlab-model")
        # Runs at collection and, through atexit, before the interpreter tears modules down.
        self._finalizer = weakref.finalize(self, _shut_down, self._queue, self._stopping, self._holder)
        _warm_up(server)
        self.context_tokens = int(self._ask("GET", "/props")["default_generation_settings"]["n_ctx"])

    def submit(self, request: Mapping[str, Any], on_text: Callable[[str], None] | None = None) -> Job:
        """Queue one chat completion (llama.cpp's OpenAI-style body without `stream`).

        Parameters
        ----------
        request
            `messages`, `max_tokens`, `temperature`, `seed`, `stop`, `grammar`, …
        on_text
            Called on the engine's thread with each piece of text.

        Raises
        ------
        ModelError
            The engine was closed. Errors of the generation itself come out of `Job.future`.
        """
        if not self._finalizer.alive:
            raise ModelError("the embedded model was closed; load it again")
        cancelled = threading.Event()
        reader = StreamReader(cancelled, self._stopping, on_text)
        # The job must not hold the engine: collecting the engine waits for the job.
        job = Generation(self._holder[0], dict(request), reader, self._clock, self._clock.now_ns())
        future = self._queue.submit(contextvars.copy_context().run, job.run)
        return Job(future, cancelled)

    def count_prompt_tokens(self, messages: list[dict[str, Any]]) -> int:
        """Exact number of tokens these chat messages take, the chat template's own included."""
        return int(
            self._ask("POST", "/v1/chat/completions/input_tokens", {"messages": messages})["input_tokens"]
        )

    def count_tokens(self, text: str) -> int:
        """Exact number of tokens of a plain text, without any template."""
        return len(self._ask("POST", "/tokenize", {"content": text})["tokens"])

    @property
    def openai_endpoint(self) -> tuple[str, str]:
        """Base URL and key of the engine's own OpenAI-compatible door, open on loopback only while it lives.

        For programs that speak HTTP. Requests that come this way wait in llama.cpp's queue, not in ours.
        """
        return f"{self._address}/v1", self._api_key

    def close(self) -> None:
        """Stop what runs, drop what waits, free the model's memory. May be called twice."""
        self._finalizer()

    def _ask(self, method: str, route: str, body: Mapping[str, Any] | None = None) -> Any:
        """Use the engine's loopback HTTP door for what it does not offer in process."""
        if not self._finalizer.alive:
            raise ModelError("the embedded model was closed; load it again")
        # http.client, because urllib would send this through a configured proxy.
        connection = http.client.HTTPConnection(urlsplit(self._address).netloc, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {self._api_key}", "Content-Type": "application/json"}
            connection.request(method, route, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise model_error(answer.get("error", answer))
        return answer


def _llama_cpp() -> Any:
    """Import llama.cpp with threads that sleep while they wait.

    Spinning threads, OpenMP's default, collapse as soon as anything else runs: on 2 cores beside one busy
    process prefill falls from 165 to 60 tokens/s. The policy is read when the library is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import xllamacpp  # noqa: PLC0415 - only after the policy is set
    except ImportError as error:
        raise ModelUnavailableError(
            f"llama.cpp cannot be loaded: {error}; where libgomp is missing, install the OpenMP runtime "
            "(Debian and Ubuntu: apt-get install libgomp1)"
        ) from error
    return xllamacpp


def _start(path: Path, context_tokens: int, prefix_cache: bool, api_key: str) -> Any:
    xllamacpp = _llama_cpp()
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    # llama.cpp lowers this to the context the model was trained with.
    params.n_ctx = context_tokens
    params.n_parallel = 1
    params.n_batch = PREFILL_BATCH
    params.cpuparams.n_threads = DECODE_THREADS
    params.cpuparams_batch.n_threads = PREFILL_THREADS
    params.cache_prompt = prefix_cache
    # No second-level cache of earlier prompts in memory (8 GiB by default): one prefix, the slot's.
    params.cache_ram_mib = 0
    # Never drop the middle of a prompt in silence.
    params.ctx_shift = False
    params.verbosity = -1
    # The server always listens on a loopback port; nobody else on this machine may use it.
    params.api_keys = [api_key]
    params.ui = False
    params.endpoint_slots = False
    params.n_threads_http = 1
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ModelUnavailableError(
            f"llama.cpp cannot load {path}: it is cut short, damaged or of an unknown architecture"
        ) from error


def _warm_up(server: Any) -> None:
    """Make the engine build its token tables now: 0.3 s that the first constrained call would pay.

    A bare letter, not a chat, so that no prefix is in the cache when the first call comes.
    """
    boolean = grammar({"type": "boolean"})
    server.handle_completions({"prompt": "x", "max_tokens": 1, "temperature": 0, "grammar": boolean})


def _shut_down(queue: ThreadPoolExecutor, stopping: threading.Event, holder: list[Any]) -> None:
    stopping.set()
    # The last reference may be dropped on the engine's own thread, which cannot wait for itself.
    on_own_thread = threading.current_thread().name.startswith("swarmlab-model")
    # What still waits runs into `stopping` at once and says so to its caller.
    queue.shutdown(wait=not on_own_thread)
    holder.clear()
