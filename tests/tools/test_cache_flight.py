"""Single flight: whoever asks for an answer that is being computed waits for it, wherever it is computed."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cache_clock import HandClock

from swarmlab.tools.cache import Cache, Cost, Fetched, Limits, open_store
from swarmlab.tools.cache.owner import is_gone, new_owner
from swarmlab.trace.clock import VirtualClock

LAYERS = ("tools", "completions", "analyses")
FORK = multiprocessing.get_context("fork")
COST = Cost(2.0, 5)


class Counted:
    """Something to compute: how often it was, and when it may end."""

    def __init__(self, *failures: BaseException) -> None:
        self.n = 0
        self._failures = list(failures)

    async def __call__(self) -> tuple[Any, Cost]:
        self.n += 1
        number = self.n
        for _ in range(3):
            await asyncio.sleep(0)
        if self._failures:
            raise self._failures.pop(0)
        return {"made": number}, COST


async def test_of_many_tasks_one_computes(place: Path | str) -> None:
    """Sixteen tasks ask for one answer: one miss and fifteen hits, each with an object of its own."""
    cache, compute = Cache(place, LAYERS), Counted()
    views = [cache.view() for _ in range(16)]
    found = await asyncio.gather(*(view.fetch("tools", "k", compute) for view in views))
    assert compute.n == 1
    assert [fetched.is_hit for fetched in found] == [False] + 15 * [True]
    assert [fetched.waited for fetched in found] == [False] + 15 * [True]
    assert all(fetched.value == {"made": 1} for fetched in found)
    assert len({id(fetched.value) for fetched in found}) == 16
    assert [(v.hits["tools"], v.misses["tools"], v.saved_s, v.saved_tokens) for v in views] == [
        (0, 1, 0.0, 0),
        *(15 * [(1, 0, 2.0, 5)]),
    ]
    assert await cache.fetch("tools", "k", compute) == Fetched({"made": 1}, True, False)
    cache.close()


async def test_two_caches_at_one_place_compute_once(place: Path | str) -> None:
    """Caches that share nothing but their place, as two processes do, wait for each other."""
    one, other, compute = Cache(place, LAYERS), Cache(place, LAYERS), Counted()
    found = await asyncio.gather(one.fetch("tools", "k", compute), other.fetch("tools", "k", compute))
    assert compute.n == 1
    assert sorted((fetched.is_hit, fetched.waited) for fetched in found) == [(False, False), (True, True)]
    one.close()
    other.close()


async def test_an_error_is_its_own_callers_and_the_next_computes(place: Path | str) -> None:
    """Nothing is stored of a failure; of those who wait one after the other tries, until one succeeds."""
    cache, compute = Cache(place, LAYERS), Counted(ValueError("first"), ValueError("second"))
    tasks = [cache.fetch("tools", "k", compute) for _ in range(5)]
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(outcome) for outcome in found[:2]] == ["first", "second"]
    assert compute.n == 3
    assert [outcome.is_hit for outcome in found[2:] if isinstance(outcome, Fetched)] == [False, True, True]
    assert (cache.hits["tools"], cache.misses["tools"]) == (2, 1)
    cache.close()


async def test_a_cancelled_computation_is_taken_over(place: Path | str) -> None:
    """Who computes is cancelled: the next computes. Who waits is cancelled: nobody else notices."""
    cache, compute = Cache(place, LAYERS), Counted()
    tasks = [asyncio.create_task(cache.fetch("tools", "k", compute)) for _ in range(4)]
    while compute.n == 0:
        await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in found] == ["CancelledError", "Fetched"] * 2
    assert compute.n == 2
    assert [outcome.is_hit for outcome in found if isinstance(outcome, Fetched)] == [False, True]
    cache.close()


async def test_a_value_that_cannot_be_kept_holds_up_nobody(place: Path | str) -> None:
    """It is refused when it comes to be stored, and the next who waits computes."""
    cache = Cache(place, LAYERS)
    values = [{1, 2}, 1.0]

    async def compute() -> tuple[Any, Cost]:
        await asyncio.sleep(0)
        return values.pop(0), COST

    tasks = [cache.fetch("tools", "k", compute) for _ in range(2)]
    refused, found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(refused, TypeError)
    assert found == Fetched(1.0, False, True)
    cache.close()


async def test_with_the_layer_off_everybody_computes() -> None:
    """Nothing is looked up, waited for, kept or counted."""
    cache, compute = Cache(None, ()), Counted()
    found = await asyncio.gather(*(cache.fetch("tools", "k", compute) for _ in range(3)))
    assert [fetched.value["made"] for fetched in found] == [1, 2, 3]
    assert (cache.hits.total(), cache.misses.total()) == (0, 0)


def _telling_the_time(clock: HandClock) -> Callable[[], Awaitable[tuple[float, Cost]]]:
    async def compute() -> tuple[float, Cost]:
        return clock.elapsed_s, COST

    return compute


def _computed_by_threads(call: Callable[[Callable[[], tuple[Any, Cost]]], Fetched]) -> tuple[int, int]:
    """How often sixteen threads that begin at once computed, and how many had a hit."""
    made: list[int] = []
    begin = threading.Barrier(16)

    def compute() -> tuple[Any, Cost]:
        made.append(1)
        return {"made": len(made)}, COST

    def ask(_: int) -> bool:
        begin.wait(30)
        return call(compute).is_hit

    with ThreadPoolExecutor(16) as pool:
        hits = sum(pool.map(ask, range(16)))
    return len(made), hits


def test_of_many_threads_one_computes(place: Path | str) -> None:
    """Sixteen threads ask at once, without an event loop or each on one: one computes, fifteen have it."""
    cache = Cache(place, LAYERS)
    assert _computed_by_threads(lambda compute: cache.fetch_sync("tools", "k", compute)) == (1, 15)

    def on_a_loop(compute: Callable[[], tuple[Any, Cost]]) -> Fetched:
        async def computed() -> tuple[Any, Cost]:
            return compute()

        return asyncio.run(cache.fetch("tools", "other", computed))

    assert _computed_by_threads(on_a_loop) == (1, 15)
    cache.close()


def test_a_thread_that_fails_lets_the_next_compute() -> None:
    """An error in `fetch_sync` is its caller's, and the answer can be asked for again."""
    cache = Cache(None, LAYERS)
    with pytest.raises(ZeroDivisionError):
        cache.fetch_sync("tools", "k", lambda: (1 / 0, COST))
    assert cache.fetch_sync("tools", "k", lambda: (1, COST)) == Fetched(1, False, False)


def test_on_virtual_time_waiting_takes_the_time_of_the_computation() -> None:
    """Three tasks ask at 0, 1 and 9 s for what takes 5 s: two have it at 5 s, the third at 9 s."""
    clock = VirtualClock()
    cache = Cache(None, LAYERS, clock=clock)

    async def compute() -> tuple[Any, Cost]:
        await clock.sleep(5)
        return "answer", Cost(5)

    async def ask(at_s: float) -> tuple[float, bool, bool]:
        await clock.sleep(at_s)
        fetched = await cache.fetch("tools", "k", compute)
        return clock.now_ns() / 1e9, fetched.is_hit, fetched.waited

    async def main() -> list[tuple[float, bool, bool]]:
        return await asyncio.gather(ask(0), ask(1), ask(9))

    assert clock.run(main()) == [(5.0, False, False), (5.0, True, True), (9.0, True, False)]


def test_a_simulation_waits_for_no_other_process(tmp_path: Path) -> None:
    """A lease of another process does not hold it up: its time must not depend on the machine's."""
    clock = VirtualClock()
    cache = Cache(tmp_path, LAYERS, clock=clock)
    now_us = 1_772_323_200_000_000
    open_store(tmp_path).claim(("tools", "k"), "elsewhere/1/0/x", now_us, now_us + 10**12)

    async def compute() -> tuple[Any, Cost]:
        return 1, COST

    assert clock.run(cache.fetch("tools", "k", compute)) == Fetched(1, False, False)
    assert clock.now_ns() == 0


async def test_a_process_elsewhere_that_fell_silent_holds_up_others_for_its_lease(place: Path | str) -> None:
    """Of another host nothing can be known but that it has not renewed its lease."""
    clock = HandClock()
    cache = Cache(place, LAYERS, clock=clock, limits=Limits(lease_s=30))
    now_us = round(clock.utc_now().timestamp() * 1e6)
    open_store(place).claim(("tools", "k"), "elsewhere/1/0/x", now_us, now_us + 30_000_000)
    found = await cache.fetch("tools", "k", _telling_the_time(clock))
    assert (found.is_hit, found.waited) == (False, True)
    assert 30 < found.value < 30.5
    cache.close()


async def test_who_computes_for_long_keeps_the_lease(place: Path | str) -> None:
    """A computation of many leases' time is computed once: its owner says every third that it is at it."""
    clock = HandClock()
    limits = Limits(lease_s=30)
    one, other = (Cache(place, LAYERS, clock=clock, limits=limits) for _ in range(2))
    made: list[float] = []

    async def compute() -> tuple[Any, Cost]:
        made.append(clock.elapsed_s)
        end_s = clock.elapsed_s + 300
        while clock.elapsed_s < end_s:
            await asyncio.sleep(0)
        return 1, COST

    found = await asyncio.gather(one.fetch("tools", "k", compute), other.fetch("tools", "k", compute))
    assert len(made) == 1
    assert [fetched.is_hit for fetched in found] == [False, True]
    one.close()
    other.close()


def _claim_and_hang(place: Path | str, claimed: Any) -> None:
    def compute() -> tuple[Any, Cost]:
        claimed.set()
        signal.pause()
        return 0, COST

    Cache(place, LAYERS).fetch_sync("tools", "k", compute)


async def test_a_killed_process_is_taken_over_at_once(place: Path | str) -> None:
    """Its lease has long to run, but on this host it is seen that it is gone: no time is waited."""
    claimed = FORK.Event()
    process = FORK.Process(target=_claim_and_hang, args=(place, claimed))
    process.start()
    assert claimed.wait(60)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    clock = HandClock()
    cache = Cache(place, LAYERS, clock=clock)
    assert await cache.fetch("tools", "k", _telling_the_time(clock)) == Fetched(0.0, False, False)
    process.join()
    cache.close()


def _compute_noting(place: Path | str, notes: Path, begin: Any) -> None:
    def compute() -> tuple[Any, Cost]:
        with notes.open("a") as file:
            file.write(f"{os.getpid()}\n")
        threading.Event().wait(0.2)
        return 1, COST

    cache = Cache(place, LAYERS)
    begin.wait(60)
    assert cache.fetch_sync("tools", "k", compute).value == 1
    cache.close()


def test_of_six_processes_one_computes(place: Path | str, tmp_path: Path) -> None:
    """They open the place and ask at the same time; one of them computes."""
    begin = FORK.Barrier(6)
    notes = tmp_path / "notes"
    processes = [FORK.Process(target=_compute_noting, args=(place, notes, begin)) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == 6 * [0]
    assert len(notes.read_text().splitlines()) == 1


def _put_in_a_fork(cache: Cache) -> None:
    assert cache.get("tools", "parent") == 1
    cache.put("tools", "child", 2)
    assert cache.fetch_sync("tools", "fetched", lambda: (3, COST)).value == 3


def test_a_fork_may_go_on_with_its_parents_cache(place: Path | str) -> None:
    """It opens the place for itself, and both see what the other has written."""
    cache = Cache(place, LAYERS, limits=Limits(memory_bytes=0))
    cache.put("tools", "parent", 1)
    process = FORK.Process(target=_put_in_a_fork, args=(cache,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert [cache.get("tools", key) for key in ("parent", "child", "fetched")] == [1, 2, 3]
    cache.close()


def test_an_owner_is_gone_when_its_process_is() -> None:
    """This process is here; a number of none, or of one begun later, is gone; of a host nothing is known."""
    host, pid, start, token = new_owner().rsplit("/", 3)
    assert not is_gone(f"{host}/{pid}/{start}/{token}")
    assert is_gone(f"{host}/{pid}/{float(start) - 100}/{token}")
    assert is_gone(f"{host}/{2**22 + 7}/{start}/{token}")
    assert not is_gone(f"{host}x/{pid}/{start}/{token}")
    assert not is_gone("what is this")
