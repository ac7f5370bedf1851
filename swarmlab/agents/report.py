"""The report a marketer reads, in Markdown: every figure is printed from a fact, none typed by the model."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from swarmlab.agents.answer import Answer, Note
from swarmlab.agents.brief import Brief
from swarmlab.agents.questions import Question
from swarmlab.data import Dataset
from swarmlab.tools import TOOLS, Fact

_OF_ENTITY = re.compile(r"^\w+\.(?P<metric>\w+)\[(?P<dimension>\w+)=(?P<entity>.*)\]$", re.DOTALL)
_MARKUP = re.compile(
    r"[\\`*\[\]|~]|!(?=\[)|(?<![^\W_])_|_(?![^\W_])"
    r"|^#|^[-+=](?=\s|[-+=])|(?<=^\d)[.)](?=\s|$)|(?<=^\d\d)[.)](?=\s|$)"
)
"""What Markdown may take for code, emphasis, a link, an image, a heading, a list or a cell's end."""


def write_report(answer: Answer, brief: Brief, dataset: Dataset, questions: Sequence[Question]) -> str:
    """Write the whole report.

    Parameters
    ----------
    answer
        Facts, notes and choices; a tool that failed is named where its section would be.
    """
    parts_of_facts = _parts_of(answer.facts)
    parts = [
        f"# {_cell(brief.analysis_type[:1].upper() + brief.analysis_type[1:])}",
        f"For the {_cell(brief.audience)}. Campaign type: {brief.campaign_type}. "
        f"Budget: ${brief.budget:,.0f}. Data: {_cell(dataset.name)}, {dataset.rows:,} rows of sales.",
        "## At a glance",
        parts_of_facts.glance,
        "## Recommendations",
        parts_of_facts.recommendations,
        "## Decisions",
        _table(
            ("question", "decision"), ((q.text, answer.choices.get(q.id, "not answered")) for q in questions)
        ),
        "## What the analysts say",
        "Words by the language model, which may not type a figure; the facts below them are those it cited.",
        *_notes(answer),
        *_sections(parts_of_facts.tables, answer.errors, brief),
        "## How this was made",
        "Figures are printed from typed facts that the tools computed; the model chose which to cite, "
        "wrote the words without figures and made the decisions. Notes on the data:",
        "\n".join(f"- {_cell(note)}" for note in dataset.notes) or "- none",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def first_headlines(facts: Iterable[Fact], per_tool: int = 2) -> list[Fact]:
    """The first headline facts of each tool, recommendations left out, for the opening table."""
    taken: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.headline and fact.tool != "recommendations":
            taken.setdefault(fact.tool, []).append(fact)
    return [fact for headlines in taken.values() for fact in headlines[:per_tool]]


class _FactParts(NamedTuple):
    """What follows from the facts alone, which the runs of one brief have in common."""

    glance: str
    recommendations: str
    tables: Mapping[str, Sequence[str]]
    """By tool."""


@lru_cache(maxsize=64)
def _parts_of(facts: tuple[Fact, ...]) -> _FactParts:
    by_tool: dict[str, list[Fact]] = {}
    for fact in facts:
        by_tool.setdefault(fact.tool, []).append(fact)
    return _FactParts(
        glance=_table(("", ""), ((f.label, f.text) for f in first_headlines(facts))),
        recommendations=_recommendations(by_tool.get("recommendations", [])),
        tables={tool: _fact_tables(found) for tool, found in by_tool.items()},
    )


def _recommendations(facts: Sequence[Fact]) -> str:
    ranked = [fact for fact in facts if ".recommendation[" in fact.id]
    rules = {fact.id.partition("[")[2]: fact.text for fact in facts if ".rule[" in fact.id}
    lines = []
    for place, fact in enumerate(ranked, 1):
        rule = rules.get(fact.id.partition("[")[2], "").replace("_", " ")
        lines.append(f"{place}. {_cell(fact.text)}" + (f" *(rule: {_cell(rule)})*" if rule else ""))
    return "\n".join(lines) or "None."


def _notes(answer: Answer) -> list[str]:
    by_id = {fact.id: fact for fact in answer.facts}
    return [_note(note, by_id) for note in answer.notes]


def _note(note: Note, by_id: Mapping[str, Fact]) -> str:
    cited = [by_id[i] for i in note.cites if i in by_id]
    words = " ".join(f"{_cell(text).rstrip('. ')}." for text in (note.finding, note.recommendation) if text)
    facts = "\n".join(f"- {_cell(fact.label)}: **{_cell(fact.text)}**" for fact in cited)
    return f"### {note.title[:1].upper()}{note.title[1:]}\n\n{words or 'No finding.'}\n\n{facts}".rstrip()


def _sections(tables: Mapping[str, Sequence[str]], errors: Sequence[str], brief: Brief) -> list[str]:
    sections = []
    for name in TOOLS:
        if name == "recommendations" and name in tables:
            continue
        if name in tables or name in brief.plan:
            sections.append(f"## {name.replace('_', ' ').capitalize()}")
            sections.extend(tables.get(name) or [_missing(name, errors)])
    return sections


def _missing(name: str, errors: Sequence[str]) -> str:
    # By the start of the message: what follows may name other tools.
    reasons = [error for error in errors if error.startswith(f"tool {name} failed")]
    return f"Not available: {_cell(reasons[0] if reasons else 'the tool was not asked')}"


def _fact_tables(facts: Sequence[Fact]) -> list[str]:
    """One table of plain facts, then one a dimension: a row an entity, a column a metric."""
    plain = [(fact.label, fact.text) for fact in facts if not _OF_ENTITY.match(fact.id)]
    tables = [_table(("", ""), plain)] if plain else []
    grouped: dict[str, dict[str, dict[str, str]]] = {}
    for fact in facts:
        if match := _OF_ENTITY.match(fact.id):
            rows = grouped.setdefault(match["dimension"], {})
            rows.setdefault(match["entity"], {})[match["metric"]] = fact.text
    for dimension, rows in grouped.items():
        metrics = list(dict.fromkeys(metric for row in rows.values() for metric in row))
        header = (dimension.replace("_", " "), *(m.replace("_", " ") for m in metrics))
        tables.append(
            _table(header, ((entity, *(row.get(m, "") for m in metrics)) for entity, row in rows.items()))
        )
    return tables


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(_cell(cell) for cell in header) + " |", "|" + " --- |" * len(header)]
    lines.extend("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)
    return "\n".join(lines)


@lru_cache(maxsize=4096)
def _cell(text: str) -> str:
    """Names come from the user's file: keep them from breaking the table or becoming markup."""
    escaped = _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
    return escaped.replace("<", "&lt;").replace(">", "&gt;")
