"""Ground truth: the facts computed a second way, in SQL on the columnar file.

Only the rules of scope and rounding are shared with the tools. `truth_facts` holds the statements,
`truth_rules` what follows from their values; this module lays the tables they read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import duckdb

from swarmlab.data import Dataset
from swarmlab.data.memory import bounded_database
from swarmlab.tools.catalogue import DEFAULT_PLAN
from swarmlab.tools.facts import rounded
from swarmlab.tools.scope import Scope, growth_tilt, region_dimension
from swarmlab.tools.truth_extra import extra_truth
from swarmlab.tools.truth_facts import statements
from swarmlab.tools.truth_rules import derived_facts

_MACROS = """
CREATE TEMP MACRO ratio(part, whole) AS CASE WHEN whole > 0 THEN part::DOUBLE / whole::DOUBLE END;
CREATE TEMP MACRO pct(part, whole) AS CASE WHEN whole > 0 THEN 100::DOUBLE * part::DOUBLE / whole::DOUBLE END;
CREATE TEMP MACRO change(before, after) AS pct(after - before, before);
CREATE TEMP MACRO ticks(amount) AS CAST(round_even(amount * 10000::DOUBLE, 0) AS BIGINT);
CREATE TEMP MACRO named(label) AS coalesce(CAST(label AS VARCHAR), 'unknown');
"""

_CALENDAR = """
CREATE TEMP TABLE calendar AS
WITH bounds AS (SELECT min(day) AS first, max(day) AS last FROM base),
seen AS (SELECT date_trunc('month', day)::DATE AS month, count(DISTINCT day) AS dates FROM base GROUP BY 1),
regular AS (SELECT count(DISTINCT day(day)) = 1 OR bool_and(day = last_day(day)) AS is_regular FROM base),
kind AS (SELECT count(*) > 1 AND max(dates) = 1 AND any_value(is_regular) AS is_monthly FROM seen, regular),
full_months AS (
    SELECT month, row_number() OVER (ORDER BY month) - 1 AS i, count(*) OVER () AS n,
        date_diff('month', min(month) OVER (), max(month) OVER ()) + 1 AS spanned
    FROM seen, bounds, kind
    WHERE is_monthly OR (first <= month AND (month + INTERVAL 1 MONTH - INTERVAL 1 DAY)::DATE <= last)
),
cut AS (
    SELECT *, CASE WHEN n >= 24 AND spanned = n THEN n // 24 * 12 ELSE n // 2 END AS half_length
    FROM full_months
)
SELECT month AS first_day, strftime(month, '%Y-%m') AS month, i, n,
    CASE WHEN n < 2 THEN NULL WHEN i < half_length THEN 1 WHEN i >= n - half_length THEN 2 END AS half
FROM cut;
"""

_ENTITIES = """
CREATE TEMP TABLE by_{dimension} AS
WITH sums AS (
    SELECT {column} AS name, count(*) AS n, sum(revenue) AS revenue, sum(units) AS units, sum(cost) AS cost,
        sum(revenue) FILTER (cost IS NOT NULL) AS costed, sum(discount) AS discount,
        coalesce(sum(revenue) FILTER (half = 1), 0) AS before,
        coalesce(sum(revenue) FILTER (half = 2), 0) AS after,
        coalesce(sum(revenue) FILTER (month IS NOT NULL), 0) AS in_full_months
    FROM scoped GROUP BY 1
),
placed AS (SELECT *, row_number() OVER (ORDER BY revenue DESC, name) AS place FROM sums),
absent AS (
    SELECT DISTINCT {column}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1000000000 FROM base
    WHERE list_contains($focus, {column}) AND {column} NOT IN (SELECT name FROM sums)
)
SELECT *, (place <= 10 OR list_contains($focus, name)) AS reported,
    CASE WHEN (SELECT max(n) FROM calendar) >= 2 THEN change(before, after) END AS growth
FROM (SELECT * FROM placed UNION ALL SELECT * FROM absent);
"""


def truth(
    dataset: Dataset, scope: Scope, tools: Sequence[str] = DEFAULT_PLAN
) -> dict[str, float | int | str]:
    """Value of each required fact by its id, from SQL.

    Parameters
    ----------
    dataset
        Its `columnar` file is read; nothing is loaded into pandas.
    scope
        Checked before (`check_scope`).
    tools
        What is planned: of the tools beyond the default plan, only these are computed.

    Returns
    -------
    dict
        Over thirty ids, each of which the tools give with an equal value.
    """
    with bounded_database(dataset.columnar.parent / ".spill") as connection:
        _lay_tables(connection, dataset, scope)
        facts: dict[str, float | int | str] = {}
        for statement in statements(dataset.columns, scope):
            for fact_id, number, word, unit in connection.execute(statement).fetchall():
                facts[fact_id] = rounded(word if number is None else number, unit)
    return facts | derived_facts(facts) | extra_truth(dataset, scope, tools)


def entities(dataset: Dataset, scope: Scope) -> dict[str, list[str]]:
    """Names of "brands", "categories" and "regions" in scope, most revenue first, ties by name.

    Regions are those of `region_dimension`: countries or stores where there is no region, and none where
    there is neither.
    """
    # Nothing else of a scope limits the rows or adds a name.
    limits = Scope(brands=scope.brands, categories=scope.categories, regions=scope.regions)
    return {kind: list(names) for kind, names in _entities(dataset, limits).items()}


@lru_cache(maxsize=64)
def _entities(dataset: Dataset, scope: Scope) -> dict[str, list[str]]:
    """Asked several times while a run is planned and set up; a dataset is told by its fingerprint."""
    names = {"brands": "brand", "categories": "category", "regions": "place"}
    with bounded_database(dataset.columnar.parent / ".spill") as connection:
        _lay_tables(connection, dataset, scope)
        found = {
            kind: [
                row[0] for row in connection.execute(f"SELECT name FROM by_{name} ORDER BY place").fetchall()
            ]
            for kind, name in names.items()
        }
    if region_dimension(dataset.columns) is None:
        found["regions"] = []
    return found


def _lay_tables(connection: duckdb.DuckDBPyConnection, dataset: Dataset, scope: Scope) -> None:
    connection.execute(_MACROS)
    connection.execute(_base(dataset.columns), {"path": str(dataset.columnar)})
    connection.execute(_CALENDAR)
    connection.execute(
        """
        CREATE TEMP TABLE scoped AS
        SELECT base.*, calendar.month, calendar.i, calendar.half FROM base
        LEFT JOIN calendar ON calendar.first_day = date_trunc('month', base.day)::DATE
        WHERE (len($categories) = 0 OR list_contains($categories, category))
            AND (len($regions) = 0 OR list_contains($regions, place))
        """,
        {"categories": list(scope.categories), "regions": list(scope.regions)},
    )
    connection.execute(f"CREATE TEMP MACRO tilt() AS {growth_tilt(scope.campaign_type)}::DOUBLE")
    for dimension, focus in (("brand", list(scope.brands)), ("category", []), ("place", [])):
        statement = _ENTITIES.format(dimension=dimension, column=dimension)
        connection.execute(statement, {"focus": focus})


def _base(columns: Sequence[str]) -> str:
    place = region_dimension(columns) or "category"
    if "total_cost" in columns:
        cost = "ticks(total_cost)"
    elif "cost_per_unit" in columns:
        cost = "ticks(cost_per_unit * units_sold)"
    elif "profit" in columns:
        cost = "ticks(total_revenue) - ticks(profit)"
    else:
        cost = "NULL::BIGINT"
    discount = "coalesce(ticks(discount_value), 0)" if "discount_value" in columns else "0"
    optional = {
        name: f"named({name})" if name in columns else "NULL::VARCHAR"
        for name in ("region", "country", "store_id")
    }
    return f"""
        CREATE TEMP TABLE base AS
        SELECT CAST(sale_date AS DATE) AS day, named(brand) AS brand, named(category) AS category,
            named({place}) AS place, {", ".join(f"{sql} AS {name}" for name, sql in optional.items())},
            ticks(total_revenue) AS revenue, ticks(units_sold) AS units,
            {cost} AS cost, {discount} AS discount
        FROM read_parquet($path)
        """
