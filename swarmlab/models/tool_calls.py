"""Tools for a model whose template knows none: words for the prompt, a schema for the decoder, a reader."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import ToolCall

from swarmlab.errors import ModelError
from swarmlab.models.constraint import STRING_LIMIT, json_schema_of, read_json

# With tool_choice "auto" the model may answer in words instead, under this key.
REPLY = "reply"
_REPLY_OPENING = f'{{"{REPLY}":"'


@dataclass(frozen=True, slots=True)
class ToolPlan:
    """What one call may do with tools."""

    schema: dict[str, Any]
    preamble: str

    @property
    def reply_schema(self) -> dict[str, Any] | None:
        """What an answer in words has to fit; None where only calls are allowed."""
        options = self.schema.get("anyOf", ())
        return next((option for option in options if REPLY in option["properties"]), None)

    def read(self, text: str, finish_reason: str) -> tuple[str, list[ToolCall]]:
        """Return the words and the tool calls of an answer.

        Raises
        ------
        ModelError
            The answer breaks the schema, or was cut off within a tool call. Words that were cut off are
            returned as they are, like any text; `finish_reason` says so.
        """
        if finish_reason == "length" and text.startswith(_REPLY_OPENING):
            return _cut_reply(text), []
        answer = read_json(text, finish_reason, self.schema)
        if REPLY in answer:
            return answer[REPLY], []
        # Ids follow from the answer, so that a repeated run repeats them.
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return "", [
            ToolCall(name=call["name"], args=call["arguments"], id=f"call_{digest}_{index}", type="tool_call")
            for index, call in enumerate(answer["tool_calls"])
        ]


def plan_tools(
    tools: Sequence[Mapping[str, Any]], choice: str, max_calls: int, string_limit: int | None = STRING_LIMIT
) -> ToolPlan | None:
    """Turn OpenAI-format tools into a plan.

    Parameters
    ----------
    tools
        As `convert_to_openai_tool` gives them.
    choice
        `auto` (words or calls), `any` (calls), `none` (returns None), or the name of the one tool to call.
    max_calls
        At most so many calls in one answer; the decoder enforces it.
    string_limit
        Bound, in characters, of string arguments that have none.

    Raises
    ------
    ModelError
        A tool of that name was not bound, or its schema cannot be honoured.
    """
    if choice == "none" or not tools:
        return None
    functions = [tool["function"] for tool in tools]
    if choice not in ("auto", "any"):
        functions = [function for function in functions if function["name"] == choice]
        if not functions:
            raise ModelError(f"tool_choice {choice!r} names no bound tool")
    calls = {
        "type": "array",
        "items": {"anyOf": [_call_schema(function, string_limit) for function in functions]},
        "minItems": 1,
        "maxItems": max_calls,
    }
    options = [_closed_object("tool_calls", calls)]
    if choice == "auto":
        options.append(_closed_object(REPLY, {"type": "string"}))
    schema = options[0] if len(options) == 1 else {"anyOf": options}
    return ToolPlan(schema, _preamble(functions, choice))


def _cut_reply(text: str) -> str:
    """Close the string of an unfinished reply, leaving out an escape or character that was cut in two."""
    for end in range(len(text), max(len(text) - 12, len(_REPLY_OPENING)) - 1, -1):
        try:
            words = json.loads(text[:end] + '"}')[REPLY]
        except json.JSONDecodeError:
            continue
        return str(words)
    raise ModelError(f"the answer was cut off and cannot be read: {text!r}")


def _closed_object(key: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False}


def _call_schema(function: Mapping[str, Any], string_limit: int | None) -> dict[str, Any]:
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    arguments = json_schema_of({**parameters, "additionalProperties": False}, string_limit)
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _preamble(functions: Sequence[Mapping[str, Any]], choice: str) -> str:
    lines = ["You can call these tools:"]
    for function in functions:
        properties = (function.get("parameters") or {}).get("properties", {})
        signature = ", ".join(f"{name}: {_type_name(schema)}" for name, schema in properties.items())
        lines.append(f"- {function['name']}({signature}): {function.get('description', '')}")
    example = json.dumps({"tool_calls": [{"name": "tool", "arguments": {}}]}, separators=(",", ":"))
    lines.append(f"To call a tool write {example}.")
    if choice == "auto":
        lines.append(f'To answer without a tool write {{"{REPLY}":"text"}}.')
    return "\n".join(lines)


def _type_name(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    return str(schema.get("type", "value"))
