"""Run a coroutine on a loop of its own in a worker thread, so that it works where a loop already runs."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_LONGEST_WAIT_S = 0.5
"""A signal that another thread received, or that came just before a wait began, is heard only after it."""


def run_in_thread(
    loop: asyncio.AbstractEventLoop,
    main: Coroutine[Any, Any, T],
    before_closing: Callable[[], None] = lambda: None,
) -> T:
    """Run `main` to its end on `loop` in a worker thread with a copy of this context; close the loop.

    As with `asyncio.run`, tasks that are left over are cancelled and waited for.

    Parameters
    ----------
    before_closing
        Called in the worker thread when `main` is done and before what it left over is cancelled.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C came: `main` was cancelled and its clean-up waited for. A second one does not wait.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        failure: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=lambda: loop):
                try:
                    result = loop.run_until_complete(task)
                except BaseException as error:
                    failure = error
                    raise
                finally:
                    before_closing()
        except RecursionError as error:
            # So ends the attempt to cancel tasks that wait for one another in a circle.
            outcome.set_exception(failure or error)
        except BaseException as error:  # noqa: BLE001 - goes on to the thread that waits
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    try:
        task = loop.create_task(main, name="main")
        thread = threading.Thread(
            target=contextvars.copy_context().run, args=(work,), name="swarmlab-loop", daemon=True
        )
    except BaseException:
        loop.close()
        raise
    try:
        # Not `Thread.join`: interrupted, it takes a thread that runs for one that has ended.
        thread.start()
        _failure(outcome)
        return outcome.result()
    except KeyboardInterrupt as interrupt:
        _cancel(loop, task)
        failure = _failure(outcome)
        if failure in (None, interrupt) or isinstance(failure, asyncio.CancelledError):
            raise
        raise interrupt from failure


def _failure(outcome: Future[Any]) -> BaseException | None:
    """Wait for the outcome, awake now and then; returns what it failed of."""
    while True:
        try:
            return outcome.exception(_LONGEST_WAIT_S)
        except TimeoutError:
            continue


def _cancel(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[Any]") -> None:
    try:
        loop.call_soon_threadsafe(task.cancel)
    except RuntimeError:
        # It has closed meanwhile: nothing is left to cancel.
        if not loop.is_closed():
            raise
