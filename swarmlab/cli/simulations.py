"""Commands about simulated models and what is simulated with them: calibrate, capacity."""

from pathlib import Path
from typing import Annotated

import typer

from swarmlab import lab
from swarmlab.cli.options import Out, app, new_console


@app.command()
def calibrate(
    spec: Annotated[Path | None, typer.Argument(help="Calibration, YAML.")] = None,
    profile: Annotated[Path | None, typer.Option(help="Write the fitted profile here too.")] = None,
    fit_only: Annotated[bool, typer.Option("--fit-only", help="Neither predict nor test.")] = False,
    out: Out = Path("results"),
) -> None:
    """Fit a profile to measured runs and predict held-out ones; given again, make those runs and compare."""
    console = new_console()
    told = lab.calibrate(
        spec,
        out,
        lambda line: console.print(line, soft_wrap=True, highlight=False),
        profile=profile,
        fit_only=fit_only,
    )
    for table in told.terminal_tables():
        console.print(table)
    console.print(f"{told.folder} ({told.stage})", soft_wrap=True)
