"""Reading one trace from disk: a run folder, a spans.jsonl, or a trace in JSON."""

from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from swarmlab.errors import StoreError
from swarmlab.records.render import duration_text
from swarmlab.records.store import read_record
from swarmlab.trace.io import read_spans
from swarmlab.trace.spans import CATEGORIES
from swarmlab.trace.summary import bottlenecks


def trace_bottlenecks(path: Path) -> dict[str, Any]:
    """Say where the time of one trace went; see `swarmlab.trace.summary.bottlenecks` for the keys.

    With `timing`: "measured", "simulated: PROFILE", or None for a trace that no record beside it explains.

    Raises
    ------
    TraceError
        There is no trace at `path`, or it is malformed; names the span.
    """
    return {**bottlenecks(read_spans(path)), "timing": trace_timing(path)}


def trace_timing(path: Path) -> str | None:
    """How the times of a run's trace came about, from the record in its folder; None where there is none."""
    try:
        record = read_record(path if path.is_dir() else path.parent)
    except StoreError:
        # A file of that name which is no record says nothing about the trace beside it.
        return None
    return None if record is None else record.timing


def bottlenecks_table(found: dict[str, Any]) -> Table:
    """One trace's categories for the terminal: exclusive, critical-path and busy seconds side by side."""
    table = Table(
        title=f"{found['wall_s']:.9g} s{_simulated(found)}, {found['n_calls']} calls, "
        f"max {found['max_concurrency']} at once",
        caption=f"critical path: {_shortened(found['critical_path'])}",
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


def _simulated(found: dict[str, Any]) -> str:
    told = found.get("timing")
    return "" if told in (None, "measured") else f" ({told})"


def _shortened(path: list[str], most: int = 12) -> str:
    return " → ".join([*path[:most], *([f"{len(path) - most} more"] if len(path) > most else [])])


def group_table(found: dict[str, Any], title: str, key: str, most: int = 15) -> Table:
    """One trace's agents or tools for the terminal, most exclusive time first.

    Parameters
    ----------
    key
        `by_agent` or `by_tool`.
    most
        Rows at most; what is left out is counted in the caption.
    """
    rows = sorted(found[key].items(), key=lambda item: -item[1]["exclusive_s"])
    left = len(rows) - most
    caption = f"and {left} more" if left > 0 else None
    table = Table(title=f"{title}{_simulated(found)}", box=box.SIMPLE_HEAD, caption=caption)
    table.add_column("Name")
    for heading in ("Exclusive s", "Critical path s", "Busy s", "Calls", "Mean s"):
        table.add_column(heading, justify="right")
    for name, row in rows[:most]:
        times = [duration_text(row[column]) for column in ("exclusive_s", "critical_path_s", "busy_s")]
        mean = row["mean_duration_s"]
        table.add_row(name, *times, str(row["n_calls"]), "-" if mean is None else duration_text(mean))
    return table


def waste_table(found: dict[str, Any]) -> Table:
    """The five suspects of one trace for the terminal; they overlap, so they are not added up."""
    title = f"Suspects: what each could have cost at most{_simulated(found)}"
    table = Table(title=title, box=box.SIMPLE_HEAD)
    for heading in ("Suspect", "Seconds", "Tokens", "Calls", "Meaning"):
        table.add_column(heading, justify="right" if heading in ("Seconds", "Tokens", "Calls") else "left")
    for name, row in found["waste"].items():
        seconds = "not measured" if row["seconds"] is None else duration_text(row["seconds"])
        tokens = "-" if row["tokens"] is None else f"{row['tokens']:,}"
        table.add_row(name.replace("_", " "), seconds, tokens, str(row["n"]), row["meaning"])
    return table


def bottlenecks_tables(found: dict[str, Any]) -> list[Table]:
    """All tables of one trace: by category, agent and tool, where there are any, and the suspects."""
    tables = [bottlenecks_table(found)]
    tables += [group_table(found, "By agent", "by_agent")] if found["by_agent"] else []
    tables += [group_table(found, "By tool", "by_tool")] if found["by_tool"] else []
    return [*tables, waste_table(found)]
