"""Where the wall time went: every nanosecond of the root given to a span, exactly, under any concurrency.

The leaf rule. A span is a leaf at an instant when it is active and none of its children is. The times at
which any span starts or ends cut the root's interval into elementary intervals; each is split equally among
its leaves in whole nanoseconds, the remainder going one each to the first in (start_ns, span_id) order. All
spans are clipped to the root; a child that runs outside its parent is active there all the same. While the
root is active somebody is a leaf, so the shares sum to the root's wall time with no residual.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from swarmlab.trace.spans import Span
from swarmlab.trace.tree import SpanTree, span_tree
from swarmlab.trace.wavelet import Ints, WaveletMatrix, nth_present


@dataclass(frozen=True, slots=True)
class Attribution:
    """Exclusive and busy time of one trace in integer nanoseconds."""

    wall_ns: int
    exclusive_by_span: dict[str, int]
    """Every span of the trace, the root too; sums to `wall_ns`."""
    exclusive_by_category: dict[str, int]
    """Categories with time; sums to `wall_ns`."""
    busy_by_category: dict[str, int]
    """Sums of durations of all spans but the root, so it may exceed the wall time; categories with time."""
    max_concurrency: int
    """Most spans, the root apart, that were leaves at one instant."""


def attribute(spans: Sequence[Span]) -> Attribution:
    """Split the root's wall time among `spans` by the leaf rule.

    O(n log n) for n spans whatever their nesting and concurrency.

    Raises
    ------
    TraceError
        The spans are not one trace, as `check_spans` says.
    """
    return attribute_tree(span_tree(spans))


def attribute_tree(tree: SpanTree) -> Attribution:
    """`attribute` for a trace that is already checked and indexed."""
    shares, max_concurrency = _shares(tree)
    exclusive = {span.span_id: share for span, share in zip(tree.spans, shares, strict=True)}
    return Attribution(
        wall_ns=tree.wall_ns,
        exclusive_by_span=exclusive,
        exclusive_by_category=sums((span.category, exclusive[span.span_id]) for span in tree.spans),
        busy_by_category=sums((s.category, s.duration_ns) for s in tree.spans if s is not tree.root),
        max_concurrency=max_concurrency,
    )


def sums(parts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Totals of (key, nanoseconds) pairs, largest first, keys without time left out."""
    totals: dict[str, int] = {}
    for key, amount_ns in parts:
        totals[key] = totals.get(key, 0) + amount_ns
    return {
        key: total for key, total in sorted(totals.items(), key=lambda item: (-item[1], item[0])) if total
    }


def _shares(tree: SpanTree) -> tuple[list[int], int]:
    """Nanoseconds of each span in tree order, and the maximum of concurrent leaves besides the root."""
    starts, ends = _clipped(tree)
    # A stint is an uninterrupted leaf interval of one span: who, from when, until when.
    who, since, until = _leaf_stints(tree, starts, ends)
    times = np.unique(np.array(starts + ends, dtype=np.int64))
    if len(times) == 1:
        return [0] * len(starts), 0
    first, last = np.searchsorted(times, since), np.searchsorted(times, until)
    lengths = np.diff(times)
    n_leaves = _n_present(first, last, len(lengths))
    quotient, remainder = np.divmod(lengths, n_leaves)
    given = np.concatenate(([0], np.cumsum(quotient)))
    amounts = given[last] - given[first] + _remainders(who, first, last, remainder)
    shares = np.zeros(len(starts), dtype=np.int64)
    np.add.at(shares, who, amounts)
    is_root = who == tree.spans.index(tree.root)
    concurrency = n_leaves - _n_present(first[is_root], last[is_root], len(lengths))
    return shares.tolist(), int(concurrency.max())


def _clipped(tree: SpanTree) -> tuple[list[int], list[int]]:
    """Starts and ends in tree order, clipped to the root, in nanoseconds since the root's start."""
    origin, wall_ns = tree.root.start_ns, tree.wall_ns
    starts = [min(max(span.start_ns - origin, 0), wall_ns) for span in tree.spans]
    ends = [min(max(span.end_ns - origin, 0), wall_ns) for span in tree.spans]
    return starts, ends


def _leaf_stints(tree: SpanTree, starts: list[int], ends: list[int]) -> tuple[Ints, Ints, Ints]:
    """The leaf intervals of all spans: position in tree order, start, end; each of shape (n_stints,)."""
    position = {span.span_id: index for index, span in enumerate(tree.spans)}
    stints: list[tuple[int, int, int]] = []
    for index, span in enumerate(tree.spans):
        cursor, end = starts[index], ends[index]
        for child in tree.children.get(span.span_id, ()):
            child_index = position[child.span_id]
            if starts[child_index] >= end:
                break
            if starts[child_index] > cursor:
                stints.append((index, cursor, starts[child_index]))
                cursor = starts[child_index]
            cursor = max(cursor, ends[child_index])
        if cursor < end:
            stints.append((index, cursor, end))
    table = np.array(stints, dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def _n_present(first: Ints, last: Ints, n_intervals: int) -> Ints:
    """How many stints cover each elementary interval, shape (n_intervals,)."""
    change = np.bincount(first, minlength=n_intervals + 1) - np.bincount(last, minlength=n_intervals + 1)
    return np.cumsum(change)[:n_intervals]


def _remainders(who: Ints, first: Ints, last: Ints, remainder: Ints) -> Ints:
    """How many remainder nanoseconds each stint receives.

    In an interval with remainder r the first r leaves in order receive one each: those up to the r-th leaf.
    So a stint receives one for each of its intervals whose r-th leaf is not before it.
    """
    with_rest = np.flatnonzero(remainder)
    bits = max(1, int(who.max()).bit_length())
    arrived, departed = np.sort(first), np.sort(last)
    sizes = (
        np.searchsorted(arrived, with_rest, side="right"),
        np.searchsorted(departed, with_rest, side="right"),
    )
    arrivals = WaveletMatrix(who[np.argsort(first, kind="stable")], bits)
    departures = WaveletMatrix(who[np.argsort(last, kind="stable")], bits)
    last_served = nth_present(arrivals, departures, sizes, remainder[with_rest])
    low, high = np.searchsorted(with_rest, first), np.searchsorted(with_rest, last)
    return WaveletMatrix(last_served, bits).count_at_least(who, low, high)
