"""One run of the swarm, from brief to answer, under one root span."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from swarmlab.agents.answer import Answer, answer_from_dict, assemble
from swarmlab.agents.contexts import Board
from swarmlab.agents.graph import build_graph
from swarmlab.agents.questions import Question
from swarmlab.agents.report import write_report
from swarmlab.agents.resources import Contribution, Resources
from swarmlab.agents.rosters import ROSTERS, Agent
from swarmlab.agents.turn import take_turn
from swarmlab.tools.cache import content_key


async def run_swarm(run: Resources) -> Answer:
    """Run the swarm of `run.level` on `run.brief`.

    A tool that fails leaves its error in `Answer.errors` and its siblings' facts in place.

    Raises
    ------
    ModelError
        A model call failed; the spans up to then are in the tracer.
    """
    with run.tracer.span("framework", "run"):
        keeps = "analyses" in run.cache.layers
        key = _analysis_key(run) if keeps else ""
        stored = run.cache.get("analyses", key)
        if stored is not None:
            with run.tracer.span("result", "stored analysis", cached=True):
                answer = answer_from_dict(stored)
                run.counts.tool_calls += len({fact.tool for fact in answer.facts})
                return answer
        said = await _discuss(run)
        outputs = [span_id for c in said for span_id in c.outputs]
        with run.tracer.span("result", "report", links=[c.span_id for c in said], reads=outputs):
            await run.spend("result_s")
            answer = assemble(said)
            answer = replace(answer, report=write_report(answer, run.brief, run.dataset, run.questions))
        if keeps and not answer.errors:
            run.cache.put("analyses", key, answer.as_dict())
        return answer


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
            "model": run.model.id,
            "model_hash": run.model.file_hash,
            "questions": [asdict(question) for question in run.questions],
            "faults": sorted(run.faults),
            "seed": run.seed,
            "code": run.code_version,
        }
    )
