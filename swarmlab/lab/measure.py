"""Measure one cell: set everything up, run the swarm once under the clock, grade the answer, keep the record.

Loading data, model and exam is outside the measured time and reported beside it; the measured time is exactly
the root span of the run.
"""

import asyncio
import gc
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from swarmlab.agents.answer import Answer
from swarmlab.agents.quality import (
    chance_accuracy,
    decision_accuracy,
    fact_coverage,
    groundedness,
    keyword_choices,
)
from swarmlab.agents.questions import Exam, set_exam
from swarmlab.agents.resources import Resources
from swarmlab.agents.rosters import ROSTERS
from swarmlab.agents.swarm import run_swarm
from swarmlab.data import Dataset, open_dataset
from swarmlab.errors import DataError, SwarmlabError
from swarmlab.lab.experiment import Cell
from swarmlab.lab.identity import identity
from swarmlab.models import LoadedModel, load_model
from swarmlab.records.alerts import load_rules, with_alerts
from swarmlab.records.manifest import cpu_reading, other_cpu_share
from swarmlab.records.record import Record
from swarmlab.records.store import write_run
from swarmlab.tools import Scope, SharedFrame, check_scope, entities, truth
from swarmlab.tools.cache import Cache, content_key
from swarmlab.tools.scope import region_dimension
from swarmlab.trace.clock import Clock, WallClock
from swarmlab.trace.spans import Span
from swarmlab.trace.tracer import Tracer

_PRIMED = "primed"


@dataclass(frozen=True)
class Bench:
    """What is set up before the clock starts."""

    dataset: Dataset
    model: LoadedModel
    required: Mapping[str, float | int | str]
    exam: Exam
    load_s: float


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


async def ameasure(cell: Cell) -> Record:
    """Run a cell, write its run folder, and return its record; a failed run is a record too.

    Raises
    ------
    UserError
        The data, the model or the brief cannot be used; nothing was measured.
    """
    clock = WallClock()
    bench = await asyncio.to_thread(_set_up, cell, clock)
    measured = None
    try:
        if cell.cache_state == "cold":
            shutil.rmtree(cell.cache_folder, ignore_errors=True)
        elif not (cell.cache_folder / _PRIMED).exists() and cell.level.cache:
            # Warm means: filled by an identical run before. Where that one fails, so has this run.
            measured = await _run_once(cell, bench, clock)
        if measured is None or measured.error is None:
            measured = await _run_once(cell, bench, clock)
    finally:
        bench.model.close()
    record = _record(cell, bench, measured)
    if record.status == "ok" and cell.level.cache:
        (cell.cache_folder / _PRIMED).touch()
    answer = measured.answer
    write_run(
        Path(cell.out),
        record,
        measured.spans,
        answer=None if answer is None else _answer_json(cell, bench, answer),
        answer_md=None if answer is None else answer.report,
    )
    return record


async def run_together(cells: Sequence[Cell]) -> list[Measured]:
    """Start cold runs of several cells at once, on one loaded model and without a cache on disk."""
    clock = WallClock()
    benches = [await asyncio.to_thread(_set_up, cells[0], clock)]
    model = benches[0].model
    try:
        for cell in cells[1:]:
            benches.append(await asyncio.to_thread(_set_up, cell, clock, model))
        uncached = [c.model_copy(update={"level": c.level.model_copy(update={"cache": ()})}) for c in cells]
        pairs = zip(uncached, benches, strict=True)
        return await asyncio.gather(*(_run_once(cell, bench, clock) for cell, bench in pairs))
    finally:
        model.close()


def measure(cell: Cell) -> Record:
    """`ameasure` for synchronous callers, also where an event loop already runs (a notebook)."""
    # A thread of its own has no running loop, whatever the caller has.
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(lambda: asyncio.run(ameasure(cell))).result()


def _set_up(cell: Cell, clock: Clock, model: LoadedModel | None = None) -> Bench:
    start_ns = clock.now_ns()
    dataset = open_dataset(cell.data)
    if dataset.fingerprint != cell.data_fingerprint:
        raise DataError(f"{cell.data}: its content has changed since the run was planned; start again")
    scope = cell.brief.scope
    check_scope(scope, entities(dataset, Scope()))
    known = truth(dataset, scope)
    required = {i: value for i, value in known.items() if i.partition(".")[0] in cell.brief.plan}
    place = (region_dimension(dataset.columns) or "region").removesuffix("_id")
    exam = set_exam(required, entities(dataset, scope), seed=cell.seed, place=place)
    if model is None:
        model = load_model(cell.model, clock=clock, seed=cell.seed, base_url=cell.base_url)
    return Bench(dataset, model, required, exam, (clock.now_ns() - start_ns) / 1e9)


async def _run_once(cell: Cell, bench: Bench, clock: Clock) -> Measured:
    tracer = Tracer(clock)
    cache = Cache(cell.cache_folder if cell.level.cache else None, cell.level.cache)
    run = Resources(
        brief=cell.brief,
        level=cell.level,
        dataset=bench.dataset,
        model=bench.model,
        clock=clock,
        tracer=tracer,
        cache=cache,
        shared=SharedFrame(bench.dataset),
        questions=bench.exam.questions,
        seed=cell.seed,
        code_version=cell.code_version,
        workers=cell.workers,
        faults=frozenset(cell.faults),
    )
    span_ns = _span_cost_ns(clock)
    gc.collect()
    load1 = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    started_at, before = clock.utc_now(), cpu_reading()
    answer, error = None, None
    try:
        answer = await run_swarm(run)
        error = "; ".join(answer.errors) or None
    except SwarmlabError as failure:
        error = str(failure)
    except Exception as failure:  # noqa: BLE001 - whatever broke the run, it stays a row, with its error.
        error = f"{type(failure).__name__}: {failure}"
    finally:
        other_cpu = other_cpu_share(before, cpu_reading())
        cache.close()
    spans = tuple(tracer.finished())
    instrument_ns = span_ns * len(spans)
    return Measured(spans, answer, error, run, other_cpu, load1, started_at, instrument_ns)


def _span_cost_ns(clock: Clock, n_spans: int = 500) -> int:
    """Measure what one span costs here and now, for the record's own account of the instrument."""
    tracer = Tracer(clock)
    start_ns = clock.now_ns()
    for _ in range(n_spans):
        with tracer.span("framework", "probe"):
            continue
    return (clock.now_ns() - start_ns) // n_spans


def _record(cell: Cell, bench: Bench, measured: Measured) -> Record:
    run, answer, counts = measured.resources, measured.answer, measured.resources.counts
    ok = measured.error is None
    seconds = measured.wall_ns / 1e9
    hits = sum(run.cache.hits.values())
    record = Record(
        **identity(cell) | {"cache_state": _cache_state(cell, hits)},
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
        n_tool_executions=run.tool_executions,
        n_model_calls=counts.model_calls,
        cache_hits=hits,
        cache_misses=sum(run.cache.misses.values()),
        cost_usd=0.0 if cell.model.startswith("embedded") else None,
        load_s=bench.load_s,
        other_cpu_share=measured.other_cpu,
        started_at=measured.started_at,
        model_hash=bench.model.file_hash,
        slowest_tool=_slowest_tool(measured.spans),
        load1=measured.load1,
        instrument_s=measured.instrument_ns / 1e9,
        **({} if answer is None else _grades(bench, answer)),
    )
    return with_alerts(record, load_rules())


def _cache_state(cell: Cell, hits: int) -> str:
    """Cold means no hit at all: a run that asked the same thing twice (a model may) was mixed."""
    return "mixed" if cell.cache_state == "cold" and hits else cell.cache_state


def _grades(bench: Bench, answer: Answer) -> dict[str, Any]:
    keyword = keyword_choices(bench.exam.questions, answer.facts)
    return {
        "fact_coverage": fact_coverage(answer, bench.required),
        "groundedness": groundedness(answer),
        "decision_accuracy": decision_accuracy(answer.choices, bench.exam),
        "keyword_accuracy": decision_accuracy(keyword, bench.exam),
        "chance_accuracy": chance_accuracy(bench.exam),
        "facts_hash": content_key({"facts": [asdict(fact) for fact in answer.facts]})[:16],
    }


def _answer_json(cell: Cell, bench: Bench, answer: Answer) -> dict[str, Any]:
    right = bench.exam.answers
    return {
        "run_id": cell.run_id,
        "level": cell.level.model_dump(mode="json"),
        "brief": cell.brief.model_dump(mode="json"),
        "data": {
            "name": bench.dataset.name,
            "fingerprint": bench.dataset.fingerprint,
            "rows": bench.dataset.rows,
        },
        "facts": [asdict(fact) for fact in answer.facts],
        "required_facts": dict(bench.required),
        "notes": [asdict(note) for note in answer.notes],
        "decisions": [
            {
                "id": question.id,
                "question": question.text,
                "options": list(question.options),
                "choice": answer.choices.get(question.id),
                "right": right[question.id],
                "is_right": answer.choices.get(question.id) == right[question.id],
            }
            for question in bench.exam.questions
        ],
        "errors": list(answer.errors),
    }


def _slowest_tool(spans: Sequence[Span]) -> str | None:
    tools = [span for span in spans if span.category == "tool"]
    return max(tools, key=lambda span: span.end_ns - span.start_ns).name if tools else None
