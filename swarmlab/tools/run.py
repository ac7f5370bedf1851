"""Run one tool of the catalogue on a dataset, the ordinary way or on a shared columnar frame.

`baseline` is what a first version does: it reads the whole file in every call (in chunks, if it is too large)
and hands the model a table of everything it found. `vectorized` has the sums of all tools made in one scan of
the typed copy, whatever its size, and hands over headline facts; tools that look at rows share one frame.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from swarmlab.data.companions import companion_of, load_companion
from swarmlab.data.memory import VARIABLE, memory_limit
from swarmlab.errors import DataError, SpecError, ToolError
from swarmlab.tools.catalogue import TOOLS, Tool
from swarmlab.tools.chunked_sales import ChunkedSales
from swarmlab.tools.facts import Fact
from swarmlab.tools.scope import Scope
from swarmlab.tools.sql_sales import SalesTable

if TYPE_CHECKING:
    from swarmlab.data import Dataset

Impl = Literal["baseline", "vectorized"]

SHARED_COLUMNS = (
    "sale_date",
    "region",
    "country",
    "store_id",
    "brand",
    "category",
    "units_sold",
    "total_revenue",
    "total_cost",
    "cost_per_unit",
    "profit",
    "discount_value",
    "household_id",
    "basket_id",
    "product",
    "on_promotion",
    "coupon_value",
    "campaign",
    "campaign_target",
    "campaign_active",
)
"""Columns that some tool reads; the others stay on disk."""

BYTES_A_CELL = 16
"""What a cell takes at most while the columns are loaded and worked on."""

BYTES_A_READ_CELL = 30
"""The same for a first version, which reads every column, and names as text."""

MAX_LINES = 10
"""Fact lines of the verbose text."""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool gave back: its facts, and the text that the model reads."""

    tool: str
    facts: tuple[Fact, ...]
    text: str


class SharedFrame:
    """What the tools of a run read, made at first use and shared; safe to ask from many threads."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._lock = threading.Lock()
        self._frame: pd.DataFrame | None = None
        self._companions: dict[str, pd.DataFrame] = {}
        self.sums = SalesTable.of(dataset)
        """The dataset as a table on disk, for tools that ask for sums only: one scan serves them all."""

    def source(self, tool: Tool) -> pd.DataFrame | SalesTable:
        """Return what a tool is to be given: the table, or a frame for one that looks at rows."""
        if tool.table != "sales" and companion_of(self._dataset, tool.table) is not None:
            return self._companion(tool.table)
        return self.frame() if tool.rows else self.sums

    @property
    def is_loaded(self) -> bool:
        """Someone has asked for the frame."""
        return self._frame is not None

    def frame(self) -> pd.DataFrame:
        """Return the columns that tools read, the same frame each time; tools never write to it.

        Raises
        ------
        DataError
            It would not fit in the memory limit.
        """
        with self._lock:
            if self._frame is None:
                columns = columns_used(self._dataset.columns)
                needed = len(columns) * BYTES_A_CELL * self._dataset.rows
                if needed > memory_limit():
                    raise DataError(
                        f"{self._dataset.path}: its rows would take about {needed / 2**30:.1f} GiB, over the "
                        f"memory limit of {memory_limit() / 2**30:.1f} GiB; set {VARIABLE} higher"
                    )
                self._frame = self._dataset.load(columns)
            return self._frame

    def _companion(self, name: str) -> pd.DataFrame:
        with self._lock:
            if name not in self._companions:
                self._companions[name] = load_companion(self._dataset, name)
            return self._companions[name]


def columns_used(columns: Sequence[str]) -> list[str]:
    """Columns of a dataset that the tools read; a cost is read in one form only."""
    kept = [name for name in SHARED_COLUMNS if name in columns]
    costs = [name for name in ("total_cost", "cost_per_unit", "profit") if name in kept]
    return [name for name in kept if name not in costs[1:]]


def run_tool(
    name: str,
    scope: Scope,
    dataset: Dataset,
    impl: Impl,
    shared: SharedFrame | None = None,
) -> ToolAnswer:
    """Run a tool and word its answer.

    Parameters
    ----------
    name
        A key of `TOOLS`.
    scope
        Checked before (`check_scope`).
    dataset
        Where the rows come from.
    impl
        "baseline" reads `dataset` anew, in chunks if it is too large for the memory limit; "vectorized" uses
        `shared`. Both give the same facts.
    shared
        What the run's tools share; "vectorized" without it makes its own.

    Raises
    ------
    SpecError
        Unknown tool or implementation.
    ToolError
        The tool failed; keeps the cause.
    """
    if name not in TOOLS:
        raise SpecError(f"unknown tool {name!r}; known are {', '.join(TOOLS)}")
    if impl not in ("baseline", "vectorized"):
        raise SpecError(f"unknown tool_impl {impl!r}; known are baseline, vectorized")
    tool = TOOLS[name]
    try:
        source = _read(dataset, tool) if impl == "baseline" else (shared or SharedFrame(dataset)).source(tool)
        return worded(name, tool.fn(source, scope), impl)
    except ToolError:
        raise
    except Exception as error:
        raise ToolError(name, f"{type(error).__name__}: {error}") from error


def _read(dataset: Dataset, tool: Tool) -> pd.DataFrame | ChunkedSales:
    """Read the file as a first version does: whole, or in chunks where it would not fit in memory."""
    if tool.table != "sales" and companion_of(dataset, tool.table) is not None:
        return load_companion(dataset, tool.table)
    fits = BYTES_A_READ_CELL * len(dataset.columns) * dataset.rows <= memory_limit()
    return dataset.read() if fits or tool.rows else ChunkedSales(dataset)


def worded(name: str, facts: tuple[Fact, ...], impl: Impl) -> ToolAnswer:
    """A tool's facts with the text that its implementation hands over."""
    text = verbose_text(TOOLS[name], facts) if impl == "baseline" else compact_text(facts)
    return ToolAnswer(name, facts, text)


def fact_line(fact: Fact) -> str:
    """A fact as the model reads it: "label: value"."""
    return f"{fact.label}: {fact.text}"


def compact_text(facts: Sequence[Fact]) -> str:
    """One line for each headline fact and each finding that is a name (who leads, which month peaks)."""
    return "\n".join(fact_line(fact) for fact in facts if fact.headline or _is_name(fact))


def _is_name(fact: Fact) -> bool:
    return fact.unit in ("name", "month", "weekday") and "[" not in fact.id


def verbose_text(tool: Tool, facts: Sequence[Fact]) -> str:
    """The facts as a list for reading, headline facts first, cut off after `MAX_LINES`."""
    # Names before figures: a cut table must still say who leads.
    ordered = sorted(facts, key=lambda fact: (not fact.headline, not _is_name(fact)))
    shown = ordered[:MAX_LINES]
    lines = [f"Results of the {tool.name.replace('_', ' ')} tool. {tool.description}"]
    lines += [f"- {fact_line(fact)}" for fact in shown]
    if len(ordered) > len(shown):
        lines.append(f"({len(ordered) - len(shown)} further results are not shown.)")
    lines.append(f"Figures rest on up to {max(f.rows for f in facts):,} rows of sales.")
    return "\n".join(lines)
