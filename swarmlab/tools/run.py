"""Run one tool of the catalogue on a dataset, the ordinary way or on a shared columnar frame.

`baseline` is what a first version does: it reads the whole file in every call and hands the model a table of
everything it found. `vectorized` reads the needed columns once a run and hands over the headline facts.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from swarmlab.errors import SpecError, ToolError
from swarmlab.tools.catalogue import TOOLS, Tool
from swarmlab.tools.facts import Fact
from swarmlab.tools.scope import Scope

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
)
"""Columns that some tool reads; the others stay on disk."""

MAX_LINES = 10
"""Fact lines of the verbose text."""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool gave back: its facts, and the text that the model reads."""

    tool: str
    facts: tuple[Fact, ...]
    text: str


class SharedFrame:
    """One column-pruned frame for all tools of a run, loaded at first use; safe to ask from many threads."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._lock = threading.Lock()
        self._frame: pd.DataFrame | None = None

    @property
    def is_loaded(self) -> bool:
        """Someone has asked for the frame."""
        return self._frame is not None

    def frame(self) -> pd.DataFrame:
        """Return the frame, the same object each time; tools never write to it."""
        with self._lock:
            if self._frame is None:
                self._frame = self._dataset.load(columns_used(self._dataset.columns))
            return self._frame


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
        "baseline" reads `dataset` anew; "vectorized" uses `shared`. Both give the same facts.
    shared
        The run's frame; "vectorized" without one loads its own.

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
        frame = dataset.read() if impl == "baseline" else (shared or SharedFrame(dataset)).frame()
        return worded(name, tool.fn(frame, scope), impl)
    except ToolError:
        raise
    except Exception as error:
        raise ToolError(name, f"{type(error).__name__}: {error}") from error


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
