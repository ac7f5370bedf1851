"""One agent's turn: view, tool requests, draft, decisions. Every step is a span under the agent's own."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

from swarmlab.agents.calls import Reply, ask, prompt_length
from swarmlab.agents.contexts import Board, View, build_view, lines_of, words
from swarmlab.agents.faults import fault_of, faulty_answer
from swarmlab.agents.prompts import (
    DECIDE_SYSTEM,
    choose_tools_prompt,
    choose_tools_schema,
    decide_prompt,
    decide_schema,
    draft_prompt,
    draft_schema,
    links_of,
    system_prompt,
)
from swarmlab.agents.questions import Question
from swarmlab.agents.resources import Contribution, Resources
from swarmlab.agents.rosters import Agent
from swarmlab.data.companions import companion_key
from swarmlab.errors import ModelError, ToolError
from swarmlab.tools import TOOLS, Fact, Scope, ToolAnswer, available_tools
from swarmlab.tools.answer_check import answer_problem
from swarmlab.tools.cache import Cost, content_key
from swarmlab.tools.executor import Call, run_calls
from swarmlab.tools.facts import Facts

TOOL_ATTEMPTS = 3
"""How often a tool is tried whose error was transient."""

EVIDENCE_LINES = 2
"""Facts put beside a decision question: those of the agent's knowledge that share most words with it."""


async def take_turn(
    run: Resources, agent: Agent, said: Sequence[Contribution], board: Board, questions: Sequence[Question]
) -> Contribution:
    """Let one agent work.

    Parameters
    ----------
    said
        Contributions the agent may see, in the order they were made; it has waited for them.
    questions
        The decision questions that fall to this agent.
    """
    with run.tracer.span("coordination", agent.name, agent=agent.name, links=links_of(said)) as span:
        await run.spend("agent_turn_s")
        view = await build_view(run, agent, said, board, links_of(said))
        requests = await _tool_requests(run, agent)
        used = await _use_tools(run, agent, requests)
        draft = await _draft(run, agent, view, used)
        known = known_lines(view, used)
        decisions = {q.id: await _decide(run, q, known) for q in questions}
        words = draft.content if draft is not None else {}
        contribution = Contribution(
            agent=agent.name,
            title=agent.title,
            span_id=span.span_id,
            answers=used.answers,
            errors=used.errors,
            finding=str(words.get("finding", "")),
            recommendation=str(words.get("recommendation", "")),
            cites=tuple(dict.fromkeys(words.get("cites", ()))),
            choices={question_id: str(reply.content["answer"]) for question_id, reply in decisions.items()},
            tool_spans=used.spans,
            draft_span=draft.span_id if draft is not None else None,
            decision_spans=tuple(reply.span_id for reply in decisions.values()),
        )
        if run.level.context == "blackboard":
            with run.tracer.span("context", "blackboard: write back"):
                board.write(contribution)
    return contribution


async def _tool_requests(run: Resources, agent: Agent) -> tuple[str, ...]:
    planned = tuple(name for name in agent.tools if name in run.brief.plan)
    if run.brief.tool_choice == "planned" or not planned:
        return planned
    offered = available_tools(run.dataset, run.brief.scope)
    described = [f"- {name}: {TOOLS[name].description}" for name in offered]
    reply = await ask(
        run,
        "choose tools",
        (system_prompt(agent), choose_tools_prompt(run.brief, described)),
        choose_tools_schema(list(offered), len(planned)),
    )
    chosen = reply.content["tools"]
    unknown = [name for name in chosen if name not in offered]
    if unknown:
        raise ModelError(f"{run.model.id} chose a tool that was not offered: {unknown[0]!r}")
    # Capped here too: a provider may not enforce the schema.
    return tuple(dict.fromkeys(chosen))[: len(planned)]


@dataclass(frozen=True)
class Used:
    """What an agent's tool requests came to."""

    answers: tuple[ToolAnswer, ...]
    errors: tuple[str, ...]
    links: tuple[str, ...]
    """Spans of all requests, those that failed too."""
    spans: Mapping[str, str]
    """Span of each answer, by tool."""


async def _use_tools(run: Resources, agent: Agent, requests: Sequence[str]) -> Used:
    """Run the agent's tool requests."""
    run.counts.tool_calls += len(requests)
    batch = _Batch(run, agent)
    calls = [
        Call(name, partial(_call_tool, batch, name), timeout_s=run.tool_timeout_s, attempts=TOOL_ATTEMPTS)
        for name in requests
    ]
    spans = batch.spans
    outcomes = await run_calls(calls, schedule=run.level.tool_schedule, workers=run.workers, clock=run.clock)
    answers = tuple(o.value for o in outcomes if o.value is not None)
    return Used(
        answers=answers,
        errors=tuple(str(o.error) for o in outcomes if o.error is not None),
        links=tuple(spans.values()),
        spans={answer.tool: spans[answer.tool] for answer in answers},
    )


@dataclass(frozen=True)
class _Batch:
    """The tool calls that one agent makes at once."""

    run: Resources
    agent: Agent
    spans: dict[str, str] = field(default_factory=dict)
    """Span of each tool's last attempt."""
    last_in_slot: dict[int, str] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)


async def _call_tool(batch: _Batch, name: str, slot: int) -> ToolAnswer:
    run, last_in_slot = batch.run, batch.last_in_slot
    batch.attempts[name] += 1
    # A companion table may change where the sales do not.
    data = run.dataset.fingerprint + companion_key(run.dataset, TOOLS[name].table)
    key = _tool_key(name, run.level.tool_impl, run.brief.scope, data, run.code_version)
    # A call waits for the one that held its slot; of others it needs nothing but the data.
    links = (last_in_slot[slot],) if slot in last_in_slot else ()
    attempt, tracer = batch.attempts[name], run.tracer
    with tracer.span(
        "tool", name, agent=batch.agent.name, links=links, key=key, reads=(), attempt=attempt
    ) as span:
        batch.spans[name] = last_in_slot[slot] = span.span_id
        if "tools" not in run.cache.layers:
            return await _answer(run, name, attempt)

        fresh: list[ToolAnswer] = []

        async def compute() -> tuple[dict[str, Any], Cost]:
            start_ns = run.clock.now_ns()
            answer = await _answer(run, name, attempt)
            fresh.append(answer)
            kept = {"facts": _facts_as_dicts(answer.facts), "text": answer.text}
            return kept, Cost((run.clock.now_ns() - start_ns) / 1e9)

        fetched = await run.cache.fetch("tools", key, compute, tag=name, data=run.dataset.fingerprint)
        if not fetched.is_hit:
            return fresh[-1]
        span.cached = True
        kept = fetched.value
        return ToolAnswer(name, Facts(Fact(**fact) for fact in kept["facts"]).shared(), kept["text"])


@lru_cache(maxsize=256)
def _facts_as_dicts(facts: tuple[Fact, ...]) -> list[dict[str, Any]]:
    """For writing only: a simulation has the same facts written again and again."""
    return [fact.as_dict() for fact in facts]


async def _answer(run: Resources, name: str, attempt: int) -> ToolAnswer:
    """Have a tool answer, and look at what it hands over before anyone stores or reads it."""
    fault = fault_of(run.faults, name)
    if fault is None or (fault == "flaky" and attempt > 1):
        answer = await run.tools.answer(name, run.brief.scope, run.level.tool_impl)
    else:
        answer = await faulty_answer(run, name, fault)
    problem = answer_problem(name, answer)
    if problem is not None:
        raise ToolError(name, problem)
    return answer


@lru_cache(maxsize=4096)
def _tool_key(name: str, impl: str, scope: Scope, data: str, code_version: str) -> str:
    """Key of everything that a tool's answer depends on."""
    return content_key(
        {"tool": name, "impl": impl, "scope": asdict(scope), "data": data, "code": code_version}
    )


def cut_view(view: View, fits: Callable[[View], bool]) -> View:
    """The view without as many of its first lines as it takes to fit; empty where nothing of it does."""
    lines = view.text.splitlines()

    def without(dropped: int) -> View:
        kept = lines[dropped:]
        said_by = {line: span_id for line, span_id in view.said_by.items() if line in kept}
        return replace(view, text="\n".join(kept), said_by=said_by)

    # The more is dropped, the shorter: the least that has to go is found by halving.
    return without(bisect_left(range(len(lines)), True, key=lambda dropped: fits(without(dropped))))


async def _draft(run: Resources, agent: Agent, view: View, used: Used) -> Reply | None:
    citable = [fact.id for answer in used.answers for fact in answer.facts if fact.headline]
    if not citable:
        # Every tool of this agent failed; there is nothing to write about, and the run is failed anyway.
        return None
    texts = [answer.text for answer in used.answers]

    def prompt_of(seen: View) -> tuple[str, str]:
        return system_prompt(agent), draft_prompt(run.brief, seen.text, texts)

    most = run.level.context_tokens
    if most is not None and view.text:
        with run.tracer.span("context", f"cut to {most} tokens"):
            view = cut_view(view, lambda seen: prompt_length(run, prompt_of(seen)) <= most)
    prompt = prompt_of(view)
    schema = draft_schema(run.level.output, tuple(citable))
    reads = (*used.spans.values(), *view.sources)
    return await ask(run, "draft", prompt, schema, links=used.links, reads=reads, writes=True)


async def _decide(run: Resources, question: Question, known: Mapping[str, str | None]) -> Reply:
    lines = _evidence(question.text, tuple(known), EVIDENCE_LINES)
    prompt = (DECIDE_SYSTEM, decide_prompt(question.text, lines))
    reads = tuple(dict.fromkeys(span_id for line in lines if (span_id := known[line]) is not None))
    return await ask(run, f"decide {question.id}", prompt, decide_schema(question.options), reads=reads)


def known_lines(view: View, used: Used) -> dict[str, str | None]:
    """Everything the agent can look up, its tools' lines first, then its view's, each with its span."""
    known: dict[str, str | None] = {}
    for answer in used.answers:
        for line in lines_of(answer.text):
            known.setdefault(_unlisted(line), used.spans[answer.tool])
    for line in view.lines:
        known.setdefault(_unlisted(line), view.said_by.get(line))
    return known


@lru_cache(maxsize=4096)
def _unlisted(line: str) -> str:
    return line.removeprefix("- ")


def evidence(question: str, lines: Sequence[str], at_most: int = EVIDENCE_LINES) -> list[str]:
    """The lines that share most words with a question, the best last, next to where the answer is written."""
    return list(_evidence(question, tuple(lines), at_most))


@lru_cache(maxsize=20_000)
def _evidence(question: str, lines: tuple[str, ...], at_most: int) -> tuple[str, ...]:
    wanted = words(question)
    scored = [(len(wanted & words(line)) / (1 + 0.05 * len(words(line))), line) for line in lines]
    best = sorted((s for s in scored if s[0] > 0), key=lambda pair: -pair[0])[:at_most]
    return tuple(line for _, line in reversed(best))
