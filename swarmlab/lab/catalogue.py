"""The tool catalogue for people: what each tool does, needs and rests on, and whether some data allow it."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

from swarmlab.data import Dataset, open_dataset
from swarmlab.data.companions import COMPANIONS, companion_of
from swarmlab.errors import SpecError
from swarmlab.tools import DEFAULT_PLAN, TOOLS, Tool
from swarmlab.tools.available import missing_columns


@dataclass(frozen=True)
class Listed:
    """One tool as the catalogue tells it."""

    name: str
    description: str
    definition: str
    """What it computes and by which source, as its function says."""
    needs: tuple[str, ...]
    table: str
    """The frame it takes: sales, or a companion table where the data's source has one."""
    companion_of: tuple[str, ...]
    """Sources that have that companion table."""
    is_default: bool
    """A brief that names no plan asks for it."""
    is_available: bool | None
    """The data allow it; None if no data were named."""
    missing: tuple[str, ...]
    """Columns that the data lack."""

    def as_dict(self) -> dict[str, object]:
        """The fields by name, for JSON."""
        return asdict(self)


def list_tools(name: str | None = None, data: str | None = None) -> tuple[Listed, ...]:
    """The tools of the catalogue, or the one of that name.

    Parameters
    ----------
    data
        As `open_dataset` takes it; the tools then say whether these data allow them.

    Raises
    ------
    UserError
        The name is unknown, or the data cannot be used.
    """
    if name is not None and name not in TOOLS:
        near = difflib.get_close_matches(name, TOOLS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(TOOLS)}"
        raise SpecError(f"unknown tool {name!r}; {hint}")
    dataset = None if data is None else open_dataset(data)
    return tuple(_listed(tool, dataset) for tool in TOOLS.values() if name in (None, tool.name))


def _listed(tool: Tool, dataset: Dataset | None) -> Listed:
    missing = () if dataset is None else missing_columns(tool, dataset)
    has_companion = dataset is not None and companion_of(dataset, tool.table) is not None
    return Listed(
        name=tool.name,
        description=tool.description,
        definition=inspect.getdoc(tool.fn) or "",
        needs=tool.needs,
        table=tool.table if dataset is None or has_companion else "sales",
        companion_of=tuple(source for source, tables in COMPANIONS.items() if tool.table in tables),
        is_default=tool.name in DEFAULT_PLAN,
        is_available=None if dataset is None else not missing,
        missing=missing,
    )


def tools_table(listed: Sequence[Listed]) -> Table:
    """A table of the catalogue for the terminal."""
    asked = any(one.is_available is not None for one in listed)
    table = Table(title=f"{len(listed)} tools; * in the default plan")
    for header in ("tool", "what it finds", "needs", "table", *(("available",) if asked else ())):
        table.add_column(header, overflow="fold")
    for one in listed:
        state = "yes" if one.is_available else f"no: {', '.join(one.missing)} missing"
        name = f"{one.name} *" if one.is_default else one.name
        row = (name, one.description, ", ".join(one.needs), one.table)
        table.add_row(*row, *((state,) if asked else ()))
    return table


def tool_text(one: Listed) -> str:
    """All about one tool, for the terminal."""
    lines = [f"{one.name}: {one.description}", "", one.definition, "", f"Needs: {', '.join(one.needs)}"]
    if one.companion_of:
        lines.append(f"Table: {one.table} of {', '.join(one.companion_of)}; elsewhere the file's columns")
    lines.append(f"In the default plan: {'yes' if one.is_default else 'no; name it in the plan of a brief'}")
    if one.is_available is not None:
        state = "yes" if one.is_available else f"no, missing: {', '.join(one.missing)}"
        lines.append(f"Available for these data: {state}")
    return "\n".join(lines)
