"""What the cache's faults cost: runs its fault tests, the long ones too, and writes down what they counted.

Writes `results/reference/cache_faults.csv` and `.md`; took 25 minutes beside other work. On a machine
without strace, PostgreSQL or the right to mount a disk the table says which tests were skipped, and why.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from swarmlab.records.atomic import write_text
from swarmlab.records.manifest import environment

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "results" / "reference"
TESTS = ("tests/tools/test_cache_state_machine.py", *sorted(ROOT.glob("tests/tools/test_cache_faults_*.py")))


def run_tests(report: Path) -> int:
    """Run the tests; returns pytest's exit code."""
    # In the form of report that keeps what the tests have counted; `-m ""` for the long ones too.
    options = ["-q", "-m", "", "-o", "junit_family=xunit1", f"--junitxml={report}"]
    return subprocess.run([sys.executable, "-m", "pytest", *options, *map(str, TESTS)], cwd=ROOT).returncode


def rows(report: Path) -> Iterator[dict[str, Any]]:
    """One row a test: what became of it and what it counted."""
    for case in ElementTree.parse(report).iter("testcase"):
        verdict = next(
            (each for each in ("failure", "error", "skipped") if case.find(each) is not None), "passed"
        )
        counted = [f"{p.get('name')}: {p.get('value')}" for p in case.iter("property")]
        if verdict == "skipped":
            counted.append(str(case.find("skipped").get("message")))
        yield {
            "test": _title(case),
            "verdict": verdict,
            "counted": "; ".join(counted).replace("'", ""),
            "duration_s": round(float(case.get("time", 0)), 1),
        }


def _title(case: ElementTree.Element) -> str:
    name = str(case.get("name"))
    # A state machine's only test has no name of its own.
    return (
        str(case.get("classname")).split(".")[-1]
        if name == "runTest"
        else name.removeprefix("test_").replace("_", " ")
    )


def main() -> None:
    """Run the tests and write the tables."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        code = run_tests(report)
        table = pd.DataFrame(rows(report))
    write_text(OUT / "cache_faults.csv", table.to_csv(index=False, lineterminator="\n"))
    machine = environment(["filelock", "SQLAlchemy", "psycopg"])
    lines = ["# The cache's faults", "", "| test | verdict | counted |", "| --- | --- | --- |"]
    lines += [f"| {row.test} | {row.verdict} | {row.counted} |" for row in table.itertuples()]
    lines += ["", f"{machine['cpu_model']}, {machine['cores_usable']} cores, {machine['python']}."]
    write_text(OUT / "cache_faults.md", "\n".join(lines) + "\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
