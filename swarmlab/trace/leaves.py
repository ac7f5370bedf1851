"""When each span of a trace is a leaf: active, and none of its children is.

The times at which any span starts or ends cut the root's interval into elementary intervals; within one
nothing changes. All spans are clipped to the root; a child that runs outside its parent is active there all
the same.
"""

from dataclasses import dataclass

import numpy as np

from swarmlab.trace.tree import SpanTree
from swarmlab.trace.wavelet import Ints


@dataclass(frozen=True, slots=True)
class Leaves:
    """The stints of one trace; a stint is an uninterrupted leaf interval of one span."""

    times: Ints
    """Nanoseconds since the root's start at which elementary intervals begin and end, shape (n_times,)."""
    who: Ints
    """Position in the tree's order of each stint's span, shape (n_stints,)."""
    first: Ints
    """Index in `times` of each stint's start, shape (n_stints,)."""
    last: Ints
    """Index in `times` of each stint's end, shape (n_stints,)."""

    @property
    def n_intervals(self) -> int:
        """How many elementary intervals there are; none where the root lasts no time."""
        return len(self.times) - 1

    def present(self, chosen: Ints | None = None) -> Ints:
        """How many of the stints, or of the `chosen` ones, cover each elementary interval: (n_intervals,)."""
        first = self.first if chosen is None else self.first[chosen]
        last = self.last if chosen is None else self.last[chosen]
        n_times = len(self.times)
        change = np.bincount(first, minlength=n_times) - np.bincount(last, minlength=n_times)
        return np.cumsum(change)[: self.n_intervals]


def leaves_of(tree: SpanTree) -> Leaves:
    """Find every stint of every span; O(n log n) for n spans."""
    bounds = np.array([[s.start_ns for s in tree.spans], [s.end_ns for s in tree.spans]], dtype=np.int64)
    # From here on a time is its index in `times`: a small number, in the same order.
    times, index = np.unique(np.clip(bounds, tree.root.start_ns, tree.root.end_ns), return_inverse=True)
    start, end = index.reshape(bounds.shape)
    parent = _parents(tree)
    # Siblings side by side, in the order of their starts; the root, without a parent, comes first.
    child = np.argsort(parent, kind="stable")[1:]
    family = parent[child]
    # How far siblings have been active up to and with each one: a running maximum within the family, since
    # every family's values are lifted above those of the families before it.
    lift = family * len(times)
    reached = np.maximum.accumulate(np.maximum(end[child], start[family]) + lift) - lift
    is_first, is_last = np.diff(family, prepend=-1) != 0, np.diff(family, append=-1) != 0
    before = np.where(is_first, start[family], np.roll(reached, 1))
    after = start.copy()
    after[family[is_last]] = reached[is_last]
    # A span is a leaf between children and after its last one.
    who = np.concatenate((family, np.arange(len(start))))
    since = np.concatenate((before, after))
    until = np.concatenate((np.minimum(start[child], end[family]), end))
    lasting = since < until
    return Leaves(times - tree.root.start_ns, who[lasting], since[lasting], until[lasting])


def _parents(tree: SpanTree) -> Ints:
    """Position in the tree's order of each span's parent, -1 for the root."""
    position: dict[str | None, int] = {span.span_id: index for index, span in enumerate(tree.spans)}
    return np.array([position.get(span.parent_id, -1) for span in tree.spans], dtype=np.int64)
