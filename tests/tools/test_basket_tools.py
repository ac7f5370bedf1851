"""Basket affinity, brand health and the data profile: planted pairs, counts by hand, gaps that are told."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sales_frames import random_frame, values
from shopper_frames import shopper_frame

from swarmlab.errors import ToolError
from swarmlab.tools.basket_affinity import Pair, basket_affinity
from swarmlab.tools.brand_health import brand_health
from swarmlab.tools.brand_performance import brand_performance
from swarmlab.tools.data_profile import data_profile
from swarmlab.tools.facts import NOT_AVAILABLE


def _baskets(contents: list[str]) -> pd.DataFrame:
    """One basket a text; each letter of it is an item."""
    rows = [(str(i), letter) for i, basket in enumerate(contents) for letter in basket]
    frame = pd.DataFrame(rows, columns=["basket_id", "product"])
    return frame.assign(sale_date=pd.Timestamp("2023-01-01"), category="c", units_sold=1.0, total_revenue=1.0)


def test_a_planted_pair_is_found() -> None:
    """A and B share 40 of 100 baskets, each in 50: support 40 %, confidence 80 %, lift 1.6."""
    found = values(basket_affinity(_baskets(["AB"] * 40 + ["A"] * 10 + ["B"] * 10 + ["C"] * 40)))
    assert (found["strongest_pair"], found["baskets"], found["pairs_considered"]) == ("A + B", 100, 1)
    assert found["support_pct[pair=A + B]"] == 40.0
    assert (found["confidence_pct[pair=A + B]"], found["lift[pair=A + B]"]) == (80.0, 1.6)
    assert found["lift_low[pair=A + B]"] < 1.6 < found["lift_high[pair=A + B]"]
    assert found["confidence_low_pct[pair=A + B]"] < 80 < found["confidence_high_pct[pair=A + B]"]


def test_a_rare_pair_does_not_win_by_luck() -> None:
    """Two items in one common basket have the largest lift of all, and take no part."""
    found = values(basket_affinity(_baskets(["AB"] * 40 + ["A"] * 20 + ["B"] * 20 + ["XY"] + ["C"] * 40)))
    assert found["strongest_pair"] == "A + B"
    assert "lift[pair=X + Y]" not in found


def test_items_that_avoid_each_other_are_no_affinity() -> None:
    """A pair bought together less than by chance is counted, and not told as a pair."""
    found = values(basket_affinity(_baskets(["AB"] * 25 + ["A"] * 40 + ["B"] * 40)))
    assert (found["pairs_considered"], found["strongest_pair"]) == (1, NOT_AVAILABLE)


def test_a_line_twice_in_a_basket_counts_once() -> None:
    """The same item on two rows of a basket, or on one, is the same."""
    contents = ["AB"] * 30 + ["A"] * 30 + ["B"] * 10
    assert values(basket_affinity(_baskets([c + c for c in contents]))) == values(
        basket_affinity(_baskets(contents))
    )


def test_the_interval_of_a_lift_covers_it() -> None:
    """Over 400 samples of items bought independently it covers one in 92 % to 98 % of them."""
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        first, second = rng.random(500) < 0.3, rng.random(500) < 0.2
        pair = Pair("a", "b", int((first & second).sum()), int(first.sum()), int(second.sum()), 500)
        low, high = pair.lift_interval
        covered += low <= 1 <= high
    assert 368 <= covered <= 392


def test_without_products_categories_are_items() -> None:
    """A file with baskets and no product column compares categories."""
    frame = _baskets(["AB"] * 30 + ["C"] * 30)
    found = values(basket_affinity(frame.assign(category=frame["product"]).drop(columns="product")))
    assert (found["items"], found["strongest_pair"]) == ("categories", "A + B")


def test_one_basket_has_no_pair() -> None:
    """A single basket gives its count, no pair and no warning; empty ids are an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = values(basket_affinity(_baskets(["AB"])))
    assert (found["baskets"], found["strongest_pair"], found["items_per_basket"]) == (1, NOT_AVAILABLE, 2.0)
    with pytest.raises(ToolError, match="basket_id is empty"):
        basket_affinity(_baskets(["AB"]).assign(basket_id=None))


def test_penetration_and_loyalty_are_those_of_hand() -> None:
    """Of 4 households 3 buy A, on 4 days in all; its buyers spend 12, of which 8 on A."""
    rows = [("1", "A", 2.0, 1), ("1", "A", 2.0, 2), ("2", "A", 2.0, 1), ("2", "B", 4.0, 1)]
    rows += [("3", "A", 2.0, 5), ("4", "B", 9.0, 1), (None, "B", 50.0, 1)]
    frame = pd.DataFrame(rows, columns=["household_id", "brand", "total_revenue", "day"])
    frame = frame.assign(
        sale_date=pd.Timestamp("2023-01-01") + pd.to_timedelta(frame["day"], unit="D"),
        category="c",
        units_sold=1.0,
    )
    found = values(brand_health(frame))
    assert (found["penetration_pct[brand=A]"], found["purchases_per_buyer[brand=A]"]) == (75.0, 1.33)
    assert found["share_of_requirements_pct[brand=A]"] == pytest.approx(100 * 8 / 12, abs=0.05)
    assert found["penetration_pct[brand=B]"] == 50.0
    assert found["highest_penetration"] == "A"


def test_brand_health_agrees_with_brand_performance() -> None:
    """What both tell of a brand is the same; without households there is nothing about buyers."""
    frame = random_frame(3, 3000)
    health, performance = values(brand_health(frame)), values(brand_performance(frame))
    for brand in ("Brand 00", "Brand 05"):
        for metric in ("growth_pct", "share_change_points", "price_premium_pct"):
            assert health[f"{metric}[brand={brand}]"] == performance[f"{metric}[brand={brand}]"]
    assert health["strongest"] == performance["biggest_share_gain"]
    assert health["households"] == "not in the data"
    assert not any(key.startswith("penetration") for key in health)


def test_the_profile_counts_gaps_ranges_and_names() -> None:
    """Missing values, ends and different values are those of pandas; the period is the whole data's."""
    frame = shopper_frame(1, 500)
    found = values(data_profile(frame))
    missing = 100 * frame["household_id"].isna().mean()
    assert found["missing_pct[column=household_id]"] == pytest.approx(missing, abs=0.05)
    assert found["distinct[column=product]"] == frame["product"].nunique()
    assert found["largest[column=units_sold]"] == frame["units_sold"].max()
    assert found["first_date"] == frame["sale_date"].min().strftime("%Y-%m-%d")
    assert (found["rows"], found["columns"]) == (500, len(frame.columns))
    assert found["emptiest_column"] == "household_id"
    assert "region" in found["columns_absent"]
    assert "product" not in found["columns_absent"]


def test_a_profile_of_one_row_has_no_nan() -> None:
    """One row, and a column of numbers without any: not available rather than NaN."""
    frame = shopper_frame(1, 1).assign(discount_value=np.nan)
    facts = data_profile(frame)
    assert values(facts)["smallest[column=discount_value]"] == NOT_AVAILABLE
    assert not any("nan" in fact.text for fact in facts)
