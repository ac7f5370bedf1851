"""A real experiment, in kernels and with the embedded model, that Ctrl-C breaks and the same command ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pandas as pd
import psutil
import pytest

if os.name != "posix":
    pytest.skip("sends SIGINT to a process group", allow_module_level=True)

RUNS = 2
LAYOUT = {"run.ipynb", "record.json", "spans.jsonl", "trace.json", "answer.json", "answer.md"}


def _start(out: Path) -> "subprocess.Popen[str]":
    options = ["--levels", "full", "--data", "beverage:2000", "--repeats", str(RUNS), "--cache", "cold"]
    return subprocess.Popen(
        [sys.executable, "-c", "from swarmlab.cli import main; main()", "run", *options, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _read_until(stream: IO[str], text: str) -> str:
    read = ""
    for line in stream:
        read += line
        if text in line:
            return read
    raise AssertionError(f"{text!r} never came: {read}")


def _records(folder: Path) -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in folder.glob("*/*/record.json")}


def test_an_interrupted_experiment_is_valid_and_goes_on(tmp_path: Path) -> None:
    """SIGINT after the first run: exit code 130, valid tables, no kernel left; then only the rest."""
    folder = tmp_path / "levels"
    process = _start(tmp_path)
    assert process.stdout is not None
    _read_until(process.stdout, f"[1/{RUNS}]")
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    family += [p for p in psutil.process_iter() if _works_in(p, folder)]

    assert process.returncode == 130, output
    assert f"interrupted: 1 of {RUNS} runs are kept; the same command goes on" in output
    assert "Traceback" not in output
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    first = _records(folder)
    assert [json.loads(text)["status"] for text in first.values()] == ["ok"]
    runs = pd.read_csv(folder / "runs.csv")
    assert list(runs["status"]) == ["ok"]
    assert (folder / "report.html").is_file()
    assert not [*folder.rglob("*.tmp*"), *folder.rglob(".run-*")]

    process = _start(tmp_path)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert output.count("(on disk already)") == 1
    both = _records(folder)
    assert len(both) == RUNS
    assert all(both[path] == text for path, text in first.items())
    runs = pd.read_csv(folder / "runs.csv")
    assert list(runs["status"]) == ["ok"] * RUNS
    assert list(runs["fact_coverage"]) == [1.0] * RUNS
    assert list(runs["cache_hits"]) == [0] * RUNS
    assert runs["facts_hash"].nunique() == 1
    for path in both:
        assert {file.name for file in path.parent.iterdir()} == LAYOUT
        assert "status: ok" in (path.parent / "run.ipynb").read_text(encoding="utf-8")


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return any(str(folder) in argument for argument in process.cmdline())
    except psutil.Error:
        return False
