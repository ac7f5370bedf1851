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

from swarmlab.trace.concurrency import concurrency
from swarmlab.trace.leaves import Leaves, leaves_of
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
    tree = span_tree(spans)
    return attribute_leaves(tree, leaves_of(tree))


def attribute_leaves(tree: SpanTree, leaves: Leaves) -> Attribution:
    """`attribute` for a trace that is checked and indexed, and whose leaves are known."""
    exclusive = {s.span_id: share for s, share in zip(tree.spans, _shares(tree, leaves), strict=True)}
    return Attribution(
        wall_ns=tree.wall_ns,
        exclusive_by_span=exclusive,
        exclusive_by_category=sums((span.category, exclusive[span.span_id]) for span in tree.spans),
        busy_by_category=sums((s.category, s.duration_ns) for s in tree.spans if s is not tree.root),
        max_concurrency=concurrency(tree, leaves).maximum,
    )


def sums(parts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Totals of (key, nanoseconds) pairs, largest first, keys without time left out."""
    totals: dict[str, int] = {}
    for key, amount_ns in parts:
        totals[key] = totals.get(key, 0) + amount_ns
    return {
        key: total for key, total in sorted(totals.items(), key=lambda item: (-item[1], item[0])) if total
    }


def _shares(tree: SpanTree, leaves: Leaves) -> list[int]:
    """Nanoseconds of each span in tree order."""
    shares = np.zeros(len(tree.spans), dtype=np.int64)
    if leaves.n_intervals:
        quotient, remainder = np.divmod(np.diff(leaves.times), leaves.present())
        given = np.concatenate(([0], np.cumsum(quotient)))
        amounts = given[leaves.last] - given[leaves.first] + _remainders(leaves, remainder)
        np.add.at(shares, leaves.who, amounts)
    found: list[int] = shares.tolist()
    return found


def _remainders(leaves: Leaves, remainder: Ints) -> Ints:
    """How many remainder nanoseconds each stint receives.

    In an interval with remainder r the first r leaves in order receive one each: those up to the r-th leaf.
    So a stint receives one for each of its intervals whose r-th leaf is not before it.
    """
    who, first, last = leaves.who, leaves.first, leaves.last
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
