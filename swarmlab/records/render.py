"""The comparison table for people: Markdown, the terminal, and the sentences that belong under it."""

from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from swarmlab.records.comparison import EXPLORATORY_BELOW

__all__ = ["caveats", "comparison_markdown", "display_frame", "duration_text", "render_table"]

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
        "Kind": lambda row: str(row.kind),
        "Cache": lambda row: _text(row.cache_state),
        "Model": lambda row: _text(row.model),
        "Data": lambda row: _text(row.data_name),
        "Succeeded": lambda row: f"{row.succeeded} of {row.attempted}",
        "Failure rate": lambda row: row.failure_bound,
        "Duration, s: median (range)": lambda row: " ".join(_duration(row)),
        "Times faster [95 %]": lambda row: " ".join(_ratio(row)),
        "Tokens (prompt + completion)": _tokens,
        "Tokens/s": lambda row: _number(row.tokens_per_s, 1),
        "Cost, $": lambda row: _number(row.cost_usd, 4),
        "Agents": lambda row: _number(row.n_agents),
        "Tool calls → executed": lambda row: _tools(row, " → "),
        "Model calls": lambda row: _number(row.n_model_calls),
        "Cache hits": lambda row: _percent(row.cache_hit_rate),
        "Facts": lambda row: _number(row.fact_coverage, 2),
        "Grounded": lambda row: _number(row.groundedness, 2),
        "Decisions": lambda row: _number(row.decision_accuracy, 2),
        "(keyword, chance)": lambda row: _baselines(row, ", "),
        "Alerts": lambda row: _text(row.alerts),
        "Note": lambda row: _text(row.note),
    }
    rows = [{name: cell(row) for name, cell in headings.items()} for row in _rows(comparison)]
    shown = pd.DataFrame(rows, columns=list(headings), dtype="str")
    empty = [name for name in ("Cost, $", "Alerts") if len(shown) and (shown[name] == _MISSING).all()]
    return shown.drop(columns=empty)


def comparison_markdown(comparison: pd.DataFrame) -> str:
    """Return the comparison as a Markdown table with its caveats as sentences under it."""
    shown = display_frame(comparison)
    lines = ["# Comparison", "", _markdown_line(shown.columns), "|" + " --- |" * len(shown.columns)]
    lines += [_markdown_line(row) for row in _rows(shown)]
    return "\n".join([*lines, "", *(f"- {_escape(sentence)}" for sentence in caveats(comparison)), ""])


def render_table(comparison: pd.DataFrame, title: str | None = None) -> Table:
    """Return the comparison for the terminal, in at most 120 columns; the caveats are its caption."""
    several_models = comparison["model"].nunique() > 1 or comparison["data_name"].nunique() > 1
    cells: dict[str, Callable[[Row], tuple[str, ...]]] = {
        "Level": lambda row: (_level(row), *(() if row.kind == "measured" else (str(row.kind),))),
        "Cache": lambda row: (_text(row.cache_state),),
        "OK": lambda row: (f"{row.succeeded}/{row.attempted}",),
        "Seconds\n(range)": _duration,
        "Faster\n[95 %]": _ratio,
        "Tokens": lambda row: (_number(row.total_tokens),),
        "/s": lambda row: (_number(row.tokens_per_s, 1),),
        "Agents": lambda row: (_number(row.n_agents),),
        "Tools\n→ run": lambda row: (_number(row.n_tool_calls), f"→ {_number(row.n_tool_executions)}"),
        "Hits": lambda row: (_percent(row.cache_hit_rate),),
        "Facts": lambda row: (_number(row.fact_coverage, 2),),
        "Ground-\ned": lambda row: (_number(row.groundedness, 2),),
        "Deci-\nsions": lambda row: (_number(row.decision_accuracy, 2),),
        "Keyword\nchance": lambda row: (_number(row.keyword_accuracy, 2), _number(row.chance_accuracy, 2)),
    }
    if comparison["cost_usd"].fillna(0).gt(0).any():
        cells["Cost $"] = lambda row: (_number(row.cost_usd, 4),)
    if comparison["alerts"].fillna("").ne("").any():
        cells["Alerts"] = lambda row: (str(row.alerts).count(";") + 1 if row.alerts else 0) * ("!",)
    caption = Text("\n".join(caveats(comparison)), justify="left")
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), width=None)
    for position, heading in enumerate(cells):
        table.add_column(heading, justify="left" if position < 2 else "right", overflow="fold")
    previous: tuple[Any, ...] | None = None
    for row in _rows(comparison):
        part = (row.kind, row.model, row.data_name, row.cache_state)
        if several_models and row.kind != "published" and (previous is None or part[:3] != previous[:3]):
            heading_text = Text(f"{_text(row.model)}, {_text(row.data_name)}", style="italic")
            table.add_row(heading_text, *[""] * (len(cells) - 1))
        table.add_row(*(_two_lines(cell(row)) for cell in cells.values()))
        previous = part
    return table


def caveats(comparison: pd.DataFrame) -> list[str]:
    """Return the sentences without which the table would mislead, those that apply."""
    ours = comparison[comparison["kind"] != "published"]
    found: list[str | None] = [_ratio_sentence(ours), _exploratory_sentence(ours), *_failure_sentences(ours)]
    found += [_reason_sentence(ours), _roster_sentence(ours), _lossy_sentence(ours), _token_sentence(ours)]
    if (ours["kind"] == "simulated").any():
        profiles = ", ".join(sorted(ours["profile"].dropna().unique())) or "not named"
        found.append(
            f"Simulated durations are on a virtual clock and were not waited for; profile: {profiles}."
        )
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
    if not (ours["n"] < EXPLORATORY_BELOW).any():
        return None
    return f"Rows with under {EXPLORATORY_BELOW} runs are exploratory; a single pair has no interval."


def _failure_sentences(ours: pd.DataFrame) -> list[str]:
    failed = ours[ours["succeeded"] < ours["attempted"]]
    return [
        f"{row.level} ({_text(row.cache_state)}): {row.attempted - row.succeeded} of {row.attempted} failed; "
        "its figures are of the others."
        for row in _rows(failed)
    ]


def _reason_sentence(ours: pd.DataFrame) -> str | None:
    without = ours[ours["ratio"].isna() & (ours["succeeded"] > 0)]
    if without.empty:
        return None
    names = ", ".join(f"{row.level} ({_text(row.cache_state)})" for row in _rows(without))
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


def _rows(frame: pd.DataFrame) -> list[Row]:
    return list(frame.itertuples(index=False))


def _level(row: Row) -> str:
    return f"{row.level}{' †' if pd.notna(row.roster_differs) and row.roster_differs else ''}"


def _duration(row: Row) -> tuple[str, ...]:
    median = duration_text(row.duration_median_s)
    if row.n < 2:
        return (median,)
    return median, f"({duration_text(row.duration_min_s)} to {duration_text(row.duration_max_s)})"


def _ratio(row: Row) -> tuple[str, ...]:
    if pd.isna(row.ratio):
        return (_MISSING,)
    if row.level == row.baseline:
        return ("1 (baseline)",)
    interval = "[n = 1]" if pd.isna(row.ratio_low) else f"[{row.ratio_low:.3g}, {row.ratio_high:.3g}]"
    return f"{row.ratio:.3g}", interval


def _tokens(row: Row) -> str:
    total = _number(row.total_tokens)
    estimate = " (estimate)" if row.tokens_source == "estimate" else ""
    if pd.isna(row.prompt_tokens) or pd.isna(row.completion_tokens):
        return total + estimate
    return f"{total} ({_number(row.prompt_tokens)} + {_number(row.completion_tokens)}){estimate}"


def _tools(row: Row, arrow: str) -> str:
    return f"{_number(row.n_tool_calls)}{arrow}{_number(row.n_tool_executions)}"


def _baselines(row: Row, separator: str) -> str:
    if pd.isna(row.keyword_accuracy) and pd.isna(row.chance_accuracy):
        return _MISSING
    return f"({_number(row.keyword_accuracy, 2)}{separator}{_number(row.chance_accuracy, 2)})"


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
    text = Text(lines[0] if lines else _MISSING)
    for line in lines[1:]:
        text.append("\n" + line, style="dim")
    return text


def _markdown_line(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(_escape(str(cell)) for cell in cells) + " |"


def _escape(text: str) -> str:
    """Keep a cell in its cell: names come from the user's data and spec."""
    flat = " ".join(text.split())
    for character in "\\|<>*`":
        flat = flat.replace(character, f"\\{character}")
    return flat.replace("](", "]\\(")
