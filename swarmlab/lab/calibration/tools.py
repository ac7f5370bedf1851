"""What the tools cost: timed on datasets of several sizes, each pass in a process of its own, and fitted."""

import itertools
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any, get_args

import numpy as np
import pandas as pd

from swarmlab.data import Dataset, open_dataset
from swarmlab.lab.calibration.rates import unbiased_fit
from swarmlab.models.profile import Cost, ToolCosts
from swarmlab.tools import DEFAULT_PLAN, TOOLS, Scope, SharedFrame, entities, truth
from swarmlab.tools.run import Impl, run_tool
from swarmlab.trace.clock import WallClock

WORKERS = 4
READ, TOGETHER = "read", "together"
"""What a row of the timings is of, when not of one tool: reading, and `WORKERS` tools at once."""


def time_tools(data: Sequence[str], repeats: int) -> pd.DataFrame:
    """Time every tool, both implementations, on every dataset; the machine should do nothing else.

    Each pass is a process of its own that is set up like a run, so that what only a first call takes is in
    the figures to the same share as in a run.

    Returns
    -------
    DataFrame
        One row a timing: data, rows, bytes (of the file), impl, repeat, what (a tool, `read`, `together`),
        seconds.

    Raises
    ------
    UserError
        A dataset cannot be used.
    """
    rows: list[dict[str, Any]] = []
    for repeat in range(repeats):
        for spec in data:
            for impl in get_args(Impl):
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    rows += [{"repeat": repeat, **row} for row in pool.submit(_pass, spec, impl).result()]
    return pd.DataFrame(rows)


def _pass(spec: str, impl: Impl) -> list[dict[str, Any]]:
    """Time one implementation on one dataset, tool after tool as a run calls them."""
    clock = WallClock()
    dataset = open_dataset(spec)
    # A run's set-up reads the data too, before its clock starts.
    truth(dataset, Scope())
    entities(dataset, Scope())
    told = {"data": spec, "rows": dataset.rows, "bytes": dataset.size_bytes, "impl": impl}
    shared = SharedFrame(dataset)
    times: list[tuple[str, float]] = []
    for name in DEFAULT_PLAN:
        tool = TOOLS[name]
        start_ns = clock.now_ns()
        is_read = impl == "baseline" or shared.sums.scans == 0
        frame = dataset.read() if impl == "baseline" else shared.source(tool)
        if impl == "vectorized" and is_read:
            # The scan that serves all tools of a run.
            shared.sums.within({})
        read_ns = clock.now_ns()
        tool.fn(frame, Scope())
        end_ns = clock.now_ns()
        times += [(READ, (read_ns - start_ns) / 1e9)] if is_read else []
        times.append((name, (end_ns - read_ns) / 1e9))
        del frame
    times.append((TOGETHER, _together(dataset, impl, shared, clock)))
    return [{**told, "what": what, "seconds": seconds} for what, seconds in times]


def _together(dataset: Dataset, impl: Impl, shared: SharedFrame, clock: WallClock) -> float:
    names = _at_once()
    start_ns = clock.now_ns()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda name: run_tool(name, Scope(), dataset, impl, shared), names))
    return (clock.now_ns() - start_ns) / 1e9


def _at_once() -> list[str]:
    return list(TOOLS)[:WORKERS]


def fit_tools(times: pd.DataFrame) -> dict[Impl, ToolCosts]:
    """Fit each implementation's costs to timings as `time_tools` gives them."""
    return {impl: _costs(times[times["impl"] == impl], impl) for impl in get_args(Impl)}


def _costs(times: pd.DataFrame, impl: Impl) -> ToolCosts:
    by_tool = {name: _cost(times[times["what"] == name], "rows") for name in DEFAULT_PLAN}
    default = Cost(
        start_s=float(np.mean([cost.start_s for cost in by_tool.values()])),
        per_million_s=float(np.mean([cost.per_million_s for cost in by_tool.values()])),
    )
    return ToolCosts(
        cores=_cores(times, impl),
        read=_cost(times[times["what"] == READ], "bytes"),
        compute={"default": default, **by_tool},
    )


def _cost(times: pd.DataFrame, of: str) -> Cost:
    amount = times[of].to_numpy(float) / 1e6
    start, per_million = unbiased_fit(np.c_[np.ones(len(amount)), amount], times["seconds"].to_numpy(float))
    return Cost(start_s=float(start), per_million_s=float(per_million))


def _cores(times: pd.DataFrame, impl: Impl) -> float:
    """Seconds that the tools take one after the other over those that they take at once; at least 1."""
    passes = times.groupby(["data", "repeat"])
    lone = 0.0
    for _, part in passes:
        seconds = part[part["what"].isin(_at_once())]["seconds"].sum()
        reads = part[part["what"] == READ]["seconds"].mean() * WORKERS if impl == "baseline" else 0.0
        lone += float(seconds + reads)
    together = float(times[times["what"] == TOGETHER]["seconds"].sum())
    return min(max(lone / together, 1.0), float(WORKERS)) if together else 1.0


def tool_errors(times: pd.DataFrame, costs: dict[Impl, ToolCosts]) -> pd.DataFrame:
    """How well the costs fit: one row a dataset and implementation.

    Returns
    -------
    DataFrame
        `measured_s`, `fitted_s`: of a whole pass, every tool once (and its reading), mean of the repeats;
        `bias`: fitted over measured, less 1.
    """
    rows = []
    single = times[times["what"] != TOGETHER]
    for data, impl in itertools.product(single["data"].unique(), costs):
        part, cost = single[(single["data"] == data) & (single["impl"] == impl)], costs[impl]
        told = [
            (cost.read if what == READ else cost.compute[what]).seconds(n_bytes if what == READ else n_rows)
            for what, n_rows, n_bytes in zip(part["what"], part["rows"], part["bytes"], strict=True)
        ]
        repeats = part["repeat"].nunique()
        measured, fitted = float(part["seconds"].sum()) / repeats, sum(told) / repeats
        rows.append(
            {
                "data": data,
                "impl": impl,
                "measured_s": measured,
                "fitted_s": fitted,
                "bias": fitted / measured - 1,
            }
        )
    return pd.DataFrame(rows)
