"""Ground truth of two lifts: sums by group from SQL and, of coupons, the ratio of means that they imply."""

from __future__ import annotations

import math
from typing import Final

import duckdb

_CELLS: Final = """
    CREATE TEMP TABLE cells AS
    WITH span AS (SELECT min(day) AS first, max(day) AS last,
        count(DISTINCT day) > 1 AND count(DISTINCT isodow(day)) = 1 AS is_weekly FROM whole),
    named AS (SELECT count(product) > 0 AS products FROM whole),
    weekly AS (
        SELECT date_trunc('week', day)::DATE AS week, coalesce(store_id, 'unknown') AS store,
            CASE WHEN products THEN coalesce(product, 'unknown')
                ELSE concat(coalesce(brand, 'unknown'), chr(31), coalesce(category, 'unknown'))
                END AS article,
            sum(units) AS units, coalesce(sum(units) FILTER (on_promotion), 0) AS on_units,
            bool_or(on_promotion) AS any_on
        FROM t, named GROUP BY ALL
    ),
    placed AS (
        SELECT weekly.*, (week - min(week) OVER ()) // 91 AS quarter FROM weekly, span
        WHERE is_weekly OR (week >= first AND week + 6 <= last)
    )
    SELECT *, CASE WHEN units > 0 THEN 2 * on_units >= units ELSE any_on END AS is_on FROM placed
"""

_BASKETS: Final = """
    CREATE TEMP TABLE baskets AS
    WITH has AS (SELECT count(basket_id) > 0 AS baskets FROM t)
    SELECT household_id AS h, sum(revenue) AS revenue, sum(coupon) AS coupon FROM t, has
    WHERE household_id IS NOT NULL
    GROUP BY h, CASE WHEN baskets THEN coalesce(basket_id, 'unknown') ELSE CAST(day AS VARCHAR) END
    HAVING sum(revenue) >= 0
"""

Row = tuple[str, float | None, str | None, str]


def promotion_truth(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Required facts of `promotion_lift`."""
    connection.execute(_CELLS)
    cells, on, units = connection.execute(
        "SELECT count(*), coalesce(sum(units) FILTER (is_on), 0), sum(units) FROM cells"
    ).fetchall()[0]
    rows: list[Row] = [("cells", cells, None, "count")]
    if units:
        rows.append(("promoted_units_pct", 100 * on / units, None, "%"))
    return rows


def coupon_truth(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Required facts of `coupon_lift`."""
    connection.execute(_BASKETS)
    baskets, used, households, users, coupon = connection.execute(
        "SELECT count(*), count(*) FILTER (coupon > 0), count(DISTINCT h), "
        "count(DISTINCT h) FILTER (coupon > 0), sum(coupon) / 10000 FROM baskets"
    ).fetchall()[0]
    rows: list[Row] = [("baskets", baskets, None, "count"), ("coupon_value", coupon, None, "$")]
    if baskets:
        rows.append(("coupon_baskets_pct", 100 * used / baskets, None, "%"))
        rows.append(("coupon_households_pct", 100 * users / households, None, "%"))
    groups = connection.execute(
        "SELECT count(*) FILTER (coupon > 0) AS w, count(*) FILTER (coupon <= 0) AS o, "
        "coalesce(sum(revenue) FILTER (coupon > 0), 0), sum(revenue) FROM baskets GROUP BY h "
        "HAVING w > 0 AND o > 0 AND sum(revenue) > 0"
    ).fetchall()
    ratio = _ratio(groups)
    if ratio is not None and len(groups) >= 5:
        rows.append(("basket_lift_pct", 100 * (ratio - 1), None, "% change"))
    return rows


def _ratio(groups: list[tuple[int, int, int, int]]) -> float | None:
    """The ratio at which the treated sums are as expected, given each group's whole; None without one."""
    part, whole = sum(float(g[2]) for g in groups), sum(float(g[3]) for g in groups)
    if not 0 < part < whole:
        return None
    low, high = -30.0, 30.0
    for _ in range(100):
        middle = (low + high) / 2
        odds = math.exp(middle)
        expected = sum(float(y) * n1 * odds / (n1 * odds + n0) for n1, n0, _, y in groups)
        low, high = (middle, high) if expected < part else (low, middle)
    return math.exp((low + high) / 2)
