"""Sales on disk: DuckDB, or pandas in chunks, finds the facts that the frame gives, in one pass over it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sales_frames import OPTIONAL, dataset_of, random_frame

from swarmlab.data import Dataset, open_dataset
from swarmlab.errors import DataError, ToolError
from swarmlab.tools import TOOLS, Scope, SharedFrame, run_tool
from swarmlab.tools.chunked_sales import ChunkedSales
from swarmlab.tools.grouped_sales import SalesOnDisk
from swarmlab.tools.rows import FrameRows
from swarmlab.tools.sales import Sales
from swarmlab.tools.sql_sales import SalesTable

TWELVE = [tool for tool in TOOLS.values() if not tool.rows and tool.table == "sales"]
DIMENSIONS = ("brand", "category", "region", "store_id", "month", "day", "weekday")
SCOPES = st.builds(
    Scope,
    brands=st.sampled_from([(), ("Brand 13",), ("Brand 01", "nobody")]),
    categories=st.sampled_from([(), ("Tea",), ("Cola", "Água")]),
    budget=st.sampled_from([1000.0, 123_456.78]),
    forecast_periods=st.integers(1, 4),
)


def _facts(source: pd.DataFrame | SalesOnDisk, scope: Scope) -> list[str]:
    """All facts of each tool as they would be printed, or the words of its error."""
    found = []
    for tool in TWELVE:
        try:
            found.append(repr(tool.fn(source, scope)))
        except ToolError as error:
            found.append(str(error))
    return found


def _assert_same_facts(dataset: Dataset, frame: pd.DataFrame, scope: Scope) -> None:
    expected = _facts(frame, scope)
    assert _facts(SalesTable.of(dataset), scope) == expected
    assert _facts(ChunkedSales(dataset), scope) == expected


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.sampled_from([1, 7, 300]),
    days=st.sampled_from([1, 45, 200, 900]),
    columns=st.sets(st.sampled_from(OPTIONAL)),
    gaps=st.sampled_from([0, 3]),
    scope=SCOPES,
)
def test_facts_are_those_of_the_frame(
    seed: int,
    rows: int,
    days: int,
    columns: set[str],
    gaps: int,
    scope: Scope,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """For any small frame and scope each tool says the same of the frame, the table and the chunks."""
    frame = random_frame(seed, rows, days=days, columns=tuple(sorted(columns)))
    for name in columns:
        frame.loc[frame.index[:gaps], name] = None
    dataset = dataset_of(frame, tmp_path_factory.mktemp("sales"))
    _assert_same_facts(dataset, frame, scope)


@pytest.mark.parametrize("cost", ["total_cost", "cost_per_unit", "profit"])
def test_costs_are_those_of_the_frame(cost: str, tmp_path: Path) -> None:
    """In each of its three forms, with gaps, a cost adds up alike."""
    frame = random_frame(5, 500, columns=())
    frame[cost] = np.round(np.random.default_rng(1).uniform(0, 3, 500), 3)
    frame.loc[frame.index[::7], cost] = None
    _assert_same_facts(dataset_of(frame, tmp_path), frame, Scope())


def test_facts_of_the_generated_data_are_those_of_the_frame(tmp_path: Path) -> None:
    """Regions, countries, stores and costs over three years, whole and within a region and a category."""
    dataset = open_dataset("beverage:30000", cache_dir=tmp_path)
    for scope in (
        Scope(),
        Scope(regions=("South", "Ontario"), categories=("Cola", "Tea"), brands=("Dewdrop",)),
    ):
        _assert_same_facts(dataset, dataset.load(), scope)


def test_facts_of_the_grocery_data_are_those_of_the_frame() -> None:
    """The reference data: 1.4 million rows, every fact the same."""
    dataset = open_dataset("grocery")
    scope = Scope(brands=("Private",))
    assert _facts(SalesTable.of(dataset), scope) == _facts(dataset.load(), scope)


@settings(max_examples=25, deadline=None)
@given(dimensions=st.lists(st.sampled_from(DIMENSIONS), max_size=3, unique=True))
def test_sums_by_any_dimensions_are_those_of_the_frame(
    dimensions: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Dimensions that no prepared group tells apart are grouped by another scan."""
    frame = random_frame(8, 200, days=70)
    table = SalesTable.of(dataset_of(frame, tmp_path_factory.mktemp("sums")))
    held, on_disk = (Sales(source, Scope(), tool="kpis", needs=("brand",)) for source in (frame, table))
    for measure in ("rows", "revenue", "units", "cost", "discount"):
        assert np.array_equal(held.sums(measure, *dimensions), on_disk.sums(measure, *dimensions))


def test_one_scan_serves_all_tools_and_threads(tmp_path: Path) -> None:
    """Twelve tools in eight threads read the file once; another scope reads it twice more, names and sums."""
    dataset = dataset_of(random_frame(2, 1000), tmp_path)
    shared = SharedFrame(dataset)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda tool: run_tool(tool.name, Scope(), dataset, "vectorized", shared), TWELVE * 2))
    assert shared.sums.scans == 1
    run_tool("kpis", Scope(categories=("Tea",)), dataset, "vectorized", shared)
    assert shared.sums.scans == 3
    assert not shared.is_loaded


def test_tools_work_by_hand_on_a_file(tmp_path: Path) -> None:
    """A Parquet or CSV is enough; one without the required columns, or gone, is named."""
    frame = random_frame(3, 100, columns=())
    dataset = dataset_of(frame, tmp_path)
    expected = TOOLS["market_share"].fn(frame, Scope())
    assert TOOLS["market_share"].fn(SalesTable(dataset.columnar), Scope()) == expected
    assert TOOLS["market_share"].fn(SalesTable(dataset.path), Scope()) == expected
    frame.drop(columns="brand").to_parquet(tmp_path / "no.parquet")
    with pytest.raises(DataError, match="missing required column brand"):
        SalesTable(tmp_path / "no.parquet")
    with pytest.raises(DataError, match=r"gone\.parquet: cannot be read"):
        SalesTable(tmp_path / "gone.parquet")


def test_a_file_over_the_limit_is_read_in_chunks_by_the_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit is never read whole: same facts by both implementations."""
    dataset = dataset_of(random_frame(4, 3000), tmp_path)
    whole = run_tool("kpis", Scope(), dataset, "baseline")
    large = replace(dataset, rows=10**8)
    monkeypatch.setattr(Dataset, "read", lambda self: pytest.fail("read whole"))
    assert run_tool("kpis", Scope(), large, "baseline") == whole
    assert run_tool("kpis", Scope(), large, "vectorized").facts == whole.facts
    with pytest.raises(DataError, match="set SWARMLAB_MEMORY_LIMIT higher"):
        SharedFrame(large).frame()


def test_tools_never_write_to_the_frame(tmp_path: Path) -> None:
    """All columns and their buffers are, byte for byte, what they were, and the tools share them uncopied."""
    dataset = dataset_of(random_frame(6, 500), tmp_path)
    frame = SharedFrame(dataset).frame()
    before = frame.copy(deep=True)
    for tool in TWELVE:
        tool.fn(frame, Scope(categories=("Tea",)))
        tool.fn(frame, Scope())
    pd.testing.assert_frame_equal(frame, before)


def test_tools_share_the_buffers_of_the_frame(tmp_path: Path) -> None:
    """Two tools look at the same memory: neither names nor amounts of the frame are copied for a tool."""
    frame = SharedFrame(dataset_of(random_frame(6, 500), tmp_path)).frame()
    for column in ("total_revenue", "units_sold", "total_cost"):
        first, second = (FrameRows(frame, {})._column(column) for _ in range(2))
        assert np.shares_memory(first, second)
        assert np.shares_memory(first, frame[column].to_numpy())
