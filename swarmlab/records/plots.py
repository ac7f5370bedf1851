"""Every plot as a function from tables to a figure. `PLOTS` is the registry."""

import io
from collections.abc import Callable
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from swarmlab.records.atomic import replacing, write_text
from swarmlab.records.breakdown import breakdown
from swarmlab.records.gantt import gantt
from swarmlab.records.palette import CATEGORY_COLOURS, PlotOptions
from swarmlab.records.quality import quality
from swarmlab.records.tables import Tables

__all__ = ["CATEGORY_COLOURS", "PLOTS", "PlotOptions", "svg_text", "write_figure", "write_figures"]

# A plot: a function from tables and options to a figure, and one line here.
PLOTS: dict[str, Callable[[Tables, PlotOptions], Figure]] = {
    "breakdown": breakdown,
    "gantt": gantt,
    "quality": quality,
}


def svg_text(figure: Figure) -> str:
    """Return the figure as SVG whose bytes depend on nothing but the figure, with its text as text."""
    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": "swarmlab", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def write_figure(folder: Path, name: str, figure: Figure) -> tuple[Path, Path]:
    """Write `name`.png and `name`.svg, each in one step.

    Raises
    ------
    StoreError
        The place cannot be written.
    """
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    with replacing(png) as temporary:
        figure.savefig(temporary, metadata={"Software": None})
    write_text(svg, svg_text(figure))
    return png, svg


def write_figures(experiment_dir: Path, tables: Tables, options: PlotOptions | None = None) -> list[Path]:
    """Draw every plot of `PLOTS` into the experiment's `figures/`.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    StoreError
        The place cannot be written, or the run that `options` names is not there.
    """
    chosen = options or PlotOptions()
    folder = experiment_dir / "figures"
    return [path for name, draw in PLOTS.items() for path in write_figure(folder, name, draw(tables, chosen))]
