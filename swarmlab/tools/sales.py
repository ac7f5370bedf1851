"""The rows in scope seen as arrays: exact sums of a measure by any dimensions.

Amounts are added as whole numbers of ticks (a hundredth of a cent), which double precision does without
error up to 9e11, so a sum depends on neither the order of the rows nor their dtypes. Nothing here writes to
the frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swarmlab.errors import ToolError
from swarmlab.tools.axis import Axis, Codes, axis_of
from swarmlab.tools.period import EPOCH, Period, period_of
from swarmlab.tools.scope import Scope, region_dimension

Floats = NDArray[np.float64]

TICK: Final = 10_000
"""Ticks in a unit of currency or of units sold."""

TOP_N: Final = 10
"""Entities reported by each breakdown, largest revenue first; focus brands come on top of these."""

SALES_COLUMNS: Final = ("brand", "category", "units_sold", "total_revenue")
"""What a tool needs that does not look at dates."""

DATED_COLUMNS: Final = ("sale_date", *SALES_COLUMNS)
"""What a tool needs that does."""

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

MAX_CELLS: Final = 1_000_000
"""Largest table that is summed in one go."""


class Sales:
    """Rows of `frame` within `scope`, for one call of `tool`.

    Raises
    ------
    ToolError
        A column of `needs` is absent, or no row is in scope.
    """

    def __init__(self, frame: pd.DataFrame, scope: Scope, *, tool: str, needs: Sequence[str]) -> None:
        missing = [name for name in needs if name not in frame.columns]
        if missing:
            raise ToolError(
                tool, f"the data have no column {', '.join(missing)}; it needs {', '.join(needs)}"
            )
        self._frame = frame
        self._tool = tool
        self.scope = scope
        self.columns = frozenset(map(str, frame.columns))
        self.region_dimension = region_dimension(self.columns)
        self._whole_axes: dict[str, Axis] = {}
        self._axes: dict[str, Axis] = {}
        self._ticks: dict[str, Floats] = {}
        self._cubes: dict[str, dict[tuple[str, ...], Floats]] = {}
        self._combined: dict[tuple[str, ...], Codes] = {}
        self._keep = self._rows_in_scope()
        self.rows = len(frame) if self._keep is None else len(self._keep)
        if self.rows == 0:
            raise ToolError(tool, "no row of the data is in scope")

    # -- dimensions

    def axis(self, dimension: str) -> Axis:
        """Codes and names of a column, of "month" (full months), "any_month" or "weekday"."""
        if dimension not in self._axes:
            self._axes[dimension] = self._make_axis(dimension)
        return self._axes[dimension]

    def names(self, dimension: str) -> tuple[str, ...]:
        """Names of the dimension, sorted; those without a row in scope too."""
        return self.axis(dimension).names

    @cached_property
    def period(self) -> Period:
        """Days and full months of the whole frame, whatever the scope."""
        return period_of(self._day, self._first)

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
        brand, category = np.divmod(self._pair[0], self.axis("category").size)
        return brand, category

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
                known[dimensions] = self._count(measure, dimensions)
            else:
                folded = tuple(i for i, name in enumerate(wider) if name not in dimensions)
                left = [name for name in wider if name in dimensions]
                cube = np.asarray(known[wider].sum(axis=folded))
                known[dimensions] = cube.transpose([left.index(name) for name in dimensions])
        return known[dimensions]

    def _count(self, measure: str, dimensions: tuple[str, ...]) -> Floats:
        weights = None if measure == "rows" else self._measure(measure)
        if not dimensions:
            return np.asarray(float(self.rows) if weights is None else weights.sum())
        sizes = [self._width(name) for name in dimensions]
        flat = np.bincount(self._codes(dimensions), weights=weights, minlength=math.prod(sizes))
        return flat.astype(np.float64).reshape(sizes)

    def _codes(self, dimensions: tuple[str, ...]) -> Codes:
        """One code a row for the combination of dimensions; the latest combination is kept."""
        if dimensions not in self._combined:
            codes = self.axis(dimensions[0]).codes
            for name in dimensions[1:]:
                codes = codes * self._width(name)
                codes += self.axis(name).codes
            self._combined = {dimensions: codes}
        return self._combined[dimensions]

    def _width(self, dimension: str) -> int:
        return self.axis(dimension).size + (dimension == "month")

    def total(self, measure: str) -> float:
        """Sum of a measure over all rows in scope, in its own unit (currency, units or rows)."""
        ticks = float(self.sums(measure))
        return ticks if measure == "rows" else ticks / TICK

    # -- arrays

    def _rows_in_scope(self) -> Codes | None:
        mask: NDArray[np.bool_] | None = None
        limits = {"category": self.scope.categories, self.region_dimension: self.scope.regions}
        for dimension, names in limits.items():
            if not names:
                continue
            if dimension is None or dimension not in self.columns:
                raise ToolError(
                    self._tool, "the scope names regions, but the data have no region, country or store"
                )
            axis = self._whole_axis(dimension)
            wanted = np.array([name in names for name in axis.names], dtype=bool)[axis.codes]
            mask = wanted if mask is None else mask & wanted
        return None if mask is None else np.flatnonzero(mask)

    def _make_axis(self, dimension: str) -> Axis:
        if dimension == "month":
            return Axis(self._kept(self.period.month_of_day[self._day]), self.period.months)
        if dimension == "any_month":
            month = (np.datetime64(self._first, "D") + np.arange(self.period.days)).astype("datetime64[M]")
            found, code = np.unique(month.astype(str), return_inverse=True)
            return Axis(self._kept(code.astype(np.intp)[self._day]), tuple(map(str, found)))
        if dimension == "weekday":
            return Axis(self._kept(self.period.weekdays()[self._day]), WEEKDAYS)
        if dimension == "pair":
            brands, categories = self.names("brand"), self.names("category")
            names = (f"{brands[b]} / {categories[c]}" for b, c in zip(*self.pairs, strict=True))
            return Axis(self._pair[1], tuple(names))
        if dimension == "day":
            return Axis(self._kept(self._day), tuple(map(str, range(self.period.days))))
        whole = self._whole_axis(dimension)
        return Axis(self._kept(whole.codes), whole.names)

    def _whole_axis(self, dimension: str) -> Axis:
        if dimension not in self._whole_axes:
            self._whole_axes[dimension] = axis_of(self._frame[dimension])
        return self._whole_axes[dimension]

    def _kept(self, values: Codes) -> Codes:
        return values if self._keep is None else values[self._keep]

    @cached_property
    def _first(self) -> Any:
        return EPOCH + pd.Timedelta(days=int(self._epoch_day.min())).to_pytimedelta()

    @cached_property
    def _epoch_day(self) -> Codes:
        days: Codes = self._frame["sale_date"].to_numpy().astype("datetime64[D]").astype(np.intp)
        return days

    @cached_property
    def _day(self) -> Codes:
        day: Codes = self._epoch_day - self._epoch_day.min()
        return day

    @cached_property
    def _pair(self) -> tuple[Codes, Codes]:
        """Combinations of brand and category that occur, and the code of each row among them."""
        brand, category = self.axis("brand"), self.axis("category")
        combined = brand.codes * category.size + category.codes
        found = np.flatnonzero(np.bincount(combined))
        position = np.empty(brand.size * category.size, dtype=np.intp)
        position[found] = np.arange(len(found))
        return found, position[combined]

    def _measure(self, name: str) -> Floats:
        if name not in self._ticks:
            self._ticks[name] = self._make_measure(name)
        return self._ticks[name]

    def _make_measure(self, name: str) -> Floats:
        if name == "revenue":
            return self._column_ticks("total_revenue")
        if name == "units":
            return self._column_ticks("units_sold")
        if name == "discount":
            return _zero_where_empty(self._column_ticks("discount_value"))
        cost = self._cost_ticks()
        if name == "cost":
            return _zero_where_empty(cost)
        if name == "costed_revenue":
            return np.where(np.isnan(cost), 0.0, self._measure("revenue"))
        raise KeyError(name)

    def _cost_ticks(self) -> Floats:
        """Cost of each row; NaN where it is not known."""
        if "total_cost" in self.columns:
            return self._column_ticks("total_cost")
        if "cost_per_unit" in self.columns:
            return np.rint(self._column("cost_per_unit") * self._column("units_sold") * TICK)
        return self._measure("revenue") - self._column_ticks("profit")

    def _column(self, column: str) -> Floats:
        values = self._frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
        return values if self._keep is None else values[self._keep]

    def _column_ticks(self, column: str) -> Floats:
        ticks = self._column(column) * TICK
        return np.rint(ticks, out=ticks)


def _zero_where_empty(ticks: Floats) -> Floats:
    ticks[np.isnan(ticks)] = 0.0
    return ticks
