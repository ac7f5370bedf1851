"""Contexts: what an agent gets to see of the others' work before its turn.

`blackboard`  a shared board; each agent reads an isolated copy, filters each entry to what it needs, has the
              model summarise it, and writes its own entry back afterwards.
`transcript`  everything said so far, in order.
`lightweight` key metrics and the top recommendations of the agents it depends on.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from swarmlab.agents.calls import ask
from swarmlab.agents.prompts import SUMMARY_SCHEMA, summary_prompt, system_prompt
from swarmlab.agents.resources import Contribution, Resources
from swarmlab.agents.rosters import Agent
from swarmlab.tools import Fact
from swarmlab.tools.run import fact_line

TOP_RECOMMENDATIONS = 3
ENTRY_LINES = 12
"""Lines of one board entry that an agent's filtered view keeps at most."""


@dataclass(frozen=True)
class View:
    """What an agent sees of the others: `text` goes into its prompt, `lines` are the facts it can look up."""

    text: str
    lines: tuple[str, ...]
    said_by: Mapping[str, str] = field(default_factory=dict)
    """Span that a line came out of, by line, where it came out of one."""
    summaries: tuple[str, ...] = ()
    """Spans of the model calls that wrote the view's summaries."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of the spans whose output is in `text`."""
        return tuple(dict.fromkeys((*self.said_by.values(), *self.summaries)))


EMPTY = View("", ())


class Board:
    """The shared blackboard: entries by agent. Reading hands out an isolated copy."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Any]] = {}

    def read(self) -> dict[str, dict[str, Any]]:
        """Return a deep copy of every entry, in the order they were written."""
        return {
            agent: {**entry, "lines": list(entry["lines"]), "said_by": dict(entry["said_by"])}
            for agent, entry in self._entries.items()
        }

    def write(self, contribution: Contribution) -> None:
        """Put an agent's entry on the board, replacing its earlier one."""
        self._entries[contribution.agent] = {
            "title": contribution.title,
            "lines": [line for answer in contribution.answers for line in lines_of(answer.text)],
            "finding": contribution.finding,
            "recommendation": contribution.recommendation,
            "said_by": said_by(contribution),
        }


async def build_view(
    run: Resources, agent: Agent, said: Sequence[Contribution], board: Board, links: tuple[str, ...]
) -> View:
    """Build an agent's view of what was said, by the level's `context` switch.

    Parameters
    ----------
    said
        Contributions this agent may see, in the order they were made.
    board
        The run's blackboard; used by the `blackboard` context only, which reads the entries of `said`.
    links
        Ids of the spans that this context step waited for.
    """
    kind = run.level.context
    with run.tracer.span("context", f"{kind}: build view", links=links):
        await run.spend("context_s")
        if kind == "transcript":
            return transcript_view(said)
        if kind == "lightweight":
            return lightweight_view([c for c in said if c.agent in agent.depends_on])
        return await _blackboard_view(run, agent, [c.agent for c in said], board)


def transcript_view(said: Sequence[Contribution]) -> View:
    """Everything said so far: every tool's text, every finding and recommendation."""
    lines: list[str] = []
    sources: dict[str, str] = {}
    for contribution in said:
        lines.append(f"The {contribution.title} reports:")
        for answer in contribution.answers:
            lines.extend(lines_of(answer.text))
        lines.extend(text for text in (contribution.finding, contribution.recommendation) if text)
        sources |= said_by(contribution)
    return View("\n".join(lines), tuple(lines), sources)


def lightweight_view(dependencies: Sequence[Contribution]) -> View:
    """Of each dependency: one key metric a tool, the facts it cited, and its top recommendations."""
    lines: list[str] = []
    sources: dict[str, str] = {}
    for contribution in dependencies:
        kept: list[str] = []
        for answer in contribution.answers:
            kept.extend(fact_line(fact) for fact in key_metrics(answer.facts, contribution.cites))
        advice = [f.text for f in contribution.facts if f.id.startswith("recommendations.recommendation")]
        kept.extend([t for t in (contribution.recommendation, *advice) if t][:TOP_RECOMMENDATIONS])
        said = said_by(contribution)
        sources |= {line: said[line] for line in kept if line in said}
        lines.extend(kept)
    return View("\n".join(lines), tuple(lines), sources)


def said_by(contribution: Contribution) -> dict[str, str]:
    """The span that each line of a contribution came out of: of its tools' texts and facts, and its words."""
    found: dict[str, str] = {}
    for answer in contribution.answers:
        span_id = contribution.tool_spans.get(answer.tool)
        if span_id is not None:
            found |= dict.fromkeys(_fact_texts(answer.facts), span_id)
            found |= dict.fromkeys(lines_of(answer.text), span_id)
    if contribution.draft_span is not None:
        words_of = (contribution.finding, contribution.recommendation)
        found |= dict.fromkeys((text for text in words_of if text), contribution.draft_span)
    return found


@lru_cache(maxsize=512)
def _fact_texts(facts: tuple[Fact, ...]) -> tuple[str, ...]:
    """The lines that facts are told in, and their values; each once."""
    return tuple(dict.fromkeys(line for fact in facts for line in (fact_line(fact), fact.text)))


@lru_cache(maxsize=512)
def lines_of(text: str) -> tuple[str, ...]:
    """The lines of a tool's text: the same objects each time, whose hashes are known then."""
    return tuple(text.splitlines())


def key_metrics(facts: Sequence[Fact], cites: Sequence[str]) -> list[Fact]:
    """The first headline fact of a tool, and whichever of its headline facts the agent cited."""
    headlines = [fact for fact in facts if fact.headline]
    return headlines[:1] + [fact for fact in headlines[1:] if fact.id in cites]


async def _blackboard_view(run: Resources, agent: Agent, authors: Sequence[str], board: Board) -> View:
    """Filter the board entry by entry, and have the model summarise each entry on its own.

    Only the entries that the agent has waited for: who else has written by now is a matter of timing.
    """
    parts: list[str] = []
    kept: list[str] = []
    sources: dict[str, str] = {}
    summaries: list[str] = []
    entries = board.read()
    for name in authors:
        entry = entries[name]
        lines = filter_entry(entry, agent, depended_on=name in agent.depends_on)
        if not lines:
            continue
        prompt = (system_prompt(agent), summary_prompt(agent, str(entry["title"]), lines))
        said = {line: entry["said_by"][line] for line in lines if line in entry["said_by"]}
        reads = tuple(dict.fromkeys(said.values()))
        reply = await ask(run, f"summarise {name}", prompt, SUMMARY_SCHEMA, reads=reads, writes=True)
        parts.extend([f"The {entry['title']} reports: {reply.content['summary']}", *lines])
        kept.extend(lines)
        sources |= said
        summaries.append(reply.span_id)
    return View("\n".join(parts), tuple(kept), sources, tuple(summaries))


def filter_entry(entry: dict[str, Any], agent: Agent, *, depended_on: bool) -> tuple[str, ...]:
    """Keep an entry's lines that this agent needs, those nearest to its duty first.

    Of an agent it depends on, any line may be needed; of others, only lines that share a word with its duty.
    """
    return _filtered((*entry["lines"], entry["finding"], entry["recommendation"]), agent, depended_on)


@lru_cache(maxsize=4096)
def _filtered(all_lines: tuple[str, ...], agent: Agent, depended_on: bool) -> tuple[str, ...]:
    wanted = words(" ".join((agent.duty, *agent.tools)))
    lines = [line for line in all_lines if line]
    shared = {line: len(wanted & words(line)) for line in lines}
    kept = [line for line in lines if depended_on or shared[line]]
    kept.sort(key=lambda line: -shared[line])  # stable: the entry's order among equals
    return tuple(kept[:ENTRY_LINES])


@lru_cache(maxsize=50_000)
def words(text: str) -> frozenset[str]:
    """Lower-case words of three letters and more, without the commonest."""
    return frozenset(re.findall(r"[a-z]{3,}", text.lower())) - _COMMON


_COMMON = frozenset({"the", "and", "for", "which", "that", "with", "this", "from", "should", "get", "does"})
