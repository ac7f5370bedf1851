"""Ablations: which levels a design runs in which block, and a ledger at the end of it."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lab_fakes import DATA, FakeChat

from swarmlab import lab
from swarmlab.agents.levels import LEVELS, Level
from swarmlab.data import Dataset
from swarmlab.errors import SpecError, StoreError
from swarmlab.lab import Cell, Spec, api, load_spec, measure
from swarmlab.lab.ablation import Ablation
from swarmlab.lab.experiment import expand
from swarmlab.lab.ledger import ablation_spec, ledger_json, ledger_tables
from swarmlab.records.record import Record

SALES = Dataset("d", "grocery", Path("d.csv"), Path("d.parquet"), "f", 1, ("brand",), ())
DIFFERING = Ablation(base=LEVELS["blackboard"], target=LEVELS["full"]).differing
GROUPS = ["roster+agent_schedule", "context", "tool_schedule", "tool_impl+cache", "output"]


def _spec(**fields: Any) -> Spec:
    return load_spec(None, **{"cache": "cold", **fields})


def _ablation(**fields: Any) -> dict[str, Any]:
    return {"base": "blackboard", "target": "full", **fields}


def _blocks(spec: Spec) -> list[list[Cell]]:
    """The cells of each block."""
    cells = expand(spec, SALES, code_version="c", out=Path("o"))
    blocks = itertools.groupby(cells, key=lambda cell: cell.repeat)
    return [list(block) for _, block in blocks]


def _switches_on(level: Level) -> frozenset[str]:
    """Switches that are as in full, and must otherwise be as in blackboard."""
    on = frozenset(name for name in DIFFERING if getattr(level, name) == getattr(LEVELS["full"], name))
    off = [name for name in DIFFERING if name not in on]
    assert all(getattr(level, name) == getattr(LEVELS["blackboard"], name) for name in off)
    return on


def test_the_shipped_ablation_is_a_factorial_of_four_factors() -> None:
    """All 16 combinations, twice each; base and target keep their names, the others have their bits."""
    spec = load_spec(ablation_spec())
    assert [len(block) for block in _blocks(spec)] == [16, 16]
    assert len({level.switches_id for level in spec.levels}) == 16
    by_name = {level.name: level for level in spec.levels}
    assert (by_name["blackboard"], by_name["full"]) == (LEVELS["blackboard"], LEVELS["full"])
    tools = {"tool_schedule", "tool_impl", "cache"}
    assert _switches_on(by_name["abl-1010"]) == {"roster", "agent_schedule", *tools}
    assert spec.design is not None
    assert list(spec.design.factors) == [
        "roster+agent_schedule",
        "context",
        "tool_schedule+tool_impl+cache",
        "output",
    ]


def test_every_block_of_a_factorial_has_every_level_in_an_order_of_its_own() -> None:
    """Blocks are interleaved at random, and more repeats leave the earlier ones as they are."""
    ablation = _ablation(target="none")
    three = _blocks(_spec(ablation=ablation, repeats=3))
    names = [[cell.level.name for cell in block] for block in three]
    assert {tuple(sorted(block)) for block in names} == {("abl-01", "abl-10", "blackboard", "none")}
    assert len({tuple(block) for block in names}) > 1
    assert _blocks(_spec(ablation=ablation, repeats=2))[:1] == three[:1]


def test_more_than_five_factors_are_sampled_along_orders() -> None:
    """Each block goes from base to target by one factor at a time, and the next one the other way round."""
    blocks = _blocks(_spec(ablation=_ablation(permutations=4)))
    assert len(blocks) == 4
    orders = []
    for block in blocks:
        path = sorted((_switches_on(cell.level) for cell in block), key=len)
        assert [len(on) for on in path] == list(range(len(DIFFERING) + 1))
        orders.append([next(iter(after - before)) for before, after in itertools.pairwise(path)])
    assert orders[0] == orders[1][::-1]
    assert orders[2] == orders[3][::-1]
    assert orders[0] != orders[2]


def test_more_rounds_of_orders_keep_the_earlier_ones() -> None:
    """Repeats of a Shapley design are rounds of further orders; another seed draws others."""
    fields: dict[str, Any] = {"ablation": _ablation(permutations=4)}
    once, twice = _spec(**fields), _spec(**fields, repeats=2)
    assert once.design is not None
    assert twice.design is not None
    assert twice.design.orders[:4] == once.design.orders
    assert len(twice.blocks()) == 8
    assert twice.blocks()[:4] == once.blocks()
    assert _spec(**fields, seed=5).blocks() != once.blocks()


def test_an_order_and_its_reverse_do_the_same_work() -> None:
    """Exams change from pair to pair, so that a pair's difference is the order's alone."""
    blocks = _blocks(_spec(ablation=_ablation(permutations=6), exams=3))
    assert [{cell.seed for cell in block} for block in blocks] == [{0}, {0}, {1}, {1}, {2}, {2}]
    factorial = _blocks(_spec(ablation=_ablation(target="none"), exams=3, repeats=3))
    assert [{cell.seed for cell in block} for block in factorial] == [{0}, {1}, {2}]


def test_warm_runs_have_their_cold_one_in_the_same_block() -> None:
    """With both cache states a block has each level twice, cold first."""
    (block,) = _blocks(_spec(ablation=_ablation(target="none"), cache="both"))
    assert Counter(cell.level.name for cell in block) == dict.fromkeys(
        ("blackboard", "abl-01", "abl-10", "none"), 2
    )
    for level in {cell.level.name for cell in block}:
        assert [cell.cache_state for cell in block if cell.level.name == level] == ["cold", "warm"]


@given(st.permutations(DIFFERING), st.lists(st.booleans(), min_size=len(DIFFERING) - 1))
def test_any_grouping_of_the_switches_gives_levels_of_their_own(order: list[str], joined: list[bool]) -> None:
    """Whatever is flipped together, no two levels have equal switches and each is between base and target."""
    factors = [order[0]]
    for name, with_last in zip(order[1:], joined, strict=False):
        factors[-1:] = [f"{factors[-1]}+{name}"] if with_last else [factors[-1], name]
    spec = _spec(ablation=_ablation(factors=factors, permutations=2))
    assert len({level.switches_id for level in spec.levels}) == len(spec.levels)
    assert {_switches_on(level) for level in spec.levels} >= {frozenset(), frozenset(DIFFERING)}
    if len(factors) <= 5:
        assert len(spec.levels) == 2 ** len(factors)


def test_a_spec_with_an_ablation_goes_through_yaml(tmp_path: Path) -> None:
    """Dumped whole or without its levels, and read again, it is the same spec."""
    spec = load_spec(ablation_spec())
    for leave_out in (set(), {"levels"}):
        path = tmp_path / "spec.yaml"
        path.write_text(yaml.safe_dump(spec.model_dump(mode="json", exclude=leave_out)), encoding="utf-8")
        assert load_spec(path) == spec


@pytest.mark.parametrize(
    ("ablation", "said"),
    [
        (
            _ablation(factors=["roster", "context"]),
            "leave out agent_schedule, tool_schedule, tool_impl, cache",
        ),
        (_ablation(factors=["rooster"]), "did you mean 'roster'"),
        (_ablation(factors=["roster+"]), "unknown switch ''"),
        (_ablation(factors=[*GROUPS, "output"]), "'output' is in two factors"),
        (_ablation(factors=["roster+roster"]), "'roster' is in two factors"),
        (_ablation(target="none", factors=["roster", "context", "cache"]), "'cache' is the same in base"),
        (_ablation(target="blackboard"), "nothing to ablate"),
        (_ablation(target={"name": "twin", "base": "blackboard"}), "nothing to ablate"),
        (_ablation(target={"name": "abl-11", "base": "full"}), "begins like"),
        (_ablation(target="fast"), "unknown level 'fast'"),
        (_ablation(target=None), "the ablation has no target; give --target"),
        (_ablation(permutations=3), "'ablation.permutations'"),
        (_ablation(permutations=0), "'ablation.permutations'"),
        (_ablation(factors="roster"), "'ablation.factors'"),
        (_ablation(colour="red"), "'ablation.colour'"),
    ],
)
def test_an_ablation_that_makes_no_sense_is_refused(ablation: dict[str, Any], said: str) -> None:
    """Each mistake is a SpecError that says what to change."""
    with pytest.raises(SpecError) as caught:
        _spec(ablation=ablation)
    assert said in str(caught.value)


def test_levels_and_an_ablation_exclude_each_other() -> None:
    """An ablation makes its own levels; those of the command line would go unnoticed."""
    with pytest.raises(SpecError, match="an ablation makes its own levels"):
        load_spec(ablation_spec(), levels=["full"])


def test_factors_go_with_their_base_and_target(tmp_path: Path) -> None:
    """The command line's other target drops the file's factors; the same one keeps them."""
    same = load_spec(ablation_spec(), ablation={"base": "blackboard", "target": None, "factors": None})
    assert same == load_spec(ablation_spec())
    other = load_spec(ablation_spec(), ablation={"target": "none"})
    assert other.design is not None
    assert other.design.factors == ("roster", "context")
    path = tmp_path / "spec.yaml"
    path.write_text("levels: [{name: own, base: partial, cache: []}, full]\nrepeats: 3", encoding="utf-8")
    own = load_spec(path, ablation={"base": "own", "target": "partial"})
    assert [level.name for level in own.levels] == ["own", "partial"]
    with pytest.raises(SpecError, match="no base"):
        load_spec(path, ablation={"target": "full"})


def test_a_default_ablation_flips_every_switch_that_differs() -> None:
    """Without factors each switch on which base and target disagree is one."""
    ablation = Ablation(base=LEVELS["none"], target=LEVELS["partial"])
    assert list(ablation.groups) == ["tool_schedule", "tool_impl", "cache"]
    assert ablation.is_factorial


@pytest.fixture
def _in_process(chat: FakeChat, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_cells(cells: Sequence[Cell], n_jobs: int | None) -> Iterator[Record]:
        yield from map(measure, cells)

    def check_model(spec: str, **_: Any) -> str:
        return spec

    monkeypatch.setattr(api, "run_cells", run_cells)
    monkeypatch.setattr(api, "check_model", check_model)


def _ablate(out: Path, **fields: Any) -> "lab.Result":
    given = {"ablation": {"target": "none"}, "data": DATA, "repeats": 1, **fields}
    return lab.run(ablation_spec(), out=out, **given)


@pytest.mark.usefixtures("_in_process")
def test_an_ablation_ends_with_its_ledger(tmp_path: Path) -> None:
    """Run, then read from disk: credits sum to the change, and the report is made again byte for byte."""
    result = _ablate(tmp_path)
    folder = tmp_path / "ablation"
    assert len(result.runs) == 4
    (found,) = ledger_json(lab.open_results(folder))
    seconds = found["metrics"]["duration_s"]
    total = seconds["target"]["estimate"] - seconds["base"]["estimate"]
    assert sum(row["estimate"] for row in seconds["credits"].values()) == pytest.approx(total)
    durations = result.runs.set_index("level")["duration_s"]
    assert total == pytest.approx(durations["none"] - durations["blackboard"])
    assert seconds["credits"]["roster"]["note"].startswith("exploratory: 1 independent unit")
    assert len(ledger_tables(result)) == 2
    design = json.loads((folder / "manifest.json").read_text())["design"]
    assert design["levels"] == {"blackboard": "00", "abl-01": "01", "abl-10": "10", "none": "11"}
    names = ["ledger.csv", "ledger.md", "report.html", "figures/waterfall.svg"]
    before = {name: (folder / name).read_bytes() for name in names}
    (folder / "ledger.csv").unlink()
    lab.republish(folder)
    assert {name: (folder / name).read_bytes() for name in names} == before
    again = lab.plan(folder / "spec.yaml", out=tmp_path)
    assert {cell.run_id for cell in again.cells} == set(result.runs["run_id"])


@pytest.mark.usefixtures("_in_process")
def test_a_failed_run_leaves_no_ledger_until_it_is_made_again(tmp_path: Path, chat: FakeChat) -> None:
    """The level without a success is named; the same command makes only that run, then the ledger."""
    chat.fails_at = 3
    (found,) = ledger_json(_ablate(tmp_path))
    seconds = found["metrics"]["duration_s"]
    assert (found["attempted"], found["succeeded"]) == (4, 3)
    assert seconds["total"]["estimate"] is None
    assert "(1 of 1 runs failed)" in seconds["total"]["note"]
    calls = len(chat.calls)
    (found,) = ledger_json(_ablate(tmp_path))
    assert found["metrics"]["duration_s"]["total"]["estimate"] is not None
    assert len(chat.calls) - calls < calls


@pytest.mark.usefixtures("_in_process")
def test_another_design_in_the_same_folder_has_tables_of_its_own(tmp_path: Path) -> None:
    """Base and target are reused; levels of the earlier design are in no table of the new one."""
    _ablate(tmp_path)
    result = _ablate(tmp_path, ablation={"target": "none", "factors": ["roster+context"]})
    assert set(result.runs["level"]) == {"blackboard", "none"}
    assert result.n_apart == 2
    ledger = pd.read_csv(tmp_path / "ablation" / "ledger.csv")
    assert set(ledger.loc[ledger["kind"] == "factor", "term"]) == {"roster+context"}


@pytest.mark.usefixtures("_in_process")
def test_results_of_no_ablation_have_no_ledger_to_show(tmp_path: Path) -> None:
    """Asked for the ledger of an ordinary experiment, the error names the folder."""
    result = lab.run(levels=["full"], data=DATA, cache="cold", out=tmp_path, name="tiny")
    with pytest.raises(StoreError, match="tiny holds no ablation"):
        ledger_tables(result)
