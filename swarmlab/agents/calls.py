"""One model call: asked under a schema, timed by the engine's own figures, stored as a completion."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from swarmlab.agents.resources import Resources
from swarmlab.errors import ModelError
from swarmlab.models import FixedSchema
from swarmlab.models.counts import TokenCounts, prompt_tokens, token_counts
from swarmlab.tools.cache import Cost, content_key
from swarmlab.trace.tracer import OpenSpan

QUEUE_TOLERANCE_NS = 1_000_000
"""How much later than its end, as the engine times it, a call may free the engine for the next."""


class Reply(NamedTuple):
    """What the model answered, and the span of the call."""

    content: dict[str, Any]
    span_id: str


async def ask(
    run: Resources,
    purpose: str,
    prompt: tuple[str, str],
    schema: FixedSchema,
    *,
    links: tuple[str, ...] = (),
    reads: tuple[str, ...] = (),
    writes: bool = False,
) -> Reply:
    """Ask the run's model for one JSON object that fits `schema`.

    Parameters
    ----------
    purpose
        Names the call in the trace ("draft", "decide", …).
    prompt
        The system's and the user's message.
    links
        Ids of the spans that this call waited for.
    reads
        Ids of the spans whose output is in the prompt.
    writes
        The answer holds prose: ask the model as it is set for writing.

    Raises
    ------
    ModelError
        The model failed, or its answer is not an object of the schema.
    """
    model = run.model
    key = _call_key(*prompt, schema.text, model.id, model.file_hash, run.seed, writes, run.code_version)
    with run.tracer.span("framework", f"model call: {purpose}", links=links, key=key, reads=reads) as span:
        chat = model.writer if writes else model.chat
        if "completions" not in run.cache.layers:
            answer, _ = await _complete(run, chat, prompt, schema, span)
            await run.spend("model_call_s")
            return Reply(answer, span.span_id)

        async def compute() -> tuple[dict[str, Any], Cost]:
            start_ns = run.clock.now_ns()
            answer, tokens = await _complete(run, chat, prompt, schema, span)
            await run.spend("model_call_s")
            return answer, Cost((run.clock.now_ns() - start_ns) / 1e9, tokens)

        fetched = await run.cache.fetch(
            "completions", key, compute, tag=purpose, data=run.dataset.fingerprint
        )
        span.cached = fetched.is_hit
        return Reply(fetched.value, span.span_id)


@lru_cache(maxsize=16_384)
def _call_key(
    system: str,
    user: str,
    schema: str,
    model: str,
    model_hash: str | None,
    seed: int,
    writes: bool,
    code_version: str,
) -> str:
    """Key of everything that an answer depends on; remembered, for simulations ask the same again."""
    return content_key(
        {
            "messages": [["system", system], ["human", user]],
            "schema": schema,
            "model": model,
            "model_hash": model_hash,
            "seed": seed,
            "writes": writes,
            "code": code_version,
        }
    )


async def _complete(
    run: Resources,
    chat: BaseChatModel,
    prompt: tuple[str, str],
    schema: FixedSchema,
    span: OpenSpan,
) -> tuple[dict[str, Any], int]:
    """Ask the model; returns its answer and the tokens that it took."""
    messages = list(_messages(*prompt))
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
    counted = _count(run, messages, raw)
    text = prompt_text(*prompt)
    again = round(counted.prompt * run.prompts.add(text) / len(text)) - counted.cached
    timings = raw.response_metadata.get("timings")
    _record_phases(run, span, (start_ns, end_ns), timings, counted, max(again, 0))
    if result["parsing_error"] is not None or not isinstance(result["parsed"], dict):
        reason = result["parsing_error"] or f"parsed to {type(result['parsed']).__name__}"
        raise ModelError(f"{run.model.id} gave no usable answer to {span.name!r}: {reason}")
    missing = [name for name in schema["required"] if name not in result["parsed"]]
    if missing:
        # A provider may not enforce the schema.
        raise ModelError(f"{run.model.id} left {missing[0]!r} out of its answer to {span.name!r}")
    answer: dict[str, Any] = result["parsed"]
    if not all(type(value) is str for value in answer.values()):
        # Through JSON, so that a stored completion and a fresh one are the same kind of object.
        answer = json.loads(json.dumps(answer))
    return answer, counted.prompt + counted.completion


def prompt_length(run: Resources, prompt: tuple[str, str]) -> int:
    """Tokens of a prompt: exact for the embedded model, an estimate for others."""
    return prompt_tokens(run.model.chat, _messages(*prompt))


@lru_cache(maxsize=4096)
def prompt_text(system: str, user: str) -> str:
    """The prompt as one text, for comparing how prompts begin."""
    return f"system\0{system}\0human\0{user}"


@lru_cache(maxsize=4096)
def _messages(system: str, user: str) -> tuple[SystemMessage, HumanMessage]:
    """The prompt for LangChain, whose messages are slow to make."""
    return SystemMessage(system), HumanMessage(user)


def _record_phases(
    run: Resources,
    span: OpenSpan,
    times_ns: tuple[int, int],
    timings: Mapping[str, Any] | None,
    counted: TokenCounts,
    repeated: int,
) -> None:
    """Lay queue, prefill and decode out from the call's start; what is left is overhead.

    Parameters
    ----------
    times_ns
        Start and end of the call.
    timings
        The engine's own, None where the provider tells no phases.
    repeated
        Tokens that were prefilled again.
    """
    at_ns, end_ns = times_ns
    is_exact = counted.source == "provider"
    if timings is None:
        # The whole call counts as decode, and its name says so.
        name, decoded = "call (phases unknown)", counted.completion if is_exact else None
        run.tracer.add("model_decode", name, at_ns, end_ns, parent_id=span.span_id, tokens=decoded)
        return
    began_ns = at_ns + int(timings["queue_ns"])
    # The engine serves one call at a time: this one began when another's last token was out.
    waited_for = held_by(run, at_ns, began_ns)
    prefilled = counted.prompt - counted.cached
    last = span.span_id
    for category, field, tokens, repeats, links in (
        ("model_queue", "queue_ns", None, None, ()),
        ("model_prefill", "prefill_ns", prefilled, min(repeated, prefilled), waited_for),
        ("model_decode", "decode_ns", counted.completion, None, ()),
    ):
        until_ns = min(at_ns + int(timings[field]), end_ns)
        if until_ns > at_ns:
            last = run.tracer.add(
                category,
                category.removeprefix("model_"),
                at_ns,
                until_ns,
                parent_id=span.span_id,
                links=links,
                tokens=tokens if is_exact else None,
                repeated_tokens=repeats if is_exact else None,
            )
        at_ns = until_ns
    run.answered.append((at_ns, last))


def held_by(run: Resources, queued_ns: int, began_ns: int) -> tuple[str, ...]:
    """The last phase of the call that held the engine until this one began, if one did."""
    held = [answered for answered in run.answered if queued_ns < answered[0] <= began_ns + QUEUE_TOLERANCE_NS]
    return (max(held)[1],) if held else ()


def _count(run: Resources, prompt: Sequence[BaseMessage], raw: AIMessage) -> TokenCounts:
    counted = token_counts(prompt, raw)
    run.counts.model_calls += 1
    run.counts.prompt_tokens += counted.prompt
    run.counts.completion_tokens += counted.completion
    run.counts.cached_tokens += counted.cached
    if run.model.profile is not None:
        run.counts.tokens_source = "simulated"
    elif counted.source == "estimate":
        run.counts.tokens_source = "estimate"
    return counted
