"""What a run would take under changes, with an interval."""

import math
import random
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from swarmlab.errors import SpecError
from swarmlab.trace.attribution import attribute
from swarmlab.trace.changes import Changes, check_names
from swarmlab.trace.replay import Replayed, replay
from swarmlab.trace.replay_costs import spared_by_fewer_agents
from swarmlab.trace.replay_plan import MODEL_PHASES, ReplayPlan, replay_plan
from swarmlab.trace.spans import Span
from swarmlab.trace.tree import span_tree

DRAWS = 100
MOST_REPLAYED_SPANS = 1_000_000
"""Draws are cut to this many spans replayed in all, and never below `FEWEST_DRAWS`."""
FEWEST_DRAWS = 10


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one run would take, in seconds, under changes."""

    n_runs: int
    """Traces that it rests on."""
    measured_s: float
    """Median of their durations."""
    predicted_s: float
    """Median over the traces of the replayed duration (of several runs at once: their mean)."""
    low_s: float | None
    high_s: float | None
    """Prediction interval of 95 % for one new run; None where nothing tells of any spread."""
    interval: str
    """How the interval was made."""
    runs_s: tuple[float, ...]
    """Replayed durations of the runs at once, of the median trace; one where `concurrency` is 1."""
    exclusive_s: Mapping[str, float]
    """Replayed exclusive time by category, of the median trace's first run."""
    assumptions: tuple[str, ...]

    @property
    def speedup(self) -> float | None:
        """How many times faster than measured; None when nothing would be left."""
        return self.measured_s / self.predicted_s if self.predicted_s else None


def predict(
    traces: Sequence[Sequence[Span]], changes: Changes, kept_calls: tuple[str, ...] = ()
) -> Prediction:
    """Replay each trace under the changes.

    Parameters
    ----------
    traces
        Spans of one or more runs of the same kind, such as the repeats of a level. Several give an interval
        that holds their run-to-run spread; one gives an interval from the spread of like calls within it.
    changes
        What is changed.
    kept_calls
        Beginnings of the names of model calls that have to be made however few the agents.

    Raises
    ------
    TraceError
        A trace is malformed.
    SpecError
        A change names what no trace has, or needs what the traces do not tell.
    """
    plans = [replay_plan(span_tree(spans)) for spans in traces]
    _check(plans, changes)
    outcomes = [_draws(plan, changes, kept_calls, with_spread=len(plans) == 1) for plan in plans]
    # Where hits are drawn the centre is that of the draws; like calls' spread must not move it.
    centres = [statistics.median(draws) if changes.is_drawn else _mean_s(plain) for plain, draws in outcomes]
    low, high, how = _between_runs(centres) if len(plans) > 1 else _within_run(centres[0], outcomes[0][1])
    middle = min(range(len(plans)), key=lambda i: abs(centres[i] - statistics.median(centres)))
    shown = outcomes[middle][0]
    return Prediction(
        n_runs=len(plans),
        measured_s=statistics.median(plan.tree.wall_ns for plan in plans) / 1e9,
        predicted_s=statistics.median(centres),
        low_s=low,
        high_s=high,
        interval=how,
        runs_s=tuple(ns / 1e9 for ns in shown.durations_ns),
        exclusive_s={c: ns / 1e9 for c, ns in attribute(shown.spans).exclusive_by_category.items()},
        assumptions=_assumptions(changes, plans),
    )


def _check(plans: Sequence[ReplayPlan], changes: Changes) -> None:
    spans = [span for plan in plans for span in plan.tree.spans]
    tools = {span.name for span in spans if span.category == "tool"}
    check_names(
        changes, {s.category for s in spans} | tools | {s.agent for s in spans if s.agent is not None}
    )
    if changes.context_tokens is not None and not any(
        span.category == "model_prefill" and span.tokens for span in spans
    ):
        raise SpecError("change 'context': this trace does not tell how many tokens were prefilled")
    if changes.agents is not None:
        n_agents = len({span.agent for span in spans if span.agent is not None})
        if not 1 <= changes.agents <= n_agents:
            raise SpecError(f"change 'agents={changes.agents}': this trace has {n_agents} agents; give fewer")
    if changes.workers is not None and not tools:
        raise SpecError("change 'workers': this trace has no tool calls")
    if changes.slots is not None and not any(plan.phases for plan in plans):
        raise SpecError("change 'slots': this trace has no model calls")


def _draws(
    plan: ReplayPlan, changes: Changes, kept_calls: tuple[str, ...], *, with_spread: bool
) -> tuple[Replayed, list[float]]:
    """The plain replay, and the durations (s) of as many draws of hits and of like calls as are needed."""
    draw = random.Random(changes.seed)
    n = max(FEWEST_DRAWS, min(DRAWS, MOST_REPLAYED_SPANS // (len(plan.steps) * changes.concurrency)))
    fewer = spared_by_fewer_agents(plan, changes.agents, kept_calls) if changes.agents else frozenset()
    plain = replay(plan, changes, fewer | hits(plan, changes, draw))
    if not with_spread and not changes.is_drawn:
        return plain, [_mean_s(plain)]
    stretch = _stretches(plan) if with_spread else _no_stretch
    durations = [
        _mean_s(replay(plan, changes, fewer | hits(plan, changes, draw), stretch(draw))) for _ in range(n)
    ]
    return plain, durations


def hits(plan: ReplayPlan, changes: Changes, draw: random.Random) -> frozenset[str]:
    """Ids of the calls that a cache answers, each drawn on its own at its kind's hit rate."""
    tools = [s.span.span_id for s in plan.steps if s.span.category == "tool" and not s.span.cached]
    calls = [plan.steps[call].span.span_id for call in plan.phases]
    kinds = (("tool", tools), ("model", calls))
    return frozenset(i for kind, ids in kinds for i in ids if draw.random() < changes.cache.get(kind, 0.0))


def _mean_s(replayed: Replayed) -> float:
    return statistics.fmean(replayed.durations_ns) / 1e9


def _no_stretch(draw: random.Random) -> Mapping[str, float]:  # noqa: ARG001 - stands for a drawing one
    return {}


def _stretches(plan: ReplayPlan) -> Callable[[random.Random], Mapping[str, float]]:
    """A draw of a like call's pace in place of each call's own.

    Alike are calls of one name, and phases of the model with as many tokens to within a factor of two.
    """
    kinds: dict[tuple[str, str, int], list[tuple[str, float]]] = {}
    for span in (step.span for step in plan.steps if step.span.span_id not in plan.tree.children):
        tokens = span.tokens if span.category in MODEL_PHASES else None
        if span.duration_ns and tokens != 0:
            kind = (span.category, span.name, (tokens or 0).bit_length())
            kinds.setdefault(kind, []).append((span.span_id, span.duration_ns / (tokens or 1)))
    alike = [paces for paces in kinds.values() if len(paces) > 1]

    def stretch(draw: random.Random) -> Mapping[str, float]:
        return {i: draw.choice(paces)[1] / own for paces in alike for i, own in paces}

    return stretch


def _between_runs(durations_s: Sequence[float]) -> tuple[float | None, float | None, str]:
    """Student's t prediction interval of one more run, on logarithms."""
    n = len(durations_s)
    how = f"run-to-run spread of {n} runs: t prediction interval on logarithms"
    if not all(durations_s):
        return None, None, "none: nothing would be left of a run"
    logs = [math.log(duration) for duration in durations_s]
    margin = student_t(n - 1) * statistics.stdev(logs) * math.sqrt(1 + 1 / n)
    centre = statistics.fmean(logs)
    return math.exp(centre - margin), math.exp(centre + margin), how


def _within_run(centre_s: float, draws_s: Sequence[float]) -> tuple[float | None, float | None, str]:
    """Percentiles of the draws, moved to the centre: the draws tell of the spread only."""
    ordered = sorted(draws_s)
    if ordered[0] == ordered[-1]:
        return None, None, "none: one run, in which no two calls are alike"
    middle = statistics.median(ordered)
    low, high = (centre_s * ordered[round(q * (len(ordered) - 1))] / middle for q in (0.025, 0.975))
    how = f"spread of like calls within one run, {len(ordered)} draws; run-to-run drift is not in it"
    return low, high, how


def student_t(degrees: int) -> float:
    """The 97.5 % point of Student's t."""
    return float(stats.t.ppf(0.975, degrees))


def _assumptions(changes: Changes, plans: Sequence[ReplayPlan]) -> tuple[str, ...]:
    slots = changes.slots if changes.slots is not None else plans[0].slots
    model = (
        "calls of the model do not slow each other"
        if slots is None
        else (f"the model serves {slots} call{'s' if slots > 1 else ''} at once, first come first served")
    )
    says: Iterable[tuple[bool, str]] = (
        (True, "what was not changed takes as long as it did"),
        (True, model),
        (changes.workers is not None, "tool calls of one parent that do not read each other can run at once"),
        (changes.workers is not None and changes.cores is None, "tool calls at once do not slow each other"),
        (changes.cores is not None, f"tool calls at once share {changes.cores or 0:g} processors equally"),
        (changes.remove_barriers, "an agent needs only what its links name"),
        (bool(changes.cache), "an answer from the cache takes no time"),
        (changes.is_drawn, "which calls hit is drawn independently"),
        (
            changes.context_tokens is not None,
            "prefill time follows this run's own over its tokens; what is written stays as long",
        ),
        (changes.agents is not None, "the prompts of the agents that remain stay as long as they were"),
        (changes.concurrency > 1, "the runs start together"),
    )
    return tuple(text for applies, text in says if applies)
