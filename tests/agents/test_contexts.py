"""Contexts: what an agent gets to see of the others' work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Sales, chat_of, contribution, fact, level, resources

from swarmlab.agents.contexts import (
    EMPTY,
    ENTRY_LINES,
    TOP_RECOMMENDATIONS,
    Board,
    View,
    build_view,
    filter_entry,
    lightweight_view,
    transcript_view,
)
from swarmlab.agents.rosters import SIX, Agent
from swarmlab.agents.swarm import run_swarm
from swarmlab.agents.turn import cut_view

READER = Agent("reader", "reader", "compare brands", ("market_share",), depends_on=("needed",))
FACTS = [
    fact("kpis.first", 1, label="first figure"),
    fact("kpis.cited", 2, label="cited figure"),
    fact("kpis.other", 3, label="other figure"),
    fact("kpis.plain", 4, label="plain figure", headline=False),
]
ADVICE = [fact(f"recommendations.recommendation[rank={i}]", f"Advice {i}.") for i in range(1, 6)]


def test_a_transcript_holds_everything_said() -> None:
    """Every tool line, finding and recommendation of everybody, in order; no empty lines."""
    said = [contribution("one", FACTS), contribution("two", ADVICE, finding="", recommendation="")]
    view = transcript_view(said)
    assert view.text.splitlines() == list(view.lines)
    assert view.lines[0] == "The one analyst reports:"
    for c in said:
        assert all(line in view.lines for a in c.answers for line in a.text.splitlines())
    assert view.lines.index("one recommends something.") < view.lines.index("The two analyst reports:")
    assert "" not in view.lines
    assert transcript_view([]) == EMPTY


def test_a_lightweight_view_keeps_key_metrics_and_three_recommendations() -> None:
    """The first headline of a tool, the headlines cited, and at most three pieces of advice."""
    view = lightweight_view([contribution("one", [*FACTS, *ADVICE], cites=("kpis.cited", "kpis.plain"))])
    assert [line for line in view.lines if "figure" in line] == ["first figure: 1", "cited figure: 2"]
    advice = [line for line in view.lines if line.startswith("Advice") or "recommends" in line]
    assert advice == ["one recommends something.", "Advice 1.", "Advice 2."]
    assert len(advice) == TOP_RECOMMENDATIONS
    assert lightweight_view([]) == EMPTY


async def test_a_lightweight_view_is_of_dependencies_only(sales: Sales) -> None:
    """What others said, though heard, is left out."""
    run = resources(sales, level(context="lightweight"))
    said = [contribution("needed", FACTS[:1]), contribution("other", [fact("roi.x", 9, label="roi figure")])]
    view = await build_view(run, READER, said, Board(), ())
    assert "first figure: 1" in view.lines
    assert "other" not in view.text
    assert "roi figure" not in view.text


def test_a_board_hands_out_isolated_copies() -> None:
    """Whoever writes into what it read changes nothing on the board."""
    board = Board()
    board.write(contribution("one", FACTS))
    copy = board.read()
    copy["one"]["lines"].clear()
    copy["two"] = {}
    assert list(board.read()) == ["one"]
    assert len(board.read()["one"]["lines"]) == len(FACTS)
    board.write(contribution("one", FACTS[:1]))
    assert board.read()["one"]["lines"] == ["first figure: 1"]


def test_an_entry_is_filtered_to_the_readers_duty() -> None:
    """Of others only lines on the duty; of a dependency any, nearest first; never more than the bound."""
    lines = [f"weather {i}" for i in range(20)] + ["brands compared"]
    entry = {"title": "x", "lines": lines, "finding": "", "recommendation": "Drop weak brands."}
    assert filter_entry(entry, READER, depended_on=False) == ("brands compared", "Drop weak brands.")
    kept = filter_entry(entry, READER, depended_on=True)
    assert kept[:3] == ("brands compared", "Drop weak brands.", "weather 0")
    assert len(kept) == ENTRY_LINES


async def test_a_blackboard_is_read_summarised_and_written_back(sales: Sales) -> None:
    """Each agent has the entries it keeps summarised one by one, and the summary is in its draft prompt."""
    run = resources(sales, level(roster="six", context="blackboard"))
    await run_swarm(run)
    spans = run.tracer.finished()
    assert sum(s.name == "blackboard: write back" for s in spans) == len(SIX)
    views = {s.span_id: s for s in spans if s.name == "blackboard: build view"}
    summaries = [s for s in spans if s.name.startswith("model call: summarise ")]
    assert len(summaries) == len(chat_of(run).prompts("board_summary")) > 0
    assert {s.parent_id for s in summaries} <= set(views)
    by_agent = {a.name: [s.name for s in summaries if s.agent == a.name] for a in SIX}
    assert by_agent["market_research"] == []
    assert {"model call: summarise data", "model call: summarise brand"} <= set(by_agent["campaign"])
    drafts = chat_of(run).prompts("contribution")
    assert "From the team" not in drafts[0].user
    assert "The data analyst reports: Sales grow" in drafts[-1].user


async def test_a_blackboard_shows_only_what_the_agent_waited_for(sales: Sales) -> None:
    """An entry that happens to be written already, by an agent not waited for, stays unread."""
    run = resources(sales, level(context="blackboard"))
    board = Board()
    needed, early = contribution("needed", FACTS), contribution("early", [fact("roi.x", 9, label="brands")])
    board.write(early)
    board.write(needed)
    view = await build_view(run, READER, [needed], board, ())
    assert "first figure: 1" in view.lines
    assert "early" not in view.text
    assert len(chat_of(run).prompts("board_summary")) == 1


@pytest.mark.parametrize("context", ["blackboard", "transcript", "lightweight"])
async def test_the_first_agent_sees_nothing(sales: Sales, context: str) -> None:
    """Nothing said, nothing shown, and no model call for it."""
    run = resources(sales, level(context=context))
    assert await build_view(run, READER, [], Board(), ()) == EMPTY
    assert chat_of(run).sent == []


@given(st.lists(st.sampled_from(["one", "two", "three"]), max_size=9), st.integers(0, 40))
def test_a_cut_view_drops_the_fewest_of_its_first_lines(lines: list[str], limit: int) -> None:
    """What is kept is the longest end that fits, and its sources are those of the lines kept."""
    said_by = {line: f"span of {line}" for line in lines}
    kept = cut_view(View("\n".join(lines), tuple(lines), said_by), lambda seen: len(seen.text) <= limit)
    ends = ["\n".join(lines[start:]) for start in range(len(lines) + 1)]
    assert kept.text == next(end for end in ends if len(end) <= limit)
    assert set(kept.said_by) == set(kept.text.splitlines())
    assert kept.lines == tuple(lines)


async def test_a_context_limit_bounds_the_drafts_prompt_and_nothing_else(sales: Sales) -> None:
    """Drafts stay within the limit by dropping the oldest of the view; the decisions see what they saw."""
    whole = resources(sales, level(roster="three", context="transcript"))
    await run_swarm(whole)
    cut = resources(sales, level(roster="three", context="transcript", context_tokens=500))
    await run_swarm(cut)
    longest = {
        id(run): max(len(p.user) for p in chat_of(run).prompts("contribution")) for run in (whole, cut)
    }
    assert longest[id(cut)] < 4 * 500 < longest[id(whole)]
    assert chat_of(cut).prompts("decision") == chat_of(whole).prompts("decision")
    assert any(span.name == "cut to 500 tokens" for span in cut.tracer.finished())
