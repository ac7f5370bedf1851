"""One process that calls functions for another, and that can be killed at any moment.

Not `ProcessPoolExecutor`, which cannot end a call that hangs, nor anyio's `to_process`, which takes
`__main__` away while it imports the caller's program again: duckdb does not load without it.
"""

import multiprocessing
import pickle
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from swarmlab.errors import ToolError
from swarmlab.tools.executor import TRANSIENT

_SPAWN = multiprocessing.get_context("spawn")


class ProcessLostError(Exception):
    """The process ended before it answered."""


@dataclass(frozen=True)
class _Failure:
    """A ToolError on its way out of a process: pickle would lose its fields and its cause."""

    tool: str
    message: str
    cause: BaseException | None


class ProcessWorker:
    """A process that is started by its first call and serves one call at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ours, self._theirs = _SPAWN.Pipe()
        # Daemonic: it ends with this process.
        self._process = _SPAWN.Process(target=_serve, args=(self._theirs,), name="swarmlab-tool", daemon=True)
        self._is_killed = False

    def call(self, request: bytes) -> Any:
        """Have a pickled function and its arguments called; blocks, until `kill` at the latest.

        Raises
        ------
        ProcessLostError
            The process crashed or was killed.
        BaseException
            What the function raised; a ToolError with its tool, and with its cause where that is transient.
        """
        self._start()
        try:
            self._ours.send_bytes(request)
            raised, answer = pickle.loads(self._ours.recv_bytes())
        except (EOFError, OSError) as error:
            self._process.join()
            raise ProcessLostError(f"exit code {self._process.exitcode}") from error
        if isinstance(answer, _Failure):
            raise ToolError(answer.tool, answer.message) from answer.cause
        if raised:
            raise answer
        return answer

    def kill(self) -> None:
        """End the process, whatever it does, without waiting for its end."""
        with self._lock:
            self._is_killed = True
            if self._process.pid is not None:
                self._process.kill()

    def join(self) -> None:
        """Wait for the end of a process that was killed."""
        if self._process.pid is not None:
            self._process.join()

    def _start(self) -> None:
        with self._lock:
            if self._is_killed:
                raise ProcessLostError("it was killed before it began")
            if self._process.pid is None:
                self._process.start()
                # Else its end would not be noticed here.
                self._theirs.close()


def _serve(requests: Connection) -> None:
    """Answer requests until the other side is gone."""
    # Ctrl-C reaches every process of a terminal; what becomes of this one is the other's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            request = requests.recv_bytes()
        except EOFError:
            return
        requests.send_bytes(_reply(request))


def _reply(request: bytes) -> bytes:
    try:
        function, args = pickle.loads(request)
        return pickle.dumps((False, function(*args)))
    except ToolError as error:
        message = str(error).removeprefix(f"tool {error.tool} failed: ")
        cause = error.__cause__ if isinstance(error.__cause__, TRANSIENT) else None
        return pickle.dumps((True, _Failure(error.tool, message, cause)))
    except BaseException as error:  # noqa: BLE001 - raised on the other side
        try:
            reply = pickle.dumps((True, error))
            # Not every exception that can be pickled can be made again.
            pickle.loads(reply)
        except Exception:  # noqa: BLE001 - whatever its own methods raise
            return pickle.dumps((True, RuntimeError(f"{type(error).__name__}: {error}")))
        return reply


def packed(function: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    """A function and its arguments for `ProcessWorker.call`; raises what pickle raises."""
    return pickle.dumps((function, args))
