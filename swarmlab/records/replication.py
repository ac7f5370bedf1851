"""The replication plot: what was published, what reproduces it, and what its costs come to at equal work."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from swarmlab.records.palette import CATEGORY_COLOURS, NOT_BROKEN_DOWN, clean_axes, new_figure, plain

__all__ = ["BARS", "replication_figure"]

BARS = ("level", "kind", "note", "category", "seconds")
"""Columns of the bars' parts; a bar without seconds is one of a run that failed."""
_KINDS = {"published": "published", "reproduced": "reproduced", "simulated": "equal work, simulated"}
_BAR_PX = 25
_HEAD_PX = 150
_HATCH = "////"


def replication_figure(bars: pd.DataFrame) -> Figure:
    """Draw three bars a level: published, reproduced by arithmetic, and simulated at equal work.

    Parameters
    ----------
    bars
        A row a part of a bar, with the columns `BARS`. `kind` is `published`, `reproduced` or `simulated`;
        a part without a category is not broken down.

    Returns
    -------
    Figure
        Published bars are hatched.
    """
    levels = [str(level) for level in bars["level"].unique()]
    found = [
        (level, kind, bars[(bars["level"] == level) & (bars["kind"] == kind)])
        for level in levels
        for kind in _KINDS
    ]
    rows = [bar for bar in found if len(bar[2])]
    figure = new_figure(len(rows) * _BAR_PX + len(levels) * _BAR_PX + _HEAD_PX)
    axes = figure.subplots()
    longest = float(bars.groupby(["level", "kind"])["seconds"].sum().max())
    places, names, at, above = [], [], 0.0, None
    for level, kind, parts in rows:
        at += 0.6 if above not in (None, level) else 0.0
        end = _draw(axes, at, parts, is_published=kind == "published")
        axes.text(end + longest * 0.008, at, plain(_label(parts)), va="center", fontsize=9)
        places.append(at)
        names.append(f"{level}: {_KINDS[kind]}" if above != level else _KINDS[kind])
        at, above = at + 1.0, level
    clean_axes(axes)
    axes.set_yticks(places, [plain(name) for name in names], fontsize=9)
    axes.set_ylim(at - 0.4, -0.6)
    # Room at the right for the longest bar's own label.
    axes.set_xlim(0, longest * 1.38)
    axes.set_xlabel("seconds: published, computed from published figures, or simulated", fontsize=9)
    figure.suptitle(
        "The source study's durations, what reproduces them, and the same costs at equal work (simulated)",
        fontsize=12,
        x=0.01,
        ha="left",
    )
    _draw_legend(figure, bars)
    return figure


def _draw(axes: Axes, at: float, parts: pd.DataFrame, *, is_published: bool) -> float:
    """Draw a bar and return its right end."""
    style: dict[str, Any] = {"hatch": _HATCH, "edgecolor": "white"} if is_published else {}
    end = 0.0
    for category, seconds in zip(parts["category"], parts["seconds"], strict=True):
        if pd.notna(seconds) and seconds > 0:
            colour = CATEGORY_COLOURS.get(category, NOT_BROKEN_DOWN)
            axes.barh(at, seconds, left=end, height=0.8, color=colour, linewidth=0, **style)
            end += float(seconds)
    return end


def _label(parts: pd.DataFrame) -> str:
    note = str(parts["note"].iloc[0])
    if parts["seconds"].isna().all():
        return note
    seconds = f"{parts['seconds'].sum():.2f} s"
    return f"{seconds} ({note})" if note else seconds


def _draw_legend(figure: Figure, bars: pd.DataFrame) -> None:
    used = set(bars.loc[bars["seconds"].fillna(0) > 0, "category"])
    handles = [Patch(color=colour, label=name) for name, colour in CATEGORY_COLOURS.items() if name in used]
    handles.append(
        Patch(facecolor=NOT_BROKEN_DOWN, hatch=_HATCH, edgecolor="white", label="published, grey: not split")
    )
    figure.legend(handles=handles, loc="outside lower left", ncols=5, frameon=False, fontsize=9)
