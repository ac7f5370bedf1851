"""The study's phases in simulation: the mix, the targets, the files, and bad specs."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lab_fakes import DATA
from typer.testing import CliRunner

from swarmlab.cli import app
from swarmlab.errors import SpecError
from swarmlab.lab.study.phases import Mix, is_phases_spec, load_phases_spec, run_phases, sequence
from swarmlab.records.phases import PhaseTables

ROOT = Path(__file__).parents[2]


def spec_of(folder: Path, **changes: Any) -> Path:
    """The shipped experiment, made small."""
    fields = yaml.safe_load((ROOT / "experiments" / "phases.yaml").read_text())
    small = {"data": DATA, "fresh": 2, "mix": {"analyses": 6, "repeat_share": 0.6}, "briefs": [{}]}
    path = folder / "phases.yaml"
    path.write_text(yaml.safe_dump({**fields, **small, **changes}))
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> PhaseTables:
    """The small experiment's tables."""
    folder = tmp_path_factory.mktemp("phases")
    return run_phases(spec_of(folder), folder / "out")[1]


def test_every_phase_is_run_on_every_profile(tables: PhaseTables) -> None:
    """Two profiles of four phases each; every run found every fact, and all of it is virtual."""
    phases = tables.phases
    assert list(phases["level"]) == ["baseline", "phase-1", "phase-2", "phase-3"] * 2
    assert list(phases["profile"].unique()) == ["embedded-2core", "openai-gpt-4.1-mini"]
    assert (phases["clock"] == "virtual").all()
    assert (phases["fact_coverage"] == 1).all()
    assert (phases["error_rate"] == 0).all()


def test_repeated_analyses_are_served_from_cache_where_there_is_one(tables: PhaseTables) -> None:
    """With the whole analysis kept, each repeat is a hit; the baseline keeps nothing and looks nothing up."""
    phases = tables.phases.set_index(["profile", "level"])
    for profile in phases.index.unique("profile"):
        assert pd.isna(phases.loc[(profile, "baseline"), "hit_rate"])
        assert (phases.loc[profile].loc[["phase-1", "phase-2", "phase-3"], "hit_rate"] == 1).all()


def test_each_of_the_study_s_targets_is_met_or_missed_by_its_value(tables: PhaseTables) -> None:
    """Five targets a phase after the baseline; `met` is what value and goal say."""
    targets = tables.targets
    assert len(targets) == 2 * 3 * 5
    assert set(targets["metric"]) == {
        *("duration_s", "duration_reduction", "tokens_per_s", "cache_hit_rate", "error_rate")
    }
    for row in targets.itertuples():
        below = row.comparison == "below"
        assert row.met == (row.value < row.goal if below else row.value > row.goal)


def test_equal_runs_write_equal_bytes(tmp_path: Path) -> None:
    """Two runs of the command write the same tables and page, which call themselves simulated."""
    spec = spec_of(tmp_path)
    for out in ("one", "two"):
        done = CliRunner().invoke(app, ["run", str(spec), "--out", str(tmp_path / out)])
        assert done.exit_code == 0, done.output
        assert "simulated" in done.output
    for name in ("phases.csv", "targets.csv", "phases.md", "figures/phases.png", "figures/phases.svg"):
        first, second = ((tmp_path / out / "phases" / name).read_bytes() for out in ("one", "two"))
        assert first == second
    assert "simulated: embedded-2core" in (tmp_path / "one" / "phases" / "phases.md").read_text()


@given(analyses=st.integers(2, 200), share=st.floats(0, 1), seed=st.integers(0, 1000))
def test_a_mix_has_exactly_its_share_of_repeats(analyses: int, share: float, seed: int) -> None:
    """Repeats are of works asked before, new ones come in order, and their number is what was asked for."""
    order = sequence(Mix(analyses=analyses, repeat_share=share), seed)
    assert len(order) == analyses
    assert sum(is_repeat for _, is_repeat in order) == round(share * (analyses - 1))
    asked: list[int] = []
    for work, is_repeat in order:
        assert (work in asked) == is_repeat
        if not is_repeat:
            assert work == len(asked)
            asked.append(work)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"profiles": ["no-such"]}, "unknown profile 'no-such'"),
        ({"profiles": []}, "profiles"),
        ({"mix": {"repeat_share": 1.5}}, "mix.repeat_share"),
        ({"phases": [{"level": "full", "study_phase": 3}] * 2}, "baseline"),
        ({"phases": [{"level": "blackboard", "study_phase": 0}] * 2}, "same name"),
        ({"phases": [{"level": "quick", "study_phase": 0}, {"level": "full", "study_phase": 1}]}, "quick"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
)
def test_a_bad_spec_is_refused_by_file_and_field(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """The error names the file and what is wrong in it, and the command ends with exit code 2."""
    path = spec_of(tmp_path, **changes)
    assert is_phases_spec(path)
    with pytest.raises(SpecError, match=r"phases\.yaml") as raised:
        load_phases_spec(path)
    assert said in str(raised.value)
    assert raised.value.exit_code == 2
