"""The answers of a capacity experiment for people: tables of text, and Markdown."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from swarmlab.records.render import escape_cell

__all__ = ["answer_tables", "capacity_markdown"]

Answers = Mapping[str, Sequence[Mapping[str, Any]]]

_MISSING = "-"
_NOTES = {
    "Capacity within the service level": "The knee lies between the two rates, both simulated. Users follow "
    "from the lower one by Little's law with the think time stated.",
    "How throughput scales (Universal Scalability Law)": "Users in a closed loop, without think time and "
    "timeout. In brackets: 95 % intervals by profile likelihood. A peak is given only inside what was "
    "simulated, and nothing is extrapolated. A machine with a hard limit of slots or tokens bends more "
    "sharply than this law can; the worst residual says how far it is off.",
    "Which limit to buy": "The least limits that keep the service level at the wanted rate; a bucket holds "
    "one minute's worth. 'Too little' is the nearest limit, tried alone, that missed it.",
    "Times the analyses per hour": "'Sustained' is the greatest throughput of the closed loop, whatever "
    "users waited. Intervals are over seeds (paired, log scale).",
    "Steps": "Queue: those who wait for a worker; in system: all that have not ended; means over time and "
    "greatest. Cost is of all that was spent in a step over what succeeded.",
}


def answer_tables(steps: pd.DataFrame, answers: Answers) -> dict[str, pd.DataFrame]:
    """Return each question's answers as text, by a title; a question that was not asked has no rows."""
    return {
        "Capacity within the service level": _knees(answers["knees"], steps),
        "How throughput scales (Universal Scalability Law)": _scaling(answers["scalability"]),
        "Which limit to buy": _purchases(answers["purchases"]),
        "Times the analyses per hour": _advantage(answers["advantage"]),
        "Steps": _steps(steps),
    }


def capacity_markdown(steps: pd.DataFrame, answers: Answers, spec: Mapping[str, Any]) -> str:
    """Return the answers as Markdown: what was asked, a table a question, and how to read them.

    Parameters
    ----------
    steps
        The table `capacity.csv`.
    answers
        `scalability`, `knees`, `purchases` and `advantage`.
    spec
        The spec as JSON.
    """
    lines = ["# Capacity: simulated", "", *(f"- {sentence}" for sentence in _about(steps, spec))]
    for title, frame in answer_tables(steps, answers).items():
        if len(frame):
            lines += ["", f"## {title}", "", *_markdown(frame), "", _NOTES[title]]
    return "\n".join(lines).rstrip() + "\n"


def _about(steps: pd.DataFrame, spec: Mapping[str, Any]) -> list[str]:
    slo, pool, n_briefs = spec["slo"], spec["pool"]["workers"], len(spec["briefs"])
    profiles = ", ".join(steps["profile"].unique())
    return [
        f"Every duration here is simulated, on a virtual clock, in the name of its profile: {profiles}.",
        f"Service level: {slo['percentile']:g} % of analyses done within {slo['latency_s']:g} s of their "
        f"intended start. What failed or was given up after {spec['timeout_s']:g} s counts as a failure and "
        "stays in the percentiles, with at least that latency.",
        f"Arrivals: {spec['arrivals']['kind']}, open loop, {spec['users']:,} a step, the first "
        f"{spec['warm_up']:.0%} not counted; {'no pool' if pool is None else f'a pool of {pool} workers'}.",
        f"Mix: {n_briefs} {'brief' if n_briefs == 1 else 'briefs'}; what is asked anew has its own exam; "
        f"{spec['repeat_rate']:.0%} of arrivals repeat an earlier analysis, any of the earlier ones alike "
        "(in the closed loop at even intervals). Caches are empty when a step begins.",
        f"Seeds: {spec['seeds']} of arrivals, {spec['closed']['seeds']} of the closed loop. No p99 is given "
        "under 1,000 counted requests.",
    ]


def _knees(knees: Sequence[Mapping[str, Any]], steps: pd.DataFrame) -> pd.DataFrame:
    percentile, latency_s = (steps[name].iloc[0] for name in ("slo_percentile", "slo_latency_s"))
    rows = [
        {
            "Profile": knee["profile"],
            "Level": knee["level"],
            "Seed": str(knee["seed"]),
            f"Analyses an hour, p{percentile:g} within {latency_s:g} s": _figure(knee["met_per_h"]),
            "First missed at": _figure(knee["missed_per_h"]),
            "Mean latency, s": _figure(knee["latency_mean_s"], 2),
            "Users": f"{knee['users']:,} (think {knee['think_time_s']:g} s)"
            if knee["users"] is not None
            else _MISSING,
            "Note": knee["why"] or "",
        }
        for knee in knees
    ]
    return pd.DataFrame(rows)


def _scaling(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = []
    for one in found:
        row = {"Profile": one["profile"], "Level": one["level"]}
        fit = one["fit"]
        if fit is None:
            rows.append({**row, "Note": one["why"]})
            continue
        peak = fit["peak_users"]
        rows.append(
            {
                **row,
                "One user, an hour": _interval(fit["per_user"]),
                "Contention": _interval(fit["contention"]),
                "Coherency": _interval(fit["coherency"]),
                "Peak, users": _interval(peak),
                "Peak, an hour": _figure(fit["peak_per_h"]),
                "Worst residual": f"{fit['worst_residual']:.0%}",
                "n": str(fit["n"]),
                "Note": peak["why"] or "",
            }
        )
    return pd.DataFrame(rows).fillna(_MISSING)


def _purchases(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [
        {
            "Profile": one["profile"],
            "Level": one["level"],
            "Wanted, an hour": _figure(one["rate_per_h"]),
            "Tokens a minute": _figure(one["tokens_per_minute"]),
            "Requests a minute": _figure(one["requests_per_minute"]),
            "Too little": _MISSING
            if one["too_little"] is None
            else ", ".join(_figure(limit) for limit in one["too_little"].values()),
            "Note": one["why"] or "",
        }
        for one in found
    ]
    return pd.DataFrame(rows)


def _advantage(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = []
    for one in found:
        bounds = "" if one["low"] is None else f" [{one['low']:.2f}, {one['high']:.2f}]"
        rows.append(
            {
                "Profile": one["profile"],
                "Measure": one["measure"],
                f"{one['level']}, an hour": _figure(one["above_per_h"]),
                f"{one['baseline']}, an hour": _figure(one["below_per_h"]),
                "Times [95 %]": _MISSING if one["times"] is None else f"{one['times']:.2f}{bounds}",
                "n": str(one["n"]),
                "Claimed": f"{one['target']:g}",
                "Verdict": one["verdict"],
                "Note": one["why"] or "",
            }
        )
    return pd.DataFrame(rows)


def _steps(steps: pd.DataFrame) -> pd.DataFrame:
    shown: list[Any] = list(steps[steps["purpose"] != "limit"].itertuples(index=False))
    rows = [
        {
            "Profile": row.profile,
            "Level": row.level,
            "Load": f"{row.rate_per_h:,.4g} an hour" if row.kind == "open" else f"{row.n_users:.0f} at once",
            "OK": f"{row.succeeded:,} of {row.attempted:,}",
            "Done an hour": _figure(row.throughput_per_h),
            "p50, s": _figure(row.latency_p50_s, 2),
            "p95, s": _figure(row.latency_p95_s, 2),
            "p99, s": _figure(row.latency_p99_s, 2),
            "Queue (most)": f"{row.queue_mean:.2f} ({row.queue_max})",
            "In system (most)": f"{row.in_system_mean:.2f} ({row.in_system_max})",
            "Model busy": _percent(row.model_utilisation),
            "Tokens": _figure(row.tokens_per_analysis),
            "$ a thousand": _figure(row.cost_per_1000_usd, 2),
            "Cache hits": _percent(row.cache_hit_rate),
        }
        for row in shown
    ]
    return pd.DataFrame(rows)


def _interval(estimate: Mapping[str, Any]) -> str:
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    if value is None:
        return _MISSING
    if low is None and high is None:
        return f"{value:,.4g}"
    return f"{value:,.4g} [{low:,.4g}, {'?' if high is None else f'{high:,.4g}'}]"


def _figure(value: float | None, decimals: int = 0) -> str:
    return _MISSING if value is None or math.isnan(value) else f"{value:,.{decimals}f}"


def _percent(value: float | None) -> str:
    return _MISSING if value is None or math.isnan(value) else f"{value:.0%}"


def _markdown(frame: pd.DataFrame) -> list[str]:
    rows = [tuple(frame.columns), ("---",) * len(frame.columns)]
    rows += [tuple(escape_cell(cell) for cell in row) for row in frame.itertuples(index=False)]
    return [f"| {' | '.join(row)} |" for row in rows]
