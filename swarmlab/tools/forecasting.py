"""Exponential smoothing of a revenue series: fit, forecast with intervals, backtest against a naive floor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from swarmlab.tools.ratios import NAN
from swarmlab.tools.sales import Floats

MAX_ORIGINS: Final = 6
"""Backtest origins; each costs two fits."""

MIN_VALUES: Final = 12
"""A shorter series is not smoothed but carried forward."""

INTERVAL: Final = 0.95


_BOUNDS: Final = {
    "smoothing_level": (1e-4, 1 - 1e-4),
    "smoothing_trend": (1e-4, 1 - 1e-4),
    "smoothing_seasonal": (1e-4, 1 - 1e-4),
    "damping_trend": (0.8, 0.98),
}
"""The bounds of statsmodels, which are those of R's forecast package."""

_START: Final = {
    "smoothing_level": 0.3,
    "smoothing_trend": 0.1,
    "smoothing_seasonal": 0.1,
    "damping_trend": 0.9,
}


@dataclass(frozen=True)
class Smoothed:
    """A fitted model as its mean path and how one step's error spreads over the steps after it.

    `response[j]` is what an error of 1 adds to the value j steps later, `response[0]` being 1
    (Hyndman, Koehler, Ord & Snyder, Forecasting with Exponential Smoothing, 2008, table 6.1, class 1).
    """

    model: str
    mean: Floats
    response: Floats
    sigma: float

    def weighted(self, weights: Floats) -> tuple[float, float, float]:
        """Mean and limits of the interval of a weighted sum of the steps; limits are NaN without sigma."""
        mean = float(self.mean @ weights)
        effect = np.array([weights[i:] @ self.response[: len(weights) - i] for i in range(len(weights))])
        spread = NormalDist().inv_cdf((1 + INTERVAL) / 2) * self.sigma * float(np.sqrt((effect**2).sum()))
        return mean, mean - spread, mean + spread


@dataclass(frozen=True)
class Backtest:
    """Mean absolute percentage errors over rolling origins; NaN where nothing could be tested."""

    mape_pct: float
    naive_mape_pct: float
    n_origins: int


def smooth(values: Floats, season: int, steps: int) -> Smoothed:
    """Fit additive-error ETS models, with and without a damped trend; keep the one with the lower AICc.

    Parameters
    ----------
    values
        A regular series, oldest first, shape (n,).
    season
        Steps in a season, of which the series holds two or more; 0 for a series without one.
    steps
        How far ahead.

    Returns
    -------
    Smoothed
        Its `model` says what was used: the last value (or the last season) is carried forward if the series
        is shorter than `MIN_VALUES`, is constant, or if no model converged.
    """
    scale = float(np.abs(values).mean())
    if len(values) < MIN_VALUES or np.ptp(values) == 0:
        return _carried_forward(values, season, steps, "too short or too even to smooth")
    fits = [_fit(values / scale, season, is_trended, steps) for is_trended in (False, True)]
    usable = [fit for fit in fits if fit is not None]
    if not usable:
        return _carried_forward(values, season, steps, "no model converged")
    best = min(usable, key=lambda fit: round(fit[0], 6))[1]
    return Smoothed(best.model, best.mean * scale, best.response, best.sigma * scale)


def naive(values: Floats, season: int, steps: int) -> Floats:
    """Carry the last season forward, or the last value where `season` is 0; shape (steps,)."""
    last = values[-(season or 1) :]
    return last[np.arange(steps) % len(last)]


def backtest(values: Floats, season: int, steps: int) -> Backtest:
    """Forecast from up to `MAX_ORIGINS` past points and compare with what came.

    The first origin has half the series (two seasons at least) before it. Steps whose actual value is not
    above zero have no percentage error and are left out. Method: rolling origin, Tashman, International
    Journal of Forecasting 16 (2000).
    """
    n = len(values)
    shortest = max(2 * season + 1, n // 2, MIN_VALUES)
    steps = min(steps, max(1, n - shortest - 1))
    origins = np.arange(shortest, n - steps + 1)
    if len(origins) == 0:
        return Backtest(NAN, NAN, 0)
    chosen = np.unique(
        origins[np.linspace(0, len(origins) - 1, min(MAX_ORIGINS, len(origins))).round().astype(int)]
    )
    smoothed = _mape(values, chosen.tolist(), steps, lambda past: smooth(past, season, steps).mean)
    floor = _mape(values, chosen.tolist(), steps, lambda past: naive(past, season, steps))
    return Backtest(smoothed, floor, len(chosen))


def _mape(values: Floats, origins: Sequence[int], steps: int, forecast: Callable[[Floats], Floats]) -> float:
    errors: list[float] = []
    for origin in origins:
        actual = values[origin : origin + steps]
        missed = np.abs(forecast(values[:origin]) - actual)
        errors.extend((missed[actual > 0] / actual[actual > 0]).tolist())
    return 100 * sum(errors) / len(errors) if errors else NAN


def _fit(values: Floats, season: int, is_trended: bool, steps: int) -> tuple[float, Smoothed] | None:
    """AICc and model; None if the optimizer did not converge or the fit is not finite."""
    model = ETSModel(
        values,
        error="add",
        trend="add" if is_trended else None,
        damped_trend=is_trended,
        seasonal="add" if season else None,
        seasonal_periods=season or None,
        initialization_method="heuristic",
    )
    # What the suppressed warnings say is checked below: convergence by its flag, numbers for being finite.
    # Nelder-Mead finds the optimum of the model's own L-BFGS, but calls no BLAS, whose threads make a fit of
    # milliseconds last tenths of a second when other work holds the cores.
    with np.errstate(all="ignore"):
        found = minimize(
            lambda point: -model.loglike(_parameters(model.param_names, point)),
            [_START[name] for name in model.param_names],
            bounds=[_BOUNDS[name] for name in model.param_names],
            method="Nelder-Mead",
            options={"xatol": 1e-4, "fatol": 1e-6},
        )
        result = model.smooth(_parameters(model.param_names, found.x))
        mean = np.asarray(result.forecast(steps), dtype=np.float64)
        aicc = float(result.aicc)
        sigma = float(np.sqrt(result.sse / max(len(values) - len(result.params), 1)))
    if not (found.success and np.isfinite([aicc, sigma, *mean]).all()):
        return None
    name = f"ETS(A,{'Ad' if is_trended else 'N'},{'A' if season else 'N'})"
    return aicc, Smoothed(name, mean, _response(result, season, steps), sigma)


def _parameters(names: Sequence[str], point: Sequence[float]) -> Floats:
    """Parameters from a point in the unit box: trend and season are smoothed in proportion to the level."""
    level = point[list(names).index("smoothing_level")]
    factor = {"smoothing_trend": level, "smoothing_seasonal": 1 - level}
    return np.array([value * factor.get(name, 1.0) for name, value in zip(names, point, strict=True)])


def _response(result: Any, season: int, steps: int) -> Floats:
    params = dict(zip(result.param_names, result.params, strict=True))
    step = np.arange(1, steps)
    damping = params.get("damping_trend", 1.0) ** step
    later = params["smoothing_level"] + params.get("smoothing_trend", 0.0) * np.cumsum(damping)
    if season:
        later = later + params["smoothing_seasonal"] * (step % season == 0)
    return np.concatenate([[1.0], later])


def _carried_forward(values: Floats, season: int, steps: int, reason: str) -> Smoothed:
    """Naive forecast; its interval is that of a random walk, NaN with under three values."""
    mean = naive(values, season, steps)
    changes = np.diff(values[:: season or 1])
    sigma = float(np.sqrt((changes**2).mean())) if len(changes) > 1 else NAN
    step = np.arange(steps)
    response = (step % (season or 1) == 0).astype(np.float64)
    return Smoothed(f"{'seasonal ' if season else ''}naive ({reason})", mean, response, sigma)
