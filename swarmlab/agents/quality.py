"""Grades an answer: coverage of required facts, groundedness of its numbers, accuracy of its decisions."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import eq

from swarmlab.agents.answer import Answer
from swarmlab.agents.questions import Exam, Question, Value
from swarmlab.agents.turn import evidence
from swarmlab.tools import Fact

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def fact_coverage(answer: Answer, required: Mapping[str, Value]) -> float | None:
    """Share of required facts that the answer holds with exactly the true value; None without any."""
    if not required:
        return None
    found = _values(answer.facts)
    if required.items() <= found.items():
        return 1.0
    right: int = sum(map(eq, map(found.get, required), required.values()))
    return right / len(required)


def groundedness(answer: Answer) -> float | None:
    """Share of the numbers in the agents' text that are facts; None when they give no number at all.

    A citation is printed from its fact and counts as one grounded number; a number that the model typed
    itself counts as grounded only when a fact prints the same number.
    """
    ids, known = _ids_and_numbers(answer.facts)
    cited = [i in ids for note in answer.notes for i in note.cites]
    typed = [
        number in known
        for note in answer.notes
        for number in _numbers(f"{note.finding} {note.recommendation}")
    ]
    checks = cited + typed
    return sum(checks) / len(checks) if checks else None


def decision_accuracy(choices: Mapping[str, str], exam: Exam) -> float | None:
    """Share of decision questions answered right; an unanswered one is wrong. None without questions."""
    if not exam.questions:
        return None
    right = sum(choices.get(question_id) == answer for question_id, answer in exam.answers.items())
    return right / len(exam.answers)


def chance_accuracy(exam: Exam) -> float | None:
    """Expected accuracy of a blind choice; None without questions."""
    if not exam.questions:
        return None
    return sum(1 / len(question.options) for question in exam.questions) / len(exam.questions)


def keyword_choices(questions: Sequence[Question], facts: Sequence[Fact]) -> dict[str, str]:
    """A keyword router: the option named in the fact that shares most words with the question."""
    # `tuple` would copy what knows its hash.
    all_facts = facts if isinstance(facts, tuple) else tuple(facts)
    return dict(_keyword_choices(tuple(questions), all_facts))


@lru_cache(maxsize=256)
def _keyword_choices(questions: tuple[Question, ...], facts: tuple[Fact, ...]) -> Mapping[str, str]:
    lines = [f"{fact.label}: {fact.text}" for fact in facts]
    choices = {}
    for question in questions:
        best_first = reversed(evidence(question.text, lines, at_most=len(lines)))
        named = (option for line in best_first for option in question.options if _names(line, option))
        choices[question.id] = next(named, question.options[0])
    return choices


@lru_cache(maxsize=64)
def _values(facts: tuple[Fact, ...]) -> Mapping[str, Value]:
    return {fact.id: fact.value for fact in facts}


@lru_cache(maxsize=64)
def _ids_and_numbers(facts: tuple[Fact, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """The facts' ids, and the numbers they print."""
    numbers = frozenset(number for fact in facts for number in _numbers(fact.text))
    return frozenset(fact.id for fact in facts), numbers


def _names(line: str, option: str) -> bool:
    """The line holds the option as whole words: "Brand 13" does not name "Brand 1", nor "slow" "low"."""
    return re.search(rf"(?<!\w){re.escape(option)}(?!\w)", line, re.IGNORECASE) is not None


def _numbers(text: str) -> list[str]:
    return [match.replace(",", "").rstrip(".") for match in _NUMBER.findall(text)]
