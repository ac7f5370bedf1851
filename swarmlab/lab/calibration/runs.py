"""The measured runs that a profile is fitted to: their model calls, and the framework's own time."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from swarmlab.errors import StoreError
from swarmlab.records.store import StoredRun, read_runs
from swarmlab.trace.spans import Span
from swarmlab.trace.tree import SpanTree, span_tree

MIN_CALLS = 50
"""Fewer calls cannot tell a start, a rate and its slowdown apart."""
MIN_ANSWERS = 20
CALL = "model call: "
_DRAFT = ("cites", "finding", "recommendation")
"""What a draft's answer holds, in the order in which it is written."""


@dataclass(frozen=True)
class Measurements:
    """What the runs of some results folders say."""

    calls: pd.DataFrame
    """One row a model call, in the runs' own order: experiment, run_id, level, agent, call (its name),
    purpose (the name's first word), prefill_tokens (those computed), cached_tokens (estimated),
    decode_tokens, prefill_s, decode_s."""
    answers: pd.DataFrame
    """One row an answer that was kept: level, title of its schema, its JSON as `text`, and its `tokens`."""
    own: pd.DataFrame
    """One row a span with time of the framework's own: run_id, level, what (`call`, `turn`, `view`, `result`,
    `run`), seconds."""
    sources: tuple[dict[str, Any], ...]
    """Folder, runs, code versions and first and last day of each source."""
    model: str


def read_measurements(folders: Sequence[Path]) -> Measurements:
    """Read every run that succeeded in these results folders.

    Raises
    ------
    StoreError
        A folder holds no runs with traces, or simulated ones; runs of several models are mixed; or they
        hold too few model calls whose phases and tokens are known.
    """
    runs = [run for folder in folders for run in _runs_of(folder)]
    models = sorted({str(run.record.model) for run in runs})
    if len(models) > 1:
        raise StoreError(f"a profile is of one model, but these runs are of {' and '.join(models)}")
    rows, answers, own = [], [], []
    for run in runs:
        tree = span_tree(run.spans)
        calls = list(_calls_of(run, tree))
        rows += calls
        answers += list(_answers_of(run, calls))
        own += list(_own_of(run, tree))
    if len(rows) < MIN_CALLS:
        raise StoreError(
            f"these runs hold {len(rows)} model calls with known phases and tokens; "
            f"a profile needs at least {MIN_CALLS}"
        )
    if len(answers) < MIN_ANSWERS:
        raise StoreError(
            f"these runs kept {len(answers)} answers (answer.json), a profile needs at least {MIN_ANSWERS}"
        )
    sources = tuple(_source(folder, runs) for folder in folders)
    return Measurements(pd.DataFrame(rows), pd.DataFrame(answers), pd.DataFrame(own), sources, models[0])


def _runs_of(folder: Path) -> list[StoredRun]:
    runs = [run for run in read_runs(folder) if run.record.status == "ok" and run.spans]
    if not runs:
        raise StoreError(f"{folder} holds no runs that succeeded, with their traces")
    simulated = [run for run in runs if run.record.clock == "virtual"]
    if simulated:
        raise StoreError(
            f"{folder} holds simulated runs ({simulated[0].record.run_id}); "
            "a profile is fitted to measured ones"
        )
    return runs


def _calls_of(run: StoredRun, tree: SpanTree) -> Iterator[dict[str, Any]]:
    """The run's calls that the model answered, with the cached part of each prompt as far as it can be told.

    A trace keeps the tokens that were prefilled, the record all of the run's prompts. The difference came
    from the slot's prefix cache: it is spread evenly over the calls that begin like the call before them,
    which are those of the same purpose.
    """
    found = [span for span in tree.spans if span.name.startswith(CALL) and not span.cached]
    calls = []
    for span in found:
        phases = {child.category: child for child in tree.children.get(span.span_id, ())}
        prefill, decode = phases.get("model_prefill"), phases.get("model_decode")
        if prefill is None or decode is None or not prefill.tokens or not decode.tokens:
            continue
        calls.append((span.name.removeprefix(CALL), prefill, decode))
    purposes = [name.split()[0] for name, *_ in calls]
    follows = [before == purpose for before, purpose in zip(["", *purposes], purposes, strict=False)]
    prefilled = sum(prefill.tokens or 0 for _, prefill, _ in calls)
    cached = max((run.record.prompt_tokens or 0) - prefilled, 0) if len(calls) == len(found) else 0
    for (name, prefill, decode), is_alike in zip(calls, follows, strict=True):
        yield {
            "experiment": run.record.experiment,
            "run_id": run.record.run_id,
            "level": run.record.level,
            "agent": prefill.agent,
            "call": name,
            "purpose": name.split()[0],
            "prefill_tokens": prefill.tokens,
            "cached_tokens": round(cached / sum(follows)) if is_alike else 0,
            "decode_tokens": decode.tokens,
            "prefill_s": prefill.duration_ns / 1e9,
            "decode_s": decode.duration_ns / 1e9,
        }


def _answers_of(run: StoredRun, calls: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The run's drafts and decisions as the model wrote them, where its answer was kept."""
    path = run.folder / "answer.json"
    if not path.is_file():
        return
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
        drafts = {note["agent"]: {name: note[name] for name in _DRAFT} for note in answer["notes"]}
        choices = {f"decide {told['id']}": {"answer": told["choice"]} for told in answer["decisions"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    for call in calls:
        is_draft = call["purpose"] == "draft"
        value = drafts.get(call["agent"]) if is_draft else choices.get(call["call"])
        if value is not None:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            title = "contribution" if is_draft else "decision"
            told = {"level": run.record.level, "title": title}
            yield {**told, "text": text, "tokens": call["decode_tokens"]}


def _own_of(run: StoredRun, tree: SpanTree) -> Iterator[dict[str, Any]]:
    for span in tree.spans:
        what = _kind(span)
        if what is not None:
            seconds = _own_ns(span, tree.children.get(span.span_id, ())) / 1e9
            yield {
                "run_id": run.record.run_id,
                "level": run.record.level,
                "what": what,
                "seconds": seconds,
            }


def _kind(span: Span) -> str | None:
    if span.cached:
        return None
    if span.name.startswith(CALL):
        return "call"
    if span.parent_id is None:
        return "run"
    if span.category == "context":
        # Cutting a view counts its tokens with the model's own tokenizer; no preset cuts.
        return "cut" if span.name.startswith("cut") else "view"
    return {"coordination": "turn", "result": "result"}.get(span.category)


def _own_ns(span: Span, children: Sequence[Span]) -> int:
    """Nanoseconds of a span in which none of its children, given in the order of their starts, was active."""
    own, reached = 0, span.start_ns
    for child in children:
        own += max(child.start_ns - reached, 0)
        reached = max(reached, child.end_ns)
    return own + max(span.end_ns - reached, 0)


def _source(folder: Path, runs: Sequence[StoredRun]) -> dict[str, Any]:
    records = [run.record for run in runs if folder in run.folder.parents]
    days = sorted(str(record.started_at.date()) for record in records if record.started_at is not None)
    return {
        "folder": "/".join(folder.parts[-3:]),
        "runs": len(records),
        "code_versions": sorted({str(record.code_version) for record in records}),
        "days": sorted({*days[:1], *days[-1:]}),
    }
