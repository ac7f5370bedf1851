"""`certify`: what makes each verdict, and the page and JSON that are handed on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from side_fakes import fake_failure, fake_runs, write_fake

from swarmlab.agents.levels import LEVELS, LOSSY_SWITCHES, Level
from swarmlab.errors import StoreError, UserError
from swarmlab.lab.certify import Certificate, certify
from swarmlab.records.record import Record

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference" / "levels"
Certify = Callable[..., Certificate]


@pytest.fixture
def certified(tmp_path: Path) -> Certify:
    """A function that writes two levels' runs and certifies the second against the first."""

    def make(a: list[Record], b: list[Record], margin: float = 0.05, **options: object) -> Certificate:
        folder = write_fake(tmp_path / "levels", a, b, **options)
        return certify(a[0].level, b[0].level, margin=margin, results=folder)

    return make


def scored(gap: float, n: int = 40, works: int = 40, seconds: float = 3.0, **changes: object) -> list[Record]:
    """Runs of `full`, each work's decisions about `gap` above 0.7, in steps that differ by work."""
    steps = {"decision_accuracy": lambda repeat: 0.7 + gap + 0.02 * (repeat % works % 5 - 2)}
    return fake_runs("full", seconds, n, works=works, **steps, **changes)


def steady(n: int = 40, works: int = 40, level: str = "none", seconds: float = 15.0) -> list[Record]:
    """Runs of the baseline, all decisions 0.7."""
    return fake_runs(level, seconds, n, works=works, decision_accuracy=0.7)


def test_faster_and_not_inferior_on_enough_works_is_certified(certified: Certify) -> None:
    """Lossy levels are certified when every score's interval is above minus the margin."""
    found = certified(steady(), scored(0.0), margin=0.1)
    assert found.verdict.verdict == "certified"
    assert (found.verdict.pairs_needed, found.verdict.works_needed) == (None, None)
    assert found.lossy == ("roster", "context", "output")


def test_scores_alike_on_few_works_do_not_prove_equality(certified: Certify) -> None:
    """Ten works with the same scores leave room for a loss that none of them showed."""
    found = certified(steady(10, 10), scored(0.0, 10, 10), margin=0.05)
    assert found.verdict.verdict == "inconclusive"
    assert found.verdict.works_needed == 72
    assert found.verdict.pairs_needed is None
    assert any("numbers grounded" in reason and "undecided" in reason for reason in found.verdict.reasons)


def test_repeats_of_one_exam_are_one_observation(certified: Certify) -> None:
    """However often one exam is repeated, nothing is said about others; lossy switches stay inconclusive."""
    found = certified(steady(30, 1), fake_runs("full", 3.0, 30, decision_accuracy=0.9))
    assert found.verdict.verdict == "inconclusive"
    assert any("one work tells nothing about others" in reason for reason in found.verdict.reasons)


def test_faster_and_worse_is_a_trade_off(certified: Certify) -> None:
    """When a score's whole interval is below minus the margin the speed is paid for."""
    found = certified(steady(), scored(-0.2))
    assert found.verdict.verdict == "trade-off"
    assert any(reason.endswith("; inferior") for reason in found.verdict.reasons)


@pytest.mark.parametrize("seconds", [30.0, 15.0])
def test_slower_or_alike_is_not_faster(certified: Certify, seconds: float) -> None:
    """An interval below 1, or around it and within the tolerance, is not faster, whatever the quality."""
    assert certified(steady(), scored(0.0, seconds=seconds)).verdict.verdict == "not faster"


def test_under_ten_pairs_is_exploratory(certified: Certify) -> None:
    """Nine pairs decide nothing that needs statistics."""
    found = certified(steady(9, 9), scored(0.0, 9, 9))
    assert found.verdict.verdict == "inconclusive"
    assert "exploratory" in found.verdict.reasons[0]
    assert found.verdict.pairs_needed == 10


def test_an_undecided_speed_names_the_pairs_it_takes(certified: Certify) -> None:
    """Where the interval holds 1 and more than the tolerance, the pairs that would decide are given."""
    wild = [15.0 * factor for factor in (0.6, 1.5, 0.8, 1.3, 0.7, 1.1, 0.9, 1.6, 0.65, 0.95)]
    a = [record for seconds in wild for record in steady(1, 1, seconds=seconds)]
    a = [record.model_copy(update={"repeat": i, "pair": i, "run_id": f"r{i}"}) for i, record in enumerate(a)]
    found = certified(a, fake_runs("full", 14.0))
    assert found.verdict.verdict == "inconclusive"
    assert found.verdict.pairs_needed > 10


def lossless(seconds: float = 5.0, **changes: object) -> list[Record]:
    """Ten runs of `partial`, which differs from `none` in lossless switches only, on one exam."""
    return fake_runs("partial", seconds, **{"decision_accuracy": 0.7, **changes})


def test_lossless_switches_with_equal_answers_need_no_statistics(certified: Certify) -> None:
    """Equal facts, tokens and scores where no lossy switch differs are equal by identity, on one exam too."""
    found = certified(steady(10, 1), lossless(), margin=0.01)
    assert found.lossy == ()
    assert found.switches == ("tool_schedule", "tool_impl", "cache")
    assert found.verdict.verdict == "certified"
    assert all(score.low == 0 for score in found.found.scores)


def test_lossless_switches_that_change_the_tokens_need_statistics(certified: Certify) -> None:
    """Other prompts are other answers: then one exam tells nothing, equal as its score may be."""
    found = certified(steady(10, 1), lossless(prompt_tokens=500, total_tokens=600), margin=0.01)
    assert found.verdict.verdict == "inconclusive"


def test_lossless_switches_must_show_identical_facts(certified: Certify) -> None:
    """One work whose tool facts differ disproves losslessness, whatever the speed and at any n."""
    found = certified(steady(3, 1), lossless(facts_hash="others")[:3])
    assert found.verdict.verdict == "not lossless"
    assert "the tool facts differ" in found.verdict.reasons[0]


def test_facts_that_were_not_recorded_cannot_be_shown_identical(certified: Certify) -> None:
    """Without hashes of the facts a lossless level is not certified."""
    found = certified(steady(10, 1), lossless(facts_hash=None))
    assert found.verdict.verdict == "inconclusive"
    assert any("not recorded" in reason for reason in found.verdict.reasons)


def test_an_a_a_pair_is_not_faster(certified: Certify) -> None:
    """A level against itself under another name is not faster."""
    again = Level(**LEVELS["none"].model_dump() | {"name": "again"})
    runs = fake_runs("again", 15.0, decision_accuracy=0.7, level_id=again.switches_id)
    found = certified(steady(10, 1), runs, levels=(LEVELS["none"], again))
    assert found.switches == ()
    assert found.verdict.verdict == "not faster"
    assert found.found.aa[0].covers_1


def test_a_speed_up_within_a_failed_a_a_check_is_not_one(tmp_path: Path) -> None:
    """Where equals came out 20 % apart, 10 % faster proves nothing."""
    again = Level(**LEVELS["none"].model_dump() | {"name": "again"})
    folder = write_fake(
        tmp_path / "x",
        steady(10, 1),
        fake_runs("again", 12.0, level_id=again.switches_id),
        lossless(13.5),
        levels=(*LEVELS.values(), again),
    )
    found = certify("none", "partial", results=folder)
    assert found.verdict.verdict == "inconclusive"
    assert any("A/A check failed" in reason for reason in found.verdict.reasons)


def test_a_failure_that_the_baseline_does_not_have_is_not_certified(certified: Certify) -> None:
    """One failed run of B and none of A: it fails, at any speed."""
    found = certified(steady(), [*scored(0.0), fake_failure("full", 40, work_id="w0")], margin=0.1)
    assert found.verdict.verdict == "fails"
    assert "1 of 41 failed" in found.verdict.reasons[0]


def test_a_level_that_only_failed_fails(certified: Certify) -> None:
    """Without a run that succeeded there is a certificate that says so."""
    found = certified(steady(3, 1), [fake_failure("full", repeat) for repeat in range(3)])
    assert found.verdict.verdict == "fails"
    assert found.found.speed.ratio is None


def test_a_score_of_one_side_only_blocks(certified: Certify) -> None:
    """A score that B lacks cannot be shown to be as good."""
    found = certified(steady(), scored(0.0, groundedness=None), margin=0.1)
    assert found.verdict.verdict == "inconclusive"
    assert any("measured on one side only" in reason for reason in found.verdict.reasons)


def test_no_quality_at_all_is_no_certificate(certified: Certify) -> None:
    """Speed alone certifies nothing."""
    nothing = dict.fromkeys(("fact_coverage", "groundedness", "decision_accuracy"))
    found = certified(fake_runs("none", 15.0, **nothing), fake_runs("full", 3.0, **nothing))
    assert found.verdict.verdict == "inconclusive"
    assert any("no quality was measured" in reason for reason in found.verdict.reasons)


def test_unknown_switches_count_as_lossy(certified: Certify) -> None:
    """Where nothing says what the levels' switches are none is taken to be lossless."""
    found = certified(steady(10, 1), lossless(), levels=())
    assert found.switches is None
    assert found.lossy == LOSSY_SWITCHES
    assert found.verdict.verdict == "inconclusive"


def test_it_is_written_as_json_and_as_a_page(certified: Certify, tmp_path: Path) -> None:
    """Both lie in B's results folder; the page begins with the verdict and holds all that it rests on."""
    found = certified(steady(10, 1), lossless(), margin=0.01)
    folder = tmp_path / "levels" / "certificates"
    assert sorted(path.name for path in folder.iterdir()) == ["none-vs-partial.json", "none-vs-partial.md"]
    written = json.loads((folder / "none-vs-partial.json").read_text())
    assert written == json.loads(json.dumps(found.as_dict()))
    assert (written["verdict"], written["a"], written["b"], written["margin"]) == (
        "certified",
        "none",
        "partial",
        0.01,
    )
    page = (folder / "none-vs-partial.md").read_text()
    assert page.splitlines()[0] == "# Certified: partial against none"
    for said in (
        "tool_schedule (lossless)",
        "fake cpu",
        "10 of 10",
        "below 3/10",
        "total tokens",
        "10 pairs",
        "margin",
    ):
        assert said in page


def test_the_page_says_what_would_decide(certified: Certify, tmp_path: Path) -> None:
    """An inconclusive page ends its verdict with the runs needed."""
    certified(steady(10, 10), scored(0.0, 10, 10))
    page = (tmp_path / "levels" / "certificates" / "none-vs-full.md").read_text()
    assert "What would decide, if runs go on as they did: about 72 works" in page


def test_cold_is_judged_unless_asked_otherwise(tmp_path: Path) -> None:
    """Of several cache states cold is certified; another by its name, in a file of its own."""
    groups = [
        fake_runs(level, seconds, cache_state=state)
        for level, seconds in (("none", 15.0), ("partial", 5.0))
        for state in ("warm", "cold")
    ]
    folder = write_fake(tmp_path / "x", *groups)
    assert certify("none", "partial", results=folder).found.cache_state == "cold"
    warm = certify("none", "partial", results=folder, cache="warm")
    assert (warm.found.cache_state, warm.path.name) == ("warm", "none-vs-partial-warm.json")


def test_two_experiments_name_both_in_the_file(tmp_path: Path) -> None:
    """A level of two folders is certified under both folders' names."""
    a = write_fake(tmp_path / "before", fake_runs("full", 6.0))
    b = write_fake(tmp_path / "after", fake_runs("full", 3.0))
    assert certify(str(a), str(b)).path == b / "certificates" / "before-full-vs-after-full.json"


def test_out_chooses_the_place(tmp_path: Path) -> None:
    """`out` is the path without its suffix; a folder is refused."""
    folder = write_fake(tmp_path / "x", steady(10, 1), lossless())
    certify("none", "partial", results=folder, out=tmp_path / "deep" / "mine")
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"mine.json", "mine.md"}
    with pytest.raises(StoreError, match="is a folder"):
        certify("none", "partial", results=folder, out=tmp_path)


@pytest.mark.parametrize("margin", [0, 1, -0.1, float("nan")])
def test_a_margin_out_of_range_is_refused(tmp_path: Path, margin: float) -> None:
    """The margin is a share above 0 and below 1."""
    with pytest.raises(UserError, match="above 0 and below 1"):
        certify("none", "full", margin=margin, results=tmp_path)


def test_one_level_a_side(tmp_path: Path) -> None:
    """A folder of several levels is refused with how to name one."""
    folder = write_fake(tmp_path / "x", steady(10, 1), lossless())
    with pytest.raises(UserError, match=r"name one level, as .*x:LEVEL"):
        certify("none", str(folder), results=folder)
    with pytest.raises(UserError, match="two different sides"):
        certify("none", f"{folder}:none", results=folder)


def test_it_is_shown_in_the_terminal(certified: Certify) -> None:
    """The verdict comes first, the figures after it, and where the page lies."""
    console = Console(width=120, record=True, markup=False, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(certified(steady(10, 1), lossless(), margin=0.01))
    text = console.export_text()
    assert text.startswith("certified: faster, and not inferior")
    assert "none-vs-partial.md" in text.replace("\n", "")


def test_the_reference_s_levels_are_inconclusive_on_one_exam(tmp_path: Path) -> None:
    """One exam a level: the committed reference proves the speed and leaves the quality open."""
    found = certify("none", "partial", results=REFERENCE, cache="cold", out=tmp_path / "c")
    assert found.found.facts == "identical"
    assert found.found.speed.low > 1
    if len(found.found.works) == 1:
        assert found.verdict.verdict == "inconclusive"


SIMULATED = {"clock": "virtual", "model": "simulated:fake", "profile": "fake"}


def test_a_simulated_certificate_says_so_first_and_certifies_nothing(certified: Certify) -> None:
    """Figures that would certify measured runs leave a simulation inconclusive, in every form of it."""
    made_up = {"decision_accuracy": 0.7, "tokens_source": "simulated", **SIMULATED}
    found = certified(
        fake_runs("none", 15.0, 40, works=40, **made_up), fake_runs("full", 3.0, 40, works=40, **made_up), 0.1
    )
    assert found.verdict.verdict == "inconclusive"
    assert "no evidence" in " ".join(found.verdict.reasons)
    page = found.path.with_suffix(".md").read_text(encoding="utf-8")
    assert page.splitlines()[0] == "# Simulated: fake. Inconclusive: full against none"
    assert json.loads(found.path.read_text(encoding="utf-8"))["timing"] == "simulated: fake"
    console = Console(width=120, markup=False)
    with console.capture() as captured:
        console.print(found)
    assert captured.get().startswith("simulated: fake; inconclusive")


def test_measured_and_simulated_runs_are_not_judged_together(tmp_path: Path) -> None:
    """Where both sides hold both kinds, the user has to say which."""
    kinds = [
        [replaced.model_copy(update={"run_id": f"{kind}-{replaced.run_id}"}) for replaced in runs]
        for level in ("none", "full")
        for kind, runs in (("w", fake_runs(level, 3.0, 2)), ("v", fake_runs(level, 3.0, 2, **SIMULATED)))
    ]
    folder = write_fake(tmp_path / "levels", *kinds)
    with pytest.raises(UserError, match="never judged together") as error:
        certify("none", "full", results=folder)
    assert error.value.exit_code == 2
