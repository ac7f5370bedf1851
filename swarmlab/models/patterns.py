"""Texts that match a regular expression: what a simulated model writes under a schema's `pattern`."""

import re
import string
from collections.abc import Callable, Iterator
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from swarmlab.errors import ModelError
from swarmlab.models.draws import Stream

_PLAIN = string.ascii_letters + string.digits + " " + string.punctuation
_OTHERS = "äéßøñλ中\t\n"
# How far each repetition goes beyond its least count: usual ones first, then what a minLength may need.
_STRETCHES = (3, 0, 1, 2, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 4181)


def matching_text(pattern: str, least: int, most: int | None, stream: Stream) -> str:
    """Return a text of `least` to `most` characters in which `pattern` is found.

    Raises
    ------
    ModelError
        No such text was found; the pattern may be one that nothing matches.
    """
    parsed = parser.parse(pattern)
    for stretch in _STRETCHES:
        for exact in (None, least, most):
            text = "".join(_texts(parsed, _repeats(stretch, exact), stream))
            if least <= len(text) <= (len(text) if most is None else most) and re.search(pattern, text):
                return text
    bound = f"{least} or more" if most is None else f"{least} to {most}"
    raise ModelError(
        f"a simulated model can write no text of {bound} characters under the pattern {pattern!r}"
    )


def _repeats(stretch: int, exact: int | None) -> Callable[[int, Any], int]:
    """Number of repetitions between two bounds; `exact` is tried where a repetition is all there is."""

    def repeats(least: int, most: Any) -> int:
        wanted = least + stretch if exact is None else max(exact - stretch, least)
        return wanted if most is codes.MAXREPEAT else min(wanted, int(most))

    return repeats


def _texts(parsed: Any, repeats: Callable[[int, Any], int], stream: Stream) -> Iterator[str]:
    for code, argument in parsed:
        if code is codes.LITERAL:
            yield chr(argument)
        elif code in (codes.NOT_LITERAL, codes.IN, codes.ANY):
            yield _character(code, argument, stream)
        elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            least, most, repeated = argument
            for _ in range(repeats(least, most)):
                yield from _texts(repeated, repeats, stream)
        elif code is codes.SUBPATTERN:
            yield from _texts(argument[-1], repeats, stream)
        elif code is codes.BRANCH:
            branches = argument[1]
            yield from _texts(branches[stream.below(len(branches))], repeats, stream)
        elif code is not codes.AT:
            raise ModelError(f"a simulated model cannot write text under {str(code).lower()} in a pattern")


def _character(code: Any, argument: Any, stream: Stream) -> str:
    if code is codes.ANY:
        return stream.choice(string.ascii_lowercase)
    if code is codes.NOT_LITERAL:
        return stream.choice([c for c in string.ascii_lowercase if ord(c) != argument])
    ranges = [(low, high) for kind, (low, high) in _pairs(argument) if kind is codes.RANGE]
    negated = argument[0][0] is codes.NEGATE
    if ranges and not negated:
        low, high = ranges[stream.below(len(ranges))]
        return chr(low + stream.below(high - low + 1))
    allowed = [c for c in _PLAIN + _OTHERS if _is_in(argument, c) != negated]
    allowed = allowed or [chr(value) for kind, value in argument if kind is codes.LITERAL and not negated]
    if not allowed:
        raise ModelError("a simulated model found no character for a set in a pattern")
    # The plainest: letters stand first.
    letters = [c for c in allowed if c in string.ascii_letters]
    return stream.choice(letters or allowed)


def _pairs(members: Any) -> Iterator[tuple[Any, tuple[int, int]]]:
    for kind, value in members:
        if kind is codes.RANGE:
            yield kind, value


_CATEGORIES: dict[Any, str] = {
    codes.CATEGORY_DIGIT: r"\d",
    codes.CATEGORY_NOT_DIGIT: r"\D",
    codes.CATEGORY_SPACE: r"\s",
    codes.CATEGORY_NOT_SPACE: r"\S",
    codes.CATEGORY_WORD: r"\w",
    codes.CATEGORY_NOT_WORD: r"\W",
}


def _is_in(members: Any, character: str) -> bool:
    point = ord(character)
    for kind, value in members:
        if kind is codes.LITERAL and value == point:
            return True
        if kind is codes.RANGE and value[0] <= point <= value[1]:
            return True
        if kind is codes.CATEGORY and re.match(_CATEGORIES[value], character):
            return True
    return False
