"""The estimators against statsmodels with a dummy for each group, and against planted values."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import t as student

from swarmlab.tools.effects import MIN_CLUSTERS, poisson_ratio, within_slope


def _dummies(*codes: np.ndarray) -> np.ndarray:
    parts = (pd.get_dummies(code, drop_first=i > 0) for i, code in enumerate(codes))
    return np.hstack([part.to_numpy(float) for part in parts])


@pytest.mark.parametrize("seed", range(5))
def test_the_poisson_ratio_is_that_of_a_regression_with_dummies(seed: int) -> None:
    """Value and cluster-robust error equal those of a Poisson GLM with a dummy for each group."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(12), 10)
    treated = (rng.random(120) < 0.4) | (np.arange(120) % 10 == 0)
    counts = rng.poisson(3 * np.exp(0.5 * treated + 0.1 * group)).astype(float)
    found = poisson_ratio(counts, treated, group, group)
    design = np.column_stack([treated.astype(float), _dummies(group)])
    fit = sm.GLM(counts, design, family=sm.families.Poisson()).fit(
        cov_type="cluster", cov_kwds={"groups": group, "use_correction": False}, tol=1e-12
    )
    half = student.ppf(0.975, 11) * float(fit.bse[0]) * np.sqrt(12 / 11)
    assert found.value == pytest.approx(float(fit.params[0]), abs=1e-7)
    assert found.high - found.value == pytest.approx(half, rel=1e-4)
    assert found.n_clusters == 12


@pytest.mark.parametrize("seed", range(5))
def test_the_slope_is_that_of_a_regression_with_dummies(seed: int) -> None:
    """Two-way fixed effects by projection give the slope of least squares with all dummies."""
    rng = np.random.default_rng(seed)
    group, period = rng.integers(0, 8, 300), rng.integers(0, 15, 300)
    x = rng.standard_normal(300) + 0.3 * group
    y = -1.5 * x + 0.7 * group - 0.2 * period + rng.standard_normal(300)
    found = within_slope(y, x, group, period, group)
    fit = sm.OLS(y, np.column_stack([x, _dummies(group, period)])).fit()
    assert found.value == pytest.approx(float(fit.params[0]), abs=1e-9)
    assert found.low < found.value < found.high


def test_intervals_cover_the_planted_ratio() -> None:
    """Over 200 samples the 95 % interval of the ratio covers it in 90 % to 99 % of them."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(40), 20)
    covered = 0
    for _ in range(200):
        treated = rng.random(800) < 0.3
        level = rng.gamma(2, 2, 40)[group]
        found = poisson_ratio(rng.poisson(level * 1.4**treated).astype(float), treated, group, group)
        covered += found.low <= np.log(1.4) <= found.high
    assert 180 <= covered <= 198


def test_what_is_not_identified_is_not_known() -> None:
    """No contrast within a group, nothing sold, x that the effects take up, or few clusters: no interval."""
    group = np.repeat(np.arange(6), 4)
    counts = np.ones(24)
    assert not poisson_ratio(counts, group < 3, group, group).is_known
    assert not poisson_ratio(counts * 0, np.arange(24) % 2 == 0, group, group).is_known
    assert not poisson_ratio(counts, np.arange(24) % 2 == 0, group, group // 2).is_known
    period = np.tile(np.arange(4), 6)
    assert not within_slope(np.arange(24.0), group * 1.0 + period, group, period, group).is_known
    few = group % (MIN_CLUSTERS - 1)
    assert not within_slope(np.arange(24.0) ** 1.5, np.sin(np.arange(24.0)), few, period, few).is_known
