"""Where a run may have wasted time: five suspects, each measured in seconds and tokens, or said not to be.

What a row holds is the most that its cure could save on its own; the rows overlap, so they are not added up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from swarmlab.trace.barriers import barrier_waits
from swarmlab.trace.replay_plan import ReplayPlan, replay_plan
from swarmlab.trace.spans import Span
from swarmlab.trace.tree import SpanTree


@dataclass(frozen=True, slots=True)
class Waste:
    """One suspect. `time_ns` is None where the trace does not carry what it takes to tell."""

    name: str
    time_ns: int | None
    tokens: int | None
    """None where the trace does not tell, or where tokens are not what is wasted."""
    n: int
    """Calls concerned."""
    meaning: str


def waste_of(tree: SpanTree, waits: Mapping[str, int] | None = None) -> tuple[Waste, ...]:
    """Measure the five suspects of a checked trace.

    Parameters
    ----------
    tree
        The trace.
    waits
        As `barrier_waits` returns them, where the caller has them already.

    Returns
    -------
    tuple
        `serial_tools`, `repeated_tools`, `repeated_prefill`, `barrier_waits`, `unread_output`. Times are sums
        over calls of durations, so that calls that ran at once count each on its own.
    """
    plan = replay_plan(tree)
    held = barrier_waits(tree) if waits is None else waits
    return (
        _serial_tools(plan),
        _repeated_tools(tree),
        _repeated_prefill(tree),
        Waste(
            "barrier_waits",
            sum(held.values()),
            None,
            len(held),
            "agents whose dependencies were done waited for a superstep",
        ),
        _unread_output(plan),
    )


def _serial_tools(plan: ReplayPlan) -> Waste:
    """Of each group of tool calls that need not wait for each other: all its time but its longest call."""
    groups: dict[int, list[Span]] = {}
    for step in plan.steps:
        if step.group is not None:
            groups.setdefault(step.group, []).append(step.span)
    several = [calls for calls in groups.values() if len(calls) > 1]
    time_ns = sum(_covered_ns(calls) - max(call.duration_ns for call in calls) for calls in several)
    n = sum(len(calls) for calls in several)
    return Waste("serial_tools", time_ns, None, n, "tool calls waited for others that they do not read")


def _covered_ns(spans: Iterable[Span]) -> int:
    """Time in which at least one of the spans, in order of their starts, ran."""
    covered_ns, until_ns = 0, None
    for span in spans:
        since_ns = span.start_ns if until_ns is None else max(span.start_ns, until_ns)
        covered_ns += max(span.end_ns - since_ns, 0)
        until_ns = span.end_ns if until_ns is None else max(until_ns, span.end_ns)
    return covered_ns


def _repeated_tools(tree: SpanTree) -> Waste:
    meaning = "the same tool ran again on the same arguments and data"
    done = [s for s in tree.spans if s.category == "tool" and s.key is not None]
    if not done:
        return Waste("repeated_tools", None, None, 0, meaning)
    seen: set[tuple[str, str | None]] = set()
    again: list[Span] = []
    for span in done:
        if span.cached or span.status != "ok":
            continue
        if (span.name, span.key) in seen:
            again.append(span)
        seen.add((span.name, span.key))
    return Waste("repeated_tools", sum(s.duration_ns for s in again), None, len(again), meaning)


def _repeated_prefill(tree: SpanTree) -> Waste:
    meaning = "tokens were prefilled that an earlier call had prefilled as the same beginning (an estimate)"
    told = [
        s for s in tree.spans if s.category == "model_prefill" and s.tokens and s.repeated_tokens is not None
    ]
    if not told:
        return Waste("repeated_prefill", None, None, 0, meaning)
    again = [(span, span.repeated_tokens or 0) for span in told if span.repeated_tokens]
    # In integers: a share of a duration, the rest of a nanosecond dropped.
    time_ns = sum(span.duration_ns * tokens // (span.tokens or 1) for span, tokens in again)
    return Waste("repeated_prefill", time_ns, sum(tokens for _, tokens in again), len(again), meaning)


def _unread_output(plan: ReplayPlan) -> Waste:
    meaning = "tool results and model answers that nothing read"
    spans = plan.tree.spans
    if not any(span.reads for span in spans):
        return Waste("unread_output", None, None, 0, meaning)
    read = {span_id for span in spans for span_id in span.reads or ()}
    calls = [plan.steps[call].span for call in plan.phases]
    tools = [span for span in spans if span.category == "tool"]
    unread = [s for s in (*tools, *calls) if s.status == "ok" and s.span_id not in read]
    decoded = _decoded(plan)
    tokens = sum(decoded.get(span.span_id, 0) for span in unread)
    return Waste("unread_output", sum(s.duration_ns for s in unread), tokens, len(unread), meaning)


def _decoded(plan: ReplayPlan) -> dict[str, int]:
    """Tokens that each model call wrote, by the call's id."""
    return {
        plan.steps[call].span.span_id: sum(_written(plan.steps[i].span) for i in phases)
        for call, phases in plan.phases.items()
    }


def _written(span: Span) -> int:
    return span.tokens or 0 if span.category == "model_decode" else 0


def waste_rows(wastes: Sequence[Waste]) -> dict[str, dict[str, object]]:
    """The suspects by name, ready for JSON: seconds and tokens (None where not measured), n and meaning."""
    return {
        waste.name: {
            "seconds": None if waste.time_ns is None else waste.time_ns / 1e9,
            "tokens": waste.tokens,
            "n": waste.n,
            "meaning": waste.meaning,
        }
        for waste in wastes
    }
