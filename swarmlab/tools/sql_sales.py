"""Sales in a Parquet or CSV file, of any size, grouped by DuckDB within the memory limit.

Sums are of whole ticks in integers, so they are those that a frame of the same rows gives, to the last bit.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from swarmlab.data.memory import bounded_database, csv_buffers
from swarmlab.data.names import check_names
from swarmlab.data.parts import is_parquet
from swarmlab.data.schema import DIMENSIONS, kept_columns
from swarmlab.errors import DataError
from swarmlab.tools.axis import UNKNOWN
from swarmlab.tools.grouped_sales import TEXT_KEYS, Keys, Limits, SalesOnDisk
from swarmlab.tools.rows import TICK

if TYPE_CHECKING:
    from swarmlab.data import Dataset

_CSV_BUFFER_BYTES = 8 << 20
"""Each thread has a few; DuckDB's own are four times as large, and no faster."""


class SalesTable(SalesOnDisk):
    """Canonical sales in a Parquet file (or a CSV with ISO dates), grouped on demand and never loaded.

    One scan serves all sums that the tools ask for under one scope; safe to ask from many threads.

    Parameters
    ----------
    path
        A checked file: what `open_dataset` would refuse is not noticed here.
    columns
        Its canonical and extension columns; by default those that the file names.
    spill
        Folder for what the memory limit (see `swarmlab.data.memory`) leaves no room for; made when needed.

    Raises
    ------
    DataError
        The file cannot be read or lacks a required column.
    """

    def __init__(self, path: Path, columns: Sequence[str] = (), spill: Path | None = None) -> None:
        super().__init__()
        self.path = path
        self._spill = spill or path.parent / ".spill"
        self.scans = 0
        self.columns = kept_columns(tuple(columns) or self._columns_of_file())

    @classmethod
    def of(cls, dataset: Dataset) -> SalesTable:
        """Return the table of a dataset's typed copy."""
        return cls(dataset.columnar, dataset.columns)

    def grouped(self, sets: Sequence[Keys], limits: Limits, *, with_sums: bool = True) -> list[pd.DataFrame]:
        """Return the groups of each set of keys, all from one scan."""
        self.scans += 1
        keys = sorted({key for keys in sets for key in keys})
        named = [f"coalesce({key}, '{UNKNOWN}') AS {key}" if key in TEXT_KEYS else key for key in keys]
        measures = measures_of(self.columns) if with_sums else {}
        sums = [f"CAST(coalesce(sum({name}), 0) AS DOUBLE) AS {name}" for name in measures]
        base = [*_key_columns(self.columns), *(f"{sql} AS {name}" for name, sql in measures.items())]
        statement = f"""
            SELECT {", ".join(named)}, grouping({", ".join(keys)}) AS grouped_by,
                min(day) AS sale_date, {", ".join(["count(*) AS rows", *sums])}
            FROM (SELECT {", ".join(base)} FROM {self._source()}) {_where(limits)}
            GROUP BY GROUPING SETS ({", ".join(f"({', '.join(set_)})" for set_ in sets)})
        """
        found = self._fetch(statement, [list(names) for names in limits.values()])
        return [_part(found, keys, set_) for set_ in sets]

    def _fetch(self, statement: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        try:
            most = None if is_parquet(self.path) else csv_buffers()
            with bounded_database(self._spill, most) as connection:
                return connection.execute(statement, parameters).df()
        except duckdb.Error as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> DataError:
        reason = str(error).splitlines()[0]
        return DataError(f"{self.path}: cannot be read ({reason}); open the data anew, which says where")

    def _source(self) -> str:
        if is_parquet(self.path):
            return f"read_parquet({_quoted(str(self.path))})"
        # All that it could find out by looking at some rows is known, and a store 007 must not be read as 7.
        kinds = dict.fromkeys(self._columns_of_file(), "VARCHAR")
        kinds |= {name: "DOUBLE" for name in kept_columns(self.columns) if name not in DIMENSIONS}
        kinds |= {"sale_date": "DATE"}
        columns = ", ".join(f"{_quoted(name)}: '{kind}'" for name, kind in kinds.items())
        return (
            f"read_csv({_quoted(str(self.path))}, columns = {{{columns}}}, auto_detect = false,"
            f" header = true, delim = ',', quote = '\"', escape = '\"', buffer_size = {_CSV_BUFFER_BYTES})"
        )

    def _columns_of_file(self) -> tuple[str, ...]:
        try:
            if is_parquet(self.path):
                names = tuple(pq.read_schema(self.path).names)
            else:
                with self.path.open(encoding="utf-8-sig", newline="") as file:
                    names = tuple(next(csv.reader(file), ()))
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error
        check_names(self.path, names)
        return names


def measures_of(columns: Sequence[str]) -> dict[str, str]:
    """Return the SQL of each measure that the columns allow, in ticks of one row."""
    revenue, units = _ticks("total_revenue"), _ticks("units_sold")
    measures = {"revenue": revenue, "units": units}
    if "total_cost" in columns:
        cost = _ticks("total_cost")
    elif "cost_per_unit" in columns:
        cost = _ticks("CAST(cost_per_unit AS DOUBLE) * units_sold")
    elif "profit" in columns:
        cost = f"{revenue} - {_ticks('profit')}"
    else:
        cost = ""
    if cost:
        measures |= {"cost": cost, "costed_revenue": f"CASE WHEN {cost} IS NOT NULL THEN {revenue} END"}
    if "discount_value" in columns:
        measures["discount"] = _ticks("discount_value")
    return measures


def _ticks(amount: str) -> str:
    # From double to integer DuckDB rounds halves to even, as numpy's rint does.
    return f"CAST(CAST({amount} AS DOUBLE) * {TICK}::DOUBLE AS BIGINT)"


def _key_columns(columns: Sequence[str]) -> list[str]:
    texts = [f"CAST({name} AS VARCHAR) AS {name}" for name in TEXT_KEYS if name in columns]
    day = "CAST(sale_date AS DATE)"
    return [*texts, f"{day} AS day", f"year({day}) * 12 + month({day}) AS month"]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _where(limits: Limits) -> str:
    conditions = [
        f"list_contains(${number}, coalesce({name}, '{UNKNOWN}'))"
        for number, name in enumerate(limits, start=1)
    ]
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _part(found: pd.DataFrame, keys: Sequence[str], wanted: Keys) -> pd.DataFrame:
    """Return the groups of one set: those whose `grouped_by` has no bit for the set's keys."""
    bits = sum(1 << place for place, key in enumerate(reversed(keys)) if key not in wanted)
    unwanted = {*keys, "grouped_by"} - set(wanted)
    names = [name for name in found.columns if name not in unwanted]
    return found.loc[found["grouped_by"] == bits, names].reset_index(drop=True)
