"""Companion tables: what a source knows beyond its sales frame, in frames of canonical and extension columns.

Only `grocery` has any. They are made by DuckDB from the package's other tables, at first need, into the data
cache, within the memory limit; nothing but the finished table is ever loaded. A user's own file carries the
same columns itself.

- baskets: a row of sales, with household_id, basket_id, coupon_value (manufacturers' coupons and the
  retailer's match of them) and product (the product category).
- prices: a product and full week with a sale, dated by its Monday, with product (the article) and
  discount_value.
- promotions: an article, store and week from the first to the last week in which it sold there, weeks
  without a sale too; on_promotion is 1 where the promotions table lists it on display or in the mailer. Of
  articles that sold there in at least eight weeks and were on promotion in some.
- campaigns: a campaign, household and week, from four weeks before the campaign to its last full week, weeks
  without a purchase too. Targeted households (campaign_target), and as controls those that no campaign
  reached in that time. Of campaigns whose weeks all lie in the data.

Every dataset has the table `WHOLE`, its sales with all columns, for what looks at the columns themselves.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow.parquet as pq

from swarmlab.data.cache import DataCache, file_digest
from swarmlab.data.dataset import Dataset
from swarmlab.data.grocery import package_tables
from swarmlab.data.memory import VARIABLE, bounded_database, memory_limit
from swarmlab.data.schema import DIMENSIONS
from swarmlab.errors import DataError

WHOLE: Final = "whole"

BYTES_A_CELL: Final = 16
"""What a cell of a frame takes at most while it is loaded."""

_SALES = """
    SELECT t.*, p.brand, p.department, p.product_category
    FROM read_parquet('{transactions}', file_row_number = true) AS t
    JOIN read_parquet('{products}') AS p USING (product_id)
    WHERE coalesce(p.department NOT IN ('FUEL', 'COUPON', 'MISCELLANEOUS'), true)
"""
_MONDAY = "DATE '2016-12-26' + 7 * CAST({week} - 1 AS INTEGER)"
"""The first day of a week of the package; its weeks 1 and 53 are not covered in full."""
_BASKETS = f"""
    SELECT CAST(transaction_timestamp AS DATE) AS sale_date, CAST(store_id AS VARCHAR) AS store_id, brand,
        department AS category, CAST(quantity AS DOUBLE) AS units_sold,
        round(sales_value, 2) AS total_revenue, round(retail_disc + coupon_match_disc, 2) AS discount_value,
        CAST(household_id AS VARCHAR) AS household_id, CAST(basket_id AS VARCHAR) AS basket_id,
        product_category AS product, round(coupon_disc + coupon_match_disc, 2) AS coupon_value
    FROM ({_SALES}) ORDER BY file_row_number
"""
_PRICES = f"""
    WITH weekly AS (
        SELECT product_id, week, any_value(brand) AS brand, any_value(department) AS category,
            sum(quantity) AS units, round(sum(sales_value), 2) AS revenue,
            round(sum(retail_disc + coupon_match_disc), 2) AS discount
        FROM ({_SALES}) WHERE week BETWEEN 2 AND 52 GROUP BY product_id, week
    )
    SELECT {_MONDAY.format(week="week")} AS sale_date, brand, category, CAST(units AS DOUBLE) AS units_sold,
        revenue AS total_revenue, discount AS discount_value, CAST(product_id AS VARCHAR) AS product
    FROM weekly WHERE units > 0 AND revenue > 0
    ORDER BY product_id, week
"""
_PROMOTIONS = f"""
    WITH sold AS (
        SELECT product_id, store_id, week, any_value(brand) AS brand, any_value(department) AS category,
            sum(quantity) AS units, round(sum(sales_value), 2) AS revenue
        FROM ({_SALES}) WHERE week BETWEEN 2 AND 52 AND quantity > 0 GROUP BY ALL
    ),
    listed AS (
        SELECT product_id, store_id, any_value(brand) AS brand, any_value(category) AS category,
            min(week) AS first, max(week) AS last
        FROM sold GROUP BY ALL HAVING count(*) >= 8
    ),
    promoted AS (
        SELECT DISTINCT product_id, store_id, week
        FROM read_parquet('{{promotions}}') SEMI JOIN listed USING (product_id, store_id)
        WHERE display_location <> '0' OR mailer_location <> '0'
    ),
    cells AS (
        SELECT product_id, store_id, brand, category, unnest(range(first, last + 1)) AS week
        FROM listed SEMI JOIN promoted USING (product_id, store_id)
    )
    SELECT {_MONDAY.format(week="week")} AS sale_date, CAST(store_id AS VARCHAR) AS store_id,
        cells.brand, cells.category, CAST(coalesce(units, 0) AS DOUBLE) AS units_sold,
        coalesce(revenue, 0) AS total_revenue, CAST(product_id AS VARCHAR) AS product,
        CAST(promoted.week IS NOT NULL AS DOUBLE) AS on_promotion
    FROM cells LEFT JOIN sold USING (product_id, store_id, week)
    LEFT JOIN promoted USING (product_id, store_id, week)
    ORDER BY product_id, store_id, week
"""
_CAMPAIGNS = f"""
    WITH bought AS (
        SELECT household_id, CAST(transaction_timestamp AS DATE) AS day, sum(quantity) AS units,
            round(sum(sales_value), 2) AS revenue
        FROM ({_SALES}) GROUP BY ALL
    ),
    runs AS (
        SELECT campaign_id, CAST(start_date AS DATE) AS start, CAST(end_date AS DATE) AS finish,
            (date_diff('day', CAST(start_date AS DATE), CAST(end_date AS DATE)) + 1) // 7 AS weeks
        FROM read_parquet('{{descriptions}}')
    ),
    seen AS (
        SELECT * FROM runs, (SELECT min(day) AS first, max(day) AS last FROM bought)
        WHERE start - 28 >= first AND finish < last
    ),
    reached AS (
        SELECT household_id, start, finish
        FROM read_parquet('{{targets}}') JOIN runs USING (campaign_id)
    ),
    watched AS (
        SELECT campaign_id, start, weeks, h.household_id, t.household_id IS NOT NULL AS is_target
        FROM seen CROSS JOIN (SELECT DISTINCT household_id FROM bought) AS h
        LEFT JOIN read_parquet('{{targets}}') AS t USING (campaign_id, household_id)
        WHERE is_target OR NOT EXISTS (
            FROM reached AS r WHERE r.household_id = h.household_id
            AND r.start <= seen.finish AND r.finish >= seen.start - 28
        )
    ),
    weeks AS (SELECT *, unnest(range(-4, weeks)) AS week FROM watched),
    sums AS (
        SELECT w.campaign_id, w.household_id, w.week, w.start, w.is_target,
            coalesce(sum(b.units), 0) AS units, coalesce(round(sum(b.revenue), 2), 0) AS revenue
        FROM weeks AS w LEFT JOIN bought AS b ON b.household_id = w.household_id
            AND b.day >= w.start + CAST(7 * w.week AS INTEGER)
            AND b.day < w.start + CAST(7 * w.week + 7 AS INTEGER)
        GROUP BY ALL
    )
    SELECT start + CAST(7 * week AS INTEGER) AS sale_date, CAST(units AS DOUBLE) AS units_sold,
        revenue AS total_revenue, CAST(household_id AS VARCHAR) AS household_id,
        'campaign ' || campaign_id AS campaign, CAST(is_target AS DOUBLE) AS campaign_target,
        CAST(week >= 0 AS DOUBLE) AS campaign_active
    FROM sums ORDER BY campaign_id, sums.household_id, week
"""


@dataclass(frozen=True)
class Companion:
    """A table that can be made: its columns, the package's files that it reads, and the statement."""

    columns: tuple[str, ...]
    files: tuple[str, ...]
    statement: str


_SOLD: Final = ("sale_date", "store_id", "brand", "category", "units_sold", "total_revenue")

_FILES: Final = {
    "transactions": "transactions.parquet",
    "products": "products.parquet",
    "promotions": "promotions.parquet",
    "targets": "campaigns.parquet",
    "descriptions": "campaign_descriptions.parquet",
}

COMPANIONS: Final[dict[str, dict[str, Companion]]] = {
    "grocery": {
        "baskets": Companion(
            (*_SOLD, "discount_value", "household_id", "basket_id", "product", "coupon_value"),
            ("transactions", "products"),
            _BASKETS,
        ),
        "prices": Companion(
            ("sale_date", "brand", "category", "units_sold", "total_revenue", "discount_value", "product"),
            ("transactions", "products"),
            _PRICES,
        ),
        "promotions": Companion(
            (*_SOLD, "product", "on_promotion"),
            ("transactions", "products", "promotions"),
            _PROMOTIONS,
        ),
        "campaigns": Companion(
            (
                *("sale_date", "units_sold", "total_revenue", "household_id"),
                *("campaign", "campaign_target", "campaign_active"),
            ),
            ("transactions", "products", "targets", "descriptions"),
            _CAMPAIGNS,
        ),
    }
}
"""By the dataset's source, then by table."""


def companion_of(dataset: Dataset, table: str) -> Companion | None:
    """The companion table of that name; None where the dataset's source has none."""
    if table == WHOLE:
        return Companion(dataset.columns, (), "")
    return COMPANIONS.get(dataset.source, {}).get(table)


def table_columns(dataset: Dataset, table: str) -> tuple[str, ...]:
    """Columns of the frame that stands for `table`: the companion's, or else those of the sales."""
    companion = companion_of(dataset, table)
    return dataset.columns if companion is None else companion.columns


def companion_key(dataset: Dataset, table: str) -> str:
    """SHA-256 of what a companion table is made from: its statement and the package's files, in hexadecimal.

    Empty where the table is the sales themselves, whose fingerprint says all.
    """
    companion = companion_of(dataset, table)
    if companion is None or table == WHOLE:
        return ""
    _, paths = package_tables({name: _FILES[name] for name in companion.files})
    digests = "".join(_digest(path, path.stat().st_mtime_ns) for path in paths.values())
    return hashlib.sha256(f"{companion.statement}{digests}".encode()).hexdigest()


@lru_cache(maxsize=16)
def _digest(path: Path, changed_ns: int) -> str:  # noqa: ARG001 - a file that was changed is another
    """Of a file, read once: every tool call asks."""
    return file_digest(path)


def companion_file(dataset: Dataset, table: str) -> Path:
    """Return the companion's Parquet file, made at first need and once per version of the package.

    Raises
    ------
    DataError
        The dataset has no such table, or the package lacks a file of it.
    """
    companion = companion_of(dataset, table)
    if companion is None or table == WHOLE:
        raise DataError(f"{dataset.name}: has no table {table!r} beside its sales")
    version, paths = package_tables({name: _FILES[name] for name in companion.files})
    name = f"{dataset.source}-{table}-{version}-{companion_key(dataset, table)[:12]}"
    statement = companion.statement.format(**{n: str(p).replace("'", "''") for n, p in paths.items()})
    # The dataset's own copy tells where its cache is.
    cache = DataCache(dataset.columnar.parent.parent.parent)
    return cache.build(name, partial(_write, statement), suffix=".parquet").path


def load_companion(dataset: Dataset, table: str) -> pd.DataFrame:
    """Load a companion table, typed as `Dataset.load` types the sales.

    Raises
    ------
    DataError
        The dataset has no such table, or its sales would not fit in the memory limit.
    """
    if table == WHOLE:
        return _whole(dataset)
    names = [name for name in table_columns(dataset, table) if name in DIMENSIONS]
    frame: pd.DataFrame = pq.read_table(
        companion_file(dataset, table), read_dictionary=names, partitioning=None
    ).to_pandas(date_as_object=False, ignore_metadata=True)
    frame["sale_date"] = frame["sale_date"].astype("datetime64[us]")
    for name in names:
        frame[name] = frame[name].cat.reorder_categories(sorted(frame[name].cat.categories))
    return frame


def _whole(dataset: Dataset) -> pd.DataFrame:
    needed = BYTES_A_CELL * len(dataset.columns) * dataset.rows
    if needed > memory_limit():
        raise DataError(
            f"{dataset.path}: its rows would take about {needed / 2**30:.1f} GiB, over the memory limit of "
            f"{memory_limit() / 2**30:.1f} GiB; set {VARIABLE} higher"
        )
    return dataset.load()


def _write(statement: str, target: Path) -> tuple[str, ...]:
    shown = str(target).replace("'", "''")
    with bounded_database(target.parent) as connection:
        connection.execute(f"COPY ({statement}) TO '{shown}' (FORMAT parquet, COMPRESSION zstd)")
    return ()
