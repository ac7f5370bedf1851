"""The breakdown plot: one stacked bar a level, in exclusive seconds, a panel a cache state."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from swarmlab.records.comparison import level_key
from swarmlab.records.palette import (
    CATEGORY_COLOURS,
    NOT_BROKEN_DOWN,
    PlotOptions,
    clean_axes,
    new_figure,
    plain,
    seconds_label,
    simulated_prefix,
)
from swarmlab.records.render import duration_text
from swarmlab.records.tables import Tables
from swarmlab.records.timing import timing

__all__ = ["breakdown"]

_BAR_PX = 36
_PANEL_PX = 84
_HEAD_PX = 110
_HATCH = "////"
_PANEL = ["clock", "model", "data_name", "cache_state"]


def breakdown(tables: Tables, options: PlotOptions) -> Figure:  # noqa: ARG001 - every plot takes the same
    """Draw where the time of each level went.

    Parameters
    ----------
    tables
        `runs`, `bottlenecks`, and the published study's `study` and `study_split`.
    options
        Not used.

    Returns
    -------
    Figure
        Each bar is the mean over the level's successful runs, so that its parts add up to it; the black line
        spans the fastest and the slowest run. Published bars are hatched, in a panel with their own axis.
    """
    runs = tables["runs"].astype(dict.fromkeys(_PANEL, "str")).fillna(dict.fromkeys(_PANEL, "unknown"))
    study = tables["study"]
    panels = [(key, panel) for key, panel in runs.groupby(_PANEL, sort=True)]
    bars = [panel["level"].nunique() for _, panel in panels] + ([len(study)] if len(study) else [])
    figure = new_figure(sum(bars) * _BAR_PX + len(bars) * _PANEL_PX + _HEAD_PX)
    figure.suptitle(f"{simulated_prefix(runs)}Where the time went", fontsize=13, x=0.01, ha="left")
    if not bars:
        return figure
    grid = figure.subplots(len(bars), 1, squeeze=False, height_ratios=[count + 1 for count in bars])
    for (key, panel), axes in zip(panels, grid[:, 0], strict=False):
        _draw_measured(axes, panel, tables["bottlenecks"])
        axes.set_title(plain(_panel_title(key, runs)), fontsize=10.5, loc="left")
        axes.set_xlabel(f"exclusive {seconds_label(panel)}, mean of the level's runs", fontsize=9)
    if len(study):
        _draw_published(grid[-1, 0], study, tables["study_split"])
    _draw_legend(figure, tables, published=len(study) > 0)
    return figure


def _draw_measured(axes: Axes, panel: pd.DataFrame, bottlenecks: pd.DataFrame) -> None:
    levels = sorted(panel["level"].unique(), key=level_key)
    succeeded = panel[panel["status"] == "ok"]
    parts = bottlenecks[bottlenecks["run_id"].isin(succeeded["run_id"])]
    means = parts.groupby(["level", "category"])["exclusive_s"].mean()
    longest = float(succeeded["duration_s"].max()) if len(succeeded) else 1.0
    for position, level in enumerate(levels):
        durations = succeeded.loc[succeeded["level"] == level, "duration_s"]
        attempted = int((panel["level"] == level).sum())
        label = f"failed (0 of {attempted} succeeded)"
        if len(durations):
            _stack(axes, position, {name: means.get((level, name), 0.0) for name in CATEGORY_COLOURS})
            label = f"{duration_text(durations.mean())} s"
            if len(durations) < attempted:
                label += f" ({attempted - len(durations)} of {attempted} failed)"
        if len(durations) > 1:
            axes.plot([durations.min(), durations.max()], [position, position], color="black", linewidth=1.2)
        end = float(durations.max()) if len(durations) else 0.0
        axes.text(end + longest * 0.008, position, label, va="center", fontsize=9)
    _finish(axes, levels, longest)


def _stack(axes: Axes, position: int, seconds: dict[str, float]) -> None:
    left = 0.0
    for category, width in seconds.items():
        if width > 0:
            axes.barh(position, width, left=left, height=0.66, color=CATEGORY_COLOURS[category], linewidth=0)
            left += width


def _draw_published(axes: Axes, study: pd.DataFrame, split: pd.DataFrame) -> None:
    levels = list(study["level"])
    longest = float(study["duration_median_s"].max())
    for position, (level, duration) in enumerate(zip(levels, study["duration_median_s"], strict=True)):
        if pd.isna(duration):
            axes.text(longest * 0.008, position, "failed", va="center", fontsize=9)
            continue
        claimed = split[split["level"] == level]
        _hatched(axes, position, float(duration), claimed)
        claim = " (its claimed split)" if len(claimed) else ""
        axes.text(
            duration + longest * 0.008,
            position,
            f"{duration_text(duration)} s{claim}",
            va="center",
            fontsize=9,
        )
    _finish(axes, levels, longest)
    axes.set_title("The source study: published (not comparable)", fontsize=10.5, loc="left")
    axes.set_xlabel("seconds as published, one run each", fontsize=9)


def _hatched(axes: Axes, position: int, duration: float, claimed: pd.DataFrame) -> None:
    """Draw a published bar; what its claimed split does not cover stays grey."""
    parts = [(CATEGORY_COLOURS[row.category], row.seconds) for row in _rows(claimed)]
    rest = duration - sum(seconds for _, seconds in parts)
    left = 0.0
    for colour, width in [*parts, (NOT_BROKEN_DOWN, max(rest, 0.0))]:
        axes.barh(
            position,
            width,
            left=left,
            height=0.66,
            color=colour,
            hatch=_HATCH,
            edgecolor="white",
            linewidth=0,
        )
        left += width


def _finish(axes: Axes, levels: list[str], longest: float) -> None:
    clean_axes(axes)
    axes.set_yticks(range(len(levels)), [plain(level) for level in levels], fontsize=10)
    axes.set_ylim(len(levels) - 0.5, -0.5)
    axes.tick_params(axis="x", labelsize=9)
    # Room at the right for the longest bar's own label.
    axes.set_xlim(0, longest * 1.3)


def _draw_legend(figure: Figure, tables: Tables, *, published: bool) -> None:
    used = tables["bottlenecks"].groupby("category")["exclusive_s"].sum()
    names = set(used[used > 0].index) | (set(tables["study_split"]["category"]) if published else set())
    handles: list[Any] = [
        Patch(color=colour, label=name) for name, colour in CATEGORY_COLOURS.items() if name in names
    ]
    if published:
        handles.append(
            Patch(
                facecolor=NOT_BROKEN_DOWN, hatch=_HATCH, edgecolor="white", label="published (not comparable)"
            )
        )
    figure.legend(handles=handles, loc="outside lower left", ncols=5, frameon=False, fontsize=9)


def _panel_title(key: Any, runs: pd.DataFrame) -> str:
    """Name the cache state, and whatever else tells this panel from the others."""
    differing = [
        str(value)
        for name, value in zip(_PANEL, key, strict=True)
        if name != "cache_state" and runs[name].nunique() > 1
    ]
    told = timing(*key[:2])
    return ", ".join([f"{key[-1]} cache", *([] if told == "measured" else [told]), *differing])


def _rows(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples(index=False))
