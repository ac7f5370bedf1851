"""Commands that explain and judge runs: bottlenecks, whatif, compare, certify."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from swarmlab import lab
from swarmlab.cli.options import Json, Out, app, new_console, print_json
from swarmlab.errors import UserError


@app.command()
def bottlenecks(
    path: Annotated[Path, typer.Argument(help="A run folder, a spans.jsonl, or a trace in JSON or Parquet.")],
    as_json: Json = False,
) -> None:
    """Say where the time of one run went."""
    found = lab.trace_bottlenecks(path)
    if as_json:
        print_json(found)
    else:
        for table in lab.bottlenecks_tables(found):
            new_console().print(table)


@app.command()
def whatif(
    path: Annotated[
        Path, typer.Argument(help="A run's or level's folder, a trace, or an experiment (YAML).")
    ],
    change: Annotated[
        list[str] | None,
        typer.Option(
            help="tool=2x, workers=4, no-barriers, cache=0.7, context=500, agents=2, … (repeatable)."
        ),
    ] = None,
    run: Annotated[
        int, typer.Option(help="Make the change and run it this many times beside the level.")
    ] = 0,
    as_json: Json = False,
    out: Out = Path("results"),
) -> None:
    """Predict what a change would bring; with --run make it and see. An experiment predicts, then tests."""
    console = new_console()

    def say(line: str) -> None:
        if not as_json:
            console.print(line, soft_wrap=True, highlight=False)

    if path.suffix in (".yaml", ".yml"):
        folder, table, is_tested = lab.whatif_experiment(path, out, say)
    elif run:
        (folder, table), is_tested = lab.run_change(path, change or [], run, say), True
    else:
        _show_whatif(console, lab.whatif(path, change or []), as_json=as_json)
        return
    if as_json:
        sys.stdout.write(table.to_json(orient="records", indent=2) + "\n")
        return
    console.print(lab.whatif_table(table))
    told = f"predictions are in {folder / 'predictions.json'}; the same command, given again, tests them"
    console.print(f"{folder / 'whatif.md'}" if is_tested else told, soft_wrap=True)


def _show_whatif(console: Console, told: "lab.WhatIf", *, as_json: bool) -> None:
    if as_json:
        print_json(told.as_dict())
        return
    for table in told.tables():
        console.print(table)


State = Literal["cold", "warm", "mixed"]
Levels = Annotated[Path, typer.Option(help="Results folder in which a bare name is a level.")]


@app.command()
def compare(
    a: Annotated[
        str | None, typer.Argument(help="A level, a results folder, a level's or a run's, or FOLDER:LEVEL.")
    ] = None,
    b: Annotated[str | None, typer.Argument(help="The same; how many times faster is it than A?")] = None,
    against: Annotated[
        Path | None, typer.Option(help="Reference results: has A (default: --results) become worse?")
    ] = None,
    results: Levels = Path("results/levels"),
    cache: Annotated[State | None, typer.Option(help="Only this cache state.")] = None,
    tolerance: Annotated[
        float, typer.Option(help="With --against: share of a duration that is noise.")
    ] = 0.05,
    as_json: Json = False,
) -> None:
    """Compare two sides that did the same work, or new runs with a reference (exit code 1: a regression)."""
    if against is not None:
        if b is not None:
            raise UserError("--against takes one folder of new runs; name no second side")
        guard = lab.against(a or results, against, tolerance=tolerance)
        _print(guard, as_json=as_json)
        raise typer.Exit(1 if guard.is_regression else 0)
    if a is None or b is None:
        raise UserError("compare needs two sides, or --against REFERENCE")
    _print(lab.compare(a, b, results=results, cache=cache), as_json=as_json)


@app.command()
def certify(
    a: Annotated[str, typer.Argument(help="The baseline: a level, FOLDER:LEVEL or a level's folder.")],
    b: Annotated[str, typer.Argument(help="What is to be certified against it.")],
    margin: Annotated[float, typer.Option(help="Non-inferiority margin of every quality score.")] = 0.01,
    results: Levels = Path("results/levels"),
    cache: Annotated[
        State | None, typer.Option(help="Cache state to judge; cold where both have it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write, without suffix.")] = None,
    as_json: Json = False,
) -> None:
    """Say whether B is faster than A and as good, and write that down as JSON and as a page."""
    _print(lab.certify(a, b, margin=margin, results=results, cache=cache, out=out), as_json=as_json)


def _print(found: "lab.Comparison | lab.Guard | lab.Certificate", *, as_json: bool) -> None:
    if as_json:
        print_json(found.as_dict())
    else:
        new_console().print(found)
