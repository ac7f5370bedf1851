"""Many processes of many threads on one key: one computes; when that one is killed or stopped, one other."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import pytest
from cache_worlds import FORK, LAYERS

from swarmlab.tools.cache import Cache, Cost, Fetched, Limits, connection, open_store, sql
from swarmlab.tools.cache.flights import Flight, Flights
from swarmlab.tools.cache.sql import SqlDatabase
from swarmlab.tools.cache.sqlite import SqliteFile
from swarmlab.tools.cache.tiers import Tiers

N_PROCESSES, N_THREADS = 6, 16
COST = Cost(2.0, 5)
ANSWER = {"facts": ["elderflower", 2.5]}


def _ask(place: Path | str, notes: Path, limits: Limits, begin: Any, hang: Callable[[], object]) -> None:
    """Sixteen threads, every second on an event loop of its own, ask for one answer at once."""
    cache = Cache(place, LAYERS, limits=limits)
    begin.wait(60)

    def compute() -> tuple[Any, Cost]:
        is_first = _note(notes)
        if is_first:
            hang()
        return ANSWER, COST

    async def compute_on_loop() -> tuple[Any, Cost]:
        return await asyncio.to_thread(compute)

    found: list[Fetched] = []

    def ask(number: int) -> None:
        if number % 2:
            found.append(cache.fetch_sync("tools", "k", compute))
        else:
            found.append(asyncio.run(cache.fetch("tools", "k", compute_on_loop)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [fetched.value for fetched in found] == N_THREADS * [ANSWER]
    assert cache.troubles == {}, cache.troubles
    with notes.with_name("misses").open("ab", buffering=0) as file:
        file.write(b"m" * sum(not fetched.is_hit for fetched in found))
    cache.close()


def _note(notes: Path) -> bool:
    """Write down who computes; whether it is the first."""
    file = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, f"{os.getpid()}\n".encode())
    is_first = os.fstat(file).st_size == len(f"{os.getpid()}\n")
    os.close(file)
    return is_first


def _start(place: Path | str, notes: Path, limits: Limits, hang: Callable[[], object]) -> dict[int, Any]:
    begin = FORK.Barrier(N_PROCESSES)
    processes = [
        FORK.Process(target=_ask, args=(place, notes, limits, begin, hang)) for _ in range(N_PROCESSES)
    ]
    for process in processes:
        process.start()
    return {process.pid or 0: process for process in processes}


def _first(notes: Path) -> int:
    """The process that computes, as soon as there is one."""
    waiting = threading.Event()
    for _ in range(6_000):
        if notes.exists() and notes.read_text().endswith("\n"):
            return int(notes.read_text().split()[0])
        waiting.wait(0.01)
    pytest.fail("nobody has begun to compute")


def _join(processes: dict[int, Any]) -> list[int]:
    for process in processes.values():
        process.join(60)
    return [process.exitcode for process in processes.values()]


def test_six_processes_of_sixteen_threads_compute_once(
    place: Path | str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Of 96 who ask at once one computes, in whichever process and thread; all have the answer."""
    notes = tmp_path / "notes"
    processes = _start(place, notes, Limits(), lambda: threading.Event().wait(0.1))
    assert _join(processes) == N_PROCESSES * [0]
    record_property("asked", N_PROCESSES * N_THREADS)
    record_property("computed", len(notes.read_text().split()))
    assert len(notes.read_text().split()) == 1
    assert (tmp_path / "misses").read_bytes() == b"m"
    assert open_store(place).stats().layers[0].n == 1


def test_when_the_computing_process_is_killed_one_other_computes(
    place: Path | str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """It is killed in the middle: exactly one of the others computes, long before its lease runs out."""
    notes = tmp_path / "notes"
    an_hour = Limits(lease_s=3_600)
    processes = _start(place, notes, an_hour, signal.pause)
    victim = _first(notes)
    os.kill(victim, signal.SIGKILL)
    processes.pop(victim).join(60)
    assert _join(processes) == (N_PROCESSES - 1) * [0]
    computed = notes.read_text().split()
    record_property("computed", len(computed))
    assert len(computed) == 2
    assert computed[0] != computed[1]
    assert (tmp_path / "misses").read_bytes() == b"m"


def test_when_the_computing_process_is_stopped_its_lease_runs_out(
    place: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped, it is not gone: after its lease one other computes; continued, it ends well with its own."""
    notes = tmp_path / "notes"
    ends = FORK.Event()
    _stop_before_renewing(monkeypatch)
    processes = _start(place, notes, Limits(lease_s=3.0), ends.wait)
    stopped = _first(notes)
    others = {pid: process for pid, process in processes.items() if pid != stopped}
    try:
        assert _join(others) == (N_PROCESSES - 1) * [0]
    finally:
        # First, for an event waits until all who wait for it are awake.
        os.kill(stopped, signal.SIGCONT)
        ends.set()
    assert _join(processes) == N_PROCESSES * [0]
    assert len(notes.read_text().split()) == 2
    cache = Cache(place, LAYERS)
    assert cache.get("tools", "k") == ANSWER
    assert cache.troubles == {}
    cache.close()


def _stop_before_renewing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that computes first stops itself at a heartbeat, when none of its threads uses the store.

    From outside it might be stopped with a lock in its hands, which holds up all others (the next test).
    """
    renew, join, stopped = Tiers.renew, Flights.join, FORK.Value("i", 0)
    joined: list[bool] = []

    def count(flights: Flights, name: Hashable) -> tuple[Flight, bool]:
        flight, is_own = join(flights, name)
        joined.append(is_own)
        return flight, is_own

    def stop_once(tiers: Tiers, name: tuple[str, str]) -> None:
        with stopped:
            is_due = len(joined) == N_THREADS and not stopped.value
            stopped.value |= is_due
        if is_due:
            os.kill(os.getpid(), signal.SIGSTOP)
        renew(tiers, name)

    monkeypatch.setattr(Tiers, "renew", stop_once)
    monkeypatch.setattr(Flights, "join", count)


def test_a_process_that_is_stopped_in_a_write_holds_up_others_for_a_moment_only(
    place: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They compute without the store, and say so; when it goes on or dies, the store is as it was."""
    monkeypatch.setattr(sql, "_BUSY_S", 0.3)
    monkeypatch.setattr(connection, "BUSY_S", 0.3)
    Cache(place, LAYERS).close()

    def stop_in_a_write() -> None:
        database = SqlDatabase(place) if isinstance(place, str) else SqliteFile(place)
        with database.writing() as run:
            run("UPDATE swarmlab_cache_totals SET tick = tick + 1")
            os.kill(os.getpid(), signal.SIGSTOP)

    process = FORK.Process(target=stop_in_a_write)
    process.start()
    assert process.pid
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        cache = Cache(place, LAYERS)
        held_up = cache.fetch_sync("tools", "k", lambda: (ANSWER, COST))
        assert (held_up.value, held_up.is_hit) == (ANSWER, False)
        assert cache.troubles == {"unclaimed": 1, "unwritten": 1}
    finally:
        process.kill()
        process.join(60)
    cache.put("tools", "other", ANSWER)
    assert cache.troubles["unwritten"] == 1
    cache.close()
    again = Cache(place, LAYERS)
    assert [again.get("tools", key) for key in ("k", "other")] == [None, ANSWER]
    again.close()
