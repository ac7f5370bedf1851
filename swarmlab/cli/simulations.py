"""Commands about simulated models and what is simulated with them: calibrate, capacity."""

from pathlib import Path
from typing import Annotated

import typer

from swarmlab import lab
from swarmlab.cli.options import Data, Json, Out, app, names_in, new_console, print_json


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


@app.command()
def capacity(
    spec: Annotated[
        Path | None, typer.Argument(help="Load, YAML. Default: experiments/capacity.yaml.")
    ] = None,
    profiles: Annotated[str | None, typer.Option(help="Comma-separated profiles.")] = None,
    levels: Annotated[str | None, typer.Option(help="Comma-separated presets.")] = None,
    data: Data = None,
    rates: Annotated[str | None, typer.Option(help="Comma-separated analyses per hour.")] = None,
    users: Annotated[int | None, typer.Option(help="Arrivals a step, up to 10,000.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of arrivals, mix and jitter.")] = None,
    as_json: Json = False,
    out: Out = Path("results"),
) -> None:
    """Simulate a load: latency, the knee, how many users, which limit to buy, how throughput scales."""
    console = new_console()

    def say(line: str) -> None:
        if not as_json:
            console.print(line, soft_wrap=True, highlight=False)

    try:
        result = lab.capacity(
            spec,
            out=out,
            say=say,
            profiles=names_in(profiles),
            levels=names_in(levels),
            data=data,
            rates=names_in(rates),
            users=users,
            seed=seed,
        )
    except KeyboardInterrupt:
        console.print("interrupted: nothing was written")
        raise typer.Exit(130) from None
    if as_json:
        print_json(result.as_dict())
        return
    for table in result.terminal_tables():
        console.print(table)
    console.print(f"{result.folder / 'capacity.md'}", soft_wrap=True)
