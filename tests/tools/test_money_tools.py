"""Profitability, ROI and budget plan on frames worked out by hand, and the split's invariants."""

import math
from decimal import Decimal
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sales_frames import tiny_frame, values

from swarmlab.tools import NOT_AVAILABLE, Scope, budget_plan, profitability, roi
from swarmlab.tools.budget_plan import bounded_shares, largest_remainder

SALES = tiny_frame(
    [
        ("2023-01-01", "A", "Tea", 10, 100.0),
        ("2023-01-31", "A", "Tea", 10, 300.0),
        ("2023-02-01", "B", "Cola", 50, 100.0),
        ("2023-02-28", "B", "Cola", 50, 300.0),
    ]
)


def test_margins_are_weighted_and_recomputed() -> None:
    """A margin is profit over revenue of sums; a margin column of the file is not averaged."""
    frame = SALES.assign(total_cost=[90.0, 150.0, 50.0, 50.0], profit_margin=[99.0, 1.0, 99.0, 1.0])
    facts = values(profitability(frame))
    assert facts["basis"] == "margin over cost"
    assert facts["total_profit"] == 460
    assert facts["margin_pct"] == 57.5
    assert (facts["margin_pct[category=Tea]"], facts["margin_pct[category=Cola]"]) == (40.0, 75.0)
    assert (facts["best_margin_category"], facts["worst_margin_category"]) == ("Cola", "Tea")


def test_rows_without_cost_are_in_no_margin() -> None:
    """A row whose cost is not known counts neither as free nor as unsold."""
    frame = SALES.assign(total_cost=[90.0, None, 50.0, 50.0])
    facts = values(profitability(frame))
    assert facts["margin_pct[category=Tea]"] == 10.0
    assert facts["total_profit"] == 310


def test_discount_depth_is_of_the_list_value() -> None:
    """Without cost, depth is what was given away over what the list price would have fetched."""
    facts = values(profitability(SALES.assign(discount_value=[100.0, 0.0, 0.0, None])))
    assert facts["gross_revenue"] == 900
    assert (facts["discount_depth_pct"], facts["price_realisation_pct"]) == (11.1, 88.9)
    assert facts["discount_depth_pct[category=Tea]"] == 20.0
    assert (facts["deepest_discount_category"], facts["shallowest_discount_category"]) == ("Tea", "Cola")
    assert "no cost" in str(facts["basis"])


def test_realisation_is_against_the_best_monthly_price() -> None:
    """With neither cost nor discount, each brand's best month in a category is the reference."""
    frame = tiny_frame(
        [
            ("2023-01-01", "A", "Tea", 10, 100.0),
            ("2023-02-01", "A", "Tea", 30, 150.0),
            ("2023-02-01", "B", "Cola", 10, 20.0),
        ]
    )
    facts = values(profitability(frame))
    assert facts["price_realisation_pct[category=Tea]"] == 62.5
    assert facts["price_realisation_pct[category=Cola]"] == 100.0
    assert facts["price_realisation_pct"] == 64.3
    assert (facts["best_realisation_category"], facts["worst_realisation_category"]) == ("Cola", "Tea")


def test_roi_on_cost() -> None:
    """Return is profit over cost, and the budget is set against expected profit."""
    frame = SALES.assign(total_cost=[100.0, 100.0, 50.0, 50.0])
    facts = values(roi(frame, Scope(budget=300, forecast_periods=2)))
    assert facts["baseline_revenue"] == 800
    assert facts["breakeven_uplift_pct"] == 60.0  # of 500 profit in two months
    assert (facts["gross_roi_pct[category=Tea]"], facts["gross_roi_pct[category=Cola]"]) == (100.0, 300.0)
    assert (facts["best_return_category"], facts["worst_return_category"]) == ("Cola", "Tea")


def test_roi_on_discounts() -> None:
    """Return is revenue for each unit of currency given away; a category without discounts has none."""
    facts = values(roi(SALES.assign(discount_value=[50.0, 50.0, 0.0, 0.0]), Scope(budget=80)))
    assert facts["revenue_per_discount_unit[category=Tea]"] == 4.0
    assert facts["revenue_per_discount_unit[category=Cola]"] == NOT_AVAILABLE
    assert facts["best_return_category"] == "Tea"
    assert facts["breakeven_uplift_pct"] == 6.7


def test_roi_on_revenue_alone() -> None:
    """With neither, a category that needs less uplift to earn the budget back returns best."""
    more_cola = tiny_frame([("2023-02-02", "B", "Cola", 1, 100.0)])
    facts = values(roi(pd.concat([SALES, more_cola]), Scope(budget=100, forecast_periods=1)))
    assert facts["breakeven_uplift_pct"] == 22.2
    assert facts["breakeven_uplift_pct[category=Tea]"] == 50.0
    assert facts["breakeven_uplift_pct[category=Cola]"] == 40.0
    assert facts["best_return_category"] == "Cola"


def test_budget_follows_revenue_and_growth() -> None:
    """Equal revenue, but one category stopped and one began: the latter's weight is three times as high."""
    frame = tiny_frame(
        [
            ("2023-01-01", "A", "Tea", 1, 300.0),
            ("2023-02-28", "A", "Tea", 1, 100.0),
            ("2023-01-01", "A", "Cola", 1, 100.0),
            ("2023-02-28", "A", "Cola", 1, 300.0),
            ("2023-02-28", "A", "Rum", 1, 400.0),
        ]
    )
    facts = values(budget_plan(frame, Scope(budget=1000)))
    assert (facts["growth_pct[category=Tea]"], facts["growth_pct[category=Cola]"]) == (-66.7, 200.0)
    # Weights 200, 600 and 400 make 16.7, 50 and 33.3 %; the cap leaves Cola 40 % and shares the rest 1 to 2.
    assert facts["allocation[category=Cola]"] == 400
    assert facts["allocation[category=Tea]"] == 200
    assert facts["allocation[category=Rum]"] == 400
    assert (facts["top_funded"], facts["least_funded"]) == ("Cola", "Tea")


@pytest.mark.parametrize(("campaign", "growth_counts"), [("retention", False), ("launch", True)])
def test_the_campaign_type_tilts_the_split(campaign: str, growth_counts: bool) -> None:
    """A retention campaign pays for what sells, a launch for what grows."""
    frame = tiny_frame(
        [
            ("2023-01-01", "A", "Tea", 1, 400.0),
            ("2023-02-28", "A", "Tea", 1, 400.0),
            ("2023-01-01", "A", "Cola", 1, 300.0),
            ("2023-02-28", "A", "Cola", 1, 450.0),
        ]
    )
    facts = values(budget_plan(frame, Scope(campaign_type=campaign)))
    assert facts["top_funded"] == ("Cola" if growth_counts else "Tea")


@given(
    st.decimals(min_value=1, max_value=10**7, places=2),
    st.lists(st.floats(0, 1e9), min_size=1, max_size=12),
)
def test_the_parts_sum_to_the_budget_exactly(budget: Decimal, weights: list[float]) -> None:
    """Not a cent is lost or made, whatever the weights."""
    names = [f"c{i}" for i in range(len(weights))]
    parts = largest_remainder(float(budget), bounded_shares([w + 1e-3 for w in weights]), names)
    assert sum(Decimal(str(part)) for part in parts) == budget
    assert all(part >= 0 for part in parts)
    if budget == budget.to_integral_value():
        assert all(part == int(part) for part in parts)


@given(st.lists(st.floats(1e-6, 1e12), min_size=1, max_size=20))
def test_bounded_shares_keep_floor_cap_and_order(weights: list[float]) -> None:
    """Shares sum to one, lie within the bounds as far as their number allows, in the weights' order."""
    shares = bounded_shares(weights)
    n = len(weights)
    assert math.isclose(sum(shares), 1)
    assert min(shares) >= min(0.02, 1 / n) - 1e-9
    assert max(shares) <= max(0.40, 1 / n) + 1e-9
    ranked = [share for _, share in sorted(zip(weights, shares, strict=True))]
    assert all(a <= b + 1e-12 for a, b in pairwise(ranked))


def test_equal_remainders_go_by_name() -> None:
    """Three equal parts of a hundred: the odd unit goes to the first name."""
    assert largest_remainder(100, [1 / 3] * 3, ["c", "a", "b"]) == [33, 34, 33]
