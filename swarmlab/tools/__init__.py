"""The analyses: pure functions from a sales frame to typed facts, their catalogue, and the ground truth.

By hand: `swarmlab.tools.market_share(frame)`. For a run: `run_tool`.
"""

from swarmlab.tools.brand_performance import brand_performance
from swarmlab.tools.budget_plan import budget_plan
from swarmlab.tools.catalogue import TOOLS, Tool
from swarmlab.tools.cross_section import cross_section
from swarmlab.tools.facts import NOT_AVAILABLE, Fact
from swarmlab.tools.kpis import kpis
from swarmlab.tools.market_overview import market_overview
from swarmlab.tools.market_share import market_share
from swarmlab.tools.profitability import profitability
from swarmlab.tools.recommendations import recommendations
from swarmlab.tools.regional_performance import regional_performance
from swarmlab.tools.roi import roi
from swarmlab.tools.run import SharedFrame, ToolAnswer, run_tool
from swarmlab.tools.sales_forecast import sales_forecast
from swarmlab.tools.scope import Scope, check_scope
from swarmlab.tools.time_series import time_series
from swarmlab.tools.truth import entities, truth

__all__ = [
    "NOT_AVAILABLE",
    "TOOLS",
    "Fact",
    "Scope",
    "SharedFrame",
    "Tool",
    "ToolAnswer",
    "brand_performance",
    "budget_plan",
    "check_scope",
    "cross_section",
    "entities",
    "kpis",
    "market_overview",
    "market_share",
    "profitability",
    "recommendations",
    "regional_performance",
    "roi",
    "run_tool",
    "sales_forecast",
    "time_series",
    "truth",
]
