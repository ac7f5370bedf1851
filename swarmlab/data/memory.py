"""How much memory work on data may take, and DuckDB connections that keep to it."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from swarmlab.errors import DataError, SpecError

VARIABLE: Final = "SWARMLAB_MEMORY_LIMIT"
DEFAULT: Final = 1 << 30
"""Bytes: 1 GiB."""
LEAST: Final = 256 << 20
"""Bytes; the interpreter and its libraries alone take about as much."""

DATABASE_SHARE: Final = 0.4
"""Part of the limit for DuckDB's buffers; the rest is for the interpreter and what is in its hands."""

_UNITS: Final = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BINARY_UNITS: Final = {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}


def memory_limit() -> int:
    """Return the limit in bytes: $SWARMLAB_MEMORY_LIMIT, such as 2GiB or 500MB, or 1 GiB.

    Raises
    ------
    SpecError
        The variable holds no size, or less than 256 MiB.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return DEFAULT
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text)
    unit = (_UNITS | _BINARY_UNITS).get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise SpecError(f"{VARIABLE} is {text!r}, which is no size; write it as 2GiB or 500MB")
    limit = int(float(found[1]) * unit)
    if limit < LEAST:
        raise SpecError(f"{VARIABLE} is {text!r}; give {LEAST >> 20}MiB or more")
    return limit


def csv_buffers() -> int:
    """Return the bytes that DuckDB may fill while it reads a CSV.

    It holds on to the pieces of the file that it has read until it may have no more, so what it may have it
    takes, however little of it the sums need.
    """
    return max(memory_limit() // 8, (64 << 20) + (32 << 20) * (os.cpu_count() or 1))


@contextmanager
def bounded_database(spill: Path, most: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory DuckDB that keeps to the limit; what does not fit goes to the folder `spill`.

    Parameters
    ----------
    spill
        Made when needed.
    most
        Bytes for its buffers, where its share of the limit would be more than it should take.

    Raises
    ------
    DataError
        A statement needs more memory than that all the same.
    """
    with duckdb.connect() as connection:
        without_progress_bar(connection)
        connection.execute("SET preserve_insertion_order = false")
        share = int(memory_limit() * DATABASE_SHARE)
        connection.execute(f"SET memory_limit = '{share if most is None else min(share, most)}B'")
        connection.execute(_spill_to(spill))
        try:
            yield connection
        except duckdb.OutOfMemoryException as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"the memory limit is too small ({reason}); set {VARIABLE} higher") from error


def without_progress_bar(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep DuckDB from drawing on the terminal.

    In a notebook without ipywidgets it draws nothing, and refuses to be told so.
    """
    (is_on,) = connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()[0]
    if is_on:
        connection.execute("SET enable_progress_bar = false")


def _spill_to(folder: Path) -> str:
    quoted = str(folder).replace("'", "''")
    return f"SET temp_directory = '{quoted}'"
