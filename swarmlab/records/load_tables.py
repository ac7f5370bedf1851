"""Load: one row a request, and one row a step made from them alone.

Latency counts from the intended start. What failed or timed out counts as a failure and stays in every
percentile, with the timeout's latency or more.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from swarmlab.records.estimate import Floats

__all__ = [
    "REQUEST_COLUMNS",
    "STEP_COLUMNS",
    "fewest_requests",
    "latency_percentile",
    "requests_frame",
    "step_row",
    "steps_frame",
]

SECONDS_PER_HOUR = 3600.0
_PER_STEP = ("clock", "profile", "level", "kind", "purpose", "seed", "arrivals")

REQUEST_COLUMNS: Mapping[str, str] = {
    "step": "int64",
    "request": "int64",
    "brief": "int64",
    "exam_seed": "int64",
    "repeat": "bool",
    "warm_up": "bool",
    **dict.fromkeys(("intended_start_s", "start_s", "end_s"), "float64"),
    **dict.fromkeys(("status", "error"), "str"),
    "latency_s": "float64",
    **dict.fromkeys(("prompt_tokens", "completion_tokens", "cache_hits", "cache_misses"), "int64"),
    "cost_usd": "float64",
}
"""`start_s` is missing where a request was given up in the queue. `latency_s` is what counts: end less
intended start, and of what failed at least the timeout. `status` is ok, failed or timeout."""

STEP_COLUMNS: Mapping[str, str] = {
    "step": "int64",
    **dict.fromkeys(_PER_STEP, "str"),
    "seed": "int64",
    "rate_per_h": "float64",
    "n_users": "Int64",
    "pool": "Int64",
    **dict.fromkeys(("requests_per_minute", "tokens_per_minute"), "float64"),
    **dict.fromkeys(("attempted", "succeeded", "failed", "timed_out"), "int64"),
    **dict.fromkeys(
        (
            "error_rate",
            "throughput_per_h",
            "latency_mean_s",
            "latency_p50_s",
            "latency_p95_s",
            "latency_p99_s",
            "slo_percentile",
            "slo_latency_s",
            "latency_slo_s",
        ),
        "float64",
    ),
    "slo_met": "boolean",
    **dict.fromkeys(("wait_mean_s", "queue_mean"), "float64"),
    "queue_max": "int64",
    "in_system_mean": "float64",
    "in_system_max": "int64",
    **dict.fromkeys(("pool_utilisation", "model_utilisation", "model_queue_max", "refused"), "float64"),
    **dict.fromkeys(
        ("tokens_per_analysis", "cost_per_1000_usd", "cache_hit_rate", "repeat_share", "window_s"), "float64"
    ),
    "note": "str",
}


def fewest_requests(percentile: float) -> int:
    """Return how many requests a percentile takes: ten beyond it, which for the 99th is 1,000."""
    return math.ceil(round(10 / (1 - percentile / 100), 6)) if percentile > 50 else 1


def latency_percentile(latencies_s: Floats, percentile: float) -> float:
    """Return the least latency (s) that so many percent of requests do not exceed; NaN with too few requests.

    Parameters
    ----------
    latencies_s
        Of every request that counts, failed ones too, shape (n,).
    percentile
        Above 0, below 100.
    """
    if len(latencies_s) < fewest_requests(percentile):
        return float("nan")
    return float(np.quantile(latencies_s, percentile / 100, method="inverted_cdf"))


def requests_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row a request in the columns of `REQUEST_COLUMNS`."""
    return pd.DataFrame(list(rows), columns=list(REQUEST_COLUMNS)).astype(dict(REQUEST_COLUMNS))


def steps_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row a step in the columns of `STEP_COLUMNS`; what was not told is missing."""
    return pd.DataFrame(list(rows), columns=list(STEP_COLUMNS)).astype(dict(STEP_COLUMNS))


def step_row(requests: pd.DataFrame, about: Mapping[str, Any]) -> dict[str, Any]:
    """Sum up one step.

    Parameters
    ----------
    requests
        Its rows, shape (n,) of `REQUEST_COLUMNS`, at least one beyond the warm-up.
    about
        What the requests do not tell: `kind` (`open`: arrivals at `rate_per_h`; `closed`: `n_users` who ask
        again at once), `slo_percentile`, `slo_latency_s`, `pool` (None: unbounded), and the provider's
        figures.

    Returns
    -------
    dict
        Of `STEP_COLUMNS`. Counts, latencies and errors are of requests beyond the warm-up.
        `throughput_per_h`: those that succeeded, over the time from the first one's intended start to the
        last one's end (`window_s`); in a closed loop, over the time from the last end of the warm-up.
        `queue_…` and `in_system_…`: means over time and greatest values while requests arrived (in a closed
        loop: in `window_s`). `tokens_per_analysis`: of those that succeeded. `cost_per_1000_usd`: all that
        was spent in the step, warm-up and failures included, over a thousand of all that succeeded.
    """
    counted = requests[~requests["warm_up"]]
    ok = counted[counted["status"] == "ok"]
    latencies = counted["latency_s"].to_numpy()
    is_open = about["kind"] == "open"
    begin = counted["intended_start_s"].min() if is_open else _warmed_up_s(requests)
    end = counted["end_s"].max()
    window_s = float(end - begin)
    percentile, wanted_s = float(about["slo_percentile"]), float(about["slo_latency_s"])
    reached_s = latency_percentile(latencies, percentile)
    hits, misses = int(counted["cache_hits"].sum()), int(counted["cache_misses"].sum())
    return {
        **about,
        "attempted": len(counted),
        "succeeded": len(ok),
        "failed": int((counted["status"] == "failed").sum()),
        "timed_out": int((counted["status"] == "timeout").sum()),
        "error_rate": 1 - len(ok) / len(counted),
        "throughput_per_h": len(ok) / window_s * SECONDS_PER_HOUR if window_s > 0 else float("nan"),
        "latency_mean_s": float(latencies.mean()),
        **{f"latency_p{q}_s": latency_percentile(latencies, q) for q in (50, 95, 99)},
        "latency_slo_s": reached_s,
        "slo_met": None if math.isnan(reached_s) else reached_s <= wanted_s,
        "wait_mean_s": float((counted["start_s"] - counted["intended_start_s"]).mean()),
        **_over_time(requests, float(begin), float(counted["intended_start_s"].max() if is_open else end)),
        "pool_utilisation": _pool_utilisation(requests, about.get("pool"), float(begin), float(end)),
        "tokens_per_analysis": float((ok["prompt_tokens"] + ok["completion_tokens"]).mean()),
        "cost_per_1000_usd": _cost_per_1000_usd(requests, about),
        "cache_hit_rate": hits / (hits + misses) if hits + misses else float("nan"),
        "repeat_share": float(counted["repeat"].mean()),
        "window_s": window_s,
        "note": _note(len(counted), len(ok)),
    }


def _warmed_up_s(requests: pd.DataFrame) -> float:
    warm_up = requests[requests["warm_up"]]
    return float(warm_up["end_s"].max()) if len(warm_up) else float(requests["intended_start_s"].min())


def _over_time(requests: pd.DataFrame, begin: float, end: float) -> dict[str, Any]:
    """Mean over time and greatest number of those who waited for a worker, and of all who were there."""
    intended, ended = (requests[name].to_numpy() for name in ("intended_start_s", "end_s"))
    # One that was never started waited to its end.
    started = requests["start_s"].fillna(requests["end_s"]).to_numpy()
    found: dict[str, Any] = {}
    for name, until in (("queue", started), ("in_system", ended)):
        waited_s = _overlap_s(intended, until, begin, end)
        found[f"{name}_mean"] = waited_s / (end - begin) if end > begin else 0.0
        found[f"{name}_max"] = _greatest(intended, until, begin, end)
    return found


def _overlap_s(since: Floats, until: Floats, begin: float, end: float) -> float:
    return float(np.clip(np.minimum(until, end) - np.maximum(since, begin), 0.0, None).sum())


def _greatest(since: Floats, until: Floats, begin: float, end: float) -> int:
    """Most intervals that overlap at an instant from begin to end; one of no length is none."""
    is_there = (until > since) & (until > begin) & (since <= end)
    times = np.concatenate([until[is_there], np.maximum(since[is_there], begin)])
    steps = np.concatenate([np.full(is_there.sum(), -1), np.full(is_there.sum(), 1)])
    # At one instant ends come before starts: who leaves makes room for who comes.
    order = np.lexsort((steps, times))
    return int(np.cumsum(steps[order]).max(initial=0))


def _pool_utilisation(requests: pd.DataFrame, pool: int | None, begin: float, end: float) -> float:
    if pool is None or end <= begin:
        return float("nan")
    started = requests.dropna(subset="start_s")
    busy_s = _overlap_s(started["start_s"].to_numpy(), started["end_s"].to_numpy(), begin, end)
    return busy_s / (pool * (end - begin))


def _cost_per_1000_usd(requests: pd.DataFrame, about: Mapping[str, Any]) -> float:
    n_ok = int((requests["status"] == "ok").sum())
    # What the provider charged includes analyses that were given up.
    charged = about.get("charged_usd")
    spent = float(requests["cost_usd"].sum()) if charged is None else float(charged)
    return spent / n_ok * 1000 if n_ok else float("nan")


def _note(n_counted: int, n_ok: int) -> str:
    parts: Sequence[str | None] = (
        f"no p99: it takes {fewest_requests(99):,} requests, here are {n_counted:,}"
        if n_counted < fewest_requests(99)
        else None,
        None if n_ok < n_counted else f"failure rate below 3/{n_counted:,}",
    )
    return "; ".join(part for part in parts if part)
