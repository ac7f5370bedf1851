"""Figures with their 95 % intervals: over independent units, and from runs of unequal variance."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["MIN_UNITS", "Bools", "Estimate", "Floats", "Units", "least_squares", "over_units", "too_few"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MIN_UNITS = 3
"""Independent units (blocks, pairs of orders, works) from which an interval over them is given."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; without one, `why` says the reason."""

    value: float
    low: float | None = None
    high: float | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Units:
    """The independent unit that each block is of, and what the units are called."""

    of: Sequence[Hashable]
    name: str

    def where(self, chosen: Bools) -> "Units":
        """Keep those of the chosen blocks."""
        return Units([unit for unit, is_chosen in zip(self.of, chosen, strict=True) if is_chosen], self.name)


def over_units(values: Floats, units: Units) -> Estimate:
    """Estimate a mean over blocks, with Student's t interval over independent units of blocks.

    Parameters
    ----------
    values
        One figure a block, shape (blocks,).
    units
        Blocks of one unit may be alike.

    Notes
    -----
    The variance is that of sums over units about the mean, times G / (G - 1) for G units (Liang & Zeger,
    Biometrika 73 (1986)); with one block a unit it is the ordinary one.
    """
    mean = float(np.mean(values))
    sums: dict[Hashable, float] = {}
    for value, unit in zip(values, units.of, strict=True):
        sums[unit] = sums.get(unit, 0.0) + float(value) - mean
    n_units = len(sums)
    if n_units < MIN_UNITS:
        return Estimate(mean, why=too_few(n_units, units.name))
    squares = sum(total**2 for total in sums.values()) * n_units / (n_units - 1)
    return _interval(mean, squares**0.5 / len(values), n_units - 1, float(np.max(np.abs(values))))


def least_squares(y: Floats, model: Floats, contrasts: Floats) -> list[Estimate]:
    """Estimate contrasts of a linear model's coefficients when the runs' variances differ.

    Parameters
    ----------
    y, model
        Values, shape (runs,), and the model matrix, shape (runs, coefficients); it may lack full rank.
    contrasts
        Shape (contrasts, coefficients).

    Returns
    -------
    list of Estimate
        Value NaN where the runs do not determine a contrast.

    Notes
    -----
    HC2 variance, which for two groups is Welch's, with the Satterthwaite degrees of freedom of Bell &
    McCaffrey, Survey Methodology 28 (2002), as Imbens & Kolesár advise for small samples, Review of Economics
    and Statistics 98 (2016).
    """
    inverse = np.linalg.pinv(model)
    left = np.eye(len(y)) - model @ inverse  # takes a vector to its residuals
    free = np.clip(np.diag(left), 0.0, 1.0)
    residuals = left @ y
    found = []
    for contrast in contrasts:
        weights = contrast @ inverse  # of the runs
        value = float(weights @ y)
        if not np.allclose(weights @ model, contrast, atol=1e-8):
            found.append(Estimate(float("nan"), why="the runs do not determine it"))
            continue
        used = np.abs(weights) > 1e-12
        if (free[used] < 1e-9).any():
            found.append(Estimate(value, why="single runs show no spread"))
            continue
        scaled = np.where(used, weights / np.sqrt(np.where(used, free, 1.0)), 0.0)
        error = float(np.sqrt(np.sum((scaled * residuals) ** 2)))
        products = scaled[:, None] * scaled[None, :] * left
        df = float(np.trace(products) ** 2 / np.sum(products**2))
        found.append(_interval(value, error, df, float(np.max(np.abs(y)))))
    return found


def too_few(n_units: int, name: str) -> str:
    return f"needs {MIN_UNITS} {name}, has {n_units}"


def _interval(value: float, error: float, df: float, size: float) -> Estimate:
    # Figures that are all alike (a score of 1.00 in every run) do not prove that there is no spread.
    if error <= 1e-12 * max(size, 1e-300):
        return Estimate(value, why="no spread seen")
    margin = float(stats.t.ppf(0.975, df)) * error
    return Estimate(value, value - margin, value + margin)
