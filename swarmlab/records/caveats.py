"""The sentences without which the comparison would mislead: each says what one of its marks means."""

from typing import Any

import pandas as pd

from swarmlab.records.comparison import EXPLORATORY_BELOW
from swarmlab.records.timing import SIMULATED_ANSWERS, profile_name

__all__ = ["caveats"]


def caveats(comparison: pd.DataFrame) -> list[str]:
    """Return the sentences without which the table would mislead, those that apply."""
    ours = comparison[comparison["kind"] != "published"]
    found: list[str | None] = [_ratio_sentence(ours), _exploratory_sentence(ours), *_failure_sentences(ours)]
    found += [*_alert_sentences(ours), *_aa_sentences(ours)]
    found += [_reason_sentence(ours), _roster_sentence(ours), _lossy_sentence(ours), _token_sentence(ours)]
    if (ours["kind"] == "simulated").any():
        simulated = ours[ours["kind"] == "simulated"]
        names = {profile_name(row.model, row.profile) for row in _rows(simulated)} - {None}
        profiles = ", ".join(sorted(map(str, names))) or "not named"
        found.append(
            f"Simulated durations are on a virtual clock and were not waited for; profile: {profiles}."
        )
        found.append(SIMULATED_ANSWERS)
    if (ours["tool_choice"] == "model").any():
        found.append(
            "Where the note says so, the model chose the tools, so the work may differ from the plan's."
        )
    if (comparison["kind"] == "published").any():
        found.append(
            "Published rows are the source study's own figures: other data, model and work, one run each, "
            "estimated tokens, unequal rosters, answers not checked. They are in no ratio here."
        )
    return [sentence for sentence in found if sentence]


def _ratio_sentence(ours: pd.DataFrame) -> str | None:
    if not (ours["n_pairs"].notna() & (ours["level"] != ours["baseline"])).any():
        return None
    baseline = ours["baseline"].dropna().iloc[0]
    return (
        f"Times faster: duration of {baseline} over the level's, geometric mean over pairs of runs of the "
        "same work in the same block and cache state, with Student's t interval on the logarithms."
    )


def _exploratory_sentence(ours: pd.DataFrame) -> str | None:
    if not ours["n"].between(1, EXPLORATORY_BELOW - 1).any():
        return None
    return f"Rows with under {EXPLORATORY_BELOW} runs are exploratory; a single pair has no interval."


def _failure_sentences(ours: pd.DataFrame) -> list[str]:
    failed = ours[ours["succeeded"] < ours["attempted"]]
    return [
        f"{row.level} ({_cache(row)}): {row.attempted - row.succeeded} of {row.attempted} failed; "
        f"{'its figures are of the others' if row.succeeded else 'it has no figures'}."
        for row in _rows(failed)
    ]


def _alert_sentences(ours: pd.DataFrame) -> list[str]:
    """Return one sentence a rule, with the rows it marks and in how many of their runs it fired."""
    by_rule: dict[str, list[str]] = {}
    for row in _rows(ours[ours["alerts"].fillna("").ne("")]):
        for alert in str(row.alerts).split("; "):
            rule, _, count = alert.partition(" (")
            by_rule.setdefault(rule, []).append(f"{row.level} ({_cache(row)}, {count.rstrip(')')})")
    return [f"! {rule}: {', '.join(rows)}." for rule, rows in by_rule.items()]


def _aa_sentences(ours: pd.DataFrame) -> list[str]:
    """Say of each A/A pair whether two names for one level came out alike, as they must."""
    sentences = []
    for row in _rows(ours[ours["aa_of"].notna()]):
        measured = f"A/A check: {row.level} ({_cache(row)}) is {row.aa_of} under another name"
        if pd.isna(row.aa_covers_1):
            sentences.append(f"{measured}; too few pairs for an interval.")
            continue
        interval = f"{row.aa_ratio:.2f} [{row.aa_ratio_low:.2f}, {row.aa_ratio_high:.2f}]"
        covers = "covers 1, as it must" if row.aa_covers_1 else "does not cover 1: trust nothing smaller"
        sentences.append(f"{measured}; its ratio {interval} {covers}.")
    return sentences


def _reason_sentence(ours: pd.DataFrame) -> str | None:
    without = ours[ours["ratio"].isna() & (ours["succeeded"] > 0) & ~(ours["duration_max_s"] == 0)]
    if without.empty:
        return None
    names = ", ".join(f"{row.level} ({_cache(row)})" for row in _rows(without))
    return (
        f"No speed-up for {names}: no run of {without['baseline'].iloc[0]} to pair it with did the same work."
    )


def _roster_sentence(ours: pd.DataFrame) -> str | None:
    if not ours["roster_differs"].fillna(False).any():
        return None
    return "† The roster differs from the baseline's: part of the speed-up is fewer agents."


def _lossy_sentence(ours: pd.DataFrame) -> str | None:
    lossy = ours[ours["lossy_switches"].fillna("").ne("")].drop_duplicates("level")
    if lossy.empty:
        return None
    switches = "; ".join(f"{row.level}: {row.lossy_switches}" for row in _rows(lossy))
    return f"Switches that may change the answer ({switches}): read their speed beside decisions and facts."


def _token_sentence(ours: pd.DataFrame) -> str | None:
    if not (ours["tokens_source"] == "estimate").any():
        return None
    return "Some token counts are estimates, not the provider's."


def _rows(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples(index=False))


def _cache(row: Any) -> str:
    return f"{row.cache_state} cache" if pd.notna(row.cache_state) else "cache not known"
