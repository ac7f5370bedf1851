"""How fast simulations are: runs a second, a thousand users at once, and the virtual loop against asyncio's.

What LangGraph takes of a run is measured too, side by side with the same turns called in a plain loop.

Writes `results/reference/simulation_benchmark.csv` and `.md`. CPU seconds of this process on one core; the
ratio of the loops is measured side by side, in turn. `--users N` also simulates N users at once (10,000 take
minutes) and reports the peak of memory, in a process of its own.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from swarmlab.agents import swarm
from swarmlab.agents.graph import Turn
from swarmlab.agents.resources import Contribution
from swarmlab.agents.rosters import Agent
from swarmlab.lab import Cell, Simulator, make_cell
from swarmlab.lab.measure import run_once
from swarmlab.lab.simulate import lean_memory
from swarmlab.records.atomic import write_text
from swarmlab.records.interval import ratio_interval, t_interval
from swarmlab.records.manifest import environment
from swarmlab.tools.cache import Cache
from swarmlab.trace.clock import VirtualClock

OUT = Path(__file__).resolve().parent.parent / "results" / "reference"
DATA = "beverage:20000"
REPEATS, RUNS, STEPS = 5, 200, 20_000


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds that something takes."""
    before = time.process_time()
    work()
    return time.process_time() - before


def one_after_another(level: str) -> list[float]:
    """Runs a second of CPU time, one run after another, by repeat."""
    simulator = Simulator()
    cell = cell_of(level)
    simulator.run(cell)

    def runs() -> None:
        for _ in range(RUNS):
            simulator.run(cell)

    return [RUNS / cpu_s(runs) for _ in range(REPEATS)]


def at_once(level: str, n_users: int, distinct: bool) -> float:
    """CPU seconds of users who all start at once on one simulated provider, each with an exam of its own."""
    simulator, clock = Simulator(), VirtualClock()
    # Ten thousand share one machine for their tools, and no call is to be given up for that.
    cell = cell_of(level, tool_timeout_s=86_400.0)
    cells = [cell.model_copy(update={"repeat": n, "seed": n if distinct else 0}) for n in range(n_users)]
    bench = simulator.bench(cells[0], clock)
    simulator.run(cells[0])

    async def all_users() -> None:
        cache = Cache(None, ())
        made = await asyncio.gather(
            *(run_once(cell, simulator.at(bench, cell), clock, cache) for cell in cells)
        )
        failed = [one.error for one in made if one.error is not None]
        assert not failed, f"{len(failed)} of {n_users} runs failed, the first of: {failed[0]}"

    def simulate() -> None:
        with lean_memory():
            clock.run(all_users())

    return cpu_s(simulate)


def cell_of(level: str, **fields: Any) -> Cell:
    """A simulated cell on a small dataset."""
    return make_cell({"level": level, "data": DATA, "model": "simulated", **fields})


class PlainLoop:
    """Stands in for a sequential graph: the turns of its agents one after the other, and nothing else."""

    def __init__(self, agents: Sequence[Agent], _schedule: str, turn: Turn) -> None:
        self._agents, self._turn = agents, turn

    async def ainvoke(self, _: object) -> dict[str, list[Contribution]]:
        """Let every agent work, as the graph would."""
        said: list[Contribution] = []
        for agent in self._agents:
            said = [*said, await self._turn(agent, said)]
        return {"said": said}


def without_langgraph(level: str) -> list[tuple[float, float]]:
    """CPU seconds of runs of a sequential level with its graph and with a plain loop instead, in turn."""
    simulator, cell = Simulator(), cell_of(level)
    simulator.run(cell)

    def runs() -> None:
        for _ in range(RUNS):
            simulator.run(cell)

    pairs = []
    for _ in range(REPEATS):
        with_graph = cpu_s(runs)
        with mock.patch.object(swarm, "build_graph", PlainLoop):
            pairs.append((with_graph, cpu_s(runs)))
    return pairs


def loop_ratio() -> list[tuple[float, float]]:
    """CPU seconds of the same waits on asyncio's own loop and on the virtual one, in turn."""

    async def waits(sleep: Callable[[float], Any]) -> None:
        for _ in range(STEPS):
            await sleep(0)

    pairs = []
    for _ in range(REPEATS):
        real = cpu_s(lambda: asyncio.run(waits(asyncio.sleep)))
        clock = VirtualClock()
        virtual = cpu_s(lambda clock=clock: clock.run(waits(clock.sleep)))
        pairs.append((real, virtual))
    return pairs


def row(what: str, unit: str, values: list[float]) -> dict[str, Any]:
    """A mean with its t interval over repeats."""
    mean, margin = t_interval(np.asarray(values))
    return {
        "what": what,
        "unit": unit,
        "value": float(mean),
        "low": float(mean - margin),
        "high": float(mean + margin),
        "n": len(values),
    }


def ratio_row(what: str, pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """The ratio of the first of each pair to the second, with its interval."""
    found = ratio_interval([first for first, _ in pairs], [second for _, second in pairs])
    return {
        "what": what,
        "unit": "ratio",
        "value": found.ratio,
        "low": found.low,
        "high": found.high,
        "n": found.n,
    }


def measure_all(n_many: int | None) -> pd.DataFrame:
    """Every row of the table."""
    rows = [
        row(f"simulated runs of `{level}`, one after another", "runs a CPU s", one_after_another(level))
        for level in ("blackboard", "none", "partial", "full")
    ]
    for level in ("full", "blackboard"):
        for distinct, what in ((False, "equal analyses"), (True, "each an exam of its own")):
            seconds = [at_once(level, 1000, distinct) for _ in range(2 if level == "full" else 1)]
            rows.append(row(f"1,000 users of `{level}` at once, {what}", "CPU s", seconds))
    pairs = without_langgraph("blackboard")
    rows.append(
        row(
            "of a run of `blackboard`, LangGraph",
            "CPU ms",
            [(graph - loop) / RUNS * 1e3 for graph, loop in pairs],
        )
    )
    rows.append(
        row("of a run of `blackboard`, all the rest", "CPU ms", [loop / RUNS * 1e3 for _, loop in pairs])
    )
    rows.append(ratio_row(f"asyncio's loop over the virtual one, {STEPS:,} turns", loop_ratio()))
    if n_many is not None:
        rows += many_users(n_many)
    return pd.DataFrame(rows)


def many_users(n_users: int) -> list[dict[str, Any]]:
    """CPU and greatest memory of so many users at once, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--only", str(n_users)], capture_output=True, text=True, check=True
    )
    seconds, gibibytes = map(float, done.stdout.split())
    what = f"{n_users:,} users of `full` at once, each an exam of its own"
    return [row(what, "CPU s", [seconds]), row(f"{what}: peak memory", "GiB", [gibibytes])]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, help="also simulate so many users at once")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only is not None:
        seconds = at_once("full", options.only, distinct=True)
        # Not by getrusage, whose peak starts at that of the process that started this one.
        peak_kib = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
        print(seconds, peak_kib / 2**20)
        return
    table = measure_all(options.users)
    write_text(OUT / "simulation_benchmark.csv", table.to_csv(index=False, lineterminator="\n"))
    machine = environment(["swarmlab"])
    lines = [
        "# How fast simulations are",
        "",
        "| what | mean | 95 % interval | n |",
        "| --- | --- | --- | --- |",
    ]
    for one in table.itertuples():
        interval = "" if np.isnan(one.low) else f"{one.low:.4g} to {one.high:.4g}"
        lines.append(f"| {one.what} | {one.value:.4g} {one.unit} | {interval} | {one.n} |")
    lines += [
        "",
        f"Simulated on {DATA} with the default profile; {machine['cpu_model']}, "
        f"{machine['cores_usable']} cores, load {machine['load_average']}, {machine['python']}.",
    ]
    write_text(OUT / "simulation_benchmark.md", "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
