"""Weekly cells: what each article sold in each store and full week, for estimates of what moves sales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swarmlab.tools.axis import UNKNOWN, Codes
from swarmlab.tools.sales import TOP_N, Floats
from swarmlab.tools.scoped import Scoped, largest

QUARTER_WEEKS: Final = 13
"""Cells are compared within as many weeks, so that a season or a trend is not taken for an effect."""

MIN_WEEKS: Final = 8
"""An article is regular if it sold in half the full weeks, and in no fewer than so many."""


@dataclass(frozen=True)
class Panel:
    """One cell an article, store and week, in that order (shape of all arrays: cells)."""

    item: Codes
    """The article: product where there is one, else brand and category."""
    group: Codes
    """The article in its store."""
    week: Codes
    category: NDArray[np.str_]
    units: Floats
    revenue: Floats
    discount: Floats
    """In ticks, as units and revenue; zero where discounts are not known."""
    promoted_units: Floats
    promoted_rows: Floats

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(self.item)

    def where(self, mask: NDArray[np.bool_]) -> Panel:
        """The cells of a mask, articles, groups and weeks counted anew."""
        kept = {field.name: getattr(self, field.name)[mask] for field in fields(self)}
        for name in ("item", "group"):
            kept[name] = np.unique(kept[name], return_inverse=True)[1]
        return Panel(**kept)

    @property
    def is_promoted(self) -> NDArray[np.bool_]:
        """On promotion: half the units or more were sold so; where none was sold, any row says so."""
        promoted: NDArray[np.bool_] = np.where(
            self.units > 0, 2 * self.promoted_units >= self.units, self.promoted_rows > 0
        )
        return promoted

    @property
    def quarter(self) -> Codes:
        """The article in its store and quarter."""
        quarter = quarters(self.week)
        combined = self.group * (int(quarter.max(initial=0)) + 1) + quarter
        codes: Codes = np.unique(combined, return_inverse=True)[1]
        return codes


def weekly_panel(scoped: Scoped, *, by_store: bool = True) -> Panel:
    """Add up the rows in scope by article, store and week; weeks not covered in full are left out."""
    first, last = scoped.weeks
    week = scoped.week
    units = scoped.ticks("units_sold")
    on = (
        scoped.flag("on_promotion") if "on_promotion" in scoped.columns else np.zeros(scoped.rows, dtype=bool)
    )
    keys, category = _keys(scoped, by_store)
    rows = pd.DataFrame(
        {
            **keys,
            "week": week,
            "category": category,
            "units": units,
            "revenue": scoped.ticks("total_revenue"),
            "discount": scoped.ticks("discount_value") if "discount_value" in scoped.columns else 0.0,
            "promoted_units": units * on,
            "promoted_rows": on.astype(np.float64),
        }
    )[(week >= first) & (week <= last)]
    by = [*keys, "week"]
    grouped = rows.groupby(by, sort=True, as_index=False)
    cells = grouped.agg({name: "sum" for name in rows.columns if name not in (*by, "category")})
    # An article that is found in two categories counts in the first of them.
    cells["category"] = grouped["category"].min()["category"]
    return _panel(cells, scoped.axis("category").names, list(keys))


def _keys(scoped: Scoped, by_store: bool) -> tuple[dict[str, Codes], Codes]:
    category = scoped.axis("category").codes
    keys = {"brand": scoped.axis("brand").codes, "category_key": category}
    if "product" in scoped.columns:
        keys = {"product": scoped.axis("product").codes}
    if by_store and "store_id" in scoped.columns:
        keys["store"] = scoped.axis("store_id").codes
    return keys, category


def _panel(cells: pd.DataFrame, categories: Sequence[str], keys: Sequence[str]) -> Panel:
    articles = [name for name in keys if name != "store"]
    columns: dict[str, Any] = {
        name: cells[name].to_numpy(dtype=np.float64)
        for name in ("units", "revenue", "discount", "promoted_units", "promoted_rows")
    }
    return Panel(
        item=cells.groupby(articles, sort=True).ngroup().to_numpy().astype(np.intp),
        group=cells.groupby(list(keys), sort=True).ngroup().to_numpy().astype(np.intp),
        week=cells["week"].to_numpy(dtype=np.intp),
        category=np.array([*categories, UNKNOWN])[cells["category"].to_numpy(dtype=np.intp)],
        **columns,
    )


def largest_categories(scoped: Scoped) -> list[str]:
    """The ten categories of the largest revenue in scope."""
    return largest(scoped.axis("category"), scoped.ticks("total_revenue"), TOP_N)


def periods(panel: Panel, least: int) -> tuple[Codes, Codes]:
    """Effects of time that can be told from the articles' own, and the clusters of the errors.

    With `least` articles or more: the weeks, clustered by article. With fewer the weeks would take up all
    that happens: the quarters, clustered by week.
    """
    week: Codes = np.unique(panel.week, return_inverse=True)[1]
    if panel.size and int(panel.item.max()) + 1 >= least:
        return week, panel.item
    return quarters(panel.week), week


def quarters(week: Codes) -> Codes:
    """Quarter of a year of each week, counted from the first of them."""
    quarter: Codes = (week - week.min()) // QUARTER_WEEKS if len(week) else week
    return quarter


def regular_panel(scoped: Scoped) -> Panel:
    """Cells with a sale of the articles that sold in half the full weeks or more.

    By store, unless that leaves out more than half the revenue: then the stores are added up.
    """
    whole = weekly_panel(scoped)
    by_store = _regular(whole)
    if "store_id" not in scoped.columns or 2 * by_store.revenue.sum() >= whole.revenue.sum():
        return by_store
    return _regular(weekly_panel(scoped, by_store=False))


def _regular(panel: Panel) -> Panel:
    sold = panel.where((panel.units > 0) & (panel.revenue > 0))
    if sold.size == 0:
        return sold
    n_weeks = len(np.unique(sold.week))
    in_weeks = np.bincount(sold.group)
    return sold.where((in_weeks >= max(MIN_WEEKS, n_weeks / 2))[sold.group])


def varies_within(values: Floats, group: Codes) -> bool:
    """Some group has more than one value, by more than the last digits."""
    if len(values) == 0:
        return False
    n = int(group.max()) + 1
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(low, group, values)
    np.maximum.at(high, group, values)
    return bool((high - low > 1e-6).any())
