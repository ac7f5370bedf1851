"""The tools by name: what each does and needs. To add one, write its module and a line in `TOOLS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from swarmlab.tools.brand_performance import brand_performance
from swarmlab.tools.budget_plan import budget_plan
from swarmlab.tools.cross_section import cross_section
from swarmlab.tools.facts import Fact
from swarmlab.tools.kpis import kpis
from swarmlab.tools.market_overview import market_overview
from swarmlab.tools.market_share import market_share
from swarmlab.tools.profitability import profitability
from swarmlab.tools.recommendations import recommendations
from swarmlab.tools.regional_performance import regional_performance
from swarmlab.tools.roi import roi
from swarmlab.tools.sales import DATED_COLUMNS, SALES_COLUMNS
from swarmlab.tools.sales_forecast import sales_forecast
from swarmlab.tools.scope import Scope
from swarmlab.tools.time_series import time_series

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


_ALL = (
    Tool(
        "market_overview",
        market_overview,
        DATED_COLUMNS,
        "Size of the market: revenue, units, price, period.",
    ),
    Tool("market_share", market_share, SALES_COLUMNS, "Shares of brands and categories, and concentration."),
    Tool("time_series", time_series, DATED_COLUMNS, "Revenue by month, its trend, peak and season."),
    Tool("cross_section", cross_section, SALES_COLUMNS, "Categories compared by revenue, units and price."),
    Tool("regional_performance", regional_performance, DATED_COLUMNS, "Revenue, share and growth by region."),
    Tool("profitability", profitability, DATED_COLUMNS, "Margin, or discount depth, or price realisation."),
    Tool("brand_performance", brand_performance, DATED_COLUMNS, "Growth, share change and price of brands."),
    Tool("kpis", kpis, DATED_COLUMNS, "Key figures: revenue per day and store, last month, best weekday."),
    Tool("sales_forecast", sales_forecast, DATED_COLUMNS, "Revenue of the next months with its interval."),
    Tool("roi", roi, DATED_COLUMNS, "Break-even of the budget and return by category."),
    Tool("budget_plan", budget_plan, DATED_COLUMNS, "The budget split among categories."),
    Tool("recommendations", recommendations, DATED_COLUMNS, "What to do, by rules over the facts."),
)

TOOLS: dict[str, Tool] = {tool.name: tool for tool in _ALL}
