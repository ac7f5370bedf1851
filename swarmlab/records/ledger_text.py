"""The ledger for people and programs: Markdown, tables for the terminal, and JSON."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from rich.table import Table

from swarmlab.records.render import frame_table
from swarmlab.records.timing import SIMULATED_ANSWERS, profile_name, timing

__all__ = [
    "display_ledger",
    "ledger_dict",
    "ledger_groups",
    "ledger_markdown",
    "ledger_sentences",
    "render_ledger",
]

_HEADINGS = {
    "duration_s": "Seconds",
    "total_tokens": "Tokens",
    "fact_coverage": "Facts right",
    "groundedness": "Grounded",
    "decision_accuracy": "Decisions right",
}
_DECIMALS = {"s": 2, "tokens": 0, "share": 3}
_GROUP = ["clock", "model", "profile", "cache_state"]
_KINDS = ("base", "factor", "total", "target", "interaction")
_MISSING = "-"


def ledger_groups(ledger: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each part of a ledger that is a sum of its own, with a name that tells it from the others."""
    groups: list[Any] = list(ledger.groupby(_GROUP, dropna=False, sort=True))
    for key, group in groups:
        clock, model, profile, cache = ("" if pd.isna(part) else str(part) for part in key)
        told = timing(clock, model, profile) if clock == "virtual" else f"{clock} clock"
        parts = [f"{cache} cache", told, model if clock != "virtual" else ""]
        yield ", ".join(part for part in parts if part), group


def display_ledger(group: pd.DataFrame, *, interactions: bool = False, joint: str = " ") -> pd.DataFrame:
    """Return one group of a ledger as text: a row a term, largest change of seconds first.

    Parameters
    ----------
    group
        Of `ledger_groups`.
    interactions
        The pairs of factors instead of base, factors, total and target; no row when none has a figure.
    joint
        What stands between a figure and its interval.
    """
    shown = group[(group["kind"] == "interaction") == interactions]
    if interactions and shown["estimate"].isna().all():
        shown = shown.iloc[:0]
    cells = {metric: _cells(rows, joint) for metric, rows in shown.groupby("metric", sort=False)}
    frame = pd.DataFrame({_HEADINGS[str(metric)]: column for metric, column in cells.items()})
    return frame.reindex(_by_size(shown)).rename_axis("Factor").reset_index().astype("str")


def ledger_sentences(group: pd.DataFrame) -> list[str]:
    """Return what must be known to read one group of a ledger."""
    first = group.iloc[0]
    ends = group.drop_duplicates("kind").set_index("kind")["term"]
    seconds = group[group["metric"] == "duration_s"].iloc[0]
    found = [
        f"Credits are changes from {ends['base']} to {ends['target']} and add up to the total: negative "
        "seconds and tokens are saved, and of quality (shares from 0 to 1) more is better. In brackets: 95 % "
        "intervals.",
        f"{first['succeeded']} of {first['attempted']} runs succeeded; the seconds are of "
        f"{seconds['n_runs']} runs in {seconds['n_blocks']} blocks"
        + (f" ({seconds['method']})." if pd.notna(seconds["method"]) else "."),
    ]
    found += _note_sentences(group)
    if group.loc[group["kind"] == "interaction", "estimate"].notna().any():
        found.append(
            "An interaction is what two factors do together beyond what each does alone; half of it is in "
            "the credit of each, so it is in no sum."
        )
    factors = group.loc[group["kind"] == "factor", "term"].unique()
    if len(factors) > 1:
        found.append(f"In a level's name the digits are, from the left, {', '.join(factors)}; 1 is on.")
    cached = [name for name in factors if "cache" in name.split("+")]
    if cached and first["cache_state"] != "warm":
        found.append(
            f"These runs began with an empty cache, so {cached[0]} has no credit for what it stores."
        )
    if first["cache_state"] == "mixed":
        found.append("Mixed: some of the cold runs asked the same thing twice and had cache hits.")
    if first["clock"] == "virtual":
        profile = profile_name(first["model"], first["profile"]) or "not named"
        found.append(f"Simulated durations, on a virtual clock; profile: {profile}.")
        found.append(SIMULATED_ANSWERS)
    return found


def ledger_markdown(ledger: pd.DataFrame) -> str:
    """Return a ledger as Markdown: for each group its credits, its sentences and its interactions."""
    lines = ["# Ablation ledger"]
    for name, group in ledger_groups(ledger):
        lines += ["", f"## {name}", "", *_markdown(display_ledger(group)), ""]
        lines += [f"- {sentence}" for sentence in ledger_sentences(group)]
        pairs = display_ledger(group, interactions=True)
        if len(pairs):
            lines += ["", "### Interactions", "", *_markdown(pairs)]
    return "\n".join([*lines, ""])


def render_ledger(ledger: pd.DataFrame) -> list[Table]:
    """Return a ledger for the terminal: for each group its credits, then its interactions."""
    tables = []
    for name, group in ledger_groups(ledger):
        table = frame_table(display_ledger(group, joint="\n"), title=f"Ablation ledger: {name}")
        table.caption = "\n".join(ledger_sentences(group))
        table.caption_justify = "left"
        tables.append(table)
        pairs = display_ledger(group, interactions=True, joint="\n")
        if len(pairs):
            tables.append(frame_table(pairs, title=f"Interactions: {name}"))
    return tables


def ledger_dict(ledger: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a ledger for JSON, a mapping a group; what is missing is None.

    Returns
    -------
    list of dict
        clock, model, profile, cache_state, attempted, succeeded, and `metrics`: by metric its unit, n_runs,
        n_blocks, n_units, method, `base`, `target`, `total`, and by name `credits` and `interactions`; a
        figure has estimate, low, high and note.
    """
    found = []
    for _, group in ledger_groups(ledger):
        first = {name: _plain(value) for name, value in group.iloc[0].items()}
        metrics = {str(metric): _metric(rows) for metric, rows in group.groupby("metric", sort=False)}
        head = {name: first[name] for name in (*_GROUP, "attempted", "succeeded")}
        found.append({**head, "metrics": metrics})
    return found


def _metric(rows: pd.DataFrame) -> dict[str, Any]:
    plain = [{str(name): _plain(value) for name, value in row.items()} for row in rows.to_dict("records")]
    by_kind: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
    for row in plain:
        by_kind[row["kind"]][row["term"]] = {name: row[name] for name in ("estimate", "low", "high", "note")}
    ends = {
        kind: {"level" if kind != "total" else "change": term, **figure}
        for kind in ("base", "target", "total")
        for term, figure in by_kind[kind].items()
    }
    shared = {name: plain[0][name] for name in ("unit", "n_runs", "n_blocks", "n_units", "method")}
    return {**shared, **ends, "credits": by_kind["factor"], "interactions": by_kind["interaction"]}


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def _cells(rows: pd.DataFrame, joint: str) -> "pd.Series[str]":
    cells = {}
    shown: list[Any] = list(rows.itertuples(index=False))
    for row in shown:
        is_level = row.kind in ("base", "target")
        estimate, low, high = (
            _figure(value, row.unit, is_level=is_level) for value in (row.estimate, row.low, row.high)
        )
        cells[str(row.term)] = estimate if low == _MISSING else f"{estimate}{joint}[{low}, {high}]"
    return pd.Series(cells, dtype="str")


def _figure(value: float, unit: str, *, is_level: bool) -> str:
    if pd.isna(value):
        return _MISSING
    # Zero has no sign, whichever way rounding left it.
    rounded = round(value, _DECIMALS[unit]) or 0.0
    return f"{rounded:{'' if is_level or not rounded else '+'},.{_DECIMALS[unit]}f}"


def _by_size(rows: pd.DataFrame) -> list[str]:
    """Return terms as they are read: base, factors by seconds saved, total, target; or pairs by size."""
    seconds = rows[rows["metric"] == "duration_s"]
    if (seconds["kind"] == "interaction").all():
        return list(seconds.sort_values("estimate", key=abs, ascending=False, kind="stable")["term"])
    by_kind = {
        kind: seconds[seconds["kind"] == kind].sort_values("estimate", kind="stable")["term"]
        for kind in ("base", "factor", "total", "target")
    }
    return [str(term) for terms in by_kind.values() for term in terms]


def _note_sentences(group: pd.DataFrame) -> list[str]:
    """Return each note once, with the metrics that it is about."""
    notes: dict[str, list[str]] = {}
    for metric, rows in group.groupby("metric", sort=False):
        for text in dict.fromkeys(part for note in rows["note"] for part in str(note).split("; ") if part):
            alike = rows["note"].str.contains(text, regex=False).all()
            about = _HEADINGS[str(metric)].lower() + ("" if alike else " of some rows")
            notes.setdefault(text, []).append(about)
    return [f"{note[0].upper()}{note[1:]} ({', '.join(metrics)})." for note, metrics in notes.items()]


def _markdown(frame: pd.DataFrame) -> list[str]:
    """Return a frame of figures and switch names as Markdown; neither needs escaping."""
    rows = [tuple(frame.columns), ("---",) * len(frame.columns), *frame.itertuples(index=False)]
    return [f"| {' | '.join(map(str, row))} |" for row in rows]
