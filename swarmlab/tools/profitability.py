"""Profitability: margin where costs are known, else discount depth, else price realisation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from swarmlab.tools.breakdown import Breakdown
from swarmlab.tools.facts import Fact, FactSheet
from swarmlab.tools.ratios import highest, lowest, pct
from swarmlab.tools.sales import DATED_COLUMNS, TICK, Floats, Sales
from swarmlab.tools.scope import EVERYTHING, Scope

TOOL = "profitability"


def profitability(frame: pd.DataFrame, scope: Scope = EVERYTHING) -> tuple[Fact, ...]:
    """What is kept of the price, on the best basis the data allow; the fact `basis` says which.

    - cost: margin is (revenue - cost) / revenue of sums, recomputed from the costs rather than read from a
      column of row margins; rows without a cost are left out of both.
    - discount: depth is discount / (revenue + discount), and price realisation the rest to 100 %: the
      off-invoice part of the pocket price waterfall (Marn & Rosiello, Harvard Business Review, Sept.-Oct.
      1992).
    - reference price: with neither, realisation is revenue / (units x reference price), where the reference
      price of a brand in a category is its highest monthly average price. A change of the products within a
      category moves it too, so read it as a hint.

    Returns
    -------
    `basis`, then `total_profit`, `margin_pct`, `margin_pct[category=]`, `best_margin_category`,
    `worst_margin_category`; or `gross_revenue`, `discount_depth_pct`, `discount_depth_pct[category=]`,
    `deepest_discount_category`, `shallowest_discount_category`, `price_realisation_pct`; or
    `price_realisation_pct`, `price_realisation_pct[category=]`, `best_realisation_category`,
    `worst_realisation_category`.
    """
    return profitability_of(Sales(frame, scope, tool=TOOL, needs=DATED_COLUMNS))


def profitability_of(sales: Sales) -> tuple[Fact, ...]:
    """Facts of `profitability` from sales already cut to scope."""
    sheet = FactSheet(TOOL, sales.rows)
    if sales.has_cost:
        _margin(sheet, sales)
    elif sales.has_discount:
        _discount(sheet, sales)
    else:
        _realisation(sheet, sales)
    return sheet.facts()


def _margin(sheet: FactSheet, sales: Sales) -> None:
    revenue, cost = sales.sums("costed_revenue", "category"), sales.sums("cost", "category")
    whole = revenue.sum()
    categories = Breakdown(sheet, sales, "category")
    margins = [pct(r - c, r) for r, c in zip(revenue, cost, strict=True)]
    named, among = categories.named(margins), categories.circle
    best, worst = highest(named), lowest(named)
    sheet.add("basis", "profitability is judged by", "margin over cost", "label")
    sheet.add("total_profit", "total profit", (whole - cost.sum()) / TICK, "$", headline=True)
    sheet.add("margin_pct", "profit margin", pct(whole - cost.sum(), whole), "%", headline=True)
    categories.choose("best_margin_category", f"highest profit margin of {among}", best, headline=True)
    categories.choose("worst_margin_category", f"lowest profit margin of {among}", worst, headline=True)
    categories.add("margin_pct", "profit margin of {}", margins, "%")
    categories.add("profit", "profit of {}", (revenue - cost) / TICK, "$")


def _discount(sheet: FactSheet, sales: Sales) -> None:
    given = sales.sums("discount", "category")
    gross = given + sales.sums("revenue", "category")
    categories = Breakdown(sheet, sales, "category")
    depths = [pct(d, g) for d, g in zip(given, gross, strict=True)]
    depth, among = categories.named(depths), categories.circle
    deepest, shallowest = highest(depth), lowest(depth)
    total_depth = pct(given.sum(), gross.sum())
    sheet.add("basis", "profitability is judged by", "discount depth (no cost in the data)", "label")
    sheet.add("gross_revenue", "revenue before discounts", gross.sum() / TICK, "$")
    sheet.add("discount_value", "discounts given", given.sum() / TICK, "$")
    sheet.add("discount_depth_pct", "discount depth (share of list price)", total_depth, "%", headline=True)
    sheet.add("price_realisation_pct", "price realisation", 100 - total_depth, "%", headline=True)
    categories.choose("deepest_discount_category", f"deepest discounts of {among}", deepest, headline=True)
    categories.choose(
        "shallowest_discount_category", f"smallest discounts of {among}", shallowest, headline=True
    )
    categories.add("discount_depth_pct", "discount depth of {}", depths, "%")


def _realisation(sheet: FactSheet, sales: Sales) -> None:
    at_reference = _reference_revenue(sales)
    revenue = sales.sums("revenue", "category")
    categories = Breakdown(sheet, sales, "category")
    shares = [pct(r, f) for r, f in zip(revenue, at_reference, strict=True)]
    named, among = categories.named(shares), categories.circle
    best, worst = highest(named), lowest(named)
    basis = "price realisation against the best monthly price (no cost or discount in the data)"
    sheet.add("basis", "profitability is judged by", basis, "label")
    realised = pct(revenue.sum(), at_reference.sum())
    sheet.add("price_realisation_pct", "price realisation", realised, "%", headline=True)
    categories.choose("best_realisation_category", f"best price realisation of {among}", best, headline=True)
    categories.choose(
        "worst_realisation_category", f"worst price realisation of {among}", worst, headline=True
    )
    categories.add("price_realisation_pct", "price realisation of {}", shares, "%")


def _reference_revenue(sales: Sales) -> Floats:
    """Revenue by category if each unit had fetched its brand's best monthly average price there, in ticks."""
    revenue, units = sales.sums("revenue", "pair", "any_month"), sales.sums("units", "pair", "any_month")
    prices = np.divide(revenue, units, out=np.zeros_like(revenue), where=units > 0)
    reference = units.sum(axis=1) * prices.max(axis=1)
    n_categories = sales.axis("category").size
    return np.bincount(sales.pairs[1], weights=reference, minlength=n_categories).astype(np.float64)
