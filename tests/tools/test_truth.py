"""Ground truth: the tools' facts against SQL on the same data."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sales_frames import OPTIONAL, dataset_of, random_frame

from swarmlab.data import Dataset, open_dataset
from swarmlab.data.schema import LARGEST, LARGEST_TOTAL
from swarmlab.tools import DEFAULT_PLAN, Fact, Scope, SharedFrame, entities, run_tool, truth


def _facts(dataset: Dataset, scope: Scope) -> dict[str, Fact]:
    shared = SharedFrame(dataset)
    return {
        fact.id: fact
        for name in DEFAULT_PLAN
        for fact in run_tool(name, scope, dataset, "vectorized", shared).facts
    }


def _check(dataset: Dataset, scope: Scope) -> dict[str, float | int | str]:
    true, found = truth(dataset, scope), _facts(dataset, scope)
    assert {name: found[name].value if name in found else "missing" for name in true} == true
    assert {name.split(".")[0] for name in true} == set(DEFAULT_PLAN)
    return true


@pytest.mark.parametrize(
    "scope",
    [
        Scope(),
        Scope(
            brands=("Dewdrop", "Lumen Lemonade"), campaign_type="launch", budget=5000.5, forecast_periods=1
        ),
        Scope(categories=("Cola", "Tea"), regions=("Ontario", "Quebec", "West")),
    ],
    ids=["everything", "focus", "restricted"],
)
def test_beverage_facts_are_true(scope: Scope) -> None:
    """With costs, regions and partial end months, in and out of scope."""
    true = _check(open_dataset("beverage:20000"), scope)
    assert len(true) > 100


def test_grocery_facts_are_true() -> None:
    """On the real transactions, with discounts and stores."""
    true = _check(open_dataset("grocery"), Scope(brands=("Private",)))
    assert true["market_overview.n_full_months"] == 12
    assert len(true) > 100


@pytest.mark.parametrize("columns", [(), ("discount_value",), ("store_id", "country"), OPTIONAL], ids=str)
def test_facts_are_true_whatever_columns_there_are(tmp_path: Path, columns: tuple[str, ...]) -> None:
    """The fallbacks of a file with the five required columns and more are as true as the rest."""
    true = _check(dataset_of(random_frame(7, 1500, columns=columns), tmp_path), Scope(brands=("Brand 13",)))
    assert len(true) > 30


@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 20, 60, 150, 800]),
    st.sets(st.sampled_from(OPTIONAL)),
    st.sampled_from(
        [Scope(), Scope(categories=("Tea",)), Scope(brands=("Brand 12",), campaign_type="retention")]
    ),
)
@settings(max_examples=25, deadline=None)
def test_facts_of_random_data_are_true(
    tmp_path_factory: pytest.TempPathFactory, seed: int, days: int, columns: set[str], scope: Scope
) -> None:
    """From a day to two years of rows, with any optional columns."""
    frame = random_frame(seed, 300, days=days, columns=tuple(sorted(columns)))
    if scope.categories and not (frame["category"] == "Tea").any():
        return
    _check(dataset_of(frame, tmp_path_factory.mktemp("data")), scope)


def test_facts_of_monthly_data_are_true(tmp_path: Path) -> None:
    """Data dated on the last of each month, with one month missing."""
    frame = random_frame(9, 900, days=800)
    frame["sale_date"] = frame["sale_date"] + pd.offsets.MonthEnd(0)
    frame = frame[frame["sale_date"] != "2023-06-30"].reset_index(drop=True)
    true = _check(dataset_of(frame, tmp_path), Scope())
    assert "time_series.revenue[month=2023-06]" not in true
    assert true["market_overview.n_full_months"] == frame["sale_date"].nunique()


def test_ties_are_true(tmp_path: Path) -> None:
    """Brands, categories and months of equal revenue are told apart by name in both computations."""
    days = pd.date_range("2023-01-01", "2023-04-30")
    rows = [(day, b, c) for day in days[::-1] for b in ("B", "A") for c in ("y", "x")]
    frame = pd.DataFrame(rows, columns=["sale_date", "brand", "category"])
    frame = frame.assign(units_sold=1.0, total_revenue=0.1)
    true = _check(dataset_of(frame, tmp_path), Scope())
    assert (true["market_share.leader"], true["cross_section.top_category"]) == ("A", "x")
    assert true["brand_performance.fastest_growing"] == "A"


@pytest.mark.parametrize(("last", "answer"), [(2.0, "no brand declines"), (0.5, "none")])
def test_a_brand_called_none_is_true(tmp_path: Path, last: float, answer: str) -> None:
    """SQL and tool tell a brand of that name from there being no declining brand."""
    days = pd.date_range("2023-01-01", "2023-02-28")
    frame = pd.DataFrame([(day, b) for day in days for b in ("none", "A")], columns=["sale_date", "brand"])
    revenue = (frame["sale_date"].dt.month == 1).map({True: 1.0, False: last})
    frame = frame.assign(
        category="x", units_sold=1.0, total_revenue=revenue.where(frame["brand"] == "none", 2.0)
    )
    frame.loc[(frame["brand"] == "A") & (frame["sale_date"].dt.month == 2), "total_revenue"] = 4.0
    dataset = dataset_of(frame, tmp_path)
    assert _check(dataset, Scope())["brand_performance.fastest_declining"] == answer
    assert "no brand declines" not in entities(dataset, Scope())["brands"]


def test_the_largest_amounts_do_not_overflow(tmp_path: Path) -> None:
    """Rows and totals at the limits of the checks are ranked, and their facts agree."""
    frame = random_frame(3, 900, columns=()).assign(units_sold=LARGEST, total_revenue=LARGEST)
    assert frame["total_revenue"].sum() == LARGEST_TOTAL
    _check(dataset_of(frame, tmp_path), Scope())


def test_entities_are_ranked_by_revenue_within_scope() -> None:
    """Names come largest first; a scope narrows them."""
    dataset = open_dataset("beverage:20000")
    frame = dataset.load()
    names = entities(dataset, Scope())
    by_brand = frame.groupby("brand", observed=True)["total_revenue"].sum().sort_values(ascending=False)
    assert names["brands"] == by_brand.index.astype(str).tolist()
    assert set(names["regions"]) == set(frame["region"])
    assert entities(dataset, Scope(categories=("Cola",)))["brands"] == ["Alder Cola", "Boreal Cola"]


def test_data_without_places_have_no_regions(tmp_path: Path) -> None:
    """Categories stand in for regions in a tool, but are not offered as regions."""
    assert entities(dataset_of(random_frame(1, columns=()), tmp_path), Scope())["regions"] == []
