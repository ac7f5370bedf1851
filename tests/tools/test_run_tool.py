"""Running a tool: both ways give the same facts, the frame is loaded once, errors keep the tool's name."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from sales_frames import OPTIONAL, dataset_of, random_frame

from swarmlab.data import Dataset
from swarmlab.errors import SpecError, ToolError
from swarmlab.tools import DEFAULT_PLAN, Scope, SharedFrame, run_tool
from swarmlab.tools.run import MAX_LINES, columns_used, fact_line


class CountingDataset(Dataset):
    """Counts how often its columnar file is loaded."""

    loads: list[list[str] | None]

    def load(self, columns: object = None) -> pd.DataFrame:
        self.loads.append(columns)  # type: ignore[arg-type]
        return super().load(columns)  # type: ignore[arg-type]


@pytest.fixture(name="dataset", scope="module")
def _dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset_of(random_frame(1, 2000), tmp_path_factory.mktemp("run"))


def _counting(dataset: Dataset) -> CountingDataset:
    counting = CountingDataset(**{name: getattr(dataset, name) for name in dataset.__dataclass_fields__})
    object.__setattr__(counting, "loads", [])
    return counting


@pytest.mark.parametrize("name", list(DEFAULT_PLAN))
def test_both_implementations_give_the_same_facts(dataset: Dataset, name: str) -> None:
    """Reading the file anew and sharing the columns differ in time and wording only."""
    scope = Scope(brands=("Brand 13",))
    baseline = run_tool(name, scope, dataset, "baseline")
    vectorized = run_tool(name, scope, dataset, "vectorized", SharedFrame(dataset))
    assert baseline.facts == vectorized.facts
    assert baseline.tool == vectorized.tool == name


@pytest.mark.parametrize("name", list(DEFAULT_PLAN))
def test_every_line_of_a_text_is_a_fact(dataset: Dataset, name: str) -> None:
    """Both texts are lines of facts, and hold every headline and every name found."""
    answer = run_tool(name, Scope(), dataset, "vectorized", None)
    lines = [fact_line(fact) for fact in answer.facts]
    must = [
        fact_line(fact)
        for fact in answer.facts
        if fact.headline or (fact.unit in ("name", "month", "weekday") and "[" not in fact.id)
    ]
    assert answer.text.splitlines() == must
    verbose = run_tool(name, Scope(), dataset, "baseline").text.splitlines()
    listed = [line.removeprefix("- ") for line in verbose if line.startswith("- ")]
    assert set(must) <= set(listed) <= set(lines)
    assert len(listed) == min(MAX_LINES, len(lines))


def test_many_threads_load_the_frame_once(dataset: Dataset) -> None:
    """The first to ask for the frame loads it; the others wait and share it."""
    counting = _counting(dataset)
    shared = SharedFrame(counting)
    assert not shared.is_loaded
    with ThreadPoolExecutor(8) as pool:
        frames = list(pool.map(lambda _: shared.frame(), range(24)))
    assert len(counting.loads) == 1
    assert shared.is_loaded
    assert all(frame is frames[0] for frame in frames)
    pd.testing.assert_frame_equal(frames[0], dataset.load(counting.loads[0]))


def test_only_columns_that_tools_read_are_loaded() -> None:
    """Prices and margins by row are never used, and of several forms of cost one is."""
    columns = ("sale_date", "brand", "category", "units_sold", "price_per_unit", "total_revenue")
    assert columns_used(columns) == ["sale_date", "brand", "category", "units_sold", "total_revenue"]
    assert (
        columns_used((*columns, "cost_per_unit", "total_cost", "profit", "profit_margin"))[-1] == "total_cost"
    )
    assert set(OPTIONAL) <= set(columns_used((*columns, *OPTIONAL)))


def test_a_failure_names_the_tool_and_keeps_the_cause(dataset: Dataset) -> None:
    """A broken dataset is reported as the tool's failure, with the error that caused it."""
    broken = replace(dataset, path=Path("nowhere.csv"))
    with pytest.raises(ToolError, match="tool kpis failed: ") as failure:
        run_tool("kpis", Scope(), broken, "baseline")
    assert failure.value.tool == "kpis"
    assert failure.value.__cause__ is not None


def test_unknown_tools_and_implementations_are_refused(dataset: Dataset) -> None:
    """The message lists what there is."""
    with pytest.raises(SpecError, match="unknown tool 'magic'; known are market_overview"):
        run_tool("magic", Scope(), dataset, "baseline")
    with pytest.raises(SpecError, match="unknown tool_impl 'magic'"):
        run_tool("kpis", Scope(), dataset, "magic")  # type: ignore[arg-type]
