"""The quality plot: decision accuracy against duration, so that a faster level is seen with what it cost."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from swarmlab.records.comparison import BASELINE, level_key
from swarmlab.records.palette import PlotOptions, new_figure, plain, seconds_label, simulated_prefix
from swarmlab.records.tables import Tables

__all__ = ["quality"]

_HEIGHT_PX = 540
_STYLES = {"cold": ("o", "#0072B2"), "warm": ("s", "#D55E00"), "mixed": ("^", "#009E73")}
_OFFSETS = [
    (10, 0), (-10, 0), (0, 12), (0, -12), (10, 14), (10, -14), (-10, 14), (-10, -14),
    (14, 30), (14, -30), (-14, 30), (-14, -30), (14, 48), (14, -48), (-14, 48), (-14, -48),
]  # fmt: skip
"""Where a label may stand beside its point, in points, best first."""
_MANY, _NEAR = 12, 8
"""With many levels (an ablation has up to 32) a label stands at one of the nearest places or not at all."""


def quality(tables: Tables, options: PlotOptions) -> Figure:
    """Draw decision accuracy against median duration, one large mark a level and cache state.

    Parameters
    ----------
    tables
        `runs` and `comparison`.
    options
        `margin` shades what is worse than the baseline by more than the declared non-inferiority margin.

    Returns
    -------
    Figure
        Small marks are single runs. The keyword router's and chance's scores are horizontal lines. Among
        measured runs simulated ones are left out.
    """
    runs, rows = tables["runs"], tables["comparison"]
    shown = rows[(rows["kind"] != "published") & rows["decision_accuracy"].notna() & (rows["n"] > 0)]
    if len(set(shown["clock"])) > 1:
        # One axis for one clock: measured and simulated seconds are never set side by side.
        runs, shown = runs[runs["clock"] == "wall"], shown[shown["clock"] == "wall"]
    figure = new_figure(_HEIGHT_PX)
    title = f"{simulated_prefix(runs)}Quality beside speed"
    figure.suptitle(title, fontsize=13, x=0.01, ha="left")
    if shown.empty:
        figure.text(0.01, 0.5, "No successful run has a decision accuracy.", fontsize=10)
        return figure
    axes = figure.subplots()
    _draw_points(axes, runs, shown)
    _draw_lines(axes, shown, options.margin)
    _scale(axes, shown)
    axes.set_xlabel(f"duration, {seconds_label(runs)} (median)", fontsize=9)
    axes.set_ylabel("decision accuracy (share of questions right)", fontsize=9)
    figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=9)
    _place_labels(figure, axes, runs, shown)
    return figure


def _draw_points(axes: Axes, runs: pd.DataFrame, shown: pd.DataFrame) -> None:
    succeeded = _measured(runs)
    for cache, (marker, colour) in _STYLES.items():
        single = succeeded[succeeded["cache_state"] == cache]
        axes.scatter(
            single["duration_s"], single["decision_accuracy"], s=14, marker=marker, color=colour, alpha=0.35
        )
        rows = shown[shown["cache_state"] == cache]
        if len(rows):
            axes.scatter(
                rows["duration_median_s"],
                rows["decision_accuracy"],
                s=90,
                marker=marker,
                color=colour,
                edgecolor="white",
                zorder=3,
                label=f"{cache} cache",
            )


def _measured(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[(runs["status"] == "ok") & runs["decision_accuracy"].notna()]


def _draw_lines(axes: Axes, shown: pd.DataFrame, margin: float | None) -> None:
    for name, style in (("keyword", "--"), ("chance", ":")):
        score = shown[f"{name}_accuracy"].mean()
        if pd.notna(score):
            axes.axhline(
                score, color="#555555", linestyle=style, linewidth=1, label=f"{name} score {score:.2f}"
            )
    baseline = shown.loc[shown["level"] == BASELINE, "decision_accuracy"].mean()
    if margin is not None and pd.notna(baseline):
        limit = float(baseline) - margin
        label = f"worse than {BASELINE} by over the margin of {margin:g}"
        axes.axhspan(-1, limit, color="#D55E00", alpha=0.08, linewidth=0, label=label)


def _scale(axes: Axes, shown: pd.DataFrame) -> None:
    durations = shown["duration_median_s"]
    if durations.min() > 0 and durations.max() / durations.min() > 8:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(left=0)
    axes.margins(x=0.12)
    axes.set_ylim(-0.03, 1.03)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)


def _place_labels(figure: Figure, axes: Axes, runs: pd.DataFrame, shown: pd.DataFrame) -> None:
    """Put each level's name beside its mark, at the first place free of other names and marks."""
    figure.draw_without_rendering()
    single = _measured(runs)
    # The presets first: where there is no room for all names, theirs are the ones to read.
    shown = shown.sort_values("level", key=lambda levels: levels.map(level_key), kind="stable")
    offsets = _OFFSETS if len(shown) <= _MANY else _OFFSETS[:_NEAR]
    points = list(zip(shown["duration_median_s"], shown["decision_accuracy"], strict=True))
    marks = [(point, 14) for point in points]
    marks += [(point, 6) for point in zip(single["duration_s"], single["decision_accuracy"], strict=True)]
    taken = []
    for point, size in marks:
        x, y = axes.transData.transform(point)
        taken.append(Bbox.from_bounds(x - size / 2, y - size / 2, size, size))
    for point, level in zip(points, shown["level"], strict=True):
        label = axes.annotate(
            plain(level),
            point,
            xytext=_OFFSETS[0],
            textcoords="offset points",
            fontsize=9,
            va="center",
            zorder=4,
            # Readable where it crosses a score's line.
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
        )
        if _settle(label, axes, taken, offsets) or len(shown) <= _MANY:
            taken.append(label.get_window_extent())
        else:
            label.set_visible(False)


def _settle(label: Annotation, axes: Axes, taken: Sequence[Bbox], offsets: Sequence[tuple[int, int]]) -> bool:
    """Move a label to the first free place; says whether there is one, and else leaves it at the last."""
    inside = axes.get_window_extent()
    for dx, dy in offsets:
        label.set_position((dx, dy))
        label.set_horizontalalignment("left" if dx > 0 else "right" if dx < 0 else "center")
        box = label.get_window_extent()
        fits = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
        if fits and not any(box.overlaps(other) for other in taken):
            return True
    return False
