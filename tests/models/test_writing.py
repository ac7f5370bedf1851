"""What a simulated model writes: it fits the schema, stands on the prompt, and is always the same."""

import math
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmlab.errors import ModelError
from swarmlab.models.constraint import FORMATS, json_schema_of, prose_bounds, prose_schema
from swarmlab.models.draws import Stream, digest, lognormal, share, spread
from swarmlab.models.patterns import matching_text
from swarmlab.models.profile import Jitter, Lengths
from swarmlab.models.writing import write_json, write_text

LENGTHS = Lengths()
FACTS = """Question: Which brand leads the market by revenue?
Facts:
- brand with the least revenue: Cola
- trend of revenue: growing
- leading brand of the market by revenue: Fizz, 1,234 units
Answer:"""


def written(schema: Any, prompt: str = FACTS, lengths: Lengths = LENGTHS, key: str = "") -> Any:
    """A value under a schema as a user gives it, checked against it."""
    ready = json_schema_of(schema)
    value = write_json(ready, prompt, lengths, digest(key, prompt))
    jsonschema.validate(value, ready)
    return value


def test_a_decision_is_the_option_in_the_fact_that_fits_the_question() -> None:
    """As a keyword router would choose; what stands in a worse fact loses, in whichever order."""
    for options in (["Cola", "Fizz", "Brew"], ["Brew", "Fizz", "Cola"]):
        assert written({"enum": options}) == "Fizz"
    trend = FACTS.replace("Which brand leads the market by revenue", "What is the trend of revenue")
    assert written({"enum": ["declining", "flat", "growing"]}, trend) == "growing"


def test_an_option_is_named_by_whole_words_only() -> None:
    """A fact about Brand 13 does not speak for Brand 1, nor one about slow growth for "low"."""
    prompt = "Which brand leads by revenue?\n- leads by revenue: Brand 13\n- last by revenue: Brand 1"
    assert written({"enum": ["Brand 1", "Brand 13"]}, prompt) == "Brand 13"


def test_options_that_no_fact_tells_apart_are_drawn_by_the_request() -> None:
    """Without any ground the choice is spread over the options, and the same for the same request."""
    options = [f"option {n}" for n in range(4)]
    chosen = [written({"enum": options}, "Choose.", key=str(n)) for n in range(400)]
    assert all(chosen.count(option) > 50 for option in options)
    assert chosen == [written({"enum": options}, "Choose.", key=str(n)) for n in range(400)]


def test_citations_are_distinct_and_those_nearest_to_what_is_asked_come_first() -> None:
    """A list of options holds each once, by the words it shares with the question."""
    ids = ["kpis.orders", "market_share.leader[brand=Fizz]", "roi.payback", "market_share.runner_up"]
    schema = {"type": "array", "items": {"enum": ids}, "minItems": 2, "maxItems": 4}
    cited = written(schema, lengths=Lengths(items=1.0))
    assert sorted(cited) == sorted(ids)
    assert set(cited[:2]) == {ids[1], ids[3]}


@given(st.integers(1, 30), st.integers(0, 30), st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
def test_prose_has_its_length_from_the_profile_and_its_words_from_the_facts(
    least: int, more: int, words: float, spread_: float, key: int
) -> None:
    """Sentences fit `prose_schema`, have no digit, use the prompt's words, and keep to the spread."""
    lengths = Lengths(words=words, words_spread=spread_)
    sentence = written(prose_schema(least, least + more), lengths=lengths, key=str(key))
    assert not re.search(r"\d", sentence)
    used = sentence.rstrip(".").lower().split(" ")
    assert set(used) <= set(re.findall(r"[a-z]+", FACTS.lower()))
    assert abs(len(used) - (least + more * words)) < more * spread_ + 1
    assert least <= len(used) <= least + more


@pytest.mark.parametrize("prompt", ["", "¼ 12 345", "Привет, мир", "ça été", "x" * 50])
def test_a_prompt_without_plain_words_still_gets_a_sentence(prompt: str) -> None:
    """Prose fits its schema whatever the prompt is written in."""
    assert prose_bounds(prose_schema(3, 9)) == (3, 9)
    written(prose_schema(3, 9), prompt)


def test_lengths_of_lists_follow_the_profile() -> None:
    """0 is the least a schema allows, 1 the most; the spread draws between."""
    schema = {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 12}
    assert len(written(schema, lengths=Lengths(items=0.0))) == 2
    assert len(written(schema, lengths=Lengths(items=1.0))) == 12
    spread_out = {
        len(written(schema, lengths=Lengths(items=0.5, items_spread=0.3), key=str(n))) for n in range(200)
    }
    assert spread_out == set(range(4, 11))


def test_a_part_of_an_item_is_a_whole_one_that_often() -> None:
    """Lengths are whole, and their mean over requests is what the profile says all the same."""
    schema = {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2}
    sizes = [len(written(schema, lengths=Lengths(items=0.2), key=str(n))) for n in range(2000)]
    assert sum(sizes) / len(sizes) == pytest.approx(1.2, abs=0.03)


@given(st.floats(1, 30), st.floats(0, 9), st.integers(1, 12), st.integers(0, 20), st.integers(0, 99))
def test_a_sentence_left_to_itself_is_cut_by_the_bounds_alone(
    words: float, spread_: float, least: int, more: int, key: int
) -> None:
    """Its words do not grow with the room that a schema leaves, and stay within its bounds."""
    lengths = Lengths(words=1.0, sentence_words=words, sentence_spread=spread_)
    n = len(written(prose_schema(least, least + more), lengths=lengths, key=str(key)).split())
    low, high = (min(max(edge, least), least + more) for edge in (words - spread_, words + spread_))
    assert low - 1 < n < high + 1
    assert least <= n <= least + more


def test_a_prompt_that_lists_its_facts_gets_a_sentence_of_a_length_of_its_own() -> None:
    """List items in the prompt decide it; a dash within a line is none."""
    lengths = Lengths(sentence_words=5, sentence_words_listed=9)
    plain = "Which brand leads?\nleading brand - by revenue: Fizz"
    assert len(written(prose_schema(2, 20), plain, lengths).split()) == 5
    assert len(written(prose_schema(2, 20), FACTS, lengths).split()) == 9
    assert len(written(prose_schema(2, 20), FACTS, Lengths(sentence_words=5)).split()) == 5


def test_numbers_are_the_prompts_where_they_fit() -> None:
    """A number of the prompt is taken when the bounds allow it, else one is drawn within them."""
    prompt = "What is magic_function(3)? Think of 17.5 and -4."
    assert written({"type": "integer"}, prompt) == 3
    assert written({"type": "number", "minimum": 10}, prompt) == 17.5
    assert written({"type": "integer", "maximum": -1}, prompt) == -4
    assert 20 <= written({"type": "integer", "minimum": 20, "maximum": 30}, prompt) <= 30


def test_a_text_that_the_prompt_quotes_is_taken_as_it_stands() -> None:
    """Like a number of the prompt, a quoted text is what an open string is about, where its bounds allow."""
    prompt = "Create a customer named '你好啊集团' (it's \"Hello Group\")."
    assert written({"type": "string"}, prompt) == "你好啊集团"
    assert written({"type": "string", "minLength": 8}, prompt) == "Hello Group"
    assert len(written({"type": "string", "maxLength": 3}, prompt)) <= 3


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_formats_hold(kind: str) -> None:
    """Each format that a schema may ask for gets a text of that format."""
    value = written({"type": "string", "format": kind})
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.validate(value, {"format": kind}, format_checker=checker)


@pytest.mark.parametrize(
    "pattern",
    [
        "^[^0-9]*$",
        "^[a-z]{3}-[0-9]{2}$",
        r"^\d+(\.\d+)?$",
        "(a|bc)+x?",
        r"\w+@\w+\.\w{2,3}",
        "^[^a-z]$",
        ".",
        "",
    ],
)
def test_patterns_hold(pattern: str) -> None:
    """A text under a pattern matches it, at the lengths that are asked for."""
    assert re.search(pattern, written({"type": "string", "pattern": pattern}))


def test_a_pattern_stretches_to_its_least_length_and_keeps_its_most() -> None:
    """Repetitions grow until a text is long enough; where none can be, the error names the pattern."""
    assert (
        25 <= len(written({"type": "string", "pattern": "^[a-z]*$", "minLength": 25, "maxLength": 27})) <= 27
    )
    with pytest.raises(ModelError, match=r"no text of 5 to 6 characters under the pattern '\^a\$'"):
        matching_text("^a$", 5, 6, Stream(b""))


def test_recursive_schemas_end() -> None:
    """A tree that may grow for ever is written with an end; one that must is an error."""
    node = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
        },
        "required": ["name", "next"],
    }
    tree = {"$ref": "#/$defs/node", "$defs": {"node": node}}
    assert set(written(tree, lengths=Lengths(items=0.0))) >= {"name", "next"}
    endless = {**node, "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["next"]}
    with pytest.raises(ModelError, match="no end"):
        write_json({"$ref": "#/$defs/node", "$defs": {"node": endless}}, "", LENGTHS, b"")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"$ref": "#/$defs/gone"}, "leads nowhere"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "circle"),
        ({"$ref": "https://example.com/x"}, "within a schema only"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "no number"),
        ({"type": "array", "items": False, "minItems": 1}, "allows no value"),
        ({"allOf": [{"enum": ["a"]}, {"enum": ["b"]}]}, "no option"),
    ],
)
def test_a_schema_without_a_value_is_an_error(schema: dict[str, Any], message: str) -> None:
    """What cannot be written raises ModelError that says why, and nothing loops."""
    with pytest.raises(ModelError, match=message):
        write_json(schema, "", LENGTHS, b"")


NAMES = st.sampled_from(["a", "b", "c", "key_1"])
LEAVES = st.one_of(
    st.lists(st.sampled_from(["Fizz", "Cola", 1, None, 2.5]), min_size=1, unique_by=str).map(
        lambda options: {"enum": options}
    ),
    st.sampled_from(
        [{"const": {"a": [1]}}, {"type": "boolean"}, {"type": "null"}, {}, {"type": ["string", "null"]}]
    ),
    st.tuples(st.integers(-50, 50), st.integers(0, 40)).map(
        lambda b: {"type": "integer", "minimum": b[0], "maximum": b[0] + b[1]}
    ),
    st.tuples(st.floats(-50, 50), st.floats(0.01, 40)).map(
        lambda b: {"type": "number", "exclusiveMinimum": b[0], "exclusiveMaximum": b[0] + b[1]}
    ),
    st.sampled_from([0.1, 0.01, 3, 7]).map(
        lambda step: {"type": "number", "multipleOf": step, "minimum": 1, "maximum": 50}
    ),
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(
        lambda b: {"type": "string", "minLength": b[0], "maxLength": b[0] + b[1]}
    ),
    st.sampled_from(sorted(FORMATS)).map(lambda kind: {"type": "string", "format": kind}),
    st.sampled_from(["^[a-z]{2,5}$", "^(x|yy)+$", r"^\d{3}$"]).map(
        lambda p: {"type": "string", "pattern": p}
    ),
    st.tuples(st.integers(1, 9), st.integers(0, 9)).map(lambda b: prose_schema(b[0], b[0] + b[1])),
    st.just({"$ref": "#/$defs/leaf"}),
)


def _objects(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def made(drawn: tuple[dict[str, Any], float, int, int]) -> dict[str, Any]:
        properties, share_required, fewest, extra = drawn
        required = list(properties)[: math.ceil(len(properties) * share_required)]
        schema: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
        if extra:
            schema |= {"additionalProperties": {"type": "boolean"}, "minProperties": fewest}
            schema |= {"patternProperties": {"^p_[a-z]+$": {"type": "integer"}}}
        return schema

    return st.tuples(
        st.dictionaries(NAMES, parts, max_size=3), st.floats(0, 1), st.integers(0, 6), st.integers(0, 1)
    ).map(made)


def _arrays(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def made(drawn: tuple[Any, list[Any], int, int, bool]) -> dict[str, Any]:
        items, first, least, more, is_closed = drawn
        schema: dict[str, Any] = {
            "type": "array",
            "items": items,
            "minItems": least,
            "maxItems": least + more,
        }
        if first:
            schema["prefixItems"] = first
            if is_closed:
                schema |= {"items": False, "minItems": min(least, len(first))}
        return schema

    return st.tuples(
        parts, st.lists(parts, max_size=2), st.integers(0, 3), st.integers(0, 3), st.booleans()
    ).map(made)


SCHEMAS = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        _objects(parts),
        _arrays(parts),
        st.lists(parts, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
        parts.map(lambda part: {"allOf": [part]}),
    ),
    max_leaves=6,
)


@given(SCHEMAS, st.sampled_from([FACTS, "", "Привет 7"]), st.integers(0, 9))
@settings(max_examples=400)
def test_whatever_schema_the_engine_honours_gets_a_value_that_fits(part: Any, prompt: str, key: int) -> None:
    """Any mix of the honoured keywords is answered with a valid value, the same one each time."""
    schema = {
        "type": "object",
        "properties": {"value": part},
        "required": ["value"],
        "$defs": {"leaf": {"enum": ["x", "y"]}},
    }
    assert written(schema, prompt, key=str(key)) == written(schema, prompt, key=str(key))


def test_free_text_is_a_few_sentences_of_the_prompts_words() -> None:
    """Without a schema there is prose, and it stands on the prompt too."""
    text = write_text(FACTS, LENGTHS, b"")
    assert 1 <= text.count(".") <= 3
    assert set(re.findall(r"[a-z]+", text.lower())) <= set(re.findall(r"[a-z]+", FACTS.lower()))


@pytest.mark.parametrize("jitter", [Jitter(kind="lognormal", sigma=0.4), Jitter(kind="exponential")])
def test_jitter_has_mean_one_and_its_spread(jitter: Jitter) -> None:
    """Over many calls the mean factor is 1; the spread of a lognormal's logarithm is sigma."""
    factors = [spread(jitter, share(digest(n))) for n in range(20_000)]
    assert sum(factors) / len(factors) == pytest.approx(1, abs=0.02)
    if jitter.kind == "lognormal":
        logs = [math.log(factor) for factor in factors]
        middle = sum(logs) / len(logs)
        assert math.sqrt(sum((x - middle) ** 2 for x in logs) / len(logs)) == pytest.approx(0.4, rel=0.02)


def test_the_shares_of_one_digest_are_independent_of_one_another() -> None:
    """Places of a digest are uniform and uncorrelated, so a call's failure says nothing of its jitter."""
    pairs = [(share(digest(n), 0), share(digest(n), 1)) for n in range(20_000)]
    assert sum(a < 0.1 and b < 0.1 for a, b in pairs) / len(pairs) == pytest.approx(0.01, abs=0.003)
    assert lognormal(0.0, 0.3) == 1.0
