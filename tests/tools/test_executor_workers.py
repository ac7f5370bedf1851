"""Workers of tools: threads that may hang, processes that can be killed, and what comes back from them."""

import asyncio
import subprocess
import sys
import threading
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import faulty_tools
import psutil
import pytest

from swarmlab.errors import ToolError
from swarmlab.tools import ToolAnswer
from swarmlab.tools.answer_check import answer_problem
from swarmlab.tools.executor import Call, Outcome, run_calls
from swarmlab.tools.workers import RunsIn, Workers
from swarmlab.trace.clock import VirtualClock, WallClock

WAIT_S = 60
TOOLS = [f"tool{number}" for number in range(12)]


async def _until(condition: Any) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await WallClock().sleep(0.01)


def _call(
    workers: Workers, name: str, runs_in: RunsIn, function: Any, *args: Any, **limits: Any
) -> Call[Any]:
    check = partial(answer_problem, name)
    return Call(name, lambda _: workers.call(name, runs_in, function, *args), check=check, **limits)


async def _aanswer(tool: str) -> ToolAnswer:
    return faulty_tools.answer(tool)


async def _afault(fault: Any, tool: str) -> Any:
    return fault(tool)


FAULTS = {
    "fails": (faulty_tools.fail, "no rows"),
    "returns garbage": (faulty_tools.garbage, "it returned dict, not an answer"),
    "hangs": (None, "took longer than"),
}
# Processes are slow to start; that they fail by name is tested once, below.
WHERE: list[tuple[RunsIn, str]] = [
    *(("async", fault) for fault in FAULTS),
    *(("thread", fault) for fault in FAULTS),
    ("process", "hangs"),
]


@pytest.mark.parametrize(("runs_in", "kind"), WHERE)
async def test_one_of_twelve_tools_is_faulty(tmp_path: Path, runs_in: RunsIn, kind: str) -> None:
    """Wherever tools run, eleven answers are kept and the faulty one is named; a hanging process is dead."""
    fault, reason = FAULTS[kind]
    release = threading.Event()
    hangs: dict[RunsIn, tuple[Any, ...]] = {
        "async": (WallClock().sleep, 600),
        "thread": (faulty_tools.wait_for, release, "tool5"),
        "process": (faulty_tools.hang, "tool5", tmp_path / "pid"),
    }
    with Workers(WallClock()) as workers:
        calls = []
        for tool in TOOLS:
            work: tuple[Any, ...] = (faulty_tools.answer, tool) if runs_in != "async" else (_aanswer, tool)
            limits: dict[str, float] = {}
            if tool == "tool5" and fault is None:
                # By now each worker has a process, which only has to say that it is at work.
                work, limits = hangs[runs_in], {"timeout_s": 4.0 if runs_in == "process" else 0.2}
            elif tool == "tool5":
                work = (fault, tool) if runs_in != "async" else (_afault, fault, tool)
            calls.append(_call(workers, tool, runs_in, *work, **limits))
        outcomes = await run_calls(calls, schedule="parallel", workers=2)
        _check_twelve(outcomes, reason)
        if fault is None and runs_in == "thread":
            assert workers.left_behind == 1
        release.set()
        await _until(lambda: workers.left_behind == 0)
    if fault is None and runs_in == "process":
        assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def _check_twelve(outcomes: list[Outcome[Any]], reason: str) -> None:
    sound = [outcome.value for n, outcome in enumerate(outcomes) if n != 5]
    assert sound == [faulty_tools.answer(tool) for tool in TOOLS if tool != "tool5"]
    assert outcomes[5].value is None
    assert str(outcomes[5].error).startswith(f"tool tool5 failed: {reason}")


async def test_a_hanging_thread_holds_no_place() -> None:
    """With one worker, calls after one that hangs all get a thread, and in the end none is left."""
    release, others = threading.Event(), set(threading.enumerate())
    with Workers(WallClock()) as workers:
        hang = _call(workers, "hang", "thread", faulty_tools.wait_for, release, "hang", timeout_s=0.05)
        sound = [_call(workers, tool, "thread", faulty_tools.answer, tool) for tool in TOOLS]
        outcomes = await run_calls([hang, hang, *sound], schedule="sequential", workers=1)
        assert workers.left_behind == 2
        release.set()
        await _until(lambda: workers.left_behind == 0)
    assert [o.value is None for o in outcomes] == [True, True, *[False] * 12]
    await _until(lambda: not [t for t in set(threading.enumerate()) - others if t.name == "swarmlab-tool"])


async def test_threads_are_used_again() -> None:
    """Calls one after the other share a thread, and it is not the loop's."""
    with Workers(WallClock()) as workers:
        idents = [await workers.call("t", "thread", threading.get_ident) for _ in range(5)]
    assert len(set(idents)) == 1
    assert threading.get_ident() not in idents


async def test_a_thread_sees_the_callers_context() -> None:
    """A context variable reaches the thread, and what is set there stays there."""
    variable: ContextVar[int] = ContextVar("variable", default=0)

    def work() -> int:
        seen = variable.get()
        variable.set(9)
        return seen

    variable.set(7)
    with Workers(WallClock()) as workers:
        assert [await workers.call("t", "thread", work) for _ in range(2)] == [7, 7]
    assert variable.get() == 7


@pytest.mark.parametrize("kind", [SystemExit, ZeroDivisionError])
async def test_what_a_thread_raises_comes_out(kind: type[BaseException]) -> None:
    """Nothing that a function raises in its thread is swallowed, a request to exit neither."""

    def work() -> None:
        raise kind("from the thread")

    with Workers(WallClock()) as workers:
        thread = asyncio.ensure_future(_caught(workers.call("t", "thread", work)))
        assert isinstance(await thread, kind)


async def _caught(call: Any) -> BaseException:
    try:
        await call
    except BaseException as error:  # noqa: BLE001 - it is what the test looks at
        return error
    raise AssertionError("nothing was raised")


async def test_a_stop_iteration_does_not_hang_its_caller() -> None:
    """A future cannot carry StopIteration: it comes out as a RuntimeError, as from a generator."""
    with Workers(WallClock()) as workers, pytest.raises(RuntimeError, match="StopIteration"):
        await workers.call("t", "thread", partial(next, iter([])))


async def test_a_process_is_another_one_and_is_used_again() -> None:
    """Calls one after the other share a process."""
    with Workers(WallClock()) as workers:
        pids = [await workers.call("t", "process", faulty_tools.process_id) for _ in range(2)]
    assert len(set(pids)) == 1
    assert pids[0] != faulty_tools.process_id()


async def test_errors_come_out_of_a_process_whole() -> None:
    """A ToolError keeps its tool and a transient cause, so that it is tried again; a crash is named."""
    with Workers(WallClock()) as workers:
        calls = [
            _call(workers, "roi", "process", faulty_tools.cut_off, "roi", attempts=2),
            _call(workers, "kpis", "process", faulty_tools.crash, "kpis", attempts=2),
            _call(workers, "time_series", "process", faulty_tools.answer, "time_series"),
        ]
        cut, crashed, sound = await run_calls(calls, schedule="parallel", workers=2)
    assert (str(cut.error), cut.attempts) == ("tool roi failed: OSError: cut off (2 attempts)", 2)
    assert (str(crashed.error), crashed.attempts) == (
        "tool kpis failed: its process ended before it answered (exit code 3)",
        1,
    )
    assert sound.value == faulty_tools.answer("time_series")


async def test_cancelling_a_batch_leaves_no_process(tmp_path: Path) -> None:
    """Two processes at work are dead when the cancellation comes out, and the idle one when workers close."""
    pid_files = [tmp_path / "first", tmp_path / "second"]
    with Workers(WallClock()) as workers:
        sound = [_call(workers, "t", "process", faulty_tools.process_id) for _ in range(2)]
        calls = [_call(workers, f.name, "process", faulty_tools.hang, f.name, f) for f in pid_files]
        batch = asyncio.create_task(run_calls(calls, schedule="parallel", workers=2))
        await _until(lambda: all(f.exists() and f.read_text() for f in pid_files))
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        assert not any(psutil.pid_exists(int(f.read_text())) for f in pid_files)
        idle = await sound[0].run(0)
        assert psutil.pid_exists(idle)
    assert not psutil.pid_exists(idle)


async def test_a_call_cancelled_while_its_process_starts_leaves_none() -> None:
    """However early a cancellation comes, the process that was being made is dead after it."""
    before = set(psutil.Process().children())
    with Workers(WallClock()) as workers:
        for delay_s in (0.0, 0.001, 0.005, 0.02):
            call = asyncio.create_task(workers.call("t", "process", faulty_tools.process_id))
            await WallClock().sleep(delay_s)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
    left = set(psutil.Process().children()) - before
    # Python's own helper of spawned processes stays.
    assert not [child for child in left if "resource_tracker" not in " ".join(child.cmdline())]


async def test_an_error_that_cannot_be_pickled_is_told_all_the_same() -> None:
    """Its type and message come out as a RuntimeError, and the process goes on to serve."""
    with Workers(WallClock()) as workers:
        pid = await workers.call("t", "process", faulty_tools.process_id)
        with pytest.raises(RuntimeError, match=r"StubbornError: 7 and 8"):
            await workers.call("t", "process", faulty_tools.be_stubborn)
        with pytest.raises(ZeroDivisionError):
            await workers.call("t", "process", divmod, 1, 0)
        assert await workers.call("t", "process", faulty_tools.process_id) == pid


HANGING = """
import asyncio, threading
from swarmlab.tools.executor import Call, run_calls
from swarmlab.tools.workers import Workers
from swarmlab.trace.clock import WallClock

workers = Workers(WallClock())
calls = [
    Call("hang", lambda _: workers.call("hang", "thread", threading.Event().wait), timeout_s=0.1),
    Call("sound", lambda _: workers.call("sound", "thread", int, "7")),
]
print([(o.value, str(o.error)) for o in asyncio.run(run_calls(calls, schedule="parallel", workers=2))])
"""


def test_a_hanging_thread_does_not_keep_the_program_from_exiting() -> None:
    """A program with a tool that never comes back prints its outcomes and exits."""
    done = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=WAIT_S)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (
        0,
        "[(None, 'tool hang failed: took longer than 0.1 s'), (7, 'None')]",
        "",
    )


def test_in_virtual_time_all_work_is_done_in_place() -> None:
    """No thread and no process is started in a simulation, and no time passes."""
    clock = VirtualClock()

    async def main() -> list[Any]:
        with Workers(clock) as workers:
            here = threading.get_ident()
            kinds: tuple[RunsIn, ...] = ("thread", "process")
            return [await workers.call("t", kind, threading.get_ident) == here for kind in kinds]

    assert clock.run(main()) == [True, True]
    assert clock.now_ns() == 0


def _with(**changes: Any) -> ToolAnswer:
    fields = {"tool": "kpis", "facts": faulty_tools.answer("kpis").facts, "text": "revenue: 7"}
    return ToolAnswer(**{**fields, **changes})


FACT = faulty_tools.answer("kpis").facts[0]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "it returned NoneType, not an answer"),
        ("<html>502</html>", "it returned str, not an answer"),
        (faulty_tools.answer("roi"), "it returned the answer of another tool, 'roi'"),
        (_with(text=None), "its answer has no text or no tuple of facts"),
        (_with(facts=[FACT]), "its answer has no text or no tuple of facts"),
        (_with(facts=(1,)), "its answer holds int, not a fact"),
        (_with(facts=(FACT, FACT)), "its answer holds fact 'kpis.revenue' twice"),
        (_with(facts=faulty_tools.answer("roi").facts), "its answer holds fact 'roi.revenue'"),
        (_with(facts=(type(FACT)("kpis.x", "kpis", "x", float("nan"), "$", 1),)), "has the value nan"),
        (_with(facts=(type(FACT)("kpis.x", "kpis", "x", [1], "$", 1),)), "has the value [1]"),  # type: ignore[arg-type]
    ],
)
def test_garbage_is_told_from_an_answer(value: object, problem: str) -> None:
    """What is wrong with a tool's answer is said in one phrase; a sound one has nothing wrong."""
    assert problem in (answer_problem("kpis", value) or "")
    assert answer_problem("kpis", faulty_tools.answer("kpis")) is None


async def test_a_tool_error_keeps_its_type_through_a_thread() -> None:
    """The error of a tool in a thread is the very object that it raised."""
    raised = ToolError("kpis", "no rows")

    def work() -> None:
        raise raised

    with Workers(WallClock()) as workers:
        call: Call[None] = Call("kpis", lambda _: workers.call("kpis", "thread", work))
        (outcome,) = await run_calls([call], schedule="sequential", workers=1)
    assert outcome.error is raised
