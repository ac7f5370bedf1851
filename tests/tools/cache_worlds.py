"""For tests of a cache's faults: values told by their keys, processes to kill, full disks."""

import ctypes
import fcntl
import multiprocessing
import os
import random
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swarmlab.tools.cache import Cache, Limits, open_store

LAYERS = ("tools", "completions", "analyses")
ON_DISK_ONLY = Limits(memory_bytes=0)
FORK = multiprocessing.get_context("fork")
"""To import everything anew in each of hundreds of processes would take seconds each."""

_ANY_TRACER = (0x59616D61, -1)
_KEY_LENGTH = 64
_SHORT_PIPE_BYTES = 4096


def value_of(key: str) -> dict[str, Any]:
    """The only right value of a key, so that whoever reads it can tell.

    Of 20 bytes to 20 kB, in its row; of 80 kB, in a file, for a key that begins with `large`.
    """
    dice = random.Random(key)
    n_bytes = 40_000 if key.startswith("large") else dice.choice((0, 50, 1_000, 10_000))
    return {"key": key, "text": dice.randbytes(n_bytes).hex()}


def value_files(folder: Path) -> set[Path]:
    """The files in which a cache keeps values that are too large for a row."""
    return set((folder / "values").glob("*"))


def age_files(folder: Path) -> None:
    """Make them look as if no put could be writing them any more."""
    for path in value_files(folder):
        os.utime(path, (0, 0))


def quick_folder() -> Path:
    """A new folder in memory where there is one, for hundreds of files; whoever asks removes it."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="swarmlab-", dir=memory if os.access(memory, os.W_OK) else None))


def in_a_fork(function: Callable[[], Any]) -> Any:
    """What a function returns in a process of its own; fails with what it raises there."""
    receiver, sender = FORK.Pipe(duplex=False)

    def work() -> None:
        try:
            sender.send((function(), ""))
        except BaseException:  # noqa: BLE001 - told to the test, whatever it is
            sender.send((None, traceback.format_exc()))

    process = FORK.Process(target=work)
    process.start()
    sender.close()
    result, error = receiver.recv()
    process.join(60)
    assert not error, error
    return result


class Writer:
    """A process that puts one entry after the other and names each when `put` has returned."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.pipe, end = os.pipe()
        # Short, so that a writer nobody listens to does not run far ahead.
        fcntl.fcntl(self.pipe, getattr(fcntl, "F_SETPIPE_SZ", 1031), _SHORT_PIPE_BYTES)
        self._rest = b""
        self._process = FORK.Process(target=_write, args=(folder, name, end))
        self._process.start()
        os.close(end)

    def acknowledged(self) -> list[str]:
        """The keys named since this was last asked; waits for one, and is empty at the end."""
        *names, self._rest = (self._rest + os.read(self.pipe, 1 << 16)).split(b"\n")
        return [name.decode().strip() for name in names]

    def kill(self) -> list[str]:
        """End it with SIGKILL; return the keys it had still named."""
        self._process.kill()
        self._process.join(60)
        assert self._process.exitcode == -signal.SIGKILL
        last: list[str] = []
        while names := self.acknowledged():
            last += names
        os.close(self.pipe)
        return last


def _write(folder: Path, name: str, end: int) -> None:
    cache = Cache(folder, LAYERS)
    number = 0
    while True:
        number += 1
        key = f"{name}-{number}" if number % 4 else f"both-{number % 40}"
        if number % 10 == 0:
            key = f"large-{key}"
        cache.put("tools", key, value_of(key))
        # What is in a pipe outlives its writer.
        os.write(end, key.ljust(_KEY_LENGTH).encode() + b"\n")


@dataclass(frozen=True)
class Tally:
    """What became of the entries of killed writers."""

    kills: int
    acknowledged: int
    lost: int
    wrong: int
    not_acknowledged: int
    """Entries that are there, whole, though their writer was killed before it could name them."""


def kill_writers(folder: Path, kills: int, seed: int = 143) -> Tally:
    """Kill one of two writers of a folder at random, again and again; look at all entries after each kill."""
    dice = random.Random(seed)
    writers = [Writer(folder, f"writer{number}") for number in range(2)]
    known: set[str] = set()
    lost = wrong = 0
    for kill in range(kills):
        victim = dice.randrange(2)
        wanted = dice.randrange(1, 20)
        while wanted > 0:
            for ready in select.select([writer.pipe for writer in writers], [], [], 60)[0]:
                writer = next(writer for writer in writers if writer.pipe == ready)
                names = writer.acknowledged()
                known.update(names)
                wanted -= len(names) if writer is writers[victim] else 0
        # Anywhere in what it does next.
        threading.Event().wait(dice.random() * 1e-3)
        known.update(writers[victim].kill())
        missing, other = look(folder, known)
        lost, wrong = lost + missing, wrong + other
        writers[victim] = Writer(folder, f"writer{victim}.{kill}")
    for writer in writers:
        known.update(writer.kill())
    missing, other = look(folder, known)
    there = {entry.key for entry in open_store(folder).entries()}
    _, not_whole = look(folder, there)
    return Tally(kills, len(known), lost + missing, wrong + other + not_whole, len(there - known))


def look(folder: Path, keys: Sequence[str] | set[str]) -> tuple[int, int]:
    """How many of these entries a new reader does not find, and how many it finds to be another."""
    cache = Cache(folder, LAYERS, limits=ON_DISK_ONLY)
    found = {key: cache.get("tools", key) for key in keys}
    assert cache.troubles == {}
    cache.close()
    missing = sum(value is None for value in found.values())
    return missing, sum(value is not None and value != value_of(key) for key, value in found.items())


def strace() -> str:
    """The path of strace; skips where there is none or where it may not look into a process."""
    path = shutil.which("strace")
    if path is None:
        pytest.skip("no strace here, which kills at a given system call (Debian: strace)")
    if not _runs_to_its_end(path, lambda: None, "fsync", 1):
        pytest.skip("strace may not trace processes here (ptrace is not allowed)")
    return path


def kills_at_each_call(
    path: str, work: Callable[[], None], calls: Sequence[str]
) -> Iterator[tuple[str, int]]:
    """Run `work` in a fork and kill it at the first of a system call, the next time at the second, and so on.

    Yields after each kill: the call and its number. Goes on with the next call when the work came to its end.
    Calls that share an item, parted by commas, are counted each for itself.
    """
    for call in calls:
        number = 1
        while not _runs_to_its_end(path, work, call, number):
            yield call, number
            number += 1


def _runs_to_its_end(path: str, work: Callable[[], None], call: str, number: int) -> bool:
    begin, go = os.pipe()
    process = FORK.Process(target=_when_traced, args=(work, begin, go))
    process.start()
    os.close(begin)
    # The question mark, for not every processor's system has all of them.
    names = ",".join(f"?{name}" for name in call.split(","))
    options = ["-f", "-o", os.devnull, "-e", f"inject={names}:signal=SIGKILL:when={number}"]
    tracer = subprocess.Popen(
        [path, *options, "-p", str(process.pid)], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert tracer.stderr is not None
    # Its first line says that it has attached, or why it could not.
    is_attached = "attached" in tracer.stderr.readline()
    os.write(go, b"x" if is_attached else b"-")
    os.close(go)
    process.join(60)
    tracer.stderr.read()
    tracer.stderr.close()
    tracer.wait(60)
    assert process.exitcode in (0, -signal.SIGKILL) or not is_attached
    return process.exitcode == 0


def _when_traced(work: Callable[[], None], begin: int, go: int) -> None:
    os.close(go)
    # Some systems let only an ancestor trace a process, unless it allows others to.
    ctypes.CDLL(None).prctl(*_ANY_TRACER, 0, 0, 0)
    if os.read(begin, 1) != b"x":
        os._exit(3)
    work()
    os._exit(0)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of a few pages of memory; skips where none may be mounted."""
    folder.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
            capture_output=True,
            check=False,
        ).returncode
    ):
        pytest.skip("no disk may be mounted here (that takes root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
