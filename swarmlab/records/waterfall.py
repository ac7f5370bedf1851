"""The waterfall plot of an ablation: from the base's seconds to the target's, a bar a factor."""

import itertools
import textwrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from swarmlab.records.ledger_text import ledger_groups
from swarmlab.records.palette import (
    PlotOptions,
    clean_axes,
    new_figure,
    plain,
    seconds_label,
    simulated_prefix,
)
from swarmlab.records.render import duration_text
from swarmlab.records.tables import Tables

__all__ = ["waterfall"]

_BAR_PX = 38
_PANEL_PX = 96
_HEAD_PX = 84
_LINE = 100
_COLOURS = {"level": "#555555", "saves": "#0072B2", "costs": "#D55E00"}


def waterfall(tables: Tables, options: PlotOptions) -> Figure:  # noqa: ARG001 - every plot takes the same
    """Draw how the factors' credits lead from the base's duration to the target's.

    Parameters
    ----------
    tables
        `runs` and `ledger`.
    options
        Not used.

    Returns
    -------
    Figure
        A panel for each part of the ledger that is a sum of its own. Factors are in order of the size of
        their credit; each bar begins where the one above ends; a black line is the credit's 95 % interval.
    """
    seconds = tables["ledger"]
    seconds = seconds[(seconds["metric"] == "duration_s") & (seconds["kind"] != "interaction")]
    panels = list(ledger_groups(seconds))
    bars = [max(len(panel) - 1, 1) for _, panel in panels]
    figure = new_figure(sum(bars) * _BAR_PX + len(bars) * _PANEL_PX + _HEAD_PX)
    ends = seconds.drop_duplicates("kind").set_index("kind")["term"]
    way = f", from {ends['base']} to {ends['target']}" if panels else ""
    title = f"{simulated_prefix(tables['runs'])}What each factor saves{way}"
    figure.suptitle(plain(title), fontsize=13, x=0.01, ha="left")
    if not panels:
        figure.text(0.01, 0.5, "These results are of no ablation.", fontsize=10)
        return figure
    grid = figure.subplots(len(bars), 1, squeeze=False, height_ratios=[count + 1 for count in bars])
    for (name, panel), axes in zip(panels, grid[:, 0], strict=True):
        _draw(axes, panel)
        axes.set_title(plain(f"{name}\n{_basis(panel)}"), fontsize=10.5, loc="left")
        axes.set_xlabel(seconds_label(panel), fontsize=9)
    names = {"level": "mean of the level", "saves": "saves time", "costs": "costs time"}
    handles = [Patch(color=_COLOURS[kind], label=label) for kind, label in names.items()]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=9)
    return figure


def _basis(panel: pd.DataFrame) -> str:
    first = panel.iloc[0]
    text = f"n = {first['n_runs']} runs in {first['n_blocks']} blocks"
    failed = first["attempted"] - first["succeeded"]
    if failed:
        text += f", {failed} failed"
    return text + (" (exploratory)" if str(first["note"]).startswith("exploratory") else "")


def _draw(axes: Axes, panel: pd.DataFrame) -> None:
    by_kind = {kind: panel[panel["kind"] == kind] for kind in ("base", "factor", "target")}
    factors = by_kind["factor"].sort_values("estimate", key=abs, ascending=False, kind="stable")
    rows = pd.concat([by_kind["base"], factors, by_kind["target"]])
    clean_axes(axes)
    axes.set_yticks(range(len(rows)), [plain(term) for term in rows["term"]], fontsize=10)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="x", labelsize=9)
    if rows["estimate"].isna().any():
        _say(axes, str(rows["note"].iloc[0]))
        return
    at, ends = 0.0, []
    bars: list[Any] = list(rows.itertuples(index=False))
    for place, row in enumerate(bars):
        start = at if row.kind == "factor" else 0.0
        at = start + float(row.estimate)
        ends.append((place, at, _span(axes, place, row, start)))
    for (place, at, _), (below, _, _) in itertools.pairwise(ends):
        axes.plot([at, at], [place - 0.33, below + 0.33], color="#999999", linewidth=0.8, zorder=1)
    longest = max(right for _, _, right in ends)
    for (place, _, right), row in zip(ends, bars, strict=True):
        axes.text(right + longest * 0.012, place, _label(row), va="center", fontsize=9)
    # Room at the right for the longest bar's own label.
    axes.set_xlim(min(0.0, axes.get_xlim()[0]), longest * 1.32)


def _span(axes: Axes, place: int, row: Any, start: float) -> float:
    """Draw a bar with its interval and return the right end of both."""
    change = float(row.estimate)
    kind = "level" if row.kind != "factor" else "saves" if change <= 0 else "costs"
    axes.barh(place, change, left=start, height=0.66, color=_COLOURS[kind], linewidth=0)
    reach = [start, start + change]
    if pd.notna(row.low):
        reach += [start + float(row.low), start + float(row.high)]
        axes.plot(reach[2:], [place, place], color="black", linewidth=1.2)
        axes.plot(reach[2:], [place, place], "|", color="black", markersize=6)
    return max(reach)


def _label(row: Any) -> str:
    if row.kind != "factor":
        return f"{duration_text(row.estimate)} s"
    interval = "" if pd.isna(row.low) else f" [{row.low:+.2f}, {row.high:+.2f}]"
    return f"{row.estimate:+.2f} s{interval}"


def _say(axes: Axes, reason: str) -> None:
    axes.set_xticks([])
    text = plain(textwrap.fill(reason, _LINE))
    axes.text(0.01, 0.5, text, transform=axes.transAxes, va="center", fontsize=9)
