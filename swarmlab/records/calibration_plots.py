"""Figures of a calibration: model calls with their residuals, and held-out runs beside their predictions."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swarmlab.records.palette import CATEGORY_COLOURS, clean_axes, new_figure, plain

__all__ = ["calls_figure", "held_out_figure"]

_PURPOSES = ("decide", "summarise", "draft")
_COLOURS = dict(zip(_PURPOSES, ("#0072B2", "#009E73", "#D55E00"), strict=True))
_OTHER = CATEGORY_COLOURS["framework"]


def calls_figure(calls: pd.DataFrame) -> Figure:
    """Draw measured calls over the fit, and what the fit leaves.

    Parameters
    ----------
    calls
        `prefill_tokens`, `cached_tokens`, `decode_tokens`, `prefill_s`, `decode_s`, `prefill_fit_s`,
        `decode_fit_s` and `purpose`, one row a call.

    Returns
    -------
    Figure
        Above: seconds of prefill by tokens computed, and milliseconds a token of decode by tokens of the
        prompt, calls as dots and the fit as small black ones. Below: measured over fitted seconds, less 1.
    """
    figure = new_figure(720)
    axes = figure.subplots(2, 2, sharex="col")
    prompt = calls["prefill_tokens"] + calls["cached_tokens"]
    written = (calls["decode_tokens"] - 1).clip(lower=1)
    per_token = {name: 1000 * calls[name] / written for name in ("decode_s", "decode_fit_s")}
    _dots(axes[0, 0], calls, calls["prefill_tokens"], calls["prefill_s"])
    _fit(axes[0, 0], calls["prefill_tokens"], calls["prefill_fit_s"])
    _dots(axes[0, 1], calls, prompt, per_token["decode_s"])
    _fit(axes[0, 1], prompt, per_token["decode_fit_s"])
    _dots(axes[1, 0], calls, calls["prefill_tokens"], 100 * (calls["prefill_s"] / calls["prefill_fit_s"] - 1))
    decode_error = 100 * (calls["decode_s"] / calls["decode_fit_s"].where(calls["decode_fit_s"] > 0) - 1)
    _dots(axes[1, 1], calls, prompt, decode_error)
    axes[0, 0].set_ylabel("prefill, s")
    axes[0, 1].set_ylabel("decode, ms a token")
    for place, label in enumerate(("tokens prefilled", "tokens of the prompt")):
        axes[1, place].set_xlabel(label)
        axes[1, place].set_ylabel("residual, %")
        axes[1, place].axhline(0, color="black", linewidth=0.8)
        axes[1, place].set_ylim(-50, 50)
    figure.suptitle(f"{len(calls):,} model calls and their fit (black)", fontsize=13, x=0.01, ha="left")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=4, frameon=False, fontsize=9)
    return figure


def _dots(axes: Axes, calls: pd.DataFrame, x: pd.Series, y: pd.Series) -> None:
    clean_axes(axes)
    for purpose, part in calls.groupby("purpose"):
        colour = _COLOURS.get(str(purpose), _OTHER)
        # Thousands of dots as shapes would make the SVG megabytes long.
        axes.scatter(
            x[part.index], y[part.index], s=5, alpha=0.4, color=colour, label=plain(purpose), rasterized=True
        )


def _fit(axes: Axes, x: pd.Series, y: pd.Series) -> None:
    order = np.argsort(x.to_numpy())
    axes.scatter(x.to_numpy()[order], y.to_numpy()[order], s=1.5, color="black", rasterized=True)


def held_out_figure(frame: pd.DataFrame) -> Figure:
    """Draw each held-out run's measured seconds over the prediction's, with lines at 0, ±5 and ±10 per cent.

    Parameters
    ----------
    frame
        As `swarmlab.records.calibration.held_out_frame` gives it.
    """
    groups = list(frame.groupby(["level", "work"], sort=False))
    figure = new_figure(120 + 26 * len(groups))
    axes = figure.subplots()
    clean_axes(axes)
    for place, (_, runs) in enumerate(groups):
        axes.plot(100 * runs["error"], [place] * len(runs), "o", color="#0072B2", markersize=5, alpha=0.8)
    axes.set_yticks(
        range(len(groups)), [plain(f"{level}, {work}") for (level, work), _ in groups], fontsize=9
    )
    axes.set_ylim(len(groups) - 0.5, -0.5)
    for at, style in ((0, "-"), (5, "--"), (10, ":")):
        for side in {at, -at}:
            axes.axvline(side, color="black", linewidth=0.8, linestyle=style)
    reach = max(12.0, 110 * float(frame["error"].abs().max()))
    axes.set_xlim(-reach, reach)
    axes.set_xlabel("simulated over measured seconds, less 1, %")
    figure.suptitle("Held-out runs: error of the predicted duration", fontsize=13, x=0.01, ha="left")
    return figure
