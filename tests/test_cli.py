"""The command line's answer to wrong input: one clear line, exit code 2, nothing written over."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from swarmlab.cli import main

GOOD = ("--levels", "full", "--data", "beverage:2000")
Swarmlab = Callable[..., tuple[int, str, str]]
HEADER = "sale_date,brand,category,units_sold,total_revenue\n"


@pytest.fixture
def swarmlab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Swarmlab:
    """Run the console script's entry point here; returns exit code, output and errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["swarmlab", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files with a mistake each, as the working directory."""
    folder = tmp_path / "files"
    folder.mkdir()
    texts = {
        "broken.yaml": "levels: [full",
        "list.yaml": "- full",
        "field.yaml": "levles: [full]",
        "reserved.yaml": "data: beverage:2000\nlevels: [{name: figures, base: full}]",
        "foreign.yaml": "data: beverage:2000\nlevels: [{name: größe, base: full}]",
        "brief.yaml": "budget: -1",
        "focus.yaml": "focus: {brands: [Nobody]}",
        "plan.yaml": "plan: [oracle]",
        "binary.csv": "\x00\x01",
        "empty.csv": "",
        "columns.csv": "sale_date,brand,units_sold,total_revenue\n2024-01-01,A,1,2.0\n",
        "text.csv": HEADER + "2024-01-01,A,B,many,2.0\n",
        "model.gguf": "no model at all",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--levels", "fast"], "'fast'"),
        (["--levels", ","], "levels"),
        (["--levels", "full,full"], "listed twice"),
        ([*GOOD, "--fault", "oracle"], "'oracle'"),
        ([*GOOD, "--repeats", "0"], "'repeats'"),
        (["absent.yaml"], "absent.yaml does not exist"),
        (["broken.yaml"], "broken.yaml"),
        (["list.yaml"], "mapping"),
        (["field.yaml"], "'levles'"),
        (["reserved.yaml"], "'figures'"),
        (["foreign.yaml"], "größe"),
        ([*GOOD, "--brief", "absent.yaml"], "absent.yaml"),
        ([*GOOD, "--brief", "brief.yaml"], "'budget'"),
        ([*GOOD, "--brief", "focus.yaml"], "Nobody"),
        ([*GOOD, "--brief", "plan.yaml"], "'oracle'"),
        (["--data", "absent.csv"], "absent.csv"),
        (["--data", "groceries"], "groceries"),
        (["--data", "beverage:many"], "many"),
        (["--data", "binary.csv"], "binary.csv"),
        (["--data", "empty.csv"], "empty.csv"),
        (["--data", "columns.csv"], "category"),
        (["--data", "text.csv"], "units_sold"),
        ([*GOOD, "--model", "embedded:absent.gguf"], "absent.gguf"),
        ([*GOOD, "--model", "embedded:model.gguf"], "model.gguf"),
        ([*GOOD, "--model", "oracle:delphi"], "oracle"),
        ([*GOOD, "--model", "embedded", "--base-url", "http://localhost:1"], "base URL"),
    ],
)
def test_wrong_input_is_one_clear_line(
    swarmlab: Swarmlab, files: Path, arguments: list[str], said: str
) -> None:
    """Exit code 2, one line that names the mistake, no results folder, files as they were."""
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    code, output, errors = swarmlab("run", *arguments)
    assert code == 2
    assert output == ""
    assert errors.startswith("swarmlab: ")
    assert errors.count("\n") == 1
    assert said in errors
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before


def test_an_unwritable_results_folder_is_refused_first(swarmlab: Swarmlab, tmp_path: Path) -> None:
    """A file where a folder should be made stops the command before anything is run."""
    (tmp_path / "file").write_text("mine")
    code, output, errors = swarmlab("run", *GOOD, "--out", str(tmp_path / "file" / "sub"))
    assert (code, output) == (2, "")
    assert "cannot write" in errors
    assert errors.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_wrong_input_leaves_earlier_results_alone(swarmlab: Swarmlab, tmp_path: Path) -> None:
    """Tables and runs of an earlier experiment are untouched by a command that is refused."""
    run = tmp_path / "results" / "levels" / "full" / "cold-000-0123456789"
    run.mkdir(parents=True)
    kept = [run / "record.json", tmp_path / "results" / "levels" / "runs.csv"]
    for path in kept:
        path.write_text("earlier")
    code, _, _ = swarmlab("run", "--levels", "full,fast", "--out", str(tmp_path / "results"))
    assert code == 2
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(kept)
    assert [path.read_text() for path in kept] == ["earlier", "earlier"]


def test_a_report_of_nothing_is_refused(swarmlab: Swarmlab, tmp_path: Path) -> None:
    """A folder that is not there is named, and not made."""
    code, _, errors = swarmlab("report", str(tmp_path / "absent"))
    assert code == 2
    assert "absent" in errors
    assert not (tmp_path / "absent").exists()


def _span(span_id: str, parent: str | None, start: int, end: int, **more: object) -> dict[str, object]:
    span = {"span_id": span_id, "parent_id": parent, "links": [], "category": "framework", "name": span_id}
    times = {"agent": None, "start_ns": start, "end_ns": end, "cached": False, "attempt": 1, "status": "ok"}
    return span | times | more


def test_bottlenecks_reads_a_trace_in_json(swarmlab: Swarmlab, tmp_path: Path) -> None:
    """A trace with known times gives the known split."""
    spans = [_span("r", None, 0, 10**9), _span("t", "r", 0, 4 * 10**8, category="tool")]
    (tmp_path / "trace.json").write_text(json.dumps({"spans": spans}))
    code, output, _ = swarmlab("bottlenecks", str(tmp_path / "trace.json"), "--json")
    assert code == 0
    found = json.loads(output)
    assert found["wall_s"] == 1.0
    assert found["exclusive_s"]["tool"] == pytest.approx(0.4)
    assert sum(found["exclusive_s"].values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (_span("wrong", "nobody", 0, 1), "wrong"),
        (_span("wrong", "r", 5, 1), "wrong"),
        (_span("wrong", "r", 0, 1, category="magic"), "wrong"),
        (_span("wrong", None, 0, 1), "wrong"),
        (_span("wrong", "wrong", 0, 1), "wrong"),
        (_span("r", "r", 0, 1), "r"),
    ],
)
def test_a_malformed_trace_is_refused_by_span(
    swarmlab: Swarmlab, tmp_path: Path, wrong: dict[str, object], said: str
) -> None:
    """Unknown parent or category, bad times, two roots, a cycle, one id twice: the span is named."""
    (tmp_path / "trace.json").write_text(json.dumps({"spans": [_span("r", None, 0, 10), wrong]}))
    code, output, errors = swarmlab("bottlenecks", str(tmp_path / "trace.json"))
    assert (code, output) == (2, "")
    assert errors.count("\n") == 1
    assert said in errors.replace("swarmlab", "")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"spans": 3}', '{"spans": []}'])
def test_what_is_no_trace_is_refused(swarmlab: Swarmlab, tmp_path: Path, text: str) -> None:
    """Files without spans, and no file, are one clear line."""
    path = tmp_path / "trace.json"
    path.write_text(text)
    for place in (path, tmp_path / "absent", tmp_path):
        code, _, errors = swarmlab("bottlenecks", str(place))
        assert code == 2
        assert errors.count("\n") == 1
