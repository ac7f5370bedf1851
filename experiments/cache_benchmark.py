"""What a hit, a put and a look-up in vain take, against joblib.Memory, diskcache and a dict, side by side.

Writes `results/reference/cache_benchmark.csv` and `.md`. Each block is a process of its own, or two at once
on one new folder, that puts keys, finds them and looks for others. In a round all stores take their turn, in
random order, and ratios are of blocks of one round. Values are answers of tools, half facts, half text.
swarmlab checks 128 bits over each entry that it reads from disk; the others trust what they read.
Needs `pip install diskcache`, which swarmlab itself does not.
"""

import argparse
import functools
import gc
import itertools
import json
import multiprocessing
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diskcache
import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swarmlab.records.atomic import write_text
from swarmlab.records.interval import median_interval, ratio_interval
from swarmlab.records.manifest import environment
from swarmlab.tools.cache import Cache, Limits
from swarmlab.trace.clock import WallClock

OUT = Path(__file__).resolve().parent.parent / "results" / "reference"
SIZES = {"100 B": (100, 200), "10 kB": (10_000, 100), "1 MB": (1_000_000, 6)}
"""Bytes of JSON of a value, and how many a block puts."""
N_ABSENT = 200
"""Look-ups in vain of a block. What they take does not depend on the size of values, but the first comes when
the values just read have driven all else from the processor's caches; of only a few it would be most."""
PARTS = ("size", "processes")
OPERATIONS = ("put", "hit", "look-up in vain")
FORK = multiprocessing.get_context("fork")
CLOCK = WallClock()
Floats = NDArray[np.float64]


def make_value(n_bytes: int) -> dict[str, Any]:
    """An answer of a tool whose JSON takes about so many bytes."""
    dice = random.Random(143)
    facts: list[dict[str, Any]] = []
    while len(json.dumps(facts)) < n_bytes / 2 - 40:
        # In lumps, for it is measured anew each time.
        facts += [
            {"id": f"roi.brand.{dice.randrange(10**4)}", "value": dice.lognormvariate(0, 3), "unit": "USD"}
            for _ in range(max(1, len(facts) // 8))
        ]
    text = "".join(dice.choices("abcdefghijklmnopqrstuvwxyz    ,.", k=n_bytes - len(json.dumps(facts)) - 26))
    return {"facts": facts, "text": text}


VALUES = {size: make_value(n_bytes) for size, (n_bytes, _) in SIZES.items()}


def answer(key: str, size: str) -> dict[str, Any]:  # noqa: ARG001 - joblib's key
    """The tool whose answers joblib keeps."""
    return VALUES[size]


@dataclass(frozen=True)
class Opened:
    """A store in use: how to put and to find a key's value of this block's size."""

    put: Callable[[str], object]
    get: Callable[[str], Any]


def open_swarmlab(folder: Path | None, size: str, limits: Limits) -> Opened:
    """The cache of swarmlab."""
    cache, value = Cache(folder, ["tools"], limits=limits), VALUES[size]
    return Opened(lambda key: cache.put("tools", key, value), lambda key: cache.get("tools", key))


def open_diskcache(folder: Path, size: str, disk: type[diskcache.Disk]) -> Opened:
    """diskcache with pickle, as it comes, or with its own JSON."""
    cache, value = diskcache.Cache(str(folder), disk=disk), VALUES[size]
    return Opened(lambda key: cache.set(key, value), cache.get)


def open_joblib(folder: Path, size: str) -> Opened:
    """joblib.Memory, which computes and keeps in one; in vain it only says whether it has an answer."""
    kept = joblib.Memory(folder, verbose=0).cache(answer, ignore=["size"])
    return Opened(
        lambda key: kept(key, size),
        lambda key: kept(key, size) if kept.check_call_in_cache(key, size) else None,
    )


def open_dict(_: Path, size: str) -> Opened:
    """A dict: the floor; it shares its objects and outlives nothing."""
    kept: dict[str, Any] = {}
    value = VALUES[size]
    return Opened(lambda key: kept.__setitem__(key, value), kept.get)


STORES: dict[str, Callable[[Path, str], Opened]] = {
    "swarmlab, disk alone": lambda folder, size: open_swarmlab(folder, size, Limits(memory_bytes=0)),
    "swarmlab, memory over disk": lambda folder, size: open_swarmlab(folder, size, Limits()),
    "swarmlab, memory alone": lambda _, size: open_swarmlab(None, size, Limits()),
    "diskcache (pickle)": functools.partial(open_diskcache, disk=diskcache.Disk),
    "diskcache (JSON)": functools.partial(open_diskcache, disk=diskcache.JSONDisk),
    "joblib.Memory": open_joblib,
    "dict": open_dict,
}
ALONE = ("swarmlab, memory alone", "dict")
"""Shared by no two processes."""
OURS = ("swarmlab, disk alone", "swarmlab, memory over disk")
DISK_CACHES = ("diskcache (pickle)", "diskcache (JSON)", "joblib.Memory")


def block(store: str, folder: Path, size: str, name: str, begin: Any, sender: Any) -> None:
    """Time each operation on new keys, once all processes of the block are ready; send what one takes."""
    # What was imported is none of the cache's garbage to look through.
    gc.freeze()
    opened, n = STORES[store](folder, size), SIZES[size][1]
    keys = [f"{name}-{number}".ljust(64, "0") for number in range(n)]
    for key in ("warm", "warmer"):
        opened.put(name + key)
        opened.get(name + key)
        opened.get(name + key + "cold")
    dice = random.Random(name)
    found = dice.sample(keys, n)
    begin.wait()
    took = [
        _seconds(opened.put, keys),
        _seconds(opened.get, found),
        _seconds(opened.get, [f"{name}-absent-{number}".ljust(64, "0") for number in range(N_ABSENT)]),
    ]
    # Times are compared only of what gives the same answer.
    assert opened.get(keys[0]) == VALUES[size]
    assert opened.get("absent") is None
    sender.send(took)


def _seconds(call: Callable[[str], object], keys: Sequence[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one call of each key, on average."""
    start_ns, start_cpu_ns = CLOCK.now_ns(), time.process_time_ns()
    for key in keys:
        call(key)
    took = CLOCK.now_ns() - start_ns, time.process_time_ns() - start_cpu_ns
    return took[0] / len(keys) / 1e9, took[1] / len(keys) / 1e9


def run_block(store: str, folder: Path, size: str, n_processes: int, name: str) -> Floats:
    """Wall and CPU seconds, shape (3, 2), of each operation: the mean over the block's processes."""
    begin = FORK.Barrier(n_processes)
    pipes = [FORK.Pipe(duplex=False) for _ in range(n_processes)]
    processes = [
        FORK.Process(target=block, args=(store, folder, size, f"{name}.{number}", begin, sender))
        for number, (_, sender) in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    for _, sender in pipes:
        # So that a process that fails ends the wait for what it would send.
        sender.close()
    took = [receiver.recv() for receiver, _ in pipes]
    for process in processes:
        process.join()
    means: Floats = np.mean(took, axis=0)
    return means


def measure(n_rounds: int) -> pd.DataFrame:
    """One row a block and operation: size, processes, store, operation, wall_s, cpu_s; in order of rounds."""
    dice, rows = random.Random(143), []
    root = Path(tempfile.mkdtemp())
    for number, size, n_processes in itertools.product(range(n_rounds), SIZES, (1, 2)):
        stores = [store for store in STORES if n_processes == 1 or store not in ALONE]
        for store in dice.sample(stores, len(stores)):
            folder = root / f"{size} {n_processes} {store}"
            took = run_block(store, folder, size, n_processes, f"round{number}")
            named = zip(OPERATIONS, took, strict=True)
            rows += [(size, n_processes, store, operation, *times) for operation, times in named]
            # Or gigabytes of files would pile up, and a virtual machine take long to get memory for them.
            shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(root)
    return pd.DataFrame(rows, columns=[*PARTS, "store", "operation", "wall_s", "cpu_s"])


def summary(blocks: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """One row a store: its median times, and what our two take of them, each with its 95 % interval."""
    for part, group in blocks.groupby([*PARTS, "operation"], sort=False):
        wall = {store: list(of["wall_s"]) for store, of in group.groupby("store")}
        cpu = {store: list(of["cpu_s"]) for store, of in group.groupby("store")}
        fastest = min(DISK_CACHES, key=lambda store, wall=wall: np.median(wall[store]))
        for store in (store for store in STORES if store in wall):
            found = median_interval(wall[store])
            yield {
                **dict(zip([*PARTS, "operation"], part, strict=True)),
                "store": store,
                "wall_us": found.median_s * 1e6,
                "wall_us_low": (found.low_s or 0) * 1e6,
                "wall_us_high": (found.high_s or 0) * 1e6,
                "cpu_us": np.median(cpu[store]) * 1e6,
                "is_fastest_disk_cache": store == fastest,
                **_ratio("disk_wall", wall[OURS[0]], wall[store]),
                **_ratio("disk_cpu", cpu[OURS[0]], cpu[store]),
                **_ratio("memory_wall", wall[OURS[1]], wall[store]),
                "n": found.n,
            }


def _ratio(name: str, ours: Sequence[float], others: Sequence[float]) -> dict[str, float | None]:
    found = ratio_interval(ours, others)
    return {name: found.ratio, f"{name}_low": found.low, f"{name}_high": found.high}


def report(table: pd.DataFrame) -> str:
    """The tables as Markdown."""
    machine = environment(["diskcache", "joblib", "ormsgpack"])
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    load = " ".join(f"{value:.1f}" for value in machine["load_average"])
    rows = table.to_dict("records")
    lines = [
        "# The cache against others",
        "",
        "What swarmlab takes of the fastest of diskcache and joblib.Memory in that row (under 1: swarmlab is",
        "faster), paired by round, with 95 % intervals. The goal is 1 in wall time, disk alone, checksum on.",
        "",
        "| value | processes | operation | fastest other | its µs | disk alone | the same, CPU time"
        " | memory over disk | goal |",
        9 * "| --- " + "|",
        *(_goal_line(row) for row in rows if row["is_fastest_disk_cache"]),
        "",
        "| value | processes | operation | store | wall µs | 95 % interval | CPU µs |",
        7 * "| --- " + "|",
        *(
            f"{_start(row)} | {row['wall_us']:.3g} | {row['wall_us_low']:.3g} to {row['wall_us_high']:.3g}"
            f" | {row['cpu_us']:.3g} |"
            for row in rows
        ),
        "",
        f"n = {table['n'].max()} rounds. {machine['cpu_model']}, {machine['cores_usable']} cores,",
        f"load {load} at the end (other work on the machine widens the intervals of wall time),",
        f"{machine['python']}; {packages}.",
    ]
    return "\n".join(lines) + "\n"


def _goal_line(row: Mapping[str, Any]) -> str:
    ratios = " | ".join(
        f"{row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]"
        for name in ("disk_wall", "disk_cpu", "memory_wall")
    )
    is_met, is_missed = row["disk_wall_high"] <= 1, row["disk_wall_low"] > 1
    verdict = "met" if is_met else "missed" if is_missed else "inconclusive"
    return f"{_start(row)} | {row['wall_us']:.3g} | {ratios} | {verdict} |"


def _start(row: Mapping[str, Any]) -> str:
    return f"| {row['size']} | {row['processes']} | {row['operation']} | {row['store']}"


def main() -> None:
    """Measure and write the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=20, help="blocks of each kind")
    table = pd.DataFrame(summary(measure(options.parse_args().rounds)))
    write_text(
        OUT / "cache_benchmark.csv", table.to_csv(index=False, lineterminator="\n", float_format="%.6g")
    )
    write_text(OUT / "cache_benchmark.md", report(table))


if __name__ == "__main__":
    main()
