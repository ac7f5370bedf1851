"""The same sums in several ways, for `large_data_benchmark.py`, which runs each in a process of its own.

`python experiments/large_data_methods.py METHOD FILE` prints seconds of work, by the clock and of CPU, the
peak of resident memory in MiB and a hash of the answer. The work is what the tools ask for: rows, revenue,
units and cost, in whole ten-thousandths, by brand, category and month; by region and month; by day; and by
store and country.
"""

# ruff: noqa: PLC0415 - each method imports only its own library, for its memory is measured.
import gc
import hashlib
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

KEYS: Final = (("brand", "category", "month"), ("region", "month"), ("day",), ("country", "store_id"))
TEXT: Final = ("brand", "category", "region", "country", "store_id")
MEASURES: Final = {"revenue": "total_revenue", "units": "units_sold", "cost": "total_cost"}
COLUMNS: Final = ["sale_date", *TEXT, *MEASURES.values()]
CHUNK_ROWS: Final = 10_000
ADDRESS_SPACE: Final = 14 << 30
"""Bytes a method may have; more would take the machine from others."""

Tables = list[pd.DataFrame]


def swarmlab_sums(path: Path) -> Tables:
    """The way of the tools: `Sales` over a file on disk."""
    from swarmlab.tools.sales import Sales
    from swarmlab.tools.scope import Scope
    from swarmlab.tools.sql_sales import SalesTable

    sales = Sales(SalesTable(path, spill=path.parent / "spill"), Scope(), tool="benchmark", needs=COLUMNS)
    return [_long(sales, keys) for keys in KEYS]


def _long(sales: Any, keys: tuple[str, ...]) -> pd.DataFrame:
    dimensions = ["any_month" if key == "month" else key for key in keys]
    rows = sales.sums("rows", *dimensions)
    at = np.nonzero(rows)
    names = [np.array(sales.names(dimension), dtype=object) for dimension in dimensions]
    found = {key: name[codes] for key, name, codes in zip(keys, names, at, strict=True)}
    if "day" in found:
        found["day"] = [str(np.datetime64(sales.period.first) + int(day)) for day in found["day"]]
    sums = {name: sales.sums(name, *dimensions)[at].astype("int64") for name in MEASURES}
    return pd.DataFrame({**found, "rows": rows[at].astype("int64"), **sums})


def swarmlab_open(path: Path) -> Tables:
    """Check a file on first sight, write its typed copy, take its fingerprint."""
    from swarmlab.data import open_dataset

    dataset = open_dataset(str(path), cache_dir=path.parent / "cache")
    return [pd.DataFrame({"fingerprint": [dataset.fingerprint]})]


def swarmlab_tools(path: Path) -> Tables:
    """All facts of the twelve tools from the typed copy of a file that was opened before."""
    from swarmlab.data import Dataset
    from swarmlab.tools import TOOLS, Scope, SharedFrame, run_tool

    # `swarmlab-open` left the copy and what it found; opening again would hash both files first.
    (entry,) = (json.loads(item.read_bytes()) for item in path.parent.glob("cache/*/files/*.json"))
    (copy,) = path.parent.glob("cache/*/columnar/*.parquet")
    columns = tuple(entry["columns"])
    dataset = Dataset(path.stem, "file", path, copy, entry["fingerprint"], entry["rows"], columns, ())
    shared = SharedFrame(dataset)
    names = [tool.name for tool in TOOLS.values() if not tool.rows and tool.table == "sales"]
    answers = [run_tool(name, Scope(), dataset, "vectorized", shared) for name in names]
    return [pd.DataFrame([fact.as_dict() for answer in answers for fact in answer.facts]).astype(str)]


def pandas_whole(path: Path) -> Tables:
    """Read every column of the file, then group."""
    frame = pd.read_csv(path, parse_dates=["sale_date"]) if _is_csv(path) else pd.read_parquet(path)
    return _grouped(_prepared(frame))


def pandas_columns(path: Path) -> Tables:
    """Read the columns that are needed, names as categories, then group."""
    if _is_csv(path):
        types = dict.fromkeys(TEXT, "category")
        frame = pd.read_csv(path, usecols=COLUMNS, dtype=types, parse_dates=["sale_date"])
    else:
        frame = pd.read_parquet(path, columns=COLUMNS).astype(dict.fromkeys(TEXT, "category"))
    return _grouped(_prepared(frame))


def pandas_chunks(path: Path, after_chunk: Callable[[], object] = lambda: None) -> Tables:
    """Read 10,000 rows at a time, group each chunk, add the groups up."""
    found: list[Tables] = []
    for chunk in _chunks(path):
        found.append(_grouped(_prepared(chunk)))
        after_chunk()
        if len(found) == 100:
            found = [_added(found)]
    return _added(found)


def pandas_chunks_collect(path: Path) -> Tables:
    """The same with a garbage collection after each chunk, as the source study proposes."""
    return pandas_chunks(path, gc.collect)


def _chunks(path: Path) -> Iterator[pd.DataFrame]:
    import pyarrow.parquet as pq

    if _is_csv(path):
        yield from pd.read_csv(path, usecols=COLUMNS, parse_dates=["sale_date"], chunksize=CHUNK_ROWS)
        return
    for batch in pq.ParquetFile(path).iter_batches(CHUNK_ROWS, columns=COLUMNS):
        yield batch.to_pandas()


def _prepared(frame: pd.DataFrame) -> pd.DataFrame:
    days = pd.to_datetime(frame["sale_date"]).astype("datetime64[s]")
    ticks = {
        name: np.rint(frame[column].to_numpy() * 10_000).astype("int64") for name, column in MEASURES.items()
    }
    keys = frame[list(TEXT)].assign(day=days, month=days.to_numpy().astype("datetime64[M]").astype("int64"))
    return keys.assign(rows=1, **ticks)


def _grouped(rows: pd.DataFrame) -> Tables:
    return [
        rows.groupby(list(keys), observed=True, sort=False)[["rows", *MEASURES]].sum().reset_index()
        for keys in KEYS
    ]


def _added(found: list[Tables]) -> Tables:
    return [
        pd.concat(parts).groupby(list(keys), observed=True, sort=False).sum().reset_index()
        for keys, parts in zip(KEYS, zip(*found, strict=True), strict=True)
    ]


def polars_together(path: Path) -> Tables:
    """Streaming engine, all queries at once: the file is read once, and what they share is kept in memory."""
    import polars as pl

    return _from_polars(pl.collect_all(_polars_queries(path), engine="streaming"))


def polars_in_turn(path: Path) -> Tables:
    """Streaming engine, one query after another: the file is read for each, and memory is bounded."""
    return _from_polars([query.collect(engine="streaming") for query in _polars_queries(path)])


def _polars_queries(path: Path) -> list[Any]:
    import polars as pl

    lazy = pl.scan_csv(path, try_parse_dates=True) if _is_csv(path) else pl.scan_parquet(path)
    ticks = [
        (pl.col(column) * 10_000).round().cast(pl.Int64).alias(name) for name, column in MEASURES.items()
    ]
    # Counted from 1970, as numpy does.
    date = pl.col("sale_date").dt
    month = ((date.year().cast(pl.Int32) - 1970) * 12 + date.month() - 1).alias("month")
    rows = lazy.select(*TEXT, pl.col("sale_date").alias("day"), month, *ticks)
    sums = [pl.len().cast(pl.Int64).alias("rows"), *(pl.col(name).sum() for name in MEASURES)]
    return [rows.group_by(keys).agg(*sums) for keys in KEYS]


def _from_polars(found: list[Any]) -> Tables:
    return [table.to_pandas() for table in found]


def duckdb_by_hand(path: Path) -> Tables:
    """One statement with grouping sets."""
    import duckdb

    source = f"read_csv('{path}')" if _is_csv(path) else f"read_parquet('{path}')"
    ticks = ", ".join(
        f"sum(CAST({column}::DOUBLE * 10000::DOUBLE AS BIGINT))::BIGINT AS {name}"
        for name, column in MEASURES.items()
    )
    sets = ", ".join(f"({', '.join(keys)})" for keys in KEYS)
    names = f"{', '.join(TEXT)}, day, month"
    found = duckdb.sql(f"""
        SELECT {names}, grouping({names}) AS grouped_by, count(*) AS rows, {ticks}
        FROM (SELECT *, sale_date::DATE AS day, (year(sale_date) - 1970) * 12 + month(sale_date) - 1 AS month
            FROM {source})
        GROUP BY GROUPING SETS ({sets})
    """).df()
    order = names.split(", ")
    bits = [sum(1 << at for at, key in enumerate(reversed(order)) if key not in keys) for keys in KEYS]
    return [
        found.loc[found["grouped_by"] == bit, [*keys, "rows", *MEASURES]]
        for bit, keys in zip(bits, KEYS, strict=True)
    ]


METHODS: Final[dict[str, Callable[[Path], Tables]]] = {
    "swarmlab": swarmlab_sums,
    "duckdb": duckdb_by_hand,
    "polars": polars_together,
    "polars-in-turn": polars_in_turn,
    "pandas-columns": pandas_columns,
    "pandas-whole": pandas_whole,
    "pandas-chunks": pandas_chunks,
    "pandas-chunks-collect": pandas_chunks_collect,
    "swarmlab-open": swarmlab_open,
    "swarmlab-tools": swarmlab_tools,
}

IMPORTS: Final = {
    "swarmlab": ("swarmlab.tools",),
    "duckdb": ("duckdb",),
    "polars": ("polars",),
    "pandas": ("pyarrow.parquet",),
}
"""What each family of methods imports before the clock starts."""


def _is_csv(path: Path) -> bool:
    return path.suffix == ".csv"


def answer_hash(tables: Tables) -> str:
    """One hash for equal sums, whatever their order, dtypes and way to write a month or a day."""
    digest = hashlib.sha256()
    for table in tables:
        plain = table.copy()
        if "month" in plain:
            months = plain["month"]
            numbers = pd.api.types.is_numeric_dtype(months)
            plain["month"] = (
                months.astype("int64").to_numpy().astype("datetime64[M]").astype(str) if numbers else months
            )
        if "day" in plain:
            plain["day"] = pd.to_datetime(plain["day"]).dt.strftime("%Y-%m-%d")
        if "rows" in plain and "revenue" in plain:
            plain = plain.astype({"rows": "int64", **dict.fromkeys(MEASURES, "int64")})
        lines = sorted("|".join(map(str, row)) for row in plain.itertuples(index=False))
        digest.update("\n".join(lines).encode())
    return digest.hexdigest()[:16]


def peak_mib() -> float:
    """Peak of this process's resident memory (Linux).

    Not by getrusage: its ru_maxrss starts at the peak of the process that started this one.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Run one method on one file and print what it took."""
    method, path = METHODS[sys.argv[1]], Path(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    for module in IMPORTS[sys.argv[1].split("-")[0]]:
        importlib.import_module(module)
    start, start_cpu = time.perf_counter(), time.process_time()
    tables = method(path)
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    print(
        json.dumps(
            {"seconds": seconds, "cpu_s": cpu_s, "peak_mib": peak_mib(), "answer": answer_hash(tables)}
        )
    )


if __name__ == "__main__":
    main()
