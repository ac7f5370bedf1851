"""Where a tool's work is done: on the event loop, in a daemon thread, or in a process that can be killed."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Literal, TypeVar

from swarmlab.errors import ToolError
from swarmlab.tools.process_worker import ProcessLostError, ProcessWorker, packed
from swarmlab.trace.clock import Clock

T = TypeVar("T")

RunsIn = Literal["async", "thread", "process"]


class Workers:
    """Threads and processes for the tools of one run, used again when idle.

    A call that is cancelled gives its place free at once. Its process is killed; its thread, which nothing
    can end, finishes alone, and keeps neither another call waiting nor the program from exiting. In virtual
    time all work is done in place, where it takes none.

    How many work at once is the executor's business. Idle ones end with `close`, or a `with` block.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[Callable[[], None] | None]] = []
        self._idle_processes: list[ProcessWorker] = []
        self._left: set[Future[Any]] = set()
        self._is_closed = False

    def __enter__(self) -> "Workers":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @property
    def left_behind(self) -> int:
        """Threads at work for a call that was cancelled."""
        with self._lock:
            return len(self._left)

    async def call(self, tool: str, runs_in: RunsIn, function: Callable[..., Any], *args: Any) -> Any:
        """Call `function` with a copy of this context, or in a process with nothing but its arguments.

        Parameters
        ----------
        tool
            Names the tool where its process is lost.
        runs_in
            `async`: the function is a coroutine function and is awaited here. `thread`: it is called in
            another thread. `process`: it and its arguments, answer and errors are pickled.

        Raises
        ------
        ToolError
            The process ended before it answered.
        BaseException
            What the function raised.
        """
        if runs_in == "async":
            return await function(*args)
        if self._clock.kind == "virtual":
            return await self._clock.work(partial(function, *args))
        if runs_in == "thread":
            return await self._in_thread(partial(function, *args))
        return await self._in_process(tool, packed(function, args))

    def close(self) -> None:
        """End what is idle, and each of the others after the call it is at. May be called twice."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            processes, self._idle_processes = self._idle_processes, []
        for jobs in idle:
            jobs.put(None)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()

    async def _in_thread(self, function: Callable[[], T]) -> T:
        future: Future[T] = Future()
        # From now on it cannot be cancelled, so that the thread may set it whenever it is done.
        future.set_running_or_notify_cancel()
        jobs = self._thread()
        jobs.put(partial(self._do, contextvars.copy_context(), function, future, jobs))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            with self._lock:
                if not future.done():
                    self._left.add(future)
            raise

    async def _in_process(self, tool: str, request: bytes) -> Any:
        with self._lock:
            process = self._idle_processes.pop() if self._idle_processes else ProcessWorker()
        is_sound = True
        try:
            return await self._in_thread(partial(process.call, request))
        except ProcessLostError as error:
            is_sound = False
            raise ToolError(tool, f"its process ended before it answered ({error})") from error
        except asyncio.CancelledError:
            is_sound = False
            process.kill()
            await self._in_thread(process.join)
            raise
        finally:
            if is_sound:
                self._keep(process)

    def _keep(self, process: ProcessWorker) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle_processes.append(process)
                return
        process.kill()

    def _thread(self) -> "SimpleQueue[Callable[[], None] | None]":
        """The jobs of a thread that has none."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=_serve, args=(jobs,), name="swarmlab-tool", daemon=True).start()
        return jobs

    def _do(
        self,
        context: contextvars.Context,
        function: Callable[[], T],
        future: Future[T],
        jobs: "SimpleQueue[Callable[[], None] | None]",
    ) -> None:
        """One job, in its thread, which is idle again before its answer is out."""
        try:
            settle = partial(future.set_result, context.run(function))
        except StopIteration as error:
            # A future cannot carry one (PEP 479).
            settle = partial(future.set_exception, RuntimeError(f"a tool raised StopIteration: {error}"))
        except BaseException as error:  # noqa: BLE001 - goes on to the task that waits
            settle = partial(future.set_exception, error)
        with self._lock:
            self._left.discard(future)
            if self._is_closed:
                jobs.put(None)
            else:
                self._idle.append(jobs)
        settle()


def _serve(jobs: "SimpleQueue[Callable[[], None] | None]") -> None:
    while (job := jobs.get()) is not None:
        job()
        # Not kept until the next one: it holds the answer.
        del job
