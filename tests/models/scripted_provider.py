"""A local OpenAI-compatible server that answers call after call as a script says, faults included."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEXT = '{"grows": true}'


@dataclass(frozen=True)
class Answer:
    """One answer of the script."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    text: str = TEXT
    finish_reason: str | None = "stop"
    fault: str = ""
    """`reset`: the connection is reset; `cut`: half of the body; `slow`: nothing comes until the server ends;
    `garbage`: a body that is no JSON; `stalled`: a stream that stops half way."""
    code: str = "some_code"


class ScriptedProvider:
    """Counts what it is asked; the last answer of the script is given for ever."""

    def __init__(self, script: Sequence[Answer]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.ends = threading.Event()
        self._script = list(script)
        self._lock = threading.Lock()

    def next(self, request: dict[str, Any]) -> Answer:
        """The answer to the next request."""
        with self._lock:
            self.asked.append(request)
            return self._script[min(len(self.asked), len(self._script)) - 1]


@contextmanager
def served(*script: Answer) -> Iterator[tuple[ScriptedProvider, str]]:
    """A server for the script on the loopback interface, and its address."""
    provider = ScriptedProvider(script)
    handler = type("Handler", (_Handler,), {"provider": provider})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield provider, f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        provider.ends.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    provider: ScriptedProvider

    def do_POST(self) -> None:
        """Give the next answer of the script."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.provider.next(request)
        if answer.fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.close_connection = True
            return
        if answer.fault == "slow":
            self.provider.ends.wait(60)
            self.close_connection = True
            return
        if answer.status != 200:
            self._send(answer, json.dumps({"error": {"message": "as scripted", "code": answer.code}}))
        elif request.get("stream"):
            self._stream(answer)
        else:
            self._send(answer, "<html>" if answer.fault == "garbage" else json.dumps(_completion(answer)))

    def _send(self, answer: Answer, body: str) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2].encode() if answer.fault == "cut" else body.encode())
        self.close_connection = answer.fault == "cut"

    def _stream(self, answer: Answer) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.close_connection = True
        half = len(answer.text) // 2
        events = [_chunk({"role": "assistant", "content": ""})]
        if answer.fault != "cut":
            events += [_chunk({"content": answer.text[:half]})]
        if not answer.fault:
            events += [_chunk({"content": answer.text[half:]}), _chunk({}, answer.finish_reason)]
        for event in events:
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
        if answer.fault == "stalled":
            self.provider.ends.wait(60)
        if not answer.fault:
            self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _completion(answer: Answer) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
