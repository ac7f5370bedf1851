"""What `swarmlab cache` shows: tables and lines of what caches hold and what went from them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from rich import box
from rich.table import Table

from swarmlab.lab.caches import CacheEntries, CacheRemoval, CacheState
from swarmlab.records.render import duration_text
from swarmlab.tools.cache import Listed
from swarmlab.trace.clock import WallClock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_KEY_SHOWN = 12


def stats_table(states: Sequence[CacheState]) -> Table:
    """A row a cache and layer; "saves" is what one hit on each of its entries would save."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Cache", overflow="fold")
    table.add_column("Layer")
    for heading in ("Entries", "Size", "Hits", "Saves s", "Tokens", "Oldest", "Newest"):
        table.add_column(heading, justify="right")
    for state in states:
        layers = () if state.stats is None else state.stats.layers
        if not layers:
            table.add_row(state.place, "-" if state.problem is None else "not read", "0")
        for number, layer in enumerate(layers):
            table.add_row(
                "" if number else state.place,
                layer.layer,
                f"{layer.n:,}",
                size_text(layer.bytes),
                f"{layer.hits:,}",
                duration_text(layer.seconds),
                f"{layer.tokens:,}",
                age_text(layer.oldest_us),
                age_text(layer.newest_us),
            )
    return table


def state_lines(states: Sequence[CacheState]) -> list[str]:
    """A line for each cache from which something went, or which could not be read."""
    lines = []
    for state in states:
        told = [] if state.problem is None else [f"left as it is: {state.problem}"]
        if state.stats is not None:
            counts = {
                f"evicted ({size_text(state.stats.evicted_bytes)})": state.stats.evicted,
                "damaged and quarantined": state.stats.quarantined,
                "not written": state.stats.unwritten,
            }
            told += [f"{n:,} {what}" for what, n in counts.items() if n]
        if state.set_aside:
            told.append(f"damaged files set aside: {', '.join(state.set_aside)}")
        if told:
            lines.append(f"{state.place}: {'; '.join(told)}")
    return lines


def entries_table(found: CacheEntries, limit: int) -> Table:
    """A row an entry, at most `limit` of them unless that is 0."""
    shown = found.entries[:limit] if limit else found.entries
    more = len(found.entries) - len(shown)
    told = found.problem or (f"and {more:,} more (--limit 0 shows all)" if more else None)
    table = Table(title=found.place, caption=told, box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("Layer", "Made by", "Key", "Data"):
        table.add_column(heading)
    for heading in ("Size", "Age", "Hits", "Cost s", "Tokens"):
        table.add_column(heading, justify="right")
    for entry in shown:
        table.add_row(*_cells(entry))
    return table


def removal_lines(removals: Sequence[CacheRemoval], *, dry_run: bool = False) -> list[str]:
    """A line a cache, and their sum where there are several."""
    verb = "would go" if dry_run else "removed"
    lines = [
        f"{removal.place}: left as it is: {removal.problem}"
        if removal.problem is not None
        else f"{removal.place}: {_entries(removal.removed.n)} {verb} ({size_text(removal.removed.bytes)})"
        for removal in removals
    ]
    if len(removals) > 1:
        n, size = sum(r.removed.n for r in removals), sum(r.removed.bytes for r in removals)
        lines.append(f"in all {_entries(n)} {verb} ({size_text(size)})")
    return lines


def size_text(n_bytes: int) -> str:
    """A size to read, in decimal units."""
    size = float(n_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def age_text(created_us: int | None) -> str:
    """How long ago that was, in its largest unit; a simulated date has no age."""
    if created_us is None:
        return "simulated"
    seconds = max(0, (WallClock().utc_now() - _EPOCH) // _MICROSECOND - created_us) // 10**6
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _entries(n: int) -> str:
    return "1 entry" if n == 1 else f"{n:,} entries"


def _cells(entry: Listed) -> tuple[str, ...]:
    return (
        entry.layer,
        entry.tag,
        entry.key[:_KEY_SHOWN],
        entry.data[:_KEY_SHOWN],
        size_text(entry.bytes),
        age_text(None if entry.is_virtual else entry.created_us),
        f"{entry.hits:,}",
        duration_text(entry.seconds),
        f"{entry.tokens:,}",
    )
