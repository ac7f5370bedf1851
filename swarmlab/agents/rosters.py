"""Rosters: who is in the swarm, which tool requests each one owns, and whom each one depends on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Agent:
    """One member of a roster; `depends_on` names the agents whose work it reads."""

    name: str
    title: str
    duty: str
    tools: tuple[str, ...]
    depends_on: tuple[str, ...] = ()


SIX = (
    Agent(
        "market_research",
        "market research analyst",
        "describe the size of the market and its season",
        ("market_overview", "time_series"),
    ),
    Agent(
        "competitive",
        "competitive analyst",
        "compare brands and categories",
        ("market_share", "cross_section"),
    ),
    Agent(
        "data",
        "data analyst",
        "measure key figures, regions and profitability",
        ("kpis", "profitability", "regional_performance"),
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
        ("brand_performance",),
        depends_on=("competitive", "data"),
    ),
    Agent(
        "campaign",
        "campaign optimizer",
        "decide where the campaign budget goes",
        ("roi", "budget_plan", "recommendations"),
        depends_on=("data", "forecasting", "brand"),
    ),
)

THREE = (
    Agent(
        "data",
        "data analyst",
        "measure key figures, season, profitability and the forecast",
        ("kpis", "time_series", "cross_section", "profitability", "sales_forecast"),
    ),
    Agent(
        "market",
        "market analyst",
        "describe the market, its brands and regions",
        ("market_overview", "market_share", "regional_performance", "brand_performance"),
    ),
    Agent(
        "campaign",
        "campaign optimizer",
        "decide where the campaign budget goes",
        ("roi", "budget_plan", "recommendations"),
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
        ),
    ),
    Agent(
        "strategy",
        "strategy analyst",
        "strategic recommendations",
        ("roi", "budget_plan", "recommendations"),
        depends_on=("data",),
    ),
)

ROSTERS: dict[str, tuple[Agent, ...]] = {"six": SIX, "three": THREE, "two": TWO}
