"""Caches of a swarm: cold by zero hits, warm with the same answer, and never for other work."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted import Sales, ScriptedChat, chat_of, level, loaded, resources

from swarmlab.agents.answer import Answer
from swarmlab.agents.resources import Resources
from swarmlab.agents.swarm import run_swarm
from swarmlab.errors import ModelError

ALL = ("tools", "completions", "analyses")


async def _run(
    sales: Sales, folder: Path, layers: tuple[str, ...], **changes: Any
) -> tuple[Resources, Answer]:
    run = resources(sales, level(cache=layers, roster="two"), folder=folder, **changes)
    try:
        return run, await run_swarm(run)
    finally:
        run.cache.close()


async def test_without_layers_nothing_is_kept(sales: Sales, tmp_path: Path) -> None:
    """Two runs of a level without caches do all the work twice."""
    for _ in range(2):
        run, _ = await _run(sales, tmp_path, ())
        assert run.tool_executions == 12
        assert not run.cache.hits
        assert not run.cache.misses


async def test_kept_tools_are_not_run_again(sales: Sales, tmp_path: Path) -> None:
    """Second run: twelve requests, no execution, every tool span marked cached, the model asked anew."""
    cold, first = await _run(sales, tmp_path, ("tools",))
    warm, second = await _run(sales, tmp_path, ("tools",))
    assert (sum(cold.cache.hits.values()), cold.cache.misses["tools"]) == (0, 12)
    assert (warm.cache.hits["tools"], warm.counts.tool_calls, warm.tool_executions) == (12, 12, 0)
    assert all(s.cached for s in warm.tracer.finished() if s.category == "tool")
    assert warm.counts.model_calls == cold.counts.model_calls > 0
    assert second == first


async def test_kept_completions_are_not_asked_again(sales: Sales, tmp_path: Path) -> None:
    """Second run: the model is not called, no token is counted, the answer is the same."""
    cold, first = await _run(sales, tmp_path, ("completions",))
    warm, second = await _run(sales, tmp_path, ("completions",))
    assert not cold.cache.hits
    assert chat_of(warm).sent == []
    assert (warm.counts.model_calls, warm.counts.prompt_tokens, warm.counts.completion_tokens) == (0, 0, 0)
    assert warm.cache.hits["completions"] == cold.counts.model_calls
    assert warm.tool_executions == 12
    assert second == first


async def test_a_kept_analysis_is_served_whole(sales: Sales, tmp_path: Path) -> None:
    """Second run: one hit, twelve requests served, two spans, and the answer equal to the last fact."""
    cold, first = await _run(sales, tmp_path, ALL)
    warm, second = await _run(sales, tmp_path, ALL)
    assert not cold.cache.hits
    assert dict(warm.cache.hits) == {"analyses": 1}
    assert (warm.counts.tool_calls, warm.tool_executions, warm.counts.model_calls) == (12, 0, 0)
    assert [(s.category, s.cached) for s in warm.tracer.finished()] == [
        ("framework", False),
        ("result", True),
    ]
    assert second == first
    assert [type(f.value) for f in second.facts] == [type(f.value) for f in first.facts]


async def test_the_name_of_a_level_and_its_caches_do_not_make_other_work(
    sales: Sales, tmp_path: Path
) -> None:
    """An analysis is found again by a level that differs in name and cache layers only."""
    await _run(sales, tmp_path, ALL)
    other = level(cache=("analyses",), roster="two", name="other")
    run = resources(sales, other, folder=tmp_path)
    await run_swarm(run)
    assert run.cache.hits["analyses"] == 1


def _other(sales: Sales, what: str) -> dict[str, Any]:
    run = resources(sales, level())
    return {
        "brief": {"brief": run.brief.model_copy(update={"budget": 5.0, "analysis_type": "another study"})},
        "seed": {"seed": 1},
        "data": {"dataset": replace(sales.dataset, fingerprint="another")},
        "code": {"code_version": "v2"},
        "weights": {"model": loaded(ScriptedChat(), file_hash="another")},
        "model": {"model": loaded(ScriptedChat(), id="another")},
        "questions": {"questions": sales.exam.questions[:3]},
    }[what]


@pytest.mark.parametrize("what", ["brief", "seed", "data", "code", "weights", "model", "questions"])
async def test_other_work_is_never_served(sales: Sales, tmp_path: Path, what: str) -> None:
    """Another brief, seed, dataset, code, model or exam is no whole-analysis hit."""
    await _run(sales, tmp_path, ALL)
    run, _ = await _run(sales, tmp_path, ALL, **_other(sales, what))
    assert (run.cache.hits["analyses"], run.cache.misses["analyses"]) == (0, 1)
    tools_anew = what in ("brief", "data", "code")
    assert run.tool_executions == (12 if tools_anew else 0)
    if what in ("seed", "code", "weights", "model"):
        assert run.cache.hits["completions"] == 0


async def test_another_implementation_does_not_answer_for_a_tool(sales: Sales, tmp_path: Path) -> None:
    """Baseline and vectorized texts differ, so neither is served for the other."""
    await _run(sales, tmp_path, ("tools",))
    run = resources(sales, level(cache=("tools",), roster="two", tool_impl="baseline"), folder=tmp_path)
    await run_swarm(run)
    assert run.tool_executions == 12


async def test_failures_are_not_kept(sales: Sales, tmp_path: Path) -> None:
    """After a run with a broken tool, the sound run executes that tool and is no analysis hit."""
    _, broken = await _run(sales, tmp_path, ALL, faults=frozenset({"roi"}))
    assert broken.errors
    again, broken_again = await _run(sales, tmp_path, ALL, faults=frozenset({"roi"}))
    assert again.cache.hits["analyses"] == 0
    assert broken_again.errors == broken.errors
    sound, answer = await _run(sales, tmp_path, ALL)
    assert sound.cache.hits["analyses"] == 0
    assert sound.tool_executions == 1
    assert answer.errors == ()


async def test_an_unusable_completion_is_not_kept(sales: Sales, tmp_path: Path) -> None:
    """The same prompt is asked again after an answer that did not parse."""
    bad = loaded(ScriptedChat(reply=lambda _: ValueError("cut off")))
    with pytest.raises(ModelError):
        await _run(sales, tmp_path, ("completions",), model=bad)
    run, _ = await _run(sales, tmp_path, ("completions",))
    assert run.cache.hits["completions"] == 0
