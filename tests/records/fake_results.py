"""Made-up results: a small tree of spans a run, with figures that nobody could take for a measurement."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from swarmlab.records.record import Record
from swarmlab.records.store import write_run
from swarmlab.trace.spans import Span

S = 1_000_000_000
_AGENTS = {
    "blackboard": ("fake a", "fake b", "fake c", "fake d", "fake e", "fake f"),
    "none": ("fake a", "fake b", "fake c"),
    "partial": ("fake a", "fake b", "fake c"),
    "full": ("fake a", "fake b"),
}
_SECONDS_A_STEP = {"blackboard": 2.2, "none": 1.7, "partial": 1.1, "full": 0.7}
_QUALITY = {"blackboard": 0.61, "none": 0.62, "partial": 0.57, "full": 0.59}
LEVELS = tuple(_AGENTS)


def make_spans(level: str = "blackboard", stretch: float = 1.0) -> list[Span]:
    """Return one run's spans: agents in turn (at `full` at once), each with context, tools, a model call.

    Tools of an agent overlap at `partial` and `full`. `stretch` scales every time.
    """
    step = int(_SECONDS_A_STEP.get(level, 1.0) * stretch * S) + 7
    spans: list[Span] = []
    at = step // 10
    for index, agent in enumerate(_AGENTS.get(level, ("fake a",))):
        start = step // 10 if level == "full" else at
        end = _agent(spans, agent, index, start, step, parallel=level in ("partial", "full"))
        at = max(at, end)
    end = at + step // 5
    spans.append(Span("result", "run", (), "result", "fake report", None, at, end))
    return [Span("run", None, (), "framework", "fake run", None, 0, end + step // 20), *spans]


def _agent(spans: list[Span], agent: str, index: int, start: int, step: int, *, parallel: bool) -> int:
    """Append an agent's spans and return when it ends."""
    own, at = f"a{index}", start
    children: list[Span] = []

    def add(category: str, name: str, since: int, length: int) -> int:
        children.append(Span(f"{own}.{len(children)}", own, (), category, name, agent, since, since + length))
        return since + length

    at = add("context", "fake board", at, step // 4)
    began = at
    for tool in range(2):
        at = add("tool", f"fake_tool_{tool}", began if parallel else at, step // 2 + tool * 11)
    at = add("model_queue", "wait", at, step // 9)
    at = add("model_prefill", "prefill", at, step // 3)
    at = add("model_decode", "decode", at, step)
    end = at + step // 20
    spans.append(Span(own, "run", (), "coordination", agent, agent, start, end))
    spans.extend(children)
    return end


def make_record(spans: Sequence[Span], **changes: Any) -> Record:
    """Return an ok record that fits `spans`; `changes` replace any of its fields."""
    root = next((span for span in spans if span.parent_id is None), None)
    wall_ns = None if root is None else root.end_ns - root.start_ns
    level = str(changes.get("level", "blackboard"))
    agents = len(_AGENTS.get(level, ("fake a",)))
    repeat, cache_state = changes.get("repeat", 0), changes.get("cache_state", "cold")
    fields: dict[str, Any] = {
        "experiment": "fake-experiment",
        "run_id": f"{level}-{cache_state}-{repeat}",
        "level": level,
        "repeat": repeat,
        "status": "ok",
        "clock": "wall",
        "model": "fake-model",
        "cache_state": cache_state,
        "wall_ns": wall_ns,
        "prompt_tokens": 1000 * agents,
        "completion_tokens": 111 * agents,
        "total_tokens": 1111 * agents,
        "tokens_source": "provider",
        "tokens_per_s": None if not wall_ns else round(111 * agents / (wall_ns / S), 3),
        "n_agents": agents,
        "n_tool_calls": 12,
        "n_tool_executions": 0 if cache_state == "warm" and level in ("partial", "full") else 12,
        "n_model_calls": agents,
        "cache_hits": 12 if cache_state == "warm" and level in ("partial", "full") else 0,
        "cache_misses": 0 if cache_state == "warm" and level in ("partial", "full") else 12,
        "cost_usd": 0.0,
        "fact_coverage": 1.0,
        "groundedness": 0.99,
        "decision_accuracy": _QUALITY.get(level, 0.5),
        "keyword_accuracy": 0.66,
        "chance_accuracy": 0.33,
        "load_s": 0.5,
        "other_cpu_share": 0.04,
        "started_at": datetime(2001, 1, 1, tzinfo=UTC) + timedelta(seconds=repeat),
        "work_id": "fake-work",
        "data_name": "fake-data",
        "data_fingerprint": "f" * 64,
        "pair": repeat,
        "seed": 7,
        "tool_choice": "planned",
        "roster": {6: "six", 3: "three", 2: "two"}.get(agents, "one"),
        "lossy_switches": () if level == "blackboard" else ("roster", "context"),
    }
    fields.update(changes)
    if fields["clock"] == "virtual":
        # A simulation has no figures of a machine.
        nothing = dict.fromkeys(("load_s", "other_cpu_share", "load1", "instrument_s"))
        fields |= {"tokens_source": "simulated", **nothing, **changes}
    return Record(**fields)


def make_failed(
    level: str = "full", error: str = "tool fake_tool_1 failed: made up", **changes: Any
) -> Record:
    """Return the record of a run that failed before it measured anything."""
    nothing = dict.fromkeys(
        ("wall_ns", "prompt_tokens", "completion_tokens", "total_tokens", "tokens_per_s", "cache_hits",
         "cache_misses", "fact_coverage", "groundedness", "decision_accuracy", "keyword_accuracy",
         "chance_accuracy", "n_tool_executions", "n_model_calls", "cost_usd")
    )  # fmt: skip
    return make_record((), level=level, status="failed", error=error, **{**nothing, **changes})


def write_fake_results(
    experiment_dir: Path,
    repeats: int = 1,
    caches: Sequence[str] = ("cold", "warm"),
    failing: Sequence[str] = (),
    **changes: Any,
) -> None:
    """Write an experiment of all four levels; `failing` levels have only failed runs."""
    order = 0
    for repeat in range(repeats):
        for cache_state in caches:
            for level in LEVELS:
                common = {"repeat": repeat, "cache_state": cache_state, "order": order, **changes}
                order += 1
                if level in failing:
                    write_run(experiment_dir, make_failed(level, **common), ())
                    continue
                # A fixed pattern stands in for run-to-run spread.
                spread = 1 + 0.05 * ((repeat * 7 + LEVELS.index(level) * 3) % 5 - 2)
                spans = make_spans(level, spread * (0.5 if cache_state == "warm" else 1.0))
                record = make_record(spans, level=level, **common)
                write_run(experiment_dir, record, spans, answer={"fake": True}, answer_md="# Fake\n")
