"""What each step of a replay takes, in nanoseconds, under the changes that were asked for."""

from collections.abc import Collection, Mapping

from swarmlab.trace.changes import MODEL_CATEGORIES, Changes
from swarmlab.trace.replay_plan import ReplayPlan
from swarmlab.trace.spans import Span


class Costs:
    """What each step of a plan takes under changes.

    Parameters
    ----------
    plan, changes, spared, stretched
        As of `swarmlab.trace.replay.replay`.
    """

    def __init__(
        self, plan: ReplayPlan, changes: Changes, spared: Collection[str], stretched: Mapping[str, float]
    ) -> None:
        self._plan = plan
        self._speed = changes.speed
        self._spared = _with_descendants(plan, spared)
        self._stretched = stretched
        self._cut = _cut_prefills(plan, changes.context_tokens)

    def is_spared(self, index: int) -> bool:
        """Whether the step takes no time at all."""
        return index in self._spared

    def duration(self, index: int) -> int:
        """Nanoseconds of a step without children, or its own time after its last child."""
        return 0 if index in self._spared else self.scaled(index, self._plan.steps[index].duration_ns)

    def scaled(self, index: int, time_ns: float) -> int:
        """Turn a time of the step's own as it was recorded into what it is now, in nanoseconds."""
        span = self._plan.steps[index].span
        stretch = self._cut.get(index, 1.0) * self._stretched.get(span.span_id, 1.0)
        return round(time_ns * stretch / self._factor(span))

    def start_lag(self, index: int) -> int:
        """Nanoseconds of the parent's own between what a start waited for and the start."""
        step = self._plan.steps[index]
        parent = self._plan.tree.by_id[str(step.span.parent_id)]
        if self._plan.index[parent.span_id] in self._spared:
            return 0
        return round(step.start_lag_ns / self._factor(parent))

    def _factor(self, span: Span) -> float:
        factor = 1.0
        names = [span.category, span.agent]
        names += [span.name] if span.category == "tool" else []
        names += ["model"] if span.category in MODEL_CATEGORIES else []
        for name in names:
            factor *= self._speed.get(str(name), 1.0)
        return factor


def _with_descendants(plan: ReplayPlan, span_ids: Collection[str]) -> set[int]:
    found: set[int] = set()
    pending = list(span_ids)
    while pending:
        span_id = pending.pop()
        found.add(plan.index[span_id])
        pending.extend(child.span_id for child in plan.tree.children.get(span_id, ()))
    return found


def _cut_prefills(plan: ReplayPlan, most_tokens: int | None) -> Mapping[int, float]:
    """Share of its time that each prefill longer than `most_tokens` keeps."""
    if most_tokens is None:
        return {}
    prefills = {
        i: step.span.tokens
        for i, step in enumerate(plan.steps)
        if step.span.category == "model_prefill" and step.span.tokens
    }
    start_ns, token_ns = prefill_line([plan.steps[i].span for i in prefills])
    return {
        i: (start_ns + token_ns * most_tokens) / (start_ns + token_ns * tokens)
        for i, tokens in prefills.items()
        if tokens > most_tokens
    }


def prefill_line(prefills: Collection[Span]) -> tuple[float, float]:
    """Nanoseconds to begin a prefill, and a token: least squares over a run's prefills, neither below 0.

    Parameters
    ----------
    prefills
        Spans with tokens; with fewer than two different lengths all time is by the token.
    """
    pairs = [(float(span.tokens or 0), float(span.duration_ns)) for span in prefills]
    n = len(pairs)
    mean_x, mean_y = sum(x for x, _ in pairs) / max(n, 1), sum(y for _, y in pairs) / max(n, 1)
    spread = sum((x - mean_x) ** 2 for x, _ in pairs)
    if not spread:
        return 0.0, mean_y / mean_x if mean_x else 0.0
    slope = max(sum((x - mean_x) * (y - mean_y) for x, y in pairs) / spread, 0.0)
    start = mean_y - slope * mean_x
    # A line through the origin where the fit would have a prompt of no tokens take less than no time.
    return (start, slope) if start >= 0 else (0.0, mean_y / mean_x)


def spared_by_fewer_agents(plan: ReplayPlan, agents: int, kept: tuple[str, ...]) -> frozenset[str]:
    """Spans that are not needed when only the last `agents` agents work.

    Of the other agents the tool calls remain, and the model calls whose names begin with one of `kept`: it
    has to be done. Their other model calls and contexts go. What remains is taken to last as long as it
    did, so a prompt that would grow, for it now holds another's tools, is predicted too short.

    Parameters
    ----------
    kept
        Beginnings of the names of model calls that somebody has to make.
    """
    order: dict[str, int] = {}
    for step in plan.steps:
        if step.span.agent is not None:
            order[step.span.agent] = max(order.get(step.span.agent, 0), step.span.end_ns)
    gone = sorted(order, key=lambda agent: order[agent])[: max(len(order) - agents, 0)]
    calls = {plan.steps[call].span.span_id for call in plan.phases}
    return frozenset(
        step.span.span_id
        for step in plan.steps
        if step.span.agent in gone
        and (
            step.span.category == "context"
            or (step.span.span_id in calls and not step.span.name.startswith(kept))
        )
    )
