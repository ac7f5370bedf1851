"""What-ifs: from traces to predictions, from changes to switches, and from predictions to outcomes."""

import asyncio
import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from side_fakes import fake_runs, write_fake
from typer.testing import CliRunner

from swarmlab.agents.levels import LEVELS, make_level
from swarmlab.cli import app
from swarmlab.errors import SpecError, StoreError, TraceError, UserError
from swarmlab.lab import bottlenecks_tables, trace_bottlenecks
from swarmlab.lab.changed import changed_run
from swarmlab.lab.known_graphs import KnownGraph, changed_graph, run_known_graph
from swarmlab.lab.whatif import traces_at, whatif
from swarmlab.lab.whatif_experiment import whatif_experiment
from swarmlab.lab.whatif_spec import load_whatif_spec
from swarmlab.records.predictions import error_summary, outcomes_frame
from swarmlab.trace.changes import parse_changes
from swarmlab.trace.clock import WallClock
from swarmlab.trace.summary import bottlenecks

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "levels"
BARRIER = {
    "name": "barrier",
    "nodes": [
        {"name": "a", "calls": {"a_call": 0.02}},
        {"name": "b", "calls": {"b_call": 0.2}},
        {"name": "a2", "needs": ["a"], "calls": {"a2_call": 0.1}},
        {"name": "join", "needs": ["a2", "b"], "calls": {"join_call": 0.01}},
    ],
}


def _spec(folder: Path, **changes: object) -> Path:
    path = folder / "graphs.yaml"
    spec = {
        "name": "w",
        "repeats": 1,
        "graphs": [{"graph": BARRIER, "changes": [["no-barriers"]]}],
        **changes,
    }
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return path


def test_a_levels_folder_gives_all_its_cold_runs() -> None:
    """Ten reference runs of a level make one prediction, with their spread as its interval."""
    told = whatif(REFERENCE / "full", ["tool=2x"])
    assert told.prediction.n_runs == 10
    assert told.cache_state == "cold"
    assert told.prediction.low_s is not None
    assert told.prediction.predicted_s < told.prediction.measured_s
    assert json.dumps(told.as_dict())


def test_a_folder_of_several_levels_is_refused() -> None:
    """Runs of different levels are not one kind; the message names the levels."""
    with pytest.raises(SpecError, match="blackboard, full"):
        traces_at(REFERENCE)


def test_a_path_without_a_trace_is_refused(tmp_path: Path) -> None:
    """A missing or empty folder is named."""
    with pytest.raises(TraceError, match="does not exist"):
        traces_at(tmp_path / "none")
    with pytest.raises(TraceError, match=r"has no spans\.jsonl"):
        traces_at(tmp_path)


def test_changes_become_switches() -> None:
    """Each change that swarmlab has a switch for sets that switch and no other."""
    base = LEVELS["none"]
    cases = {
        "workers=4": {"tool_schedule": "parallel"},
        "context=900": {"context_tokens": 900},
        "agents=2": {"roster": "two"},
        "cache:tool=1": {"cache": ("tools",)},
        "concurrency=3": {},
    }
    for text, switches in cases.items():
        run = changed_run(base, parse_changes([text]), "changed")
        assert run.level.model_dump() == {**base.model_dump(), "name": "changed", **switches}
    assert changed_run(base, parse_changes(["workers=4"]), "c").workers == 4
    assert changed_run(base, parse_changes(["cache:tool=1"]), "c").cache_state == "warm"
    barriers = make_level({"name": "b", "base": "none", "agent_schedule": "superstep"})
    assert changed_run(barriers, parse_changes(["no-barriers"]), "c").level.agent_schedule == "dataflow"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tool=2x", "predicted, not run"),
        ("slots=2", "predicted, not run"),
        ("cache=0.5", "only a rate of 1"),
        ("agents=5", "no roster of 5"),
        ("no-barriers", "no barriers"),
    ],
)
def test_a_change_without_a_switch_is_refused(text: str, message: str) -> None:
    """What cannot be run is said before anything is."""
    with pytest.raises(SpecError, match=message):
        changed_run(LEVELS["none"], parse_changes([text]), "changed")


def test_the_barrier_is_found_and_removed() -> None:
    """A superstep holds the second branch back for as long as the sibling runs on; dataflow does not."""
    graph = KnownGraph.model_validate(BARRIER)
    found = bottlenecks(asyncio.run(run_known_graph(graph, WallClock())))
    assert found["barrier_waste_s"] == pytest.approx(0.18, abs=0.02)
    without = changed_graph(graph, parse_changes(["no-barriers"]))
    assert bottlenecks(asyncio.run(run_known_graph(without, WallClock())))["barrier_waste_s"] == 0


def test_predictions_come_before_outcomes(tmp_path: Path) -> None:
    """The first call predicts and runs nothing changed; the second tests them as they are."""
    said: list[str] = []
    folder, told, is_tested = whatif_experiment(_spec(tmp_path), tmp_path, said.append)
    assert not is_tested
    assert list(told["changes"]) == ["no-barriers"]
    assert not any("no-barriers" in line for line in said)
    written = (folder / "predictions.json").read_bytes()
    folder, table, is_tested = whatif_experiment(_spec(tmp_path), tmp_path, said.append)
    assert is_tested
    assert (folder / "predictions.json").read_bytes() == written
    assert set(pd.read_csv(folder / "whatif.csv")["changes"]) == {"no-barriers"}
    assert table["speedup"].iloc[0] > 1
    assert "error" in (folder / "whatif.md").read_text()


def test_predictions_of_another_spec_are_not_tested(tmp_path: Path) -> None:
    """A changed spec is refused; the old predictions stay."""
    folder, _, _ = whatif_experiment(_spec(tmp_path), tmp_path, lambda _: None)
    with pytest.raises(StoreError, match="another spec"):
        whatif_experiment(_spec(tmp_path, seed=9), tmp_path, lambda _: None)
    assert (folder / "predictions.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"graphs": []}, "asks nothing"),
        ({"levels": [{"base": "nope", "changes": [["workers=2"]]}]}, "nope"),
        ({"levels": [{"base": "none", "changes": [["tool=2x"]]}]}, "predicted, not run"),
        ({"graphs": [{"graph": BARRIER, "changes": [["cache=1"]]}]}, "known graph"),
        ({"graphs": [{"graph": {"name": "g", "nodes": []}, "changes": [["tool=2x"]]}]}, "nodes"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_bad_spec_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    """Each mistake is named before anything runs."""
    with pytest.raises(UserError, match=message):
        load_whatif_spec(_spec(tmp_path, **changes))


def test_errors_are_told_with_and_without_the_machines_drift() -> None:
    """Twice as slow a machine at the test shows in seconds and leaves the error of the speed-up at zero."""
    told = {
        "kind": "level",
        "base": "b",
        "changes": ["workers=2"],
        "base_s": 10.0,
        "predicted_s": 5.0,
        "predicted_speedup": 2.0,
        "low_s": 4.5,
        "high_s": 5.5,
    }
    frame = outcomes_frame([told], {"b": [20.0, 20.0], "b workers=2": [10.0, 10.0]})
    row = frame.iloc[0]
    assert (row["error"], row["error_speedup"], row["drift"]) == pytest.approx((-0.5, 0.0, 1.0))
    assert not row["in_interval"]
    assert error_summary(frame)["all"]["error_worst"] == pytest.approx(0.5)


def test_the_command_line_predicts_and_refuses(tmp_path: Path) -> None:
    """JSON for machines; an unknown change is a user's mistake with the forms listed."""
    run = str(next((REFERENCE / "full").iterdir()))
    done = CliRunner().invoke(app, ["whatif", run, "--change", "model=2x", "--json"])
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["predicted_s"] < told["measured_s"]
    assert told["changes"] == ["model=2x"]
    with pytest.raises(SpecError, match="a change is one of"):
        CliRunner().invoke(app, ["whatif", run, "--change", "faster"], catch_exceptions=False)
    with pytest.raises(SpecError, match="can be predicted, not run"):
        CliRunner().invoke(app, ["whatif", run, "--change", "model=2x", "--run", "1"], catch_exceptions=False)


SIMULATED = {"clock": "virtual", "model": "simulated:p", "profile": "p"}


def test_a_prediction_from_simulated_runs_says_so(tmp_path: Path) -> None:
    """The table's title and its first row, and the JSON, name the profile, and so do a run's bottlenecks."""
    folder = write_fake(tmp_path / "levels", fake_runs("full", 3.0, 2, **SIMULATED)) / "full"
    told = whatif(folder, ["framework=2x"])
    assert told.as_dict()["timing"] == "simulated: p"
    (table,) = told.tables()
    assert str(table.title).endswith("(simulated: p)")
    assert next(iter(table.columns[0].cells)).startswith("simulated (2 runs")
    found = trace_bottlenecks(next(folder.iterdir()))
    assert found["timing"] == "simulated: p"
    assert all("(simulated: p)" in str(shown.title) for shown in bottlenecks_tables(found))


def test_a_level_of_measured_and_simulated_runs_is_refused(tmp_path: Path) -> None:
    """The two are never averaged; one run can be named."""
    simulated = [
        run.model_copy(update={"run_id": f"v-{run.repeat}"}) for run in fake_runs("full", 3.0, 2, **SIMULATED)
    ]
    folder = write_fake(tmp_path / "levels", fake_runs("full", 3.0, 2), simulated) / "full"
    with pytest.raises(SpecError, match="never averaged"):
        traces_at(folder)
    assert traces_at(folder / "v-0")[2] == "simulated: p"
