"""The tools' sums over 1, 10 and 100 million rows, CSV and Parquet: beside pandas, Polars and DuckDB.

Writes `results/reference/large_data_benchmark.csv` and `.md`. Each measurement is a process of its own
(`large_data_methods.py`), in turn over the methods; files are generated into a temporary folder, which is
removed. `--rows N` goes no further than N rows (100 million take an hour and 30 GB of disk), `--folder` says
where the files go. Polars is only needed here: `python -m pip install polars`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd

from swarmlab.records.atomic import write_text
from swarmlab.records.manifest import environment

OUT = Path(__file__).resolve().parent.parent / "results" / "reference"
METHODS_FILE = Path(__file__).with_name("large_data_methods.py")
SIZES: Final = {1_000_000: 3, 10_000_000: 2, 100_000_000: 1}
"""Rows, and how often each method is measured."""
KINDS: Final = ("parquet", "csv")
FAST: Final = ("swarmlab", "duckdb", "polars", "polars-in-turn")
SLOW: Final = ("pandas-columns", "pandas-chunks", "pandas-whole")
COLLECT: Final = "pandas-chunks-collect"
"""Only at the smallest size: it takes ten times as long as any other."""
OWN: Final = ("swarmlab-open", "swarmlab-tools")
WORDS: Final = {
    "swarmlab": "swarmlab (`Sales` on disk)",
    "duckdb": "DuckDB, written by hand",
    "polars": "Polars, streaming, queries together",
    "polars-in-turn": "Polars, streaming, queries in turn",
    "pandas-columns": "pandas, needed columns",
    "pandas-whole": "pandas, whole file",
    "pandas-chunks": "pandas, chunks of 10,000",
    COLLECT: "the same with gc.collect() a chunk",
    "swarmlab-open": "swarmlab: check, typed copy, fingerprint",
    "swarmlab-tools": "swarmlab: the twelve tools on the typed copy",
}
GENERATE: Final = """
import sys
import pyarrow.csv
import pyarrow.parquet as pq
from swarmlab.data.beverage import generate
rows, step = int(sys.argv[2]), 1_000_000
first = generate(1, 0).schema
quotes = pyarrow.csv.WriteOptions(quoting_style="needed", quoting_header="needed")
with (
    pyarrow.csv.CSVWriter(sys.argv[1] + "/csv/sales.csv", first, write_options=quotes) as text,
    pq.ParquetWriter(sys.argv[1] + "/parquet/sales.parquet", first, compression="zstd") as columns,
):
    for start in range(0, rows, step):
        part = generate(min(step, rows - start), start // step)
        text.write_table(part)
        columns.write_table(part, row_group_size=1 << 18)
"""


def measure(method: str, path: Path) -> dict[str, Any]:
    """Seconds, peak memory and answer of one method in a process of its own; NaN where it has not enough."""
    done = subprocess.run(
        [sys.executable, str(METHODS_FILE), method, str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        found: dict[str, Any] = json.loads(done.stdout)
        return found
    if "memory" in done.stderr.lower():
        return {
            "seconds": float("nan"),
            "cpu_s": float("nan"),
            "peak_mib": float("nan"),
            "answer": "out of memory",
        }
    raise RuntimeError(f"{method} on {path.name}: {done.stderr}")


def measure_size(rows: int, repeats: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield all measurements at one size, the methods in turn."""
    for kind in KINDS:
        (folder / kind).mkdir(parents=True)
    subprocess.run([sys.executable, "-c", GENERATE, str(folder), str(rows)], check=True)
    slow = [*SLOW, COLLECT] if rows == min(SIZES) else SLOW
    order = [(repeat, kind, method) for repeat in range(repeats) for kind in KINDS for method in FAST]
    order += [(0, kind, method) for kind in KINDS for method in OWN]
    order += [(repeat, kind, method) for repeat in range(repeats) for kind in KINDS for method in slow]
    for repeat, kind, method in order:
        found = measure(method, folder / kind / f"sales.{kind}")
        yield {"rows": rows, "kind": kind, "method": method, "repeat": repeat, **found}


def summarise(measured: pd.DataFrame) -> pd.DataFrame:
    """The best of the repeats of each method, its ratio to the best method, and whether answers agree."""
    by = ["rows", "kind", "method"]
    table = measured.groupby(by, as_index=False).agg(
        seconds=("seconds", "min"),
        median_s=("seconds", "median"),
        cpu_s=("cpu_s", "min"),
        peak_mib=("peak_mib", "max"),
        answer=("answer", "first"),
        n=("repeat", "count"),
    )
    is_sum = ~table["method"].isin(OWN)
    for column, ratio in (("seconds", "ratio"), ("cpu_s", "cpu_ratio")):
        best = table[is_sum].groupby(["rows", "kind"])[column].transform("min")
        table[ratio] = table.loc[is_sum, column] / best
    order = {method: at for at, method in enumerate(WORDS)}
    places = {"rows": lambda rows: rows, "kind": lambda kind: kind.map(KINDS.index)}
    table = table.sort_values(by, key=lambda of: places.get(of.name, lambda names: names.map(order))(of))
    answers = measured[~measured["method"].isin(OWN) & measured["seconds"].notna()]
    if (answers.groupby(["rows"])["answer"].nunique() != 1).any():
        raise RuntimeError("the methods' answers differ; no time means anything")
    return table


def as_text(table: pd.DataFrame) -> str:
    """The table for people, and what became of the goals."""
    lines = [
        "# The tools' sums over large data",
        "",
        "| rows | file | method | seconds: best (median) | times best | CPU s | times least | peak MiB | n |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in table.itertuples():
        time = f"{row.seconds:.2f} ({row.median_s:.2f})" if row.seconds == row.seconds else "out of memory"
        ratios = [f"{ratio:.2f}" if ratio == ratio else "" for ratio in (row.ratio, row.cpu_ratio)]
        cpu = f"{row.cpu_s:.2f}" if row.cpu_s == row.cpu_s else ""
        peak = f"{row.peak_mib:,.0f}" if row.peak_mib == row.peak_mib else "over 14,336"
        cells = [
            f"{row.rows:,}",
            row.kind,
            WORDS[row.method],
            time,
            ratios[0],
            cpu,
            ratios[1],
            peak,
            str(row.n),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    own = table[table["method"] == "swarmlab"]
    goals = [
        f"{'met' if row.ratio <= 1.2 else 'missed'} at {row.rows:,} rows of {row.kind} "
        f"({row.ratio:.2f}; CPU {row.cpu_ratio:.2f})"
        for row in own.itertuples()
    ]
    memory = [
        f"{WORDS[row.method]}, {row.rows:,} rows of {row.kind}: {row.peak_mib:,.0f} MiB"
        for row in table[table["method"].str.startswith("swarmlab")].itertuples()
        if row.peak_mib >= 1024
    ]
    machine = environment(["swarmlab", "pandas", "polars", "duckdb", "pyarrow"])
    return "\n".join(
        [
            *lines,
            "",
            f"Goal, within 1.2 times the best: {'; '.join(goals)}.",
            "",
            f"Goal, under 1 GiB at any size: {'missed: ' + '; '.join(memory) if memory else 'met'}.",
            "",
            "Rows, revenue, units and cost by brand, category and month, by region and month, by day, and by "
            "store and country; all answers equal to the last ten-thousandth. Seconds leave out starting "
            "Python and importing; peak memory holds them. Files were just written, so mostly in the page "
            "cache. Generated rows of 13 columns. A method may have 14 GiB of address space. swarmlab keeps "
            "to SWARMLAB_MEMORY_LIMIT (1 GiB); the others are not limited.",
            "",
            f"{machine['cpu_model']}, {machine['cores_usable']} cores, load {machine['load_average']}, "
            f"{machine['python']}, {machine['packages']}.",
            "",
        ]
    )


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=max(SIZES), help="largest number of rows")
    parser.add_argument("--folder", type=Path, help="where the files are made; a temporary folder by default")
    options = parser.parse_args()
    measured: list[dict[str, Any]] = []
    for rows in (rows for rows in SIZES if rows <= options.rows):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            for row in measure_size(rows, SIZES[rows], Path(folder)):
                print(row, flush=True)
                measured.append(row)
                table = summarise(pd.DataFrame(measured))
                write_text(OUT / "large_data_benchmark.csv", table.to_csv(index=False, lineterminator="\n"))
                write_text(OUT / "large_data_benchmark.md", as_text(table))
    print(as_text(table))


if __name__ == "__main__":
    main()
