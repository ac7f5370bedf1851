"""One agent's turn: view, tool requests, draft, decisions. Every step is a span under the agent's own."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from swarmlab.agents.calls import ask
from swarmlab.agents.contexts import Board, View, build_view, words
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
from swarmlab.errors import ModelError, ToolError
from swarmlab.tools import TOOLS, Fact, ToolAnswer, run_tool
from swarmlab.tools.cache import content_key
from swarmlab.tools.executor import Outcome, run_calls

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
        view = await build_view(run, agent, said, board, links_of(said))
        requests = await _tool_requests(run, agent)
        outcomes, tool_links = await _use_tools(run, agent, requests)
        answers = tuple(o.value for o in outcomes if o.value is not None)
        draft = await _draft(run, agent, view, answers, tool_links)
        choices = {q.id: await _decide(run, q, known_lines(view, answers)) for q in questions}
        contribution = Contribution(
            agent=agent.name,
            title=agent.title,
            span_id=span.span_id,
            answers=answers,
            errors=tuple(str(o.error) for o in outcomes if o.error is not None),
            finding=str(draft.get("finding", "")),
            recommendation=str(draft.get("recommendation", "")),
            cites=tuple(dict.fromkeys(draft.get("cites", ()))),
            choices=choices,
        )
        if run.level.context == "blackboard":
            with run.tracer.span("context", "blackboard: write back"):
                board.write(contribution)
    return contribution


async def _tool_requests(run: Resources, agent: Agent) -> tuple[str, ...]:
    planned = tuple(name for name in agent.tools if name in run.brief.plan)
    if run.brief.tool_choice == "planned" or not planned:
        return planned
    described = [f"- {tool.name}: {tool.description}" for tool in TOOLS.values()]
    answer = await ask(
        run,
        "choose tools",
        (system_prompt(agent), choose_tools_prompt(run.brief, described)),
        choose_tools_schema(list(TOOLS), len(planned)),
    )
    unknown = [name for name in answer["tools"] if name not in TOOLS]
    if unknown:
        raise ModelError(f"{run.model.id} chose a tool that does not exist: {unknown[0]!r}")
    # Capped here too: a provider may not enforce the schema.
    return tuple(dict.fromkeys(answer["tools"]))[: len(planned)]


async def _use_tools(
    run: Resources, agent: Agent, requests: Sequence[str]
) -> tuple[list[Outcome[ToolAnswer]], tuple[str, ...]]:
    """Run the agent's tool requests; returns their outcomes and the spans to wait for."""
    run.counts.tool_calls += len(requests)
    span_ids: list[str] = []
    previous = span_ids if run.level.tool_schedule == "sequential" else []
    calls: list[Callable[[], ToolAnswer]] = [
        partial(_call_tool, run, agent, name, span_ids, previous) for name in requests
    ]
    outcomes = await run_calls(calls, schedule=run.level.tool_schedule, workers=run.workers)
    return outcomes, tuple(span_ids)


def _call_tool(
    run: Resources, agent: Agent, name: str, span_ids: list[str], previous: Sequence[str]
) -> ToolAnswer:
    key = content_key(
        {
            "tool": name,
            "impl": run.level.tool_impl,
            "scope": asdict(run.brief.scope),
            "data": run.dataset.fingerprint,
            "code": run.code_version,
        }
    )
    with run.tracer.span("tool", name, agent=agent.name, links=previous[-1:]) as span:
        span_ids.append(span.span_id)
        if name in run.faults:
            raise ToolError(name, "fault switched on for this run")
        stored = run.cache.get("tools", key)
        if stored is not None:
            span.cached = True
            return ToolAnswer(name, tuple(Fact(**fact) for fact in stored["facts"]), stored["text"])
        answer = run_tool(name, run.brief.scope, run.dataset, run.level.tool_impl, run.shared)
        run.cache.put("tools", key, {"facts": [asdict(fact) for fact in answer.facts], "text": answer.text})
        return answer


async def _draft(
    run: Resources, agent: Agent, view: View, answers: Sequence[ToolAnswer], links: tuple[str, ...]
) -> dict[str, Any]:
    citable = [fact.id for answer in answers for fact in answer.facts if fact.headline]
    if not citable:
        # Every tool of this agent failed; there is nothing to write about, and the run is failed anyway.
        return {}
    prompt = (system_prompt(agent), draft_prompt(run.brief, view.text, [answer.text for answer in answers]))
    schema = draft_schema(run.level.output, citable)
    return await ask(run, "draft", prompt, schema, links=links, writes=True)


async def _decide(run: Resources, question: Question, lines: Sequence[str]) -> str:
    prompt = (DECIDE_SYSTEM, decide_prompt(question.text, evidence(question.text, lines)))
    answer = await ask(run, f"decide {question.id}", prompt, decide_schema(question.options))
    return str(answer["answer"])


def known_lines(view: View, answers: Sequence[ToolAnswer]) -> list[str]:
    """Everything the agent can look up: its tools' lines first, then its view's."""
    lines = [*(line for answer in answers for line in answer.text.splitlines()), *view.lines]
    return list(dict.fromkeys(line.removeprefix("- ") for line in lines))


def evidence(question: str, lines: Sequence[str], at_most: int = EVIDENCE_LINES) -> list[str]:
    """The lines that share most words with a question, the best last, next to where the answer is written."""
    wanted = words(question)
    scored = [(len(wanted & words(line)) / (1 + 0.05 * len(words(line))), line) for line in lines]
    best = sorted((s for s in scored if s[0] > 0), key=lambda pair: -pair[0])[:at_most]
    return [line for _, line in reversed(best)]
