"""Schemas: what is refused before decoding, what is bounded, and how an answer is read."""

import re
from typing import Any, TypedDict

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from swarmlab.errors import ModelError
from swarmlab.models.constraint import grammar, json_schema_of, prose_schema, read_json


class Inner(BaseModel):
    """A nested part."""

    id: str = Field(pattern="^f[0-9]$")


class Outer(BaseModel):
    """A pydantic class with a reference, a bound and an open string."""

    parts: list[Inner] = Field(min_length=1, max_length=3)
    note: str
    score: int | None = Field(default=None, ge=0)


class Answer(TypedDict):
    """A typed dict."""

    words: str


def test_references_bounds_and_closed_objects_survive() -> None:
    """A pydantic class keeps `$ref` and bounds, is closed at every level, and open strings get a bound."""
    schema = json_schema_of(Outer, string_limit=50)
    assert schema["properties"]["parts"]["items"] == {"$ref": "#/$defs/Inner"}
    assert schema["properties"]["parts"]["maxItems"] == 3
    assert schema["properties"]["note"]["maxLength"] == 50
    assert "maxLength" not in schema["$defs"]["Inner"]["properties"]["id"]
    assert schema["additionalProperties"] is schema["$defs"]["Inner"]["additionalProperties"] is False


def test_a_typed_dict_and_a_dict_are_schemas_too() -> None:
    """A TypedDict class is converted; a JSON schema is taken as it is."""
    assert json_schema_of(Answer)["properties"]["words"]["type"] == "string"
    assert json_schema_of({"type": "integer"}) == {"type": "integer"}


def test_one_of_becomes_any_of_and_open_strings_may_stay() -> None:
    """`oneOf` is decoded as `anyOf`; without a limit nothing is added."""
    schema = json_schema_of({"oneOf": [{"type": "string"}, {"type": "null"}]}, string_limit=None)
    assert schema == {"anyOf": [{"type": "string"}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"type": "array", "uniqueItems": True}, "schema.properties.x.uniqueItems"),
        ({"not": {"type": "string"}}, "schema.properties.x.not"),
        ({"type": "string", "format": "uri"}, "schema.properties.x.format"),
        ({"type": "string", "pattern": "(?!a)b"}, "schema.properties.x.pattern"),
        ({"type": "string", "pattern": "("}, "schema.properties.x.pattern"),
        ({"anyOf": [{"if": True}]}, r"schema.properties.x.anyOf\[0\].if"),
    ],
)
def test_what_the_decoder_would_drop_in_silence_is_refused_by_name(part: dict[str, Any], place: str) -> None:
    """A keyword, format or pattern that is not honoured raises at once and says where it stands."""
    with pytest.raises(ModelError, match=place):
        json_schema_of({"type": "object", "properties": {"x": part}})


def test_a_property_may_be_called_like_a_keyword() -> None:
    """Names of properties are not taken for keywords."""
    schema = {"type": "object", "properties": {"not": {"type": "null"}}, "required": ["not"]}
    assert json_schema_of(schema)["properties"] == {"not": {"type": "null"}}


_LEAVES = st.sampled_from(
    [{"type": "string"}, {"type": "integer", "minimum": 0}, {"enum": ["a", 1]}, {"const": None}, True]
)
_SCHEMAS = st.recursive(
    _LEAVES,
    lambda children: (
        st.fixed_dictionaries({"type": st.just("array"), "items": children})
        | st.fixed_dictionaries({"anyOf": st.lists(children, min_size=1, max_size=3)})
        | st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.dictionaries(st.text(max_size=3), children, max_size=3),
            }
        )
    ),
    max_leaves=8,
)


@given(_SCHEMAS.filter(lambda schema: isinstance(schema, dict)))
def test_bounding_a_schema_twice_is_bounding_it_once(schema: dict[str, Any]) -> None:
    """Bounding is idempotent, yields a valid schema and leaves the given one alone."""
    before = repr(schema)
    bounded = json_schema_of(schema)
    jsonschema.Draft202012Validator.check_schema(bounded)
    assert json_schema_of(bounded) == bounded
    assert repr(schema) == before


def test_the_grammar_allows_no_white_space_to_loop_on() -> None:
    """The grammar is llguidance's and not flexible in white space."""
    text = grammar({"type": "null"})
    assert text.startswith("%llguidance {}\nstart: %json {")
    assert '"whitespace_flexible": false' in text


@given(st.data())
def test_prose_holds_no_digit_and_keeps_its_bounds(data: st.DataObject) -> None:
    """Whatever matches the prose schema is digit-free words within the bounds, ended by a full stop."""
    text = data.draw(st.from_regex(re.compile(prose_schema(3, 6)["pattern"]), fullmatch=True)).removesuffix(
        "\n"
    )
    assert not any(character.isnumeric() for character in text)
    assert 3 <= len(text.split(" ")) <= 6
    assert text.endswith(".")
    assert len(text) <= 6 * 20 + 2 * 5 + 1


def test_an_answer_is_parsed_and_checked() -> None:
    """A good answer comes back as values."""
    assert read_json(
        '{"note":"ok"}', "stop", json_schema_of(Answer) | {"required": [], "properties": {"note": {}}}
    ) == {"note": "ok"}


@pytest.mark.parametrize(
    ("text", "finish_reason", "message"),
    [
        ('{"words":"and so', "length", "cut off before its JSON was complete; raise max_tokens"),
        ("Sure! Here it is", "stop", "not the JSON that was asked for"),
        ('{"words":1}', "stop", r"breaks its schema at \$.words"),
    ],
)
def test_an_unusable_answer_says_why(text: str, finish_reason: str, message: str) -> None:
    """Cut off, unconstrained and wrong answers are told apart."""
    with pytest.raises(ModelError, match=message):
        read_json(text, finish_reason, json_schema_of(Answer))
