"""The exam: set from the truth, the same however it is stored, and put to the agents who can know."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Sales

from swarmlab.agents.questions import MAX_OPTIONS, RULES, WEEKDAYS, set_exam
from swarmlab.agents.rosters import ROSTERS
from swarmlab.agents.swarm import assign
from swarmlab.data import open_dataset
from swarmlab.tools import TOOLS, Scope, entities, truth

NAMES = {"brands": ["A", "B", "C"], "categories": ["X", "Y"], "regions": ["N", "S", "W"]}


def test_questions_are_enough_and_have_their_answer_among_the_options(sales: Sales) -> None:
    """Twenty or more, two to four distinct options each, the right one among them."""
    exam = sales.exam
    assert len(exam.questions) >= 20
    assert set(exam.answers) == {question.id for question in exam.questions}
    for question in exam.questions:
        assert 2 <= len(question.options) <= MAX_OPTIONS
        assert len(set(question.options)) == len(question.options)
        assert exam.answers[question.id] in question.options
        assert question.topic in TOOLS
        assert "{" not in question.text


@given(st.integers(0, 2**32))
def test_the_order_of_the_truth_does_not_matter(sales: Sales, shuffle: int) -> None:
    """SQL's row order and a dict's order leave the exam as it is."""
    items = list(sales.truth.items())
    random.Random(shuffle).shuffle(items)
    assert set_exam(dict(items), sales.names, seed=0) == sales.exam


def test_the_seed_draws_the_options(sales: Sales) -> None:
    """Another seed asks the same with other rivals or another order; the right answers stay."""
    again = set_exam(sales.truth, sales.names, seed=0)
    other = set_exam(sales.truth, sales.names, seed=1)
    assert again == sales.exam
    assert other.answers == sales.exam.answers
    assert [q.options for q in other.questions] != [q.options for q in sales.exam.questions]


def test_the_right_answer_is_not_always_in_one_place(sales: Sales) -> None:
    """An agent that always takes the first option must not pass."""
    places = {q.options.index(sales.exam.answers[q.id]) for q in sales.exam.questions}
    assert len(places) > 1


@pytest.mark.parametrize(
    ("truths", "names"),
    [
        ({}, NAMES),
        ({"market_share.leader": "Z"}, NAMES),
        ({"market_share.leader": "not available"}, NAMES),
        ({"market_share.leader": 3}, NAMES),
        ({"market_share.leader": "A"}, {"brands": ["A"]}),
        ({"market_share.leader": "A"}, {}),
        ({"market_share.leader": "L"}, {"brands": list("ABCDEFGHIJKL")}),
    ],
)
def test_what_the_data_cannot_decide_is_not_asked(truths: dict[str, Any], names: dict[str, Any]) -> None:
    """No truth, no such name, one name only, or one beyond what tools report: no question."""
    assert set_exam(truths, names, seed=0).questions == ()


def test_a_decidable_rule_is_asked() -> None:
    """One truth, one question; what the data calls a region is in its text."""
    known = {"regional_performance.leader": "S"}
    (question,) = set_exam(known, NAMES, seed=0, place="country").questions
    assert question.text == "Which country has the most revenue?"
    assert sorted(question.options) == NAMES["regions"]
    assert question.topic == "regional_performance"


def test_ids_do_not_depend_on_which_other_rules_apply(sales: Sales) -> None:
    """A question keeps its id and options when another is left out."""
    known = {i: value for i, value in sales.truth.items() if i != "market_share.leader"}
    fewer = set_exam(known, sales.names, seed=0)
    assert fewer.questions == sales.exam.questions[1:]


def test_rules_name_what_tools_find() -> None:
    """Every rule rests on a tool of the catalogue and either a kind of name or fixed options."""
    kinds = {"brands", "categories", "regions", "months"}
    for rule in RULES:
        assert rule.fact.partition(".")[0] in TOOLS
        assert rule.among in kinds if isinstance(rule.among, str) else len(set(rule.among)) >= 3
    assert len(set(WEEKDAYS)) == 7
    assert len({rule.fact for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("name", ROSTERS)
def test_questions_go_to_who_can_know(sales: Sales, name: str) -> None:
    """Funding questions to the last agent, any other to the owner of its topic, none lost or doubled."""
    roster = ROSTERS[name]
    exam = assign(sales.exam.questions, roster)
    given_out = [question.id for questions in exam.values() for question in questions]
    assert sorted(given_out) == sorted(sales.exam.answers)
    assert list(exam) == [agent.name for agent in roster]
    for agent in roster:
        for question in exam[agent.name]:
            if question.funding:
                assert agent is roster[-1]
            else:
                assert question.topic in agent.tools
    assert sum(question.funding for question in exam[roster[-1].name]) >= 5


def test_data_without_regions_and_costs_still_decide_twenty(tmp_path: Any) -> None:
    """Like the grocery data: departments, two kinds of brand, stores, discounts; no cost and no region."""
    frame = open_dataset("beverage:2000", cache_dir=tmp_path).load()
    frame = frame[["sale_date", "store_id", "brand", "category", "units_sold", "total_revenue"]].copy()
    first = frame["brand"].astype(str) < "F"
    frame["brand"] = first.map({True: "National", False: "Private"})
    rate = 0.01 * (1 + frame["category"].astype(str).map(len))
    frame["discount_value"] = (frame["total_revenue"] * rate).round(2)
    frame.to_csv(tmp_path / "shop.csv", index=False)
    dataset = open_dataset(str(tmp_path / "shop.csv"), cache_dir=tmp_path)
    exam = set_exam(truth(dataset, Scope()), entities(dataset, Scope()), seed=0)
    assert {"q15", "q16"} <= set(exam.answers)
    assert len(exam.questions) >= 20
