"""`compare`: which runs two names stand for, what is compared, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from side_fakes import fake_failure, fake_record, fake_runs, write_fake

from swarmlab.agents.levels import LEVELS, Level
from swarmlab.errors import SpecError, StoreError, UserError
from swarmlab.lab.compare import compare
from swarmlab.records.collect import collect

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference" / "levels"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """An experiment in which `full` is five times as fast as `none`, ten blocks each."""
    return write_fake(tmp_path / "levels", fake_runs("none", 15.0), fake_runs("full", 3.0))


def printed(found: object) -> str:
    """As shown in a terminal of 120 columns."""
    console = Console(width=120, record=True, markup=False, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(found)
    return console.export_text()


def test_two_levels_of_the_results_folder(results: Path) -> None:
    """Bare names are levels of `results`; B is so many times faster, in pairs, with interval, n and unit."""
    (row,) = compare("none", "full", results=results).rows
    assert row.speed.ratio_median == pytest.approx(5, rel=0.05)
    assert row.speed.low < row.speed.ratio_median < row.speed.high
    assert (row.speed.n, row.speed.n_works, row.speed.is_paired) == (10, 1, True)
    assert not row.speed.is_exploratory
    assert row.a.failure_bound == "below 3/10 (30%)"
    assert row.facts == "identical"


def test_the_ratio_is_over_blocks(tmp_path: Path) -> None:
    """A block on a slow machine cancels out: only pairs of equal work and block are divided."""
    slow = [1.0, 3.0, 1.0, 2.0]
    groups = [
        [fake_record(level, i, seconds * factor) for i, factor in enumerate(slow)]
        for level, seconds in (("none", 10.0), ("full", 2.0))
    ]
    (row,) = compare("none", "full", results=write_fake(tmp_path / "x", *groups)).rows
    assert (row.speed.low, row.speed.high) == (pytest.approx(5), pytest.approx(5))
    assert "exploratory" in row.note


@pytest.mark.parametrize(
    "name",
    [
        lambda folder: f"{folder}:full",
        lambda folder: str(folder / "full"),
        lambda folder: str(folder / "full") + "/",
    ],
)
def test_a_level_has_several_names(results: Path, name: object) -> None:
    """FOLDER:LEVEL and the level's folder stand for the same runs as its bare name."""
    by_name = compare("none", "full", results=results).rows[0]
    assert compare("none", name(results), results=results).rows[0].speed == by_name.speed  # type: ignore[operator]


def test_one_run_against_a_level(results: Path) -> None:
    """A run's folder is a side: one pair, a ratio, no interval, and it says so."""
    (row,) = compare("none", str(results / "full" / "cold-003-full"), results=results).rows
    assert (row.speed.n, row.speed.low) == (1, None)
    assert row.b.attempted == 1
    assert "no interval at this n" in row.note


def test_two_folders_level_by_level(results: Path, tmp_path: Path) -> None:
    """Levels in both folders are matched by name, and unpaired, for they share no block."""
    other = write_fake(tmp_path / "other", fake_runs("full", 6.0), fake_runs("partial", 9.0))
    (row,) = compare(str(results), str(other)).rows
    assert (row.a.level, row.b.level) == ("full", "full")
    assert row.speed.ratio == pytest.approx(0.5, rel=0.05)
    assert not row.speed.is_paired
    assert row.speed.ratio_median is None
    assert "not run in the same blocks" in row.note


def test_published_results_are_read_without_their_run_folders(results: Path, tmp_path: Path) -> None:
    """Where only the Parquet tables are left they are enough."""
    collect(results)
    published = tmp_path / "published"
    published.mkdir()
    for name in ("runs.parquet", "spans.parquet", "manifest.json"):
        shutil.copy(results / name, published / name)
    by_table = compare("none", "full", results=published).rows[0]
    assert by_table.speed == compare("none", "full", results=results).rows[0].speed


def test_cold_and_warm_are_separate_rows(tmp_path: Path) -> None:
    """One row for each cache state that both sides have; `cache` picks one."""
    groups = [
        fake_runs(level, 3.0, 3, cache_state=state)
        for level in ("none", "full")
        for state in ("cold", "warm")
    ]
    folder = write_fake(tmp_path / "x", *groups, fake_runs("none", 3.0, 1, cache_state="mixed"))
    assert [row.cache_state for row in compare("none", "full", results=folder).rows] == ["cold", "warm"]
    assert [row.cache_state for row in compare("none", "full", results=folder, cache="warm").rows] == ["warm"]


def test_runs_that_took_no_time_have_no_ratio_and_did_not_fail(tmp_path: Path) -> None:
    """A warm run in virtual time takes none: the note says that, and not that no run succeeded."""
    warm = {"cache_state": "warm", "clock": "virtual", "model": "simulated"}
    groups = [fake_runs("none", 3.0, 2, **warm), fake_runs("full", 0.0, 2, **warm)]
    (row,) = compare("none", "full", results=write_fake(tmp_path / "x", *groups)).rows
    assert row.speed.ratio is None
    assert row.speed.method == "none: it took no time, so there is no ratio"


def test_several_works_are_paired_each_with_itself(tmp_path: Path) -> None:
    """Pairs are formed within a work, quality is over works, and works of one side only are left out."""
    better = {"decision_accuracy": lambda repeat: 0.8 + 0.01 * (repeat % 6)}
    folder = write_fake(
        tmp_path / "x",
        fake_runs("none", 10.0, 12, works=6),
        fake_runs("full", 5.0, 12, works=6, **better),
        [fake_record("full", 12, work_id="w9")],
    )
    (row,) = compare("none", "full", results=folder).rows
    assert (row.speed.n, row.speed.n_works, row.only_b) == (12, 6, ("w9",))
    score = {score.metric: score for score in row.scores}["decision_accuracy"]
    assert (score.n_works, score.difference) == (6, pytest.approx(0.025))
    assert score.low < 0.025 < score.high
    assert row.b.attempted == 12


def test_failures_stand_beside_the_speed(tmp_path: Path) -> None:
    """A pair in which one failed is lost, attempted keeps it, and its error is kept."""
    full = [*fake_runs("full", 3.0, 3), fake_failure("full", 3)]
    folder = write_fake(tmp_path / "x", fake_runs("none", 15.0, 4), full)
    (row,) = compare("none", "full", results=folder).rows
    assert (row.b.attempted, row.b.succeeded, row.speed.n) == (4, 3, 3)
    assert row.b.failure_bound == "1 of 4 failed"
    assert row.b.errors == ("made up",)


def test_a_level_that_only_failed_is_a_row(tmp_path: Path) -> None:
    """Without a run that succeeded there is a row with its failures and no ratio, and no error."""
    folder = write_fake(
        tmp_path / "x", fake_runs("none", 15.0, 3), [fake_failure("full", repeat) for repeat in range(3)]
    )
    found = compare("none", "full", results=folder)
    (row,) = found.rows
    assert (row.b.attempted, row.b.succeeded, row.speed.ratio) == (3, 0, None)
    assert "0 of 3" in printed(found)
    assert json.loads(json.dumps(found.as_dict()))["rows"][0]["speed"]["ratio"] is None


def test_a_broken_record_counts_as_a_failure(results: Path) -> None:
    """A run whose record cannot be read is attempted and did not succeed."""
    (results / "full" / "cold-004-full" / "record.json").write_text("{")
    (row,) = compare("none", "full", results=results).rows
    assert (row.b.attempted, row.b.succeeded, row.speed.n) == (10, 9, 9)


def test_an_a_a_pair_is_checked(tmp_path: Path) -> None:
    """Where the folder holds a level twice its A/A interval stands with the comparison."""
    again = Level(**LEVELS["full"].model_dump() | {"name": "full-again"})
    folder = write_fake(
        tmp_path / "x",
        fake_runs("none", 15.0),
        fake_runs("full", 3.0),
        fake_runs("full-again", 3.0, level_id=again.switches_id),
        levels=(*LEVELS.values(), again),
    )
    (row,) = compare("none", "full", results=folder).rows
    (check,) = row.aa
    assert (check.level, check.twin, check.covers_1) == ("full", "full-again", True)
    assert "A/A with full-again" in row.note


def test_simulated_runs_say_so(tmp_path: Path) -> None:
    """On a virtual clock the row is marked simulated, with its profile."""
    runs = [fake_runs(level, 3.0, 2, clock="virtual", profile="fake-profile") for level in ("none", "full")]
    found = compare("none", "full", results=write_fake(tmp_path / "x", *runs))
    assert found.as_dict()["rows"][0]["kind"] == "simulated"
    assert "simulated" in found.markdown()
    assert "fake-profile" in printed(found)


def test_it_is_shown_as_table_markdown_and_json(results: Path) -> None:
    """The three ways to show it hold the same ratio, tokens and quality, and the table fits 120 columns."""
    found = compare("none", "full", results=results)
    ratio = f"{found.rows[0].speed.ratio_median:.2f}"
    table, page, data = (
        printed(found),
        found.markdown(),
        json.loads(json.dumps(found.as_dict(), allow_nan=False)),
    )
    assert ratio in table
    assert ratio in page
    assert all(len(line) <= 120 for line in table.splitlines())
    assert "decisions right" in table
    assert "equal on every work" in page
    assert set(data["rows"][0]) >= {
        "a",
        "b",
        "speed",
        "scores",
        "works",
        "facts",
        "aa",
        "note",
        "cache_state",
        "kind",
    }
    assert data["rows"][0]["speed"]["unit"] == "times as fast: duration of A over duration of B"


def test_names_cannot_break_the_markdown(tmp_path: Path) -> None:
    """A bar or tag in a model's name stays text."""
    runs = [fake_runs(level, 3.0, 2, model="a|b<script>") for level in ("none", "full")]
    page = compare("none", "full", results=write_fake(tmp_path / "x", *runs)).markdown()
    assert "a\\|b\\<script\\>" in page


def refused(a: str, b: str, results: Path) -> str:
    """Return why the comparison is refused; the error is the user's to mend."""
    with pytest.raises(UserError) as error:
        compare(a, b, results=results)
    assert error.value.exit_code == 2
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"clock": "virtual"}, "never compared"),
        ({"model": "other"}, "model fake-model against other"),
        ({"data_name": "other"}, "data fake-data against other"),
        ({"data_fingerprint": "e" * 64}, "data fingerprint"),
        ({"cache_state": "warm"}, "cache state cold against warm"),
        ({"profile": "p"}, "profile not known against p"),
        ({"work_id": "v", "seed": 8}, "exam (seed 7 against 8)"),
        ({"work_id": "v"}, "the brief differs"),
        ({"work_id": None, "status": "failed", "error": "x", "wall_ns": None}, "do not say what work"),
        ({"model_hash": "n" * 64}, "model file differs"),
    ],
)
def test_unlike_runs_are_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    """Other clock, model, data, cache state or work is never compared, and the message says which it is."""
    runs = [fake_runs("none", 3.0, 2), fake_runs("full", 3.0, 2, **changes)]
    assert said in refused("none", "full", write_fake(tmp_path / "x", *runs))


def test_other_briefs_are_said(tmp_path: Path) -> None:
    """Across folders the manifests tell whether the brief differs as well as the exam."""
    a = write_fake(tmp_path / "a", fake_runs("full", 3.0, 2))
    runs = fake_runs("full", 3.0, 2, work_id="v", seed=8)
    b = write_fake(tmp_path / "b", runs, spec={"levels": [], "brief": {"audience": "other"}})
    assert "exam (seed 7 against 8) and brief differs" in refused(str(a), str(b), a)


def test_the_same_runs_are_refused(results: Path) -> None:
    """A level against itself, by whatever names, is not a comparison."""
    for a, b in (
        ("full", "full"),
        ("full", f"{results}:full"),
        (str(results), str(results)),
        ("full", str(results)),
    ):
        assert "two different sides" in refused(a, b, results)


def test_an_unknown_level_names_the_nearest(results: Path) -> None:
    """A misspelt level is answered with the level that was meant."""
    with pytest.raises(SpecError, match=r"no level 'ful' .*did you mean 'full'\?.*it has none, full"):
        compare("none", "ful", results=results)
    with pytest.raises(SpecError, match="no level 'other'"):
        compare("none", f"{results}:other", results=results)


def test_no_level_in_common_lists_both(results: Path, tmp_path: Path) -> None:
    """Folders of several levels without a shared one say what each has."""
    other = write_fake(tmp_path / "y", fake_runs("partial", 1.0, 2), fake_runs("blackboard", 1.0, 2))
    assert "has none, full; " in refused(str(results), str(other), results)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("{tmp}/nowhere", "does not exist"),
        ("{tmp}/empty", "holds no runs"),
        ("{tmp}", "its results folders are"),
        ("{tmp}/file.txt", "is a file"),
        ("{tmp}/nowhere:full", "does not exist"),
    ],
)
def test_a_bad_path_is_said(results: Path, tmp_path: Path, name: str, said: str) -> None:
    """A path that is not there, empty, a file or a folder of experiments is named, with what to do."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(StoreError, match=said):
        compare("none", name.format(tmp=tmp_path), results=results)


def test_a_level_without_results_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """A bare name where nothing was run yet says so."""
    with pytest.raises(StoreError, match=r"no results at .*nothing"):
        compare("none", "full", results=tmp_path / "nothing")


def test_runs_of_another_setting_are_not_compared(tmp_path: Path) -> None:
    """A folder whose every run was set aside holds no runs of its manifest's setting."""
    runs = [fake_record("full", 0, setting_id="old"), fake_record("none", 0, setting_id="old")]
    folder = write_fake(tmp_path / "x", runs, setting_id="new")
    with pytest.raises(StoreError, match="no runs of the setting"):
        compare("none", "full", results=folder)


def test_the_reference_compares() -> None:
    """The committed reference gives full against blackboard as its own table has it."""
    (row,) = compare("blackboard", "full", results=REFERENCE, cache="cold").rows
    assert row.speed.n >= 10
    assert row.speed.low > 2
    assert row.facts == "identical"
    assert row.roster_differs
