"""Data profile: which columns the data have, what they hold, and how much of it is missing."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from swarmlab.data import CANONICAL, DIMENSIONS, EXTENSIONS
from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.period import EPOCH, period_of
from swarmlab.tools.ratios import pct
from swarmlab.tools.scope import EVERYTHING, Scope
from swarmlab.tools.scoped import Scoped, day_name

TOOL = "data_profile"

NEEDS: Final = ("sale_date",)


def data_profile(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """Columns, their kinds, gaps, ranges and numbers of different values; the period and the entities.

    What a data dictionary holds for each column (Naumann, Data profiling revisited, SIGMOD Record 42, 2013,
    pp. 40-49, single columns): its kind, the share of rows without a value, smallest and largest value of
    numbers, number of different values of text. The period is that of the whole data; everything else counts
    the rows in scope. Columns that swarmlab does not know are not told.

    Returns
    -------
    Facts `rows`, `columns`, `first_date`, `last_date`, `days`, `full_months`, `days_without_sales`,
    `columns_absent` (known, but not in the data), `emptiest_column`, and by column `kind[column=]`,
    `missing_pct[column=]`, `distinct[column=]` or `smallest[column=]` and `largest[column=]`.
    """
    scoped = Scoped(frame, scope, tool=TOOL, needs=NEEDS)
    sheet = FactSheet(TOOL, scoped.rows)
    names = [name for name in (*CANONICAL, *EXTENSIONS) if name in scoped.columns]
    absent = [name for name in (*CANONICAL, *EXTENSIONS) if name not in scoped.columns]
    sheet.add("rows", "rows of data in scope", scoped.rows, "count", headline=True)
    sheet.add("columns", "columns known to the tools", len(names), "count", headline=True)
    _add_period(sheet, scoped)
    sheet.add("columns_absent", "columns that would allow more", ", ".join(absent) or "none", "label")
    missing = {name: scoped.rows - int(scoped.known(name).sum()) for name in names}
    emptiest = min(names, key=lambda name: (-missing[name], name))
    worst = emptiest if missing[emptiest] else "none has gaps"
    sheet.add("emptiest_column", "column with most values missing", worst, "label", headline=True)
    for name in names:
        _add_column(sheet, scoped, name, missing[name])
    return sheet.facts()


def _add_period(sheet: FactSheet, scoped: Scoped) -> None:
    first = EPOCH + pd.Timedelta(days=scoped.first).to_pytimedelta()
    days = scoped.day - scoped.first
    period = period_of(scoped.all_days, first)
    idle = scoped.days - len(np.unique(days))
    sheet.add("first_date", "first day of the data", day_name(scoped.first), "date", headline=True)
    sheet.add("last_date", "last day of the data", day_name(scoped.last), "date", headline=True)
    sheet.add("days", "calendar days covered", scoped.days, "count")
    sheet.add("full_months", "full calendar months", len(period.months), "count")
    sheet.add("days_without_sales", "days without a row in scope", idle, "count")


def _add_column(sheet: FactSheet, scoped: Scoped, name: str, missing: int) -> None:
    rows = scoped.rows - missing
    kind = "date" if name == "sale_date" else "text" if name in DIMENSIONS else "number"

    def add(metric: str, label: str, value: Any, unit: str) -> None:
        sheet.add(of(metric, "column", name), label, value, unit, rows=rows)

    add("kind", f"kind of column {name}", kind, "label")
    add("missing_pct", f"share of rows without {name}", pct(missing, scoped.rows), "%")
    if kind == "text":
        add("distinct", f"different values of {name}", scoped.distinct(name), "count")
    elif kind == "number":
        low, high = scoped.ends(name)
        add("smallest", f"smallest {name}", low, "value")
        add("largest", f"largest {name}", high, "value")
