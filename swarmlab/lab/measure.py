"""Measure one cell: set everything up, run the swarm once under the clock, grade the answer, keep the record.

Loading data, model and exam is outside the measured time and reported beside it; the measured time is exactly
the root span of the run.
"""

import asyncio
import gc
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from swarmlab.agents.answer import Answer
from swarmlab.agents.resources import Resources, tool_executions
from swarmlab.agents.rosters import ROSTERS
from swarmlab.agents.swarm import run_swarm
from swarmlab.agents.tool_runs import (
    MeasuredTools,
    SimulatedMachine,
    SimulatedTools,
    ToolAnswers,
    ToolRunner,
)
from swarmlab.errors import SwarmlabError
from swarmlab.lab.experiment import Cell
from swarmlab.lab.grade import answer_json, grades
from swarmlab.lab.identity import identity
from swarmlab.lab.work import Work, fact_store, known_of, set_work
from swarmlab.models import LoadedModel, load_model, simulated_by
from swarmlab.models.author import Author
from swarmlab.records.alerts import load_rules, with_alerts
from swarmlab.records.manifest import cpu_reading, other_cpu_share
from swarmlab.records.record import Record
from swarmlab.records.store import write_run
from swarmlab.tools.cache import Cache, Limits, content_key
from swarmlab.trace.clock import Clock, VirtualClock, WallClock
from swarmlab.trace.spans import Span
from swarmlab.trace.tracer import Tracer

_PRIMED = "primed"


@dataclass(frozen=True)
class Bench:
    """What is set up before the clock starts."""

    work: Work
    model: LoadedModel
    load_s: float
    machine: SimulatedMachine | None = None
    """Of a simulation: what all its runs share, as they share `model`."""
    answers: ToolAnswers = field(default_factory=ToolAnswers)

    def tools(self, clock: Clock) -> ToolRunner:
        """A new run's tools."""
        if self.machine is None:
            return MeasuredTools(self.work.dataset, clock)
        return SimulatedTools(self.work.dataset, self.machine, self.answers)


@dataclass(frozen=True)
class Measured:
    """One run as it came out: its spans, its answer (None when it broke off) and why it failed."""

    spans: tuple[Span, ...]
    answer: Answer | None
    error: str | None
    resources: Resources
    other_cpu: float | None
    load1: float | None
    started_at: datetime
    instrument_ns: int

    @property
    def wall_ns(self) -> int:
        """Duration of the root span."""
        root = next(span for span in self.spans if span.parent_id is None)
        return root.end_ns - root.start_ns


def measure(cell: Cell) -> Record:
    """Run a cell, write its run folder, and return its record; a failed run is a record too.

    Works where an event loop already runs (a notebook). A simulated model runs on virtual time.

    Raises
    ------
    UserError
        The data, the model or the brief cannot be used; nothing was measured.
    """
    bench, measured = _measure_simulated(cell) if cell.is_virtual else _measure_real(cell)
    record = record_of(cell, bench, measured)
    if record.status == "ok" and cell.level.cache:
        cell.cache_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _primed(cell).touch()
    answer = measured.answer
    write_run(
        Path(cell.out),
        record,
        measured.spans,
        answer=None if answer is None else answer_json(cell, bench.work, answer),
        answer_md=None if answer is None else answer.report,
    )
    return record


def _measure_real(cell: Cell) -> tuple[Bench, Measured]:
    clock = WallClock()
    bench = set_up(cell, clock)
    try:
        return bench, clock.run(_run_cell(cell, bench, clock))
    finally:
        bench.model.close()


def _measure_simulated(cell: Cell) -> tuple[Bench, Measured]:
    clock = VirtualClock()
    # Truth and tools' facts are the same in every run, and simulated time does not pass while they are found.
    store = fact_store(Path(cell.out))
    try:
        bench = set_up(cell, clock, set_work(cell, known_of(cell, store)))
        bench = replace(bench, answers=ToolAnswers(store, cell.code_version))
        return bench, clock.run(_run_cell(cell, bench, clock))
    finally:
        store.close()


async def ameasure(cell: Cell) -> Record:
    """`measure` without blocking the caller's event loop."""
    return await asyncio.to_thread(measure, cell)


def run_together(cells: Sequence[Cell]) -> list[Measured]:
    """Start cold runs of several cells at once, on one loaded model and without a cache on disk."""
    clock: Clock = VirtualClock() if cells[0].is_virtual else WallClock()
    first = set_up(cells[0], clock)
    uncached = [c.model_copy(update={"level": c.level.model_copy(update={"cache": ()})}) for c in cells]

    async def all_runs() -> list[Measured]:
        pairs = zip(uncached, benches, strict=True)
        return await asyncio.gather(*(run_once(cell, bench, clock) for cell, bench in pairs))

    try:
        benches = [first, *(replace(first, work=set_work(c, known_of(c))) for c in cells[1:])]
        return clock.run(all_runs())
    finally:
        first.model.close()


def set_up(cell: Cell, clock: Clock, work: Work | None = None, author: Author | None = None) -> Bench:
    """Open the data and set the exam, unless given, and load the model; UserError where one is of no use.

    Parameters
    ----------
    author
        Of the simulated model's profile, from an earlier simulation; the profile is not read again then.
    """
    start_ns = clock.now_ns()
    work = set_work(cell, known_of(cell)) if work is None else work
    if author is None:
        model = load_model(cell.model, clock=clock, seed=cell.seed, base_url=cell.base_url)
    else:
        model = simulated_by(author, clock=clock, seed=cell.seed)
    machine = None if model.profile is None else SimulatedMachine(model.profile, clock)
    return Bench(work, model, (clock.now_ns() - start_ns) / 1e9, machine)


async def _run_cell(cell: Cell, bench: Bench, clock: Clock) -> Measured:
    if cell.cache_state == "cold":
        shutil.rmtree(cell.cache_folder, ignore_errors=True)
    measured = await run_once(cell, bench, clock)
    if cell.cache_state == "cold" or not cell.level.cache or measured.error is not None:
        return measured
    if _primed(cell).exists() and measured.resources.cache.hits.total():
        return measured
    # Warm means: filled by an identical run before. That was this one.
    return await run_once(cell, bench, clock)


def _primed(cell: Cell) -> Path:
    """A file that says that an identical run has filled the cache that this one uses."""
    place = cell.cache_place if cell.cache_state == "warm" else None
    return cell.cache_folder / (_PRIMED if place is None else f"{_PRIMED}-{content_key({'at': place})[:12]}")


async def run_once(cell: Cell, bench: Bench, clock: Clock, cache: Cache | None = None) -> Measured:
    """Run a cell's swarm once on `clock`'s event loop.

    Parameters
    ----------
    cache
        Used and left open instead of the cell's own; for runs that share one. Each counts its own hits.
    """
    tracer = Tracer(clock)
    own = cache is None
    cache = _cache_of(cell, clock) if cache is None else cache.view()
    run = Resources(
        brief=cell.brief,
        level=cell.level,
        dataset=bench.work.dataset,
        model=bench.model.for_run(cell.run_draw),
        clock=clock,
        tracer=tracer,
        cache=cache,
        tools=bench.tools(clock),
        questions=bench.work.exam.questions,
        seed=cell.seed,
        code_version=cell.code_version,
        workers=cell.workers,
        tool_timeout_s=cell.tool_timeout_s,
        faults=frozenset(cell.faults),
    )
    is_wall = clock.kind == "wall"
    span_ns = _span_cost_ns(clock) if is_wall else 0
    if is_wall:
        gc.collect()
    # What the machine does meanwhile is no part of a simulation.
    load1 = os.getloadavg()[0] if is_wall and hasattr(os, "getloadavg") else None
    started_at, before = clock.utc_now(), cpu_reading() if is_wall else None
    answer, error = None, None
    try:
        async with asyncio.timeout(cell.deadline_s):
            answer = await run_swarm(run)
        error = "; ".join(answer.errors) or None
    except TimeoutError:
        error = f"the run took longer than its deadline of {cell.deadline_s:g} s"
    except SwarmlabError as failure:
        error = str(failure)
    except Exception as failure:  # noqa: BLE001 - whatever broke the run, it stays a row, with its error.
        error = f"{type(failure).__name__}: {failure}"
    finally:
        other_cpu = None if before is None else other_cpu_share(before, cpu_reading())
        run.tools.close()
        if own:
            cache.close()
    spans = tuple(tracer.finished())
    instrument_ns = span_ns * len(spans)
    return Measured(spans, answer, error, run, other_cpu, load1, started_at, instrument_ns)


def _cache_of(cell: Cell, clock: Clock) -> Cache:
    """The cell's own cache or, for a warm run, the one it shares with others."""
    place: Path | str | None = cell.cache_folder if cell.level.cache else None
    if cell.level.cache and cell.cache_state == "warm" and cell.cache_place is not None:
        place = cell.cache_place if "://" in cell.cache_place else Path(cell.cache_place)
    limits = Limits(max_bytes=cell.cache_max_bytes, ttl_s=dict(cell.cache_ttl_s))
    return Cache(place, cell.level.cache, clock=clock, limits=limits)


def _span_cost_ns(clock: Clock, n_spans: int = 500) -> int:
    """Measure what one span costs here and now, for the record's own account of the instrument."""
    tracer = Tracer(clock)
    start_ns = clock.now_ns()
    for _ in range(n_spans):
        with tracer.span("framework", "probe"):
            continue
    return (clock.now_ns() - start_ns) // n_spans


def record_of(cell: Cell, bench: Bench, measured: Measured) -> Record:
    """The record of a measured cell, graded against its work."""
    run, answer, counts = measured.resources, measured.answer, measured.resources.counts
    ok = measured.error is None
    seconds = measured.wall_ns / 1e9
    hits = sum(run.cache.hits.values())
    record = Record(
        **_identity(cell) | {"cache_state": _cache_state(cell, hits)},
        status="ok" if ok else "failed",
        error=measured.error,
        wall_ns=measured.wall_ns,
        prompt_tokens=counts.prompt_tokens,
        completion_tokens=counts.completion_tokens,
        total_tokens=counts.prompt_tokens + counts.completion_tokens,
        tokens_source=counts.tokens_source,
        # Served wholly from cache, a run has no token rate; zero would be a false alarm.
        tokens_per_s=(counts.prompt_tokens + counts.completion_tokens) / seconds
        if counts.model_calls
        else None,
        n_agents=len(ROSTERS[cell.level.roster]),
        n_tool_calls=counts.tool_calls,
        n_tool_executions=tool_executions(measured.spans),
        n_model_calls=counts.model_calls,
        cache_hits=hits,
        cache_misses=sum(run.cache.misses.values()),
        cache_saved_s=run.cache.saved_s,
        cache_saved_tokens=run.cache.saved_tokens,
        cache_troubles=", ".join(f"{what} {n}" for what, n in sorted(run.cache.troubles.items())) or None,
        cost_usd=_cost_usd(run),
        load_s=None if cell.is_virtual else bench.load_s,
        other_cpu_share=measured.other_cpu,
        started_at=measured.started_at,
        model_hash=bench.model.file_hash,
        slowest_tool=_slowest_tool(measured.spans),
        load1=measured.load1,
        instrument_s=None if cell.is_virtual else measured.instrument_ns / 1e9,
        **({} if answer is None else grades(bench.work, answer)),
    )
    return with_alerts(record, load_rules())


@lru_cache(maxsize=256)
def _identity(cell: Cell) -> dict[str, Any]:
    """What is simulated hundreds of times is hashed once."""
    return identity(cell)


def _cost_usd(run: Resources) -> float | None:
    """Dollars by the profile's prices; the embedded model costs none, another provider's price is unknown."""
    profile = run.model.profile
    if profile is None:
        return 0.0 if run.model.id.startswith("embedded") else None
    counts = run.counts
    return profile.prices.cost_usd(counts.prompt_tokens, counts.cached_tokens, counts.completion_tokens)


def _cache_state(cell: Cell, hits: int) -> str:
    """Cold means no hit at all: a run that asked the same thing twice (a model may) was mixed."""
    return "mixed" if cell.cache_state == "cold" and hits else cell.cache_state


def _slowest_tool(spans: Sequence[Span]) -> str | None:
    tools = [span for span in spans if span.category == "tool"]
    return max(tools, key=lambda span: span.end_ns - span.start_ns).name if tools else None
