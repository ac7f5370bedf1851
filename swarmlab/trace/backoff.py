"""How long to wait before something that failed is tried again: drawn, and the same in every process."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from attempt to attempt, each drawn from what it is for."""

    first_s: float = 0.1
    most_s: float = 5.0
    seed: int = 0

    def wait_s(self, attempt: int, *what: object) -> float:
        """Seconds to wait after the attempt of this number (from 1) at `what`."""
        drawn = random.Random("\0".join(map(str, (self.seed, *what, attempt)))).random()
        return backoff_s(self.first_s, self.most_s, attempt, drawn)


def backoff_s(first_s: float, most_s: float, attempt: int, drawn: float) -> float:
    """Seconds to wait after an attempt: doubling, and at random between half and the whole of that.

    Parameters
    ----------
    first_s, most_s
        The whole wait after the first attempt, and the longest there is.
    attempt
        Number of the attempt that failed, from 1.
    drawn
        Uniform over 0 to 1.

    Notes
    -----
    "Equal jitter" of M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog (2015).
    """
    whole_s: float = min(first_s * 2 ** (attempt - 1), most_s)
    return whole_s * (1 + drawn) / 2
