"""Ground truth of the tools beyond the default plan, in SQL on the frame that each of them takes.

Only scope, rounding and the names of columns are shared with the tools. One lift is solved here from sums by
household, by bisection; what rests on a regression (the lift of promotions, price_elasticity,
budget_response, intervals) is not computed a second time in a run, only in tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import duckdb

from swarmlab.data import DIMENSIONS, Dataset
from swarmlab.data.companions import companion_file, companion_of, table_columns
from swarmlab.data.memory import bounded_database
from swarmlab.data.schema import FLAGS
from swarmlab.tools.catalogue import TOOLS
from swarmlab.tools.facts import rounded
from swarmlab.tools.scope import Scope, region_dimension
from swarmlab.tools.truth_lifts import coupon_truth, promotion_truth

Value = float | int | str
Row = tuple[str, float | None, str | None, str]
"""Metric, number or word, unit."""

_AMOUNTS: Final = {
    "units_sold": "units",
    "total_revenue": "revenue",
    "discount_value": "discount",
    "coupon_value": "coupon",
}


def extra_truth(dataset: Dataset, scope: Scope, tools: Sequence[str]) -> dict[str, Value]:
    """Value of each required fact of those `tools` that are beyond the default plan, by its id."""
    facts: dict[str, Value] = {}
    for name in tools:
        if name not in EXTRA_TRUTH:
            continue
        with bounded_database(dataset.columnar.parent / ".spill") as connection:
            _lay(connection, dataset, TOOLS[name].table, scope)
            for metric, number, word, unit in EXTRA_TRUTH[name](connection):
                facts[f"{name}.{metric}"] = rounded(word if number is None else number, unit)
    return facts


def _lay(connection: duckdb.DuckDBPyConnection, dataset: Dataset, table: str, scope: Scope) -> None:
    """Make the tables `whole` and, within the scope, `t`: dates as days, amounts in ticks."""
    columns = table_columns(dataset, table)
    has_file = table != "whole" and companion_of(dataset, table) is not None
    path = companion_file(dataset, table) if has_file else dataset.columnar
    chosen = ["CAST(sale_date AS DATE) AS day"]
    chosen += [f"CAST({name} AS VARCHAR) AS {name}" for name in DIMENSIONS if name in columns]
    chosen += [f"NULL::VARCHAR AS {name}" for name in DIMENSIONS if name not in columns]
    for name, short in _AMOUNTS.items():
        exact = f"coalesce(CAST(round_even({name} * 10000::DOUBLE, 0) AS BIGINT), 0)"
        chosen.append(f"{exact if name in columns else '0::BIGINT'} AS {short}")
    chosen += [f"coalesce({name}, 0) > 0 AS {name}" for name in FLAGS if name in columns]
    connection.execute(
        f"CREATE TEMP TABLE whole AS SELECT {', '.join(chosen)} FROM read_parquet($path)", {"path": str(path)}
    )
    place = region_dimension(columns)
    limits = {"category": scope.categories, place or "region": scope.regions}
    wanted = [
        f"list_contains($names_{i}, coalesce({column}, 'unknown'))"
        for i, (column, names) in enumerate(limits.items())
        if names
    ]
    values = {f"names_{i}": list(names) for i, names in enumerate(limits.values()) if names}
    where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
    connection.execute(f"CREATE TEMP TABLE t AS SELECT * FROM whole {where}", values or None)
    connection.execute(f"CREATE TEMP TABLE known_columns AS SELECT {len(columns)} AS n")


def _rows(statement: str) -> Callable[[duckdb.DuckDBPyConnection], list[Row]]:
    """A statement that gives metric, number, word and unit."""

    def ask(connection: duckdb.DuckDBPyConnection) -> list[Row]:
        return [(str(m), n, w, str(u)) for m, n, w, u in connection.execute(statement).fetchall()]

    return ask


_CHURN = """
    WITH span AS (SELECT max(day) AS last, max(day) - min(day) + 1 AS days FROM whole),
    cut AS (SELECT *, least(56, days // 2) AS length FROM span),
    bought AS (
        SELECT household_id AS h, (last - day) // length AS w, revenue FROM t, cut
        WHERE household_id IS NOT NULL AND (revenue > 0 OR units > 0)
    ),
    later AS (SELECT DISTINCT h FROM bought WHERE w = 0),
    before AS (SELECT h, sum(revenue) AS revenue FROM bought WHERE w = 1 GROUP BY h),
    stopped AS (SELECT * FROM before WHERE h NOT IN (SELECT h FROM later)),
    counts AS (
        SELECT (SELECT count(DISTINCT h) FROM bought) AS everyone, (SELECT count(*) FROM later) AS active,
            (SELECT count(*) FROM before) AS n, (SELECT count(*) FROM stopped) AS k,
            (SELECT sum(revenue) FROM stopped) AS lost, (SELECT sum(revenue) FROM before) AS earlier
    ),
    wilson AS (
        SELECT *, k / n AS p, 1.959963984540054 AS z FROM counts WHERE n > 0
    )
    SELECT 'n_households', everyone, NULL, 'count' FROM counts
    UNION ALL SELECT 'households_at_risk', n, NULL, 'count' FROM counts, cut WHERE length >= 7
    UNION ALL SELECT 'churned_households', k, NULL, 'count' FROM counts, cut WHERE length >= 7
    UNION ALL SELECT 'inactive_households', everyone - active, NULL, 'count' FROM counts, cut
        WHERE length >= 7
    UNION ALL SELECT 'churn_pct', 100 * p, NULL, '%' FROM wilson, cut WHERE length >= 7
    UNION ALL SELECT 'churn_low_pct', greatest(100 * (p + z * z / (2 * n) - z * sqrt(p * (1 - p) / n
        + z * z / (4 * n * n))) / (1 + z * z / n), 0), NULL, '%' FROM wilson, cut WHERE length >= 7
    UNION ALL SELECT 'churn_high_pct', least(100 * (p + z * z / (2 * n) + z * sqrt(p * (1 - p) / n
        + z * z / (4 * n * n))) / (1 + z * z / n), 100), NULL, '%' FROM wilson, cut WHERE length >= 7
    UNION ALL SELECT 'revenue_churn_pct', 100 * coalesce(lost, 0) / earlier, NULL, '%' FROM counts, cut
        WHERE length >= 7 AND earlier > 0
"""

_RFM = """
    WITH span AS (SELECT max(day) AS last FROM whole),
    bought AS (
        SELECT household_id AS h, day, revenue, coalesce(basket_id, 'unknown') AS basket,
            (SELECT count(basket_id) > 0 FROM t) AS has_baskets FROM t
        WHERE household_id IS NOT NULL AND (revenue > 0 OR units > 0)
    ),
    measured AS (
        SELECT h, max(day) AS latest, sum(revenue) AS revenue,
            CASE WHEN any_value(has_baskets) THEN count(DISTINCT basket) ELSE count(DISTINCT day) END AS times
        FROM bought GROUP BY h
    ),
    scored AS (
        SELECT *, 1 + 5 * (rank() OVER (ORDER BY latest) - 1) // count(*) OVER () AS r,
            1 + 5 * (rank() OVER (ORDER BY times) - 1) // count(*) OVER () AS f,
            1 + 5 * (rank() OVER (ORDER BY revenue) - 1) // count(*) OVER () AS m
        FROM measured
    ),
    named AS (
        SELECT *, CASE WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 'champions' WHEN r >= 3 AND f >= 3 THEN 'loyal'
            WHEN r >= 4 THEN 'new' WHEN r <= 2 AND (f >= 3 OR m >= 4) THEN 'at risk' WHEN r <= 2 THEN 'lost'
            ELSE 'occasional' END AS segment
        FROM scored
    ),
    summed AS (SELECT segment, count(*) AS n, sum(revenue) AS revenue FROM named GROUP BY segment)
    SELECT 'n_households', count(*), NULL, 'count' FROM named
    UNION ALL SELECT 'median_recency_days', median((SELECT last FROM span) - latest), NULL, 'count' FROM named
    UNION ALL SELECT 'median_frequency', median(times), NULL, 'count' FROM named
    UNION ALL SELECT 'households[segment=' || segment || ']', n, NULL, 'count' FROM summed
    UNION ALL SELECT 'revenue_pct[segment=' || segment || ']', 100 * revenue / (sum(revenue) OVER ()), NULL,
        '%' FROM summed QUALIFY sum(revenue) OVER () > 0
"""

_AFFINITY = """
    WITH has AS (SELECT count(product) > 0 AS products FROM t),
    bought AS (
        SELECT DISTINCT basket_id AS b, CASE WHEN products THEN product ELSE category END AS i FROM t, has
        WHERE basket_id IS NOT NULL AND i IS NOT NULL AND (revenue > 0 OR units > 0)
    ),
    items AS (SELECT i, count(*) AS n FROM bought GROUP BY i ORDER BY n DESC, i LIMIT 500),
    total AS (SELECT count(DISTINCT b) AS n FROM bought),
    pairs AS (
        SELECT x.i AS a, y.i AS c, count(*) AS n FROM bought AS x JOIN bought AS y ON x.b = y.b AND x.i < y.i
        WHERE x.i IN (SELECT i FROM items) AND y.i IN (SELECT i FROM items) GROUP BY ALL
    ),
    enough AS (
        SELECT CASE WHEN (p.n, a) < (q.n, c) THEN a || ' + ' || c ELSE c || ' + ' || a END AS name,
            pairs.n AS joint, p.n AS n_a, q.n AS n_c, total.n AS n,
            pairs.n * total.n::DOUBLE / (p.n::DOUBLE * q.n) AS lift
        FROM pairs JOIN items AS p ON p.i = a JOIN items AS q ON q.i = c, total
        WHERE pairs.n >= greatest(20, 0.001::DOUBLE * total.n)
    ),
    ranked AS (
        SELECT *, lift * exp(-1.959963984540054 * sqrt(greatest(n / joint::DOUBLE - n / n_a::DOUBLE
            - n / n_c::DOUBLE + 2 * lift - 1, 0) / n)) AS low
        FROM enough WHERE lift > 1 ORDER BY round(low, 9) DESC, name LIMIT 3
    )
    SELECT 'baskets', n, NULL, 'count' FROM total
    UNION ALL SELECT 'pairs_considered', count(*), NULL, 'count' FROM enough
    UNION ALL (SELECT 'strongest_pair', NULL, name, 'name' FROM ranked LIMIT 1)
    UNION ALL SELECT 'lift[pair=' || name || ']', lift, NULL, 'ratio' FROM ranked
    UNION ALL SELECT 'lift_low[pair=' || name || ']', low, NULL, 'ratio' FROM ranked
    UNION ALL SELECT 'support_pct[pair=' || name || ']', 100 * joint / n, NULL, '%' FROM ranked
    UNION ALL SELECT 'confidence_pct[pair=' || name || ']', 100 * joint / least(n_a, n_c), NULL, '%'
        FROM ranked
"""

_HEALTH = """
    WITH bought AS (
        SELECT DISTINCT coalesce(brand, 'unknown') AS brand, household_id AS h FROM t
        WHERE household_id IS NOT NULL AND (revenue > 0 OR units > 0)
    ),
    ranked AS (
        SELECT coalesce(brand, 'unknown') AS brand, sum(revenue) AS revenue FROM t
        GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10
    ),
    everyone AS (SELECT count(DISTINCT h) AS n FROM bought),
    whole_market AS (SELECT sum(revenue) AS revenue FROM t)
    SELECT 'share_pct[brand=' || brand || ']', 100 * r.revenue / w.revenue, NULL, '%'
        FROM ranked AS r, whole_market AS w WHERE w.revenue > 0
    UNION ALL SELECT 'penetration_pct[brand=' || r.brand || ']', 100 * count(b.h) / any_value(n), NULL, '%'
        FROM ranked AS r LEFT JOIN bought AS b USING (brand), everyone WHERE n > 0 GROUP BY r.brand
"""

_PROFILE = """
    SELECT 'rows', count(*), NULL, 'count' FROM t
    UNION ALL SELECT 'columns', n, NULL, 'count' FROM known_columns
    UNION ALL SELECT 'first_date', NULL, CAST(min(day) AS VARCHAR), 'date' FROM whole
    UNION ALL SELECT 'last_date', NULL, CAST(max(day) AS VARCHAR), 'date' FROM whole
    UNION ALL SELECT 'days', max(day) - min(day) + 1, NULL, 'count' FROM whole
    UNION ALL SELECT 'distinct[column=brand]', count(DISTINCT brand), NULL, 'count' FROM t
    UNION ALL SELECT 'distinct[column=category]', count(DISTINCT category), NULL, 'count' FROM t
"""

_CAMPAIGN = """
    WITH named AS (
        SELECT *, coalesce(campaign, 'campaign') AS c, (SELECT count(campaign) > 0 FROM t) AS has FROM t
        WHERE household_id IS NOT NULL
    ),
    own AS (SELECT * FROM named WHERE campaign IS NOT NULL OR NOT has),
    starts AS (
        SELECT c, min(day) AS start, count(DISTINCT day) AS dates FROM own WHERE campaign_active GROUP BY c
    ),
    early AS (
        SELECT DISTINCT c, day, dense_rank() OVER (PARTITION BY c ORDER BY day DESC) AS back
        FROM own JOIN starts USING (c) WHERE day < start
    ),
    kept AS (
        SELECT c, day, count(*) OVER (PARTITION BY c) // 2 AS half, back FROM early
        QUALIFY back <= 2 * half
    ),
    halves AS (SELECT c, any_value(half) AS half FROM kept GROUP BY c),
    sums AS (
        SELECT own.c, household_id AS h, bool_or(campaign_target) AS is_target,
            coalesce(sum(revenue) FILTER (campaign_active), 0) AS during,
            coalesce(sum(revenue) FILTER (NOT campaign_active), 0) AS before
        FROM own LEFT JOIN kept ON kept.c = own.c AND kept.day = own.day
        WHERE campaign_active OR kept.day IS NOT NULL GROUP BY ALL
    ),
    changes AS (
        SELECT sums.c, is_target, dates, during / dates::DOUBLE - before / (2 * half)::DOUBLE AS change
        FROM sums JOIN starts USING (c) JOIN halves USING (c)
    ),
    effects AS (
        SELECT c, any_value(dates) AS dates, count(*) FILTER (is_target) AS n,
            count(*) FILTER (NOT is_target) AS others,
            avg(change) FILTER (is_target) - avg(change) FILTER (NOT is_target) AS effect
        FROM changes GROUP BY c HAVING least(n, others) >= 5
    )
    SELECT 'campaigns', count(*), NULL, 'count' FROM effects
    UNION ALL SELECT 'targeted', coalesce(sum(n), 0), NULL, 'count' FROM effects
    UNION ALL SELECT 'controls', coalesce(sum(others), 0), NULL, 'count' FROM effects
    UNION ALL SELECT 'added_revenue', sum(effect * n * dates) / 10000, NULL, '$' FROM effects
        HAVING count(*) > 0
"""

EXTRA_TRUTH: Final[dict[str, Callable[[duckdb.DuckDBPyConnection], list[Row]]]] = {
    "customer_churn": _rows(_CHURN),
    "rfm": _rows(_RFM),
    "basket_affinity": _rows(_AFFINITY),
    "promotion_lift": promotion_truth,
    "coupon_lift": coupon_truth,
    "campaign_roi": _rows(_CAMPAIGN),
    "brand_health": _rows(_HEALTH),
    "data_profile": _rows(_PROFILE),
}
"""What is asked of each tool's frame."""
