"""Facts: rounding by unit, printing, ids."""

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.tools.facts import DECIMALS, NOT_AVAILABLE, Fact, Facts, FactSheet, of, rounded, spelled


@pytest.mark.parametrize(
    ("value", "unit", "kept", "text"),
    [
        (71.249, "%", 71.2, "71.2 %"),
        (4312450.4, "$", 4312450, "$4,312,450"),
        (999.994, "$", 999.99, "$999.99"),
        (12.0, "$", 12, "$12"),
        (-1500.2, "$", -1500, "-$1,500"),
        (1234.56, "$ exact", 1234.56, "$1,234.56"),
        (2.5, "$/unit", 2.5, "$2.50"),
        (3.0, "% change", 3.0, "+3.0 %"),
        (-0.04, "% change", 0.0, "+0.0 %"),
        (1897716.0, "count", 1897716, "1,897,716"),
        (5930.4, "hhi", 5930, "5,930"),
        ("2017-08", "month", "2017-08", "2017-08"),
    ],
)
def test_a_value_is_rounded_and_printed_by_its_unit(
    value: float | str, unit: str, kept: float | str, text: str
) -> None:
    """Each unit has its decimals, and the text shows the very digits of the value."""
    fact = FactSheet("kpis", 10).add("some_metric", "some label", value, unit)
    assert fact.value == kept
    assert fact.text == text


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -math.inf])
def test_a_value_that_does_not_exist_is_said_to_be_not_available(value: float | None) -> None:
    """No NaN and no infinity gets into a fact."""
    fact = FactSheet("kpis", 10).add("mom_change_pct", "change", value, "% change")
    assert (fact.value, fact.unit, fact.text) == (NOT_AVAILABLE, "none", NOT_AVAILABLE)


def test_a_fact_carries_its_tool_entity_rows_and_headline() -> None:
    """Ids are made of the tool, the metric and the entity; rows default to those in scope."""
    sheet = FactSheet("market_share", 10)
    sheet.add(of("revenue_share", "brand", "Fizz [new]"), "share of Fizz", 3, "%", rows=4, headline=True)
    sheet.add("leader", "leader", "Fizz", "name")
    first, second = sheet.facts()
    assert first.id == "market_share.revenue_share[brand=Fizz [new]]"
    assert (first.rows, first.headline, second.rows, second.headline) == (4, True, 10, False)


def test_an_id_can_be_given_once_only() -> None:
    """A second fact of the same id is a mistake of the tool, not silently kept."""
    sheet = FactSheet("kpis", 1)
    sheet.add("avg_price", "price", 1.0, "$/unit")
    with pytest.raises(ValueError, match=r"kpis\.avg_price was added twice"):
        sheet.add("avg_price", "price", 2.0, "$/unit")


@given(
    st.integers(min_value=-(10**9), max_value=10**9),
    st.sampled_from(sorted(DECIMALS)),
    st.integers(min_value=-40, max_value=40),
)
def test_last_bit_noise_never_changes_a_rounded_value(tie: int, unit: str, ulps: int) -> None:
    """Values that lie on a rounding tie, but for noise in their last bits, round alike."""
    exact = (2 * tie + 1) / 2 / 10 ** DECIMALS[unit]
    noisy = exact + ulps * math.ulp(exact) if abs(exact) < 1e6 else exact
    assert rounded(noisy, unit) == rounded(exact, unit)


def test_small_numbers_are_spelled_and_large_ones_are_not() -> None:
    """Labels hold no figures up to twelve."""
    assert (spelled(1), spelled(12), spelled(24)) == ("one", "twelve", "24")


@given(st.lists(st.text(max_size=5), unique=True, max_size=5))
def test_facts_are_a_tuple_whose_hash_stays_in_its_process(names: list[str]) -> None:
    """They equal a plain tuple and hash like it, also when asked twice; a pickle does not carry the hash."""
    plain = tuple(Fact(name, "kpis", "label", 1, "count", 1) for name in names)
    facts = Facts(plain)
    assert facts == plain
    assert hash(facts) == hash(facts) == hash(plain)
    again = pickle.loads(pickle.dumps(facts))
    assert (again, type(again), vars(again)) == (facts, Facts, {})


def test_equal_facts_found_anew_are_one_object() -> None:
    """Two sheets of the same facts give one and the same tuple, and a sheet of another value another one."""

    def found(value: int) -> Facts:
        sheet = FactSheet("kpis", 3)
        sheet.add("revenue", "revenue", value, "$")
        return sheet.facts()

    assert found(1_200) is found(1_200)
    assert found(1_200) is not found(1_201)
    assert found(1_201)[0].value == 1_201
