"""Which tools the data allow: those whose columns are there, in the sales or in a companion table."""

from __future__ import annotations

from collections.abc import Sequence

from swarmlab.data import Dataset
from swarmlab.data.companions import table_columns
from swarmlab.errors import SpecError
from swarmlab.tools.catalogue import TOOLS, Tool
from swarmlab.tools.scope import EVERYTHING, Scope, region_dimension


def missing_columns(tool: Tool, dataset: Dataset, scope: Scope = EVERYTHING) -> tuple[str, ...]:
    """Columns that a tool needs, or that the scope limits, and its frame of this dataset does not have."""
    columns = table_columns(dataset, tool.table)
    needed = [*tool.needs]
    if scope.categories:
        needed.append("category")
    if scope.regions:
        needed.append(region_dimension(dataset.columns) or "region")
    return tuple(dict.fromkeys(name for name in needed if name not in columns))


def available_tools(dataset: Dataset, scope: Scope = EVERYTHING) -> tuple[str, ...]:
    """Names of the tools that can be asked about this dataset, in the catalogue's order."""
    return tuple(name for name, tool in TOOLS.items() if not missing_columns(tool, dataset, scope))


def check_plan(plan: Sequence[str], dataset: Dataset, scope: Scope = EVERYTHING) -> None:
    """Check that the data have what each tool of a plan needs.

    Raises
    ------
    SpecError
        Names the first tool that cannot be asked, the columns it misses, and the file.
    """
    for name in plan:
        missing = missing_columns(TOOLS[name], dataset, scope)
        if missing:
            plural = "s" if len(missing) > 1 else ""
            raise SpecError(
                f"the plan names {name}, which needs column{plural} {', '.join(missing)}, and {dataset.path} "
                f"has none such; leave {name} out of the plan, or use data with the column{plural}"
            )
