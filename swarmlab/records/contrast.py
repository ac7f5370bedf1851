"""Two levels set side by side: speed, failures, tokens, cost and quality, on the work that both did."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from swarmlab.records.comparison import EXPLORATORY_BELOW, failure_bound
from swarmlab.records.interval import (
    RATIO_METHOD,
    UNPAIRED_METHOD,
    RatioInterval,
    median_interval,
    ratio_interval,
    unpaired_ratio,
)
from swarmlab.records.pairs import (
    AaCheck,
    by_work,
    no_ratio,
    paired,
    succeeded,
    times_by_work,
    with_pair,
    works_of,
)
from swarmlab.records.scores import METRICS, ScoreDifference, identical_scores, score_difference
from swarmlab.records.timing import timing

__all__ = [
    "Contrast",
    "Facts",
    "SideFigures",
    "Speed",
    "contrast",
    "facts_agree",
    "pair_word",
]

UNIT = "times as fast: duration of A over duration of B"
IDENTICAL_FACTS = "exact: the tool facts are identical on every work"
IDENTICAL_ANSWERS = "exact: no lossy switch differs; facts, tokens and scores are equal on every work"
Facts = Literal["identical", "differ", "not recorded"]
"""Whether both sides' tool facts are the same, work by work."""

_MEDIANS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "tokens_per_s",
    "cost_usd",
    "n_model_calls",
    "n_agents",
    "n_tool_calls",
    "n_tool_executions",
    "load_s",
    "other_cpu_share",
)


@dataclass(frozen=True, slots=True)
class SideFigures:
    """One side on the shared works: runs, median duration with its 95 % interval, medians of the rest."""

    level: str
    roster: str | None
    attempted: int
    succeeded: int
    failure_bound: str
    errors: tuple[str, ...]
    duration_median_s: float | None
    duration_low_s: float | None
    duration_high_s: float | None
    medians: dict[str, float | None]
    """Tokens, cost, calls, agents, load and others' CPU share: medians of the runs that succeeded."""
    tokens_source: str | None


@dataclass(frozen=True, slots=True)
class Speed:
    """How many times faster B is than A, with a 95 % interval; all None where there is no ratio.

    `ratio_median` is the median of the paired ratios, `ratio` their geometric mean. `n` counts pairs, or,
    where runs share no block, the runs on the smaller side.
    """

    ratio_median: float | None
    ratio: float | None
    low: float | None
    high: float | None
    n: int
    n_works: int
    is_paired: bool
    is_exploratory: bool
    method: str
    unit: str = UNIT


@dataclass(frozen=True, slots=True)
class Contrast:
    """B against A in one cache state, on one clock, by one model."""

    a: SideFigures
    b: SideFigures
    cache_state: str | None
    clock: str | None
    model: str | None
    profile: str | None
    data_name: str | None
    speed: Speed
    scores: tuple[ScoreDifference, ...]
    works: tuple[str, ...]
    """The works that both sides did or attempted; nothing else is in any figure."""
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    facts: Facts
    roster_differs: bool
    aa: tuple[AaCheck, ...]
    note: str

    @property
    def is_simulated(self) -> bool:
        """The durations are of a virtual clock and the answers made up by a profile."""
        return self.clock == "virtual"

    @property
    def timing(self) -> str:
        """How the durations came about: "measured", or "simulated: PROFILE"."""
        return timing(self.clock, self.model, self.profile)

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        kind = "simulated" if self.is_simulated else "measured"
        return {"kind": kind, **asdict(self)}


def contrast(
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    is_blocked: bool,
    is_lossless: bool = False,
    aa: Iterable[AaCheck] = (),
) -> Contrast:
    """Set B beside A on the works that both did.

    Parameters
    ----------
    a, b
        Rows of `runs`, each of one level, alike in clock, model, profile, data and cache state.
    is_blocked
        Both were run in the blocks of one experiment, so that equal `pair` means one block.
    is_lossless
        Only lossless switches differ, so that equal facts, tokens and scores mean equal answers.
    aa
        A/A checks of either level.

    Returns
    -------
    Contrast
        Speed over pairs of equal work and block; where there is none, over unpaired runs within works.
        Quality over works, repeats of one work as their mean.
    """
    works = [work for work in works_of(a) if work in works_of(b)]
    on_a, on_b = (side[side["work_id"].isin(works) | side["work_id"].isna()] for side in (a, b))
    first = (on_a if len(on_a) else a).iloc[0]
    speed = _speed(with_pair(on_a), with_pair(on_b), is_blocked)
    facts = facts_agree(on_a, on_b)
    rosters = [_one(side["roster"]) for side in (a, b)]
    scores = _scores(on_a, on_b, facts, is_lossless)
    checks = tuple(aa)
    only_a, only_b = (tuple(work for work in works_of(side) if work not in works) for side in (a, b))
    return Contrast(
        a=_figures(on_a),
        b=_figures(on_b),
        **{name: _text(first[name]) for name in ("cache_state", "clock", "model", "profile", "data_name")},
        speed=speed,
        scores=scores,
        works=tuple(works),
        only_a=only_a,
        only_b=only_b,
        facts=facts,
        roster_differs=None not in rosters and rosters[0] != rosters[1],
        aa=checks,
        note=_note(speed, only_a, only_b, checks, _text(first["clock"]), is_blocked),
    )


def facts_agree(a: pd.DataFrame, b: pd.DataFrame) -> Facts:
    """Say whether every run of both sides that succeeded has the same tool facts, work by work."""
    ours, theirs = succeeded(a), succeeded(b)
    shared = set(works_of(ours)) & set(works_of(theirs))
    runs = pd.concat([ours, theirs])
    runs = runs[runs["work_id"].isin(shared)]
    if (runs.groupby("work_id")["facts_hash"].nunique() > 1).any():
        return "differ"
    return "identical" if len(runs) and runs["facts_hash"].notna().all() else "not recorded"


def pair_word(speed: Speed) -> str:
    """Name what `n` counts: "10 pairs", or "10 runs a side, not paired"."""
    if speed.is_paired:
        return f"{speed.n} pair{'' if speed.n == 1 else 's'}"
    return f"{speed.n} run{'' if speed.n == 1 else 's'} a side, not paired"


def _speed(a: pd.DataFrame, b: pd.DataFrame, is_blocked: bool) -> Speed:
    pairs = paired(a, b) if is_blocked else pd.DataFrame()
    if len(pairs):
        found: RatioInterval | None = ratio_interval(pairs["a"].tolist(), pairs["b"].tolist())
        n_works = pairs.index.get_level_values(0).nunique()
        return _as_speed(found, n_works, is_paired=True, why_none=no_ratio(a, b))
    above, below = times_by_work(a), times_by_work(b)
    n_works = len(set(above) & set(below))
    found = unpaired_ratio(above, below) if n_works else None
    return _as_speed(found, n_works, is_paired=False, why_none=no_ratio(a, b))


def _as_speed(found: RatioInterval | None, n_works: int, *, is_paired: bool, why_none: str) -> Speed:
    if found is None:
        return Speed(None, None, None, None, 0, 0, is_paired, True, f"none: {why_none}")
    method = RATIO_METHOD if is_paired else UNPAIRED_METHOD
    exploratory = found.n < EXPLORATORY_BELOW
    return Speed(
        found.median, found.ratio, found.low, found.high, found.n, n_works, is_paired, exploratory, method
    )


def _scores(a: pd.DataFrame, b: pd.DataFrame, facts: Facts, is_lossless: bool) -> tuple[ScoreDifference, ...]:
    same_text = all(
        _equal(by_work(a, column), by_work(b, column)) for column in ("prompt_tokens", "completion_tokens")
    )
    scores = {metric: (by_work(a, metric), by_work(b, metric)) for metric in METRICS}
    same_answers = is_lossless and same_text and facts == "identical"
    same_answers &= all(_equal(*sides) for sides in scores.values() if any(sides))
    found = []
    for metric, (ours, theirs) in scores.items():
        if metric == "fact_coverage" and facts == "identical" and _equal(ours, theirs):
            found.append(identical_scores(metric, ours, theirs, IDENTICAL_FACTS))
        elif same_answers and _equal(ours, theirs):
            found.append(identical_scores(metric, ours, theirs, IDENTICAL_ANSWERS))
        else:
            found.append(score_difference(metric, ours, theirs))
    return tuple(found)


def _equal(a: dict[str, float], b: dict[str, float]) -> bool:
    """Say whether both have values, equal but for rounding on every work that both have."""
    shared = set(a) & set(b)
    return bool(shared) and all(abs(a[work] - b[work]) < 1e-12 for work in shared)


def _figures(runs: pd.DataFrame) -> SideFigures:
    good = succeeded(runs)
    durations = good.loc[good["duration_s"] > 0, "duration_s"].tolist()
    middle = median_interval(durations) if durations else None
    return SideFigures(
        level=str(runs["level"].iloc[0]) if len(runs) else "",
        roster=_one(runs["roster"]),
        attempted=len(runs),
        succeeded=len(good),
        failure_bound=failure_bound(len(runs), len(good)) if len(runs) else "no runs",
        errors=tuple(dict.fromkeys(str(error) for error in runs["error"].dropna())),
        duration_median_s=middle.median_s if middle else None,
        duration_low_s=middle.low_s if middle else None,
        duration_high_s=middle.high_s if middle else None,
        medians={name: _figure(good[name].astype("float64").median()) for name in _MEDIANS},
        tokens_source=_one(good["tokens_source"]),
    )


def _note(
    speed: Speed,
    only_a: tuple[str, ...],
    only_b: tuple[str, ...],
    aa: tuple[AaCheck, ...],
    clock: str | None,
    is_blocked: bool,
) -> str:
    alone = [
        f"{len(works)} work(s) of {side} alone left out"
        for side, works in (("A", only_a), ("B", only_b))
        if works
    ]
    parts = (
        "simulated: durations are of a virtual clock" if clock == "virtual" else None,
        "exploratory" if speed.n and speed.is_exploratory else None,
        speed.method if not speed.n else None,
        "no interval at this n" if speed.n and speed.low is None else None,
        "no pair in which both succeeded: runs are compared unpaired"
        if is_blocked and speed.n and not speed.is_paired
        else None,
        "not run in the same blocks: drift of the machine between them is in the ratio"
        if not is_blocked and clock != "virtual"
        else None,
        *alone,
        *(f"{check.level}: {check}" for check in aa),
    )
    return "; ".join(part for part in parts if part)


def _one(values: "pd.Series[Any]") -> str | None:
    found = [str(value) for value in values.dropna().unique()]
    return " / ".join(found) if found else None


def _text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _figure(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
