"""Grades an answer against its cell's work, and lays both side by side."""

from dataclasses import asdict
from functools import lru_cache
from typing import Any

from swarmlab.agents.answer import Answer
from swarmlab.agents.quality import (
    chance_accuracy,
    decision_accuracy,
    fact_coverage,
    groundedness,
    keyword_choices,
)
from swarmlab.lab.experiment import Cell
from swarmlab.lab.work import Work
from swarmlab.tools import Fact
from swarmlab.tools.cache import content_key


def grades(work: Work, answer: Answer) -> dict[str, Any]:
    """The fields of a `Record` that say how good an answer is."""
    keyword = keyword_choices(work.exam.questions, answer.facts)
    return {
        "fact_coverage": fact_coverage(answer, work.required),
        "groundedness": groundedness(answer),
        "decision_accuracy": decision_accuracy(answer.choices, work.exam),
        "keyword_accuracy": decision_accuracy(keyword, work.exam),
        "chance_accuracy": chance_accuracy(work.exam),
        "facts_hash": _facts_hash(answer.facts),
    }


@lru_cache(maxsize=64)
def _facts_hash(facts: tuple[Fact, ...]) -> str:
    return content_key({"facts": [fact.as_dict() for fact in facts]})[:16]


def answer_json(cell: Cell, work: Work, answer: Answer) -> dict[str, Any]:
    """An answer beside what was asked and what is right, as `answer.json` keeps it."""
    right = work.exam.answers
    return {
        "run_id": cell.run_id,
        "level": cell.level.model_dump(mode="json"),
        "brief": cell.brief.model_dump(mode="json"),
        "data": {
            "name": work.dataset.name,
            "fingerprint": work.dataset.fingerprint,
            "rows": work.dataset.rows,
        },
        "facts": [fact.as_dict() for fact in answer.facts],
        "required_facts": dict(work.required),
        "notes": [asdict(note) for note in answer.notes],
        "decisions": [
            {
                "id": question.id,
                "question": question.text,
                "options": list(question.options),
                "choice": answer.choices.get(question.id),
                "right": right[question.id],
                "is_right": answer.choices.get(question.id) == right[question.id],
            }
            for question in work.exam.questions
        ],
        "errors": list(answer.errors),
    }
