"""What a prompt asks and knows, read by words: the ground on which a simulated model stands.

The first line of the last message is what is asked; the lines after it are what is known. An option is
chosen for standing in the line that shares most words with what is asked, as a keyword router would.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\w)")
_QUOTED = re.compile(r"(?<!\w)(?:'([^'\n]+)'|\"([^\"\n]+)\")(?!\w)")
_LATIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ]+")
_LONGEST_WORD = 20
_COMMON = frozenset({"the", "and", "for", "which", "that", "with", "this", "from", "should", "get", "does"})
_NO_WORDS = ("the", "facts", "say", "nothing", "more")


def keywords(text: str) -> frozenset[str]:
    """Lower-case words of three letters and more, without the commonest."""
    return frozenset(re.findall(r"[a-z]{3,}", text.lower())) - _COMMON


# Fact lines and options come again in prompt after prompt.
_keywords = lru_cache(maxsize=65536)(keywords)


class Ground:
    """One prompt's last message, read once."""

    def __init__(self, text: str) -> None:
        self._text = text
        lines = [line.strip("- \t") for line in text.splitlines()]
        lines = [line for line in lines if line]
        self._asked = keywords(lines[0]) if lines else frozenset()
        self._known = lines[1:]

    @cached_property
    def _lower(self) -> str:
        return self._text.lower()

    @cached_property
    def _words(self) -> frozenset[str]:
        return keywords(self._lower)

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        """The numbers of the prompt, in order."""
        return tuple(float(number) for number in _NUMBER.findall(self._text))

    @cached_property
    def quoted(self) -> tuple[str, ...]:
        """What stands in quotation marks in the prompt, in order."""
        return tuple(single or double for single, double in _QUOTED.findall(self._text))

    @cached_property
    def _evidence(self) -> list[str]:
        """Known lines that share words with what is asked, the best first; of equals the last."""
        scored = [(_closeness(self._asked, line), line) for line in reversed(self._known)]
        return [line for _, line in sorted((s for s in scored if s[0] > 0), key=lambda pair: -pair[0])]

    @cached_property
    def _vocabulary(self) -> list[tuple[str, ...]]:
        """Plain words by line, of the lines that read like facts if there are any."""
        facts = [line for line in self._known if ":" in line and not line.endswith(":")]
        lines = [_plain_words(line) for line in facts or self._known or [self._text]]
        return [words for words in lines if words] or [_NO_WORDS]

    def words(self, start: int) -> Iterator[str]:
        """Lower-case words of the facts, line by line from line `start` on, round and round."""
        lines = self._vocabulary
        while True:
            yield from lines[start % len(lines)]
            start += 1

    @property
    def n_lines(self) -> int:
        """Lines that `words` can start at."""
        return len(self._vocabulary)

    def ranked(self, options: Sequence[str], turn: int) -> list[int]:
        """Places of the options, the best grounded first.

        Parameters
        ----------
        turn
            Whose turn it is among options that the prompt does not tell apart.
        """
        n = len(options)
        lower = self._lower
        in_text = [i for i in ((k + turn) % n for k in range(n)) if options[i].lower() in lower]
        ranked: dict[int, None] = {}
        for line in self._evidence if in_text else ():
            ranked |= dict.fromkeys(i for i in in_text if _names(line, options[i]))
        rest = [i for i in range(n) if i not in ranked]
        rest.sort(key=lambda i: (*_overlaps(options[i], self._asked, self._words), (i - turn) % n))
        return [*ranked, *rest]


@lru_cache(maxsize=1024)
def ground_of(text: str) -> Ground:
    """The ground of a prompt; many are asked again with other options."""
    return Ground(text)


def _overlaps(option: str, asked: frozenset[str], known: frozenset[str]) -> tuple[int, int]:
    words = _keywords(option)
    return -len(words & asked), -len(words & known)


def _closeness(asked: frozenset[str], line: str) -> float:
    words = _keywords(line)
    return len(asked & words) / (1 + 0.05 * len(words))


def _names(line: str, option: str) -> bool:
    """The line holds the option as whole words: "Brand 13" does not name "Brand 1", nor "slow" "low"."""
    if option.lower() not in line.lower():
        return False
    return re.search(rf"(?<!\w){re.escape(option)}(?!\w)", line, re.IGNORECASE) is not None


@lru_cache(maxsize=65536)
def _plain_words(line: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _LATIN.findall(line) if len(word) <= _LONGEST_WORD)
