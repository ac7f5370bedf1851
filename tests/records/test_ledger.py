"""The ledger: what a design's runs tell, from disk to text, and no figure where a run is missing."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fake_ablation import make_design, make_runs, write_ablation

from swarmlab.errors import StoreError
from swarmlab.records.collect import collect, read_tables
from swarmlab.records.design import design_frame, design_of, path_bits
from swarmlab.records.ledger import METRICS, ledger_frame
from swarmlab.records.ledger_text import (
    ledger_dict,
    ledger_groups,
    ledger_markdown,
    ledger_sentences,
    render_ledger,
)
from swarmlab.records.tables import build_tables, runs_frame

SECONDS = {"roster": -10.0, "context": -6.0, "tool_impl": 2.0}
DESIGN = make_design(*SECONDS)


def additive(on, block):
    """Return seconds that are a sum of the factors' own, and of the block's."""
    return 50.0 + block + sum(SECONDS[name] for name in on)


def ledger_of(runs, design=DESIGN):
    """Return the ledger of stored runs."""
    return ledger_frame(runs_frame(run.record for run in runs), design_frame(design))


def figures(ledger, metric="duration_s", kind="factor"):
    """Return the rows of one metric and kind, by term."""
    rows = ledger[(ledger["metric"] == metric) & (ledger["kind"] == kind)]
    return rows.set_index("term")


def test_the_ledger_tells_each_factors_seconds():
    """Additive effects come back as they were put in, with base, total and target, and no interaction."""
    ledger = ledger_of(make_runs(DESIGN, 3, additive))
    assert figures(ledger)["estimate"].to_dict() == pytest.approx(SECONDS, abs=1e-6)
    ends = {kind: figures(ledger, kind=kind)["estimate"].iloc[0] for kind in ("base", "total", "target")}
    assert ends == pytest.approx({"base": 51.0, "total": -14.0, "target": 37.0}, abs=1e-6)
    assert figures(ledger, kind="interaction")["estimate"].abs().max() < 1e-6
    assert set(ledger["metric"]) == set(METRICS)
    assert set(figures(ledger)["n_runs"]) == {24}


def test_one_run_a_cell_has_no_interval():
    """Without repeats there are figures, and every row says why there is no interval."""
    ledger = ledger_of(make_runs(DESIGN, 1, additive))
    assert figures(ledger)["estimate"].notna().all()
    assert ledger["low"].isna().all()
    assert ledger["note"].str.contains("no interval").all()
    assert ledger["note"].str.startswith("exploratory: 1 independent unit;").all()


def test_two_blocks_have_an_interval_only_when_their_work_is_the_same():
    """The spread within cells says nothing of how a factor's effect differs between briefs."""

    def spread(on, block):
        return additive(on, block) * (1 + 0.01 * ((len(on) * 7 + block * 3) % 5))

    same = ledger_of(make_runs(DESIGN, 2, spread))
    differing = ledger_of(make_runs(DESIGN, 2, spread, work_id=lambda on, block: f"work {block}"))
    assert figures(same)["low"].notna().all()
    assert figures(differing)["low"].isna().all()
    assert figures(same)["estimate"].to_dict() == pytest.approx(figures(differing)["estimate"].to_dict())


def test_quality_varies_with_the_work_not_the_repeat():
    """Ten repeats of one exam give no interval of quality; ten exams do."""

    def accuracy(on, block):
        return round(0.5 + 0.1 * len(on) + 0.01 * (block % 4) * len(on), 3)

    one = ledger_of(make_runs(DESIGN, 10, additive, decision_accuracy=accuracy))
    rows = figures(one, "decision_accuracy")
    assert rows["low"].isna().all()
    assert rows["note"].str.contains("needs 3 briefs and exams, has 1").all()
    assert "exploratory" not in "".join(figures(one)["note"])
    exams = {"work_id": lambda on, block: f"exam {block}"}
    ten = ledger_of(make_runs(DESIGN, 10, additive, decision_accuracy=accuracy, **exams))
    assert figures(ten, "decision_accuracy")["low"].notna().all()


def test_scores_without_any_spread_have_no_interval():
    """That every fact was right in every run does not prove that none can be wrong."""
    exams = {"work_id": lambda on, block: f"exam {block}"}
    rows = figures(ledger_of(make_runs(DESIGN, 4, additive, **exams)), "fact_coverage")
    assert rows["estimate"].tolist() == pytest.approx([0, 0, 0], abs=1e-12)
    assert rows["note"].str.contains("no spread seen").all()


def test_a_level_that_failed_leaves_no_sum():
    """Without a single success of one level there are no figures; the note names it and its failures."""

    def status(on, block):
        return "failed" if on == {"roster"} else "ok"

    ledger = ledger_of(make_runs(DESIGN, 2, additive, status=status))
    assert ledger["estimate"].isna().all()
    assert set(ledger["note"]) == {"no ledger without abl-100 (2 of 2 runs failed)"}
    assert set(ledger["attempted"]) == {16}
    assert set(ledger["succeeded"]) == {14}


def test_a_level_that_was_not_run_is_named():
    """An interrupted ablation says what is still missing."""
    runs = [run for run in make_runs(DESIGN, 1, additive) if run.record.level not in ("full", "abl-011")]
    notes = set(ledger_of(runs)["note"])
    assert notes == {"no ledger without abl-011 (not run), full (not run)"}


def test_a_score_that_no_run_of_a_level_has_costs_that_metric_only():
    """Answers without a number have no groundedness: seconds are credited all the same."""

    def grounded(on, block):
        return None if on == {"context"} else 0.9

    ledger = ledger_of(make_runs(DESIGN, 1, additive, groundedness=grounded))
    assert figures(ledger, "groundedness")["estimate"].isna().all()
    assert "abl-010 (no groundedness)" in figures(ledger, "groundedness")["note"].iloc[0]
    assert figures(ledger)["estimate"].notna().all()


def test_one_failed_run_costs_its_block_and_not_the_ledger():
    """With three whole blocks left the fourth is out; with fewer, all runs are used, blocks apart."""

    def status(on, block):
        return "failed" if on == {"roster"} and block == 0 else "ok"

    four = figures(ledger_of(make_runs(DESIGN, 4, additive, status=status)))
    assert set(four["n_blocks"]) == {3}
    two = figures(ledger_of(make_runs(DESIGN, 2, additive, status=status)))
    assert (set(two["n_blocks"]), set(two["n_runs"])) == ({2}, {15})
    for found in (four, two):
        assert found["estimate"].to_dict() == pytest.approx(SECONDS, abs=1e-6)


ORDERS = (("roster", "context", "tool_impl"), ("tool_impl", "context", "roster"))


def test_sampled_orders_make_a_ledger_of_whole_blocks():
    """Steps along the paths are the credits; a block with a failed run is left out."""
    design = make_design(*SECONDS, orders=ORDERS * 4)

    def status(on, block):
        return "failed" if on == {"roster"} and block == 0 else "ok"

    ledger = ledger_of(make_runs(design, 8, additive, status=status), design)
    assert figures(ledger)["estimate"].to_dict() == pytest.approx(SECONDS, abs=1e-6)
    assert (set(figures(ledger)["n_blocks"]), set(figures(ledger)["n_units"])) == ({7}, {4})


def test_sampled_orders_without_a_whole_block_name_what_is_missing():
    """No block is whole: there is no figure, and the note says which run of which block."""
    design = make_design(*SECONDS, orders=ORDERS)

    def status(on, block):
        return "failed" if len(on) == 1 else "ok"

    ledger = ledger_of(make_runs(design, 2, additive, status=status), design)
    assert ledger["estimate"].isna().all()
    assert "abl-100 in block 0, abl-001 in block 1" in ledger["note"].iloc[0]


def test_cold_and_warm_have_ledgers_of_their_own():
    """Cache states are never pooled; a cold run with hits makes its ledger mixed."""

    def cache(on, block):
        return "mixed" if on == {"context"} else "cold"

    warm = make_runs(DESIGN, 1, lambda on, block: additive(on, block) / 2, cache_state="warm")
    ledger = ledger_of([*make_runs(DESIGN, 1, additive, cache_state=cache), *warm])
    totals = ledger[(ledger["metric"] == "duration_s") & (ledger["kind"] == "total")]
    by_cache = totals.set_index("cache_state")["estimate"].to_dict()
    assert by_cache == pytest.approx({"mixed": -14.0, "warm": -7.0}, abs=1e-6)
    (_, mixed), _ = ledger_groups(ledger)
    assert any(sentence.startswith("Mixed:") for sentence in ledger_sentences(mixed))


def test_runs_of_no_level_of_the_design_are_in_no_credit():
    """Another level in the same table changes nothing."""
    runs = make_runs(DESIGN, 2, additive)
    other = make_runs(make_design("output", base="none"), 1, lambda on, block: 1000.0)
    strangers = [run for run in other if run.record.level == "none"]
    pd.testing.assert_frame_equal(ledger_of(runs), ledger_of([*runs, *strangers]))


def test_an_experiment_that_is_no_ablation_has_an_empty_ledger():
    """Without a design the ledger has its columns and no row."""
    ledger = build_tables([])["ledger"]
    assert ledger.empty
    assert list(ledger.columns) == list(ledger_of(make_runs(DESIGN, 1, additive)).columns)


def test_the_ledger_is_made_from_what_is_on_disk(tmp_path: Path):
    """CSV and Markdown are written; reading the published tables gives the same ledger."""
    write_ablation(tmp_path, DESIGN, make_runs(DESIGN, 3, additive))
    ledger = collect(tmp_path)["ledger"]
    printed = pd.read_csv(tmp_path / "ledger.csv")
    assert printed["estimate"].tolist() == ledger["estimate"].tolist()
    seconds = printed[printed["metric"] == "duration_s"].groupby("kind")["estimate"].sum()
    assert seconds["factor"] == pytest.approx(seconds["total"], abs=1e-9)
    text = (tmp_path / "ledger.md").read_text(encoding="utf-8")
    assert text == ledger_markdown(ledger)
    assert "| roster | -10.00" in text
    pd.testing.assert_frame_equal(read_tables(tmp_path)["ledger"], ledger)


def test_runs_of_another_design_are_in_no_table(tmp_path: Path):
    """A folder may hold what an earlier design ran; its levels are not of this one."""
    write_ablation(
        tmp_path, make_design("output", "cache"), make_runs(make_design("output", "cache"), 1, additive_2)
    )
    write_ablation(tmp_path, DESIGN, make_runs(DESIGN, 2, additive, run_id=run_id))
    tables = collect(tmp_path)
    assert set(tables["runs"]["level"]) == set(DESIGN.levels)
    assert figures(tables["ledger"])["estimate"].notna().all()


def additive_2(on, block):
    """Return seconds of the other design."""
    return 20.0 - len(on)


def run_id(on, block):
    """Return a name that no run of the other design has."""
    return f"own-{'-'.join(sorted(on)) or 'base'}-{block}"


def test_results_that_are_no_ablation_any_more_lose_its_ledger(tmp_path: Path):
    """A stale ledger does not stay beside tables that it does not belong to."""
    write_ablation(tmp_path, DESIGN, make_runs(DESIGN, 1, additive))
    collect(tmp_path)
    (tmp_path / "manifest.json").unlink()
    collect(tmp_path)
    assert not list(tmp_path.glob("ledger.*"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"levels": {"a": "0"}}, "bits of its own"),
        ({"factors": []}, "there must be factors"),
        ({"factors": ["level", "x", "y"]}, "there must be factors"),
        ({"base": "full"}, "no factor on"),
        ({"orders": [["roster", "roster", "context"]]}, "every factor once"),
        ({"levels": {"blackboard": "000", "full": "111"}}, "has 8 levels, not 2"),
        (
            {"levels": {"blackboard": "000", "full": "111"}, "orders": [list(SECONDS)]},
            "no level has the bits",
        ),
        ({"colour": "red"}, "colour"),
        ({"levels": 3}, "levels"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused(change: dict[str, Any], said: str):
    """A manifest that was changed by hand is an error that says what is wrong."""
    with pytest.raises(StoreError, match=r"design in manifest\.json") as caught:
        design_of({"design": DESIGN.model_dump(mode="json") | change})
    assert said in str(caught.value)


def test_a_design_goes_through_its_manifest():
    """What JSON keeps is the design; its table has a row a level, or a row a step of a block's path."""
    design = make_design(*SECONDS, orders=ORDERS)
    assert design_of(json.loads(json.dumps({"design": design.model_dump(mode="json")}))) == design
    assert design_of({}) is None
    assert len(design_frame(DESIGN)) == 8
    frame = design_frame(design)
    assert frame["level"].tolist()[4:] == ["blackboard", "abl-001", "abl-011", "full"]
    assert path_bits(design.factors, ORDERS[1]) == ["000", "001", "011", "111"]


def test_the_ledger_for_programs_holds_every_figure():
    """The JSON form has the same figures by name, missing ones as null."""
    ledger = ledger_of(make_runs(DESIGN, 3, additive))
    (found,) = json.loads(json.dumps(ledger_dict(ledger), allow_nan=False))
    seconds = found["metrics"]["duration_s"]
    assert {name: row["estimate"] for name, row in seconds["credits"].items()} == pytest.approx(
        SECONDS, abs=1e-6
    )
    assert seconds["total"]["estimate"] == pytest.approx(-14.0)
    assert seconds["base"]["level"] == "blackboard"
    assert set(seconds["interactions"]) == {"roster x context", "roster x tool_impl", "context x tool_impl"}
    assert (found["cache_state"], found["succeeded"], seconds["n_runs"]) == ("cold", 24, 24)


def test_the_sentences_say_sign_basis_and_cache():
    """Beside the table stand what a negative figure means, the runs, and that a cold cache saves nothing."""
    design = make_design("tool_impl+cache", "output")
    ledger = ledger_of(make_runs(design, 3, additive_2), design)
    ((name, group),) = ledger_groups(ledger)
    text = " ".join(ledger_sentences(group))
    assert name == "cold cache, wall clock, fake-model"
    for part in ("negative seconds and tokens are saved", "12 of 12 runs", "in 3 blocks", "in no sum",
                 "tool_impl+cache has no credit for", "Exploratory: 3 independent units"):  # fmt: skip
        assert part in text


def test_simulated_ledgers_say_so():
    """On a virtual clock name and sentences say simulated, and which profile."""
    ledger = ledger_of(make_runs(DESIGN, 1, additive, clock="virtual", profile="fake-profile"))
    ((name, group),) = ledger_groups(ledger)
    assert "simulated" in name
    assert any("fake-profile" in sentence for sentence in ledger_sentences(group))


def test_a_design_of_no_runs_is_an_empty_ledger():
    """Before anything has run there is nothing to credit."""
    assert ledger_of([]).empty


def test_a_single_factor_has_the_whole_change():
    """With one factor there is no interaction to show, and its credit is the total."""
    design = make_design("output")
    ledger = ledger_of(make_runs(design, 3, additive_2), design)
    assert figures(ledger)["estimate"].tolist() == figures(ledger, kind="total")["estimate"].tolist()
    assert "Interactions" not in ledger_markdown(ledger)
    assert len(render_ledger(ledger)) == 1
