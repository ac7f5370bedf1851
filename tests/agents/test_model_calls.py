"""One model call: its phases in the trace, its tokens in the counts, its faults named."""

from dataclasses import replace
from typing import Any

import pytest
from scripted import TIMINGS, Sales, ScriptedChat, Sent, chat_of, level, loaded, resources

from swarmlab.agents.calls import ask, held_by
from swarmlab.agents.prompts import SUMMARY_SCHEMA, decide_schema, draft_schema
from swarmlab.agents.resources import Resources
from swarmlab.agents.swarm import run_swarm
from swarmlab.errors import ModelError
from swarmlab.trace.attribution import attribute
from swarmlab.trace.check import check_spans

SCHEMA = decide_schema(("North", "South"))


def _run(sales: Sales, **settings: Any) -> Resources:
    return resources(sales, level(), model=loaded(ScriptedChat(**settings)))


async def _ask(run: Resources, **more: Any) -> dict[str, Any]:
    with run.tracer.span("framework", "root"):
        return (await ask(run, "decide", ("Who you are", "Which region?"), SCHEMA, **more)).content


async def test_phases_follow_each_other_within_the_call(sales: Sales) -> None:
    """Queue, prefill and decode from the call's start, as long as the engine says."""
    run = _run(sales)
    assert await _ask(run) == {"answer": "North"}
    spans = {span.name: span for span in run.tracer.finished()}
    call = spans["model call: decide"]
    queue, prefill, decode = spans["queue"], spans["prefill"], spans["decode"]
    assert call.start_ns <= queue.start_ns
    assert (queue.end_ns, prefill.end_ns) == (prefill.start_ns, decode.start_ns)
    assert decode.end_ns <= call.end_ns
    assert [s.end_ns - s.start_ns for s in (queue, prefill, decode)] == [10, 200, 3000]
    assert {s.parent_id for s in (queue, prefill, decode)} == {call.span_id}
    assert [s.category for s in (queue, prefill, decode)] == ["model_queue", "model_prefill", "model_decode"]


async def test_phases_longer_than_the_call_are_cut_at_its_end(sales: Sales) -> None:
    """An engine whose clock runs ahead does not push time out of the call."""
    run = _run(sales, timings={**TIMINGS, "prefill_ns": 10**15})
    await _ask(run)
    spans = run.tracer.finished()
    check_spans(spans)
    call = next(s for s in spans if s.name.startswith("model call"))
    assert all(s.end_ns <= call.end_ns for s in spans if s.parent_id == call.span_id)
    assert "decode" not in {s.name for s in spans}
    assert sum(attribute(spans).exclusive_by_category.values()) == attribute(spans).wall_ns


async def test_a_provider_without_phases_is_labelled(sales: Sales) -> None:
    """The whole call counts as decode, and the span's name says why."""
    run = _run(sales, timings=None)
    await _ask(run)
    (phase,) = [s for s in run.tracer.finished() if s.category.startswith("model_")]
    assert (phase.category, phase.name) == ("model_decode", "call (phases unknown)")


async def test_tokens_are_the_providers(sales: Sales) -> None:
    """Counts add up over calls as the provider gave them."""
    run = _run(sales)
    await _ask(run)
    await _ask(run)
    counts = run.counts
    assert (counts.model_calls, counts.prompt_tokens, counts.completion_tokens) == (2, 200, 40)
    assert counts.tokens_source == "provider"


async def test_estimated_tokens_are_labelled(sales: Sales) -> None:
    """One answer without counts makes the run's tokens an estimate."""
    run = _run(sales, usage=None)
    await _ask(run)
    assert run.counts.tokens_source == "estimate"
    assert run.counts.prompt_tokens > 0


@pytest.mark.parametrize("bad", [ValueError("cut off"), ["North"], "North", {}, {"reply": "North"}])
async def test_an_unusable_answer_is_a_model_error(sales: Sales, bad: Any) -> None:
    """Not parsed, no object or without the field: model and call are named, the tokens counted."""
    run = _run(sales, reply=lambda _: bad)
    with pytest.raises(ModelError, match=r"scripted .*decide"):
        await _ask(run)
    call = next(s for s in run.tracer.finished() if s.name == "model call: decide")
    assert call.status == "error"
    assert run.counts.model_calls == 1


async def test_prose_is_asked_of_the_writer(sales: Sales) -> None:
    """Choices go to `chat`, words to `writer`; the prompt arrives as it was given."""
    writer = ScriptedChat()
    run = _run(sales)
    run = replace(run, model=replace(run.model, writer=writer))
    await _ask(run)
    await _ask(run, writes=True)
    assert len(chat_of(run).sent) == len(writer.sent) == 1
    assert writer.sent[0] == Sent("decision", "Who you are", "Which region?", SCHEMA)


async def test_links_of_a_call_are_kept(sales: Sales) -> None:
    """What the call waited for is on its span."""
    run = _run(sales)
    first = run.tracer.add("tool", "kpis", 0, 1)
    await _ask(run, links=(first,))
    assert next(s for s in run.tracer.finished() if s.name.startswith("model call")).links == (first,)


async def test_phases_carry_the_engines_tokens(sales: Sales) -> None:
    """Prefill counts what was computed, not what came from the prefix cache; decode what was generated."""
    usage = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}
    run = _run(sales, usage={**usage, "input_token_details": {"cache_read": 30}})
    await _ask(run)
    tokens = {
        s.name: (s.tokens, s.repeated_tokens) for s in run.tracer.finished() if s.category != "framework"
    }
    assert tokens == {"queue": (None, None), "prefill": (70, 0), "decode": (20, None)}


async def test_a_prompt_prefilled_twice_is_counted_as_repeated(sales: Sales) -> None:
    """The second of two equal prompts repeats all its tokens but those that the prefix cache had."""
    usage = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}
    run = _run(sales, usage={**usage, "input_token_details": {"cache_read": 30}})
    await _ask(run)
    await _ask(run)
    assert [s.repeated_tokens for s in run.tracer.finished() if s.name == "prefill"] == [0, 70]


def test_a_queued_call_waits_for_the_one_that_held_the_engine(sales: Sales) -> None:
    """The last to end while it queued; nobody where none ended then, before it came or after it began."""
    run = _run(sales)
    run.answered.extend([(10, "early"), (2_000_000, "holder"), (1_000_000, "other"), (9_000_000, "late")])
    assert held_by(run, queued_ns=500_000, began_ns=2_100_000) == ("holder",)
    assert held_by(run, queued_ns=500_000, began_ns=1_900_000) == ("holder",)
    assert held_by(run, queued_ns=3_000_000, began_ns=3_000_010) == ()


async def test_calls_say_what_they_read(sales: Sales) -> None:
    """The report reads every output; the last agent's draft its own tools and what the others' view kept."""
    run = resources(sales, level(roster="three", context="transcript"))
    await run_swarm(run)
    spans = run.tracer.finished()
    by_id = {s.span_id: s for s in spans}
    outputs = {s.span_id for s in spans if s.category == "tool" or s.name.startswith("model call")}
    report = next(s for s in spans if s.name == "report")
    assert set(report.reads or ()) == outputs
    draft = next(s for s in spans if s.name == "model call: draft" and s.agent == "campaign")
    assert {by_id[i].agent for i in draft.reads or ()} == {"data", "market", "campaign"}


def test_schemas_bound_what_is_written() -> None:
    """Structured output cites fewer facts and writes less than prose; neither can hold a digit."""
    ids = [f"kpis.m{i}" for i in range(9)]
    prose, short = (draft_schema(kind, tuple(ids))["properties"] for kind in ("prose", "structured"))
    assert (prose["cites"]["maxItems"], short["cites"]["maxItems"]) == (5, 2)
    assert draft_schema("prose", tuple(ids[:1]))["properties"]["cites"]["maxItems"] == 1
    for schema in (prose["finding"], short["finding"], SUMMARY_SCHEMA["properties"]["summary"]):
        assert schema["pattern"].endswith(r"\.$")
        assert "0-9" not in schema["pattern"].replace("{0,19}", "")


@pytest.mark.parametrize("schedule", ["sequential", "superstep", "dataflow"])
async def test_a_model_failure_leaves_a_sound_trace(sales: Sales, schedule: str) -> None:
    """The error surfaces as raised, and the spans up to then have their parents and add up."""

    def reply(sent: Sent) -> Any:
        return ValueError("cut off") if "competitive analyst" in sent.system else None

    run = resources(
        sales,
        level(roster="six", agent_schedule=schedule, tool_schedule="parallel"),
        model=loaded(ScriptedChat(reply=reply)),
    )
    with pytest.raises(ModelError, match="cut off"):
        await run_swarm(run)
    spans = run.tracer.finished()
    check_spans(spans)
    attribution = attribute(spans)
    assert sum(attribution.exclusive_by_span.values()) == attribution.wall_ns
    assert any(s.agent == "competitive" and s.status == "error" for s in spans)
