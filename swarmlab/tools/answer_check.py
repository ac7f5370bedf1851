"""What a tool hands over has to be an answer: checked before anyone reads, stores or cites it."""

import math
from functools import lru_cache

from swarmlab.tools.facts import Fact
from swarmlab.tools.run import ToolAnswer


def answer_problem(tool: str, value: object) -> str | None:
    """Say what is wrong with what a tool returned.

    Parameters
    ----------
    tool
        The tool that was called.
    value
        Whatever it returned.

    Returns
    -------
    str or None
        None for an answer of this tool with text and sound facts, each under an id of its own.
    """
    if not isinstance(value, ToolAnswer):
        return f"it returned {type(value).__name__}, not an answer"
    if value.tool != tool:
        return f"it returned the answer of another tool, {value.tool!r}"
    if not isinstance(value.text, str) or not isinstance(value.facts, tuple):
        return "its answer has no text or no tuple of facts"
    try:
        return _facts_problem(tool, value.facts)
    except TypeError:
        # Something in it has no hash, which no sound fact lacks.
        return "its answer holds what is no fact"


@lru_cache(maxsize=256)
def _facts_problem(tool: str, facts: tuple[object, ...]) -> str | None:
    """Looked at once: simulated runs hand over the same facts again and again."""
    ids: set[str] = set()
    for fact in facts:
        if not isinstance(fact, Fact):
            return f"its answer holds {type(fact).__name__}, not a fact"
        if fact.tool != tool or fact.id in ids:
            return f"its answer holds fact {fact.id!r} twice, or that of another tool"
        if not isinstance(fact.value, str | int | float) or (
            isinstance(fact.value, float) and not math.isfinite(fact.value)
        ):
            return f"its fact {fact.id!r} has the value {fact.value!r}"
        ids.add(fact.id)
    return None
