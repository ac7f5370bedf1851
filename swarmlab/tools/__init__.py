"""The analyses: pure functions from a sales frame to typed facts, their catalogue, and the ground truth.

By hand: `swarmlab.tools.market_share(frame)`. For a run: `run_tool`.
"""

from swarmlab.tools.available import available_tools, check_plan, missing_columns
from swarmlab.tools.basket_affinity import basket_affinity
from swarmlab.tools.brand_health import brand_health
from swarmlab.tools.brand_performance import brand_performance
from swarmlab.tools.budget_plan import budget_plan
from swarmlab.tools.budget_response import budget_response
from swarmlab.tools.campaign_roi import campaign_roi
from swarmlab.tools.catalogue import DEFAULT_PLAN, TOOLS, Tool
from swarmlab.tools.coupon_lift import coupon_lift
from swarmlab.tools.cross_section import cross_section
from swarmlab.tools.customer_churn import customer_churn
from swarmlab.tools.data_profile import data_profile
from swarmlab.tools.facts import NOT_AVAILABLE, Fact
from swarmlab.tools.kpis import kpis
from swarmlab.tools.langchain_tools import as_langchain
from swarmlab.tools.market_overview import market_overview
from swarmlab.tools.market_share import market_share
from swarmlab.tools.price_elasticity import price_elasticity
from swarmlab.tools.profitability import profitability
from swarmlab.tools.promotion_lift import promotion_lift
from swarmlab.tools.recommendations import recommendations
from swarmlab.tools.regional_performance import regional_performance
from swarmlab.tools.rfm import rfm
from swarmlab.tools.roi import roi
from swarmlab.tools.run import SharedFrame, ToolAnswer, run_tool
from swarmlab.tools.sales_forecast import sales_forecast
from swarmlab.tools.scope import Scope, check_scope
from swarmlab.tools.sql_sales import SalesTable
from swarmlab.tools.time_series import time_series
from swarmlab.tools.truth import entities, truth

__all__ = [
    "DEFAULT_PLAN",
    "NOT_AVAILABLE",
    "TOOLS",
    "Fact",
    "SalesTable",
    "Scope",
    "SharedFrame",
    "Tool",
    "ToolAnswer",
    "as_langchain",
    "available_tools",
    "basket_affinity",
    "brand_health",
    "brand_performance",
    "budget_plan",
    "budget_response",
    "campaign_roi",
    "check_plan",
    "check_scope",
    "coupon_lift",
    "cross_section",
    "customer_churn",
    "data_profile",
    "entities",
    "kpis",
    "market_overview",
    "market_share",
    "missing_columns",
    "price_elasticity",
    "profitability",
    "promotion_lift",
    "recommendations",
    "regional_performance",
    "rfm",
    "roi",
    "run_tool",
    "sales_forecast",
    "time_series",
    "truth",
]
