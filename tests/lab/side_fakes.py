"""Made-up experiments on disk for whatever compares them; no figure in them was measured."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from swarmlab.agents.levels import LEVELS, Level
from swarmlab.records.manifest import write_manifest
from swarmlab.records.record import Record
from swarmlab.records.store import write_run
from swarmlab.trace.spans import Span

SPREAD = (1.0, 1.03, 0.98, 1.01, 0.97, 1.02, 0.99, 1.04, 0.96, 1.005)
"""How the durations of a level's repeats differ, so that intervals have a width."""
MACHINE = {
    "cpu_model": "fake cpu",
    "cores": 2,
    "cores_usable": 2,
    "cpu_quota": None,
    "platform": "fake-os",
    "python": "CPython 3.x",
    "packages": {"swarmlab": "0.0", "pandas": "1.0", "only-here": None},
}


def fake_record(level: str = "full", repeat: int = 0, seconds: float = 3.0, **changes: Any) -> Record:
    """An ok record of one run; `changes` replace any of its fields."""
    switches = LEVELS.get(level)
    fields: dict[str, Any] = {
        "experiment": "fake",
        "run_id": f"{changes.get('cache_state', 'cold')}-{repeat:03d}-{level}",
        "level": level,
        "repeat": repeat,
        "pair": repeat,
        "status": "ok",
        "clock": "wall",
        "model": "fake-model",
        "cache_state": "cold",
        "wall_ns": round(seconds * 1e9),
        "prompt_tokens": 900,
        "completion_tokens": 100,
        "total_tokens": 1000,
        "tokens_source": "provider",
        "n_agents": 3,
        "n_tool_calls": 12,
        "n_model_calls": 20,
        "cost_usd": 0.0,
        "fact_coverage": 1.0,
        "groundedness": 1.0,
        "decision_accuracy": 0.8,
        "started_at": datetime(2001, 1, 1, tzinfo=UTC) + timedelta(seconds=repeat),
        "work_id": "w0",
        "data_name": "fake-data",
        "data_fingerprint": "f" * 64,
        "model_hash": "m" * 64,
        "seed": 7,
        "roster": "three",
        "facts_hash": "facts-of-w0",
        "level_id": None if switches is None else switches.switches_id,
    }
    return Record(**{**fields, **changes})


def fake_failure(level: str, repeat: int = 0, **changes: Any) -> Record:
    """The record of a run that failed before anything was measured."""
    unmeasured = dict.fromkeys(
        ("wall_ns", "prompt_tokens", "completion_tokens", "total_tokens", "cost_usd", "fact_coverage",
         "groundedness", "decision_accuracy", "facts_hash")
    )  # fmt: skip
    return fake_record(level, repeat, **{**unmeasured, "status": "failed", "error": "made up"} | changes)


def fake_runs(level: str, seconds: float, n: int = 10, works: int = 1, **changes: Any) -> list[Record]:
    """Repeats of a level that take about `seconds`, the works in turn, facts by work."""
    return [
        fake_record(
            level,
            repeat,
            seconds * SPREAD[(repeat * 3 + len(level)) % len(SPREAD)] * (1 + repeat // 10 / 1000),
            **{
                "work_id": f"w{repeat % works}",
                "facts_hash": f"facts-of-w{repeat % works}",
                **{name: value(repeat) if callable(value) else value for name, value in changes.items()},
            },
        )
        for repeat in range(n)
    ]


def write_fake(
    folder: Path,
    *groups: Sequence[Record],
    levels: Sequence[Level] = tuple(LEVELS.values()),
    machine: Mapping[str, Any] | None = MACHINE,
    **manifest: Any,
) -> Path:
    """Write an experiment: its run folders, each with a trace of one span, and its manifest."""
    for record in (record for group in groups for record in group):
        spans = []
        if record.wall_ns is not None:
            spans = [Span("run", None, (), "framework", "fake run", None, 0, record.wall_ns)]
        write_run(folder, record, spans)
    written = {
        "experiment": folder.name,
        "spec": {
            "levels": [level.model_dump(mode="json") for level in levels],
            "brief": {"audience": "fake"},
        },
        "command": "swarmlab run fake.yaml",
        **({} if machine is None else {"machine": dict(machine)}),
        **manifest,
    }
    write_manifest(folder, written)
    return folder
