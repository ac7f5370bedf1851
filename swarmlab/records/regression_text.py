"""The regression guard's changes as a table for the terminal."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from swarmlab.records.contrast_text import interval_text
from swarmlab.records.regression import Change, ScoreChange

__all__ = ["changes_table"]

_HEADINGS = (
    "Level\ncache",
    "Time",
    "Times as long\n[95 %]",
    "Runs\nnew, ref.",
    "Failed\nnew, ref.",
    "Tokens\nnew / ref.",
    "Decisions\nref. → new",
    "Regression",
)


def changes_table(changes: Sequence[Change]) -> Table:
    """Return changes in at most 120 columns; what is a regression, and what cannot be told, is said below."""
    said = [
        f"{_name(row, changes)} ({row.cache_state} cache): {_said(row)}." for row in changes if _said(row)
    ]
    caption = Text("\n".join(said), justify="left")
    kinds = list(dict.fromkeys(row.timing for row in changes))
    kind = f" ({'; '.join(kinds)})" if kinds != ["measured"] else ""
    table = Table(title=f"New runs against the reference{kind}", caption=caption, box=box.SIMPLE_HEAD)
    for position, heading in enumerate(_HEADINGS):
        # Only a name may break: a broken figure cannot be read.
        justify = "right" if 2 <= position < 7 else "left"
        table.add_column(heading, justify=justify, no_wrap=position > 0, overflow="fold")  # type: ignore[arg-type]
    for row in changes:
        tokens = row.tokens_new / row.tokens_reference if row.tokens_new and row.tokens_reference else None
        cells = (
            f"{_name(row, changes)}\n{row.cache_state or '-'}",
            row.verdict if row.timing == "measured" else f"{row.verdict}\n(simulated)",
            interval_text(row.ratio, row.low, row.high),
            f"{row.n_new}, {row.n_reference}",
            f"{row.failed_new}, {row.failed_reference}",
            "-" if tokens is None else f"{tokens:.2f}",
            _decisions(row),
            "REGRESSION" if row.is_regression else "",
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _name(row: Change, changes: Sequence[Change]) -> str:
    """Name a level, with its experiment where there are several."""
    several = len({other.experiment for other in changes}) > 1
    return f"{row.experiment}: {row.level}" if several else row.level


def _decisions(row: Change) -> str:
    by_metric: Mapping[str, ScoreChange] = {score.metric: score for score in row.scores}
    score = by_metric.get("decision_accuracy")
    return "-" if score is None else f"{score.reference:.2f} → {score.new:.2f}"


def _said(row: Change) -> str:
    worse = [
        f"{score.metric} {score.reference:.3f} → {score.new:.3f}" for score in row.scores if score.is_worse
    ]
    parts = (
        "slower" if row.verdict == "slower" else None,
        f"worse: {', '.join(worse)}" if worse else None,
        "the tool facts are not what they were" if row.facts == "differ" else None,
        "a larger share of its runs failed" if row.fails_more else None,
        f"time: {row.why}" if row.why else None,
    )
    return "; ".join(part for part in parts if part)
