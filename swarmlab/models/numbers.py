"""Numbers within the bounds of a JSON schema."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swarmlab.errors import ModelError
from swarmlab.models.draws import Stream

OPEN_RANGE = 100
"""Numbers that no schema bounds on one side lie within so much of the other, or of 0."""


def number_within(
    schema: Mapping[str, Any], whole: bool, wanted: Sequence[float], stream: Stream
) -> int | float:
    """Return the first wanted number that a schema allows, or a drawn one.

    Raises
    ------
    ModelError
        No number was found within the bounds.
    """
    for number in wanted:
        if _fits(number, schema, whole):
            return int(number) if number.is_integer() else number
    for number in _drawn(schema, whole, stream):
        if _fits(number, schema, whole):
            return int(number) if whole else number
    raise ModelError(f"a simulated model found no number within {dict(schema)}")


def _drawn(schema: Mapping[str, Any], whole: bool, stream: Stream) -> Iterator[float]:
    """Numbers in and near the bounds, plain ones first."""
    low, high = _bounds(schema)
    step = schema.get("multipleOf")
    if step is not None:
        steps = range(math.ceil(low / step), math.floor(high / step) + 1)
        turn = stream.below(max(len(steps), 1))
        for k in range(min(len(steps), 1000)):
            yield steps[(turn + k) % len(steps)] * step
        return
    middle = low + (high - low) * stream.uniform()
    yield from (round(middle), round(middle, 2)) if not whole else (round(middle),)
    yield from (math.ceil(low), math.floor(high), math.ceil(low) + 1, math.floor(high) - 1)
    yield from (middle, (low + high) / 2, low, high)


def _bounds(schema: Mapping[str, Any]) -> tuple[float, float]:
    lows = [schema[name] for name in ("minimum", "exclusiveMinimum") if name in schema]
    highs = [schema[name] for name in ("maximum", "exclusiveMaximum") if name in schema]
    if lows and highs:
        return max(lows), min(highs)
    if highs:
        return min(highs) - OPEN_RANGE, min(highs)
    low = max(lows, default=0)
    return low, low + OPEN_RANGE


def _fits(number: float, schema: Mapping[str, Any], whole: bool) -> bool:
    step = schema.get("multipleOf")
    return (
        (not whole or float(number).is_integer())
        and number >= schema.get("minimum", number)
        and number <= schema.get("maximum", number)
        and ("exclusiveMinimum" not in schema or number > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or number < schema["exclusiveMaximum"])
        and (step is None or _is_multiple(number, step))
    )


def _is_multiple(number: float, step: float) -> bool:
    # As jsonschema decides it: 0.07 is no multiple of 0.01 in floating point.
    if isinstance(step, float):
        quotient = number / step
        return math.isfinite(quotient) and int(quotient) == quotient
    return number % step == 0
