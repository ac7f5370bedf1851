"""The tools that look at the market, on frames worked out by hand."""

import pandas as pd
import pytest
from sales_frames import tiny_frame, values

from swarmlab.tools import (
    NOT_AVAILABLE,
    Scope,
    brand_performance,
    cross_section,
    kpis,
    market_overview,
    market_share,
    regional_performance,
    time_series,
)
from swarmlab.tools.market_share import hhi_band

TWO_MONTHS = tiny_frame(
    [
        ("2023-02-28", "Fizz", "Cola", 10, 40.0),
        ("2023-01-01", "Fizz", "Cola", 10, 20.0),
        ("2023-01-31", "Still", "Water", 40, 20.0),
        ("2023-02-01", "Still", "Water", 20, 10.0),
        ("2023-02-10", "Pop", "Cola", 5, 10.0),
        ("2023-03-01", "Pop", "Cola", 50, 500.0),
    ]
)
"""January and February are full, one row of March is not."""


def test_overview_counts_and_weighs() -> None:
    """The average price is revenue over units, not the mean of prices."""
    facts = values(market_overview(TWO_MONTHS))
    assert facts == {
        "total_revenue": 600,
        "total_units": 135,
        "avg_price": 4.44,
        "n_rows": 6,
        "n_brands": 3,
        "n_categories": 2,
        "first_date": "2023-01-01",
        "last_date": "2023-03-01",
        "n_full_months": 2,
    }


def test_shares_and_concentration() -> None:
    """Shares are of all rows, and the HHI is the sum of their squares over all brands."""
    facts = values(market_share(TWO_MONTHS))
    assert (facts["leader"], facts["runner_up"]) == ("Pop", "Fizz")
    assert facts["revenue_share[brand=Pop]"] == 85.0
    assert facts["units_share[brand=Still]"] == 44.4
    assert facts["revenue_share[category=Water]"] == 5.0
    assert facts["hhi"] == 85**2 + 10**2 + 5**2
    assert facts["hhi_band"] == "high"


def test_hhi_counts_the_brands_that_are_not_reported() -> None:
    """Twenty equal brands make an HHI of 500 although ten are told of."""
    frame = tiny_frame([("2023-01-01", f"B{i:02d}", "x", 1, 5.0) for i in range(20)])
    facts = values(market_share(frame))
    assert facts["hhi"] == 500
    assert sum(name.startswith("revenue_share[brand=") for name in facts) == 10


@pytest.mark.parametrize(
    ("hhi", "band"), [(1499, "low"), (1500, "moderate"), (2500, "moderate"), (2501, "high")]
)
def test_bands_are_those_of_the_2010_guidelines(hhi: int, band: str) -> None:
    """The limits are 1,500 and 2,500."""
    assert hhi_band(hhi) == band


def test_one_brand_has_no_runner_up() -> None:
    """A market of one is as concentrated as can be."""
    facts = values(market_share(tiny_frame([("2023-01-01", "Solo", "x", 1, 1.0)])))
    assert (facts["runner_up"], facts["hhi"]) == (NOT_AVAILABLE, 10000)


def test_months_and_trend_come_from_full_months_only() -> None:
    """The big sale of the partial March bends neither the trend nor the peak."""
    facts = values(time_series(TWO_MONTHS))
    assert facts["left_out_months"] == "2023-03"
    assert (facts["revenue[month=2023-01]"], facts["revenue[month=2023-02]"]) == (40, 60)
    assert "revenue[month=2023-03]" not in facts
    assert (facts["half_change_pct"], facts["trend"]) == (50.0, "growing")
    assert facts["trend_pct_per_month"] == 40.0
    assert (facts["peak_month"], facts["trough_month"]) == ("2023-02", "2023-01")
    assert facts["season"] == NOT_AVAILABLE


def test_growth_is_not_available_with_one_full_month() -> None:
    """No growth is made up from a month and a bit."""
    frame = TWO_MONTHS[TWO_MONTHS["sale_date"] < "2023-02-10"]
    series, brands = values(time_series(frame)), values(brand_performance(frame))
    assert series["half_change_pct"] == series["trend"] == series["compared_months"] == NOT_AVAILABLE
    assert brands["growth_pct[brand=Fizz]"] == brands["fastest_declining"] == NOT_AVAILABLE


def test_no_full_month_leaves_every_monthly_fact_not_available() -> None:
    """Four days of data still give a valid, honest answer."""
    frame = tiny_frame([("2023-01-05", "A", "x", 2, 3.0), ("2023-01-08", "B", "x", 1, 3.0)])
    series, figures = values(time_series(frame)), values(kpis(frame))
    assert series["peak_month"] == series["trend_pct_per_month"] == NOT_AVAILABLE
    assert figures["revenue_last_full_month"] == figures["mom_change_pct"] == NOT_AVAILABLE
    assert figures["revenue_per_day"] == 1.5


def test_season_is_found_in_two_years_of_summer_sales() -> None:
    """A calendar month's index is its mean over the mean of the twelve."""
    months = pd.date_range("2021-01-01", "2022-12-01", freq="MS")
    rows = [(str(m.date()), "A", "x", 1, 30.0 if m.month in (6, 7, 8) else 10.0) for m in months]
    facts = values(time_series(tiny_frame(rows)))
    assert facts["season"] == "summer"
    assert (facts["seasonal_index[month=07]"], facts["seasonal_index[month=01]"]) == (2.0, 0.67)
    assert facts["trend"] == "flat"


def test_even_sales_have_no_season() -> None:
    """No season is named where none stands out."""
    months = pd.date_range("2021-01-01", "2021-12-01", freq="MS")
    facts = values(time_series(tiny_frame([(str(m.date()), "A", "x", 1, 10.0) for m in months])))
    assert facts["season"] == "no clear season"


def test_category_prices_are_weighted() -> None:
    """A category's price is what its units fetched: Cola 570 / 75, not the mean of 4, 2, 2 and 10."""
    facts = values(cross_section(TWO_MONTHS))
    assert facts["avg_price[category=Cola]"] == 7.6
    assert (facts["top_category"], facts["bottom_category"]) == ("Cola", "Water")
    assert (facts["dearest_category"], facts["cheapest_category"]) == ("Cola", "Water")
    assert facts["top_brand[category=Cola]"] == "Pop"
    assert (facts["units[category=Water]"], facts["revenue[category=Water]"]) == (60, 30)


def test_a_category_without_units_has_no_price() -> None:
    """Revenue without units gives no price, and no price makes no category the dearest."""
    frame = tiny_frame([("2023-01-01", "A", "Fees", 0, 9.0), ("2023-01-01", "A", "Tea", 2, 3.0)])
    facts = values(cross_section(frame))
    assert facts["avg_price[category=Fees]"] == NOT_AVAILABLE
    assert facts["dearest_category"] == facts["cheapest_category"] == "Tea"


def test_stores_that_span_countries_are_split_by_row() -> None:
    """A row counts where it was sold, whichever country its store was first seen in."""
    frame = TWO_MONTHS.assign(store_id=["1", "1", "1", "2", "2", "2"], country=list("ABABBB"))
    facts = values(regional_performance(frame))
    assert facts["dimension"] == "country"
    assert (facts["revenue[country=A]"], facts["revenue[country=B]"]) == (60, 540)
    assert facts["n_stores_in_several_countries"] == 1
    shuffled = values(regional_performance(frame.iloc[::-1].reset_index(drop=True)))
    assert shuffled == facts


def test_regions_grow_by_full_months() -> None:
    """The leader has the most revenue; growth compares February with January only."""
    frame = TWO_MONTHS.assign(region=["N", "N", "S", "S", "S", "N"])
    facts = values(regional_performance(frame))
    assert (facts["leader"], facts["laggard"]) == ("N", "S")
    assert (facts["growth_pct[region=N]"], facts["growth_pct[region=S]"]) == (100.0, 0.0)
    assert (facts["fastest_growing"], facts["slowest_growing"]) == ("N", "S")
    assert facts["revenue_share[region=N]"] == 93.3


@pytest.mark.parametrize(
    ("columns", "dimension"),
    [
        (("store_id", "country", "region"), "region"),
        (("store_id", "country"), "country"),
        (("store_id",), "store"),
        ((), "category (no region, country or store in the data)"),
    ],
)
def test_the_best_regional_column_is_taken_and_named(columns: tuple[str, ...], dimension: str) -> None:
    """Region comes before country before store, and category stands in for none of them."""
    frame = TWO_MONTHS.assign(**dict.fromkeys(columns, "here"))
    assert values(regional_performance(frame))["dimension"] == dimension


def test_brands_grow_and_shift_shares() -> None:
    """Fizz doubles, Still halves: growth, change of share and the extremes follow."""
    facts = values(brand_performance(TWO_MONTHS))
    assert (facts["growth_pct[brand=Fizz]"], facts["growth_pct[brand=Still]"]) == (100.0, -50.0)
    assert facts["growth_pct[brand=Pop]"] == NOT_AVAILABLE
    assert (facts["fastest_growing"], facts["fastest_declining"]) == ("Fizz", "Still")
    assert facts["share_change_points[brand=Fizz]"] == 16.7
    assert facts["biggest_share_gain"] == "Fizz"


def test_no_brand_is_called_declining_when_all_grow() -> None:
    """The least growing brand is not a declining one."""
    frame = TWO_MONTHS[TWO_MONTHS["brand"] != "Still"]
    frame = pd.concat([frame, tiny_frame([("2023-01-31", "Pop", "Cola", 1, 1.0)])])
    assert _declining(frame) == ("no brand declines", "none")


def test_a_brand_called_none_is_a_brand_like_any_other() -> None:
    """Named where it declines fastest, and not mistaken for an answer where nothing declines."""
    assert _declining(TWO_MONTHS.replace({"brand": {"Still": "none"}})) == ("none", "name")
    growing = TWO_MONTHS[TWO_MONTHS["brand"] != "Still"].replace({"brand": {"Fizz": "none"}})
    assert _declining(growing) == ("no brand declines", "none")


def _declining(frame: pd.DataFrame) -> tuple[float | int | str, str]:
    facts = {fact.id: fact for fact in brand_performance(frame)}
    found = facts["brand_performance.fastest_declining"]
    return found.value, found.unit


def test_price_premium_is_within_the_categories_sold_in() -> None:
    """A brand that sells at its categories' price has no premium, however dear the categories are."""
    frame = tiny_frame(
        [
            ("2023-01-01", "Dear", "Wine", 10, 100.0),
            ("2023-01-01", "Dear", "Water", 10, 10.0),
            ("2023-01-01", "Other", "Wine", 10, 100.0),
            ("2023-01-01", "Other", "Water", 10, 30.0),
        ]
    )
    facts = values(brand_performance(frame))
    assert facts["price_premium_pct[brand=Dear]"] == -8.3
    assert facts["price_premium_pct[brand=Other]"] == 8.3
    assert facts["highest_price_premium"] == "Other"


def test_a_focus_brand_without_rows_in_scope_is_told_of_with_nothing() -> None:
    """Focus brands always have facts: no revenue, and no growth or price."""
    scope = Scope(brands=("Still",), categories=("Cola",))
    facts = values(brand_performance(TWO_MONTHS, scope))
    assert facts["revenue[brand=Still]"] == 0
    assert facts["growth_pct[brand=Still]"] == facts["avg_price[brand=Still]"] == NOT_AVAILABLE
    assert values(market_share(TWO_MONTHS, scope))["revenue_share[brand=Still]"] == 0.0


def test_kpis_by_day_store_and_month() -> None:
    """Days are calendar days, the last month is the last full one."""
    facts = values(kpis(TWO_MONTHS.assign(store_id=["1", "1", "2", "2", "3", "4"])))
    assert facts["revenue_per_day"] == 10
    assert facts["revenue_per_store"] == 150
    assert facts["units_per_row"] == 22.5
    assert (facts["last_full_month"], facts["revenue_last_full_month"]) == ("2023-02", 60)
    assert facts["mom_change_pct"] == 50.0
    assert facts["best_weekday"] == "Wednesday"


def test_a_weekday_is_not_best_for_coming_up_once_more() -> None:
    """Sunday sells 10 on each of two days, Monday 15 on one: Monday is the better day."""
    frame = tiny_frame(
        [
            ("2023-01-01", "A", "x", 1, 10.0),
            ("2023-01-08", "A", "x", 1, 10.0),
            ("2023-01-02", "A", "x", 1, 15.0),
        ]
    )
    facts = values(kpis(frame))
    assert facts["best_weekday"] == "Monday"
