"""Rows of sales as arrays, or groups of rows with their sums: codes by dimension and ticks by measure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Final, Protocol

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

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Rows(Protocol):
    """What `Sales` asks of the rows in scope, wherever these are."""

    @property
    def rows(self) -> int:
        """How many are in scope."""

    @property
    def period(self) -> Period:
        """Days and full months of the whole data, whatever the scope."""

    @property
    def pairs(self) -> tuple[Codes, Codes]:
        """Brand code and category code of each combination that occurs in scope."""

    def axis(self, dimension: str) -> Axis:
        """Names of a dimension, and the code of each row where the rows are in memory."""

    def count(self, measure: str, dimensions: tuple[str, ...]) -> Floats:
        """Sum a measure by dimensions; "month" has a last cell for rows outside full months."""


def limits_of(scope: Scope, columns: frozenset[str], tool: str) -> dict[str, tuple[str, ...]]:
    """Names that a scope limits the rows to, by column.

    Raises
    ------
    ToolError
        The scope names regions, and there is no column for them.
    """
    limits = {"category": scope.categories} if scope.categories else {}
    if scope.regions:
        place = region_dimension(columns)
        if place is None:
            raise ToolError(tool, "the scope names regions, but the data have no region, country or store")
        limits[place] = scope.regions
    if "category" in limits and "category" not in columns:
        raise ToolError(tool, "the scope names categories, but the data have no category")
    return limits


class FrameRows:
    """The rows of a frame within a scope, one code and one amount a row; never writes to the frame."""

    def __init__(self, frame: pd.DataFrame, limits: Mapping[str, tuple[str, ...]]) -> None:
        self._frame = frame
        self._columns = frozenset(map(str, frame.columns))
        self._whole_axes: dict[str, Axis] = {}
        self._axes: dict[str, Axis] = {}
        self._ticks: dict[str, Floats] = {}
        self._combined: dict[tuple[str, ...], Codes] = {}
        self._keep = self._rows_within(limits)

    @property
    def rows(self) -> int:
        """How many are in scope."""
        return len(self._frame) if self._keep is None else len(self._keep)

    def axis(self, dimension: str) -> Axis:
        """Codes and names of a column, of "month" (full months), "any_month", "weekday", "day" or "pair"."""
        if dimension not in self._axes:
            self._axes[dimension] = self._make_axis(dimension)
        return self._axes[dimension]

    @cached_property
    def period(self) -> Period:
        """Days and full months of the whole frame."""
        return period_of(self._day, self._first)

    @property
    def pairs(self) -> tuple[Codes, Codes]:
        """Brand code and category code of each combination that occurs, in the order of the axis "pair"."""
        brand, category = np.divmod(self._pair[0], self.axis("category").size)
        return brand, category

    def count(self, measure: str, dimensions: tuple[str, ...]) -> Floats:
        """Sum a measure by dimensions; "month" has a last cell for rows outside full months."""
        weights = self._weights(measure)
        if not dimensions:
            return np.asarray(float(self.rows) if weights is None else weights.sum())
        sizes = [self._width(name) for name in dimensions]
        flat = np.bincount(self._codes(dimensions), weights=weights, minlength=math.prod(sizes))
        return flat.astype(np.float64).reshape(sizes)

    def _codes(self, dimensions: tuple[str, ...]) -> Codes:
        """One code a row for the combination of dimensions; the latest combination is kept."""
        codes = self._combined.get(dimensions)
        if codes is None:
            codes = self.axis(dimensions[0]).codes
            for name in dimensions[1:]:
                codes = codes * self._width(name)
                codes += self.axis(name).codes
            self._combined = {dimensions: codes}
        return codes

    def _width(self, dimension: str) -> int:
        return self.axis(dimension).size + (dimension == "month")

    def _rows_within(self, limits: Mapping[str, tuple[str, ...]]) -> Codes | None:
        mask: NDArray[np.bool_] | None = None
        for dimension, names in limits.items():
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
            brands, categories = self.axis("brand").names, self.axis("category").names
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
    def _first(self) -> date:
        return EPOCH + timedelta(days=int(self._epoch_day.min()))

    @cached_property
    def _epoch_day(self) -> Codes:
        days: Codes = self._frame["sale_date"].to_numpy().astype("datetime64[D]").astype(np.intp)
        return days

    @cached_property
    def _day(self) -> Codes:
        day: Codes = self._epoch_day - (self._first - EPOCH).days
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

    @property
    def measures(self) -> list[str]:
        """Measures that the columns allow, besides "rows"."""
        has_cost = bool(self._columns & {"total_cost", "cost_per_unit", "profit"})
        costs = ["cost", "costed_revenue"] if has_cost else []
        return ["revenue", "units", *costs, *(["discount"] if "discount_value" in self._columns else [])]

    def amounts(self, measure: str) -> Floats:
        """Amount of each row in ticks; an empty one is 0."""
        if measure not in self._ticks:
            self._ticks[measure] = self._make_measure(measure)
        return self._ticks[measure]

    def _weights(self, measure: str) -> Floats | None:
        """What each row adds; None for "rows", each of which counts once."""
        return None if measure == "rows" else self.amounts(measure)

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
            return np.where(np.isnan(cost), 0.0, self._column_ticks("total_revenue"))
        raise KeyError(name)

    def _cost_ticks(self) -> Floats:
        """Cost of each row; NaN where it is not known."""
        if "total_cost" in self._columns:
            return self._column_ticks("total_cost")
        if "cost_per_unit" in self._columns:
            return np.rint(self._column("cost_per_unit") * self._column("units_sold") * TICK)
        return self._column_ticks("total_revenue") - self._column_ticks("profit")

    def _column(self, column: str) -> Floats:
        values = self._frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
        return values if self._keep is None else values[self._keep]

    def _column_ticks(self, column: str) -> Floats:
        ticks = self._column(column) * TICK
        return np.rint(ticks, out=ticks)


@dataclass(frozen=True)
class Domain:
    """What the whole data hold, whatever the scope: the sorted names by dimension, and the period."""

    names: Mapping[str, tuple[str, ...]]
    period: Period


class GroupedRows(FrameRows):
    """Groups of rows, each with its number of rows and its sums.

    Parameters
    ----------
    groups
        Columns: dimensions as categoricals over the domain's names, `sale_date` (a day of the group, which is
        within one month), `rows`, and by measure the sum in ticks.
    domain
        Of the data that the groups are of.
    """

    def __init__(self, groups: pd.DataFrame, domain: Domain) -> None:
        super().__init__(groups, {})
        self._domain = domain

    @property
    def rows(self) -> int:
        """How many rows the groups hold."""
        return int(self._frame["rows"].sum())

    @cached_property
    def period(self) -> Period:
        """Days and full months of the whole data."""
        return self._domain.period

    @cached_property
    def _first(self) -> date:
        return self._domain.period.first

    def _weights(self, measure: str) -> Floats:
        sums: Floats = self._frame[measure].to_numpy(dtype=np.float64)
        return sums


def domain_of(names: Mapping[str, tuple[str, ...]], days: Codes) -> Domain:
    """Make a domain from its names and the days since 1970 that have rows (shape: any)."""
    first = int(days.min())
    return Domain(names, period_of(days - first, EPOCH + timedelta(days=first)))


def _zero_where_empty(ticks: Floats) -> Floats:
    ticks[np.isnan(ticks)] = 0.0
    return ticks
