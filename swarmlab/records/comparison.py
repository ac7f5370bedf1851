"""The comparison table: one row a level, cache state and model, with quality and failures beside speed."""

from typing import Any

import pandas as pd

from swarmlab.records.interval import RATIO_METHOD, RatioInterval, ratio_interval
from swarmlab.records.pairs import (
    ALIKE,
    LEVEL_ORDER,
    AaCheck,
    aa_check,
    alike,
    by_pair,
    level_key,
    paired,
    twin_of,
    with_pair,
    works_of,
)
from swarmlab.records.published import PublishedRun, SourceStudy
from swarmlab.records.timing import timing

__all__ = [
    "BASELINE",
    "EXPLORATORY_BELOW",
    "LEVEL_ORDER",
    "comparison",
    "failure_bound",
    "level_key",
    "study_frame",
    "study_split_frame",
]

BASELINE = "blackboard"
EXPLORATORY_BELOW = 10

_CACHE_ORDER = ("cold", "mixed", "warm")
_SAME = (*ALIKE, "cache_state")
_GROUP = [*_SAME, "level"]

_DTYPES = {
    **dict.fromkeys(
        ("kind", "level", "cache_state", "model", "profile", "clock", "data_name", "work_id"), "str"
    ),
    **dict.fromkeys(("attempted", "succeeded", "n", "n_works"), "Int64"),
    "failure_bound": "str",
    **dict.fromkeys(("duration_median_s", "duration_min_s", "duration_max_s"), "float64"),
    "baseline": "str",
    **dict.fromkeys(("ratio", "ratio_low", "ratio_high", "ratio_median"), "float64"),
    "n_pairs": "Int64",
    "ratio_method": "str",
    "aa_of": "str",
    **dict.fromkeys(("aa_ratio", "aa_ratio_low", "aa_ratio_high"), "float64"),
    "aa_covers_1": "boolean",
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
_LABELS = (
    *(name for name in _GROUP if name != "data_fingerprint"),
    "tokens_source",
    "roster",
    "lossy_switches",
    "tool_choice",
)


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
        One row a level, cache state, model and data set, over all the works (`n_works`) it went through.
        Durations (s): median, minimum and maximum of the runs that succeeded. `ratio`: how many times faster
        than the baseline (geometric mean, `ratio_median` beside it) with its 95 % interval, over pairs (equal
        `work_id`, `pair` and cache state) in which both succeeded; missing, with a `note`, where there is
        none. `aa_…`: a level against the one of the same switches. Tokens, cost and counts are medians;
        quality scores (0 to 1) are means; `cache_hit_rate` is pooled.
    """
    keyed = with_pair(runs)
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
        "failure_bound": failure_bound(1, succeeded),
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
    works = works_of(group)
    row["work_id"] = works[0] if len(works) == 1 else f"{len(works)} works" if works else None
    row["attempted"], row["succeeded"], row["n"] = len(group), len(succeeded), len(succeeded)
    row["n_works"] = len(works_of(succeeded))
    row["failure_bound"] = failure_bound(len(group), len(succeeded))
    durations = succeeded["duration_s"]
    row["duration_median_s"] = durations.median()
    row["duration_min_s"], row["duration_max_s"] = durations.min(), durations.max()
    row.update({name: succeeded[name].astype("float64").median() for name in _MEDIANS})
    row.update({name: succeeded[name].mean() for name in _MEANS})
    row["cache_hit_rate"] = _hit_rate(succeeded)
    row["alerts"] = _alerts(group)
    # Without an identity nothing says that the runs were alike.
    same = alike(runs, group.iloc[0], _SAME) if pd.notna(group["clock"].iloc[0]) else group
    other = same[same["level"] == baseline]
    row["baseline"] = baseline
    row["roster_differs"] = _differs(row["roster"], _label(other["roster"]))
    interval, reason = _ratio(group, other, baseline)
    if interval is not None:
        row["ratio"], row["ratio_low"], row["ratio_high"] = interval.ratio, interval.low, interval.high
        row["ratio_median"], row["n_pairs"] = interval.median, interval.n
        row["ratio_method"] = "baseline" if row["level"] == baseline else RATIO_METHOD
    twin = _twin(row["level"], same)
    if twin is not None:
        row["aa_of"], row["aa_ratio"], row["aa_covers_1"] = twin.twin, twin.ratio, twin.covers_1
        row["aa_ratio_low"], row["aa_ratio_high"] = twin.low, twin.high
    row["note"] = _note(row, group, other, reason, twin)
    return row


def _ratio(
    group: pd.DataFrame, other: pd.DataFrame, baseline: str
) -> tuple[RatioInterval | None, str | None]:
    """Return the interval, and why there is none."""
    ours = by_pair(group)
    if not (group["status"] == "ok").any():
        return None, "no run succeeded"
    if ours.empty:
        # A virtual clock does not move where all comes from a cache.
        took_none = (group["duration_s"] == 0).any()
        return (
            None,
            "it took no time, so there is no ratio" if took_none else "no run of known work succeeded",
        )
    if group["level"].iloc[0] == baseline:
        return RatioInterval(1.0, None, None, len(ours), 1.0), None
    if not set(works_of(group)) & set(works_of(other)):
        return None, f"no {baseline} run of the same work, clock and model"
    pairs = paired(other, group)
    if pairs.empty:
        return None, f"no pair with {baseline} in which both succeeded"
    return ratio_interval(pairs["a"].tolist(), pairs["b"].tolist()), None


def _twin(level: str, same: pd.DataFrame) -> AaCheck | None:
    """Check a level against the first of the same switches; that one has no such row of its own."""
    twin = twin_of(level, same)
    if twin is None or level_key(level) < level_key(twin):
        return None
    return aa_check(level, twin, same)


def _note(
    row: dict[str, Any],
    group: pd.DataFrame,
    other: pd.DataFrame,
    reason: str | None,
    twin: AaCheck | None,
) -> str:
    interrupted = int((group["status"] == "interrupted").sum())
    lost = row["succeeded"] - row["n_pairs"] if row.get("n_pairs") is not None else 0
    hits = int((group["cache_hits"].fillna(0) > 0).sum()) if row["cache_state"] == "cold" else 0
    works = works_of(group)
    shared = sum(work in works_of(other) for work in works)
    parts = (
        "exploratory" if 0 < row["n"] < EXPLORATORY_BELOW else None,
        "n = 1, no interval" if row.get("n_pairs") == 1 and row["level"] != row["baseline"] else None,
        reason,
        f"{lost} without a partner" if lost > 0 and reason is None else None,
        f"{shared} of {len(works)} works shared with {row['baseline']}: only their pairs count"
        if 0 < shared < len(works)
        else None,
        str(twin) if twin else None,
        f"{interrupted} interrupted" if interrupted else None,
        f"{hits} cold runs had cache hits" if hits else None,
        "the model chose the tools" if row["tool_choice"] == "model" else None,
        told if (told := timing(row["clock"], row["model"], row["profile"])) != "measured" else None,
    )
    return "; ".join(part for part in parts if part)


def failure_bound(attempted: int, succeeded: int) -> str:
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
