"""The report: tables that hold together whatever the names in the data are, and gaps that are named."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Sales, fact, level, resources

from swarmlab.agents.answer import Answer, Note
from swarmlab.agents.brief import Brief
from swarmlab.agents.questions import Question
from swarmlab.agents.report import first_headlines, write_report
from swarmlab.agents.swarm import run_swarm
from swarmlab.tools import DEFAULT_PLAN

NASTY = "A|B <script>alert()</script>\n# not a heading"


def _tables(report: str) -> list[list[int]]:
    """Number of cells in each row of each table."""
    blocks = [block.splitlines() for block in report.split("\n\n") if block.startswith("|")]
    return [[len(re.findall(r"(?<!\\)\|", line)) - 1 for line in lines] for lines in blocks]


def _check_tables(report: str) -> None:
    tables = _tables(report)
    assert tables
    for rows in tables:
        assert len(set(rows)) == 1


async def test_tables_of_a_real_run_are_well_formed(sales: Sales) -> None:
    """Equal cells in every row, one section a tool, one heading an agent, every decision shown."""
    answer = await run_swarm(resources(sales, level(roster="six")))
    _check_tables(answer.report)
    sections = re.findall(r"^## (.*)$", answer.report, re.MULTILINE)
    for tool in DEFAULT_PLAN:
        assert sections.count(tool.replace("_", " ").capitalize()) == 1
    assert answer.report.count("\n### ") == 6
    for question in sales.exam.questions:
        assert f"| {question.text} | {answer.choices[question.id]} |" in answer.report
    assert "Not available" not in answer.report
    assert "not answered" not in answer.report


@settings(max_examples=40)
@given(st.text(alphabet="ab|<>&\n\r\\`#=[]- \u2028", min_size=1, max_size=12))
def test_no_name_breaks_a_table_or_becomes_html(sales: Sales, name: str) -> None:
    """Names of entities, labels, values, notes, options and the file are shown, never obeyed."""
    facts = (
        fact(f"market_share.share[brand={name}]", 3, label=f"share of {name}"),
        fact("market_share.leader", name, label=name),
        fact("recommendations.recommendation[rank=1]", f"Back {name}."),
    )
    note = Note("a", "analyst", f"Look at {name}", name, ("market_share.leader",))
    answer = Answer(facts, (note,), {"q1": name}, (f"tool kpis failed: {name}",))
    report = write_report(
        answer,
        Brief(analysis_type=f"study {name}", audience=f"people {name}"),
        replace(sales.dataset, name=name, notes=(name,)),
        (Question("q1", "market_share", f"Is it {name}?", (name, "other")),),
    )
    _check_tables(report)
    assert "<" not in report
    assert len(re.findall(r"^# ", report, re.MULTILINE)) == 1
    assert "\r" not in report


def test_a_nasty_name_stays_readable(sales: Sales) -> None:
    """Pipes and angle brackets are escaped, line breaks become spaces."""
    facts = (fact("market_share.leader", NASTY, label="leader"),)
    report = write_report(Answer(facts, (), {}, ()), Brief(), sales.dataset, ())
    assert r"| leader | A\|B &lt;script&gt;alert()&lt;/script&gt; # not a heading |" in report


def test_an_empty_answer_is_still_a_report(sales: Sales) -> None:
    """No fact, no note, no question: every planned section says that nothing is there."""
    report = write_report(Answer((), (), {}, ()), Brief(), sales.dataset, ())
    assert report.count("Not available: the tool was not asked") == len(DEFAULT_PLAN)
    _check_tables(report)


def test_a_section_gives_its_own_tools_error(sales: Sales) -> None:
    """An error that mentions another tool in passing is not that tool's reason."""
    errors = ("tool kpis failed: unlike roi", "tool roi failed: no cost")
    report = write_report(Answer((), (), {}, errors), Brief(plan=("kpis", "roi")), sales.dataset, ())
    assert "## Kpis\n\nNot available: tool kpis failed: unlike roi" in report
    assert "## Roi\n\nNot available: tool roi failed: no cost" in report
    assert report.count("Not available") == 2


def test_an_unanswered_question_is_shown_as_such(sales: Sales) -> None:
    """The reader sees that no decision was made."""
    question = Question("q1", "kpis", "Which day?", ("Monday", "Friday"))
    report = write_report(Answer((), (), {}, ()), Brief(), sales.dataset, (question,))
    assert "| Which day? | not answered |" in report


def test_a_citation_of_no_fact_is_not_printed(sales: Sales) -> None:
    """An invented id leaves no empty line behind; a note without words says so."""
    notes = (Note("a", "analyst", "", "", ("kpis.invented",)),)
    report = write_report(Answer((), notes, {}, ()), Brief(), sales.dataset, ())
    assert "### Analyst\n\nNo finding." in report
    assert "invented" not in report


@pytest.mark.parametrize("per_tool", [1, 2])
def test_the_opening_table_takes_the_first_headlines_of_each_tool(per_tool: int) -> None:
    """Recommendations have their own section; plain facts stay below."""
    facts = [
        *(fact(f"kpis.m{i}", i, headline=i > 0) for i in range(4)),
        fact("roi.m", 1),
        fact("recommendations.n", 1),
    ]
    expected = [f"kpis.m{i}" for i in range(1, per_tool + 1)] + ["roi.m"]
    assert [f.id for f in first_headlines(facts, per_tool)] == expected
