"""Random numbers that follow from what they are drawn for: the same in any order, process and hash seed."""

import hashlib
import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TypeVar

from swarmlab.models.profile import Jitter

T = TypeVar("T")

_STANDARD_NORMAL = NormalDist()
_ONE = 1 << 64


def digest(*parts: object) -> bytes:
    """Hash of texts and numbers, in order."""
    text = "\0".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=24).digest()


def share(drawn: bytes, place: int = 0) -> float:
    """A number in (0, 1), uniform over digests; three independent ones lie at places 0, 1 and 2."""
    return (int.from_bytes(drawn[8 * place : 8 * place + 8], "big") + 0.5) / _ONE


def spread(jitter: Jitter, uniform: float) -> float:
    """Factor of one call's time, of mean 1."""
    if jitter.kind == "exponential":
        return -math.log(uniform)
    if jitter.kind == "lognormal":
        return lognormal(jitter.sigma, uniform)
    return 1.0


def lognormal(sigma: float, uniform: float) -> float:
    """Quantile of the lognormal distribution of mean 1."""
    return math.exp(sigma * (_STANDARD_NORMAL.inv_cdf(uniform) - sigma / 2))


class Stream:
    """Numbers one after another, all following from one digest."""

    def __init__(self, drawn: bytes) -> None:
        self._drawn = drawn
        self._block = 0
        self._numbers: list[int] = []

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` - 1."""
        return int(self.uniform() * limit)

    def choice(self, options: Sequence[T]) -> T:
        """One of several."""
        return options[self.below(len(options))]

    def uniform(self) -> float:
        """A number in [0, 1)."""
        if not self._numbers:
            block = hashlib.blake2b(self._drawn + self._block.to_bytes(4, "big")).digest()
            self._numbers = [int.from_bytes(block[at : at + 4], "big") for at in range(0, len(block), 4)]
            self._block += 1
        return self._numbers.pop() / 4294967296
