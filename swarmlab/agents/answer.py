"""The swarm's answer as data: facts, what each agent said, what was decided; and back from JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from swarmlab.agents.resources import Contribution
from swarmlab.tools import TOOLS, Fact
from swarmlab.tools.facts import Facts


@dataclass(frozen=True)
class Note:
    """One agent's words and the ids of the facts it cited."""

    agent: str
    title: str
    finding: str
    recommendation: str
    cites: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What a run found. `errors` names every tool that failed; an answer with errors is not a success."""

    facts: tuple[Fact, ...]
    notes: tuple[Note, ...]
    choices: dict[str, str]
    errors: tuple[str, ...]
    report: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form; `answer_from_dict` reads it back."""
        return {
            "facts": [fact.as_dict() for fact in self.facts],
            "notes": [asdict(note) for note in self.notes],
            "choices": dict(self.choices),
            "errors": list(self.errors),
            "report": self.report,
        }


def answer_from_dict(stored: dict[str, Any]) -> Answer:
    """Rebuild an answer from `Answer.as_dict` after a trip through JSON."""
    return Answer(
        facts=Facts(Fact(**fact) for fact in stored["facts"]).shared(),
        notes=tuple(Note(**note | {"cites": tuple(note["cites"])}) for note in stored["notes"]),
        choices=dict(stored["choices"]),
        errors=tuple(stored["errors"]),
        report=str(stored["report"]),
    )


def assemble(said: Sequence[Contribution]) -> Answer:
    """Put the contributions together; facts come in the catalogue's order, whoever asked for them first."""
    by_tool = {answer.tool: answer.facts for contribution in said for answer in contribution.answers}
    return Answer(
        facts=_all_facts(tuple(by_tool[name] for name in TOOLS if name in by_tool)),
        notes=tuple(Note(c.agent, c.title, c.finding, c.recommendation, c.cites) for c in said),
        choices={question: choice for c in said for question, choice in c.choices.items()},
        errors=tuple(error for c in said for error in c.errors),
    )


@lru_cache(maxsize=64)
def _all_facts(by_tool: tuple[tuple[Fact, ...], ...]) -> Facts:
    """The same object for the runs of one brief, so that what is made of it is found again at once."""
    return Facts(fact for facts in by_tool for fact in facts)
