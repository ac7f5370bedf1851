"""What the executor costs a call, beside asyncio.gather with a semaphore and concurrent.futures, in one run.

Writes `results/reference/executor_benchmark.csv` and `.md`. The calls do next to nothing, so that what is
measured is the way they are run; each pair of ways is measured in turn, in random order, block by block.
"""

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from swarmlab.records.atomic import write_text
from swarmlab.records.interval import median_interval, ratio_interval
from swarmlab.records.manifest import environment
from swarmlab.tools.executor import Call, run_calls
from swarmlab.tools.workers import Workers
from swarmlab.trace.clock import WallClock

OUT = Path(__file__).resolve().parent.parent / "results" / "reference"
N_CALLS, N_WORKERS, N_BLOCKS = 2_000, 4, 30
CLOCK = WallClock()

Way = Callable[[], Awaitable[None]]


async def answer(_: int = 0) -> int:
    """Work of an asynchronous call: one turn of the loop."""
    await CLOCK.sleep(0)
    return 7


async def gathered() -> None:
    """`asyncio.gather` under a semaphore: the same bound and order, nothing else."""
    bound = asyncio.Semaphore(N_WORKERS)

    async def one() -> int:
        async with bound:
            return await answer()

    await asyncio.gather(*(one() for _ in range(N_CALLS)))


async def executed() -> None:
    """`run_calls` without limits."""
    await run_calls([answer] * N_CALLS, schedule="parallel", workers=N_WORKERS)


async def limited() -> None:
    """`run_calls` with a timeout, attempts and a check on every call, and a deadline on the batch."""
    call = Call("kpis", answer, timeout_s=60.0, attempts=3, check=lambda _: None)
    await run_calls([call] * N_CALLS, schedule="parallel", workers=N_WORKERS, deadline_s=600.0)


async def pooled() -> None:
    """`ThreadPoolExecutor` by itself: submit all, take all."""
    with ThreadPoolExecutor(N_WORKERS) as pool:
        futures = [pool.submit(int, 7) for _ in range(N_CALLS)]
        assert sum(future.result() for future in futures) == 7 * N_CALLS


async def gathered_in_pool() -> None:
    """`ThreadPoolExecutor` awaited from an event loop, as a program of agents has to."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(N_WORKERS) as pool:
        await asyncio.gather(*(loop.run_in_executor(pool, int, 7) for _ in range(N_CALLS)))


async def executed_in_threads() -> None:
    """`run_calls` with its own threads, contexts carried."""
    with Workers(CLOCK) as workers:
        call = Call("kpis", lambda _: workers.call("kpis", "thread", int, 7))
        await run_calls([call] * N_CALLS, schedule="parallel", workers=N_WORKERS)


PAIRS: tuple[tuple[str, Way, str, Way], ...] = (
    ("run_calls", executed, "asyncio.gather with a semaphore", gathered),
    ("run_calls with every limit", limited, "asyncio.gather with a semaphore", gathered),
    (
        "run_calls in threads",
        executed_in_threads,
        "ThreadPoolExecutor under asyncio.gather",
        gathered_in_pool,
    ),
    ("run_calls in threads", executed_in_threads, "ThreadPoolExecutor without a loop", pooled),
)


def microseconds(way: Way) -> float:
    """Wall microseconds a call of one way."""
    gc.collect()

    async def timed() -> int:
        start_ns = CLOCK.now_ns()
        await way()
        return CLOCK.now_ns() - start_ns

    return asyncio.run(timed()) / N_CALLS / 1e3


def rows() -> Iterator[dict[str, Any]]:
    """Each pair's two costs and their ratio."""
    dice = random.Random(143)
    for ours, our_way, theirs, their_way in PAIRS:
        took: dict[Way, list[float]] = {our_way: [], their_way: []}
        for _ in range(N_BLOCKS):
            for way in dice.sample(list(took), 2):
                took[way].append(microseconds(way))
        for name, way in ((ours, our_way), (theirs, their_way)):
            cost = median_interval(took[way])
            yield _row(name, "µs a call", cost.median_s, cost.low_s, cost.high_s)
        ratio = ratio_interval(took[our_way], took[their_way])
        yield _row(f"{ours} over {theirs}", "ratio", ratio.ratio, ratio.low, ratio.high)


def _row(what: str, unit: str, value: Any, low: Any, high: Any) -> dict[str, Any]:
    return {"what": what, "unit": unit, "value": value, "low": low, "high": high, "n": N_BLOCKS}


def main() -> None:
    """Measure and write the table."""
    for _, our_way, _, their_way in PAIRS:
        microseconds(our_way)  # what is slow once only
        microseconds(their_way)
    table = pd.DataFrame(rows())
    write_text(OUT / "executor_benchmark.csv", table.to_csv(index=False, lineterminator="\n"))
    machine = environment(["swarmlab"])
    lines = [
        "# What the executor costs",
        "",
        f"{N_CALLS:,} calls that do next to nothing, {N_WORKERS} at a time. Costs are medians, ratios "
        "geometric means of pairs measured in turn; 95 % intervals.",
        "",
        "| what | value | 95 % interval | n |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r.what} | {r.value:.3g} {r.unit} | {r.low:.3g} to {r.high:.3g} | {r.n} |"
        for r in table.itertuples()
    ]
    lines += [
        "",
        f"{machine['cpu_model']}, {machine['cores_usable']} cores, load {machine['load_average']}, "
        f"{machine['python']}.",
    ]
    write_text(OUT / "executor_benchmark.md", "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
