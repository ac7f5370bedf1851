"""The rows in scope seen as arrays: exact sums of a measure by any dimensions.

Amounts are added as whole numbers of ticks (a hundredth of a cent), which double precision does without
error up to 9e11, so a sum depends on neither the order of the rows nor their dtypes, nor on who adds: numpy
over a frame, or DuckDB over a file. Nothing here writes to the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from swarmlab.errors import ToolError
from swarmlab.tools.axis import Axis, Codes
from swarmlab.tools.given import check_columns, given_frame
from swarmlab.tools.grouped_sales import SalesOnDisk
from swarmlab.tools.period import Period
from swarmlab.tools.rows import TICK, WEEKDAYS, Floats, FrameRows, Rows, limits_of
from swarmlab.tools.scope import Scope, region_dimension

__all__ = ["DATED_COLUMNS", "MAX_CELLS", "SALES_COLUMNS", "TICK", "TOP_N", "WEEKDAYS", "Floats", "Sales"]

TOP_N: Final = 10
"""Entities reported by each breakdown, largest revenue first; focus brands come on top of these."""

SALES_COLUMNS: Final = ("brand", "category", "units_sold", "total_revenue")
"""What a tool needs that does not look at dates."""

DATED_COLUMNS: Final = ("sale_date", *SALES_COLUMNS)
"""What a tool needs that does."""

MAX_CELLS: Final = 1_000_000
"""Largest table that is summed in one go."""


class Sales:
    """Rows of `frame`, or of a table on disk, within `scope`, for one call of `tool`.

    Raises
    ------
    ToolError
        A column of `needs` is absent, the frame cannot be used (see `given_frame`), or no row is in scope.
    """

    def __init__(
        self, frame: pd.DataFrame | SalesOnDisk, scope: Scope, *, tool: str, needs: Sequence[str]
    ) -> None:
        if isinstance(frame, SalesOnDisk):
            check_columns(frame.columns, tool=tool, needs=needs)
        else:
            frame = given_frame(frame, tool=tool, needs=needs)
        self.scope = scope
        self.columns = frozenset(map(str, frame.columns))
        self.region_dimension = region_dimension(self.columns)
        self._cubes: dict[str, dict[tuple[str, ...], Floats]] = {}
        limits = limits_of(scope, self.columns, tool)
        self._rows: Rows = (
            frame.within(limits) if isinstance(frame, SalesOnDisk) else FrameRows(frame, limits)
        )
        self.rows = self._rows.rows
        if self.rows == 0:
            raise ToolError(tool, "no row of the data is in scope")

    # -- dimensions

    def axis(self, dimension: str) -> Axis:
        """Names of a column, of "month" (full months), "any_month", "weekday", "day" or "pair".

        The codes are those of a frame's rows; the rows of a table on disk have none.
        """
        return self._rows.axis(dimension)

    def names(self, dimension: str) -> tuple[str, ...]:
        """Names of the dimension, sorted; those without a row in scope too."""
        return self.axis(dimension).names

    @property
    def period(self) -> Period:
        """Days and full months of the whole frame, whatever the scope."""
        return self._rows.period

    @property
    def halves(self) -> tuple[slice, slice] | None:
        """First and last half of the full months, None with fewer than two of them."""
        return self.period.halves if len(self.period.months) >= 2 else None

    def ranked(self, dimension: str, *, top: int | None = TOP_N, focus: Sequence[str] = ()) -> list[int]:
        """Codes that have rows in scope, largest revenue first, ties by name; `focus` names always in."""
        revenue = self.sums("revenue", dimension)
        present = self.sums("rows", dimension) > 0
        names = self.names(dimension)
        order = sorted(np.flatnonzero(present).tolist(), key=lambda code: (-revenue[code], names[code]))
        kept = order[:top]
        extra = [code for code in order if names[code] in focus and code not in kept]
        absent = [code for code, name in enumerate(names) if name in focus and not present[code]]
        return kept + extra + absent

    @property
    def pairs(self) -> tuple[Codes, Codes]:
        """Brand code and category code of each combination that occurs, in the order of the axis "pair"."""
        return self._rows.pairs

    # -- measures

    @property
    def has_cost(self) -> bool:
        """The rows' cost is given or follows from their profit."""
        return bool(self.columns & {"total_cost", "cost_per_unit", "profit"})

    @property
    def has_discount(self) -> bool:
        """The currency given away on each row is known."""
        return "discount_value" in self.columns

    def sums(self, measure: str, *dimensions: str) -> Floats:
        """Sum a measure by dimensions, in ticks (counts for "rows"); shape: one axis a dimension.

        Measures: "rows", "revenue", "units", "cost", "costed_revenue" (revenue of the rows whose cost is
        known) and "discount". Rows outside full months are in no cell of "month".
        """
        cube = self._cube(measure, dimensions)
        return cube[tuple(slice(self.axis(name).size) for name in dimensions)]

    def tabulate(self, measures: Sequence[str], *dimensions: str) -> None:
        """Sum measures by all these dimensions at once; sums by some of them are then folded from that.

        Saves passes over the rows, and does nothing where the table would have over `MAX_CELLS` cells.
        """
        if np.prod([self._width(name) for name in dimensions]) <= MAX_CELLS:
            for measure in measures:
                self._cube(measure, dimensions)

    def _cube(self, measure: str, dimensions: tuple[str, ...]) -> Floats:
        """Sums with a last cell on "month" for rows outside full months, so that it folds to all rows."""
        known = self._cubes.setdefault(measure, {})
        if dimensions not in known:
            wider = next((key for key in known if set(dimensions) < set(key)), None)
            if wider is None:
                known[dimensions] = self._rows.count(measure, dimensions)
            else:
                folded = tuple(i for i, name in enumerate(wider) if name not in dimensions)
                left = [name for name in wider if name in dimensions]
                cube = np.asarray(known[wider].sum(axis=folded))
                known[dimensions] = cube.transpose([left.index(name) for name in dimensions])
        return known[dimensions]

    def _width(self, dimension: str) -> int:
        return self.axis(dimension).size + (dimension == "month")

    def total(self, measure: str) -> float:
        """Sum of a measure over all rows in scope, in its own unit (currency, units or rows)."""
        ticks = float(self.sums(measure))
        return ticks if measure == "rows" else ticks / TICK
