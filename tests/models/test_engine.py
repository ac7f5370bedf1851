"""The queue, cancelling, counts and errors of the in-process engine."""

import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from swarmlab.errors import ModelError, ModelUnavailableError
from swarmlab.models import Engine
from swarmlab.models.generation import Completion, Generation, StreamReader

HELLO = {
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 6,
    "temperature": 0,
    "seed": 0,
}
ENDLESS = {**HELLO, "messages": [{"role": "user", "content": "Count upwards from one."}], "max_tokens": 2000}


class _SteppingClock:
    """Advances one second at every reading."""

    def __init__(self) -> None:
        self.seconds = 0

    def now_ns(self) -> int:
        self.seconds += 1
        return self.seconds * 1_000_000_000


class _ScriptedServer:
    """Plays chunks to the callback, as the binding does: stops when it answers True."""

    def __init__(self, chunks: list[dict[str, Any]]) -> None:
        self.chunks = chunks
        self.played = 0

    def handle_chat_completions(
        self, _body: Mapping[str, Any], take: Callable[[Mapping[str, Any]], bool]
    ) -> None:
        for chunk in self.chunks:
            self.played += 1
            if take(chunk):
                return


def _text(text: str) -> dict[str, Any]:
    return {"choices": [{"finish_reason": None, "delta": {"content": text}}]}


END: list[dict[str, Any]] = [
    {"choices": [{"finish_reason": "stop", "delta": {}}]},
    {
        "choices": [],
        "usage": {"prompt_tokens": 30, "completion_tokens": 2},
        "timings": {"cache_n": 20, "prompt_n": 10, "prompt_ms": 1.5, "predicted_ms": 2.25},
    },
]


def _call(
    server: _ScriptedServer,
    *,
    cancelled: threading.Event | None = None,
    stopping: threading.Event | None = None,
    on_text: Callable[[str], None] | None = None,
) -> Generation:
    reader = StreamReader(cancelled or threading.Event(), stopping or threading.Event(), on_text)
    return Generation(server, dict(HELLO), reader, _SteppingClock(), 0)  # type: ignore[arg-type]


def test_counts_and_times_come_from_the_engine_and_waiting_from_the_clock() -> None:
    """Counts and times are the engine's own; the time in the queue is measured by the injected clock."""
    completion = _call(_ScriptedServer([_text("a"), _text("b"), *END])).run()
    assert completion == Completion("ab", "stop", 30, 20, 2, 1_000_000_000, 1_500_000, 2_250_000)
    assert completion.prefill_tokens == 10


def test_an_answer_without_counts_is_an_error() -> None:
    """A stream that ends without its final counts raises instead of passing as complete."""
    with pytest.raises(ModelError, match="without counts"):
        _call(_ScriptedServer([_text("a")])).run()


def test_an_error_of_the_engine_is_raised() -> None:
    """An error chunk becomes a ModelError with the engine's message."""
    with pytest.raises(ModelError, match="bad template"):
        _call(_ScriptedServer([{"error": {"message": "bad template", "type": "x"}}])).run()


def test_an_exception_of_the_listener_stops_the_engine_and_is_raised() -> None:
    """What the text callback raises is not lost in the binding, and stops the generation."""
    server = _ScriptedServer([_text("a"), _text("b"), *END])

    def fail(_text: str) -> None:
        raise ValueError("listener")

    with pytest.raises(ValueError, match="listener"):
        _call(server, on_text=fail).run()
    assert server.played == 1


def test_a_cancelled_call_never_reaches_the_engine() -> None:
    """A call cancelled while it waits is not started."""
    server = _ScriptedServer([_text("a"), *END])
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(CancelledError):
        _call(server, cancelled=cancelled).run()
    assert server.played == 0


def test_a_call_under_a_closing_engine_says_so() -> None:
    """Closing the engine fails the calls that wait, with a reason."""
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(ModelError, match="closed"):
        _call(_ScriptedServer([_text("a"), *END]), stopping=stopping).run()


def test_requests_are_served_in_the_order_they_came(engine: Engine) -> None:
    """Four requests submitted at once finish in order, each having waited longer than the one before."""
    finished: list[int] = []
    jobs = [engine.submit(HELLO) for _ in range(4)]
    for index, job in enumerate(jobs):
        job.future.add_done_callback(lambda _, index=index: finished.append(index))
    waits = [job.future.result().queue_ns for job in jobs]
    assert finished == [0, 1, 2, 3]
    assert waits == sorted(waits)


def test_requests_of_many_threads_are_all_answered_alike(engine: Engine) -> None:
    """Eight threads that ask the same at once get the same text, because one slot serves them in turn."""
    engine.submit(HELLO).future.result()
    texts: list[str] = []
    threads = [
        threading.Thread(target=lambda: texts.append(engine.submit(HELLO).future.result().text))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 8
    assert len(set(texts)) == 1


def test_a_running_request_stops_when_cancelled_and_the_next_is_served(engine: Engine) -> None:
    """Cancelling at the first piece of text frees the slot long before the 2,000 tokens asked for."""
    pieces: list[str] = []
    begun = threading.Event()

    def listen(text: str) -> None:
        pieces.append(text)
        begun.set()

    job = engine.submit(ENDLESS, listen)
    following = engine.submit(HELLO)
    assert begun.wait(60)
    job.cancel()
    with pytest.raises(CancelledError):
        job.future.result()
    assert following.future.result().text
    assert len(pieces) < 100


def test_a_prompt_beyond_the_context_names_tokens_and_limit(engine: Engine) -> None:
    """A prompt that does not fit is refused with both numbers, never cut."""
    request = {**HELLO, "messages": [{"role": "user", "content": "word " * 9000}]}
    with pytest.raises(ModelError, match=r"prompt has 9\d{3} tokens, the model's context holds 8192"):
        engine.submit(request).future.result()


def test_tokens_counted_before_equal_those_the_engine_reports(engine: Engine) -> None:
    """`count_prompt_tokens` is exact."""
    assert engine.count_prompt_tokens(HELLO["messages"]) == engine.submit(HELLO).future.result().prompt_tokens  # type: ignore[arg-type]
    assert engine.count_tokens("") == 0


def test_a_file_cut_short_is_refused_without_a_crash(engine: Engine, tmp_path: Path) -> None:
    """A GGUF file whose tensors are missing raises a clear error and leaves the process alive."""
    short = tmp_path / "short.gguf"
    with engine.path.open("rb") as whole:
        short.write_bytes(whole.read(4_000_000))
    with pytest.raises(ModelUnavailableError, match=r"short\.gguf"):
        Engine(short, clock=_SteppingClock())  # type: ignore[arg-type]


def test_a_process_with_a_model_prints_nothing_and_ends(engine: Engine) -> None:
    """Loading, answering, cancelling, closing twice and leaving an engine to the exit are silent."""
    program = """
        import asyncio, sys
        from pathlib import Path
        from swarmlab.errors import ModelError
        from swarmlab.models import EmbeddedChat, Engine
        from swarmlab.trace.clock import WallClock

        closed = EmbeddedChat(engine=Engine(Path(sys.argv[1]), clock=WallClock()))
        stream = closed.stream("Tell a long story.")
        next(stream)
        closed.engine.close()
        closed.engine.close()
        try:
            list(stream)
            sys.exit("the closed stream went on")
        except ModelError:
            pass
        left = EmbeddedChat(engine=Engine(Path(sys.argv[1]), clock=WallClock()), max_tokens=4)
        left.__dict__["itself"] = left

        async def leave_running():
            asyncio.get_running_loop().create_task(left.ainvoke("Tell a long story.", max_tokens=2000))
            await asyncio.wait_for(left.ainvoke("hi"), 0.01)

        try:
            asyncio.run(leave_running())
        except TimeoutError:
            pass
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(engine.path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
