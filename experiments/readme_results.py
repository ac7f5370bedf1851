"""Prints the README's figures from `results/reference`; `--write` puts them into README.md."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "reference"
REFERENCE = RESULTS / "levels"
HEADER = (
    "level",
    "seconds: median (range)",
    "times faster than blackboard [95 %]",
    "tokens",
    "agents",
    "tool calls",
    "required facts right",
    "decisions right",
    "tools, s",
    "summaries, s",
    "drafts, s",
    "decisions, s",
)
PRESETS = ("blackboard", "none", "partial", "full")
BEGIN, END = "<!-- results: experiments/readme_results.py -->", "<!-- end of results -->"
BEGIN_SIMULATED = "<!-- simulated: experiments/readme_results.py -->"
END_SIMULATED = "<!-- end of simulated -->"
BEGIN_TOOLS = "<!-- tools: experiments/readme_results.py -->"
END_TOOLS = "<!-- end of tools -->"


def results() -> str:
    """The block between the README's two markers."""
    comparison = pd.read_csv(REFERENCE / "comparison.csv")
    steps = pd.read_csv(REFERENCE / "steps.csv").pivot(index="level", columns="step", values="exclusive_s")
    measured = comparison[comparison["kind"] == "measured"]
    twins = measured[measured["aa_of"].isin(measured["level"]) & ~measured["level"].isin(PRESETS)]
    measured = measured[measured["level"].isin(PRESETS)]
    lines = [f"| {' | '.join(HEADER)} |", "|" + " --- |" * len(HEADER)]
    lines += [_measured(row, steps.loc[str(row["level"])].fillna(0)) for _, row in measured.iterrows()]
    lines += [_published(row) for _, row in comparison[comparison["kind"] == "published"].iterrows()]
    return "\n".join([BEGIN, *lines, "", _caption(measured, twins), "", *_proofs(), END])


def _measured(row: "pd.Series", step: "pd.Series") -> str:
    seconds = f"{row.duration_median_s:.1f} ({row.duration_min_s:.1f} to {row.duration_max_s:.1f})"
    interval = f"{row.ratio:.2f} [{row.ratio_low:.2f}, {row.ratio_high:.2f}]"
    ratio = interval if row.level != row.baseline else "1"
    parts = [step.get(name, 0.0) for name in ("tool", "summarise", "draft", "decide")]
    cells = [
        row.level,
        seconds,
        ratio,
        f"{row.total_tokens:,.0f}",
        f"{row.n_agents:.0f}",
        f"{row.n_tool_calls:.0f}",
        f"{row.fact_coverage:.2f}",
        f"{row.decision_accuracy:.2f}",
        *(f"{part:.1f}" for part in parts),
    ]
    return "| " + " | ".join(cells) + " |"


def _published(row: "pd.Series") -> str:
    seconds = "failed" if pd.isna(row.duration_median_s) else f"{row.duration_median_s:.2f}"
    tokens = "" if pd.isna(row.total_tokens) else f"{row.total_tokens:,.0f} (estimate)"
    counts = ["" if pd.isna(count) else f"{count:.0f}" for count in (row.n_agents, row.n_tool_calls)]
    cells = [f"*{row.level}, published*", seconds, "not comparable", tokens, *counts, *["not checked"] * 2]
    return "| " + " | ".join([*cells, *[""] * 4]) + " |"


def _caption(measured: pd.DataFrame, twins: pd.DataFrame) -> str:
    first = measured.iloc[0]
    succeeded, attempted = measured["succeeded"].sum(), measured["attempted"].sum()
    return (
        f"Cold cache; {succeeded} of {attempted} runs succeeded, interleaved at random. Ratios are geometric "
        f"means of {measured['n_pairs'].min():.0f} pairs with t intervals on their logarithms; the step "
        f"columns are means. Decisions are {first.n_works:.0f} exams on five briefs. On the same exams a "
        f"keyword router scores {first.keyword_accuracy:.2f} and chance {first.chance_accuracy:.2f}. Others "
        f"used {100 * measured.other_cpu_share.max():.1f} % of the machine or less (medians by level)."
        + "".join(_twin(row) for _, row in twins.iterrows())
        + _larger_twin()
    )


def _larger_twin() -> str:
    """The A/A experiment of its own (`experiments/aa.yaml`)."""
    table = pd.read_csv(RESULTS / "aa" / "comparison.csv")
    row = table[table["aa_of"].notna()].iloc[0]
    return f" Anew over {row.n} pairs (`experiments/aa.yaml`):" + _twin(row).partition(":")[2]


def _twin(row: "pd.Series") -> str:
    holds = "covers 1" if row.aa_covers_1 else "does not cover 1, so trust no difference below that"
    interval = f"[{row.aa_ratio_low:.3f}, {row.aa_ratio_high:.3f}]"
    names = f"`{row.aa_of}` run under two names"
    return f" A/A pair: {names} differs by a factor of {row.aa_ratio:.3f} {interval}, which {holds}."


def _proofs() -> list[str]:
    """What the ledger, the certificates and the tests of the predictions say, a sentence each."""
    return [f"- {sentence}" for sentence in (_ledger(), _certificates(), _predictions())]


def _ledger() -> str:
    whole = pd.read_csv(RESULTS / "ledger" / "ledger.csv")
    parts = [
        f"`{row.term}` {row.estimate:+.1f} s [{row.low:+.1f}, {row.high:+.1f}]"
        for row in _factors(whole, "duration_s")
    ]
    total = whole.query("metric == 'duration_s' and kind == 'total'").iloc[0]
    decisions = "; ".join(
        f"`{row.term}` {row.estimate:+.2f} [{row.low:+.2f}, {row.high:+.2f}]"
        for row in _factors(whole, "decision_accuracy")
    )
    return (
        f"**Ledger** (`results/reference/ledger`, {total.n_runs:.0f} runs in {total.n_blocks:.0f} blocks, "
        f"each another brief or exam): of the {total.estimate:+.1f} s [{total.low:+.1f}, {total.high:+.1f}] "
        f"from blackboard to full, {'; '.join(parts)}; of the share of decisions that are right, "
        f"{decisions}. The credits add up; the factors overlap (`ledger.md` has their interactions, "
        "`results/reference/ablation` a finer, exploratory design)."
    )


def _factors(ledger: pd.DataFrame, metric: str) -> list[Any]:
    rows = ledger[(ledger["metric"] == metric) & (ledger["kind"] == "factor")]
    return list(rows.sort_values("estimate").itertuples())


def _certificates() -> str:
    found = []
    for level in PRESETS[1:]:
        told = json.loads((REFERENCE / "certificates" / f"blackboard-vs-{level}.json").read_text())
        speed = told["contrast"]["speed"]
        works = "" if told["works_needed"] is None else f" ({told['works_needed']} works would decide)"
        ratio = f"{speed['ratio_median']:.2f} [{speed['low']:.2f}, {speed['high']:.2f}]"
        found.append(f"{level} {ratio} times as fast, {told['verdict']}{works}")
    return (
        f"**Certificates** at a margin of {told['margin']:g} against blackboard "
        f"(`results/reference/levels/certificates`): {'; '.join(found)}. Each names what stays undecided."
    )


def _predictions() -> str:
    parts = []
    for folder, name in (("whatif-round-1", "first round"), ("whatif", "second round")):
        path = RESULTS / folder / "whatif.csv"
        if path.exists():
            table = pd.read_csv(path)
            for kind, what in (("level", "on the model"), ("graph", "on known graphs")):
                errors = table.loc[table["kind"] == kind, "error"].abs()
                parts.append(
                    f"{name}, {len(errors)} {what}: median {errors.median():.1%}, 95th percentile "
                    f"{errors.quantile(0.95):.1%}, worst {errors.max():.1%}"
                )
    return f"**Predictions**, written before the runs that tested them; absolute errors: {'; '.join(parts)}."


def simulated() -> str:
    """The README's block on what was simulated."""
    sentences = [sentence for sentence in (_calibration(), _speed(), *_phases(), *_capacity()) if sentence]
    return "\n".join([BEGIN_SIMULATED, *(f"- {sentence}" for sentence in sentences), END_SIMULATED])


def _calibration() -> str:
    parts = []
    rounds = {"calibration": "first", "calibration-2": "second", "calibration-3": "third"}
    for folder, name in rounds.items():
        path = RESULTS / folder / "calibration.csv"
        if path.exists():
            errors = pd.read_csv(path)["error"].abs()
            parts.append(
                f"{name} round, {len(errors)} runs: median error {errors.median():.1%}, 95th percentile "
                f"{errors.quantile(0.95):.1%}, worst {errors.max():.1%}"
            )
    return (
        "**How far to trust it** (`results/reference/calibration`, `-2`, `-3`): durations of held-out "
        "briefs and datasets, predicted and committed before they were run on the model (goals: 5 % and "
        f"10 %); {'; '.join(parts)}."
    )


def _speed() -> str:
    table = pd.read_csv(RESULTS / "simulation_benchmark.csv")
    parts = [f"{row.what}: {row.value:.3g} {row.unit} (n = {row.n})" for row in table.itertuples()]
    return f"**How fast** (`python experiments/simulation_benchmark.py`): {'; '.join(parts)}."


def _phases() -> list[str]:
    folder = RESULTS / "phases"
    phases, targets = pd.read_csv(folder / "phases.csv"), pd.read_csv(folder / "targets.csv")
    told = []
    for profile, rows in phases.groupby("profile", sort=False):
        own = targets[targets["profile"] == profile]
        medians = ", ".join(f"{row.level} {row.fresh_median_s:.1f} s" for row in rows.itertuples())
        missed = own[~own["met"]]
        names = ", ".join(f"{row.metric} of {row.level}" for row in missed.itertuples())
        told.append(
            f"**The study's phases, simulated: {profile}** (`results/reference/phases`), at equal work: "
            f"fresh analyses take {medians} (medians); {int(own['met'].sum())} of {len(own)} targets are met"
            + (f"; missed: {names}." if len(missed) else ".")
        )
    return told


def _capacity() -> list[str]:
    answers = json.loads((RESULTS / "capacity" / "answers.json").read_text(encoding="utf-8"))
    told = []
    for claim in answers["advantage"]:
        if claim["times"] is not None:
            interval = "" if claim["low"] is None else f" [{claim['low']:.2f}, {claim['high']:.2f}]"
            told.append(
                f'**"{claim["target"]:g} times the analyses per hour", {claim["profile"]}**, '
                f"{claim['measure']}: {claim['times']:.2f}{interval} times (n = {claim['n']}), "
                f"{claim['verdict']}."
            )
    for knee in answers["knees"]:
        if knee["met_per_h"] is not None:
            told.append(
                f"**Capacity, {knee['profile']}**, level {knee['level']}: {knee['met_per_h']:,.0f} analyses "
                f"an hour, or {knee['users']:,.0f} users who think {knee['think_time_s']:g} s between two, "
                "keep the service level of `experiments/capacity.yaml`."
            )
    return told


def tools() -> str:
    """The README's block on tools, cache and executor."""
    sentences = (_large_data(), _cache_faults(), _cache_speed(), _executor(), _repeats())
    return "\n".join([BEGIN_TOOLS, *(f"- {sentence}" for sentence in sentences), END_TOOLS])


def _large_data() -> str:
    table = pd.read_csv(RESULTS / "large_data_benchmark.csv")
    ours = table[(table["method"] == "swarmlab") & table["ratio"].notna()]
    parts = [
        f"{row.rows // 1_000_000} M rows of {row.kind} {row.seconds:.2f} s, {row.ratio:.2f} times the best "
        f"(CPU {row.cpu_ratio:.2f}), {row.peak_mib:,.0f} MiB (n = {row.n})"
        for row in ours.itertuples()
    ]
    return (
        "**Large data** (`python experiments/large_data_benchmark.py`; goals: 1.2 times the best of pandas, "
        f"Polars and DuckDB, under 1 GiB; made on a busy machine): {'; '.join(parts)}."
    )


def _cache_faults() -> str:
    table = pd.read_csv(RESULTS / "cache_faults.csv").fillna("")
    killed = table[table["test"].str.contains("killed writer")]["counted"].iloc[-1]
    at_calls = table[table["test"].str.contains("killed at any call")]["counted"]
    n_at_calls = sum(int(text.partition("kills: ")[2].partition(";")[0]) for text in at_calls)
    passed = (table["verdict"] == "passed").sum()
    return (
        f"**Cache, faults** (`python experiments/cache_faults.py`): {passed} of {len(table)} passed; "
        f"SIGKILLs in two writing processes, {killed}; {n_at_calls} further kills at every call of one put: "
        "whole or absent; six processes of sixteen threads on one key compute once."
    )


def _cache_speed() -> str:
    table = pd.read_csv(RESULTS / "cache_benchmark.csv")
    fastest = table[table["is_fastest_disk_cache"] & (table["processes"] == 1)]
    parts = [
        f"{row.operation} of {row.size} {row.disk_wall:.2f} (with the memory tier {row.memory_wall:.2f})"
        for row in fastest.itertuples()
    ]
    return (
        "**Cache, speed** (`python experiments/cache_benchmark.py`): time over that of the fastest disk "
        "cache, which has no checksum; wall clock, one process "
        f"(n = {fastest['n'].min()}; goal 1): {'; '.join(parts)}."
    )


def _executor() -> str:
    table = pd.read_csv(RESULTS / "executor_benchmark.csv")
    ratios = table[table["unit"] == "ratio"]
    parts = [f"{row.what} {row.value:.2f} [{row.low:.2f}, {row.high:.2f}]" for row in ratios.itertuples()]
    return f"**Executor, cost a call** (`python experiments/executor_benchmark.py`): {'; '.join(parts)}."


def _repeats() -> str:
    table = pd.read_csv(RESULTS / "repeated_analyses.csv")
    repeats = table[table["is_repeat"]]
    spent, saved = table["seconds"].sum(), table["saved_s"].sum()
    changes = pd.read_csv(RESULTS / "repeated_analyses_changes.csv")
    changes = changes[~changes["changed"].str.startswith("nothing")]
    return (
        f"**Repeated analyses** (`python experiments/repeated_analyses.py`, measured): {len(table)} "
        f"requests, {len(repeats) / len(table):.0%} of them asked before: {table['analysis_hit'].mean():.0%} "
        f"served from the cache, {repeats['is_same_answer'].sum()} of {len(repeats)} repeats with the first "
        f"one's answer, {spent:.0f} s spent, {saved:.0f} s and {table['saved_tokens'].sum():,} tokens saved; "
        f"after each of {len(changes)} changes of data, a tool's code or an argument, "
        f"{changes['analysis_hits'].sum()} analyses were served."
    )


def main() -> None:
    """Print the blocks, or write them into the README."""
    blocks = {
        (BEGIN, END): results(),
        (BEGIN_SIMULATED, END_SIMULATED): simulated(),
        (BEGIN_TOOLS, END_TOOLS): tools(),
    }
    if "--write" not in sys.argv[1:]:
        print("\n".join(blocks.values()))
        return
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    for (begin, end), block in blocks.items():
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + block + after
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
