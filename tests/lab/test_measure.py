"""Measuring one cell with a scripted model: the record, the files, and what a failure leaves."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from lab_fakes import FakeChat, cell_of

from swarmlab.agents.levels import LEVELS
from swarmlab.errors import DataError
from swarmlab.lab import Cell, ameasure, measure, trace_bottlenecks
from swarmlab.records.record import Record
from swarmlab.records.store import read_record, run_folder
from swarmlab.tools import DEFAULT_PLAN, TOOLS
from swarmlab.trace.attribution import attribute
from swarmlab.trace.io import read_spans
from swarmlab.trace.spans import Span

pytestmark = pytest.mark.usefixtures("chat")


def _folder(cell: Cell) -> Path:
    return run_folder(Path(cell.out), cell.level.name, cell.run_id)


def _answer(cell: Cell) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((_folder(cell) / "answer.json").read_text(encoding="utf-8"))
    return answer


def _root(spans: list[Span]) -> Span:
    (root,) = (span for span in spans if span.parent_id is None)
    return root


@pytest.mark.parametrize("level", LEVELS)
def test_a_run_of_any_level_is_whole(tmp_path: Path, level: str) -> None:
    """Equal work, every fact right, no cache hit when cold, and time that adds up to the nanosecond."""
    cell = cell_of(tmp_path, level=level)
    record = measure(cell)
    assert record.error is None
    assert (record.status, record.level, record.n_tool_calls) == ("ok", level, len(DEFAULT_PLAN))
    assert (record.fact_coverage, record.groundedness, record.cache_hits) == (1.0, 1.0, 0)
    assert record.n_tool_executions == len(DEFAULT_PLAN)
    assert record.n_agents == {"six": 6, "three": 3, "two": 2}[LEVELS[level].roster]
    assert record.n_model_calls is not None
    assert record.total_tokens == 12 * record.n_model_calls
    spans = read_spans(_folder(cell))
    attribution = attribute(spans)
    assert record.wall_ns == _root(spans).end_ns - _root(spans).start_ns == attribution.wall_ns
    assert sum(attribution.exclusive_by_category.values()) == record.wall_ns
    assert sum(attribution.exclusive_by_span.values()) == record.wall_ns
    assert read_record(_folder(cell)) == record


def test_all_levels_have_one_work_and_one_set_of_facts(tmp_path: Path) -> None:
    """Runs of every level carry the same work id and the same hash of all tool facts."""
    records = [measure(cell_of(tmp_path, level=level)) for level in ("blackboard", "full")]
    assert len({record.work_id for record in records}) == 1
    assert len({record.facts_hash for record in records}) == 1


def test_a_failing_tool_fails_the_run_and_keeps_its_siblings(tmp_path: Path) -> None:
    """The record names the tool; the other tools' facts are in the answer; the spans are on disk."""
    cell = cell_of(tmp_path, faults=("kpis",))
    record = measure(cell)
    assert record.status == "failed"
    assert record.error is not None
    assert "tool kpis failed" in record.error
    answer = _answer(cell)
    assert {fact["tool"] for fact in answer["facts"]} == set(DEFAULT_PLAN) - {"kpis"}
    assert answer["errors"] == [record.error]
    failed = [span.name for span in read_spans(_folder(cell)) if span.status == "error"]
    assert failed == ["kpis"]
    assert record.wall_ns is not None
    assert record.fact_coverage is not None
    assert record.fact_coverage < 1


def test_all_tools_failing_is_still_a_record(tmp_path: Path) -> None:
    """With every tool broken each one is named and nothing else breaks."""
    record = measure(cell_of(tmp_path, faults=DEFAULT_PLAN))
    assert record.status == "failed"
    assert all(f"tool {name} failed" in (record.error or "") for name in DEFAULT_PLAN)


def test_a_failed_run_is_not_stored_as_an_answer(tmp_path: Path) -> None:
    """A run with a failed tool leaves no analysis in the cache, so it fails when it is repeated warm, too."""
    measure(cell_of(tmp_path, faults=("kpis",)))
    warm = measure(cell_of(tmp_path, faults=("kpis",), cache_state="warm"))
    assert warm.status == "failed"


@pytest.mark.parametrize("level", ["full", "blackboard"])
@pytest.mark.parametrize("fails_at", [1, 5])
def test_a_model_error_leaves_a_failed_row_with_the_spans_so_far(
    tmp_path: Path, chat: FakeChat, level: str, fails_at: int
) -> None:
    """The error is the record's, and what was traced until then is on disk and adds up."""
    chat.fails_at = fails_at
    cell = cell_of(tmp_path, level=level)
    record = measure(cell)
    assert record.status == "failed"
    assert record.error == f"the fake failed at call {fails_at}"
    assert record.n_model_calls == fails_at - 1
    spans = read_spans(_folder(cell))
    assert _root(spans).status == "error"
    assert attribute(spans).wall_ns == record.wall_ns
    assert not (_folder(cell) / "answer.json").exists()


def test_agents_side_by_side_survive_the_failure_of_one_as_a_record(tmp_path: Path, chat: FakeChat) -> None:
    """Six agents in dataflow: one model error cancels the others and still leaves one whole trace."""
    chat.fails_at = 2
    level = {"name": "wide", "base": "blackboard", "agent_schedule": "dataflow", "tool_schedule": "parallel"}
    cell = cell_of(tmp_path, level=level)
    record = measure(cell)
    assert record.status == "failed"
    assert "the fake failed at call 2" in (record.error or "")
    assert attribute(read_spans(_folder(cell))).wall_ns == record.wall_ns


def _counts(record: Record) -> tuple[int | None, int | None, int | None]:
    return record.cache_hits, record.n_tool_executions, record.n_model_calls


def test_warm_after_cold_is_served_from_the_cache(tmp_path: Path) -> None:
    """The warm run calls no tool and no model, and its facts, choices and quality are the cold run's."""
    cold_cell = cell_of(tmp_path)
    warm_cell = cell_of(tmp_path, cache_state="warm")
    cold, warm = measure(cold_cell), measure(warm_cell)
    assert cold.cache_hits == 0
    assert _counts(warm) == (1, 0, 0)
    assert warm.n_tool_calls == cold.n_tool_calls == len(DEFAULT_PLAN)
    assert warm.tokens_per_s is None
    assert (warm.facts_hash, warm.work_id) == (cold.facts_hash, cold.work_id)
    assert _answer(warm_cell)["decisions"] == _answer(cold_cell)["decisions"]
    assert (_folder(warm_cell) / "answer.md").read_text() == (_folder(cold_cell) / "answer.md").read_text()


def test_warm_without_a_cold_run_primes_itself(tmp_path: Path) -> None:
    """A warm run alone is preceded by an unmeasured one, and is as warm as any."""
    warm = measure(cell_of(tmp_path, cache_state="warm"))
    assert _counts(warm) == (1, 0, 0)


def test_a_warm_run_of_a_tools_cache_still_asks_the_model(tmp_path: Path, chat: FakeChat) -> None:
    """`partial` caches tools only: twelve hits, no execution, the model asked anew."""
    cold = measure(cell_of(tmp_path, level="partial"))
    asked = len(chat.calls)
    warm = measure(cell_of(tmp_path, level="partial", cache_state="warm"))
    assert _counts(warm) == (len(DEFAULT_PLAN), 0, cold.n_model_calls)
    assert len(chat.calls) == 2 * asked


def test_cold_again_is_cold(tmp_path: Path) -> None:
    """A cold cell measured in a folder whose cache is full starts from nothing, as one made again does."""
    measure(cell_of(tmp_path, cache_state="warm"))
    assert measure(cell_of(tmp_path)).cache_hits == 0


def test_data_that_has_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    """Other content than the cell was planned for is a clear error, and nothing is written."""
    cell = cell_of(tmp_path / "out").model_copy(update={"data_fingerprint": "0" * 64})
    with pytest.raises(DataError, match="content has changed"):
        measure(cell)
    assert not (tmp_path / "out").exists()


async def test_it_runs_under_a_running_event_loop(tmp_path: Path) -> None:
    """A notebook's loop runs already; `measure` and `ameasure` both work there."""
    assert asyncio.get_running_loop().is_running()
    assert measure(cell_of(tmp_path)).status == "ok"
    assert (await ameasure(cell_of(tmp_path, repeat=1))).status == "ok"


def test_the_record_says_what_was_run(tmp_path: Path) -> None:
    """Cell, seed, code, data, roster and the lossy switches of the level are in the record."""
    cell = cell_of(tmp_path, repeat=3, seed=5, order=7)
    record = measure(cell)
    assert (record.cell_id, record.run_id) == (cell.cell_id, cell.run_id)
    assert (record.repeat, record.pair, record.seed, record.order) == (3, 3, 5, 7)
    assert (record.code_version, record.data_fingerprint) == (cell.code_version, cell.data_fingerprint)
    assert (record.roster, record.lossy_switches) == ("two", ("roster", "context", "output"))
    assert record.slowest_tool in TOOLS
    assert record.clock == "wall"


def test_the_breakdown_of_a_run_on_disk_is_the_records(tmp_path: Path) -> None:
    """What `swarmlab bottlenecks` says of a run folder lasts as long as its record."""
    cell = cell_of(tmp_path)
    record = measure(cell)
    assert trace_bottlenecks(_folder(cell))["wall_s"] == record.duration_s


def test_a_cold_run_with_hits_is_called_mixed(tmp_path: Path) -> None:
    """Under `tool_choice: model` two agents may ask for the same tool; that run was not cold throughout."""
    record = measure(cell_of(tmp_path, brief={"tool_choice": "model"}))
    assert record.cache_hits
    assert record.cache_state == "mixed"


def test_a_shared_place_serves_other_experiments(tmp_path: Path) -> None:
    """A warm run fills the place once; the same work elsewhere is served from it, and a cold run never is."""
    fields = {"level": "full", "cache_place": str(tmp_path / "shared")}
    first = measure(cell_of(tmp_path / "one", cache_state="warm", **fields))
    elsewhere = measure(cell_of(tmp_path / "two", cache_state="warm", **fields))
    cold = measure(cell_of(tmp_path / "three", cache_state="cold", **fields))
    assert [record.cache_hits for record in (first, elsewhere, cold)] == [1, 1, 0]
    assert [record.cache_state for record in (first, elsewhere, cold)] == ["warm", "warm", "cold"]
    assert first.facts_hash == elsewhere.facts_hash == cold.facts_hash
    assert elsewhere.cache_saved_s is not None
    assert elsewhere.cache_saved_s > 0
    assert elsewhere.cache_saved_tokens == cold.total_tokens


def test_a_cleared_cache_is_filled_before_a_warm_run(tmp_path: Path) -> None:
    """Entries that somebody removed meanwhile are not taken for granted: the run is warm all the same."""
    cell = cell_of(tmp_path, level="full", cache_state="warm")
    measure(cell)
    (cell.cache_folder / "cache.sqlite").unlink()
    shutil.rmtree(_folder(cell))
    assert measure(cell).cache_hits == 1
