"""What each step of a replay takes, in nanoseconds, under the changes that were asked for."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from scipy.optimize import nnls

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
        self._cut = _cut_calls(plan, changes.context_tokens)

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


def _cut_calls(plan: ReplayPlan, most_tokens: int | None) -> Mapping[int, float]:
    """Share of its time that each phase of a call keeps whose prompt is longer than `most_tokens`.

    What is written stays as long, but every token of it is sooner written after a shorter prompt.
    """
    if most_tokens is None:
        return {}
    prefills, decodes = [], []
    for numbers in plan.phases.values():
        phases = {plan.steps[i].span.category: (i, plan.steps[i].span) for i in numbers}
        i, prefill = phases.get("model_prefill", (0, None))
        if prefill is None or not prefill.tokens:
            continue
        prefills.append((i, prefill.tokens, float(prefill.duration_ns)))
        k, decode = phases.get("model_decode", (0, None))
        if decode is not None and decode.tokens:
            decodes.append((k, prefill.tokens, decode.duration_ns / decode.tokens))
    kept: dict[int, float] = {}
    for calls, most_powers in ((prefills, 3), (decodes, 2)):
        time_of = time_by_tokens([(tokens, time_ns) for _, tokens, time_ns in calls], most_powers)
        kept |= {i: time_of(most_tokens) / time_of(n) for i, n, _ in calls if n > most_tokens and time_of(n)}
    return kept


def time_by_tokens(calls: Sequence[tuple[int, float]], most_powers: int) -> Callable[[int], float]:
    """Time by tokens of the prompt: a start, a part by the token and, as third, one by the token squared.

    The square is attention's in a prefill, where every token looks at all before it. Least squares over a
    run's calls with no part below zero (`scipy.optimize.nnls`).

    Parameters
    ----------
    calls
        Tokens and time of each call.
    most_powers
        2 or 3 parts at most, and no more than there are lengths; of one length only the part by the token.
    """
    if not calls:
        return lambda _: 0.0
    tokens, times = (np.array(column, dtype=float) for column in zip(*calls, strict=True))
    powers = [1] if len(set(tokens)) == 1 else list(range(min(most_powers, len(set(tokens)))))
    largest = float(tokens.max())
    parts, _ = nnls(np.stack([(tokens / largest) ** power for power in powers], axis=1), times)
    shares = parts.tolist()
    return lambda n: sum(share * (n / largest) ** power for share, power in zip(shares, powers, strict=True))


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
