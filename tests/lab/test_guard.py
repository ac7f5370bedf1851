"""The regression guard: noise told from change, and what cannot be told."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from side_fakes import MACHINE, fake_failure, fake_record, fake_runs, write_fake

from swarmlab.agents.levels import LEVELS, Level
from swarmlab.errors import StoreError, UserError
from swarmlab.lab.guard import against
from swarmlab.records.record import Record
from swarmlab.records.regression import WIDEST, time_verdict


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """The published runs: `full` at three seconds, `none` at fifteen."""
    return write_fake(tmp_path / "reference" / "levels", fake_runs("none", 15.0), fake_runs("full", 3.0))


def new(tmp_path: Path, *groups: list[Record], **options: object) -> Path:
    """New runs, beside the reference."""
    return write_fake(tmp_path / "levels", *groups, **options)


def only(folder: Path, reference: Path, **options: float):
    """The guard and its one change."""
    guard = against(folder, reference, **options)
    (row,) = guard.changes
    return guard, row


@pytest.mark.parametrize(
    ("seconds", "verdict", "is_regression"),
    [
        (3.0, "no change shown", False),
        (3.03, "no change shown", False),
        (3.6, "slower", True),
        (2.4, "faster", False),
    ],
)
def test_noise_is_told_from_change(
    tmp_path: Path, reference: Path, seconds: float, verdict: str, is_regression: bool
) -> None:
    """A fifth slower is a regression, a fifth faster a change, a hundredth neither."""
    guard, row = only(new(tmp_path, fake_runs("full", seconds)), reference)
    assert (row.verdict, guard.is_regression) == (verdict, is_regression)
    assert row.ratio == pytest.approx(seconds / 3, rel=0.02)
    assert row.low < row.ratio < row.high


def test_a_wider_tolerance_takes_more_for_noise(tmp_path: Path, reference: Path) -> None:
    """What is beyond five per cent may be within thirty."""
    folder = new(tmp_path, fake_runs("full", 3.6))
    assert only(folder, reference, tolerance=0.3)[1].verdict == "no change shown"


@given(st.floats(0.2, 5), st.floats(1, 2), st.floats(0.01, 0.3))
def test_the_time_verdict_is_as_defined(ratio: float, half: float, tolerance: float) -> None:
    """Slower and faster need the whole interval beyond the tolerance; exchanging the sides exchanges them."""
    low, high = ratio / half, ratio * half
    verdict = time_verdict(low, high, tolerance)
    assert (verdict == "slower") == (low > 1 + tolerance)
    assert (verdict == "faster") == (high < 1 / (1 + tolerance))
    if verdict == "no change shown":
        assert half <= (1 + WIDEST * tolerance) * (1 + 1e-9)


def test_too_few_runs_cannot_tell(tmp_path: Path, reference: Path) -> None:
    """Two runs have no unpaired interval; it says so and is no regression."""
    guard, row = only(new(tmp_path, fake_runs("full", 9.0, 2)), reference)
    assert (row.verdict, row.why) == ("cannot tell", "too few runs for an interval")
    assert not guard.is_regression


def test_a_wide_interval_cannot_tell(tmp_path: Path, reference: Path) -> None:
    """An interval in which a change could hide is not "no change"."""
    wild = [fake_record("full", repeat, seconds) for repeat, seconds in enumerate((2.0, 4.5, 3.0))]
    assert "too wide" in only(new(tmp_path, wild), reference)[1].why


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ({"cpu_model": "another"}, "cpu_model fake cpu became another"),
        ({"cores": 64}, "cores 2 became 64"),
        ({"packages": {"pandas": "2.0", "swarmlab": "9.9"}}, "pandas 1.0 became 2.0"),
    ],
)
def test_another_machine_cannot_be_timed(
    tmp_path: Path, reference: Path, machine: dict[str, object], said: str
) -> None:
    """Other hardware or packages: durations are not compared, quality and tokens are."""
    worse = fake_runs("full", 9.0, decision_accuracy=0.5, total_tokens=2000)
    guard, row = only(new(tmp_path, worse, machine=MACHINE | machine), reference)
    assert row.verdict == "cannot tell"
    assert said in row.why
    assert row.ratio is None
    assert (row.tokens_new, row.tokens_reference) == (2000, 1000)
    assert row.is_worse
    assert guard.is_regression


def test_the_code_s_own_version_is_what_is_guarded(tmp_path: Path, reference: Path) -> None:
    """Another version of swarmlab, and packages that only one side looked up, do not stop the comparison."""
    packages = {"swarmlab": "9.9", "pandas": "1.0", "only-here": "1", "only-there": "2"}
    folder = new(
        tmp_path, fake_runs("full", 3.0, code_version="new"), machine=MACHINE | {"packages": packages}
    )
    assert only(folder, reference)[1].verdict == "no change shown"


def test_another_model_file_cannot_be_timed(tmp_path: Path, reference: Path) -> None:
    """The same model's name over another file is another model."""
    row = only(new(tmp_path, fake_runs("full", 3.0, model_hash="n" * 64)), reference)[1]
    assert "the model file is another" in row.why


def test_no_manifest_means_no_known_machine(tmp_path: Path, reference: Path) -> None:
    """Where nothing says what machine it was, time is not compared."""
    row = only(new(tmp_path, fake_runs("full", 3.0), machine=None), reference)[1]
    assert "what machine" in row.why


def test_virtual_time_needs_no_machine(tmp_path: Path) -> None:
    """A simulated duration does not depend on the machine."""
    runs = fake_runs("full", 3.0, clock="virtual", profile="p")
    old = write_fake(tmp_path / "old", runs)
    folder = new(tmp_path, runs, machine=MACHINE | {"cores": 64})
    assert only(folder, old)[1].verdict == "no change shown"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"work_id": "v"}, "other work"),
        ({"model": "other"}, "other model"),
        ({"data_name": "other"}, "other data"),
        ({"data_fingerprint": "e" * 64}, "other data"),
    ],
)
def test_unlike_runs_cannot_be_told(
    tmp_path: Path, reference: Path, changes: dict[str, object], said: str
) -> None:
    """Other work, model or data: nothing is compared but the failures, and the row says why."""
    row = only(new(tmp_path, fake_runs("full", 9.0, **changes)), reference)[1]
    assert row.verdict == "cannot tell"
    assert said in row.why
    assert row.scores == ()


def test_other_switches_under_one_name_cannot_be_told(tmp_path: Path, reference: Path) -> None:
    """A level that was redefined is another level."""
    changed = Level(**LEVELS["full"].model_dump() | {"output": "prose"})
    row = only(new(tmp_path, fake_runs("full", 3.0), levels=(changed,)), reference)[1]
    assert "another level under the same name: output differ" in row.why


@pytest.mark.parametrize("metric", ["decision_accuracy", "groundedness", "fact_coverage"])
def test_a_lower_score_is_a_regression(tmp_path: Path, reference: Path, metric: str) -> None:
    """A score whose repeats agree and that fell by more than the margin is worse."""
    guard, row = only(new(tmp_path, fake_runs("full", 3.0, **{metric: 0.7})), reference)
    assert [score.metric for score in row.scores if score.is_worse] == [metric]
    assert guard.is_regression


def test_scores_that_vary_need_an_interval(tmp_path: Path, reference: Path) -> None:
    """Where repeats of a work score unlike, a fall within their noise is no regression."""
    noisy = fake_runs("full", 3.0, decision_accuracy=lambda repeat: 0.75 + 0.1 * (repeat % 2))
    noisy[0] = noisy[0].model_copy(update={"decision_accuracy": 0.6})
    guard, row = only(new(tmp_path, noisy), reference)
    score = {score.metric: score for score in row.scores}["decision_accuracy"]
    assert score.low < score.difference < score.high
    assert not guard.is_regression


def test_other_facts_are_a_regression(tmp_path: Path, reference: Path) -> None:
    """Tool facts that are not what they were on the same work are worse, whatever the scores."""
    guard, row = only(new(tmp_path, fake_runs("full", 3.0, facts_hash="other")), reference)
    assert row.facts == "differ"
    assert guard.is_regression


def test_a_new_failure_is_a_regression(tmp_path: Path, reference: Path) -> None:
    """One failed run where the reference had none is told, with or without times."""
    guard, row = only(new(tmp_path, [*fake_runs("full", 3.0), fake_failure("full", 10)]), reference)
    assert (row.failed_new, row.failed_reference, guard.is_regression) == (1, 0, True)
    tmp = tmp_path / "all"
    failed = new(tmp, [fake_failure("full", repeat) for repeat in range(3)])
    assert only(failed, reference)[0].is_regression


def test_a_broken_record_is_a_failure(tmp_path: Path, reference: Path) -> None:
    """A run that cannot be read any more counts among those that failed."""
    folder = new(tmp_path, fake_runs("full", 3.0))
    (folder / "full" / "cold-000-full" / "record.json").write_text("{")
    assert only(folder, reference)[1].failed_new == 1


def test_levels_and_cache_states_in_both_are_compared(tmp_path: Path, reference: Path) -> None:
    """Each level and cache state in both is a row; a level that was not run anew is named."""
    folder = new(tmp_path, fake_runs("full", 3.0), fake_runs("full", 1.0, cache_state="warm"))
    guard = against(folder, reference)
    assert [(row.level, row.cache_state) for row in guard.changes] == [("full", "cold")]
    assert guard.not_run == ("none",)


def test_a_folder_of_experiments_is_matched_by_name(tmp_path: Path, reference: Path) -> None:
    """The parent of several references gives the one of the new runs' name; two parents give all shared."""
    write_fake(tmp_path / "reference" / "other", fake_runs("full", 1.0))
    folder = new(tmp_path / "results", fake_runs("full", 3.6))
    for side in (folder, folder.parent):
        guard = against(side, reference.parent)
        assert [(row.experiment, row.verdict) for row in guard.changes] == [("levels", "slower")]


def test_two_folders_are_compared_whatever_their_names(tmp_path: Path, reference: Path) -> None:
    """One results folder against one reference need not be called alike."""
    folder = write_fake(tmp_path / "mine", fake_runs("full", 3.0))
    assert only(folder, reference)[1].verdict == "no change shown"


def test_several_works_are_compared_each_with_itself(tmp_path: Path) -> None:
    """Works that take unlike long do not widen the interval, with one run each as well."""
    runs = [
        [
            record.model_copy(
                update={"wall_ns": record.wall_ns * (1 + i), "duration_s": record.wall_ns * (1 + i) / 1e9}
            )
            for i, record in enumerate(fake_runs("full", seconds, 8, works=8))
        ]
        for seconds in (3.0, 3.9)
    ]
    old = write_fake(tmp_path / "old", runs[0])
    row = only(new(tmp_path, runs[1]), old)[1]
    assert (row.verdict, row.n_works) == ("slower", 8)
    assert row.ratio == pytest.approx(1.3)


def test_bad_input_is_refused(tmp_path: Path, reference: Path) -> None:
    """Missing folders, the same results, nothing in common, numbers out of range: the user's to mend."""
    folder = new(tmp_path, fake_runs("partial", 3.0))
    with pytest.raises(StoreError, match="does not exist"):
        against(tmp_path / "nowhere", reference)
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="holds no runs"):
        against(tmp_path / "empty", reference)
    with pytest.raises(UserError, match="the same results"):
        against(reference, reference)
    with pytest.raises(UserError, match="no level and cache state in common"):
        against(folder, reference)
    with pytest.raises(UserError, match=r"no experiment in common: .* has mine; .* has levels"):
        against(write_fake(tmp_path / "mine", fake_runs("full", 3.0)), reference.parent)
    for options in ({"tolerance": 0}, {"margin": 1}):
        with pytest.raises(UserError, match="above 0 and below 1"):
            against(folder, reference, **options)


def test_it_is_shown_as_table_and_json(tmp_path: Path, reference: Path) -> None:
    """The table fits 120 columns and marks the regression; the JSON has the same verdicts."""
    folder = new(tmp_path, fake_runs("full", 3.6), fake_runs("none", 15.0))
    guard = against(folder, reference)
    console = Console(width=120, record=True, markup=False, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(guard)
    text = console.export_text()
    assert all(len(line) <= 120 for line in text.splitlines())
    assert "REGRESSION" in text
    data = json.loads(json.dumps(guard.as_dict(), allow_nan=False))
    assert data["is_regression"]
    assert {row["level"]: row["verdict"] for row in data["changes"]} == {
        "none": "no change shown",
        "full": "slower",
    }


SIMULATED = {"clock": "virtual", "model": "simulated:p", "profile": "p"}


def test_measured_and_simulated_times_are_never_compared(tmp_path: Path, reference: Path) -> None:
    """New runs of the other clock are the user's error, not a verdict."""
    folder = new(tmp_path, fake_runs("full", 3.0, **SIMULATED))
    with pytest.raises(UserError, match="measured and simulated times are never compared") as error:
        against(folder, reference)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(("seconds", "verdict"), [(3.0, "no change shown"), (3.3, "slower"), (2.7, "faster")])
def test_one_simulated_run_is_enough(tmp_path: Path, seconds: float, verdict: str) -> None:
    """Equal code gives equal virtual times, so a single pair is exact, and the table says simulated."""
    old = write_fake(tmp_path / "old", fake_runs("full", 3.0, 1, **SIMULATED))
    guard, row = only(new(tmp_path, fake_runs("full", seconds, 1, **SIMULATED)), old)
    assert row.verdict == verdict
    assert row.low == row.high == pytest.approx(seconds / 3)
    console = Console(width=120, markup=False)
    with console.capture() as captured:
        console.print(guard)
    assert "New runs against the reference (simulated: p)" in captured.get()


def test_other_figures_of_a_profile_are_no_regression(tmp_path: Path) -> None:
    """A profile that was fitted anew makes times incomparable, as another machine does."""
    old = write_fake(tmp_path / "old", fake_runs("full", 3.0, **SIMULATED))
    row = only(new(tmp_path, fake_runs("full", 9.0, **SIMULATED, model_hash="n" * 64)), old)[1]
    assert (row.verdict, row.why) == ("cannot tell", "the profile has other figures")
