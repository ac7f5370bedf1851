"""Reading one trace from disk: a run folder, a spans.jsonl, or a trace in JSON."""

from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from swarmlab.records.render import duration_text
from swarmlab.trace.io import read_spans
from swarmlab.trace.spans import CATEGORIES
from swarmlab.trace.summary import bottlenecks


def trace_bottlenecks(path: Path) -> dict[str, Any]:
    """Say where the time of one trace went; see `swarmlab.trace.summary.bottlenecks` for the keys.

    Raises
    ------
    TraceError
        There is no trace at `path`, or it is malformed; names the span.
    """
    return bottlenecks(read_spans(path))


def bottlenecks_table(found: dict[str, Any]) -> Table:
    """One trace's categories for the terminal: exclusive, critical-path and busy seconds side by side."""
    table = Table(
        title=f"{found['wall_s']:.9g} s, {found['n_calls']} calls, max {found['max_concurrency']} at once",
        caption=f"critical path: {' → '.join(found['critical_path'])}",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("Category")
    for heading in ("Exclusive s", "Share", "Critical path s", "Busy s"):
        table.add_column(heading, justify="right")
    for name in CATEGORIES:
        figures = [found[column].get(name, 0.0) for column in ("exclusive_s", "critical_path_s", "busy_s")]
        if any(figures):
            share = figures[0] / found["wall_s"] if found["wall_s"] else 0.0
            cells = [duration_text(figure) for figure in figures]
            table.add_row(name, cells[0], f"{share:.1%}", *cells[1:])
    return table
