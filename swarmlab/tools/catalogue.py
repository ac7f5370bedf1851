"""The tools by name: what each does, what columns it needs. To add one, write its module and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from swarmlab.tools.facts import Fact
from swarmlab.tools.market_overview import market_overview
from swarmlab.tools.market_share import market_share
from swarmlab.tools.sales import DATED_COLUMNS, SALES_COLUMNS
from swarmlab.tools.scope import Scope

ToolFunction = Callable[[pd.DataFrame, Scope], tuple[Fact, ...]]


@dataclass(frozen=True, slots=True)
class Tool:
    """A pure analysis: a canonical frame and a scope in, typed facts out."""

    name: str
    fn: ToolFunction
    needs: tuple[str, ...]
    """Columns without which the tool raises ToolError."""
    description: str
    """One sentence for people and for a model that chooses among tools."""


TOOLS: dict[str, Tool] = {
    "market_overview": Tool(
        "market_overview",
        market_overview,
        DATED_COLUMNS,
        "Size of the market: revenue, units, price and coverage.",
    ),
    "market_share": Tool(
        "market_share",
        market_share,
        SALES_COLUMNS,
        "Shares of brands and categories, and how concentrated they are.",
    ),
}
