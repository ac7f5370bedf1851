"""The comparison and the breakdown for people: Markdown, and tables for the terminal."""

from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd
from rich import box
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from swarmlab.records.caveats import caveats
from swarmlab.records.comparison import level_key
from swarmlab.records.timing import is_simulated, timing
from swarmlab.trace.spans import CATEGORIES

__all__ = [
    "caveats",
    "comparison_markdown",
    "display_frame",
    "display_steps",
    "duration_text",
    "escape_cell",
    "frame_table",
    "render_breakdown",
    "render_table",
]

_MISSING = "-"
Row = Any
"""One row of the comparison as a named tuple."""


def duration_text(seconds: float) -> str:
    """Print seconds with about three significant digits, for reading; missing is a hyphen."""
    if pd.isna(seconds):
        return _MISSING
    if seconds >= 100:
        return f"{seconds:,.1f}"
    return f"{seconds:.2f}" if seconds >= 1 else f"{seconds:.3f}"


def display_frame(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return the comparison as text, one column a heading, for Markdown and HTML.

    Parameters
    ----------
    comparison
        The table of that name.
    """
    headings: dict[str, Callable[[Row], str]] = {
        "Level": _level,
        "Kind": _kind,
        "Model": lambda row: _text(row.model),
        "Data": lambda row: _text(row.data_name),
        "Cache": lambda row: _text(row.cache_state),
        "Works": lambda row: _number(row.n_works),
        "Succeeded": lambda row: f"{row.succeeded} of {row.attempted}",
        "Failure rate": lambda row: row.failure_bound,
        "Duration, s: median (range)": lambda row: _joined(_duration(row)),
        "Times faster [95 %]": lambda row: " ".join(_ratio(row)),
        "Facts": lambda row: _number(row.fact_coverage, 2),
        "Grounded": lambda row: _number(row.groundedness, 2),
        "Decisions (keyword, chance)": lambda row: _joined(_decisions(row)),
        "Tokens (prompt + completion)": _tokens,
        "Tokens/s": lambda row: _number(row.tokens_per_s, 1),
        "Cost, $": lambda row: _cost(row.cost_usd),
        "Agents": lambda row: _number(row.n_agents),
        "Tool calls → executed": _tools,
        "Model calls": lambda row: _number(row.n_model_calls),
        "Cache hits": lambda row: _percent(row.cache_hit_rate),
        "Alerts": lambda row: _text(row.alerts),
        "Note": lambda row: _text(row.note),
    }
    rows = [{name: cell(row) for name, cell in headings.items()} for row in _rows(comparison)]
    shown = pd.DataFrame(rows, columns=list(headings), dtype="str")
    # What is the same in every row is said once, beside the table.
    same = [name for name in ("Kind", "Model", "Data") if shown[name].replace(_MISSING, pd.NA).nunique() < 2]
    if (comparison["kind"] == "simulated").any():
        # But that a duration is simulated is said beside each.
        same = [name for name in same if name != "Kind"]
    # One work is what a table is of unless it says otherwise.
    same += [] if comparison["n_works"].fillna(0).gt(1).any() else ["Works"]
    empty = [name for name in ("Cost, $", "Alerts") if len(shown) and (shown[name] == _MISSING).all()]
    return shown.drop(columns=[*same, *empty])


def comparison_markdown(comparison: pd.DataFrame) -> str:
    """Return the comparison as a Markdown table with its caveats as sentences under it."""
    shown = display_frame(comparison)
    lines = ["# Comparison", "", _markdown_line(shown.columns), "|" + " --- |" * len(shown.columns)]
    lines += [_markdown_line(row) for row in _rows(shown)]
    return "\n".join([*lines, "", *(f"- {escape_cell(sentence)}" for sentence in caveats(comparison)), ""])


def render_table(comparison: pd.DataFrame, title: str | None = None) -> Table:
    """Return the comparison for the terminal, in at most 120 columns; the caveats are its caption."""
    several_models = comparison["model"].nunique() > 1 or comparison["data_name"].nunique() > 1
    cells: dict[str, Callable[[Row], tuple[str, ...]]] = {
        "Level": lambda row: (_level(row), *(() if row.kind == "measured" else (_kind(row),))),
        "Cache\nhits": lambda row: (_text(row.cache_state), _percent(row.cache_hit_rate)),
        "OK": lambda row: (f"{row.succeeded}/{row.attempted}",),
        "Seconds\nrange": _duration,
        "Times faster\n[95 %]": _ratio,
        "Tokens\na second": lambda row: (_number(row.total_tokens), _number(row.tokens_per_s, 1)),
        "Agents": lambda row: (_number(row.n_agents),),
        "Tools\n→ run": lambda row: (_tools(row),),
        "Facts\ngrounded": lambda row: (_number(row.fact_coverage, 2), _number(row.groundedness, 2)),
        "Decisions\nkw., chance": _decisions,
    }
    if comparison["cost_usd"].fillna(0).gt(0).any():
        cells["Cost $"] = lambda row: (_cost(row.cost_usd),)
    if comparison["alerts"].fillna("").ne("").any():
        cells["!"] = lambda row: ("!" if pd.notna(row.alerts) and row.alerts else " ",)
    caption = Text("\n".join(caveats(comparison)), justify="left")
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), width=None)
    for position, heading in enumerate(cells):
        # Only a level's name may be long, so only it may break.
        justify: JustifyMethod = "left" if position < 2 else "right"
        table.add_column(heading, justify=justify, no_wrap=position > 0, overflow="fold")
    previous: tuple[Any, ...] | None = None
    for row in _rows(comparison):
        part = (row.kind, row.model, row.data_name, row.cache_state)
        if several_models and row.kind != "published" and (previous is None or part[:3] != previous[:3]):
            heading_text = Text(f"{_text(row.model)}, {_text(row.data_name)}", style="italic")
            table.add_row(heading_text, *[""] * (len(cells) - 1))
        table.add_row(*(_two_lines(cell(row)) for cell in cells.values()))
        previous = part
    return table


def display_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """Return the steps as text: a row a level and cache state, a column a step, seconds and share.

    Parameters
    ----------
    steps
        The table of that name; simulated rows say so.
    """
    largest_first = steps.groupby("step")["exclusive_s"].sum().sort_values(ascending=False).index
    rows = []
    for (level, cache, clock, model), group in _by_level(steps):
        parts = group.set_index("step")
        cells = {
            step: f"{duration_text(parts.exclusive_s[step])} ({_percent(parts.share[step])})"
            for step in largest_first
            if step in parts.index
        }
        head = {"Level": level, "Cache": cache, "Timing": timing(clock, model)}
        rows.append({**head, "Runs": str(group["n"].iloc[0]), **cells})
    timed = ["Timing"] if is_simulated(steps) else []
    columns = ["Level", "Cache", *timed, "Runs", *largest_first]
    return pd.DataFrame(rows, columns=columns, dtype="str").fillna(_MISSING)


def _by_level(steps: pd.DataFrame) -> list[tuple[tuple[str, str, str, str], pd.DataFrame]]:
    groups: list[Any] = list(steps.groupby(["level", "cache_state", "clock", "model"]))
    return sorted(groups, key=lambda item: (*item[0][2:], item[0][1], *level_key(item[0][0])))


def render_breakdown(breakdown: pd.DataFrame, title: str | None = None) -> Table:
    """Return the breakdown for the terminal: a row a level and cache state, exclusive seconds and shares.

    Parameters
    ----------
    breakdown
        The table of that name. Categories without time anywhere are left out.
    title
        Printed above the table.
    """
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    spent = breakdown.groupby("category")["exclusive_s"].sum()
    categories = [name for name in CATEGORIES if spent.get(name, 0.0) > 0]
    table.add_column("Level")
    table.add_column("Cache")
    for heading in ("Seconds", *(name.replace("_", "\n") for name in categories)):
        table.add_column(heading, justify="right")
    for _, group in in_level_order(breakdown):
        first = group.iloc[0]
        parts = group.set_index("category")
        cells = [(duration_text(parts.exclusive_s[name]), _percent(parts.share[name])) for name in categories]
        total = (
            duration_text(group["exclusive_s"].sum(min_count=1)),
            _percent(group["share"].sum(min_count=1)),
        )
        told = timing(first["clock"], first["model"])
        label = _two_lines((str(first["level"]), *(() if told == "measured" else (told,))))
        table.add_row(label, _text(first["cache_state"]), *(_two_lines(cell) for cell in (total, *cells)))
    return table


def frame_table(frame: pd.DataFrame, title: str | None = None) -> Table:
    """Return a frame of text for the terminal; "1.2 (34%)" becomes two lines."""
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for position, heading in enumerate(frame.columns):
        table.add_column(str(heading), justify="left" if position < 2 else "right")
    for row in _rows(frame):
        table.add_row(*(_two_lines(tuple(str(cell).rstrip(")").split(" ("))) for cell in row))
    return table


def in_level_order(breakdown: pd.DataFrame) -> list[tuple[Any, pd.DataFrame]]:
    """Return the breakdown's groups, (clock, model, data_name, cache_state, level) and its rows, as shown."""
    keys = ["clock", "model", "data_name", "cache_state", "level"]
    groups = list(breakdown.groupby(keys, dropna=False, sort=True))
    return sorted(groups, key=lambda item: (*map(str, item[0][:4]), *level_key(item[0][4])))


def _rows(frame: pd.DataFrame) -> list[Row]:
    return list(frame.itertuples(index=False))


def _kind(row: Row) -> str:
    return timing(row.clock, row.model, row.profile) if row.kind == "simulated" else str(row.kind)


def _level(row: Row) -> str:
    return f"{row.level}{' †' if pd.notna(row.roster_differs) and row.roster_differs else ''}"


def _duration(row: Row) -> tuple[str, ...]:
    median = duration_text(row.duration_median_s)
    if row.n < 2:
        return (median,)
    return median, f"{duration_text(row.duration_min_s)} - {duration_text(row.duration_max_s)}"


def _ratio(row: Row) -> tuple[str, ...]:
    if pd.isna(row.ratio):
        return (_MISSING,)
    if row.level == row.baseline:
        return ("1", "baseline")
    interval = "[n = 1]" if pd.isna(row.ratio_low) else f"[{_times(row.ratio_low)}, {_times(row.ratio_high)}]"
    return _times(row.ratio), interval


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}" if ratio < 100 else f"{ratio:,.0f}"


def _tokens(row: Row) -> str:
    total = _number(row.total_tokens)
    source = f" ({row.tokens_source})" if row.tokens_source in ("estimate", "simulated") else ""
    if pd.isna(row.prompt_tokens) or pd.isna(row.completion_tokens):
        return total + source
    return f"{total} ({_number(row.prompt_tokens)} + {_number(row.completion_tokens)}){source}"


def _cost(dollars: Any) -> str:
    return "0" if pd.notna(dollars) and float(dollars) == 0 else _number(dollars, 4)


def _tools(row: Row) -> str:
    if pd.isna(row.n_tool_executions):
        return _number(row.n_tool_calls)
    return f"{_number(row.n_tool_calls)} → {_number(row.n_tool_executions)}"


def _decisions(row: Row) -> tuple[str, ...]:
    if pd.isna(row.decision_accuracy):
        return (_MISSING,)
    score = _number(row.decision_accuracy, 2)
    if pd.isna(row.keyword_accuracy) and pd.isna(row.chance_accuracy):
        return (score,)
    return score, f"{_number(row.keyword_accuracy, 2)}, {_number(row.chance_accuracy, 2)}"


def _joined(lines: tuple[str, ...]) -> str:
    """Put the second line of a terminal cell in brackets behind the first."""
    return lines[0] if len(lines) == 1 else f"{lines[0]} ({lines[1]})"


def _number(value: Any, decimals: int = 0) -> str:
    if pd.isna(value):
        return _MISSING
    # Medians of counts may fall on a half.
    places = 1 if decimals == 0 and float(value) % 1 else decimals
    return f"{float(value):,.{places}f}"


def _percent(value: Any) -> str:
    return _MISSING if pd.isna(value) else f"{float(value):.0%}"


def _text(value: Any) -> str:
    return _MISSING if pd.isna(value) or value == "" else str(value)


def _two_lines(lines: tuple[str, ...]) -> Text:
    text = Text(lines[0])
    for line in lines[1:]:
        if set(lines) == {_MISSING}:
            break
        text.append("\n" + line, style="dim")
    return text


def _markdown_line(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(escape_cell(str(cell)) for cell in cells) + " |"


def escape_cell(text: str) -> str:
    """Keep a cell in its cell: names come from the user's data and spec."""
    flat = " ".join(text.split())
    for character in "\\|<>*`":
        flat = flat.replace(character, f"\\{character}")
    return flat.replace("](", "]\\(")
