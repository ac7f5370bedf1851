"""What the instrument costs: attribution of 100,000 spans, a span's price, and runs with and without tracing.

Writes `results/reference/trace_benchmark.csv` and `.md`. `--runs N` measures N pairs of runs of level `full`
on the embedded model, with all spans and with the root alone, in turn; else those rows stay as they were.
"""

import argparse
import asyncio
import gc
import importlib
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from swarmlab.lab import make_cell, measure
from swarmlab.records.atomic import write_text
from swarmlab.records.interval import median_interval, ratio_interval, t_interval
from swarmlab.records.manifest import environment
from swarmlab.trace.attribution import attribute
from swarmlab.trace.clock import WallClock
from swarmlab.trace.spans import Span
from swarmlab.trace.tracer import Tracer

OUT = Path(__file__).resolve().parent.parent / "results" / "reference"
N_SPANS, REPEATS, BLOCKS, BATCH = 100_000, 5, 30, 2_000
CLOCK = WallClock()


def _span(span_id: str, parent_id: str | None, start_ns: int, end_ns: int, category: str = "tool") -> Span:
    return Span(span_id, parent_id, (), category, span_id, None, start_ns, end_ns)


def shapes() -> dict[str, Callable[[], list[Span]]]:
    """Traces of `N_SPANS` spans below a root, by what is hard about them."""
    dice = random.Random(143)
    length = 10**9

    def scattered() -> Iterator[Span]:
        yield _span("r", None, 0, length, "framework")
        for number in range(N_SPANS):
            start = dice.randrange(length - 10**6)
            yield _span(f"s{number}", "r", start, start + dice.randrange(10**6))

    def in_a_row() -> Iterator[Span]:
        yield _span("r", None, 0, N_SPANS * 10, "framework")
        yield from (_span(f"s{i}", "r", i * 10, i * 10 + 10) for i in range(N_SPANS))

    def nested() -> Iterator[Span]:
        yield _span("s0", None, 0, 4 * N_SPANS, "framework")
        yield from (_span(f"s{i}", f"s{i - 1}", i, 4 * N_SPANS - i) for i in range(1, N_SPANS + 1))

    def all_at_once() -> Iterator[Span]:
        yield _span("r", None, 0, length, "framework")
        yield from (_span(f"s{i}", "r", i, length - i) for i in range(N_SPANS))

    makers = (scattered, in_a_row, nested, all_at_once)
    return {make.__name__.replace("_", " "): lambda make=make: list(make()) for make in makers}


def seconds_of(work: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    start_ns = CLOCK.now_ns()
    work()
    return (CLOCK.now_ns() - start_ns) / 1e9


def attribution_rows() -> Iterator[dict[str, Any]]:
    """Seconds to attribute each shape."""
    for name, make in shapes().items():
        spans = make()
        times = [seconds_of(lambda: attribute(spans)) for _ in range(REPEATS)]  # noqa: B023 - called at once
        found = median_interval(times)
        yield _row(
            f"attribute {N_SPANS:,} spans, {name}", "s", found.median_s, found.low_s, found.high_s, found.n
        )


def span_rows() -> Iterator[dict[str, Any]]:
    """Microseconds that a span adds to a loop, with and without in turn."""

    def nested(tracer: Tracer | None) -> None:
        for _ in range(BATCH // 2):
            if tracer is None:
                continue
            with tracer.span("tool", "outer"), tracer.span("tool", "inner"):
                continue

    async def task(tracer: Tracer | None) -> None:
        if tracer is None:
            return
        with tracer.span("tool", "in a task"):
            return

    async def tasks(tracer: Tracer | None) -> None:
        await asyncio.gather(*(task(tracer) for _ in range(BATCH)))

    async def threads(tracer: Tracer | None) -> None:
        for _ in range(BATCH // 10):
            await asyncio.to_thread(_ten, tracer)

    kinds = {
        "nested": nested,
        "in asyncio tasks": lambda tracer: asyncio.run(tasks(tracer)),
        "in threads with a copied context": lambda tracer: asyncio.run(threads(tracer)),
    }
    dice = random.Random(143)
    for name, work in kinds.items():
        work(Tracer(CLOCK))  # what is slow once only
        costs = []
        for _ in range(BLOCKS):
            took = {}
            for is_traced in dice.sample([True, False], 2):
                tracer = Tracer(CLOCK) if is_traced else None
                gc.collect()
                took[is_traced] = seconds_of(lambda: work(tracer))  # noqa: B023 - called at once
            costs.append((took[True] - took[False]) / BATCH * 1e6)
        mean, margin = t_interval(np.array(costs))
        yield _row(f"a span, {name}", "µs", mean, mean - margin, mean + margin, BLOCKS)


def _ten(tracer: Tracer | None) -> None:
    for _ in range(10):
        if tracer is None:
            continue
        with tracer.span("tool", "in a thread"):
            continue


class RootOnly(Tracer):
    """A tracer that records the root and nothing else: tracing switched off, as far as a run can tell."""

    def span(self, category: str, name: str, **fields: Any) -> Any:
        """The root for real, then stand-ins."""
        if self.current_id is None and not self.finished():
            return super().span(category, name, **fields)
        return _stand_in()

    def add(self, *_: Any, **__: Any) -> str:
        """Nothing."""
        return ""


@contextmanager
def _stand_in() -> Iterator[Any]:
    yield SimpleNamespace(span_id="", name="", cached=False, link=lambda _: None)


def run_rows(pairs: int) -> Iterator[dict[str, Any]]:
    """Ratio of runs with all spans to runs with the root's alone, in pairs of random order."""
    module = measure.__globals__
    dice, traced, bare = random.Random(143), [], []
    for pair in range(pairs):
        order = [(traced, Tracer), (bare, RootOnly)]
        dice.shuffle(order)
        for times, tracer in order:
            module["Tracer"] = tracer
            out = tempfile.mkdtemp()
            cell = make_cell({"level": "full", "data": "beverage:20000", "repeat": pair, "out": out})
            record = measure(cell)
            if record.duration_s is None or record.status != "ok":
                raise SystemExit(f"the run failed: {record.error}")
            times.append(record.duration_s)
    module["Tracer"] = Tracer
    found = ratio_interval(traced, bare)
    yield _row("run of `full`, traced over untraced", "ratio", found.median, found.low, found.high, found.n)


def share_rows(pairs: int = 100) -> Iterator[dict[str, Any]]:
    """What tracing adds to a whole run, measured where the model's spread cannot hide it.

    The run is `full` with every tool and completion answered from a cache, so that all its code runs and no
    model does. The time that tracing adds is then set against the cold run that filled the cache. The phases
    of the model's calls are the only spans of a cold run that are not in it; they are priced like the others.
    """
    module = importlib.import_module("swarmlab.lab.measure")
    cached = {"name": "cached", "base": "full", "cache": ["tools", "completions"]}
    cell = make_cell({"level": cached, "data": "beverage:20000", "out": tempfile.mkdtemp()})
    bench = module._set_up(cell, CLOCK)
    cold = asyncio.run(module._run_once(cell, bench, CLOCK))
    dice, added_ms, n_spans = random.Random(143), [], 0
    try:
        for _ in range(pairs):
            took = {}
            for tracer in dice.sample([Tracer, RootOnly], 2):
                module.Tracer = tracer
                run = asyncio.run(module._run_once(cell, bench, CLOCK))
                took[tracer] = run.wall_ns
                n_spans = max(n_spans, len(run.spans))
            added_ms.append((took[Tracer] - took[RootOnly]) / 1e6)
    finally:
        module.Tracer = Tracer
        bench.model.close()
    scale = len(cold.spans) / n_spans
    mean, margin = t_interval(np.array(added_ms))
    what = f"tracing adds to a run of `full` ({len(cold.spans)} spans)"
    yield _row(what, "ms", mean * scale, (mean - margin) * scale, (mean + margin) * scale, pairs)
    percent = [100 * ms * scale * 1e6 / cold.wall_ns for ms in (mean, mean - margin, mean + margin)]
    yield _row("the same, of its cold run's wall time", "%", *percent, pairs)


def _row(what: str, unit: str, value: Any, low: Any, high: Any, n: int) -> dict[str, Any]:
    return {"what": what, "unit": unit, "value": value, "low": low, "high": high, "n": n}


def main() -> None:
    """Measure and write the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=0, help="pairs of runs with and without tracing")
    pairs = options.parse_args().runs
    rows = [*attribution_rows(), *span_rows(), *share_rows(), *(run_rows(pairs) if pairs else ())]
    table = pd.DataFrame(rows)
    csv = OUT / "trace_benchmark.csv"
    if not pairs and csv.exists():
        earlier = pd.read_csv(csv)
        table = pd.concat([table, earlier[earlier["unit"] == "ratio"]], ignore_index=True)
    write_text(csv, table.to_csv(index=False, lineterminator="\n"))
    machine = environment(["numpy"])
    lines = [
        "# What the instrument costs",
        "",
        "| what | median or mean | 95 % interval | n |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r.what} | {r.value:.4g} {r.unit} | {r.low:.4g} to {r.high:.4g} | {r.n} |"
        for r in table.itertuples()
    ]
    load = machine["load_average"]
    lines += [
        "",
        f"{machine['cpu_model']}, {machine['cores_usable']} cores, load {load}, {machine['python']}.",
    ]
    write_text(OUT / "trace_benchmark.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
