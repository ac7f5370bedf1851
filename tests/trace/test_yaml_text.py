"""YAML that people write: what it says, and what is refused."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.trace.yaml_text import parse_yaml

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abc: -#", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_what_was_written_is_read(value: object) -> None:
    """Any plain value comes back as it was dumped."""
    assert parse_yaml(yaml.safe_dump(value)) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "key 'a' is there twice"),
        ("outer: [{in: 1, in: 1}]", "key 'in' is there twice"),
        ("x: " + 5000 * "[", "nested too deeply"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: 1\n---\nb: 2", "another document"),
    ],
)
def test_a_key_twice_and_what_is_no_plain_value_are_refused(text: str, said: str) -> None:
    """The error is YAML's own kind, says what and, for a key, in which line."""
    with pytest.raises(yaml.YAMLError, match=said):
        parse_yaml(text)


def test_what_a_merged_mapping_is_overridden_with_is_no_second_key() -> None:
    """`<<` brings a mapping in, and a key beside it replaces one of it, wherever both are merged again."""
    text = "base: &b {k: 1, m: 2}\nin: {x: &x {<<: *b, k: 3}}\nlast: {<<: *x, m: 4}"
    assert parse_yaml(text)["last"] == {"k": 3, "m": 4}
    assert parse_yaml(text)["in"]["x"] == {"k": 3, "m": 2}
