"""The virtual clock: waits take no time and add up exactly, runs repeat, and real waits are refused."""

import asyncio
import concurrent.futures
import contextvars
import importlib
import os
import queue
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from operator import add
from time import sleep as imported_sleep
from typing import Annotated, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import tool
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from swarmlab.errors import DeadlockError, RealWaitError, VirtualTimeError
from swarmlab.trace import virtual_loop
from swarmlab.trace.check import check_spans
from swarmlab.trace.clock import Clock, VirtualClock, WallClock
from swarmlab.trace.tracer import Tracer

# Not in a variable of this module: there a simulation replaces it.
ORIGINAL = {"sleep": time.sleep}
HOUR_S = 3600


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def test_waits_add_up_without_drift(clock):
    """329 waits of 0.1 s are 32.9 s to the nanosecond, on the clock and on the loop."""

    async def main():
        for _ in range(329):
            await clock.sleep(0.1)
        return asyncio.get_running_loop().time()

    assert clock.run(main()) == 32.9
    assert clock.now_ns() == 32_900_000_000
    assert clock.utc_now() == datetime(2000, 1, 1, 0, 0, 32, 900_000, tzinfo=UTC)


@given(st.lists(st.integers(0, 10**10), max_size=20), st.integers(0, 10**15))
def test_waits_of_whole_microseconds_are_exact(waits_us, start_us):
    """Waits of any whole number of microseconds one after another take their exact sum."""
    clock = VirtualClock(start_ns=start_us * 1000)

    async def main():
        for wait_us in waits_us:
            await clock.sleep(wait_us / 1e6)

    clock.run(main())
    assert clock.now_ns() == (start_us + sum(waits_us)) * 1000


@given(st.lists(st.integers(0, 5), max_size=60))
def test_timers_fire_in_order_and_ties_in_the_order_they_were_set(delays):
    """Timers end by due time; of those due at once the first set is the first called."""
    called = []

    async def main():
        loop = asyncio.get_running_loop()
        for i, delay in enumerate(delays):
            loop.call_later(delay / 10, lambda i=i: called.append(i))
        await asyncio.sleep(1)

    VirtualClock().run(main())
    assert called == sorted(range(len(delays)), key=lambda i: (delays[i], i))


def test_a_timer_set_for_the_past_is_due_now(clock):
    """A call at a time gone by comes now: time never goes back."""

    async def main():
        await clock.sleep(5)
        loop = asyncio.get_running_loop()
        called = loop.create_future()
        loop.call_at(1, lambda: called.set_result(clock.now_ns()))
        return await called

    assert clock.run(main()) == 5_000_000_000


def test_parts_of_a_microsecond_are_rounded(clock):
    """A wait ends at the nearest microsecond."""

    async def main():
        await clock.sleep(1.4e-6)
        await clock.sleep(1.6e-6)
        await clock.sleep(1e-9)

    clock.run(main())
    assert clock.now_ns() == 3000


def test_ten_thousand_tasks_wait_at_once(clock):
    """Ten thousand tasks that each wait an hour and some seconds end each at its own time."""
    ends = {}

    async def agent(i):
        await clock.sleep(HOUR_S + i)
        ends[i] = clock.now_ns()

    async def main():
        await asyncio.gather(*(agent(i) for i in range(10_000)))

    clock.run(main())
    assert ends == {i: (HOUR_S + i) * 10**9 for i in range(10_000)}


def test_a_later_run_goes_on_where_the_first_ended(clock):
    """A clock may run one simulation after another; its time does not begin anew."""
    clock.run(clock.sleep(1.5))
    clock.run(clock.sleep(2))
    assert clock.now_ns() == 3_500_000_000


def test_asyncio_waits_in_virtual_time(clock):
    """Timeouts, semaphores, queues and task groups of asyncio work, to the microsecond."""
    seen = []

    async def user(name, slots, queue):
        async with slots:
            await asyncio.sleep(10)
        seen.append((name, clock.now_ns() // 10**9))
        await queue.put(name)

    async def main():
        slots, queue = asyncio.Semaphore(2), asyncio.Queue(maxsize=1)
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(user(name, slots, queue))
            got = [await queue.get() for _ in range(3)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await asyncio.Event().wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(clock.sleep(HOUR_S), 0.5)
        return got

    assert clock.run(main()) == ["a", "b", "c"]
    assert seen == [("a", 10), ("b", 10), ("c", 20)]
    assert clock.now_ns() == 23_000_000_000


def parallel_graph(clock, log):
    """Build a graph of a planner, three branches of different lengths in parallel, and a writer."""

    class State(TypedDict):
        notes: Annotated[list[str], add]

    def node(name, seconds):
        async def run(state):
            await clock.sleep(seconds)
            log.append((name, clock.now_ns()))
            return {"notes": [name]}

        return run

    async def route(state):
        return "writer" if len(state["notes"]) > 3 else END

    builder = StateGraph(State)
    builder.add_node("planner", node("planner", 20.01))
    builder.add_node("writer", node("writer", 33.05))
    builder.add_node("join", node("join", 0))
    builder.add_edge(START, "planner")
    for name, seconds in (("slow", 90), ("quick", 30.5), ("middle", 60)):
        builder.add_node(name, node(name, seconds))
        builder.add_edge("planner", name)
        builder.add_edge(name, "join")
    builder.add_conditional_edges("join", route, ["writer", END])
    builder.add_edge("writer", END)
    return builder.compile()


def test_a_graph_runs_in_virtual_time_and_repeats_exactly():
    """A LangGraph graph with parallel branches takes its critical path, the same in each of 100 repeats."""

    def simulate():
        clock, log = VirtualClock(), []
        state = clock.run(parallel_graph(clock, log).ainvoke({"notes": []}))
        return state, log, clock.now_ns()

    first = simulate()
    state, log, end_ns = first
    assert end_ns == 143_060_000_000
    assert [name for name, _ in log] == ["planner", "quick", "middle", "slow", "join", "writer"]
    assert sorted(state["notes"]) == sorted(name for name, _ in log)
    assert all(simulate() == first for _ in range(99))


def test_an_entrypoint_runs_in_virtual_time(clock):
    """The functional API's tasks wait side by side in virtual time."""

    @task
    async def research(seconds):
        await clock.sleep(seconds)
        return seconds

    @entrypoint()
    async def workflow(waits):
        return sum(await asyncio.gather(*(research(seconds) for seconds in waits)))

    assert clock.run(workflow.ainvoke([1.25, 4.5, 3])) == 8.75
    assert clock.now_ns() == 4_500_000_000


def test_spans_take_virtual_time(clock):
    """A tracer on the virtual clock records exact durations and a well-formed tree."""
    tracer = Tracer(clock)

    async def call(seconds):
        with tracer.span("tool", "kpis"):
            await clock.sleep(seconds)

    async def main():
        with tracer.span("framework", "run"):
            await asyncio.gather(call(2), call(0.1))

    clock.run(main())
    check_spans(tracer.finished())
    assert sorted(span.end_ns - span.start_ns for span in tracer.finished()) == [10**8, 2 * 10**9, 2 * 10**9]


async def wait_for_notes(event):
    await event.wait()


def test_a_deadlock_is_found_and_its_tasks_named(clock):
    """When all wait for one another the error says at what time, who waits, in what and on which line."""

    async def main():
        await clock.sleep(2.5)
        event = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for i in range(6):
                group.create_task(wait_for_notes(event), name=f"agent-{i}")

    with pytest.raises(DeadlockError) as caught:
        clock.run(main())
    message = str(caught.value)
    line = wait_for_notes.__code__.co_firstlineno + 1
    assert "deadlock at virtual time 2.500000 s" in message
    assert "7 task(s) wait" in message
    assert f"agent-0: wait_for_notes waits in Event.wait at {__file__}:{line}" in message
    assert "main: " in message.splitlines()[1]
    assert "main waits in TaskGroup.__aexit__ at" in message.splitlines()[1]
    assert "agent-4" not in message
    assert "and 2 more" in message


def test_waiting_for_ever_is_a_deadlock(clock):
    """A timer that never ends wakes nobody."""
    with pytest.raises(DeadlockError, match=r"VirtualClock\.sleep waits in VirtualLoop\.sleep at"):
        clock.run(clock.sleep(float("inf")))
    assert clock.now_ns() == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tasks_that_wait_for_one_another_are_a_deadlock(clock):
    """A circle of tasks is told of as any deadlock, though asyncio cannot cancel it."""
    tasks: list[asyncio.Task[None]] = []

    async def wait_for(place):
        await tasks[place]

    async def main():
        tasks.extend(asyncio.create_task(wait_for(place)) for place in (1, 0))
        await tasks[0]

    with pytest.raises(DeadlockError, match="3 task"):
        clock.run(main())


def test_clean_up_runs_after_a_deadlock(clock):
    """The tasks of a deadlock are cancelled, and what they do then takes virtual time."""
    log = []

    async def main():
        try:
            await asyncio.Event().wait()
        finally:
            await clock.sleep(3)
            log.append(clock.now_ns())

    with pytest.raises(DeadlockError):
        clock.run(main())
    assert log == [3_000_000_000]


def test_what_is_left_over_is_cancelled(clock):
    """A task that outlives main is cancelled and its clean-up waited for in virtual time."""
    log = []

    async def background():
        try:
            await clock.sleep(HOUR_S)
        finally:
            await clock.sleep(1)
            log.append(clock.now_ns())

    async def main():
        left = asyncio.create_task(background())
        await clock.sleep(1)
        return left

    assert clock.run(main()).cancelled()
    assert log == [2_000_000_000]


def test_shutting_down_waits_for_a_thread_but_not_for_ever(clock, monkeypatch):
    """While the loop shuts down a thread may wake it; if none does there is an error, not a hang."""
    gate = threading.Event()

    async def background(woken):
        try:
            await clock.sleep(HOUR_S)
        finally:
            gate.set()
            await woken.wait()

    async def main(wakes):
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        if wakes:
            thread = threading.Thread(target=lambda: gate.wait() and loop.call_soon_threadsafe(woken.set))
            thread.start()
        left = asyncio.create_task(background(woken))
        await clock.sleep(0)
        return left

    assert clock.run(main(wakes=True)).cancelled()
    monkeypatch.setattr(virtual_loop, "SHUTDOWN_WAIT_S", 0.01)
    with pytest.raises(DeadlockError, match="while the simulation shut down"):
        clock.run(main(wakes=False))


def test_a_sleep_outside_its_own_run_is_refused(clock):
    """Where nothing moves the clock on a wait says so; a wait of nothing does not wait."""

    async def main():
        await VirtualClock().sleep(0)
        with pytest.raises(VirtualTimeError, match="not this clock's"):
            await clock.sleep(1)

    asyncio.run(main())
    VirtualClock().run(main())
    with pytest.raises(VirtualTimeError, match=r"clock\.run"):
        clock.sleep(1).send(None)


def test_a_wait_of_no_number_is_refused(clock):
    """A wait of nan seconds is an error, not a timer that upsets the others."""
    with pytest.raises(VirtualTimeError, match="nan"):
        clock.run(clock.sleep(float("nan")))


def test_nested_runs(clock):
    """A clock runs one simulation at a time; another clock's may run within it, the wall clock's may not."""

    async def main():
        await clock.sleep(1)
        with pytest.raises(VirtualTimeError, match="already"):
            clock.run(clock.sleep(1))
        with pytest.raises(RealWaitError, match=r"WallClock\.run"):
            WallClock().run(asyncio.sleep(1))
        inner = VirtualClock()
        inner.run(inner.sleep(7))
        return inner.now_ns()

    assert clock.run(main()) == 7_000_000_000
    assert clock.now_ns() == 1_000_000_000


@pytest.mark.parametrize("nap", [lambda: time.sleep(1), lambda: imported_sleep(0.5)], ids=["time", "from"])
def test_sleeping_in_real_time_is_refused(clock, nap):
    """`time.sleep` raises in a task and in work, however it was imported, and is itself again after."""

    async def main():
        await clock.sleep(1)
        nap()

    for run in (main, lambda: clock.work(nap)):
        with pytest.raises(RealWaitError, match=r"time\.sleep.*clock\.sleep"):
            clock.run(run())
    assert time.sleep is imported_sleep is ORIGINAL["sleep"]


def test_a_module_imported_meanwhile_gets_the_real_sleep_back(clock, tmp_path, monkeypatch):
    """A module that a simulation is the first to import is refused there and sleeps as ever after."""
    (tmp_path / "late_napper.py").write_text("from time import sleep\n")
    monkeypatch.syspath_prepend(tmp_path)

    async def main():
        late_napper = importlib.import_module("late_napper")
        with pytest.raises(RealWaitError):
            late_napper.sleep(1)
        return late_napper

    module = clock.run(main())
    assert module.sleep is ORIGINAL["sleep"]
    monkeypatch.delitem(sys.modules, "late_napper")


def test_other_threads_sleep_on():
    """With two simulations in threads of theirs, only they are refused a real wait, not this thread."""
    begun, may_end = [threading.Event(), threading.Event()], threading.Lock()

    def simulate(seconds, begins):
        clock = VirtualClock()

        async def main():
            await clock.sleep(seconds)
            with pytest.raises(RealWaitError):
                time.sleep(seconds)
            begins.set()
            # A bare lock: of all waits for another thread the one that a simulation is not refused.
            with may_end:
                return clock.now_ns()

        return clock.run(main())

    with ThreadPoolExecutor(2) as pool:
        with may_end:
            simulations = [pool.submit(simulate, 5 + i, begins) for i, begins in enumerate(begun)]
            assert all(begins.wait(30) for begins in begun)
            assert time.sleep is not ORIGINAL["sleep"]
            time.sleep(0.001)
            imported_sleep(0.001)
            assert not threading.Event().wait(0.001)
            assert subprocess.run(["true"], check=True).returncode == 0
        assert [simulation.result() for simulation in simulations] == [5 * 10**9, 6 * 10**9]
    assert time.sleep is imported_sleep is ORIGINAL["sleep"]


def join_a_thread():
    thread = threading.Thread(target=ORIGINAL["sleep"], args=(0.2,))
    thread.start()
    thread.join()


def ask_a_pool():
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(ORIGINAL["sleep"], 0.2).result()
    finally:
        pool.shutdown(wait=False)


def receive_nothing():
    one, other = socket.socketpair()
    with one, other:
        other.settimeout(1)
        other.recv(1)


@pytest.mark.parametrize(
    ("wait", "said"),
    [
        (lambda: threading.Event().wait(1), "clock.work"),
        (lambda: threading.Semaphore(0).acquire(timeout=1), "clock.work"),
        (lambda: queue.Queue().get(timeout=1), "clock.work"),
        (join_a_thread, "clock.work"),
        (ask_a_pool, "clock.work"),
        (lambda: socket.create_connection(("127.0.0.1", 9), 1), "network"),
        (lambda: urllib.request.urlopen("http://127.0.0.1:9", timeout=1), "network"),
        (receive_nothing, "network"),
        (lambda: select.select([], [], [], 1), "network"),
        (lambda: subprocess.run(["true"], check=True), "process"),
        (lambda: os.system("true"), "process"),
    ],
)
def test_blocking_waits_are_refused(clock, wait, said):
    """A blocking wait for a thread, socket or process raises, in a task and in work, and names its line."""

    async def main():
        await clock.sleep(1.5)
        wait()

    for run in (main, lambda: clock.work(wait)):
        with pytest.raises(RealWaitError, match=said) as caught:
            clock.run(run())
    assert re.search(r"at virtual time 1\.500000 s by \S+\.py:\d+", str(caught.value))


def test_what_would_not_wait_is_allowed(clock):
    """Threads start, and what is there already is taken, in a simulation; after it all is as it was."""
    waits = [threading.Condition.wait, threading.Thread.join, subprocess.Popen.__init__, select.select]
    one, other = socket.socketpair()

    async def main():
        thread = threading.Thread(target=int)
        thread.start()
        while thread.is_alive():
            pass
        thread.join()
        is_set, ready, done = threading.Event(), queue.Queue(), concurrent.futures.Future()
        is_set.set()
        ready.put(1)
        done.set_result(2)
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(1)
        return is_set.wait(9), ready.get(timeout=9), done.result(9), threading.Event().wait(0)

    with one, other:
        assert clock.run(main()) == (True, 1, 2, False)
    assert waits == [
        *(threading.Condition.wait, threading.Thread.join),
        *(subprocess.Popen.__init__, select.select),
    ]
    assert "recv" not in vars(socket.socket)


def test_what_langgraph_hands_to_threads_runs_in_place(clock):
    """Routers, nodes, tools and callbacks that are not async run in the simulation and take no time."""

    class State(TypedDict):
        notes: Annotated[list[str], add]

    @tool
    def price(product: str) -> str:
        """Look a price up."""
        return f"{product}: 2 EUR"

    async def ask(_state):
        await clock.sleep(2)
        return {"notes": [await price.ainvoke({"product": "tea"})]}

    builder = StateGraph(State)
    builder.add_node("plan", lambda _state: {"notes": ["planned"]})
    builder.add_node("ask", ask)
    builder.add_edge(START, "plan")
    builder.add_conditional_edges("plan", lambda state: [Send("ask", state)] * 3, ["ask"])
    state = clock.run(builder.compile().ainvoke({"notes": []}))
    assert state["notes"] == ["planned", *["tea: 2 EUR"] * 3]
    assert clock.now_ns() == 2_000_000_000


def test_a_real_sleep_in_a_tool_of_langchain_is_refused(clock):
    """What runs in place may not wait, and what it raises comes to who awaits it."""

    @tool
    def nap(seconds: float) -> str:
        """Sleep."""
        if seconds:
            time.sleep(seconds)
        raise KeyError("rested")

    with pytest.raises(RealWaitError, match=r"time\.sleep\(1\.0\)"):
        clock.run(nap.ainvoke({"seconds": 1}))
    with pytest.raises(KeyError, match="rested"):
        clock.run(nap.ainvoke({"seconds": 0}))


@pytest.mark.parametrize(
    ("wait", "said"),
    [
        (lambda: asyncio.to_thread(print), "clock.work"),
        (lambda: asyncio.get_running_loop().run_in_executor(None, print), "clock.work"),
        (lambda: asyncio.open_connection("localhost", 9), "network"),
        (lambda: asyncio.start_server(print, "localhost", 0), "network"),
        (lambda: asyncio.get_running_loop().getaddrinfo("localhost", 9), "network"),
        (lambda: asyncio.get_running_loop().sock_recv(None, 1), "network"),
        (lambda: asyncio.create_subprocess_exec("true"), "process"),
        (lambda: asyncio.create_subprocess_shell("true"), "process"),
        (lambda: asyncio.get_running_loop().add_reader(0, print), "add_reader"),
        (lambda: asyncio.get_running_loop().add_writer(1, print), "add_writer"),
    ],
)
def test_waits_for_the_world_are_refused(clock, wait, said):
    """Threads, sockets, files and processes raise an error that says what to do instead."""

    async def main():
        await clock.sleep(1.5)
        await wait()

    with pytest.raises(RealWaitError, match=said) as caught:
        clock.run(main())
    assert "virtual time 1.500000 s" in str(caught.value)


BOTH = pytest.mark.parametrize("any_clock", [VirtualClock(), WallClock()], ids=["virtual", "wall"])
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


def run_in_an_open_loop(any_clock: Clock, main):
    """Run as a notebook does, whose own loop is running."""

    async def cell():
        return any_clock.run(main)

    return asyncio.run(cell())


@BOTH
@pytest.mark.parametrize("caller", [lambda c, m: c.run(m), run_in_an_open_loop], ids=["script", "notebook"])
def test_run_and_work_see_a_copy_of_the_context(any_clock, caller):
    """Main and its work read the caller's variables, set their own, and leave the caller's alone."""
    VARIABLE.set("caller")

    def work():
        seen = VARIABLE.get()
        VARIABLE.set("work")
        return seen

    async def main():
        seen = [VARIABLE.get()]
        VARIABLE.set("main")
        seen.append(await any_clock.work(work))
        return [*seen, VARIABLE.get(), threading.current_thread() is threading.main_thread()]

    assert caller(any_clock, main()) == ["caller", "main", "main", False]
    assert VARIABLE.get() == "caller"


@BOTH
def test_errors_pass_through(any_clock):
    """What work or main raises reaches the caller, and the clock can be used again."""

    def fail():
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        any_clock.run(any_clock.work(fail))
    assert any_clock.run(any_clock.work(lambda: 7)) == 7


def test_virtual_time_stands_still_while_work_is_done(clock):
    """Work takes no virtual time, and no other task runs meanwhile."""
    log = []

    async def tick():
        for _ in range(3):
            log.append(clock.now_ns())
            await clock.sleep(1e-6)

    async def main():
        ticking = asyncio.create_task(tick())
        await clock.sleep(1e-6)
        before = list(log)
        total = await clock.work(lambda: sum(range(100_000)))
        assert log == before
        await ticking
        return total

    assert clock.run(main()) == sum(range(100_000))
    assert log == [0, 1000, 2000]


@BOTH
def test_ctrl_c_in_this_process(any_clock):
    """An interrupt cancels main, waits for what it does last, and is raised once that is done."""
    log = []

    async def main():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            while True:
                await any_clock.sleep(0.001)
        finally:
            await any_clock.sleep(0.001)
            log.append("cleaned up")

    with pytest.raises(KeyboardInterrupt) as caught:
        any_clock.run(main())
    assert log == ["cleaned up"]
    assert caught.value.__cause__ is None
    assert any_clock.run(any_clock.work(lambda: 7)) == 7


@pytest.mark.parametrize("kind", [VirtualClock, WallClock])
def test_ctrl_c_that_another_thread_received(kind):
    """An interrupt is heard also where the system gave it to a thread other than the one that waits."""
    clock, stop = kind(), threading.Event()

    async def main():
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        while not stop.is_set():
            await clock.sleep(0.01)

    # Else a failure of this test would never end.
    give_up = threading.Timer(30, stop.set)
    give_up.start()
    with pytest.raises(KeyboardInterrupt):
        clock.run(main())
    assert give_up.is_alive()
    give_up.cancel()


def test_a_failed_clean_up_is_told_of(clock):
    """If the clean-up after an interrupt fails, its error is the interrupt's cause."""

    async def main():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            while True:
                await clock.sleep(1)
        finally:
            raise OSError("disk full")

    with pytest.raises(KeyboardInterrupt) as caught:
        clock.run(main())
    assert str(caught.value.__cause__) == "disk full"


def test_a_second_ctrl_c_does_not_wait(clock):
    """Where the clean-up does not end, a second interrupt gives up on it, and the clock stays taken."""
    give_in = threading.Event()

    async def main():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            while True:
                await clock.sleep(1)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            while not give_in.is_set():
                await clock.sleep(1)

    with pytest.raises(KeyboardInterrupt):
        clock.run(main())
    with pytest.raises(VirtualTimeError, match="already"):
        clock.run(clock.sleep(1))
    give_in.set()


@pytest.mark.parametrize("kind", ["VirtualClock", "WallClock"])
def test_ctrl_c_in_a_script(kind):
    """A script stopped by Ctrl-C cleans up and ends with one plain KeyboardInterrupt."""
    script = f"""
from swarmlab.trace.clock import {kind}
clock = {kind}()
async def main():
    try:
        print("started", flush=True)
        while True:
            await clock.sleep(0.01)
    finally:
        await clock.sleep(0.01)
        print("cleaned up", flush=True)
clock.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert out == "cleaned up\n"
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert err.count("Traceback") == 1
    assert process.returncode == -signal.SIGINT


def test_debug_mode_and_task_factories_work(clock, monkeypatch):
    """asyncio's debug mode and a task factory of one's own do what they do on any loop."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    made = []

    def factory(loop, coroutine, **options):
        made.append(coroutine.__qualname__.rpartition(".")[2])
        return asyncio.Task(coroutine, loop=loop, **options)

    async def agent():
        await clock.sleep(HOUR_S)

    async def main():
        asyncio.get_running_loop().set_task_factory(factory)
        await asyncio.gather(agent(), agent())

    clock.run(main())
    assert made[:2] == ["agent", "agent"]
    assert clock.now_ns() == HOUR_S * 10**9


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=200))
def test_timers_run_in_order_and_cancelled_ones_leave_no_trace(timers):
    """Those due at once run in the order they were set, whatever is cancelled among and after them."""
    clock, ran = VirtualClock(), []

    async def main():
        loop = asyncio.get_running_loop()
        handles = [loop.call_later(s, ran.append, (s, n)) for n, (s, _) in enumerate(timers)]
        far = [loop.call_later(HOUR_S + n, ran.append, n) for n in range(300)]
        for handle, (_, is_cancelled) in zip(handles, timers, strict=True):
            if is_cancelled:
                handle.cancel()
        for handle in far:
            handle.cancel()
        await clock.sleep(10)
        return len(loop._scheduled)

    assert clock.run(main()) == 0
    assert ran == sorted((s, n) for n, (s, is_cancelled) in enumerate(timers) if not is_cancelled)
    assert clock.now_ns() == 10 * 10**9


@given(st.lists(st.lists(st.integers(1, 6), max_size=60), min_size=1, max_size=4))
def test_waits_passed_within_a_step_end_when_timers_would(waits):
    """Tasks that sleep see the same times, in the same order, as tasks that wait for asyncio's own timers."""

    def times_seen(sleep_of):
        clock, seen = VirtualClock(), []

        async def work(number, seconds):
            for wait in seconds:
                await sleep_of(clock)(wait)
                seen.append((clock.now_ns(), number))

        async def main():
            await asyncio.gather(*(work(number, seconds) for number, seconds in enumerate(waits)))

        clock.run(main())
        return seen

    assert times_seen(lambda clock: clock.sleep) == times_seen(lambda _: asyncio.sleep)


def test_a_timeout_ends_waits_that_pass_within_a_step(clock):
    """A deadline that comes due between two waits of a task that is alone cancels the second."""

    async def main():
        async with asyncio.timeout(5):
            await clock.sleep(3)
            await clock.sleep(3)

    with pytest.raises(TimeoutError):
        clock.run(main())
    assert clock.now_ns() == 5 * 10**9
