"""Forecast: models, intervals, backtest, and how weeks add up to months."""

import numpy as np
import pandas as pd
import pytest
from sales_frames import random_frame, tiny_frame, values
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from swarmlab.tools import NOT_AVAILABLE, Scope, sales_forecast
from swarmlab.tools.forecasting import backtest, naive, smooth

SEASON = np.array([0.7, 0.7, 0.9, 1.0, 1.1, 1.3, 1.4, 1.3, 1.1, 0.9, 0.8, 0.8])


def _daily(revenue_of_day: dict[pd.Timestamp, float]) -> pd.DataFrame:
    return tiny_frame([(str(day.date()), "A", "x", 1, value) for day, value in revenue_of_day.items()])


def _noisy(n: int, season: bool) -> np.ndarray:
    rng = np.random.default_rng(11)
    level = 1000 + np.cumsum(rng.normal(0, 20, n)) + rng.normal(0, 30, n)
    return level * np.resize(SEASON, n) if season else level


@pytest.mark.parametrize("season", [0, 12])
def test_intervals_and_optimum_agree_with_statsmodels(season: int) -> None:
    """The single-step intervals equal statsmodels' exact ones, fitted by its own optimizer."""
    values_ = _noisy(60, bool(season))
    fitted = smooth(values_, season, 6)
    is_trended = "Ad" in fitted.model
    reference = ETSModel(
        pd.Series(values_ / values_.mean()),
        trend="add" if is_trended else None,
        damped_trend=is_trended,
        seasonal="add" if season else None,
        seasonal_periods=season or None,
        initialization_method="heuristic",
    ).fit(disp=False)
    frame = reference.get_prediction(60, 65).summary_frame(alpha=0.05) * values_.mean()
    for step in range(6):
        weights = np.eye(6)[step]
        mean, low, high = fitted.weighted(weights)
        assert mean == pytest.approx(frame["mean"].iloc[step], rel=0.01)
        # statsmodels divides the squared errors by n, here by n less the parameters.
        assert high - low == pytest.approx(
            frame["pi_upper"].iloc[step] - frame["pi_lower"].iloc[step], rel=0.1
        )


def test_the_interval_of_a_sum_matches_a_simulation() -> None:
    """Errors of successive steps go together, so the sum's interval is wider than if they did not."""
    fitted = smooth(_noisy(60, False), 0, 8)
    rng = np.random.default_rng(0)
    errors = rng.normal(0, fitted.sigma, (20_000, 8))
    paths = np.array([np.convolve(row, fitted.response)[:8] for row in errors])
    mean, low, high = fitted.weighted(np.ones(8))
    assert high - low == pytest.approx(2 * 1.96 * paths.sum(axis=1).std(), rel=0.03)
    assert mean == pytest.approx((low + high) / 2)


def test_a_season_is_found_and_beats_the_seasonal_naive_forecast() -> None:
    """On a noisy season the smoothed forecast errs less than last year's value."""
    tested = backtest(_noisy(60, True), 12, 3)
    assert tested.n_origins > 1
    assert tested.mape_pct < tested.naive_mape_pct


def test_backtest_sees_nothing_of_the_future() -> None:
    """A change of the last value changes the number of origins and the earlier forecasts not at all."""
    series = _noisy(40, False)
    before = backtest(series, 0, 3)
    series[-1] *= 2
    after = backtest(series, 0, 3)
    assert before.n_origins == after.n_origins
    assert smooth(series[:-1], 0, 3).mean.tolist() == smooth(_noisy(40, False)[:-1], 0, 3).mean.tolist()


def test_steps_of_nothing_have_no_percentage_error() -> None:
    """Zero actuals are left out rather than dividing by them."""
    series = _noisy(40, False)
    series[-2] = 0.0
    assert np.isfinite(backtest(series, 0, 2).mape_pct)


@pytest.mark.parametrize(
    ("series", "words"),
    [(np.full(30, 5.0), "naive (too short or too even"), (np.arange(5.0) + 1, "naive (too short")],
)
def test_what_cannot_be_smoothed_is_carried_forward_and_said(series: np.ndarray, words: str) -> None:
    """A constant or very short series is forecast by its last value, and the model's name says so."""
    fitted = smooth(series, 0, 3)
    assert fitted.model.startswith(words)
    assert fitted.mean.tolist() == [series[-1]] * 3


def test_naive_repeats_the_last_season() -> None:
    """Without a season it repeats the last value."""
    assert naive(np.array([1.0, 2, 3, 4]), 2, 3).tolist() == [3, 4, 3]
    assert naive(np.array([1.0, 2, 3, 4]), 0, 3).tolist() == [4, 4, 4]


def test_weeks_are_turned_into_calendar_months() -> None:
    """A steady 10 a day forecasts 310 for a month of 31 days, without any spread."""
    frame = _daily(dict.fromkeys(pd.date_range("2023-01-01", "2023-07-12"), 10.0))
    facts = values(sales_forecast(frame, Scope(forecast_periods=2)))
    assert facts["forecast[month=2023-07]"] == facts["forecast[month=2023-08]"] == 310
    assert facts["total_forecast"] == facts["total_low"] == facts["total_high"] == 620
    assert facts["forecast_change_pct"] == 0.0
    assert "weeks" in str(facts["method"])


def test_days_already_sold_count_as_they_were() -> None:
    """Of the month under way, complete weeks are taken from the data and only the rest is forecast."""
    days = pd.date_range("2023-01-01", "2023-07-16")
    frame = _daily({day: 10.0 if day < pd.Timestamp("2023-07-01") else 20.0 for day in days})
    facts = values(sales_forecast(frame, Scope(forecast_periods=1)))
    low, high = facts["low[month=2023-07]"], facts["high[month=2023-07]"]
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    assert low > 16 * 20
    assert low < facts["forecast[month=2023-07]"] < high


def test_the_yearly_change_is_free_of_the_season() -> None:
    """The same summer each year has a flat outlook, although the next months sell less than the last."""
    rng = np.random.default_rng(5)
    months = pd.date_range("2019-01-01", "2022-08-01", freq="MS")
    frame = _daily({m: 1000 * SEASON[m.month - 1] + rng.normal(0, 5) for m in months})
    facts = values(sales_forecast(frame, Scope(forecast_periods=3)))
    assert facts["forecast_change_pct"] < -20
    assert abs(float(facts["year_change_pct"])) < 2
    assert facts["outlook"] == "flat"
    assert "season of 12" in str(facts["method"])
    assert [name for name in facts if name.startswith("forecast[")] == [
        f"forecast[month=2022-{month}]" for month in ("09", "10", "11")
    ]


def test_no_full_month_means_no_forecast() -> None:
    """A few days of data are not extrapolated."""
    frame = tiny_frame([("2023-01-05", "A", "x", 2, 3.0), ("2023-01-08", "B", "x", 1, 3.0)])
    facts = values(sales_forecast(frame))
    assert facts["total_forecast"] == NOT_AVAILABLE
    assert "no full calendar month" in str(facts["method"])


def test_months_with_a_hole_are_smoothed_without_a_season() -> None:
    """A missing month would shift every season after it, so none is assumed."""
    months = [
        m for m in pd.date_range("2019-01-01", "2022-12-01", freq="MS") if m != pd.Timestamp("2020-05-01")
    ]
    rng = np.random.default_rng(5)
    facts = values(sales_forecast(_daily({m: 1000 + rng.normal(0, 50) for m in months})))
    assert "season" not in str(facts["method"])


def test_the_forecast_lies_within_its_interval_and_is_repeatable() -> None:
    """Twice the same rows give twice the same forecast, low below high."""
    frame = random_frame(8, 3000, days=400)
    first, second = sales_forecast(frame), sales_forecast(frame)
    facts = values(first)
    assert first == second
    assert float(facts["total_low"]) < float(facts["total_forecast"]) < float(facts["total_high"])
