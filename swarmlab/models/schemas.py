"""JSON schemas made simple: references followed, `allOf` folded in, and the kind of value they want."""

from collections.abc import Callable, Mapping
from typing import Any

from swarmlab.errors import ModelError

_MOST_REFERENCES = 50
_BY_KEYWORD = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("pattern", "minLength", "maxLength", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


def resolved(schema: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without `$ref` and `allOf` at its top.

    Raises
    ------
    ModelError
        A reference leads nowhere, or round in a circle.
    """
    if type(schema) is dict and "$ref" not in schema and "allOf" not in schema:
        # As most are: nothing to do, and whoever reads it changes nothing.
        return schema
    if not isinstance(schema, Mapping):
        return {}
    plain = dict(schema)
    for _ in range(_MOST_REFERENCES):
        if "$ref" in plain:
            target = _target(plain.pop("$ref"), root)
            plain = merged(target, plain)
        elif "allOf" in plain:
            for part in plain.pop("allOf"):
                plain = merged(plain, resolved(part, root))
        else:
            return plain
    raise ModelError("a schema's references lead round in a circle")


def kind_of(schema: Mapping[str, Any]) -> str:
    """The type of value to write: the first that is not null, or what the schema's keywords speak of."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else [kind for kind in kinds if kind != "null"] or kinds
    if kinds:
        return str(kinds[0])
    spoken = (kind for kind, names in _BY_KEYWORD.items() if any(name in schema for name in names))
    return next(spoken, "string")


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What two schemas say together, as far as a writer needs it; the answer is checked against the whole."""
    both = {**one, **other}
    for name in one.keys() & other.keys():
        merge = _MERGES.get(name)
        if merge is not None:
            both[name] = merge(one[name], other[name])
    return both


def _target(reference: str, root: Mapping[str, Any]) -> dict[str, Any]:
    if not reference.startswith("#"):
        raise ModelError(f"a simulated model follows references within a schema only, not {reference!r}")
    node: Any = root
    for part in filter(None, reference[1:].split("/")):
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, Mapping) or name not in node:
            raise ModelError(f"reference {reference!r} leads nowhere")
        node = node[name]
    return dict(node) if isinstance(node, Mapping) else {}


def _types(one: Any, other: Any) -> Any:
    ones, others = ([kinds] if isinstance(kinds, str) else kinds for kinds in (one, other))
    shared = [kind for kind in ones if kind in others]
    if "integer" in {*ones, *others} and "number" in {*ones, *others} and "integer" not in shared:
        shared.append("integer")
    return shared or one


def _properties(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {"allOf": [one[name], other[name]]} if name in one and name in other else {**one, **other}[name]
        for name in {**one, **other}
    }


def _closed(one: Any, other: Any) -> Any:
    return False if one is False or other is False else {"allOf": [p for p in (one, other) if p is not True]}


_MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "type": _types,
    "enum": lambda one, other: [option for option in one if option in other],
    "anyOf": lambda one, other: [{"allOf": [a, b]} for a in one for b in other],
    "properties": _properties,
    "patternProperties": _properties,
    "required": lambda one, other: [*one, *(name for name in other if name not in one)],
    "additionalProperties": _closed,
    "items": _closed,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}
