"""The comparison table: one row a level, cache state and model, with quality and failures beside speed."""

from typing import Any

import pandas as pd

from swarmlab.records.interval import RATIO_METHOD, RatioInterval, ratio_interval
from swarmlab.records.published import PublishedRun, SourceStudy

__all__ = [
    "BASELINE",
    "EXPLORATORY_BELOW",
    "LEVEL_ORDER",
    "comparison",
    "level_key",
    "study_frame",
    "study_split_frame",
]

BASELINE = "blackboard"
LEVEL_ORDER = ("blackboard", "none", "partial", "full")
"""The presets' order in tables and plots; other levels follow by name."""
EXPLORATORY_BELOW = 10

_CACHE_ORDER = ("cold", "mixed", "warm")
_WORK = ["work_id", "clock", "model", "profile"]
"""Only runs equal in these are compared: the same work on the same clock by the same model."""
_GROUP = [*_WORK, "cache_state", "level"]

_DTYPES = {
    **dict.fromkeys(
        ("kind", "level", "cache_state", "model", "profile", "clock", "data_name", "work_id"), "str"
    ),
    **dict.fromkeys(("attempted", "succeeded", "n"), "Int64"),
    "failure_bound": "str",
    **dict.fromkeys(("duration_median_s", "duration_min_s", "duration_max_s"), "float64"),
    "baseline": "str",
    **dict.fromkeys(("ratio", "ratio_low", "ratio_high", "ratio_median"), "float64"),
    "n_pairs": "Int64",
    "ratio_method": "str",
    **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), "float64"),
    "tokens_source": "str",
    **dict.fromkeys(("tokens_per_s", "cost_usd"), "float64"),
    **dict.fromkeys(("n_agents", "n_tool_calls", "n_tool_executions", "n_model_calls"), "float64"),
    **dict.fromkeys(
        (
            "cache_hit_rate",
            "fact_coverage",
            "groundedness",
            "decision_accuracy",
            "keyword_accuracy",
            "chance_accuracy",
            "load_s",
            "other_cpu_share",
        ),
        "float64",
    ),
    "roster": "str",
    "roster_differs": "boolean",
    **dict.fromkeys(("lossy_switches", "tool_choice", "alerts", "note"), "str"),
}
_MEDIANS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "tokens_per_s",
    "cost_usd",
    "n_agents",
    "n_tool_calls",
    "n_tool_executions",
    "n_model_calls",
    "load_s",
    "other_cpu_share",
)
_MEANS = ("fact_coverage", "groundedness", "decision_accuracy", "keyword_accuracy", "chance_accuracy")
_LABELS = (*_GROUP, "data_name", "tokens_source", "roster", "lossy_switches", "tool_choice")


def comparison(
    runs: pd.DataFrame, study: pd.DataFrame | None = None, baseline: str = BASELINE
) -> pd.DataFrame:
    """Compare levels that did the same work on the same clock with the same model.

    Parameters
    ----------
    runs
        The `runs` table.
    study
        The published rows (`study_frame`), appended as they are and never part of a ratio.
    baseline
        The level that speed is relative to.

    Returns
    -------
    DataFrame
        One row a level, cache state, model and work. Durations (s): median, minimum and maximum of the runs
        that succeeded. `ratio`: how many times faster than the baseline, with its 95 % interval, over pairs
        (equal `pair` and cache state) in which both succeeded; missing, with a `note`, where there is none.
        Tokens, cost and counts are medians; quality scores (0 to 1) are means; `cache_hit_rate` is pooled.
    """
    keyed = runs.assign(_pair=runs["pair"].fillna(runs["repeat"]))
    rows = [_row(group, keyed, baseline) for _, group in keyed.groupby(_GROUP, dropna=False, sort=False)]
    rows.sort(key=_row_order)
    ours = pd.DataFrame(rows, columns=list(_DTYPES)).astype(_DTYPES)
    if study is None or study.empty:
        return ours
    return pd.concat([ours, study], ignore_index=True) if len(ours) else study.reset_index(drop=True)


def study_frame(study: SourceStudy | None) -> pd.DataFrame:
    """Return the published rows in the columns of the comparison, marked "published"."""
    rows = [] if study is None else [_published_row(run) for run in study.runs]
    return pd.DataFrame(rows, columns=list(_DTYPES)).astype(_DTYPES)


def level_key(level: str) -> tuple[int, str]:
    """Return the key that sorts levels: the presets in their order, then others by name."""
    return (LEVEL_ORDER.index(level) if level in LEVEL_ORDER else len(LEVEL_ORDER), level)


def study_split_frame(study: SourceStudy | None) -> pd.DataFrame:
    """Return the published split of a duration: level, name, category, seconds and share, as claimed."""
    rows = [] if study is None else [{"level": study.split_of, **part.model_dump()} for part in study.split]
    return pd.DataFrame(rows, columns=["level", "name", "category", "seconds", "share"])


def _published_row(run: PublishedRun) -> dict[str, Any]:
    succeeded = int(run.status == "ok")
    return {
        "kind": "published",
        "level": run.level,
        "attempted": 1,
        "succeeded": succeeded,
        "n": succeeded,
        "failure_bound": _failure_bound(1, succeeded),
        "duration_median_s": run.duration_s,
        "duration_min_s": run.duration_s,
        "duration_max_s": run.duration_s,
        "total_tokens": run.total_tokens,
        "tokens_source": None if run.total_tokens is None else "estimate",
        "n_agents": run.n_agents,
        "n_tool_calls": run.n_tool_calls,
        "note": "; ".join(filter(None, ("published, not comparable", run.error))),
    }


def _row(group: pd.DataFrame, runs: pd.DataFrame, baseline: str) -> dict[str, Any]:
    succeeded = group[group["status"] == "ok"]
    row: dict[str, Any] = {name: _label(group[name]) for name in _LABELS}
    row["kind"] = "simulated" if row["clock"] == "virtual" else "measured"
    row["attempted"], row["succeeded"], row["n"] = len(group), len(succeeded), len(succeeded)
    row["failure_bound"] = _failure_bound(len(group), len(succeeded))
    row["duration_median_s"] = succeeded["duration_s"].median()
    row["duration_min_s"], row["duration_max_s"] = (
        succeeded["duration_s"].min(),
        succeeded["duration_s"].max(),
    )
    row.update({name: succeeded[name].astype("float64").median() for name in _MEDIANS})
    row.update({name: succeeded[name].mean() for name in _MEANS})
    row["cache_hit_rate"] = _hit_rate(succeeded)
    row["alerts"] = _alerts(group)
    other = _counterpart(group, runs, baseline)
    row["baseline"] = baseline
    row["roster_differs"] = _differs(row["roster"], _label(other["roster"]))
    interval, median, reason = _ratio(group, other, baseline)
    if interval is not None:
        row["ratio"], row["ratio_low"], row["ratio_high"] = interval.ratio, interval.low, interval.high
        row["ratio_median"], row["n_pairs"] = median, interval.n
        row["ratio_method"] = "baseline" if row["level"] == baseline else RATIO_METHOD
    row["note"] = _note(row, group, reason)
    return row


def _counterpart(group: pd.DataFrame, runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return the baseline's runs of the same work, clock, model, profile and cache state."""
    first = group.iloc[0]
    same = runs["level"] == baseline
    for name in (*_WORK, "cache_state"):
        same &= runs[name].isna() if pd.isna(first[name]) else runs[name] == first[name]
    # Without an identity nothing says that the work was the same.
    return runs[same] if pd.notna(first["work_id"]) and pd.notna(first["clock"]) else runs.iloc[:0]


def _ratio(
    group: pd.DataFrame, other: pd.DataFrame, baseline: str
) -> tuple[RatioInterval | None, float | None, str | None]:
    """Return the interval, the median of the paired ratios, and why there is none."""
    ours, theirs = _by_pair(group), _by_pair(other)
    if ours.empty:
        return None, None, "no run succeeded"
    if group["level"].iloc[0] == baseline:
        return RatioInterval(1.0, None, None, len(ours)), 1.0, None
    if other.empty:
        return None, None, f"no {baseline} run of the same work, clock and model"
    pairs = ours.index.intersection(theirs.index)
    if pairs.empty:
        return None, None, f"no pair with {baseline} in which both succeeded"
    above, below = theirs.loc[pairs], ours.loc[pairs]
    return ratio_interval(above.tolist(), below.tolist()), float((above / below).median()), None


def _by_pair(group: pd.DataFrame) -> "pd.Series[float]":
    """Return the duration of each pair that succeeded; several in one pair count once, as their median."""
    succeeded = group[(group["status"] == "ok") & group["_pair"].notna() & (group["duration_s"] > 0)]
    return succeeded.groupby("_pair")["duration_s"].median()


def _note(row: dict[str, Any], group: pd.DataFrame, reason: str | None) -> str:
    interrupted = int((group["status"] == "interrupted").sum())
    lost = row["succeeded"] - row["n_pairs"] if row.get("n_pairs") is not None else 0
    hits = int((group["cache_hits"].fillna(0) > 0).sum()) if row["cache_state"] == "cold" else 0
    parts = (
        "exploratory" if 0 < row["n"] < EXPLORATORY_BELOW else None,
        "n = 1, no interval" if row.get("n_pairs") == 1 and row["level"] != row["baseline"] else None,
        reason,
        f"{lost} without a partner" if lost > 0 and reason is None else None,
        f"{interrupted} interrupted" if interrupted else None,
        f"{hits} cold runs had cache hits" if hits else None,
        "the model chose the tools" if row["tool_choice"] == "model" else None,
        f"profile {row['profile']}" if row["profile"] else None,
    )
    return "; ".join(part for part in parts if part)


def _failure_bound(attempted: int, succeeded: int) -> str:
    """Say what the runs tell about the failure rate: the rule of three when none failed."""
    if succeeded < attempted:
        return f"{attempted - succeeded} of {attempted} failed"
    bound = 3 / attempted
    return f"below 3/{attempted} ({bound:.0%})" if bound < 1 else f"below 3/{attempted} (no bound)"


def _hit_rate(succeeded: pd.DataFrame) -> float | None:
    hits, misses = succeeded["cache_hits"].sum(), succeeded["cache_misses"].sum()
    asked = int(hits) + int(misses)
    return int(hits) / asked if asked else None


def _alerts(group: pd.DataFrame) -> str:
    names = [name for text in group["alerts"].dropna() for name in str(text).split("; ") if name]
    return "; ".join(f"{name} ({names.count(name)} of {len(group)})" for name in dict.fromkeys(names))


def _label(values: "pd.Series[Any]") -> str | None:
    """Return the one value of the column; several are all shown, in order of first appearance."""
    found = [str(value) for value in values.dropna().unique() if str(value)]
    return " / ".join(found) if found else None


def _differs(roster: str | None, baseline_roster: str | None) -> bool | None:
    return None if roster is None or baseline_roster is None else roster != baseline_roster


def _row_order(row: dict[str, Any]) -> tuple[Any, ...]:
    level, cache = row["level"] or "", row["cache_state"]
    return (
        row["clock"] or "~",
        row["data_name"] or "~",
        row["work_id"] or "~",
        row["model"] or "~",
        row["profile"] or "~",
        _CACHE_ORDER.index(cache) if cache in _CACHE_ORDER else len(_CACHE_ORDER),
        *level_key(level),
    )
