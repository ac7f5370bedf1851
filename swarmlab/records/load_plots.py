"""Plots of a capacity experiment: latency against load, and throughput against users with the fitted law."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from swarmlab.records.pairs import level_key
from swarmlab.records.palette import new_figure, plain
from swarmlab.records.scalability import usl_throughput

__all__ = ["LOAD_PLOTS", "load_plot", "scalability_plot"]

Answers = Mapping[str, Sequence[Mapping[str, Any]]]

# Okabe and Ito's palette, as the other plots; yellow is left out, for it is too pale for lines.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#777777")
_MARKERS = "osD^vPX*"


def load_plot(steps: pd.DataFrame, answers: Answers, profile: str) -> Figure:
    """Draw latency and failures against the rate of arrivals.

    Parameters
    ----------
    steps
        The table `capacity.csv`.
    answers
        `knees` among them.
    profile
        As in the tables, `simulated:NAME`.

    Returns
    -------
    Figure
        Above, the percentile of the service level (solid) and the median (dotted) of each level; the service
        level is the black line, the knee's bracket a pale band. Below, the share that failed. Several seeds
        are averaged at a rate; where no median or percentile is known there is no mark.
    """
    own = steps[(steps["profile"] == profile) & (steps["kind"] == "open") & (steps["purpose"] != "limit")]
    figure = new_figure(620)
    figure.suptitle(plain(f"{profile}: latency against load"), fontsize=13, x=0.01, ha="left")
    if own.empty:
        return _nothing(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    percentile, wanted_s = (own[name].iloc[0] for name in ("slo_percentile", "slo_latency_s"))
    for colour, marker, level in _styles(own):
        rows = own[own["level"] == level].groupby("rate_per_h")[
            ["latency_slo_s", "latency_p50_s", "error_rate"]
        ]
        means = rows.mean().sort_index()
        style = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.3}
        above.plot(means.index, means["latency_slo_s"], label=plain(f"{level}, p{percentile:g}"), **style)
        above.plot(
            means.index,
            means["latency_p50_s"],
            label=plain(f"{level}, median"),
            **(style | {"linestyle": ":", "markersize": 2}),
        )
        below.plot(means.index, means["error_rate"] * 100, **style)
        for knee in answers["knees"]:
            is_own = knee["profile"] == profile and knee["level"] == level
            if is_own and knee["met_per_h"] and knee["missed_per_h"]:
                above.axvspan(knee["met_per_h"], knee["missed_per_h"], color=colour, alpha=0.25, linewidth=0)
    _label_load(above, below, wanted_s)
    _finish(figure, (above, below), 4)
    return figure


def _label_load(above: Axes, below: Axes, wanted_s: float) -> None:
    """The service level, and what the axes of a load plot are."""
    above.axhline(wanted_s, color="black", linewidth=1)
    above.annotate(
        f"service level, {wanted_s:g} s",
        (1, wanted_s),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
    )
    above.set_xscale("log")
    above.set_yscale("log")
    for axis in (above.xaxis, above.yaxis):
        # A load may span less than a decade, which has one mark or none of its own.
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    above.set_ylabel("simulated seconds from the intended start", fontsize=9)
    below.set_ylabel("failed, %", fontsize=9)
    below.set_ylim(-3, 103)
    below.set_xlabel("analyses an hour that arrive", fontsize=9)


def scalability_plot(steps: pd.DataFrame, answers: Answers, profile: str) -> Figure:
    """Draw throughput against users in a closed loop, with the fitted law up to the most users simulated.

    Parameters and result as of `load_plot`; `answers` has `scalability`.
    """
    own = steps[(steps["profile"] == profile) & (steps["kind"] == "closed")]
    figure = new_figure(460)
    figure.suptitle(plain(f"{profile}: throughput against users"), fontsize=13, x=0.01, ha="left")
    if own.empty:
        return _nothing(figure)
    axes = figure.subplots()
    fits = {one["level"]: one["fit"] for one in answers["scalability"] if one["profile"] == profile}
    for colour, marker, level in _styles(own):
        rows = own[own["level"] == level]
        label = plain(f"{level}, simulated")
        axes.plot(
            rows["n_users"], rows["throughput_per_h"], marker, color=colour, markersize=4.5, label=label
        )
        fit = fits.get(level)
        if fit is not None:
            users = np.geomspace(1, fit["largest_users"], 200)
            fitted = usl_throughput(
                users, *(fit[name]["value"] for name in ("per_user", "contention", "coherency"))
            )
            law = (
                f"{level}, law: contention {fit['contention']['value']:.2g}, "
                f"coherency {fit['coherency']['value']:.2g}"
            )
            axes.plot(users, fitted, color=colour, linewidth=1.2, label=plain(law))
    axes.set_xscale("log", base=2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("users at once, each asking again without a pause", fontsize=9)
    axes.set_ylabel("analyses in a simulated hour", fontsize=9)
    _finish(figure, (axes,), 2)
    return figure


# A plot of one profile: a function from steps, answers and profile to a figure, and one line here.
LOAD_PLOTS: dict[str, Callable[[pd.DataFrame, Answers, str], Figure]] = {
    "load": load_plot,
    "scalability": scalability_plot,
}


def _styles(own: pd.DataFrame) -> list[tuple[str, str, str]]:
    levels = sorted(own["level"].unique(), key=level_key)
    return [
        (_COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)], level)
        for place, level in enumerate(levels)
    ]


def _nothing(figure: Figure) -> Figure:
    figure.text(0.01, 0.5, "Nothing of this was simulated.", fontsize=10)
    return figure


def _finish(figure: Figure, panels: Sequence[Axes], columns: int) -> None:
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#E5E5E5", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=9)
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
                axis.set_minor_formatter(NullFormatter())
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=columns, frameon=False, fontsize=8.5)
