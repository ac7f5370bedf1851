"""Specs and their expansion to cells."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lab_fakes import DATA, cell_of

from swarmlab.agents.levels import LEVELS
from swarmlab.data import Dataset
from swarmlab.errors import SpecError, UserError
from swarmlab.lab import Cell, Spec, default_spec, load_spec, make_cell, plan
from swarmlab.lab.experiment import expand
from swarmlab.tools import DEFAULT_PLAN


def _write(folder: Path, text: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return path


SALES = Dataset("d", "grocery", Path("d.csv"), Path("d.parquet"), "f", 1, ("brand",), ())


def _expand(spec: Spec) -> list[Cell]:
    return expand(spec, SALES, code_version="c", out=Path("o"))


def test_the_default_experiment_is_the_four_levels() -> None:
    """The spec that ships runs all presets cold and warm on grocery with the embedded model."""
    spec = load_spec(default_spec())
    assert [level.name for level in spec.levels] == ["blackboard", "none", "partial", "full"]
    assert (spec.data, spec.model, spec.cache, spec.repeats) == ("grocery", "embedded", "both", 1)


def test_an_empty_file_is_the_default_spec(tmp_path: Path) -> None:
    """Every field has a default."""
    assert load_spec(_write(tmp_path, "")) == Spec()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("repeats: 0", "'repeats'"),
        ("repeats: many", "'repeats'"),
        ("colour: red", "'colour'"),
        ("levels: [fast]", "'fast'"),
        ("levels: [ful]", "did you mean 'full'"),
        ("levels: full", "'levels'"),
        ("levels: []", "'levels'"),
        ("levels: [full, full]", "'full' is listed twice"),
        ("levels: [{name: x, base: full, cash: []}]", "'cash'"),
        ("levels: [{name: x, base: full, roster: nine}]", "'roster'"),
        ("faults: [oracle]", "'oracle'"),
        ("cache: hot", "'cache'"),
        ("name: ../../etc", "'name'"),
        ("workers: 0", "'workers'"),
        ("timeout_s: -1", "'timeout_s'"),
        ("tool_timeout_s: .inf", "'tool_timeout_s'"),
        ("deadline_s: .inf", "'deadline_s'"),
        ("cache_ttl_s: {tools: .inf}", "'cache_ttl_s.tools'"),
        ("cache_place: ''", "'cache_place'"),
        ("repeats: 1\nseed: 2\nrepeats: 3", "key 'repeats' is there twice"),
        ("levels: [{name: a, base: full, base: none}]", "key 'base' is there twice"),
        ("name: " + 3000 * "[", "nested too deeply"),
        ("seed: -1", "'seed'"),
        ("brief: {budget: -5}", "'budget'"),
        ("brief: {focus: {planets: [Mars]}}", "planets"),
        ("brief: absent.yaml", "absent.yaml"),
        ("[1, 2]", "mapping"),
        ("a: [", "cannot be read"),
        ("\x00", "cannot be read"),
    ],
)
def test_a_bad_spec_is_refused_naming_file_and_field(tmp_path: Path, text: str, said: str) -> None:
    """Each mistake is a SpecError that says in which file and what is wrong."""
    path = _write(tmp_path, text)
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value) or "brief" in str(caught.value)


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_spec_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """A missing file and a folder are refused by name."""
    with pytest.raises(SpecError, match="experiment "):
        load_spec(tmp_path / name)


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from([*LEVELS, "name"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "base", "cache", "budget", "plan", "focus"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


@given(fields=st.dictionaries(st.sampled_from(list(Spec.model_fields)), JUNK, max_size=4))
def test_whatever_a_spec_holds_it_is_valid_or_refused(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, Any]
) -> None:
    """No content of a known field leads to anything but a spec or a UserError."""
    path = _write(tmp_path_factory.getbasetemp(), yaml.safe_dump(fields))
    try:
        spec = load_spec(path)
    except UserError:
        return
    assert _expand(spec)


def test_overrides_replace_the_specs_values_and_none_does_not(tmp_path: Path) -> None:
    """The command line wins over the file, where it says something."""
    path = _write(tmp_path, "repeats: 3\nseed: 5\nlevels: [none]")
    spec = load_spec(path, repeats=7, seed=None, levels=["full", "partial"], faults=("kpis",))
    assert (spec.repeats, spec.seed, spec.faults) == (7, 5, ("kpis",))
    assert [level.name for level in spec.levels] == ["full", "partial"]


def test_a_level_of_ones_own_changes_only_what_it_names(tmp_path: Path) -> None:
    """`base: partial, cache: []` is partial without a cache, under its own name."""
    path = _write(tmp_path, "levels: [{name: bare, base: partial, cache: []}]")
    (level,) = load_spec(path).levels
    assert level == LEVELS["partial"].model_copy(update={"name": "bare", "cache": ()})


def test_a_brief_lies_beside_the_spec_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative brief is found from any working directory."""
    (tmp_path / "brief.yaml").write_text("audience: the board", encoding="utf-8")
    path = _write(tmp_path, "brief: brief.yaml")
    monkeypatch.chdir("/")
    assert load_spec(path).brief.audience == "the board"


@given(
    names=st.lists(st.sampled_from(list(LEVELS)), min_size=1, unique=True),
    cache=st.sampled_from(["cold", "warm", "both"]),
    repeats=st.integers(1, 4),
    seed=st.integers(0, 2**31 - 1),
)
def test_every_repeat_has_every_level_and_state_once(
    names: list[str], cache: str, repeats: int, seed: int
) -> None:
    """Blocks are whole, cold comes before warm in each, and the order is the seed's."""
    spec = load_spec(None, levels=names, cache=cache, repeats=repeats, seed=seed)
    cells = _expand(spec)
    states = ["cold", "warm"] if cache == "both" else [cache]
    width = len(names) * len(states)
    assert [cell.order for cell in cells] == list(range(repeats * width))
    for repeat in range(repeats):
        block = cells[repeat * width : (repeat + 1) * width]
        assert {cell.repeat for cell in block} == {repeat}
        made = Counter((cell.level.name, cell.cache_state) for cell in block)
        assert made == Counter((name, state) for name in names for state in states)
        for name in names:
            assert [cell.cache_state for cell in block if cell.level.name == name] == states
    assert len({cell.cell_id for cell in cells}) == len({cell.run_id for cell in cells}) == len(cells)
    assert _expand(spec) == cells


def test_the_order_differs_between_repeats_and_seeds() -> None:
    """Levels are shuffled, so no level always runs first."""
    cells = _expand(load_spec(None, repeats=20, cache="cold"))
    first = {cells[4 * repeat].level.name for repeat in range(20)}
    assert first == set(LEVELS)
    other = _expand(load_spec(None, repeats=20, cache="cold", seed=1))
    assert [c.level.name for c in cells] != [c.level.name for c in other]


CHANGES: dict[str, Any] = {
    "profile_hash": "f" * 64,
    "experiment": "other",
    "level": LEVELS["full"].model_copy(update={"output": "prose"}),
    "brief": Spec().brief.model_copy(update={"budget": 1.0}),
    "data": "other",
    "data_fingerprint": "other",
    "model": "other",
    "base_url": "http://localhost",
    "cache_state": "warm",
    "cache_ttl_s": (("tools", 60.0),),
    "cache_max_bytes": 1,
    "repeat": 1,
    "seed": 1,
    "workers": 2,
    "deadline_s": 5.0,
    "tool_timeout_s": 5.0,
    "faults": ("kpis",),
    "code_version": "other",
}
NO_CHANGE = {
    "out": "elsewhere",
    "order": 9,
    "timeout_s": 1.0,
    "data_name": "renamed",
    "works_id": "other",
    "cache_place": "elsewhere",
}


@pytest.mark.parametrize("field", list(Cell.model_fields))
def test_a_cells_id_is_that_of_what_can_change_its_result(field: str) -> None:
    """Another value of any field gives another id, but for where, when and how patiently it is run."""
    cell = _expand(load_spec(None, levels=["full"], cache="cold"))[0]
    changed = cell.model_copy(update={field: (CHANGES | NO_CHANGE)[field]})
    assert changed != cell
    assert (changed.cell_id == cell.cell_id) == (field in NO_CHANGE)


def test_repeats_go_through_briefs_and_exams_in_turn() -> None:
    """Every brief with the first exam, then with the second; all of one setting, each a work of its own."""
    briefs = [{"budget": 5000}, {"budget": 7000}]
    cells = _expand(load_spec(None, levels=["full"], cache="cold", briefs=briefs, exams=2, seed=7, repeats=5))
    works = [(cell.brief.budget, cell.seed) for cell in cells]
    assert works == [(5000, 7), (7000, 7), (5000, 8), (7000, 8), (5000, 7)]
    assert [len({getattr(cell, of) for cell in cells}) for of in ("setting_id", "work_id", "cell_id")] == [
        1,
        4,
        5,
    ]


def test_one_brief_and_a_list_of_briefs_exclude_each_other() -> None:
    """Which of the two was meant is not guessed; the command line's brief replaces the list."""
    with pytest.raises(SpecError, match="'brief' and 'briefs' are both given"):
        load_spec(None, brief={"budget": 1}, briefs=[{"budget": 2}])


def test_cold_and_warm_of_a_level_share_a_cache_and_nobody_else_does() -> None:
    """The warm run uses what the cold run of its level and repeat filled."""
    cells = _expand(load_spec(None, repeats=2))
    folders = Counter(cell.cache_folder for cell in cells)
    assert set(folders.values()) == {2}
    assert {(c.level.name, c.repeat, c.cache_folder) for c in cells}.__len__() == len(folders)


def test_make_cell_fills_in_what_is_left_out(tmp_path: Path) -> None:
    """A level and data are enough for a whole cell, that goes through JSON unchanged."""
    cell = cell_of(tmp_path)
    assert (cell.level, cell.cache_state, cell.repeat) == (LEVELS["full"], "cold", 0)
    assert len(cell.data_fingerprint) == 64
    assert cell.brief.plan == DEFAULT_PLAN
    assert make_cell(cell.model_dump(mode="json")) == cell


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"levle": "full"}, "'levle'"),
        ({"level": "fast"}, "'fast'"),
        ({"cache_state": "hot"}, "'cache_state'"),
        ({"repeat": "first"}, "'repeat'"),
        ({"brief": {"budget": 0}}, "'budget'"),
        ({"data": "beverage:rows=some"}, "some"),
        ({"data": "absent.csv"}, "absent.csv"),
        ({"faults": ["oracle"]}, "'oracle'"),
        ({"workers": 0}, "'workers'"),
    ],
)
def test_make_cell_names_the_field_that_is_wrong(fields: dict[str, Any], said: str) -> None:
    """By hand in a notebook, a mistake is a UserError that names it."""
    with pytest.raises(UserError) as caught:
        make_cell({"data": DATA} | fields)
    assert said in str(caught.value)


def test_runs_of_one_comparison_share_a_setting() -> None:
    """Level, cache state and repeat leave the setting and the work as they are; another seed does not."""
    cells = _expand(load_spec(None, repeats=2))
    assert len({cell.setting_id for cell in cells}) == len({cell.work_id for cell in cells}) == 1
    other = _expand(load_spec(None, seed=1))[0]
    assert other.setting_id != cells[0].setting_id
    assert other.work_id != cells[0].work_id


def test_a_presets_name_stands_for_its_switches(tmp_path: Path) -> None:
    """A level with other switches cannot pass for a preset in a table."""
    path = _write(tmp_path, "levels: [{name: full, base: partial}]")
    with pytest.raises(SpecError, match="is a preset's name"):
        load_spec(path)


def test_the_command_line_may_name_the_specs_own_levels(tmp_path: Path) -> None:
    """`--levels` chooses among the levels that the spec defines as well as the presets."""
    path = _write(tmp_path, "levels: [{name: own, base: partial, cache: []}, blackboard]")
    spec = load_spec(path, levels=["own", "full"])
    assert [level.name for level in spec.levels] == ["own", "full"]
    assert spec.levels[0].cache == ()


@pytest.mark.parametrize("place", ["me:secret@host/db", "me:se/cret@host/db", "me@host/db?password=secret"])
def test_a_place_with_a_password_is_refused(place: str) -> None:
    """An address ends up in notebooks and manifests; the password has to come from elsewhere."""
    with pytest.raises(SpecError, match="PGPASSWORD"):
        load_spec(None, cache_place=f"postgresql+psycopg://{place}")
    assert load_spec(None, cache_place="postgresql+psycopg://me@host/db").cache_place is not None


def test_a_relative_place_is_the_same_wherever_the_notebook_runs() -> None:
    """A folder named from where the command is given is that folder in the kernel too."""
    cells = _expand(load_spec(None, cache_place="shared"))
    assert {cell.cache_place for cell in cells} == {str(Path("shared").resolve())}


def test_a_fault_that_nobody_would_notice_is_refused() -> None:
    """A tool that no brief plans cannot fail; where the model chooses the tools it may."""
    with pytest.raises(SpecError, match="no brief plans"):
        load_spec(None, faults=("rfm:hang",))
    assert load_spec(None, faults=("rfm",), brief={"tool_choice": "model"}).faults == ("rfm",)


@pytest.mark.parametrize("place", ["nosuch+db://host/name", "/proc/no-such-folder"])
def test_a_place_that_cannot_be_opened_is_refused_before_the_run(tmp_path: Path, place: str) -> None:
    """It is the user's mistake, seen while the run is planned, and nothing is written."""
    with pytest.raises(UserError):
        plan(out=tmp_path, data=DATA, model="simulated", levels=["full"], cache_place=place)
    assert list(tmp_path.iterdir()) == []
