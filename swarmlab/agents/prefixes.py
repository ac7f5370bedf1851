"""How much of a prompt an earlier prompt of the run began with: text that may have been prefilled before."""

from bisect import bisect_left


class Prompts:
    """The prompts of a run so far, sorted: the longest shared beginning is always with a neighbour."""

    def __init__(self) -> None:
        self._sorted: list[str] = []

    def add(self, prompt: str) -> int:
        """Add a prompt; returns how many characters an earlier one begins with too, at most."""
        place = bisect_left(self._sorted, prompt)
        neighbours = self._sorted[max(place - 1, 0) : place + 1]
        self._sorted.insert(place, prompt)
        return max((shared_characters(prompt, other) for other in neighbours), default=0)


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
