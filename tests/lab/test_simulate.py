"""Simulated runs: the same answers and digits wherever they are made, and what is refused."""

import json
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from lab_fakes import DATA

from swarmlab.agents.levels import LEVELS
from swarmlab.agents.tool_runs import ToolAnswers
from swarmlab.data import open_dataset
from swarmlab.errors import SpecError, ToolError
from swarmlab.lab import Cell, make_cell, measure, simulate, simulate_levels
from swarmlab.lab.measure import run_once
from swarmlab.lab.simulate import Simulator
from swarmlab.models.profile import profile_path
from swarmlab.records.store import run_folder
from swarmlab.tools import DEFAULT_PLAN, TOOLS, Scope, run_tool
from swarmlab.tools.cache import Cache
from swarmlab.trace.attribution import attribute
from swarmlab.trace.clock import VirtualClock

DIGITS = """
import json, sys
from swarmlab.lab import make_cell
from swarmlab.lab.simulate import Simulator
cell = make_cell({"level": sys.argv[1], "data": sys.argv[2], "model": "simulated"})
record, measured = Simulator().run(cell)
spans = [[s.span_id, s.name, s.start_ns, s.end_ns, list(s.links), s.key] for s in measured.spans]
print(json.dumps([record.model_dump(mode="json"), spans]))
"""


def cell_of(level: str, **fields: object) -> Cell:
    """A simulated cell on a small dataset."""
    return make_cell({"level": level, "data": DATA, "model": "simulated", **fields})


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_does_the_whole_work(level: str) -> None:
    """Twelve tool requests, every required fact, time that adds up, and a clock that says virtual."""
    record, measured = Simulator().run(cell_of(level))
    assert (record.status, record.clock, record.profile) == ("ok", "virtual", "embedded-2core")
    assert (record.n_tool_calls, record.fact_coverage, record.groundedness) == (12, 1.0, 1.0)
    assert record.tokens_source == "simulated"
    assert (record.load_s, record.other_cpu_share, record.load1, record.instrument_s) == (None,) * 4
    assert record.started_at is not None
    assert record.started_at.year == 2000
    assert sum(attribute(measured.spans).exclusive_by_category.values()) == record.wall_ns


def test_levels_are_in_the_order_of_the_study() -> None:
    """Each level is faster than the one before it, by work saved and not by facts left out."""
    table = simulate_levels(data=DATA)
    assert list(table["level"]) == list(LEVELS)
    assert table["duration_s"].is_monotonic_decreasing
    assert (table["fact_coverage"] == 1).all()


def test_a_notebooks_measure_gives_the_same_spans_and_record(tmp_path: Path) -> None:
    """In a kernel's way (files, a store of facts) or in memory: the same trace to the nanosecond."""
    cell = cell_of("partial", out=str(tmp_path))
    on_disk = measure(cell)
    in_memory, measured = Simulator().run(cell)
    assert on_disk == in_memory
    told = (run_folder(tmp_path, "partial", cell.run_id) / "spans.jsonl").read_text().splitlines()
    assert [json.loads(line)["end_ns"] for line in told] == [span.end_ns for span in measured.spans]


def test_digits_are_the_same_in_other_processes_and_hash_seeds() -> None:
    """Two processes with different hash seeds print the same record and spans, byte for byte."""
    printed = {
        subprocess.run(
            [sys.executable, "-c", DIGITS, "full", DATA],
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_twenty_repeats_are_identical() -> None:
    """One simulator run twenty times over gives one record."""
    simulator = Simulator()
    assert len({simulator.run(cell_of("full"))[0].model_dump_json() for _ in range(20)}) == 1


def test_two_plans_of_one_scope_have_required_facts_of_their_own() -> None:
    """What the first brief has to find is not what the second, of two tools only, is held to."""
    simulator = Simulator()
    whole = cell_of("full")
    short = whole.model_copy(update={"brief": whole.brief.model_copy(update={"plan": ("kpis", "roi")})})
    known = [simulator.work(cell).required for cell in (whole, short)]
    assert {fact.partition(".")[0] for fact in known[1]} == {"kpis", "roi"}
    assert known[1] == Simulator().work(short).required
    assert len(known[0]) > len(known[1])


def test_repeats_of_an_experiment_differ_by_their_draws() -> None:
    """Two repeats of one work have jitters of their own and the same answer."""
    first, second = simulate([cell_of("full"), cell_of("full", repeat=1)])
    assert first.duration_s != second.duration_s
    assert first.facts_hash == second.facts_hash


def test_runs_at_once_share_the_model_and_the_machine() -> None:
    """Two runs started together each take longer than alone, and together less than twice as long."""
    simulator, clock = Simulator(), VirtualClock()
    cells = [cell_of("partial"), cell_of("partial", repeat=1, seed=1)]
    alone = [simulator.run(cell)[0].duration_s or 0.0 for cell in cells]
    bench = simulator.bench(cells[0], clock)

    async def both() -> list[float]:
        import asyncio  # noqa: PLC0415

        benches = [bench, simulator.at(bench, cells[1])]
        made = await asyncio.gather(
            *(run_once(c, b, clock, Cache(None, ())) for c, b in zip(cells, benches, strict=True))
        )
        return [one.wall_ns / 1e9 for one in made]

    together = clock.run(both())
    assert min(together) > max(alone)
    assert max(together) < 1.05 * sum(alone)


def test_a_fault_is_a_failed_run_with_its_siblings_facts() -> None:
    """A tool that fails in simulation fails as it does for real."""
    record, measured = Simulator().run(cell_of("full", faults=("kpis",)))
    assert record.status == "failed"
    assert "kpis" in str(record.error)
    assert measured.answer is not None
    assert {fact.tool for fact in measured.answer.facts} == set(DEFAULT_PLAN) - {"kpis"}


def test_a_shared_cache_serves_the_second_run() -> None:
    """The second run of the same analysis takes no simulated time, and counts its own hit."""
    simulator = Simulator()
    cache = Cache(None, LEVELS["full"].cache)
    first, _ = simulator.run(cell_of("full"), cache)
    second, _ = simulator.run(cell_of("full", repeat=1), cache)
    assert (first.cache_hits, second.cache_hits, second.cache_misses) == (0, 1, 0)
    assert second.duration_s == 0
    assert second.facts_hash == first.facts_hash


@pytest.mark.parametrize("impl", ["baseline", "vectorized"])
def test_simulated_tools_give_the_answers_of_real_ones(impl: str) -> None:
    """Facts and text are those of the implementation that the level names, from memory or from the store."""
    dataset, scope = open_dataset(DATA), Scope()
    store = Cache(None, ("facts",))
    for answers in (ToolAnswers(store), ToolAnswers(store)):
        for name in DEFAULT_PLAN:
            assert answers.get(dataset, name, scope, impl) == run_tool(name, scope, dataset, impl)
    assert store.hits["facts"] == len(DEFAULT_PLAN)


def test_a_tool_that_sleeps_in_real_time_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual time does not wait for a real sleep: the tool's call fails and says so."""
    real = TOOLS["kpis"]

    def sleepy(frame: pd.DataFrame, scope: Scope) -> object:
        import time  # noqa: PLC0415

        time.sleep(0.01)
        return real.fn(frame, scope)

    monkeypatch.setitem(TOOLS, "kpis", replace(real, fn=sleepy))
    record, _ = Simulator().run(cell_of("full"))
    assert record.status == "failed"
    assert "kpis" in str(record.error)
    assert "time.sleep" in str(record.error)


def test_only_simulated_models_are_simulated() -> None:
    """A real model's cell is refused before anything is loaded."""
    with pytest.raises(SpecError, match="only a simulated model"):
        Simulator().run(cell_of("full").model_copy(update={"model": "embedded"}))


def test_tool_errors_are_not_kept() -> None:
    """A tool that failed is run again when it is asked again."""
    dataset, answers = open_dataset(DATA), ToolAnswers()
    fails = threading.Event()
    fails.set()
    real = TOOLS["roi"]

    def once(frame: pd.DataFrame, scope: Scope) -> object:
        if fails.is_set():
            raise ToolError("roi", "for now")
        return real.fn(frame, scope)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TOOLS, "roi", replace(real, fn=once))
        with pytest.raises(ToolError, match="for now"):
            answers.get(dataset, "roi", Scope(), "vectorized")
        fails.clear()
        assert answers.get(dataset, "roi", Scope(), "vectorized").facts


def test_a_changed_profile_is_read_anew(tmp_path: Path) -> None:
    """A simulator keeps what it read of a profile until a cell names other figures."""
    path = tmp_path / "own.yaml"
    text = profile_path("embedded-2core").read_text()
    simulator = Simulator()
    durations = []
    for waits in ("time_to_first_token_s: 0.5", "time_to_first_token_s: 0.5", "time_to_first_token_s: 9.5"):
        path.write_text(re.sub(r"(?m)^time_to_first_token_s:.*$", waits, text))
        cell = make_cell({"level": "full", "data": DATA, "model": f"simulated:{path}"})
        record, _ = simulator.run(cell)
        assert record.model_hash == cell.profile_hash
        durations.append(record.duration_s)
    assert durations[0] == durations[1] < durations[2]
