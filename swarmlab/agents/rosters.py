"""Rosters: who is in the swarm, which tool requests each one owns, and whom each one depends on."""

from dataclasses import dataclass

from swarmlab.tools import DEFAULT_PLAN


@dataclass(frozen=True)
class Agent:
    """One member of a roster; `depends_on` names the agents whose work it reads."""

    name: str
    title: str
    duty: str
    tools: tuple[str, ...]
    depends_on: tuple[str, ...] = ()


def n_planned(agent: Agent) -> int:
    """Tools of the default plan that an agent owns."""
    return len(set(agent.tools) & set(DEFAULT_PLAN))


SIX = (
    Agent(
        "market_research",
        "market research analyst",
        "describe the size of the market and its season",
        ("market_overview", "time_series", "basket_affinity"),
    ),
    Agent(
        "competitive",
        "competitive analyst",
        "compare brands and categories",
        ("market_share", "cross_section", "price_elasticity"),
    ),
    Agent(
        "data",
        "data analyst",
        "measure key figures, regions and profitability",
        (
            *("kpis", "profitability", "regional_performance"),
            *("data_profile", "customer_churn", "rfm"),
        ),
    ),
    Agent(
        "forecasting",
        "forecasting specialist",
        "forecast sales and say how far to trust it",
        ("sales_forecast",),
        depends_on=("market_research", "data"),
    ),
    Agent(
        "brand",
        "brand performance specialist",
        "judge how the brands develop",
        ("brand_performance", "brand_health"),
        depends_on=("competitive", "data"),
    ),
    Agent(
        "campaign",
        "campaign optimizer",
        "decide where the campaign budget goes",
        (
            *("roi", "budget_plan", "recommendations"),
            *("promotion_lift", "coupon_lift", "campaign_roi", "budget_response"),
        ),
        depends_on=("data", "forecasting", "brand"),
    ),
)

THREE = (
    Agent(
        "data",
        "data analyst",
        "measure key figures, season, profitability and the forecast",
        (
            *("kpis", "time_series", "cross_section", "profitability", "sales_forecast"),
            *("data_profile", "customer_churn", "rfm", "price_elasticity"),
        ),
    ),
    Agent(
        "market",
        "market analyst",
        "describe the market, its brands and regions",
        (
            *("market_overview", "market_share", "regional_performance", "brand_performance"),
            *("basket_affinity", "brand_health"),
        ),
    ),
    Agent(
        "campaign",
        "campaign optimizer",
        "decide where the campaign budget goes",
        (
            *("roi", "budget_plan", "recommendations"),
            *("promotion_lift", "coupon_lift", "campaign_roi", "budget_response"),
        ),
        depends_on=("data", "market"),
    ),
)

TWO = (
    Agent(
        "data",
        "data analyst",
        "data processing and metrics",
        (
            "market_overview",
            "market_share",
            "time_series",
            "cross_section",
            "regional_performance",
            "profitability",
            "brand_performance",
            "kpis",
            "sales_forecast",
            *("data_profile", "customer_churn", "rfm", "price_elasticity", "basket_affinity"),
            *("brand_health", "promotion_lift", "coupon_lift"),
        ),
    ),
    Agent(
        "strategy",
        "strategy analyst",
        "strategic recommendations",
        ("roi", "budget_plan", "recommendations", "campaign_roi", "budget_response"),
        depends_on=("data",),
    ),
)

ROSTERS: dict[str, tuple[Agent, ...]] = {"six": SIX, "three": THREE, "two": TWO}
