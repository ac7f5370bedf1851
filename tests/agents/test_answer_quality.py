"""Grades: coverage, groundedness, decisions, chance, and the keyword router beside them."""

import pytest
from scripted import Sales, fact, level, resources

from swarmlab.agents.answer import Answer, Note, answer_from_dict
from swarmlab.agents.quality import (
    chance_accuracy,
    decision_accuracy,
    fact_coverage,
    groundedness,
    keyword_choices,
)
from swarmlab.agents.questions import Exam, Question
from swarmlab.agents.swarm import run_swarm

FACTS = (
    fact("kpis.revenue", 1234567, unit="$", label="total revenue"),
    fact("kpis.change", -3.5, unit="% change", label="change"),
    fact("market_share.leader", "Brand 13", label="leading brand by revenue"),
)


def _answer(finding: str = "", *, cites: tuple[str, ...] = (), recommendation: str = "") -> Answer:
    return Answer(FACTS, (Note("a", "analyst", finding, recommendation, cites),), {}, ())


def test_coverage_counts_exact_values_only() -> None:
    """A missing fact and one that is off by anything are not covered."""
    answer = _answer()
    assert fact_coverage(answer, {"kpis.revenue": 1234567, "market_share.leader": "Brand 13"}) == 1
    assert fact_coverage(answer, {"kpis.revenue": 1234568, "kpis.change": -3.5}) == 0.5
    assert fact_coverage(answer, {"kpis.gone": 1}) == 0


async def test_a_sound_run_covers_every_required_fact(sales: Sales) -> None:
    """The tools' facts equal the truth that SQL finds, and every citation is grounded."""
    answer = await run_swarm(resources(sales, level()))
    assert fact_coverage(answer, sales.truth) == 1
    assert groundedness(answer) == 1


async def test_a_failed_tool_costs_coverage(sales: Sales) -> None:
    """What a broken tool would have found counts as missing."""
    answer = await run_swarm(resources(sales, level(), faults=frozenset({"kpis"})))
    lost = sum(i.startswith("kpis.") for i in sales.truth)
    assert fact_coverage(answer, sales.truth) == pytest.approx(1 - lost / len(sales.truth))


@pytest.mark.parametrize(
    ("finding", "cites", "expected"),
    [
        ("", (), None),
        ("Sales grow.", (), None),
        ("Revenue is 1,234,567.", (), 1.0),
        ("Revenue is 1234567 in all.", (), 1.0),
        ("It fell by 3.5 %.", (), 1.0),
        ("Revenue is 1,234,568.", (), 0.0),
        ("Revenue is 1,234,567 or 99.", (), 0.5),
        ("Revenue is 1,234.", (), 0.0),
        ("Sales grow.", ("kpis.revenue",), 1.0),
        ("Sales grow.", ("kpis.revenue", "kpis.invented"), 0.5),
        ("Sales grow by 99.", ("kpis.revenue",), 0.5),
    ],
)
def test_groundedness_checks_citations_and_typed_numbers(
    finding: str, cites: tuple[str, ...], expected: float | None
) -> None:
    """Cited facts and typed numbers that facts print are grounded, others not; no number, no grade."""
    assert groundedness(_answer(finding, cites=cites)) == expected
    assert groundedness(_answer(recommendation=finding, cites=cites)) == expected


def _exam(*options: tuple[str, ...]) -> Exam:
    questions = tuple(
        Question(f"q{i}", "market_share", "Which brand leads by revenue?", o) for i, o in enumerate(options)
    )
    return Exam(questions, {q.id: q.options[0] for q in questions})


def test_decisions_are_graded_one_by_one() -> None:
    """Right, wrong and unanswered; a choice that was not asked for does not count."""
    exam = _exam(("A", "B"), ("A", "B"), ("A", "B"), ("A", "B"))
    assert decision_accuracy({"q0": "A", "q1": "A", "q2": "B", "q9": "A"}, exam) == 0.5
    assert decision_accuracy({}, exam) == 0
    assert decision_accuracy(exam.answers, exam) == 1


def test_chance_is_the_mean_of_the_options() -> None:
    """Two options and four: three eighths."""
    assert chance_accuracy(_exam(("A", "B"), ("A", "B", "C", "D"))) == 0.375


def test_the_router_takes_the_option_named_in_the_nearest_fact() -> None:
    """Whole names, in whatever case; the first option where no fact names one."""
    questions = _exam(("Brand 1", "Brand 13"), ("brand 13", "X"), ("X", "Y")).questions
    assert keyword_choices(questions, FACTS) == {"q0": "Brand 13", "q1": "brand 13", "q2": "X"}


async def test_the_router_beats_chance_on_real_facts(sales: Sales) -> None:
    """The baseline beside the model's score is a real one."""
    answer = await run_swarm(resources(sales, level()))
    routed = keyword_choices(sales.exam.questions, answer.facts)
    assert set(routed) == set(sales.exam.answers)
    assert decision_accuracy(routed, sales.exam) > 0.6 > chance_accuracy(sales.exam)


async def test_an_answer_survives_json(sales: Sales) -> None:
    """What is written out reads back equal."""
    answer = await run_swarm(resources(sales, level()))
    assert answer_from_dict(answer.as_dict()) == answer
