"""One model call: asked under a schema, timed by the engine's own figures, stored as a completion."""

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from swarmlab.agents.resources import Resources
from swarmlab.errors import ModelError
from swarmlab.models.counts import token_counts
from swarmlab.tools.cache import content_key
from swarmlab.trace.tracer import OpenSpan


async def ask(
    run: Resources,
    purpose: str,
    prompt: tuple[str, str],
    schema: dict[str, Any],
    *,
    links: tuple[str, ...] = (),
    writes: bool = False,
) -> dict[str, Any]:
    """Ask the run's model for one JSON object that fits `schema`.

    Parameters
    ----------
    purpose
        Names the call in the trace ("draft", "decide", …).
    prompt
        The system's and the user's message.
    links
        Ids of the spans that this call waited for.
    writes
        The answer holds prose: ask the model as it is set for writing.

    Raises
    ------
    ModelError
        The model failed, or its answer is not an object of the schema.
    """
    messages = [SystemMessage(prompt[0]), HumanMessage(prompt[1])]
    key = content_key(
        {
            "messages": [[m.type, m.content] for m in messages],
            "schema": schema,
            "model": run.model.id,
            "model_hash": run.model.file_hash,
            "seed": run.seed,
            "writes": writes,
            "code": run.code_version,
        }
    )
    with run.tracer.span("framework", f"model call: {purpose}", links=links) as span:
        stored = run.cache.get("completions", key)
        if stored is not None:
            span.cached = True
            return dict(stored)
        chat = run.model.writer if writes else run.model.chat
        answer = await _complete(run, chat, messages, schema, span)
    run.cache.put("completions", key, answer)
    return answer


async def _complete(
    run: Resources,
    chat: BaseChatModel,
    messages: list[BaseMessage],
    schema: dict[str, Any],
    span: OpenSpan,
) -> dict[str, Any]:
    structured = chat.with_structured_output(schema, include_raw=True)
    start_ns = run.clock.now_ns()
    try:
        result = await structured.ainvoke(messages)
    except ModelError:
        raise
    except Exception as error:
        # Every provider raises classes of its own for a refused, cut or timed-out call.
        raise ModelError(
            f"{run.model.id} failed at {span.name!r}: {type(error).__name__}: {error}"
        ) from error
    end_ns = run.clock.now_ns()
    if not isinstance(result, dict):
        raise ModelError(f"expected raw and parsed output, got {type(result).__name__}")
    raw = result["raw"]
    _record_phases(run, raw, start_ns, end_ns, span)
    _count(run, messages, raw)
    if result["parsing_error"] is not None or not isinstance(result["parsed"], dict):
        reason = result["parsing_error"] or f"parsed to {type(result['parsed']).__name__}"
        raise ModelError(f"{run.model.id} gave no usable answer to {span.name!r}: {reason}")
    missing = [name for name in schema["required"] if name not in result["parsed"]]
    if missing:
        # A provider may not enforce the schema.
        raise ModelError(f"{run.model.id} left {missing[0]!r} out of its answer to {span.name!r}")
    # Through JSON, so that a stored completion and a fresh one are the same kind of object.
    answer: dict[str, Any] = json.loads(json.dumps(result["parsed"]))
    return answer


def _record_phases(run: Resources, raw: AIMessage, start_ns: int, end_ns: int, span: OpenSpan) -> None:
    """Lay queue, prefill and decode out from the call's start; what is left is overhead."""
    timings = raw.response_metadata.get("timings")
    if timings is None:
        # The provider tells no phases: the whole call counts as decode, and its name says so.
        run.tracer.add("model_decode", "call (phases unknown)", start_ns, end_ns, parent_id=span.span_id)
        return
    at_ns = start_ns
    for category, field in (
        ("model_queue", "queue_ns"),
        ("model_prefill", "prefill_ns"),
        ("model_decode", "decode_ns"),
    ):
        until_ns = min(at_ns + int(timings[field]), end_ns)
        if until_ns > at_ns:
            run.tracer.add(category, category.removeprefix("model_"), at_ns, until_ns, parent_id=span.span_id)
        at_ns = until_ns


def _count(run: Resources, prompt: Sequence[BaseMessage], raw: AIMessage) -> None:
    counted = token_counts(prompt, raw)
    run.counts.model_calls += 1
    run.counts.prompt_tokens += counted.prompt
    run.counts.completion_tokens += counted.completion
    if counted.source == "estimate":
        run.counts.tokens_source = "estimate"
