"""Sales: exact sums by dimension, whatever the order, the dtypes or the way they are folded."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sales_frames import as_categorical, random_frame, tiny_frame

from swarmlab.tools.sales import TICK, Sales
from swarmlab.tools.scope import EVERYTHING, Scope


def _sales(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> Sales:
    return Sales(frame, scope, tool="kpis", needs=("brand",))


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_sums_are_those_of_pandas(seed: int) -> None:
    """Revenue by brand and category equals a pandas group-by to the last cent."""
    frame = random_frame(seed, 120)
    sales = _sales(frame)
    cube = sales.sums("revenue", "brand", "category") / TICK
    grouped = frame.groupby(["brand", "category"])["total_revenue"].sum()
    for (brand, category), revenue in grouped.items():
        cell = cube[sales.names("brand").index(brand), sales.names("category").index(category)]
        assert cell == pytest.approx(revenue, abs=1e-9)
    assert cube.sum() == pytest.approx(frame["total_revenue"].sum())


@given(
    st.integers(0, 1000),
    st.permutations(["brand", "category", "month"]),
    st.sampled_from(["revenue", "rows"]),
)
@settings(max_examples=25, deadline=None)
def test_folded_sums_equal_counted_ones(seed: int, dimensions: list[str], measure: str) -> None:
    """A sum folded from a wider table equals the same sum counted from the rows."""
    frame = random_frame(seed, 150)
    folded, counted = _sales(frame), _sales(frame)
    folded.tabulate((measure,), *dimensions)
    for wanted in ((), ("brand",), ("month",), ("category", "brand"), ("month", "category")):
        assert np.array_equal(folded.sums(measure, *wanted), counted.sums(measure, *wanted))


def test_rows_outside_full_months_are_in_no_month_but_in_the_whole() -> None:
    """A partial month is missing from the months and present in the total."""
    frame = tiny_frame(
        [("2023-01-31", "A", "x", 1, 5.0), ("2023-02-01", "A", "x", 1, 7.0), ("2023-02-28", "A", "x", 1, 1.0)]
    )
    sales = _sales(frame)
    assert sales.names("month") == ("2023-02",)
    assert (sales.sums("revenue", "month") / TICK).tolist() == [8.0]
    assert sales.total("revenue") == 13.0


def test_amounts_add_up_exactly() -> None:
    """Ten times ten cents make a unit, with no trace of binary fractions."""
    frame = tiny_frame([("2023-01-01", "A", "x", 1, 0.1)] * 10)
    assert _sales(frame).total("revenue") == 1.0


def test_empty_cells_of_a_dimension_are_named_unknown() -> None:
    """A row without a store still counts, under a name that says so."""
    frame = random_frame(1, 30)
    frame.loc[frame.index[:5], "store_id"] = None
    plain, typed = _sales(frame), _sales(as_categorical(frame))
    assert plain.names("store_id") == typed.names("store_id")
    position = plain.names("store_id").index("unknown")
    assert plain.sums("rows", "store_id")[position] == typed.sums("rows", "store_id")[position] == 5


def test_category_order_and_unused_categories_do_not_matter() -> None:
    """A categorical in any order, with names that no row has, gives the same entities."""
    frame = random_frame(2, 60)
    odd = frame.assign(
        category=pd.Categorical(frame["category"], categories=["Água", "Zzz", "Tea", "coffee", "Cola", "Aaa"])
    )
    plain, typed = _sales(frame), _sales(odd)
    assert [plain.names("category")[c] for c in plain.ranked("category")] == [
        typed.names("category")[c] for c in typed.ranked("category")
    ]


def test_ties_in_revenue_go_by_name() -> None:
    """Equal revenue is ranked alphabetically, not by the order of the rows."""
    rows = [("2023-01-01", name, "x", 1, 2.5) for name in ("C", "A", "B")]
    sales = _sales(tiny_frame(rows))
    assert [sales.names("brand")[code] for code in sales.ranked("brand")] == ["A", "B", "C"]


def test_unknown_costs_are_left_out_of_cost_and_of_its_revenue() -> None:
    """A margin never sets the revenue of a row against a cost that is not known."""
    frame = random_frame(3, 40)
    frame.loc[frame.index[:10], "total_cost"] = np.nan
    sales = _sales(frame)
    known = frame.dropna(subset=["total_cost"])
    assert sales.total("costed_revenue") == pytest.approx(known["total_revenue"].sum())
    assert sales.total("cost") == pytest.approx(known["total_cost"].sum())


@pytest.mark.parametrize("column", ["cost_per_unit", "profit"])
def test_cost_follows_from_unit_cost_or_profit(column: str) -> None:
    """Without a total cost it is recomputed from what there is."""
    frame = random_frame(4, 50)
    made = {
        "cost_per_unit": pd.Series(2.0, frame.index),
        "profit": frame["total_revenue"] - frame["total_cost"],
    }
    expected = {"cost_per_unit": 2.0 * frame["units_sold"].sum(), "profit": frame["total_cost"].sum()}
    told = frame.drop(columns="total_cost").assign(**{column: made[column]})
    assert _sales(told).total("cost") == pytest.approx(expected[column])


def test_an_unrestricting_scope_copies_nothing() -> None:
    """The codes of the whole frame are used as they are."""
    sales = _sales(as_categorical(random_frame(5, 20)))
    assert sales.axis("brand").codes is sales._rows._whole_axis("brand").codes
