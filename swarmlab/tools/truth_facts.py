"""The required facts as SQL: rows of (id, number, word, unit) over the tables that `truth` lays.

`base` and `scoped` hold rows with amounts in ticks (1 / 10,000 of a unit), `calendar` the full months,
`by_brand`, `by_category` and `by_place` the sums of each entity, `reported` saying which of them are told of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from swarmlab.tools.scope import Scope, region_dimension

_TOTAL = "(SELECT sum({}) FROM scoped)"
_REVENUE, _UNITS = _TOTAL.format("revenue"), _TOTAL.format("units")
_COSTED = "(SELECT sum(revenue) FROM scoped WHERE cost IS NOT NULL)"
_FULL = "(SELECT coalesce(sum(revenue), 0) FROM scoped WHERE {})"
_N_MONTHS = "(SELECT count(*) FROM calendar)"
_N_DAYS = "(SELECT max(day) - min(day) + 1 FROM base)"
_MONTHLY = """(
    SELECT c.month AS name, c.i, coalesce(sum(s.revenue), 0) AS revenue
    FROM calendar c LEFT JOIN scoped s USING (month) GROUP BY ALL
)"""


def statements(columns: Sequence[str], scope: Scope) -> Iterator[str]:
    """All statements that apply to data with these columns."""
    yield from _market_overview(columns)
    yield from _market_share()
    yield from _time_series()
    yield from _cross_section()
    yield from _regional_performance(columns)
    if set(columns) & {"total_cost", "cost_per_unit", "profit"}:
        yield from _margin(scope)
    elif "discount_value" in columns:
        yield from _discount(scope)
    else:
        yield from _realisation(scope)
    yield from _brand_performance()
    yield from _kpis(columns)
    yield from _money_ahead(scope)
    yield from _budget_plan()


def _number(fact_id: str, expression: str, unit: str) -> str:
    return f"SELECT '{fact_id}', CAST({expression} AS DOUBLE), NULL, '{unit}'"


def _word(fact_id: str, expression: str, unit: str = "name") -> str:
    return f"SELECT '{fact_id}', NULL, CAST({expression} AS VARCHAR), '{unit}'"


def _each(metric: str, dimension: str, expression: str, unit: str, *, column: str | None = None) -> str:
    fact_id = f"'{metric}[{column or dimension}=' || name || ']'"
    return (
        f"SELECT {fact_id}, CAST({expression} AS DOUBLE), NULL, '{unit}' FROM by_{dimension} WHERE reported"
    )


def _best(dimension: str, expression: str, order: str = "DESC") -> str:
    return f"""(SELECT name FROM (SELECT name, {expression} AS value FROM by_{dimension} WHERE reported)
        WHERE value IS NOT NULL ORDER BY round(value, 6) {order}, name LIMIT 1)"""


def _market_overview(columns: Sequence[str]) -> Iterator[str]:
    yield _number("market_overview.total_revenue", f"{_REVENUE} / 10000::DOUBLE", "$")
    yield _number("market_overview.total_units", f"{_UNITS} / 10000::DOUBLE", "count")
    yield _number("market_overview.avg_price", f"ratio({_REVENUE}, {_UNITS})", "$/unit")
    yield _number("market_overview.n_rows", "(SELECT count(*) FROM scoped)", "count")
    counted = {"brands": "brand", "categories": "category", "regions": "region", "countries": "country"}
    for plural, column in {**counted, "stores": "store_id"}.items():
        if column in columns:
            expression = f"(SELECT count(DISTINCT {column}) FROM scoped)"
            yield _number(f"market_overview.n_{plural}", expression, "count")
    yield _word("market_overview.first_date", "(SELECT min(day) FROM base)", "date")
    yield _word("market_overview.last_date", "(SELECT max(day) FROM base)", "date")
    yield _number("market_overview.n_full_months", _N_MONTHS, "count")


def _market_share() -> Iterator[str]:
    by_place = "(SELECT name FROM by_brand WHERE n > 0 ORDER BY place LIMIT 1 OFFSET {})"
    yield _word("market_share.leader", by_place.format(0))
    yield _word("market_share.runner_up", by_place.format(1))
    yield _number("market_share.hhi", f"(SELECT sum(pow(pct(revenue, {_REVENUE}), 2)) FROM by_brand)", "hhi")
    yield _each("market_share.revenue_share", "brand", f"pct(revenue, {_REVENUE})", "%")
    yield _each("market_share.units_share", "brand", f"pct(units, {_UNITS})", "%")
    yield _each("market_share.revenue_share", "category", f"pct(revenue, {_REVENUE})", "%")


def _time_series() -> Iterator[str]:
    before, after = _FULL.format("half = 1"), _FULL.format("half = 2")
    change = f"CASE WHEN {_N_MONTHS} >= 2 THEN change({before}, {after}) END"
    yield _number("time_series.half_change_pct", change, "% change")
    slope = f"(SELECT pct(regr_slope(revenue, i), avg(revenue)) FROM {_MONTHLY})"
    yield _number("time_series.trend_pct_per_month", slope, "% per month")
    yield _word(
        "time_series.peak_month",
        f"(SELECT name FROM {_MONTHLY} ORDER BY revenue DESC, name LIMIT 1)",
        "month",
    )
    yield _word(
        "time_series.trough_month", f"(SELECT name FROM {_MONTHLY} ORDER BY revenue, name LIMIT 1)", "month"
    )
    monthly = "'time_series.revenue[month=' || name || ']', revenue / 10000::DOUBLE, NULL, '$'"
    yield f"SELECT {monthly} FROM {_MONTHLY}"
    index = f"""WITH means AS (SELECT name[6:7] AS name, avg(revenue) AS mean FROM {_MONTHLY} GROUP BY 1),
        indexes AS (SELECT name, ratio(mean, avg(mean) OVER ()) AS value, count(*) OVER () AS n FROM means)"""
    row = "'time_series.seasonal_index[month=' || name || ']', value, NULL, 'index'"
    yield f"{index} SELECT {row} FROM indexes WHERE n = 12 AND value IS NOT NULL"
    season = "['winter', 'spring', 'summer', 'autumn'][CAST(name AS INTEGER) % 12 // 3 + 1]"
    yield f"""{index}, seasons AS (
            SELECT {season} AS season, avg(value) AS value FROM indexes
            WHERE n = 12 GROUP BY 1 HAVING avg(value) IS NOT NULL
        )
        SELECT 'time_series.season', NULL, (
            SELECT CASE WHEN round(value, 6) >= 1.05 THEN season ELSE 'no clear season' END
            FROM seasons ORDER BY round(value, 6) DESC, season LIMIT 1
        ), 'label'"""


def _cross_section() -> Iterator[str]:
    price = "ratio(revenue, units)"
    yield _word("cross_section.top_category", "(SELECT name FROM by_category ORDER BY place LIMIT 1)")
    last = "(SELECT name FROM by_category WHERE reported ORDER BY place DESC LIMIT 1)"
    yield _word("cross_section.bottom_category", last)
    yield _word("cross_section.dearest_category", _best("category", price))
    yield _word("cross_section.cheapest_category", _best("category", price, "ASC"))
    yield _each("cross_section.revenue", "category", "revenue / 10000::DOUBLE", "$")
    yield _each("cross_section.units", "category", "units / 10000::DOUBLE", "count")
    yield _each("cross_section.avg_price", "category", price, "$/unit")
    yield """WITH sums AS (SELECT category, brand, sum(revenue) AS revenue FROM scoped GROUP BY ALL),
        ranked AS (
            SELECT *, row_number() OVER (PARTITION BY category ORDER BY revenue DESC, brand) AS place
            FROM sums
        )
        SELECT 'cross_section.top_brand[category=' || category || ']', NULL, brand, 'name'
        FROM ranked WHERE place = 1 AND category IN (SELECT name FROM by_category WHERE reported)"""


def _regional_performance(columns: Sequence[str]) -> Iterator[str]:
    column = region_dimension(columns) or "category"
    tool = "regional_performance"
    yield _word(f"{tool}.leader", "(SELECT name FROM by_place ORDER BY place LIMIT 1)")
    yield _word(f"{tool}.laggard", "(SELECT name FROM by_place WHERE reported ORDER BY place DESC LIMIT 1)")
    yield _word(f"{tool}.fastest_growing", _best("place", "growth"))
    yield _word(f"{tool}.slowest_growing", _best("place", "growth", "ASC"))
    yield _each(f"{tool}.revenue", "place", "revenue / 10000::DOUBLE", "$", column=column)
    yield _each(f"{tool}.revenue_share", "place", f"pct(revenue, {_REVENUE})", "%", column=column)
    yield _each(f"{tool}.growth_pct", "place", "growth", "% change", column=column)
    if {"store_id", "country"} <= set(columns):
        spread = "SELECT store_id FROM scoped GROUP BY 1 HAVING count(DISTINCT country) > 1"
        yield _number(f"{tool}.n_stores_in_several_countries", f"(SELECT count(*) FROM ({spread}))", "count")


def _margin(scope: Scope) -> Iterator[str]:
    cost = _TOTAL.format("cost")
    margin, roi = "pct(costed - cost, costed)", "pct(costed - cost, cost)"
    yield _number("profitability.total_profit", f"({_COSTED} - {cost}) / 10000::DOUBLE", "$")
    yield _number("profitability.margin_pct", f"pct({_COSTED} - {cost}, {_COSTED})", "%")
    yield _word("profitability.best_margin_category", _best("category", margin))
    yield _word("profitability.worst_margin_category", _best("category", margin, "ASC"))
    yield _each("profitability.margin_pct", "category", margin, "%")
    yield _each("profitability.profit", "category", "(costed - cost) / 10000::DOUBLE", "$")
    yield _each("roi.gross_roi_pct", "category", roi, "%")
    yield _word("roi.best_return_category", _best("category", roi))
    yield _word("roi.worst_return_category", _best("category", roi, "ASC"))
    yield _breakeven(scope, f"ratio({_COSTED} - {cost}, {_COSTED})")


def _discount(scope: Scope) -> Iterator[str]:
    given = _TOTAL.format("discount")
    depth, earned = "pct(discount, revenue + discount)", "ratio(revenue, discount)"
    total_depth = f"pct({given}, {_REVENUE} + {given})"
    yield _number("profitability.gross_revenue", f"({_REVENUE} + {given}) / 10000::DOUBLE", "$")
    yield _number("profitability.discount_value", f"{given} / 10000::DOUBLE", "$")
    yield _number("profitability.discount_depth_pct", total_depth, "%")
    yield _number("profitability.price_realisation_pct", f"100 - {total_depth}", "%")
    yield _word("profitability.deepest_discount_category", _best("category", depth))
    yield _word("profitability.shallowest_discount_category", _best("category", depth, "ASC"))
    yield _each("profitability.discount_depth_pct", "category", depth, "%")
    yield _each("roi.revenue_per_discount_unit", "category", earned, "$/unit")
    yield _word("roi.best_return_category", _best("category", earned))
    yield _word("roi.worst_return_category", _best("category", earned, "ASC"))
    yield _breakeven(scope, "1")


def _realisation(scope: Scope) -> Iterator[str]:
    reference = """WITH monthly AS (
            SELECT brand, category, sum(units) AS units, ratio(sum(revenue), sum(units)) AS price
            FROM scoped GROUP BY brand, category, date_trunc('month', day)
        ),
        pairs AS (
            SELECT category, sum(units) * coalesce(max(price), 0) AS best
            FROM monthly GROUP BY brand, category
        ),
        told AS (
            SELECT name, revenue, (SELECT sum(best) FROM pairs WHERE category = name) AS best
            FROM by_category WHERE reported
        )"""
    tool = "profitability"
    total = (
        f"SELECT '{tool}.price_realisation_pct', pct({_REVENUE}, (SELECT sum(best) FROM pairs)), NULL, '%'"
    )
    yield f"{reference} {total}"
    row = f"'{tool}.price_realisation_pct[category=' || name || ']', pct(revenue, best), NULL, '%'"
    yield f"{reference} SELECT {row} FROM told"
    for metric, order in (("best", "DESC"), ("worst", "ASC")):
        chosen = f"""SELECT name FROM told WHERE pct(revenue, best) IS NOT NULL
            ORDER BY round(pct(revenue, best), 6) {order}, name LIMIT 1"""
        yield f"{reference} SELECT '{tool}.{metric}_realisation_category', NULL, ({chosen}), 'name'"
    baseline = f"in_full_months / 10000::DOUBLE / {_N_MONTHS} * {scope.forecast_periods}"
    uplift = f"CASE WHEN {_N_MONTHS} > 0 THEN pct({scope.budget!r}::DOUBLE, {baseline}) END"
    yield _each("roi.breakeven_uplift_pct", "category", uplift, "%")
    yield _word("roi.best_return_category", _best("category", uplift, "ASC"))
    yield _word("roi.worst_return_category", _best("category", uplift))
    yield _breakeven(scope, "1")


def _baseline(scope: Scope) -> str:
    full = _FULL.format("month IS NOT NULL")
    return (
        f"CASE WHEN {_N_MONTHS} > 0 THEN {full} / 10000::DOUBLE / {_N_MONTHS} * {scope.forecast_periods} END"
    )


def _breakeven(scope: Scope, kept: str) -> str:
    uplift = f"pct({scope.budget!r}::DOUBLE, {_baseline(scope)} * {kept})"
    return _number("roi.breakeven_uplift_pct", uplift, "%")


def _brand_performance() -> Iterator[str]:
    tool = "brand_performance"
    shares = [f"pct({half}, {_FULL.format(f'half = {i}')})" for i, half in ((1, "before"), (2, "after"))]
    gained = f"CASE WHEN {_N_MONTHS} >= 2 THEN {shares[1]} - {shares[0]} END"
    expected = """(SELECT sum(s.units * ratio(c.revenue, c.units)) FROM scoped s
        JOIN by_category c ON c.name = s.category WHERE s.brand = by_brand.name)"""
    premium = f"change({expected}, revenue)"
    declining = _best("brand", "growth", "ASC")
    lowest = "(SELECT round(min(growth), 6) FROM by_brand WHERE reported)"
    yield _word(f"{tool}.fastest_growing", _best("brand", "growth"))
    answer = f"CASE WHEN {lowest} < 0 THEN {declining} WHEN {lowest} >= 0 THEN 'no brand declines' END"
    yield _word(f"{tool}.fastest_declining", answer)
    yield _word(f"{tool}.biggest_share_gain", _best("brand", gained))
    yield _word(f"{tool}.highest_price_premium", _best("brand", premium))
    yield _each(f"{tool}.growth_pct", "brand", "growth", "% change")
    yield _each(f"{tool}.revenue", "brand", "revenue / 10000::DOUBLE", "$")
    yield _each(f"{tool}.share_change_points", "brand", gained, "points")
    yield _each(f"{tool}.avg_price", "brand", "ratio(revenue, units)", "$/unit")
    yield _each(f"{tool}.price_premium_pct", "brand", premium, "% change")


def _kpis(columns: Sequence[str]) -> Iterator[str]:
    yield _number("kpis.revenue_per_day", f"{_REVENUE} / 10000::DOUBLE / {_N_DAYS}", "$")
    if "store_id" in columns:
        stores = "(SELECT count(DISTINCT store_id) FROM scoped)"
        yield _number("kpis.revenue_per_store", f"{_REVENUE} / 10000::DOUBLE / {stores}", "$")
    yield _number(
        "kpis.units_per_row", f"{_UNITS} / 10000::DOUBLE / (SELECT count(*) FROM scoped)", "per row"
    )
    yield _number("kpis.avg_price", f"ratio({_REVENUE}, {_UNITS})", "$/unit")
    yield _word("kpis.last_full_month", "(SELECT max(month) FROM calendar)", "month")
    last = f"(SELECT revenue FROM {_MONTHLY} ORDER BY i DESC LIMIT 1)"
    before = f"(SELECT revenue FROM {_MONTHLY} ORDER BY i DESC LIMIT 1 OFFSET 1)"
    yield _number("kpis.revenue_last_full_month", f"{last} / 10000::DOUBLE", "$")
    yield _number("kpis.mom_change_pct", f"change({before}, {last})", "% change")
    per_weekday = """WITH days AS (
            SELECT unnest(generate_series(min(day), max(day), INTERVAL 1 DAY))::DATE AS day FROM base
        ),
        sold AS (SELECT day, sum(revenue) AS revenue FROM scoped GROUP BY 1),
        weekdays AS (
            SELECT dayname(day) AS name, coalesce(sum(revenue), 0) / 10000::DOUBLE / count(*) AS value
            FROM days LEFT JOIN sold USING (day) GROUP BY 1
        )"""
    for metric, order in (("best", "DESC"), ("worst", "ASC")):
        chosen = f"SELECT name FROM weekdays ORDER BY round(value, 6) {order}, name LIMIT 1"
        yield f"{per_weekday} SELECT 'kpis.{metric}_weekday', NULL, ({chosen}), 'weekday'"


def _money_ahead(scope: Scope) -> Iterator[str]:
    yield _number("roi.budget", f"{scope.budget!r}::DOUBLE", "$ exact")
    yield _number("roi.baseline_revenue", _baseline(scope), "$")
    recent = f"(SELECT sum(revenue) FROM (FROM {_MONTHLY} ORDER BY i DESC LIMIT {scope.forecast_periods}))"
    yield _number("sales_forecast.recent_revenue", f"{recent} / 10000::DOUBLE", "$")


def _budget_plan() -> Iterator[str]:
    index = "CASE WHEN growth IS NULL THEN 1 ELSE least(greatest(1 + growth / 100, 0.5), 1.5) END"
    weight = f"greatest(revenue, 0) * pow({index}, tilt())"
    yield _word("budget_plan.top_funded", _best("category", weight))
    yield _word("budget_plan.least_funded", _best("category", weight, "ASC"))
    yield _word("budget_plan.fastest_growing", _best("category", "growth"))
    yield _word("budget_plan.slowest_growing", _best("category", "growth", "ASC"))
    yield _each("budget_plan.growth_pct", "category", "growth", "% change")
