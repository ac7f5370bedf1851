"""How much of a prompt an earlier prompt of the run began with: text that may have been prefilled before."""

from bisect import bisect_left

from swarmlab.models.prefixes import shared_characters


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
