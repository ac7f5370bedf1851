"""Repeated analyses: 60 requests of which 70 % ask what was asked before, on one cache of all three layers.

Writes `results/reference/repeated_analyses.csv`, `_changes.csv` and `.md`: hits, seconds and tokens saved,
whether a repeat got the same answer, and whether anything stale was served after data, a tool's code or an
argument changed.
Measured on the embedded model in four minutes; `--model simulated` takes seconds and is simulated time.
"""

import argparse
import random
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

import swarmlab
from swarmlab.agents.answer import Answer
from swarmlab.data import open_dataset
from swarmlab.lab import Cell, make_cell
from swarmlab.lab.grade import grades
from swarmlab.lab.measure import Bench, Measured, run_once, set_up
from swarmlab.lab.version import code_version, source_hash
from swarmlab.lab.work import known_of, set_work
from swarmlab.records.atomic import write_text
from swarmlab.records.manifest import environment
from swarmlab.tools.cache import Cache
from swarmlab.trace.clock import Clock, VirtualClock, WallClock

OUT = Path(__file__).resolve().parent.parent / "results" / "reference"
DATA, LEVEL = "beverage:100000", "full"
REQUESTS, REPEAT_SHARE, SEED = 60, 0.7, 20
CHANGES: dict[str, Any] = {
    "budget": 77_000,
    "forecast_periods": 5,
    "campaign_type": "retention",
    "goals": ["sell more"],
    "audience": "board",
}


def distinct_briefs(n: int) -> list[dict[str, Any]]:
    """So many briefs that differ in what they ask."""
    return [{"budget": 50_000 + 5_000 * i, "forecast_periods": 1 + i % 12} for i in range(n)]


def sequence() -> list[tuple[int, bool]]:
    """Number of the brief of each request, and whether it was asked before; a fixed share is repeats."""
    draw = random.Random(SEED)
    n_repeats = round(REQUESTS * REPEAT_SHARE)
    is_repeat = [True] * n_repeats + [False] * (REQUESTS - n_repeats - 1)
    draw.shuffle(is_repeat)
    asked, requests = 1, [(0, False)]
    for repeats in is_repeat:
        requests.append((draw.randrange(asked) if repeats else asked, repeats))
        asked += not repeats
    return requests


class Desk:
    """Answers one request after the other on one model, one cache and one clock."""

    def __init__(self, model: str, folder: Path) -> None:
        self.model = model
        self.folder = folder
        self.clock: Clock = VirtualClock() if model.startswith("simulated") else WallClock()
        self.bench: Bench | None = None

    def ask(self, brief: dict[str, Any], **fields: Any) -> tuple[Cell, Bench, Measured]:
        """Run one analysis with what earlier ones left in the cache."""
        cell = make_cell({"level": LEVEL, "data": DATA, "model": self.model, "brief": brief, **fields})
        work = set_work(cell, known_of(cell))
        if self.bench is None:
            self.bench = set_up(cell, self.clock, work)
        bench = replace(self.bench, work=work)
        cache = Cache(self.folder, cell.level.cache, clock=self.clock)
        try:
            measured = self.clock.run(run_once(cell, bench, self.clock, cache))
        finally:
            cache.close()
        if measured.error is not None:
            raise SystemExit(f"a run failed: {measured.error}")
        return cell, bench, measured


def answer_of(measured: Measured) -> Answer:
    """The answer of a run that did not fail."""
    assert measured.answer is not None
    return measured.answer


def mix(desk: Desk) -> pd.DataFrame:
    """One row a request."""
    requests = sequence()
    briefs = distinct_briefs(1 + max(number for number, _ in requests))
    first: dict[int, Answer] = {}
    rows = []
    for place, (number, is_repeat) in enumerate(requests):
        _, bench, measured = desk.ask(briefs[number])
        answer, used = answer_of(measured), measured.resources.cache
        first.setdefault(number, answer)
        rows.append(
            {
                "request": place,
                "brief": number,
                "is_repeat": is_repeat,
                "seconds": measured.wall_ns / 1e9,
                "hits": used.hits.total(),
                "misses": used.misses.total(),
                "analysis_hit": used.hits["analyses"] > 0,
                "saved_s": used.saved_s,
                "saved_tokens": used.saved_tokens,
                "is_same_answer": answer == first[number],
                "fact_coverage": grades(bench.work, answer)["fact_coverage"],
            }
        )
    return pd.DataFrame(rows)


def stale_after_changes(desk: Desk) -> pd.DataFrame:
    """Hits after one thing changed that answers depend on; a hit of a tool or an analysis would be stale."""
    brief = distinct_briefs(1)[0]
    csv = Path(tempfile.mkdtemp(prefix="swarmlab-")) / "sales.csv"
    frame = open_dataset(DATA).read()
    frame.to_csv(csv, index=False)
    desk.ask(brief, data=str(csv))
    unchanged = desk.ask(brief, data=str(csv))[2]
    frame.loc[0, "units_sold"] += 1
    frame.to_csv(csv, index=False)
    runs = {
        "nothing (the same file again)": unchanged,
        "one cell of the file": desk.ask(brief, data=str(csv))[2],
    }
    shutil.rmtree(csv.parent)
    runs["a tool's code"] = desk.ask(brief, code_version=changed_code())[2]
    for name, value in CHANGES.items():
        runs[f"brief: {name}"] = desk.ask(brief | {name: value})[2]
    counted = {what: run.resources.cache for what, run in runs.items()}
    return pd.DataFrame(
        [
            {
                "changed": what,
                "analysis_hits": cache.hits["analyses"],
                "tool_hits": cache.hits["tools"],
                "completion_hits": cache.hits["completions"],
            }
            for what, cache in counted.items()
        ]
    )


def changed_code() -> str:
    """The code version after a comment was added to one tool, in a copy of the package."""
    with tempfile.TemporaryDirectory(prefix="swarmlab-") as folder:
        package = Path(folder) / "swarmlab"
        shutil.copytree(Path(swarmlab.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
        with (package / "tools" / "kpis.py").open("a", encoding="utf-8") as file:
            file.write("# another version\n")
        changed = source_hash(package)
    assert changed != code_version().sources
    return changed


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """What the mix came to."""
    repeats, fresh = table[table["is_repeat"]], table[~table["is_repeat"]]
    spent, saved = table["seconds"].sum(), table["saved_s"].sum()
    rows = {
        "requests": len(table),
        "repeats, share": repeats.shape[0] / len(table),
        "analyses served from the cache, share": table["analysis_hit"].mean(),
        "lookups of all layers that hit, share": table["hits"].sum()
        / (table["hits"] + table["misses"]).sum(),
        "seconds spent": spent,
        "seconds saved": saved,
        "seconds saved, share of what all would take": saved / (spent + saved),
        "tokens saved": table["saved_tokens"].sum(),
        "a fresh analysis, median s": fresh["seconds"].median(),
        "a repeated analysis, median s": repeats["seconds"].median(),
        "repeats with the first one's answer": repeats["is_same_answer"].sum(),
        "repeats with another answer": (~repeats["is_same_answer"]).sum(),
        "least fact coverage": table["fact_coverage"].min(),
    }
    return pd.DataFrame({"what": list(rows), "value": [float(value) for value in rows.values()]})


def markdown(frame: pd.DataFrame) -> str:
    """A table for reading."""
    lines = [list(map(str, frame.columns)), ["---"] * len(frame.columns)]
    for row in frame.itertuples(index=False):
        lines.append([f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Run the mix and the changes, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="swarmlab-"))
    desk = Desk(chosen.model, folder)
    try:
        table, changes = mix(desk), stale_after_changes(desk)
    finally:
        shutil.rmtree(folder)
    timing = "simulated" if chosen.model.startswith("simulated") else "measured"
    totals, machine = summary(table), environment(["swarmlab"])
    text = [
        "# Repeated analyses",
        f"{LEVEL} on {DATA} with {chosen.model}, {timing} seconds, n = 1 pass over {REQUESTS} requests in an "
        f"order drawn from seed {SEED}; `python experiments/repeated_analyses.py`.",
        markdown(totals),
        "Hits after one thing changed (of a run that before would have been served whole). A completion may "
        "hit rightly where its whole prompt is the same: then nothing it depends on has changed.",
        markdown(changes),
        f"{machine['cpu_model']}, {machine['cores_usable']} cores, load {machine['load_average']}.",
    ]
    write_text(chosen.out / "repeated_analyses.md", "\n\n".join(text) + "\n")
    write_text(chosen.out / "repeated_analyses.csv", table.to_csv(index=False))
    write_text(chosen.out / "repeated_analyses_changes.csv", changes.to_csv(index=False))
    print("\n\n".join(text[:-1]))


if __name__ == "__main__":
    main()
