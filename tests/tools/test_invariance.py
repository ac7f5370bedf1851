"""What must not change a fact: the order of rows, their dtypes, their parts, the calls before."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sales_frames import OPTIONAL, as_categorical, random_frame

from swarmlab.data import REQUIRED
from swarmlab.errors import ToolError
from swarmlab.tools import DEFAULT_PLAN, TOOLS, Fact, Scope

SCOPE = Scope(brands=("Brand 13",), budget=12345.67)


def _all_facts(frame: pd.DataFrame, scope: Scope = SCOPE) -> list[tuple[Fact, ...]]:
    return [tool.fn(frame, scope) for tool in (TOOLS[name] for name in DEFAULT_PLAN)]


@given(st.integers(0, 10_000), st.sampled_from([25, 70, 400]), st.sets(st.sampled_from(OPTIONAL)))
@settings(max_examples=12, deadline=None)
def test_order_dtypes_and_partition_do_not_matter(seed: int, days: int, columns: set[str]) -> None:
    """Shuffled, categorical, cut into files and put together otherwise: the same facts in the same order."""
    frame = random_frame(seed, 600, days=days, columns=tuple(sorted(columns)))
    expected = _all_facts(frame)
    rng = np.random.default_rng(seed)
    shuffled = frame.iloc[rng.permutation(len(frame))]
    parts = [part for _, part in frame.groupby(rng.integers(0, 5, len(frame)))]
    assert _all_facts(shuffled) == expected
    assert _all_facts(as_categorical(shuffled.reset_index(drop=True))) == expected
    assert _all_facts(pd.concat(parts[::-1], ignore_index=True)) == expected
    assert _all_facts(frame.astype({"brand": object, "category": object, "units_sold": int})) == expected


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_unit_of_the_dates_does_not_matter(unit: str) -> None:
    """Seconds or nanoseconds, a day is a day."""
    frame = random_frame(1, 300)
    dated = frame.assign(sale_date=frame["sale_date"].astype(f"datetime64[{unit}]"))
    assert _all_facts(dated) == _all_facts(frame)


@pytest.mark.parametrize("name", list(DEFAULT_PLAN))
def test_a_tool_changes_nothing_in_the_frame(name: str) -> None:
    """A shared frame is the same after the tool, down to read-only blocks and the index."""
    frame = as_categorical(random_frame(2, 200))
    before = frame.copy(deep=True)
    for column in ("units_sold", "total_revenue", "total_cost", "discount_value"):
        frame[column].to_numpy().flags.writeable = False
    TOOLS[name].fn(frame, SCOPE)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("name", list(DEFAULT_PLAN))
def test_the_five_required_columns_are_enough(name: str) -> None:
    """Every tool has something to say about the smallest canonical frame, with two headline facts or more."""
    facts = TOOLS[name].fn(random_frame(3, 500, columns=()), Scope())
    assert 2 <= sum(fact.headline for fact in facts) <= 7
    assert len({fact.id for fact in facts}) == len(facts)
    for fact in facts:
        assert fact.id.startswith(f"{name}.")
        assert fact.tool == name
        assert 0 <= fact.rows <= 500
        assert fact.label.strip()
        assert "nan" not in fact.text


@pytest.mark.parametrize("name", list(DEFAULT_PLAN))
@pytest.mark.parametrize("column", REQUIRED)
def test_a_missing_column_is_named_if_the_tool_needs_it(name: str, column: str) -> None:
    """Without a column it declares a tool fails with its name, without any other it works."""
    frame = random_frame(4, 300).drop(columns=column)
    if column in TOOLS[name].needs:
        with pytest.raises(ToolError, match=f"tool {name} failed: the data have no column {column}"):
            TOOLS[name].fn(frame, Scope())
    else:
        assert TOOLS[name].fn(frame, Scope())


def test_the_catalogue_has_the_twelve_in_their_order() -> None:
    """Each entry is found under its own name and says what it does."""
    order = (
        "market_overview, market_share, time_series, cross_section, regional_performance, profitability, "
        "brand_performance, kpis, sales_forecast, roi, budget_plan, recommendations"
    )
    assert ", ".join(DEFAULT_PLAN) == order
    assert all(tool.name == name and tool.description.endswith(".") for name, tool in TOOLS.items())


@pytest.mark.parametrize("name", list(DEFAULT_PLAN))
def test_a_single_row_is_enough(name: str) -> None:
    """One sale makes a small market, not a crash."""
    assert TOOLS[name].fn(random_frame(5, 1), Scope())
