"""The Gantt plot of one run: a lane an agent, calls that overlap on rows of their own."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from swarmlab.errors import StoreError
from swarmlab.records.comparison import LEVEL_ORDER
from swarmlab.records.palette import (
    CATEGORY_COLOURS,
    PlotOptions,
    clean_axes,
    new_figure,
    plain,
    seconds_label,
    simulated_prefix,
)
from swarmlab.records.record import NS_PER_S
from swarmlab.records.render import duration_text
from swarmlab.records.tables import Tables, spans_of
from swarmlab.trace.spans import Span

__all__ = ["gantt"]

_ROW_PX = 24
_HEAD_PX = 150
_NO_AGENT = "run"
# About 6.2 px a letter at 7.5 pt on an axis some 740 px wide; a label that would not fit is left out.
_LETTER_SHARE = 6.2 / 740
_DARK = frozenset({"tool", "result", "barrier", "framework", "context"})


def gantt(tables: Tables, options: PlotOptions) -> Figure:
    """Draw one run over time.

    Parameters
    ----------
    tables
        `runs` and `spans`.
    options
        `run_id` names the run; without it, the first successful cold run of the most optimised level.

    Returns
    -------
    Figure
        Spans without children are solid; a span with children is a pale background behind them.

    Raises
    ------
    StoreError
        The run is not among the results.
    """
    runs = tables["runs"]
    run = _chosen(runs, options.run_id)
    if run is None:
        figure = new_figure(_HEAD_PX)
        figure.suptitle("No run succeeded, so there is none to draw", fontsize=13, x=0.01, ha="left")
        return figure
    spans = spans_of(tables["spans"], run["run_id"])
    lanes = _lanes(spans)
    rows = sum(_depth(places) for _, places in lanes)
    figure = new_figure(rows * _ROW_PX + len(lanes) * 8 + _HEAD_PX)
    axes = figure.subplots()
    _draw(axes, spans, lanes)
    own = runs[runs["run_id"] == run["run_id"]]
    duration = float(own["duration_s"].iloc[0])
    title = f"{simulated_prefix(own)}{run['level']}, {run['cache_state']} cache: {duration_text(duration)} s"
    figure.suptitle(plain(title), fontsize=13, x=0.01, ha="left")
    axes.set_xlabel(f"{seconds_label(own)} since the run began", fontsize=9)
    used = {span.category for span in spans if span.parent_id is not None}
    handles = [Patch(color=colour, label=name) for name, colour in CATEGORY_COLOURS.items() if name in used]
    figure.legend(handles=handles, loc="outside lower left", ncols=6, frameon=False, fontsize=9)
    return figure


_Places = list[tuple[Span, int]]
"""Childless spans of a lane, each with its row in the lane."""


def _chosen(runs: pd.DataFrame, run_id: str | None) -> "pd.Series[str] | None":
    if run_id is not None:
        named = runs[runs["run_id"] == run_id]
        if named.empty:
            raise StoreError(f"no run {run_id!r} among the results")
        return named.iloc[0]
    succeeded = runs[runs["status"] == "ok"]
    if succeeded.empty:
        return None
    cold = succeeded[succeeded["cache_state"] == "cold"]
    pool = cold if len(cold) else succeeded
    presets = [level for level in LEVEL_ORDER if level in set(pool["level"])]
    level = presets[-1] if presets else min(pool["level"])
    return pool[pool["level"] == level].iloc[0]


def _lanes(spans: Sequence[Span]) -> list[tuple[str, _Places]]:
    """Return each agent's childless spans with rows where none overlap, earliest lane first."""
    parents = {span.parent_id for span in spans}
    by_agent: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start_ns, span.span_id)):
        if span.parent_id is not None:
            by_agent.setdefault(span.agent or _NO_AGENT, []).append(span)
    lanes = []
    for agent, members in by_agent.items():
        ends: list[int] = []
        places: _Places = []
        for span in members:
            if span.span_id in parents:
                continue
            row = next((index for index, end in enumerate(ends) if end <= span.start_ns), len(ends))
            ends[row : row + 1] = [span.end_ns]
            places.append((span, row))
        lanes.append((agent, places))
    return lanes


def _depth(places: _Places) -> int:
    return max((row for _, row in places), default=0) + 1


def _draw(axes: Axes, spans: Sequence[Span], lanes: list[tuple[str, _Places]]) -> None:
    root = next(span for span in spans if span.parent_id is None)
    length_s = max((root.end_ns - root.start_ns) / NS_PER_S, 1e-9)
    parents = {span.parent_id for span in spans}
    top, ticks = 0.0, []
    for agent, places in lanes:
        depth = _depth(places)
        for span in spans:
            if (span.agent or _NO_AGENT) == agent and span.span_id in parents and span.parent_id is not None:
                _bar(axes, span, root, (top - 0.06, depth + 0.02), 0.25)
        for span, row in places:
            _bar(axes, span, root, (top + row, 0.9), 1.0)
            _name(axes, span, root, top + row + 0.45, length_s)
        ticks.append((top + depth / 2, agent))
        top += depth + 0.3
    clean_axes(axes)
    axes.set_yticks([y for y, _ in ticks], [plain(agent) for _, agent in ticks], fontsize=9.5)
    axes.set_xlim(0, length_s)
    axes.set_ylim(max(top - 0.2, 1), -0.2)
    axes.tick_params(axis="x", labelsize=9)
    axes.tick_params(axis="y", length=0)


def _bar(axes: Axes, span: Span, root: Span, place: tuple[float, float], alpha: float) -> None:
    top, height = place
    start = (span.start_ns - root.start_ns) / NS_PER_S
    width = (span.end_ns - span.start_ns) / NS_PER_S
    colour = CATEGORY_COLOURS[span.category]
    # The edge keeps a call of a millisecond visible, and failed ones apart.
    edge = "#CC0000" if span.status != "ok" and alpha == 1.0 else colour
    axes.barh(
        top,
        width,
        left=start,
        height=height,
        align="edge",
        color=colour,
        alpha=alpha,
        edgecolor=edge,
        linewidth=0.4,
    )


def _name(axes: Axes, span: Span, root: Span, middle: float, length_s: float) -> None:
    label = f"{span.name} (cached)" if span.cached else span.name
    width = (span.end_ns - span.start_ns) / NS_PER_S
    if len(label) * _LETTER_SHARE > width / length_s:
        return
    axes.text(
        (span.start_ns - root.start_ns) / NS_PER_S + width / 2,
        middle,
        plain(label),
        ha="center",
        va="center",
        fontsize=7.5,
        color="white" if span.category in _DARK else "black",
    )
