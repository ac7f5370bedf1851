"""Reading tool answers without a model."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.errors import ModelError
from swarmlab.models.tool_calls import ToolPlan, plan_tools

TOOL = {
    "type": "function",
    "function": {
        "name": "find",
        "description": "Find a brand.",
        "parameters": {
            "type": "object",
            "properties": {"brand": {"enum": ["a", "b"]}},
            "required": ["brand"],
        },
    },
}


def _plan(choice: str = "auto", max_calls: int = 1) -> ToolPlan:
    plan = plan_tools([TOOL], choice, max_calls)
    assert plan is not None
    return plan


def test_the_prompt_names_tool_arguments_and_the_way_to_call() -> None:
    """The description has the signature; only "auto" offers an answer in words."""
    assert '- find(brand: "a" | "b"): Find a brand.' in _plan().preamble
    assert "without a tool" in _plan().preamble
    assert "without a tool" not in _plan("any").preamble


def test_no_tools_or_none_make_no_plan() -> None:
    """Nothing is constrained when nothing may be called."""
    assert plan_tools([], "auto", 1) is None
    assert plan_tools([TOOL], "none", 1) is None


def test_calls_are_read_with_ids_that_follow_from_the_answer() -> None:
    """The same answer has the same ids, and two calls have two."""
    text = json.dumps({"tool_calls": [{"name": "find", "arguments": {"brand": "a"}}] * 2})
    words, calls = _plan(max_calls=2).read(text, "stop")
    assert words == ""
    assert [call["args"] for call in calls] == [{"brand": "a"}] * 2
    assert len({call["id"] for call in calls}) == 2
    assert _plan(max_calls=2).read(text, "stop")[1] == calls


@pytest.mark.parametrize(
    "text",
    [
        '{"tool_calls":[{"name":"find","arguments":{"brand":"c"}}]}',
        '{"tool_calls":[{"name":"other","arguments":{}}]}',
        '{"tool_calls":[]}',
    ],
)
def test_a_call_outside_the_plan_is_an_error(text: str) -> None:
    """Unknown tools, bad arguments and no call at all are not passed on."""
    with pytest.raises(ModelError, match="breaks its schema"):
        _plan().read(text, "stop")


@given(st.text(max_size=20), st.integers(min_value=0, max_value=200))
def test_words_that_were_cut_off_are_a_start_of_the_whole(words: str, kept: int) -> None:
    """Wherever a reply is cut, what is returned is a prefix of it, whatever it is made of."""
    whole = json.dumps({"reply": words}, separators=(",", ":"))
    opening = len('{"reply":"')
    cut = whole[: min(opening + kept, len(whole))]
    read, calls = _plan().read(cut, "length")
    assert calls == []
    # A pair of surrogate escapes cut in two leaves half a character, which is not in the whole.
    assert words.startswith(read) or words.startswith(read[:-1])
