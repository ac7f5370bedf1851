"""JSON schemas as decoding constraints: which keywords are honoured, the grammar, and reading the answer.

llama.cpp drops a grammar it cannot compile *in silence* and then generates freely. So a schema is checked
before decoding against what works (llguidance's share of JSON schema), and every answer against it after.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import jsonschema
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel

from swarmlab.errors import ModelError

# Source: llguidance's documentation of its JSON schema support, and a test of each.
HONOURED = frozenset(
    {
        *("type", "enum", "const", "anyOf", "allOf", "oneOf", "$ref"),
        *("properties", "required", "additionalProperties", "patternProperties"),
        *("minProperties", "maxProperties"),
        *("items", "prefixItems", "minItems", "maxItems"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("pattern", "minLength", "maxLength", "format"),
    }
)
# Say something about values without bounding them, or hold the targets of `$ref`.
ANNOTATIONS = frozenset(
    {
        *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
        *("$schema", "$id", "$comment", "$defs", "definitions", "discriminator"),
    }
)
FORMATS = frozenset({"date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
# A small model writes an open string until its tokens run out, so those are bounded (in characters).
STRING_LIMIT = 200
# Made once: `json.dumps` would make one for each schema.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_NOT_SCHEMAS = frozenset({"enum", "const", "default", "examples", "required", "discriminator"})
# Look-around, back references, word boundaries: valid in Python, unknown to the decoder's expressions.
_UNKNOWN_TO_DECODER = re.compile(r"\(\?(?!:)|\\[bB1-9]")
_SMALL = "a-zß-öø-ÿ"
_LETTER = f"A-ZÀ-ÖØ-Þ{_SMALL}"
_REST = f"[{_SMALL}]{{0,19}}"
_PROSE = f"^[A-Z]{_REST}(,? [{_LETTER}]{_REST})"


class FixedSchema(dict[str, Any]):
    """A JSON schema that nobody changes once it is made, so that its text is made once."""

    @cached_property
    def text(self) -> str:
        """The schema as compact JSON."""
        return _encode(self)


def json_schema_of(
    schema: Mapping[str, Any] | type, string_limit: int | None = STRING_LIMIT
) -> dict[str, Any]:
    """Return the JSON schema of a pydantic or TypedDict class, a tool schema or a JSON schema dict.

    Objects that list their properties are closed (`additionalProperties: false`) unless they say otherwise:
    left open, a small model invents keys. Strings that are not bounded otherwise get
    `maxLength: string_limit`. `oneOf` becomes `anyOf`, which is all that decoding can keep of it.

    Raises
    ------
    ModelError
        A keyword, format or pattern that constrained decoding does not honour; names it and where it stands.
    """
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        raw: Mapping[str, Any] = schema.model_json_schema()
    elif isinstance(schema, Mapping) and not _is_tool(schema):
        raw = schema
    else:
        raw = convert_to_json_schema(schema)  # type: ignore[arg-type]
    bounded: dict[str, Any] = _bounded(raw, "schema", string_limit)
    return bounded


def prose_schema(min_words: int, max_words: int) -> dict[str, Any]:
    """Return the schema of one sentence without digits: capital first, single spaces, a full stop at the end.

    A decoder that only forbids digits lets the model pad with spaces or write "¼"; one that insists on words
    does not. Letters are Latin, words at most 20 letters long; only their first letter may be a capital:
    where it would rather write a number, a small model otherwise shouts.
    """
    return {"type": "string", "pattern": f"{_PROSE}{{{min_words - 1},{max_words - 1}}}\\.$"}


def prose_bounds(schema: Mapping[str, Any]) -> tuple[int, int] | None:
    """The least and most words of a `prose_schema`; None for any other schema."""
    pattern = schema.get("pattern")
    if not isinstance(pattern, str) or not pattern.startswith(_PROSE):
        return None
    bounds = re.fullmatch(r"\{(\d+),(\d+)\}\\\.\$", pattern.removeprefix(_PROSE))
    return None if bounds is None else (int(bounds[1]) + 1, int(bounds[2]) + 1)


def grammar(schema: Mapping[str, Any]) -> str:
    """Return the llguidance grammar of a JSON schema, without the white space a model could loop on."""
    guided = {"x-guidance": {"whitespace_flexible": False}, **schema}
    return "%llguidance {}\nstart: %json " + json.dumps(guided, ensure_ascii=False)


def read_json(text: str, finish_reason: str, schema: Mapping[str, Any]) -> Any:
    """Parse a constrained answer and check it.

    Raises
    ------
    ModelError
        The answer was cut off by `max_tokens` or the context's end, is no JSON, or breaks the schema.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if finish_reason == "length":
            message = (
                "the answer was cut off before its JSON was complete; raise max_tokens or bound the schema"
            )
        else:
            message = f"the answer is not the JSON that was asked for ({error})"
        raise ModelError(f"{message}: {_excerpt(text)}") from error
    try:
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError as error:
        raise ModelError(f"the answer breaks its schema at {error.json_path}: {error.message}") from error
    return value


def _is_tool(schema: Mapping[str, Any]) -> bool:
    return "parameters" in schema or "input_schema" in schema or schema.get("type") == "function"


def _bounded(node: Any, where: str, string_limit: int | None) -> Any:
    if isinstance(node, list):
        return [_bounded(item, f"{where}[{index}]", string_limit) for index, item in enumerate(node)]
    if not isinstance(node, Mapping):
        return node
    bounded = dict(_bounded_items(node, where, string_limit))
    if "properties" in bounded:
        bounded.setdefault("additionalProperties", False)
    if string_limit is not None and _is_open_string(bounded):
        bounded["maxLength"] = string_limit
    return bounded


def _bounded_items(
    node: Mapping[str, Any], where: str, string_limit: int | None
) -> Iterator[tuple[str, Any]]:
    for keyword, value in node.items():
        place = f"{where}.{keyword}"
        _check_keyword(keyword, value, place)
        if keyword in _NOT_SCHEMAS:
            yield keyword, value
        elif keyword in _BY_NAME:
            named = {name: _bounded(child, f"{place}.{name}", string_limit) for name, child in value.items()}
            yield keyword, named
        else:
            yield "anyOf" if keyword == "oneOf" else keyword, _bounded(value, place, string_limit)


def _check_keyword(keyword: str, value: Any, place: str) -> None:
    if keyword not in HONOURED and keyword not in ANNOTATIONS:
        raise ModelError(
            f"{place}: constrained decoding does not honour the keyword {keyword!r}; leave it out"
        )
    if keyword == "format" and value not in FORMATS:
        raise ModelError(f"{place}: constrained decoding does not know the format {value!r}; leave it out")
    if keyword == "pattern":
        try:
            re.compile(value)
        except re.error as error:
            raise ModelError(f"{place}: {value!r} is not a regular expression: {error}") from error
        if found := _UNKNOWN_TO_DECODER.search(value):
            raise ModelError(f"{place}: constrained decoding does not know {found.group()!r} in {value!r}")


def _is_open_string(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    is_string = kinds == "string" or (isinstance(kinds, list) and "string" in kinds)
    return is_string and not schema.keys() & {"maxLength", "pattern", "format", "enum", "const"}


def _excerpt(text: str, limit: int = 120) -> str:
    return repr(text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]}")
