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
from swarmlab.records.waterfall import waterfall

__all__ = [
    "CATEGORY_COLOURS",
    "PLOTS",
    "PlotOptions",
    "plots_of",
    "svg_text",
    "write_figure",
    "write_figures",
]

# A plot: a function from tables and options to a figure, and one line here.
PLOTS: dict[str, Callable[[Tables, PlotOptions], Figure]] = {
    "breakdown": breakdown,
    "gantt": gantt,
    "quality": quality,
    "waterfall": waterfall,
}
_NEEDS = {"waterfall": "ledger"}
"""Plots that are of one kind of experiment only, and the table that is empty in all others."""


def plots_of(tables: Tables) -> list[str]:
    """Return which of `PLOTS` these results have something for."""
    return [name for name in PLOTS if name not in _NEEDS or len(tables[_NEEDS[name]])]


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
    """Draw each of `plots_of` into the experiment's `figures/`, and take away any other's earlier figure.

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
    drawn = plots_of(tables)
    for name in PLOTS.keys() - set(drawn):
        for suffix in ("png", "svg"):
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    return [path for name in drawn for path in write_figure(folder, name, PLOTS[name](tables, chosen))]
