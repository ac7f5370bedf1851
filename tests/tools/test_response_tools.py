"""Promotion lift, price elasticity, budget by response: planted effects, and data that cannot show any."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sales_frames import values
from scipy.optimize import brentq
from shopper_frames import shopper_frame, weekly_frame

from swarmlab.tools.budget_response import budget_response
from swarmlab.tools.facts import NOT_AVAILABLE
from swarmlab.tools.price_elasticity import price_elasticity
from swarmlab.tools.promotion_lift import promotion_lift
from swarmlab.tools.scope import Scope


def test_a_planted_lift_is_found() -> None:
    """Promotions that add 60 % are in the 95 % interval in 34 of 40 samples or more, season or not."""
    covered = 0
    for seed in range(40):
        found = values(promotion_lift(weekly_frame(seed, articles=60, elasticity=0.0, lift=0.6)))
        covered += found["unit_lift_low_pct"] <= 60 <= found["unit_lift_high_pct"]
        assert found["unit_lift_pct"] == pytest.approx(60, abs=2.5)
        assert found["finding"] == "sales are higher"
        assert found["lift_pct[category=Tea]"] == found["unit_lift_pct"]
    assert covered >= 34


def test_the_lift_is_that_of_a_regression_with_dummies() -> None:
    """It equals a Poisson regression with a dummy for each article and quarter and for each week."""
    frame = weekly_frame(5, articles=6, weeks=26, elasticity=0.0, lift=0.4)
    week = (frame["sale_date"] - frame["sale_date"].min()).dt.days // 7
    quarter = frame["brand"] + (week // 13).astype(str)
    # One week of each quarter is left out: with its articles' dummies they would add up to the same.
    of_week = pd.get_dummies(week).drop(columns=[0, 13])
    dummies = pd.concat([pd.get_dummies(quarter), of_week], axis=1)
    design = np.column_stack([frame["on_promotion"], dummies.to_numpy(float)])
    fit = sm.GLM(frame["units_sold"], design, family=sm.families.Poisson()).fit(tol=1e-12)
    found = values(promotion_lift(frame))
    assert found["unit_lift_pct"] == pytest.approx(100 * np.expm1(fit.params.iloc[0]), abs=0.051)


def test_a_season_is_not_taken_for_a_lift() -> None:
    """Promotions without effect that cluster in high season show under 6 %, not the plain 10 % or more."""
    frame = weekly_frame(3, articles=80, elasticity=0.0, lift=0.0)
    on = frame["on_promotion"] > 0
    assert frame.loc[on, "units_sold"].mean() / frame.loc[~on, "units_sold"].mean() > 1.1
    assert abs(values(promotion_lift(frame))["unit_lift_pct"]) < 6


def test_the_lift_is_a_ratio_of_sums() -> None:
    """Twenty large articles that double outweigh twenty small ones that do not answer at all."""
    large = weekly_frame(1, articles=20, elasticity=0.0, lift=1.0, base=2000)
    small = weekly_frame(2, articles=20, elasticity=0.0, lift=0.0, base=20)
    both = pd.concat([large, small.assign(brand="small " + small["brand"])])
    assert values(promotion_lift(both))["unit_lift_pct"] == pytest.approx(100, abs=6)


@pytest.mark.parametrize("flag", [0.0, 1.0])
def test_without_a_contrast_there_is_no_lift(flag: float) -> None:
    """Never or always on promotion: not identified, with the share that is known."""
    found = values(promotion_lift(weekly_frame(1).assign(on_promotion=flag)))
    assert (found["unit_lift_pct"], found["best_category"]) == (NOT_AVAILABLE, NOT_AVAILABLE)
    assert found["finding"] == "not identified by these data"
    assert found["promoted_units_pct"] == 100 * flag


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_elasticity_is_found(seed: int) -> None:
    """An elasticity of -2 is found within its interval, though dear articles sell less and seasons vary."""
    found = values(price_elasticity(weekly_frame(seed, base=20_000)))
    assert found["elasticity_low"] <= -2 <= found["elasticity_high"]
    assert found["elasticity_high"] - found["elasticity_low"] < 0.2
    assert (found["weeks_sold_pct"], found["demand"]) == (100.0, "elastic")
    assert (found["demand"], found["articles"], found["cells"]) == ("elastic", 30, 30 * 52)


@pytest.mark.parametrize("seed", range(3))
def test_articles_that_sell_too_seldom_are_told(seed: int) -> None:
    """With empty weeks an elasticity of -1.3 is found too near to zero: said so, and not called inelastic."""
    found = values(price_elasticity(weekly_frame(seed, base=1.0, elasticity=-1.3)))
    assert found["weeks_sold_pct"] < 90
    assert found["elasticity"] > -1.0
    assert found["finding"] == "estimated too near to zero, for articles sell in too few weeks"
    assert found["demand"] != "inelastic"


def test_categories_have_their_own_elasticities() -> None:
    """Two planted elasticities are told apart, and the more sensitive category is named."""
    parts = [
        weekly_frame(seed, base=20_000, elasticity=slope, categories=(name,)).assign(
            brand=lambda f, name=name: name + f["brand"]
        )
        for seed, slope, name in ((1, -0.5, "Milk"), (2, -2.5, "Soup"))
    ]
    found = values(price_elasticity(pd.concat(parts)))
    assert found["elasticity_low[category=Milk]"] <= -0.5 <= found["elasticity_high[category=Milk]"]
    assert found["elasticity_low[category=Soup]"] <= -2.5 <= found["elasticity_high[category=Soup]"]
    assert found["most_sensitive_category"] == "Soup"


def test_few_articles_are_clustered_by_week() -> None:
    """Three articles still give an interval that covers the planted value, by effects of the quarter."""
    found = values(price_elasticity(weekly_frame(7, base=20_000, articles=3)))
    assert found["elasticity_low"] < -2 < found["elasticity_high"]


def test_the_elasticity_does_not_hang_on_how_rows_are_cut() -> None:
    """A week's row cut into two days of the same price gives the same facts."""
    frame = weekly_frame(2, articles=8)
    daily = frame.assign(
        sale_date=frame["sale_date"] + pd.Timedelta(days=6), units_sold=0.0, total_revenue=0.0
    )
    cut = pd.concat([frame, daily])
    assert values(price_elasticity(cut))["elasticity"] == values(price_elasticity(frame))["elasticity"]


def test_constant_prices_identify_nothing() -> None:
    """Where each article always costs the same there is no elasticity, and the finding says why."""
    frame = weekly_frame(1)
    found = values(price_elasticity(frame.assign(total_revenue=frame["units_sold"] * 3)))
    assert found["elasticity"] == found["elasticity_low"] == found["demand"] == NOT_AVAILABLE
    assert found["finding"] == "not identified: prices do not vary enough within an article"


@pytest.mark.parametrize("tool", [price_elasticity, promotion_lift, budget_response])
@pytest.mark.parametrize(
    "rows", [slice(0, 1), slice(0, 3), slice(0, 0, -1)], ids=["one", "three", "none sold"]
)
def test_too_few_data_are_told_without_a_warning(tool, rows: slice) -> None:
    """One row, a few weeks, or weeks in which nothing was sold: not available, no warning, no NaN."""
    frame = (
        weekly_frame(1).iloc[rows]
        if rows.step is None
        else weekly_frame(1).assign(units_sold=0.0, total_revenue=0.0, discount_value=0.0)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        facts = tool(frame)
    assert facts[0].value.startswith("not ")
    assert not any("nan" in fact.text for fact in facts)


def _budget(seed: int = 1, budget: float = 300_000.0) -> dict[str, float | int | str]:
    parts = [
        weekly_frame(seed + i, articles=40, elasticity=0.0, depth_slope=slope, categories=(name,)).assign(
            brand=lambda f, name=name: name + f["brand"]
        )
        for i, (name, slope) in enumerate((("Strong", 5.0), ("Weak", 3.0), ("Dull", 0.5)))
    ]
    return values(budget_response(pd.concat(parts), Scope(budget=budget)))


def test_money_goes_where_the_planted_response_is() -> None:
    """The planted slopes are found; the strong category gets most, and the dull one nothing."""
    found = _budget()
    for name, slope in (("Strong", 5.0), ("Weak", 3.0), ("Dull", 0.5)):
        planted = 100 * np.expm1(slope / 100)
        low, high = found[f"response_low[category={name}]"], found[f"response_high[category={name}]"]
        assert low - 0.05 <= planted <= high + 0.05
    strong, weak = found["allocation[category=Strong]"], found["allocation[category=Weak]"]
    assert strong > weak > 0
    assert found["allocation[category=Dull]"] in (0, NOT_AVAILABLE)
    assert strong + weak == pytest.approx(found["allocated"], abs=2)
    assert found["allocated"] + found["left_over"] == pytest.approx(300_000, abs=1)
    assert found["top_funded"] == "Strong"
    assert found["added_revenue_low"] < found["added_revenue"] < found["added_revenue_high"]


def test_no_other_split_brings_more() -> None:
    """The plan's added revenue equals the best of four hundred splits over the same curves."""
    found = _budget(budget=200_000.0)
    names = ("Strong", "Weak")
    slope = {n: 100 * np.log1p(found[f"response[category={n}]"] / 100) for n in names}
    today = {n: found[f"depth_pct[category={n}]"] / 100 for n in names}
    spent = {n: found[f"allocation[category={n}]"] for n in names}
    planned = {n: found[f"planned_depth_pct[category={n}]"] / 100 for n in names}

    def given(n: str, depth: float) -> float:
        return depth * np.exp(slope[n] * depth)

    # The size of each curve follows from what the plan spends on it.
    base = {n: spent[n] / (given(n, planned[n]) - given(n, today[n])) for n in names}

    def added(n: str, depth: float) -> float:
        return base[n] * (
            (1 - depth) * np.exp(slope[n] * depth) - (1 - today[n]) * np.exp(slope[n] * today[n])
        )

    def after(n: str, money: float) -> float:
        """What a category adds when so much more is given away in it."""
        depth = brentq(lambda x: base[n] * (given(n, x) - given(n, today[n])) - money, today[n], 0.9)
        return added(n, depth)

    best = max(after("Strong", x) + after("Weak", 200_000 - x) for x in np.linspace(0, 200_000, 401))
    assert sum(spent.values()) == pytest.approx(200_000, abs=2)
    assert min(spent.values()) > 0
    assert found["added_revenue"] == pytest.approx(best, rel=0.03)


def test_data_that_show_no_response_split_nothing() -> None:
    """Discounts that moved nothing get no money, and no fixed rule steps in."""
    found = values(budget_response(weekly_frame(4, elasticity=0.0, depth_slope=1e-9)))
    assert found["finding"] == "not shown by these data"
    assert {found[name] for name in ("allocated", "left_over", "added_revenue", "top_funded")} == {
        NOT_AVAILABLE
    }


def test_more_budget_than_pays_is_left_over() -> None:
    """A budget beyond what discounts earn back, or beyond what was tried, is told as left over."""
    found = _budget(budget=1e9)
    assert found["left_over"] > 0.9e9
    assert all(
        value <= 40.5 for key, value in found.items() if key.startswith("planned_depth_pct") and value != 0
    )


def test_random_rows_give_facts_without_nan() -> None:
    """Rows without any planted effect give facts or say "not available"."""
    for seed in range(5):
        for tool in (price_elasticity, promotion_lift, budget_response):
            facts = tool(shopper_frame(seed, 600))
            assert not any("nan" in fact.text or "inf" in fact.text.split() for fact in facts)
