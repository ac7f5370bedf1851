"""Are simulated results the same, byte for byte, however they are made?

Runs the four levels with the simulated model twenty times and more: from the command line with two hash seeds
and one and two processes, from a script, in a kernel and in pytest. Writes the digests of `runs.csv`, of what
is in `spans.parquet` and of all notebooks' outputs to `results/reference/repeatability.csv` and `.md`.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pandas as pd
from nbclient import NotebookClient

from swarmlab.records.atomic import write_text

OUT = Path(__file__).resolve().parent.parent / "results" / "reference"
DATA = "beverage:20000"
RUN = "import swarmlab; swarmlab.run(model='simulated', data={data!r}, out={out!r}, n_jobs={jobs})"
REPEATS = 5


def command(out: Path, hash_seed: str, jobs: int) -> None:
    """`swarmlab run` in a process of its own."""
    arguments = ["run", "--model", "simulated", "--data", DATA, "--out", str(out), "--jobs", str(jobs)]
    _python(["-c", "from swarmlab.cli import main; main()", *arguments], hash_seed)


def script(out: Path) -> None:
    """`swarmlab.run` in a script."""
    _python(["-c", RUN.format(data=DATA, out=str(out), jobs=1)], "0")


def kernel(out: Path) -> None:
    """`swarmlab.run` in a notebook's kernel, where an event loop is running."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(RUN.format(data=DATA, out=str(out), jobs=1))]
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()


def in_pytest(out: Path) -> None:
    """`swarmlab.run` in a test."""
    test = out / "test_run.py"
    out.mkdir(parents=True)
    test.write_text(f"def test_run():\n    {RUN.format(data=DATA, out=str(out), jobs=1)}\n")
    _python(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(test)], "0")


def ways() -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Every way of making the results, with its name."""
    for repeat in range(REPEATS):
        for hash_seed in ("1", "2"):
            for jobs in (1, 2):
                name = f"command line, PYTHONHASHSEED={hash_seed}, {jobs} processes, repeat {repeat}"
                yield name, lambda out, seed=hash_seed, n=jobs: command(out, seed, n)  # type: ignore[misc]
    yield "script", script
    yield "kernel", kernel
    yield "pytest", in_pytest


def digests(folder: Path) -> dict[str, str]:
    """Digests of what a run left."""
    spans = pd.read_parquet(folder / "spans.parquet").to_csv(index=False)
    outputs = [
        [cell.get("outputs", []) for cell in nbformat.read(path, 4).cells]
        for path in sorted(folder.glob("*/*/run.ipynb"))
    ]
    return {
        "runs.csv": _digest((folder / "runs.csv").read_bytes()),
        "spans.parquet": _digest(spans.encode()),
        "notebooks": _digest(json.dumps(outputs, sort_keys=True).encode()),
        "n_notebooks": str(len(outputs)),
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _python(arguments: list[str], hash_seed: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{arguments[:3]} failed:\n{done.stdout}\n{done.stderr}")


def main() -> None:
    """Make the results in every way and compare."""
    rows = []
    for name, make in ways():
        with tempfile.TemporaryDirectory() as temporary:
            out = Path(temporary) / "out"
            make(out)
            rows.append({"made by": name, **digests(out / "levels")})
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    different = {name: table[name].nunique() for name in ("runs.csv", "spans.parquet", "notebooks")}
    lines = [
        "# Are simulated results the same, however they are made?",
        "",
        f"Four levels, cold and warm, on {DATA} with the default profile, made {len(table)} times: from the "
        "command line with two hash seeds and one and two processes, in a script, in a kernel and in pytest.",
        "",
        "| what | different contents |",
        "| --- | --- |",
        *(f"| {name} | {count} |" for name, count in different.items()),
    ]
    write_text(OUT / "repeatability.csv", table.to_csv(index=False, lineterminator="\n"))
    write_text(OUT / "repeatability.md", "\n".join(lines) + "\n")
    print("\n".join(lines))
    raise SystemExit(any(count > 1 for count in different.values()))


if __name__ == "__main__":
    main()
