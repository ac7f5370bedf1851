"""How prompts begin alike: the common beginning of two, and of one with all that came before it."""

from bisect import bisect_left, insort
from collections import OrderedDict
from functools import lru_cache
from heapq import heappop, heappush

REMEMBERED_PROMPTS = 10_000
"""Prompts whose beginnings are kept; beyond, the least recently used go first, as in any cache."""


@lru_cache(maxsize=4096)
def shared_characters(one: str, other: str) -> int:
    """Length of the longest common beginning of two texts."""
    low, high = 0, min(len(one), len(other))
    # Halving with whole comparisons is far faster than a loop over the characters.
    while low < high:
        middle = (low + high + 1) // 2
        if one.startswith(other[:middle]):
            low = middle
        else:
            high = middle - 1
    return low


class RecentPrompts:
    """Prompts by last use; one is known from the moment its prefill was done.

    Parameters
    ----------
    ttl_ns
        How long a prompt is kept after its last use; None for ever.
    """

    def __init__(self, ttl_ns: int | None) -> None:
        self._ttl_ns = ttl_ns
        self._sorted: list[str] = []
        self._used_ns: OrderedDict[str, int] = OrderedDict()
        self._coming: list[tuple[int, str]] = []

    def add(self, prompt: str, at_ns: int) -> None:
        """Keep a prompt from `at_ns` on."""
        heappush(self._coming, (at_ns, prompt))

    def shared_with(self, prompt: str, now_ns: int) -> int:
        """Characters that `prompt` has in common with the beginning of a kept prompt, at most."""
        self._settle(now_ns)
        place = bisect_left(self._sorted, prompt)
        # The longest common beginning is always with a neighbour in sorted order.
        neighbours = self._sorted[max(place - 1, 0) : place + 1]
        return max((shared_characters(prompt, other) for other in neighbours), default=0)

    def _settle(self, now_ns: int) -> None:
        used = self._used_ns
        while self._coming and self._coming[0][0] <= now_ns:
            at_ns, prompt = heappop(self._coming)
            if prompt not in used:
                insort(self._sorted, prompt)
            used[prompt] = at_ns
            used.move_to_end(prompt)
        while used and (len(used) > REMEMBERED_PROMPTS or self._is_stale(next(iter(used.values())), now_ns)):
            stale, _ = used.popitem(last=False)
            del self._sorted[bisect_left(self._sorted, stale)]

    def _is_stale(self, used_ns: int, now_ns: int) -> bool:
        return self._ttl_ns is not None and now_ns - used_ns > self._ttl_ns
