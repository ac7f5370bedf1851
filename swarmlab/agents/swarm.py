"""One run of the swarm, from brief to answer, under one root span."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from swarmlab.agents.answer import Answer, answer_from_dict, assemble
from swarmlab.agents.contexts import Board
from swarmlab.agents.graph import build_graph
from swarmlab.agents.questions import Question
from swarmlab.agents.report import write_report
from swarmlab.agents.resources import Contribution, Resources
from swarmlab.agents.rosters import ROSTERS, Agent
from swarmlab.agents.turn import take_turn
from swarmlab.data.companions import companion_key
from swarmlab.tools import TOOLS
from swarmlab.tools.cache import Cost, content_key


async def run_swarm(run: Resources) -> Answer:
    """Run the swarm of `run.level` on `run.brief`.

    A tool that fails leaves its error in `Answer.errors` and its siblings' facts in place.

    Raises
    ------
    ModelError
        A model call failed; the spans up to then are in the tracer.
    """
    with run.tracer.span("framework", "run"):
        if "analyses" not in run.cache.layers:
            return await _analyse(run)

        fresh: list[Answer] = []

        async def compute() -> tuple[dict[str, Any], Cost]:
            start_ns = run.clock.now_ns()
            answer = await _analyse(run)
            fresh.append(answer)
            if answer.errors:
                raise _IncompleteError
            tokens = run.counts.prompt_tokens + run.counts.completion_tokens
            return answer.as_dict(), Cost((run.clock.now_ns() - start_ns) / 1e9, tokens)

        try:
            fetched = await run.cache.fetch(
                "analyses", _analysis_key(run), compute, tag=run.level.name, data=run.dataset.fingerprint
            )
        except _IncompleteError:
            return fresh[-1]
        if not fetched.is_hit:
            return fresh[-1]
        with run.tracer.span("result", "stored analysis", cached=True):
            answer = answer_from_dict(fetched.value)
            run.counts.tool_calls += len({fact.tool for fact in answer.facts})
            return answer


class _IncompleteError(Exception):
    """An answer is not kept, for some of its tools failed."""


async def _analyse(run: Resources) -> Answer:
    said = await _discuss(run)
    outputs = [span_id for c in said for span_id in c.outputs]
    with run.tracer.span("result", "report", links=[c.span_id for c in said], reads=outputs):
        await run.spend("result_s")
        answer = assemble(said)
        return replace(answer, report=write_report(answer, run.brief, run.dataset, run.questions))


async def _discuss(run: Resources) -> Sequence[Contribution]:
    roster = ROSTERS[run.level.roster]
    board = Board()
    exam = assign(run.questions, roster)

    async def turn(agent: Agent, said: Sequence[Contribution]) -> Contribution:
        return await take_turn(run, agent, said, board, exam[agent.name])

    graph = build_graph(roster, run.level.agent_schedule, turn)
    result = await graph.ainvoke({"said": []})
    # In the roster's order, whichever way the schedule left them: equal work reads the same.
    by_name: dict[str, Contribution] = {c.agent: c for c in result["said"]}
    return [by_name[agent.name] for agent in roster]


def assign(questions: Sequence[Question], roster: Sequence[Agent]) -> dict[str, list[Question]]:
    """Give each question to the agent that owns its topic's tool; funding questions to the last agent."""
    owner = {tool: agent.name for agent in roster for tool in agent.tools}
    exam: dict[str, list[Question]] = {agent.name: [] for agent in roster}
    for question in questions:
        exam[roster[-1].name if question.funding else owner[question.topic]].append(question)
    return exam


def _analysis_key(run: Resources) -> str:
    return content_key(
        {
            "brief": run.brief.model_dump(mode="json"),
            "level": run.level.model_dump(mode="json", exclude={"name", "cache"}),
            "data": run.dataset.fingerprint,
            "companions": _companions(run),
            "model": run.model.id,
            "model_hash": run.model.file_hash,
            "questions": [asdict(question) for question in run.questions],
            "faults": sorted(run.faults),
            "seed": run.seed,
            "code": run.code_version,
        }
    )


def _companions(run: Resources) -> list[str]:
    """What the planned tools read beside the sales: it may change where the sales do not."""
    tables = {TOOLS[name].table for name in run.brief.plan}
    return sorted(companion_key(run.dataset, table) for table in tables)
