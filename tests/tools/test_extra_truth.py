"""Ground truth of the tools beyond the default plan, and what must not change their facts."""

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sales_frames import dataset_of
from shopper_frames import SHOPPER, shopper_frame

from swarmlab.data import Dataset, open_dataset
from swarmlab.errors import ToolError
from swarmlab.tools import DEFAULT_PLAN, TOOLS, Fact, Scope, SharedFrame, missing_columns, run_tool, truth
from swarmlab.tools.truth_extra import EXTRA_TRUTH, extra_truth

NOTHING = re.compile("no row of the data|is empty in all rows|no household bought")

EXTRA = tuple(name for name in TOOLS if name not in DEFAULT_PLAN)


def _check(dataset: Dataset, scope: Scope) -> dict[str, float | int | str]:
    """Compare the truth of each tool that the data allow with its facts."""
    shared, all_true = SharedFrame(dataset), {}
    for name in EXTRA:
        if missing_columns(TOOLS[name], dataset, scope):
            continue
        try:
            found = {f.id: f.value for f in run_tool(name, scope, dataset, "vectorized", shared).facts}
        except ToolError as error:
            # Nothing in scope to look at; anything else is a fault.
            if not NOTHING.search(str(error)):
                raise
            continue
        true = extra_truth(dataset, scope, (name,))
        assert {key: found.get(key, "missing") for key in true} == true
        all_true |= true
    return all_true


def test_grocery_facts_are_true() -> None:
    """On the real transactions each tool's required facts equal SQL's, companion tables and all."""
    true = _check(open_dataset("grocery"), Scope())
    assert {key.partition(".")[0] for key in true} == set(EXTRA_TRUTH)
    assert len(true) >= 60
    assert true["customer_churn.n_households"] == 2467


@given(
    st.integers(0, 10_000),
    st.sampled_from([10, 40, 130, 400]),
    st.sets(st.sampled_from(SHOPPER)),
    st.sampled_from([Scope(), Scope(categories=("Tea",)), Scope(brands=("Brand 1",))]),
)
@settings(max_examples=20, deadline=None)
def test_facts_of_random_data_are_true(
    tmp_path_factory: pytest.TempPathFactory, seed: int, days: int, columns: set[str], scope: Scope
) -> None:
    """From ten days to a year of rows, with any of the optional columns."""
    frame = shopper_frame(seed, 500, days=days, columns=tuple(sorted(columns)))
    _check(dataset_of(frame, tmp_path_factory.mktemp("data")), scope)


def test_truth_adds_only_what_is_planned(tmp_path: Path) -> None:
    """The default truth is that of the twelve; a planned tool adds its own facts to it."""
    dataset = dataset_of(shopper_frame(1, 500), tmp_path)
    plain, more = truth(dataset, Scope()), truth(dataset, Scope(), ("kpis", "rfm"))
    assert {key.partition(".")[0] for key in plain} == set(DEFAULT_PLAN)
    assert {key.partition(".")[0] for key in more.keys() - plain.keys()} == {"rfm"}
    assert plain.items() <= more.items()


def _facts(frame: pd.DataFrame) -> list[tuple[Fact, ...]]:
    return [TOOLS[name].fn(frame, Scope(budget=1000.0)) for name in EXTRA]


@given(st.integers(0, 10_000), st.sampled_from([60, 200]))
@settings(max_examples=8, deadline=None)
def test_order_and_dtypes_do_not_matter(seed: int, days: int) -> None:
    """Shuffled rows and categorical names give the same facts in the same order."""
    frame = shopper_frame(seed, 700, days=days)
    expected = _facts(frame)
    shuffled = frame.iloc[np.random.default_rng(seed).permutation(len(frame))]
    assert _facts(shuffled) == expected
    text = [name for name in frame if frame[name].dtype.kind not in "fM"]
    assert _facts(shuffled.astype(dict.fromkeys(text, "category"))) == expected


@pytest.mark.parametrize("name", EXTRA)
def test_a_tool_changes_nothing_in_the_frame(name: str) -> None:
    """A shared frame is the same after the tool."""
    frame = shopper_frame(2, 300)
    before = frame.copy(deep=True)
    TOOLS[name].fn(frame, Scope())
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("name", EXTRA)
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_few_rows_give_facts_or_a_clear_error(name: str, rows: int) -> None:
    """Never a warning, never NaN: a fact that is not available, or a ToolError that says what is lacking."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            facts = TOOLS[name].fn(shopper_frame(3, rows), Scope())
        except ToolError as error:
            if NOTHING.search(str(error)):
                return
            raise
    assert any(fact.headline for fact in facts)
    assert not any("nan" in fact.text for fact in facts)


@pytest.mark.parametrize("name", EXTRA)
def test_both_implementations_give_the_same_facts(tmp_path: Path, name: str) -> None:
    """The file read anew and the shared frame make no difference; two to eight facts are headlines."""
    dataset = dataset_of(shopper_frame(4, 900), tmp_path)
    baseline, vectorized = (run_tool(name, Scope(), dataset, impl) for impl in ("baseline", "vectorized"))
    assert baseline.facts == vectorized.facts
    assert 2 <= sum(fact.headline for fact in baseline.facts) <= 8
    assert all(fact.id.startswith(f"{name}.") and fact.label.strip() for fact in baseline.facts)


@pytest.mark.parametrize("name", EXTRA)
def test_a_missing_column_is_named(name: str) -> None:
    """Without any column that it declares, a tool fails with the tool's and the column's name."""
    frame = shopper_frame(4, 300)
    for column in TOOLS[name].needs:
        with pytest.raises(ToolError, match=f"tool {name} failed: the data have no column {column}"):
            TOOLS[name].fn(frame.drop(columns=column), Scope())
