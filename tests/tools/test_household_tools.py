"""Churn, RFM, coupons and campaigns: what is planted is found, and what cannot be known is said."""

import numpy as np
import pandas as pd
import pytest
from sales_frames import values
from shopper_frames import campaign_frame, grid, shopper_frame

from swarmlab.errors import ToolError
from swarmlab.tools.campaign_roi import campaign_roi
from swarmlab.tools.coupon_lift import coupon_lift
from swarmlab.tools.customer_churn import customer_churn
from swarmlab.tools.facts import NOT_AVAILABLE
from swarmlab.tools.rfm import rfm, scores
from swarmlab.tools.scope import Scope


def _purchases(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["sale_date", "household_id", "total_revenue"])
    frame["sale_date"] = pd.to_datetime(frame["sale_date"])
    return frame.assign(units_sold=1.0, brand="b", category="c")


def _churning(stay: int, leave: int) -> pd.DataFrame:
    """Households that buy in both of two windows of 56 days, and some in the first only, for two each."""
    first, second = "2023-01-15", "2023-03-20"
    rows = [(day, f"stay {i}", 1.0) for day in (first, second) for i in range(stay)]
    rows += [(first, f"leave {i}", 2.0) for i in range(leave)] + [(second, "new", 5.0)]
    return _purchases([*rows, ("2023-01-01", "stay 0", 1.0), ("2023-04-22", "stay 0", 1.0)])


def test_planted_churn_is_found() -> None:
    """Of 20 households at risk 5 stop, who brought 10 of 26 of the earlier revenue; one comes anew."""
    found = values(customer_churn(_churning(15, 5)))
    assert (found["window_days"], found["households_at_risk"], found["churned_households"]) == (56, 20, 5)
    assert (found["churn_pct"], found["churn_low_pct"], found["churn_high_pct"]) == (25.0, 11.2, 46.9)
    assert found["revenue_churn_pct"] == pytest.approx(100 * 10 / 26, abs=0.05)
    assert (found["joined_households"], found["inactive_households"], found["n_households"]) == (1, 5, 21)
    assert found["churn_pct[from=2023-02-26]"] == 25.0
    assert found["previous_churn_pct"] == NOT_AVAILABLE


def test_purchases_without_a_household_or_without_units_do_not_count() -> None:
    """An anonymous sale and a row that sold nothing make nobody a buyer."""
    frame = _churning(15, 5)
    more = frame.head(2).assign(household_id=[None, "ghost"], units_sold=[1.0, 0.0], total_revenue=[9.0, 0.0])
    assert values(customer_churn(pd.concat([frame, more]))) == values(customer_churn(frame))


def test_too_short_a_time_has_no_churn() -> None:
    """Under fourteen days the rates are not available; one household is enough for the rest."""
    found = values(customer_churn(_purchases([("2023-01-01", "a", 1.0), ("2023-01-13", "a", 1.0)])))
    assert found["n_households"] == 1
    assert {found[name] for name in ("churn_pct", "churn_low_pct", "revenue_churn_pct", "window_days")} == {
        NOT_AVAILABLE
    }


@pytest.mark.parametrize("tool", [customer_churn, rfm])
def test_nobody_who_bought_is_an_error(tool) -> None:
    """All ids empty, or nothing bought in scope: the tool says so."""
    frame = _purchases([("2023-01-01", "a", 1.0), ("2023-03-13", "b", 1.0)])
    with pytest.raises(ToolError, match="household_id is empty"):
        tool(frame.assign(household_id=None))
    with pytest.raises(ToolError, match="no household bought"):
        tool(frame.assign(units_sold=0.0, total_revenue=0.0))


def test_scores_are_fifths_and_equals_score_alike() -> None:
    """Ten different values make two of each score; equal values share the lower one."""
    assert scores(np.arange(10.0)).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert scores(np.array([1.0, 1.0, 1.0, 1.0, 9.0])).tolist() == [1, 1, 1, 1, 5]
    assert scores(np.array([7.0])).tolist() == [1]


def test_segments_are_those_of_the_rules() -> None:
    """The household that buys last, most often and most is a champion; the one that stopped early is lost."""
    rows = [(f"2023-0{1 + i}-01", f"h{i}", 1.0 + i) for i in range(5) for _ in range(i + 1)]
    frame = _purchases(rows).assign(basket_id=[str(i) for i in range(len(rows))])
    found = values(rfm(frame))
    assert found["households[segment=champions]"] == 2
    assert found["households[segment=lost]"] == 2
    assert found["revenue_pct[segment=champions]"] == pytest.approx(100 * (25 + 16) / 55, abs=0.05)
    assert found["median_frequency"] == 3
    assert values(rfm(frame.drop(columns="basket_id")))["median_frequency"] == 1
    assert sum(v for k, v in found.items() if k.startswith("households[")) == found["n_households"] == 5


def test_a_planted_coupon_lift_is_found() -> None:
    """A household's baskets with a coupon are half again as large; large households use coupons more."""
    rng = np.random.default_rng(3)
    shopper, trip = grid(150, 40)
    size = rng.uniform(5, 50, 150)[shopper]
    used = rng.random(len(trip)) < size / 200
    spent = np.round(size * 1.5**used * rng.gamma(4, 0.25, len(trip)), 2)
    frame = pd.DataFrame(
        {
            "sale_date": pd.Timestamp("2023-01-01") + pd.to_timedelta(trip, unit="D"),
            "household_id": shopper.astype(str),
            "total_revenue": spent,
            "units_sold": 1.0,
            "coupon_value": used * 0.5,
        }
    )
    found = values(coupon_lift(frame))
    assert found["basket_lift_low_pct"] < 50 < found["basket_lift_high_pct"]
    assert found["basket_lift_high_pct"] - found["basket_lift_low_pct"] < 15
    # The plain ratio of means mistakes large households for the effect.
    assert found["basket_value_with"] / found["basket_value_without"] > 1.7
    assert found["coupon_baskets_pct"] == pytest.approx(100 * used.mean(), abs=0.05)
    assert found["finding"] == "sales are higher"


def test_without_coupons_the_lift_is_not_available() -> None:
    """Data in which no coupon was used say so, and count none."""
    found = values(coupon_lift(shopper_frame(1).assign(coupon_value=0.0)))
    assert (found["coupon_baskets_pct"], found["basket_lift_pct"]) == (0.0, NOT_AVAILABLE)
    assert found["finding"] == "not identified by these data"
    assert found["revenue_per_coupon_unit"] == NOT_AVAILABLE


def test_a_planted_campaign_effect_is_found() -> None:
    """A hundred targeted households spend 3 more a day for 20 days: 6,000, not all that they spend more."""
    found = values(campaign_roi(campaign_frame(5)))
    assert found["added_revenue_low"] < 6000 < found["added_revenue_high"]
    assert found["added_revenue_high"] - found["added_revenue_low"] < 1500
    assert found["breakeven_cost_per_household"] == pytest.approx(found["added_revenue"] / 100, abs=0.01)
    assert found["finding"] == "sales are higher"
    assert found["trends_alike"] == "yes, the difference may be none"
    assert "no cost" in found["basis"]


def test_no_campaign_effect_is_no_effect() -> None:
    """Without a planted effect the interval covers zero in most of 40 samples, and nothing may be spent."""
    covered = 0
    for seed in range(40):
        found = values(campaign_roi(campaign_frame(seed, households=60, effect=0.0)))
        covered += found["added_revenue_low"] <= 0 <= found["added_revenue_high"]
    assert covered >= 34
    worse = values(campaign_roi(campaign_frame(1, effect=-5.0)))
    assert (worse["finding"], worse["breakeven_cost_per_household"]) == ("sales are lower", 0)


def test_trends_that_differ_are_told() -> None:
    """Targeted households that were growing before the campaign already make the result doubtful."""
    frame = campaign_frame(2)
    growing = (frame["campaign_target"] > 0) * frame["sale_date"].dt.day_of_year * 0.2
    found = values(campaign_roi(frame.assign(total_revenue=(frame["total_revenue"] + growing).round(2))))
    assert found["trends_alike"] == "no, the trends differed"


def test_the_campaign_effect_is_that_of_means_by_hand() -> None:
    """With several campaigns each effect equals the difference of mean differences in plain pandas."""
    one, two = campaign_frame(1, households=40), campaign_frame(2, households=60, effect=1.0)
    frame = pd.concat([one.assign(campaign="one"), two.assign(campaign="two")])
    found = values(campaign_roi(frame))
    total = 0.0
    for name, own in frame.groupby("campaign"):
        mean = own.groupby(["household_id", "campaign_active"])["total_revenue"].mean().unstack()
        is_target = own.groupby("household_id")["campaign_target"].max() > 0
        change = mean[1.0] - mean[0.0]
        effect = (change[is_target].mean() - change[~is_target].mean()) * is_target.sum() * 20
        assert found[f"added_revenue[campaign={name}]"] == pytest.approx(effect, abs=0.5)
        total += effect
    assert found["added_revenue"] == pytest.approx(total, abs=0.5)


@pytest.mark.parametrize(
    "change", [{"campaign_target": 0.0}, {"campaign_active": 0.0}, {"campaign_active": 1.0}]
)
def test_a_campaign_without_another_side_is_not_available(change: dict[str, float]) -> None:
    """Nobody targeted, never active or always active: no effect, no figure."""
    found = values(campaign_roi(campaign_frame(1, households=20).assign(**change)))
    assert (found["added_revenue"], found["campaigns"]) == (NOT_AVAILABLE, 0)
    assert found["finding"] == "not identified by these data"


def test_a_scope_the_table_cannot_be_cut_to_is_an_error() -> None:
    """A campaign's table has no categories: a scope that names some is refused by name."""
    with pytest.raises(ToolError, match="categor"):
        campaign_roi(campaign_frame(1), Scope(categories=("Tea",)))
