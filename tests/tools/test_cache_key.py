"""The key of an answer: another one as soon as anything it depends on is another."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from swarmlab.tools.cache import content_key

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
PARTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)

REQUEST: dict[str, Any] = {
    "tool": "market_share",
    "impl": "vectorized",
    "scope": {"brands": ["A", "B"], "start": None, "top": 3, "share": 0.5, "exact": True},
    "data": "0f" * 32,
    "code": "1e" * 32,
    "model": {"file": "2d" * 32, "temperature": 0.0, "seed": 0, "prompt": "Say it."},
    "level": "full",
}


def shape(value: Any) -> Any:
    """A value such that two are equal only if they are the same to the last type: 1, 1.0 and True are not."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__, repr(value)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where everything in a value is, itself included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for name, part in inner for path in paths(part, (*at, name)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of a value with another in one place."""
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = replaced(copied[path[0]], path[1:], new)
    return copied


@given(st.data())
def test_a_request_changed_in_any_one_place_has_another_key(data: st.DataObject) -> None:
    """Whatever is put in the place of any field, however deep, makes another key; the same value the same."""
    path = data.draw(st.sampled_from([path for path in paths(REQUEST) if path]))
    changed = replaced(REQUEST, path, data.draw(VALUES))
    assert (content_key(changed) == content_key(REQUEST)) == (shape(changed) == shape(REQUEST))


@given(one=PARTS, other=PARTS)
def test_two_contents_share_a_key_only_if_they_are_one(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Equal keys mean equal contents, types included."""
    assert (content_key(one) == content_key(other)) == (shape(one) == shape(other))


@given(parts=PARTS, name=st.text(max_size=5), value=VALUES)
def test_the_key_depends_on_which_parts_there_are(parts: dict[str, Any], name: str, value: Any) -> None:
    """One part more is another content, also one that is None or empty."""
    assume(name not in parts)
    assert content_key({**parts, name: value}) != content_key(parts)


@given(parts=PARTS)
def test_the_key_does_not_depend_on_the_order_of_parts(parts: dict[str, Any]) -> None:
    """The same parts in another order, or read from JSON, are the same content."""
    assert content_key(dict(reversed(parts.items()))) == content_key(parts)
    assert content_key(json.loads(json.dumps(parts))) == content_key(parts)


def test_what_json_would_merge_is_kept_apart_or_refused() -> None:
    """1, 1.0, True and "1" are four values; as names in a mapping all but the text are refused."""
    values = (1, 1.0, True, "1", 0, -0.0, 0.0, False, None, "null", "", [], {}, [[]], [{}])
    assert len({content_key({"n": value}) for value in values}) == len(values)
    for name in (1, 1.0, True, None):
        with pytest.raises(TypeError, match="named by text"):
            content_key({"n": [{"deep": ({name: 1},)}]})
    assert content_key({"n": (1, 2)}) == content_key({"n": [1, 2]})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    """NaN is unequal to itself: it cannot be part of what an answer is found by."""
    with pytest.raises(ValueError, match="JSON"):
        content_key({"n": value})


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes"])
def test_a_value_json_cannot_hold_is_refused(value: object) -> None:
    """What has no canonical text has no key."""
    with pytest.raises(TypeError):
        content_key({"n": value})


def test_keys_stay_what_they_are() -> None:
    """Results that were published name their work by such a key."""
    assert content_key({"b": [1, 2.5, None, "é"], "a": {"x": True}}) == (
        "4899b9b95712cdc0160771a8e77a8f2a5beebfb144c5feb3031da8a6770d261e"
    )
