"""The author of simulated answers: what it checks without a validator is what a validator would pass."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema.validators import Draft202012Validator

from swarmlab.errors import ModelError
from swarmlab.models.author import AnswerForm
from swarmlab.models.constraint import FixedSchema, json_schema_of

VALUES = st.one_of(st.sampled_from(["a", "b", "c"]), st.integers(0, 1), st.booleans(), st.none())
RULES = st.one_of(
    st.fixed_dictionaries({"type": st.just("string"), "enum": st.lists(VALUES, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"type": st.just("string")}),
    st.fixed_dictionaries({"enum": st.lists(VALUES, min_size=1, max_size=3)}),
)


@st.composite
def choices(draw: st.DrawFn) -> dict[str, Any]:
    """Schemas of objects that are, or nearly are, one text among some for each name."""
    properties = draw(st.dictionaries(st.sampled_from("pqr"), RULES, max_size=3))
    required = draw(st.lists(st.sampled_from(["p", "q", "r"]), unique=True))
    closed = draw(st.sampled_from([{}, {"additionalProperties": False}]))
    more = draw(st.sampled_from([{}, {"minProperties": 2}, {"title": "decision"}]))
    return {"type": "object", "properties": properties, "required": required, **closed, **more}


@given(choices(), st.one_of(VALUES, st.dictionaries(st.sampled_from(["p", "q", "r"]), VALUES, max_size=3)))
def test_a_form_passes_what_a_validator_passes(schema: dict[str, Any], value: Any) -> None:
    """The short way of plain choices agrees with jsonschema, whatever the schema and the value."""
    form = AnswerForm(schema, "")
    if Draft202012Validator(schema).is_valid(value):
        form.check(value)
    else:
        with pytest.raises(ModelError, match="found no value"):
            form.check(value)


def test_a_plain_choice_needs_no_validator() -> None:
    """A right choice is told without one, which is most of the time that a new exam's schema takes."""
    schema = FixedSchema(
        type="object", properties={"answer": {"type": "string", "enum": ["a", "b"]}}, required=["answer"]
    )
    form = AnswerForm(json_schema_of(schema), schema.text)
    form.check({"answer": "b"})
    assert "validator" not in vars(form)
    with pytest.raises(ModelError):
        form.check({"answer": "c"})
