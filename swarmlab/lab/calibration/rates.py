"""Rates, jitter and overhead of a profile, fitted to measured model calls."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from swarmlab.agents.levels import LEVELS
from swarmlab.models.profile import Jitter, Overhead, TokenRate

FORMULAS: Mapping[str, str] = {
    "prefill_s": "time_to_first_token_s + n/R (1 + s (cached + n/2)/1000), n tokens computed",
    "decode_s": "m/R (1 + s (prompt + m/2)/1000), m tokens after the first, which comes with the prefill",
    "fit": "least squares with weights 1/fitted, none negative; the fitted seconds sum to the measured ones",
}
_ROUNDS = 30


@dataclass(frozen=True)
class Rates:
    """How fast the model is."""

    time_to_first_token_s: float
    prefill: TokenRate
    decode: TokenRate


def fit_rates(calls: pd.DataFrame) -> Rates:
    """Fit start, rates and slowdowns to calls as `read_measurements` gives them."""
    n = calls["prefill_tokens"].to_numpy(float)
    cached = calls["cached_tokens"].to_numpy(float)
    ones = np.ones(len(n))
    prefill_s = calls["prefill_s"].to_numpy(float)
    start, token, slower = unbiased_fit(np.c_[ones, n, n * (cached + n / 2) / 1000], prefill_s)
    m = np.maximum(calls["decode_tokens"].to_numpy(float) - 1, 0)
    decode_s = calls["decode_s"].to_numpy(float)
    written, later = unbiased_fit(np.c_[m, m * (n + cached + m / 2) / 1000], decode_s)
    return Rates(float(start), _rate(token, slower), _rate(written, later))


def _rate(token_s: float, slower_s: float) -> TokenRate:
    return TokenRate(tokens_per_s=1 / token_s, slowdown_per_1000_tokens=slower_s / token_s)


def unbiased_fit(
    parts: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    measured: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Non-negative factors of the columns of `parts` whose sum is nearest to `measured`.

    Weights are one over the fitted values, found by iteration: in between absolute errors, which would leave
    short calls to chance, and relative ones, which would leave long calls. At the end the fitted values sum
    to the measured ones, so that errors of calls average out in a run.

    Parameters
    ----------
    parts
        Shape (n, k), none negative.
    measured
        Shape (n,), all positive.

    Returns
    -------
    array of shape (k,)
        Source: the quasi-likelihood of a variance proportional to the mean (McCullagh and Nelder,
        "Generalized Linear Models", 1989, chapter 9).
    """
    factors, fitted = np.zeros(parts.shape[1]), measured
    for _ in range(_ROUNDS):
        root = 1 / np.sqrt(np.maximum(fitted, measured.mean() * 1e-6))
        factors, _ = nnls(parts * root[:, None], measured * root)
        fitted = parts @ factors
    return np.asarray(factors)


def with_fitted(calls: pd.DataFrame, rates: Rates) -> pd.DataFrame:
    """The calls with the seconds that the rates give them, `prefill_fit_s` and `decode_fit_s`."""
    tokens = calls[["prefill_tokens", "cached_tokens", "decode_tokens"]].itertuples(index=False, name=None)
    pairs = [
        (
            rates.time_to_first_token_s + rates.prefill.seconds(computed, cached),
            rates.decode.seconds(max(written - 1, 0), computed + cached),
        )
        for computed, cached, written in tokens
    ]
    return calls.assign(
        prefill_fit_s=[prefill for prefill, _ in pairs], decode_fit_s=[decode for _, decode in pairs]
    )


def fit_jitter(fitted: pd.DataFrame) -> Jitter:
    """Spread of calls around their run, and of runs around the fit, in logarithms of the time.

    A call counts by its seconds: what matters is the spread of seconds, and a short call's is mostly noise.
    What the calls of a run leave of their own spread in its mean is taken out of the runs'.
    """
    seconds = fitted["prefill_fit_s"] + fitted["decode_fit_s"]
    ratio = np.log((fitted["prefill_s"] + fitted["decode_s"]) / seconds)
    runs = [fitted["experiment"], fitted["run_id"]]
    share = seconds / seconds.groupby(runs).transform("sum")
    of_run = (share * ratio).groupby(runs).transform("sum")
    within = float(np.average((ratio - of_run) ** 2, weights=seconds))
    means = of_run.groupby(runs).first()
    left = float((share**2).groupby(runs).sum().mean()) * within
    between = max(float(means.var()) - left, 0.0) if len(means) > 1 else 0.0
    return Jitter(kind="lognormal", sigma=within**0.5, run_sigma=between**0.5)


def fit_overhead(own: pd.DataFrame) -> Overhead:
    """Mean seconds of the framework's own: a call, a turn (with its share of the run's), a view, a report."""
    total, count = own.groupby("what")["seconds"].sum(), own.groupby("what")["seconds"].count()

    def mean(what: str, *more: str) -> float:
        if what not in count:
            return 0.0
        return float(sum(total.get(name, 0.0) for name in (what, *more)) / count[what])

    return Overhead(
        model_call_s=mean("call"),
        agent_turn_s=mean("turn", "run"),
        context_s=mean("view"),
        result_s=mean("result"),
    )


def errors_frame(fitted: pd.DataFrame) -> pd.DataFrame:
    """How well the rates fit: over all calls, by purpose, at the preset levels, and of whole runs.

    Returns
    -------
    DataFrame
        One row a group: `of`, `phase`, `n`, `bias` (fitted over measured seconds, less 1), `r2`, and the
        median and 95th percentile of the absolute relative error (`error_median`, `error_p95`).
    """
    groups = [("all calls", fitted)]
    groups += [(f"purpose {name}", part) for name, part in fitted.groupby("purpose")]
    groups += [(f"level {name}", fitted[fitted["level"] == name]) for name in LEVELS]
    groups = [(name, part) for name, part in groups if len(part)]
    sums = ["prefill_s", "prefill_fit_s", "decode_s", "decode_fit_s"]
    groups.append(("whole runs", fitted.groupby(["experiment", "run_id"], as_index=False)[sums].sum()))
    rows = []
    for name, part in groups:
        for phase in ("prefill", "decode"):
            rows.append({"of": name, "phase": phase, **_errors(part[f"{phase}_s"], part[f"{phase}_fit_s"])})
        measured, told = part["prefill_s"] + part["decode_s"], part["prefill_fit_s"] + part["decode_fit_s"]
        rows.append({"of": name, "phase": "both", **_errors(measured, told)})
    return pd.DataFrame(rows)


def _errors(measured: pd.Series, fitted: pd.Series) -> dict[str, float]:
    error = (fitted / measured - 1).abs()
    spread = float(((measured - measured.mean()) ** 2).sum())
    return {
        "n": len(measured),
        "bias": float(fitted.sum() / measured.sum() - 1),
        "r2": 1 - float(((measured - fitted) ** 2).sum()) / spread if spread else float("nan"),
        "error_median": float(error.median()),
        "error_p95": float(error.quantile(0.95)),
    }
