"""One trace's bottlenecks as plain data: what `swarmlab bottlenecks --json` prints."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from swarmlab.trace.attribution import Attribution, attribute_leaves, sums
from swarmlab.trace.barriers import barrier_waits, wall_without_barriers_ns
from swarmlab.trace.concurrency import Concurrency, concurrency, most_at_once
from swarmlab.trace.critical_path import Segment, critical_path_of_tree
from swarmlab.trace.leaves import Leaves, leaves_of
from swarmlab.trace.spans import Span
from swarmlab.trace.tree import SpanTree, span_tree
from swarmlab.trace.waste import waste_of, waste_rows


def bottlenecks(spans: Sequence[Span]) -> dict[str, Any]:
    """Where a run's time went, ready for JSON; times in seconds unless the key ends in `_ns`.

    Exclusive time follows the leaf rule (`attribution`) and sums to the wall time, critical-path time
    (`critical_path`) does so too, and busy time sums durations and may exceed it: three columns, never mixed.

    Returns
    -------
    `wall_s`, `wall_ns`;
    `exclusive_s`, `busy_s`, `critical_path_s` by category, and `exclusive_ns`;
    `exclusive_by_span_s` (the root only where it has time), `exclusive_by_agent_s`, `exclusive_by_tool_s`;
    `by_category`, `by_agent`, `by_tool`, `by_span`: for each name `exclusive_s`, `busy_s`, `critical_path_s`,
    `n_calls`, `mean_duration_s` (over calls) and `max_concurrency` (most of its spans that were leaves at one
    instant); a tool's are its own spans', whatever runs below them apart;
    `critical_path`: ids of its spans in time order, `critical_path_segments`: all of it;
    `barrier_waste_s`: time that spans were held by a barrier, summed over spans, `barrier_waits_s` by span,
    `barrier_waits_by_agent_s`;
    `wall_without_barriers_s`: the wall time had they not been;
    `n_calls`, `mean_duration_s`: over calls, which are the spans without children, the root apart;
    `max_concurrency`: most leaves at one instant, the root apart, `mean_concurrency` over the wall time, and
    `concurrency`: pairs of seconds since the root's start and leaves from then on, one a change;
    `waste`: the five suspects (`swarmlab.trace.waste`), with seconds and tokens, None where not measured;
    `longest_span` (the root apart), `top_category`, `top_share`: the category with most exclusive time;
    `n_spans`, `children_of`: ids by parent id, in (start_ns, span_id) order.

    Raises
    ------
    TraceError
        The spans are not one trace, as `check_spans` says.
    """
    tree = span_tree(spans)
    leaves = leaves_of(tree)
    attribution = attribute_leaves(tree, leaves)
    segments = critical_path_of_tree(tree)
    waits = barrier_waits(tree)
    return {
        "wall_s": _seconds(tree.wall_ns),
        "wall_ns": tree.wall_ns,
        "n_spans": len(tree.spans),
        **_exclusive(tree, attribution),
        "busy_s": _all_seconds(attribution.busy_by_category),
        **_path(segments),
        **_barriers(tree, waits),
        **_calls(tree.spans, tree),
        **_longest(tree),
        "max_concurrency": attribution.max_concurrency,
        **_over_time(concurrency(tree, leaves)),
        **_groups(tree, leaves, attribution, segments),
        "waste": waste_rows(waste_of(tree, waits)),
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


def _barriers(tree: SpanTree, waits: Mapping[str, int]) -> dict[str, Any]:
    agents = ((tree.by_id[span_id].agent, time_ns) for span_id, time_ns in waits.items())
    return {
        "barrier_waste_s": _seconds(sum(waits.values())),
        "barrier_waits_s": _all_seconds(waits),
        "barrier_waits_by_agent_s": _all_seconds(sums((a, ns) for a, ns in agents if a is not None)),
        "wall_without_barriers_s": _seconds(wall_without_barriers_ns(tree, waits)),
    }


def _calls(spans: Sequence[Span], tree: SpanTree) -> dict[str, Any]:
    calls = [s for s in spans if s.span_id not in tree.children and s is not tree.root]
    total_ns = sum(span.duration_ns for span in calls)
    return {"n_calls": len(calls), "mean_duration_s": _seconds(total_ns) / len(calls) if calls else None}


def _longest(tree: SpanTree) -> dict[str, Any]:
    others = (span for span in tree.spans if span is not tree.root)
    longest = max(others, key=lambda span: span.duration_ns, default=None)
    return {"longest_span": None if longest is None else longest.span_id}


def _over_time(found: Concurrency) -> dict[str, Any]:
    return {
        "mean_concurrency": found.mean,
        "concurrency": [[_seconds(time_ns), count] for time_ns, count in found.steps],
    }


def _groups(
    tree: SpanTree, leaves: Leaves, attribution: Attribution, segments: Sequence[Segment]
) -> dict[str, dict[str, dict[str, Any]]]:
    """The same figures for each category, agent, tool and span; the root is in none but its category."""
    on_path: dict[str, int] = {}
    for segment in segments:
        if segment.span_id is not None:
            on_path[segment.span_id] = on_path.get(segment.span_id, 0) + segment.duration_ns
    # A wait at a barrier and the root's own time are on the path, but of no span.
    path_by_category = sums((s.category, s.duration_ns) for s in segments)

    def group(name_of: Callable[[Span], str | None]) -> dict[str, dict[str, Any]]:
        names = [name_of(span) for span in tree.spans]
        numbers = {name: i for i, name in enumerate(dict.fromkeys(n for n in names if n is not None))}
        places = np.array([-1 if n is None else numbers[n] for n in names], dtype=np.int64)
        at_once = most_at_once(leaves, places)
        members: dict[str, list[Span]] = {name: [] for name in numbers}
        for span, name in zip(tree.spans, names, strict=True):
            if name is not None:
                members[name].append(span)
        return {name: figures(spans, int(at_once[numbers[name]])) for name, spans in members.items()}

    def figures(spans: Sequence[Span], at_once: int) -> dict[str, Any]:
        return {
            "exclusive_s": _seconds(sum(attribution.exclusive_by_span[s.span_id] for s in spans)),
            "busy_s": _seconds(sum(s.duration_ns for s in spans if s is not tree.root)),
            "critical_path_s": _seconds(sum(on_path.get(s.span_id, 0) for s in spans)),
            **_calls(spans, tree),
            "max_concurrency": at_once,
        }

    by_category = group(lambda span: None if span is tree.root else span.category)
    for category in {**attribution.exclusive_by_category, **path_by_category}:
        by_category.setdefault(category, figures((), 0))
        by_category[category]["exclusive_s"] = _seconds(attribution.exclusive_by_category.get(category, 0))
        by_category[category]["critical_path_s"] = _seconds(path_by_category.get(category, 0))
    return {
        "by_category": by_category,
        "by_agent": group(lambda span: span.agent),
        "by_tool": group(lambda span: span.name if span.category == "tool" else None),
        "by_span": group(lambda span: span.span_id),
    }


def _seconds(time_ns: int) -> float:
    return time_ns / 1e9


def _all_seconds(times_ns: Mapping[str, int]) -> dict[str, float]:
    return {key: _seconds(time_ns) for key, time_ns in times_ns.items()}
