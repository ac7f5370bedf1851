"""How many spans ran at once: over time, on average, at most; for a whole trace and for groups."""

from dataclasses import dataclass

import numpy as np

from swarmlab.trace.leaves import Leaves
from swarmlab.trace.tree import SpanTree
from swarmlab.trace.wavelet import Ints


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many spans, the root apart, were leaves at each instant: a step function."""

    steps: tuple[tuple[int, int], ...]
    """(nanoseconds since the root started, leaves from then on), one a change; the last at the root's end."""
    mean: float
    """Over the root's wall time; zero where it lasts no time."""
    maximum: int


def concurrency(tree: SpanTree, leaves: Leaves) -> Concurrency:
    """Count the leaves besides the root over time."""
    at_once = leaves.present(np.flatnonzero(leaves.who != tree.spans.index(tree.root)))
    changes = np.flatnonzero(np.diff(at_once, prepend=-1))
    steps = zip(leaves.times[changes].tolist(), at_once[changes].tolist(), strict=True)
    # In Python's integers: many spans of a long run overflow 64 bits.
    total_ns = sum(
        length * count for length, count in zip(np.diff(leaves.times).tolist(), at_once.tolist(), strict=True)
    )
    return Concurrency(
        steps=(*steps, (tree.wall_ns, 0)),
        mean=total_ns / tree.wall_ns if tree.wall_ns else 0.0,
        maximum=int(at_once.max(initial=0)),
    )


def most_at_once(leaves: Leaves, groups: Ints) -> Ints:
    """The most spans of each group that were leaves at one instant.

    Parameters
    ----------
    groups
        The group of each span in the tree's order, from 0; -1 for spans that are in none.

    Returns
    -------
    Shape (n_groups,); zero for groups that never held a leaf.
    """
    most = np.zeros(int(groups.max(initial=-1)) + 1, dtype=np.int64)
    group = groups[leaves.who]
    counted = group >= 0
    group = np.concatenate((group[counted], group[counted]))
    when = np.concatenate((leaves.first[counted], leaves.last[counted]))
    change = np.repeat([1, -1], int(counted.sum()))
    # Who leaves at an instant does so before the next one comes.
    order = np.lexsort((change, when, group))
    # Every group ends with none of its spans active, so the running count starts at zero in each.
    np.maximum.at(most, group[order], np.cumsum(change[order]))
    return most
