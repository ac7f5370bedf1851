"""A value of the cache reads back as it was, to the type and the digit, or is refused."""

import enum
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.tools.cache.packed import pack, unpack

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
    """Numbers of any size, any text, names in their order."""
    assert repr(unpack(pack(value))) == repr(value)


@given(VALUES, st.sampled_from([float("nan"), float("inf"), -float("inf")]))
def test_a_number_that_is_none_is_refused(value: Any, number: float) -> None:
    """However deep it lies and whatever is beside it."""
    for holding in (number, [value, number], {"a": value, "b": {"c": [None, number]}}, [(number,)]):
        with pytest.raises(ValueError, match=r"no number|not JSON compliant"):
            pack(holding)


def test_what_only_looks_like_one_is_kept() -> None:
    """The bytes of NaN in a number of 64 bits and in bytes are what they are."""
    nan = bytes.fromhex("cb7ff8000000000000")
    for value in (int.from_bytes(nan[:8], "big"), {"a": [nan, 1.5]}):
        assert unpack(pack(value)) == value


class Colour(enum.StrEnum):
    """A text by another type."""

    RED = "red"


@dataclass
class Point:
    """Has no plain form."""

    x: int


@pytest.mark.parametrize("value", [Point(1), [date(2026, 1, 1)], {1, 2}, UUID(int=1), {"a": object()}])
def test_what_has_no_form_is_refused(value: Any) -> None:
    """Nothing is turned into a text that would read back as something else."""
    with pytest.raises(TypeError):
        pack(value)


def test_what_has_a_plainer_form_reads_back_as_that() -> None:
    """Tuples as lists, enumerations as their value, beside None too."""
    assert unpack(pack([(1, None), Colour.RED])) == [[1, None], "red"]
