"""One trace's bottlenecks as plain data: what `swarmlab bottlenecks --json` prints."""

from collections.abc import Mapping, Sequence
from typing import Any

from swarmlab.trace.attribution import Attribution, attribute_tree, sums
from swarmlab.trace.barriers import barrier_waits, wall_without_barriers_ns
from swarmlab.trace.critical_path import Segment, critical_path_of_tree
from swarmlab.trace.spans import Span
from swarmlab.trace.tree import SpanTree, span_tree


def bottlenecks(spans: Sequence[Span]) -> dict[str, Any]:
    """Where a run's time went, ready for JSON; times in seconds unless the key ends in `_ns`.

    Exclusive time follows the leaf rule (`attribution`) and sums to the wall time, critical-path time
    (`critical_path`) does so too, and busy time sums durations and may exceed it: three columns, never mixed.

    Returns
    -------
    `wall_s`, `wall_ns`;
    `exclusive_s`, `busy_s`, `critical_path_s` by category, and `exclusive_ns`;
    `exclusive_by_span_s` (the root only where it has time), `exclusive_by_agent_s`, `exclusive_by_tool_s`;
    `critical_path`: ids of its spans in time order, `critical_path_segments`: all of it;
    `barrier_waste_s`: time that spans were held by a barrier, summed over spans, `barrier_waits_s` by span;
    `wall_without_barriers_s`: the wall time had they not been;
    `n_calls`, `mean_duration_s`: over calls, which are the spans without children, the root apart;
    `max_concurrency`: most leaves at one instant, the root apart;
    `longest_span` (the root apart), `top_category`, `top_share`: the category with most exclusive time;
    `n_spans`, `children_of`: ids by parent id, in (start_ns, span_id) order.

    Raises
    ------
    TraceError
        The spans are not one trace, as `check_spans` says.
    """
    tree = span_tree(spans)
    attribution = attribute_tree(tree)
    return {
        "wall_s": _seconds(tree.wall_ns),
        "wall_ns": tree.wall_ns,
        "n_spans": len(tree.spans),
        **_exclusive(tree, attribution),
        "busy_s": _all_seconds(attribution.busy_by_category),
        **_path(critical_path_of_tree(tree)),
        **_barriers(tree),
        **_calls(tree),
        "max_concurrency": attribution.max_concurrency,
        "children_of": {
            parent_id: [child.span_id for child in children] for parent_id, children in tree.children.items()
        },
    }


def _exclusive(tree: SpanTree, attribution: Attribution) -> dict[str, Any]:
    by_span, by_category = attribution.exclusive_by_span, attribution.exclusive_by_category
    top = next(iter(by_category), tree.root.category)
    share = by_category[top] / attribution.wall_ns if by_category else 0.0
    return {
        "exclusive_s": _all_seconds(by_category),
        "exclusive_ns": dict(by_category),
        "exclusive_by_span_s": {
            span_id: _seconds(time_ns)
            for span_id, time_ns in by_span.items()
            if time_ns or span_id != tree.root.span_id
        },
        "exclusive_by_agent_s": _all_seconds(
            sums((span.agent, by_span[span.span_id]) for span in tree.spans if span.agent is not None)
        ),
        "exclusive_by_tool_s": _all_seconds(
            sums((span.name, by_span[span.span_id]) for span in tree.spans if span.category == "tool")
        ),
        "top_category": top,
        "top_share": share,
    }


def _path(segments: Sequence[Segment]) -> dict[str, Any]:
    return {
        "critical_path": list(dict.fromkeys(s.span_id for s in segments if s.span_id is not None)),
        "critical_path_s": _all_seconds(sums((s.category, s.duration_ns) for s in segments)),
        "critical_path_segments": [
            {"span_id": s.span_id, "category": s.category, "start_ns": s.start_ns, "end_ns": s.end_ns}
            for s in segments
        ],
    }


def _barriers(tree: SpanTree) -> dict[str, Any]:
    waits = barrier_waits(tree)
    return {
        "barrier_waste_s": _seconds(sum(waits.values())),
        "barrier_waits_s": _all_seconds(waits),
        "wall_without_barriers_s": _seconds(wall_without_barriers_ns(tree, waits)),
    }


def _calls(tree: SpanTree) -> dict[str, Any]:
    others = [span for span in tree.spans if span is not tree.root]
    calls = [span for span in others if span.span_id not in tree.children]
    total_ns = sum(span.duration_ns for span in calls)
    longest = max(others, key=lambda span: span.duration_ns, default=None)
    return {
        "n_calls": len(calls),
        "mean_duration_s": _seconds(total_ns) / len(calls) if calls else None,
        "longest_span": None if longest is None else longest.span_id,
    }


def _seconds(time_ns: int) -> float:
    return time_ns / 1e9


def _all_seconds(times_ns: Mapping[str, int]) -> dict[str, float]:
    return {key: _seconds(time_ns) for key, time_ns in times_ns.items()}
