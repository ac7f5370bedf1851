"""JSON schemas as decoding constraints: which keywords are honoured, the grammar, and reading the answer.

llama.cpp drops a grammar it cannot compile *in silence* and then generates freely. So a schema is checked
before decoding against the keywords that work (llguidance's), and every answer is checked against it after.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel

from swarmlab.errors import ModelError

# Source: llguidance's documentation of its JSON schema support. `oneOf` is left out on purpose: that exactly
# one branch holds is not kept.
HONOURED = frozenset(
    {
        *("type", "enum", "const", "anyOf", "allOf", "$ref"),
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
        *("$schema", "$id", "$comment", "$defs", "definitions"),
    }
)
_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_NOT_SCHEMAS = frozenset({"enum", "const", "default", "examples", "required"})


def json_schema_of(schema: Mapping[str, Any] | type) -> dict[str, Any]:
    """Return the JSON schema of a pydantic class, a TypedDict class, a tool schema or a JSON schema dict.

    Objects that list their properties are closed (`additionalProperties: false`) unless they say otherwise:
    left open, a small model invents keys until its tokens run out.

    Raises
    ------
    ModelError
        A keyword that constrained decoding does not honour; names it and where it stands.
    """
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        raw: Mapping[str, Any] = schema.model_json_schema()
    elif isinstance(schema, Mapping) and not _is_tool(schema):
        raw = schema
    else:
        raw = convert_to_json_schema(schema)  # type: ignore[arg-type]
    closed: dict[str, Any] = _close(raw, "schema")
    return closed


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


def _close(node: Any, where: str) -> Any:
    if isinstance(node, list):
        return [_close(item, f"{where}[{index}]") for index, item in enumerate(node)]
    if not isinstance(node, Mapping):
        return node
    closed = dict(_closed_items(node, where))
    if "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


def _closed_items(node: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    for keyword, value in node.items():
        place = f"{where}.{keyword}"
        if keyword not in HONOURED and keyword not in ANNOTATIONS:
            raise ModelError(
                f"{place}: constrained decoding does not honour the keyword {keyword!r}; leave it out"
            )
        if keyword in _NOT_SCHEMAS:
            yield keyword, value
        elif keyword in _BY_NAME:
            yield keyword, {name: _close(child, f"{place}.{name}") for name, child in value.items()}
        else:
            yield keyword, _close(value, place)


def _excerpt(text: str, limit: int = 120) -> str:
    return repr(text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]}")
