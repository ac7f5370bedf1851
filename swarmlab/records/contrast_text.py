"""Contrasts for people: one small table each, for the terminal and as Markdown."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from swarmlab.records.contrast import Contrast, SideFigures, pair_word
from swarmlab.records.render import duration_text, escape_cell
from swarmlab.records.scores import ScoreDifference

__all__ = ["contrast_lines", "contrast_table", "contrasts_markdown", "interval_text", "score_text"]

_MISSING = "-"
_SCORES = {
    "fact_coverage": "required facts right",
    "groundedness": "numbers grounded",
    "decision_accuracy": "decisions right",
}
_COUNTS = (
    ("total tokens", "total_tokens", 0),
    ("tokens/s", "tokens_per_s", 1),
    ("cost, $", "cost_usd", 4),
    ("model calls", "n_model_calls", 0),
    ("agents", "n_agents", 0),
    ("tool calls", "n_tool_calls", 0),
    ("others' CPU", "other_cpu_share", 3),
)
Line = tuple[str, str, str, str]
"""What, A's figure, B's figure, and B against A."""


def contrast_lines(found: Contrast) -> list[Line]:
    """Return a contrast as lines of text: what, A, B, B against A.

    Parameters
    ----------
    found
        The contrast. Times faster is the median of paired ratios with its 95 % interval.
    """
    a, b = found.a, found.b
    kind = "simulated " if found.is_simulated else ""
    lines: list[Line] = [
        ("succeeded", f"{a.succeeded} of {a.attempted}", f"{b.succeeded} of {b.attempted}", ""),
        ("failure rate", a.failure_bound, b.failure_bound, ""),
        (f"{kind}seconds, median [95 %]", _seconds(a), _seconds(b), _faster(found)),
    ]
    lines += [_score_line(score) for score in found.scores]
    for said, name, places in _COUNTS:
        ours, theirs = a.medians[name], b.medians[name]
        if ours is None and theirs is None:
            continue
        ratio = (
            f"{theirs / ours:.2f} of A's" if ours and theirs is not None and name != "other_cpu_share" else ""
        )
        lines.append((said, _number(ours, places), _number(theirs, places), ratio))
    rosters = "differs" if found.roster_differs else "the same"
    lines.append(("roster", a.roster or _MISSING, b.roster or _MISSING, rosters))
    lines.append(("works in common", "", "", f"{len(found.works)}, tool facts {_facts(found)}"))
    return lines


def contrast_table(found: Contrast) -> Table:
    """Return a contrast for the terminal, in at most 120 columns."""
    table = Table(title=_title(found), caption=Text(caption(found), justify="left"), box=box.SIMPLE_HEAD)
    table.add_column("")
    for heading in (found.a.level, found.b.level, "B against A"):
        table.add_column(Text(heading), justify="right", overflow="fold")
    for line in contrast_lines(found):
        table.add_row(*(Text(cell) for cell in line))
    return table


def contrasts_markdown(title: str, rows: Sequence[Contrast]) -> str:
    """Return contrasts as a page of Markdown."""
    lines = [f"# {escape_cell(title)}"]
    for found in rows:
        lines += [
            "",
            f"## {escape_cell(_title(found))}",
            "",
            *contrast_markdown(found),
            "",
            f"- {caption(found)}",
        ]
    return "\n".join([*lines, ""])


def contrast_markdown(found: Contrast) -> list[str]:
    """Return a contrast as the lines of a Markdown table."""
    rows: Iterable[Line] = contrast_lines(found)
    head = ("", found.a.level, found.b.level, "B against A")
    return [_row(head), "|" + " --- |" * 4, *(_row(line) for line in rows)]


def caption(found: Contrast) -> str:
    """Say what the ratio is and whatever must be known to read it."""
    speed = found.speed
    if not speed.n:
        return found.note
    unpaired = f"Times faster: {speed.method}, {pair_word(speed)}"
    how = (
        f"Times faster: median of {pair_word(speed)}; interval: {speed.method}"
        if speed.is_paired
        else unpaired
    )
    return f"{how}." + (f" {found.note}." if found.note else "")


def interval_text(value: float | None, low: float | None, high: float | None, places: int = 2) -> str:
    """Print a figure with its interval, or with "no interval"."""
    if value is None:
        return _MISSING
    interval = "no interval" if low is None or high is None else f"{low:.{places}f}, {high:.{places}f}"
    return f"{value:.{places}f} [{interval}]"


def score_text(metric: str) -> str:
    """Name a score in words."""
    return _SCORES.get(metric, metric)


def _title(found: Contrast) -> str:
    model = () if found.is_simulated else (found.model, found.profile)
    parts = (f"{found.cache_state} cache", found.timing, *model, found.data_name)
    return f"{found.b.level} against {found.a.level}: {', '.join(part for part in parts if part)}"


def _faster(found: Contrast) -> str:
    speed = found.speed
    middle = speed.ratio if speed.ratio_median is None else speed.ratio_median
    return _MISSING if middle is None else f"{interval_text(middle, speed.low, speed.high)} times faster"


def _seconds(side: SideFigures) -> str:
    if side.duration_median_s is None:
        return _MISSING
    middle = duration_text(side.duration_median_s)
    if side.duration_low_s is None or side.duration_high_s is None:
        return middle
    return f"{middle} [{duration_text(side.duration_low_s)}, {duration_text(side.duration_high_s)}]"


def _score_line(score: ScoreDifference) -> Line:
    if score.difference is None:
        against = "not measured on both sides"
    elif score.method.startswith("exact:"):
        against = "equal on every work"
    else:
        interval = "no interval" if score.low is None else f"{score.low:+.3f}, {score.high:+.3f}"
        against = f"{score.difference:+.3f} [{interval}]"
    return score_text(score.metric), _number(score.a, 3), _number(score.b, 3), against


def _facts(found: Contrast) -> str:
    return found.facts if found.facts != "differ" else "DIFFER"


def _number(value: float | None, places: int) -> str:
    if value is None:
        return _MISSING
    return f"{value:,.1f}" if places == 0 and value % 1 else f"{value:,.{places}f}"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(escape_cell(cell) for cell in cells) + " |"
