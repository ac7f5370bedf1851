"""Faults switched on to see what they cost: a tool that fails, hangs, fails once or returns garbage."""

from collections.abc import Collection, Sequence
from typing import Any

from swarmlab.agents.resources import Resources
from swarmlab.errors import SpecError, ToolError
from swarmlab.tools import TOOLS

FAULTS = {
    "fail": "raises an error",
    "hang": "never answers",
    "garbage": "returns something that is no answer",
    "flaky": "loses its connection the first time it is tried",
}
"""Kinds of faults: `TOOL:KIND`, or `TOOL` alone for `fail`."""

_NEVER_S = 1e9


def check_faults(faults: Sequence[str]) -> None:
    """Refuse a fault that would go unnoticed: an unknown tool's or kind's, or a tool's second.

    Raises
    ------
    SpecError
        Names it.
    """
    seen: set[str] = set()
    for fault in faults:
        tool, colon, kind = fault.partition(":")
        if tool not in TOOLS:
            raise SpecError(f"faults names an unknown tool {tool!r}; known: {', '.join(TOOLS)}")
        if colon and kind not in FAULTS:
            raise SpecError(f"faults names an unknown kind {kind!r} of fault; known: {', '.join(FAULTS)}")
        if tool in seen:
            raise SpecError(f"faults names the tool {tool} twice; a tool has one fault in a run")
        seen.add(tool)


def fault_of(faults: Collection[str], tool: str) -> str | None:
    """The kind of a tool's fault, None where it has none."""
    kinds = (fault.partition(":")[2] or "fail" for fault in faults if fault.partition(":")[0] == tool)
    return next(kinds, None)


async def faulty_answer(run: Resources, tool: str, kind: str) -> Any:
    """What a tool with this fault does instead of its work."""
    if kind == "hang":
        await run.clock.sleep(_NEVER_S)
    if kind == "garbage":
        return "garbage"
    lost = ConnectionError("lost for this run") if kind == "flaky" else None
    raise ToolError(tool, "fault switched on for this run") from lost
