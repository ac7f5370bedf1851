"""The tools by name: what each does and needs. To add one, write its module and a line in `TOOLS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from swarmlab.tools.basket_affinity import NEEDS as AFFINITY_COLUMNS
from swarmlab.tools.basket_affinity import basket_affinity
from swarmlab.tools.brand_health import brand_health
from swarmlab.tools.brand_performance import brand_performance
from swarmlab.tools.budget_plan import budget_plan
from swarmlab.tools.budget_response import NEEDS as RESPONSE_COLUMNS
from swarmlab.tools.budget_response import budget_response
from swarmlab.tools.campaign_roi import NEEDS as CAMPAIGN_COLUMNS
from swarmlab.tools.campaign_roi import campaign_roi
from swarmlab.tools.coupon_lift import NEEDS as COUPON_COLUMNS
from swarmlab.tools.coupon_lift import coupon_lift
from swarmlab.tools.cross_section import cross_section
from swarmlab.tools.customer_churn import NEEDS as HOUSEHOLD_COLUMNS
from swarmlab.tools.customer_churn import customer_churn
from swarmlab.tools.data_profile import NEEDS as PROFILE_COLUMNS
from swarmlab.tools.data_profile import data_profile
from swarmlab.tools.facts import Fact
from swarmlab.tools.kpis import kpis
from swarmlab.tools.market_overview import market_overview
from swarmlab.tools.market_share import market_share
from swarmlab.tools.price_elasticity import NEEDS as PRICE_COLUMNS
from swarmlab.tools.price_elasticity import price_elasticity
from swarmlab.tools.profitability import profitability
from swarmlab.tools.promotion_lift import NEEDS as PROMOTION_COLUMNS
from swarmlab.tools.promotion_lift import promotion_lift
from swarmlab.tools.recommendations import recommendations
from swarmlab.tools.regional_performance import regional_performance
from swarmlab.tools.rfm import rfm
from swarmlab.tools.roi import roi
from swarmlab.tools.sales import DATED_COLUMNS, SALES_COLUMNS
from swarmlab.tools.sales_forecast import sales_forecast
from swarmlab.tools.scope import Scope
from swarmlab.tools.time_series import time_series

ToolFunction = Callable[[Any, Scope], tuple[Fact, ...]]
"""Takes a frame or, unless it looks at rows one by one, sales on disk (`grouped_sales.SalesOnDisk`)."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A pure analysis: a canonical frame and a scope in, typed facts out."""

    name: str
    fn: ToolFunction
    needs: tuple[str, ...]
    """Columns without which the tool raises ToolError."""
    description: str
    """One sentence for people and for a model that chooses among tools."""
    rows: bool = False
    """It looks at rows one by one and not only at sums, so it cannot work on a table on disk."""
    table: str = "sales"
    """Which of the source's frames it takes, where the source has more than sales."""
    runs_in: Literal["thread", "process"] = "thread"
    """A process is for code that keeps the interpreter's lock for long or may crash: it can be killed, but
    reads the data for itself. The tools here leave their work to pandas, NumPy, DuckDB: threads will do."""


def _on_rows(fn: ToolFunction, needs: tuple[str, ...], table: str, description: str) -> Tool:
    """A tool that looks at rows one by one, under its function's name."""
    return Tool(fn.__name__, fn, needs, description, rows=True, table=table)


DEFAULT_PLAN: Final = (
    "market_overview",
    "market_share",
    "time_series",
    "cross_section",
    "regional_performance",
    "profitability",
    "brand_performance",
    "kpis",
    "sales_forecast",
    "roi",
    "budget_plan",
    "recommendations",
)
"""What a brief asks for that names no plan: the same work at every level, on any data."""

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
    _on_rows(customer_churn, HOUSEHOLD_COLUMNS, "baskets", "How many households stop buying."),
    _on_rows(rfm, HOUSEHOLD_COLUMNS, "baskets", "Households by recency, frequency and revenue, in segments."),
    _on_rows(promotion_lift, PROMOTION_COLUMNS, "promotions", "What display and mailer add to sales."),
    _on_rows(coupon_lift, COUPON_COLUMNS, "baskets", "How often coupons are used, and in what baskets."),
    _on_rows(campaign_roi, CAMPAIGN_COLUMNS, "campaigns", "What campaigns added and may cost at most."),
    _on_rows(basket_affinity, AFFINITY_COLUMNS, "baskets", "What is bought together beyond chance."),
    _on_rows(price_elasticity, PRICE_COLUMNS, "prices", "How sales answer to prices."),
    _on_rows(budget_response, RESPONSE_COLUMNS, "prices", "The budget split by response to discounts."),
    _on_rows(brand_health, DATED_COLUMNS, "baskets", "Growth, share, price and buyers of brands."),
    _on_rows(data_profile, PROFILE_COLUMNS, "whole", "Columns of the data, and what they hold."),
)

TOOLS: dict[str, Tool] = {tool.name: tool for tool in _ALL}
