"""Recommendations: rules over facts, in order of urgency."""

import pytest
from sales_frames import random_frame, tiny_frame, values

from swarmlab.tools import Scope, recommendations
from swarmlab.tools.recommendations import MOST, RULES


def _rules(facts: dict[str, float | int | str]) -> list[float | int | str]:
    return [value for name, value in facts.items() if name.startswith("rule[")]


def test_a_declining_brand_comes_first_and_is_named_with_its_figure() -> None:
    """Still falls from 20 to 10: that is the most urgent advice, and says so."""
    frame = tiny_frame(
        [
            ("2023-01-01", "Still", "Water", 1, 20.0),
            ("2023-02-28", "Still", "Water", 1, 10.0),
            ("2023-01-01", "Fizz", "Cola", 1, 10.0),
            ("2023-02-28", "Fizz", "Cola", 1, 20.0),
        ]
    )
    facts = values(recommendations(frame))
    assert facts["recommendation[rank=1]"] == (
        "Find out why brand Still is losing sales (-50.0 %) before spending more on it."
    )
    assert facts["recommendation[rank=2]"] == "Back category Cola, which grows fastest (+100.0 %)."
    assert _rules(facts)[:2] == ["stop_decline", "back_growth"]


@pytest.mark.parametrize("columns", [(), ("discount_value", "store_id"), ("total_cost", "region")], ids=str)
def test_there_are_three_to_six_of_them_in_the_order_of_the_table(columns: tuple[str, ...]) -> None:
    """Whatever the data, enough is recommended and never too much."""
    for days in (3, 90, 500):
        facts = values(recommendations(random_frame(6, 800, days=days, columns=columns)))
        rules = _rules(facts)
        order = [rule.id for rule in RULES]
        assert 3 <= len(rules) <= MOST
        assert rules == sorted(rules, key=lambda rule: order.index(str(rule)))
        assert facts["n_recommendations"] == len(rules)
        assert all(str(facts[f"recommendation[rank={i + 1}]"]).endswith(".") for i in range(len(rules)))


def test_deep_discounts_and_thin_margins_are_acted_on() -> None:
    """Each basis of profitability has its own rule."""
    frame = random_frame(7, 800, columns=())
    discounted = frame.assign(discount_value=frame["total_revenue"])
    costly = frame.assign(total_cost=0.95 * frame["total_revenue"])
    assert "test_discounts" in _rules(values(recommendations(discounted)))
    assert "repair_margin" in _rules(values(recommendations(costly)))


def test_short_data_are_told_to_wait() -> None:
    """Without a full month the budget cannot be judged, and the advice says what is missing."""
    frame = tiny_frame([("2023-01-05", "A", "x", 1, 5.0)])
    facts = values(recommendations(frame, Scope(budget=500)))
    assert "Collect at least one full month of sales before judging the budget of $500." in facts.values()


def test_the_budget_is_in_the_advice() -> None:
    """The sums named are those of the budget plan."""
    facts = values(recommendations(random_frame(8, 800, columns=()), Scope(budget=7777)))
    sentences = " ".join(str(value) for name, value in facts.items() if name.startswith("recommendation["))
    assert "$7,777" in sentences
