"""What every plot shares: one fixed colour a category, the figure's size, and text that stays text."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from swarmlab.records.timing import is_simulated, timings

__all__ = [
    "CATEGORY_COLOURS",
    "NOT_BROKEN_DOWN",
    "PlotOptions",
    "clean_axes",
    "new_figure",
    "plain",
    "seconds_label",
    "simulated_prefix",
]

# Okabe and Ito's palette, told apart under every common colour blindness, with Tol's wine and two greys.
# Source: Okabe & Ito, "Color Universal Design" (2008); Tol, "Colour Schemes" (SRON/EPS/TN/09-002).
CATEGORY_COLOURS: Mapping[str, str] = {
    "tool": "#0072B2",
    "model_queue": "#CC79A7",
    "model_prefill": "#F0E442",
    "model_decode": "#E69F00",
    "context": "#009E73",
    "coordination": "#56B4E9",
    "barrier": "#D55E00",
    "result": "#882255",
    "framework": "#777777",
    "idle": "#DDDDDD",
}
NOT_BROKEN_DOWN = "#BBBBBB"
_DPI = 100


@dataclass(frozen=True, slots=True)
class PlotOptions:
    """What a plot may be told; every plot takes the same and uses what concerns it.

    `margin` is the declared non-inferiority margin of decision accuracy (None draws none); `run_id` the run
    to draw as a Gantt chart (None lets the plot choose).
    """

    margin: float | None = None
    run_id: str | None = None


class Plot(Figure):
    """A figure that a notebook shows as a picture without pyplot, and names the same whatever its size."""

    def __repr__(self) -> str:
        return "<swarmlab plot>"

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()


def new_figure(height_px: float, width_px: float = 900) -> Figure:
    """Return an empty figure with a canvas of its own, so that no plot touches pyplot's global state."""
    figure = Plot(figsize=(width_px / _DPI, height_px / _DPI), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain(text: Any) -> str:
    """Return text that matplotlib shows as it is: a dollar sign in a name starts no formula."""
    return str(text).replace("$", r"\$")


def simulated_prefix(runs: pd.DataFrame) -> str:
    """Return "Simulated: PROFILE. " when any of the runs was on a virtual clock, else nothing."""
    if not is_simulated(runs):
        return ""
    said = " and ".join(timings(runs))
    return f"{said[0].upper()}{said[1:]}. "


def seconds_label(runs: pd.DataFrame) -> str:
    """Return the label of a time axis; virtual seconds say that they are simulated."""
    return "simulated seconds" if is_simulated(runs) else "seconds"


def clean_axes(axes: Axes) -> None:
    """Leave only what helps reading: no box, faint vertical lines behind the marks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)
