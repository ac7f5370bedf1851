"""Made-up results of an ablation: every level's seconds are known, so its credits are too."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fake_results import make_failed, make_record, make_spans

from swarmlab.records.design import Design
from swarmlab.records.manifest import write_manifest
from swarmlab.records.store import StoredRun, write_run

Seconds = Callable[[frozenset[str], int], float]
"""Seconds of a run from the factors that are on and the block."""


def make_design(*factors: str, orders: tuple[tuple[str, ...], ...] = (), base: str = "blackboard") -> Design:
    """Return a design from `base` to full, a factorial without `orders`."""
    bits = ["".join(point) for point in itertools.product("01", repeat=len(factors))]
    names = {"0" * len(factors): base, "1" * len(factors): "full"}
    levels = {names.get(point, f"abl-{point}"): point for point in bits}
    return Design(base=base, target="full", factors=factors, levels=levels, orders=orders)


def make_runs(design: Design, blocks: int, seconds: Seconds, **changes: Any) -> list[StoredRun]:
    """Return a run of every level in every block (of its path, in a Shapley design), each as long as told."""
    by_bits = {bits: level for level, bits in design.levels.items()}
    paths = [path for _, path in design.paths()] if design.orders else [list(by_bits)] * blocks
    runs = []
    for block, path in enumerate(paths[:blocks]):
        for bits in path:
            on = frozenset(name for name, bit in zip(design.factors, bits, strict=True) if bit == "1")
            level = by_bits[bits]
            given = {name: value(on, block) if callable(value) else value for name, value in changes.items()}
            runs.append(_run(level, block, seconds(on, block), given))
    return runs


def _run(level: str, block: int, seconds: float, changes: Mapping[str, Any]) -> StoredRun:
    if changes.get("status") == "failed":
        given = {name: value for name, value in changes.items() if name != "status"}
        return StoredRun(None, make_failed(level, repeat=block, **given), ())
    whole = make_spans(level)
    length_s = next(span.end_ns for span in whole if span.parent_id is None) / 1e9
    spans = tuple(make_spans(level, seconds / length_s))
    return StoredRun(None, make_record(spans, level=level, repeat=block, **changes), spans)


def write_ablation(folder: Path, design: Design, runs: list[StoredRun]) -> None:
    """Write runs and a manifest with the design, as an ablation leaves them."""
    for run in runs:
        write_run(folder, run.record, run.spans, answer={"fake": True}, answer_md="# Fake\n")
    levels = {run.record.level: run.record.level_id for run in runs}
    write_manifest(folder, {"design": design.model_dump(mode="json"), "levels": dict.fromkeys(levels, None)})
