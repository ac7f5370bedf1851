"""Order statistics of many ranges at once: a wavelet matrix over numpy arrays.

The remainders of the leaf rule ask, for each of 200,000 instants, who is the r-th leaf in order among perhaps
tens of thousands. Answered one at a time that takes minutes; here all are answered together, a bit a level.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class WaveletMatrix:
    """An array of small non-negative integers, indexed for rank and count queries.

    Source: Claude, Navarro, Ordóñez, "The wavelet matrix", Information Systems 47 (2015).

    Parameters
    ----------
    values
        Shape (n,), each in [0, 2**bits).
    bits
        Levels of the matrix; building and every batch of queries take O(bits) passes over arrays.
    """

    def __init__(self, values: Ints, bits: int) -> None:
        self.bits = bits
        self.zeros: list[Ints] = []
        """By level, highest bit first: how many of the first i values have a zero there, shape (n + 1,)."""
        for level in range(bits - 1, -1, -1):
            is_zero = ((values >> level) & 1) == 0
            self.zeros.append(np.concatenate(([0], np.cumsum(is_zero, dtype=np.int64))))
            values = np.concatenate((values[is_zero], values[~is_zero]))

    def count_at_least(self, bounds: Ints, low: Ints, high: Ints) -> Ints:
        """How many of `values[low[i]:high[i]]` are >= `bounds[i]`, for every i; shapes (m,)."""
        counts = np.zeros_like(bounds)
        for depth, zeros in enumerate(self.zeros):
            has_one = ((bounds >> (self.bits - 1 - depth)) & 1) == 1
            zeros_low, zeros_high = zeros[low], zeros[high]
            # Where the bound has a zero, the values with a one are larger.
            counts += np.where(has_one, 0, (high - low) - (zeros_high - zeros_low))
            low = np.where(has_one, zeros[-1] + low - zeros_low, zeros_low)
            high = np.where(has_one, zeros[-1] + high - zeros_high, zeros_high)
        return counts + (high - low)


def nth_present(
    arrivals: WaveletMatrix, departures: WaveletMatrix, sizes: tuple[Ints, Ints], ranks: Ints
) -> Ints:
    """The value of rank `ranks[i]` (from 1) among those that arrived and have not departed.

    Parameters
    ----------
    arrivals, departures
        The same multiset of values in the order of arrival and in the order of departure.
    sizes
        How many had arrived and how many had departed at each query, shapes (m,).
    ranks
        Shape (m,), each between 1 and the number present.

    Returns
    -------
    Values of shape (m,).
    """
    arrived, departed = sizes
    values = np.zeros_like(ranks)
    for depth, (zeros_in, zeros_out) in enumerate(zip(arrivals.zeros, departures.zeros, strict=True)):
        # Both matrices hold the same values, so a node starts at one offset in both and the offsets cancel.
        arrived_zero, departed_zero = zeros_in[arrived], zeros_out[departed]
        present_zero = arrived_zero - departed_zero
        goes_right: NDArray[Any] = ranks > present_zero
        ranks = np.where(goes_right, ranks - present_zero, ranks)
        values += goes_right.astype(np.int64) << (arrivals.bits - 1 - depth)
        arrived = np.where(goes_right, zeros_in[-1] + arrived - arrived_zero, arrived_zero)
        departed = np.where(goes_right, zeros_out[-1] + departed - departed_zero, departed_zero)
    return values
