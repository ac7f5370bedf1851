"""A value in the cache's JSON reads back as it was, to the type and the digit, or is refused."""

import enum
import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.tools.cache.json_text import decode, encode

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**63 - 2, 2**64 + 2)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_a_value_reads_back_as_it_was(value: Any) -> None:
    """Numbers of any size, any text, names in their order; and any other reader of JSON reads the same."""
    assert repr(decode(encode(value))) == repr(value)
    assert repr(json.loads(encode(value))) == repr(value)


@given(VALUES, st.sampled_from([float("nan"), float("inf"), -float("inf")]))
def test_a_number_that_is_none_is_refused(value: Any, number: float) -> None:
    """However deep it lies and whatever is beside it."""
    for holding in (number, [value, number], {"a": value, "b": {"c": [None, number]}}, [(number,)]):
        with pytest.raises(ValueError, match="JSON"):
            encode(holding)


class Colour(enum.StrEnum):
    """A text by another type."""

    RED = "red"


@dataclass
class Point:
    """Not JSON's."""

    x: int


@pytest.mark.parametrize("value", [Point(1), [date(2026, 1, 1)], {1, 2}, b"bytes", {"a": object()}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    """Nothing is turned into a text that would read back as something else."""
    with pytest.raises(TypeError):
        encode(value)


def test_what_json_has_another_type_for_reads_back_as_that() -> None:
    """Tuples as lists, enumerations as their value, beside None too."""
    assert decode(encode([(1, None), Colour.RED])) == [[1, None], "red"]
