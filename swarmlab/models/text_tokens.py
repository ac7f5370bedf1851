"""Tokens of a text without a tokenizer: a sum over what is in it, by the weights of a profile.

The weights are a fit to a tokenizer (`Features` are what they are fitted on), so the counts are a model's.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from swarmlab.models.profile import TokenCount

REMEMBERED_LINES = 200_000
"""Lines whose tokens are kept; prompts of a swarm repeat the same fact lines over and over."""

_WORD = re.compile(r"[^\W\d_]+")
_DIGIT = re.compile(r"\d")
_SPACE = re.compile(r"\s")


class Features(NamedTuple):
    """What a text holds; the fields stand in the order of `TokenCount`'s weights."""

    words: int
    letters: int
    digits: int
    symbols: int
    lines: int
    """Line breaks."""


def text_features(text: str) -> Features:
    """Count the words, letters, digits, symbols and line breaks of a text."""
    words = _WORD.findall(text)
    letters = sum(map(len, words))
    digits = len(_DIGIT.findall(text))
    symbols = len(text) - letters - digits - len(_SPACE.findall(text))
    return Features(len(words), letters, digits, symbols, text.count("\n"))


class TokenCounter:
    """Counts tokens by a profile's weights. Nothing is rounded before a whole prompt or answer."""

    def __init__(self, weights: TokenCount) -> None:
        self._weights = weights
        self._known: dict[str, float] = {}

    def count(self, text: str) -> float:
        """Tokens of a text, unrounded: texts that are joined by a line break add up with it."""
        known = self._known
        lines = text.split("\n")
        total = self._weights.per_line * (len(lines) - 1)
        for line in lines:
            tokens = known.get(line)
            if tokens is None:
                tokens = self._learn(line)
            total += tokens
        return total

    def prompt(self, messages: Sequence[tuple[str, str]]) -> int:
        """Tokens of a prompt of (role, text) messages, the chat template's own included; at least one."""
        weights = self._weights
        texts = sum(self.count(text) for _, text in messages)
        return max(round(texts + weights.per_message * len(messages) + weights.per_prompt), 1)

    def _learn(self, line: str) -> float:
        if len(self._known) >= REMEMBERED_LINES:
            self._known.clear()
        words, letters, digits, symbols, _ = text_features(line)
        weights = self._weights
        tokens = (
            weights.per_word * words
            + weights.per_letter * letters
            + weights.per_digit * digits
            + weights.per_symbol * symbols
        )
        self._known[line] = tokens
        return tokens
