"""What there is to know about a user's data that is not an error, asked of the typed copy in SQL."""

from pathlib import Path

import duckdb
import pandas as pd

from swarmlab.data.memory import bounded_database
from swarmlab.data.schema import DIMENSIONS
from swarmlab.data.tables import NATIVE_DATES, WITH_TIME


def file_notes(
    copy: Path,
    columns: tuple[str, ...],
    names: tuple[str, ...],
    empty: tuple[str, ...],
    date_form: str,
    spill: Path,
) -> tuple[str, ...]:
    """Return the notes on checked data.

    Parameters
    ----------
    copy
        Their typed copy.
    columns
        Its columns.
    names
        All column names of the file.
    empty
        Optional columns that were left out because no row has a value.
    date_form
        How the file writes dates.
    spill
        Folder for what the memory limit leaves no room for.
    """
    notes: list[str] = []
    ignored = [name for name in names if name not in columns and name not in empty]
    if ignored:
        notes.append(f"columns not used: {', '.join(ignored)}")
    if empty:
        notes.append(f"columns without any value, treated as absent: {', '.join(empty)}")
    with bounded_database(spill) as connection:
        quoted = str(copy).replace("'", "''")
        connection.execute(f"CREATE VIEW sales AS SELECT * FROM read_parquet('{quoted}')")
        notes.extend(_extent(connection))
        if date_form.endswith(WITH_TIME):
            notes.append(
                "times of day and offsets from UTC are cut off: a sale is on the day written in its row"
            )
        elif date_form == NATIVE_DATES:
            notes.append("timestamps count as the day they fall on in the column's own time zone")
        notes.extend(_gaps(connection, columns))
        notes.extend(_spans(connection, columns))
        notes.extend(_alike(connection, columns))
        notes.extend(_totals(connection, columns))
    return tuple(notes)


def _extent(connection: duckdb.DuckDBPyConnection) -> list[str]:
    ((rows, first, last),) = connection.execute(
        "SELECT count(*), min(sale_date), max(sale_date) FROM sales"
    ).fetchall()
    return [f"{rows:,} rows, {first:%Y-%m-%d} to {last:%Y-%m-%d}"]


def _gaps(connection: duckdb.DuckDBPyConnection, columns: tuple[str, ...]) -> list[str]:
    counts = ", ".join(f"count(*) - count({name})" for name in columns)
    (gaps,) = connection.execute(f"SELECT {counts} FROM sales").fetchall()
    return [f"{name} is empty in {count:,} rows" for name, count in zip(columns, gaps, strict=True) if count]


def _spans(connection: duckdb.DuckDBPyConnection, columns: tuple[str, ...]) -> list[str]:
    """Say which names are not nested in others, as a reader would expect them to be."""
    notes = []
    for inner, outer in (("store_id", "region"), ("store_id", "country"), ("region", "country")):
        if inner in columns and outer in columns:
            ((known, spanning),) = connection.execute(f"""
                SELECT count(*), count(*) FILTER (n > 1)
                FROM (SELECT {inner}, count(DISTINCT {outer}) AS n FROM sales
                    WHERE {inner} IS NOT NULL AND {outer} IS NOT NULL GROUP BY {inner})
            """).fetchall()
            if spanning:
                notes.append(f"{spanning:,} of {known:,} {inner} values occur in more than one {outer}")
    return notes


def _alike(connection: duckdb.DuckDBPyConnection, columns: tuple[str, ...]) -> list[str]:
    notes = []
    for name in DIMENSIONS:
        if name in columns:
            found = connection.execute(f"SELECT DISTINCT {name} FROM sales WHERE {name} IS NOT NULL").df()
            distinct = pd.Series(found[name], dtype="str")
            merged = distinct.str.strip().str.casefold().nunique()
            if merged < len(distinct):
                notes.append(
                    f"{name} has values that differ only in case or outer spaces; they count as different"
                )
    return notes


def _totals(connection: duckdb.DuckDBPyConnection, columns: tuple[str, ...]) -> list[str]:
    """Count rows whose totals are far from their parts: over 1 % and over 5 cents."""
    notes = []
    for total, unit in (("total_revenue", "price_per_unit"), ("total_cost", "cost_per_unit")):
        if total in columns and unit in columns:
            formula = (f"units_sold * {unit}", f"units_sold x {unit}")
            notes.extend(_far(connection, total, *formula))
    if "profit" in columns and "total_cost" in columns:
        notes.extend(_far(connection, "profit", *["total_revenue - total_cost"] * 2))
    return notes


def _far(connection: duckdb.DuckDBPyConnection, total: str, expected: str, formula: str) -> list[str]:
    ((far,),) = connection.execute(f"""
        SELECT count(*) FILTER (gap > 0.05::DOUBLE AND gap > 0.01::DOUBLE * abs({total}))
        FROM (SELECT {total}, abs({total} - ({expected})) AS gap FROM sales)
    """).fetchall()
    return [f"{total} is far from {formula} in {far:,} rows; {total} is used as it stands"] if far else []
