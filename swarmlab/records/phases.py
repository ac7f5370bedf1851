"""What the study's phases come to on simulated profiles: a row a phase, a row a target, a page, a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from rich.table import Table

from swarmlab.records.atomic import write_text
from swarmlab.records.palette import clean_axes, new_figure, plain
from swarmlab.records.plots import write_figure
from swarmlab.records.published import PublishedTarget
from swarmlab.records.record import Record
from swarmlab.records.render import frame_table

__all__ = [
    "PhaseRun",
    "PhaseTables",
    "phase_tables",
    "phases_figure",
    "phases_markdown",
    "phases_terminal",
    "write_phases",
]

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")


@dataclass(frozen=True)
class PhaseRun:
    """One simulated analysis."""

    profile: str
    level: str
    study_phase: int
    kind: str
    """`fresh`, or `mix`: one of a sequence with repeats and a cache that they share."""
    is_repeat: bool
    record: Record


@dataclass(frozen=True)
class PhaseTables:
    """The phases, and the targets that they were set."""

    phases: pd.DataFrame
    targets: pd.DataFrame


def phase_tables(runs: Sequence[PhaseRun], targets: Sequence[PublishedTarget]) -> PhaseTables:
    """Sum up the runs of each profile and phase, and hold them against the targets.

    Returns
    -------
    PhaseTables
        `phases`: durations in simulated seconds (fresh: median and 95th percentile, n given; mix: mean and
        median), reduction against the same profile's baseline (median of the ratios of equal work), tokens a
        second (median of fresh runs that called the model), hit rate (hits over look-ups, of repeated
        analyses), error rate over all, US dollars an analysis (mean).
        `targets`: a row a profile, phase and target with its value and `met`.
    """
    frame = pd.DataFrame([_row(run) for run in runs])
    rows = []
    for profile, of_profile in frame.groupby("profile", sort=False):
        base = of_profile[(of_profile["study_phase"] == 0) & (of_profile["kind"] == "fresh")]
        by_work = base.set_index("work_id")["duration_s"]
        for level, group in of_profile.groupby("level", sort=False):
            rows.append({"profile": profile, "level": level, **_summary(group, by_work)})
    phases = pd.DataFrame(rows)
    met = [row for phase in rows for row in _targets(phase, targets)]
    return PhaseTables(phases, pd.DataFrame(met))


def _row(run: PhaseRun) -> dict[str, Any]:
    record = run.record
    return {
        "profile": run.profile,
        "level": run.level,
        "study_phase": run.study_phase,
        "kind": run.kind,
        "is_repeat": run.is_repeat,
        "ok": record.status == "ok",
        "work_id": record.work_id,
        "duration_s": record.duration_s if record.status == "ok" else float("nan"),
        "tokens_per_s": record.tokens_per_s,
        "total_tokens": record.total_tokens,
        "hits": record.cache_hits,
        "misses": record.cache_misses,
        "cost_usd": record.cost_usd,
        "fact_coverage": record.fact_coverage,
    }


def _summary(group: pd.DataFrame, base: pd.Series) -> dict[str, Any]:
    fresh, mix = group[group["kind"] == "fresh"], group[group["kind"] == "mix"]
    ratios = fresh.set_index("work_id")["duration_s"] / base
    again = mix[mix["is_repeat"]]
    looked_up = again["hits"].sum() + again["misses"].sum()
    return {
        "study_phase": int(group["study_phase"].iloc[0]),
        "clock": "virtual",
        "n_fresh": len(fresh),
        "fresh_median_s": fresh["duration_s"].median(),
        "fresh_p95_s": fresh["duration_s"].quantile(0.95),
        "reduction": 1 - ratios.median(),
        "total_tokens": fresh["total_tokens"].median(),
        "tokens_per_s": fresh["tokens_per_s"].median(),
        "n_mix": len(mix),
        "n_repeats": len(again),
        "mix_mean_s": mix["duration_s"].mean(),
        "mix_median_s": mix["duration_s"].median(),
        "hit_rate": again["hits"].sum() / looked_up if looked_up else float("nan"),
        "error_rate": 1 - group["ok"].mean(),
        "fact_coverage": group["fact_coverage"].min(),
        "cost_usd": mix["cost_usd"].mean(),
    }


# Which column answers which of the study's metrics.
_ANSWERS = {
    "duration_s": "fresh_median_s",
    "duration_reduction": "reduction",
    "tokens_per_s": "tokens_per_s",
    "cache_hit_rate": "hit_rate",
    "error_rate": "error_rate",
}


def _targets(phase: dict[str, Any], targets: Sequence[PublishedTarget]) -> list[dict[str, Any]]:
    found = []
    for target in targets:
        of_this = target.phase == phase["study_phase"] or (target.phase is None and phase["study_phase"] > 0)
        if target.is_alert or target.metric not in _ANSWERS or not of_this:
            continue
        value = phase[_ANSWERS[target.metric]]
        below = target.comparison == "below"
        found.append(
            {
                "profile": phase["profile"],
                "level": phase["level"],
                "target": target.name,
                "metric": target.metric,
                "comparison": target.comparison,
                "goal": target.value,
                "value": value,
                "clock": "virtual",
                "met": bool(value < target.value if below else value > target.value),
            }
        )
    return found


def phases_markdown(tables: PhaseTables, mix: str) -> str:
    """The page: what was simulated, the phases, and every target as met or missed.

    Parameters
    ----------
    mix
        The mix of repeated analyses in words.
    """
    lines = [
        "# The study's phases, simulated",
        "",
        "Every figure is of simulated runs on a virtual clock, with the profile named; each phase does the "
        "same work (twelve tool requests, every required fact). Fresh analyses were not asked before; the "
        f"mix is {mix}, one after the other on one cache. The hit rate is that of the repeated analyses. The "
        "study's phase 3 pools database connections and bounds memory: this swarm opens no database, so here "
        "phase 3 is the level `full`.",
        "",
        "| Profile | Phase | Fresh, s: median (p95) | Reduction | Tokens | Tokens/s | Mix, s: mean (median) "
        "| Hit rate | Errors | USD an analysis |",
        "|" + " --- |" * 10,
    ]
    row: Any
    for row in tables.phases.itertuples():
        hit_rate = "-" if pd.isna(row.hit_rate) else f"{row.hit_rate:.0%}"
        lines.append(
            f"| simulated: {row.profile} | {row.level} | {row.fresh_median_s:.2f} ({row.fresh_p95_s:.2f}) "
            f"| {row.reduction:.1%} | {row.total_tokens:,.0f} | {row.tokens_per_s:,.0f} "
            f"| {row.mix_mean_s:.2f} ({row.mix_median_s:.3g}) | {hit_rate} | {row.error_rate:.1%} "
            f"| {row.cost_usd:.5f} |"
        )
    lines += ["", "| Profile | Phase | Target | Goal | Value | |", "|" + " --- |" * 6]
    for row in tables.targets.itertuples():
        sign = "<" if row.comparison == "below" else ">"
        value = "-" if pd.isna(row.value) else f"{row.value:.4g}"
        verdict = "met" if row.met else "**missed**"
        lines.append(
            f"| simulated: {row.profile} | {row.level} | {row.target} | {sign} {row.goal:g} | {value} "
            f"| {verdict} |"
        )
    return "\n".join(lines) + "\n"


def phases_terminal(tables: PhaseTables) -> tuple[Table, Table]:
    """The phases and the targets for `rich`; every figure is simulated."""
    phases = pd.DataFrame(
        {
            "Profile": ["simulated: " + name for name in tables.phases["profile"]],
            "Phase": tables.phases["level"],
            "Fresh, s": [f"{value:.2f}" for value in tables.phases["fresh_median_s"]],
            "Reduction": [f"{value:.1%}" for value in tables.phases["reduction"]],
            "Tokens/s": [f"{value:,.0f}" for value in tables.phases["tokens_per_s"]],
            "Mix, mean s": [f"{value:.2f}" for value in tables.phases["mix_mean_s"]],
            "Hit rate": ["-" if pd.isna(value) else f"{value:.0%}" for value in tables.phases["hit_rate"]],
            "Errors": [f"{value:.1%}" for value in tables.phases["error_rate"]],
        }
    )
    targets = pd.DataFrame(
        {
            "Profile": ["simulated: " + name for name in tables.targets["profile"]],
            "Phase": tables.targets["level"],
            "Target": tables.targets["metric"],
            "Goal": [
                ("< " if comparison == "below" else "> ") + f"{goal:g}"
                for comparison, goal in zip(tables.targets["comparison"], tables.targets["goal"], strict=True)
            ],
            "Value": ["-" if pd.isna(value) else f"{value:.4g}" for value in tables.targets["value"]],
            "": ["met" if met else "missed" for met in tables.targets["met"]],
        }
    )
    return (
        frame_table(phases, title="Phases (simulated)"),
        frame_table(targets, title="The study's targets (simulated)"),
    )


def phases_figure(tables: PhaseTables) -> Figure:
    """Bars of the fresh median by phase, one panel a profile, with each phase's target as a mark."""
    profiles = list(dict.fromkeys(tables.phases["profile"]))
    figure = new_figure(110 + 230 * len(profiles))
    figure.suptitle("Simulated: duration of a fresh analysis by phase", fontsize=13, x=0.01, ha="left")
    panels = figure.subplots(len(profiles), 1, squeeze=False)[:, 0]
    for colour, profile, axes in zip(_COLOURS * len(profiles), profiles, panels, strict=False):
        rows = tables.phases[tables.phases["profile"] == profile]
        places = range(len(rows))
        axes.barh(places, rows["fresh_median_s"], height=0.6, color=colour, label="median, simulated")
        for place, (_, row) in zip(places, rows.iterrows(), strict=True):
            axes.text(
                row["fresh_median_s"], place, f"  {row['fresh_median_s']:.2f} s", va="center", fontsize=9
            )
            goal = _goal(tables.targets, profile, row["level"])
            if goal is not None:
                axes.plot([goal, goal], [place - 0.4, place + 0.4], color="black", linewidth=2)
                axes.text(goal, place - 0.42, f"target {goal:g} s", fontsize=8, ha="center", va="bottom")
        axes.set_yticks(list(places), [plain(level) for level in rows["level"]])
        axes.set_ylim(len(rows) - 0.4, -0.75)
        axes.margins(x=0.12)
        axes.set_title(plain(f"simulated: {profile}"), fontsize=10, loc="left")
        axes.set_xlabel("simulated seconds")
        clean_axes(axes)
    return figure


def _goal(targets: pd.DataFrame, profile: str, level: str) -> float | None:
    if targets.empty:
        return None
    own = targets[(targets["profile"] == profile) & (targets["level"] == level)]
    durations = own[own["metric"] == "duration_s"]["goal"]
    return None if durations.empty else float(durations.iloc[0])


def write_phases(folder: Path, tables: PhaseTables, mix: str) -> None:
    """Write `phases.csv`, `targets.csv`, `phases.md` and `figures/phases.*` into an experiment's folder.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    write_text(folder / "phases.csv", tables.phases.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "targets.csv", tables.targets.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "phases.md", phases_markdown(tables, mix))
    write_figure(folder / "figures", "phases", phases_figure(tables))
