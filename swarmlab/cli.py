"""The command line: parses, calls one function of the laboratory, shows the answer.

Exit codes: 0 all runs succeeded, 1 a run failed, 2 the user's input was wrong, 130 interrupted.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from swarmlab import lab
from swarmlab.errors import SwarmlabError, UserError
from swarmlab.records.record import Record

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

Cache = Literal["cold", "warm", "both"]
Out = Annotated[Path, typer.Option(help="Parent of the experiment's results folder.")]


@app.callback()
def _root() -> None:
    """A performance laboratory for LLM agent swarms."""


@app.command()
def run(
    spec: Annotated[Path | None, typer.Argument(help="Experiment, YAML. Default: the four levels.")] = None,
    levels: Annotated[str | None, typer.Option(help="Comma-separated presets, e.g. blackboard,full.")] = None,
    model: Annotated[str | None, typer.Option(help="embedded[:FILE.gguf] or PROVIDER:NAME.")] = None,
    base_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible server's address.")] = None,
    data: Annotated[str | None, typer.Option(help="grocery, beverage[:ROWS], or a CSV or Parquet.")] = None,
    brief: Annotated[Path | None, typer.Option(help="Brief, a YAML file.")] = None,
    repeats: Annotated[int | None, typer.Option(help="Runs of each level and cache state.")] = None,
    cache: Annotated[Cache | None, typer.Option(help="State of the cache when a run starts.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="Make this tool fail (repeatable).")] = None,
    out: Out = Path("results"),
) -> None:
    """Run an experiment: every level on the same work, then compare and say where the time went."""
    plan = lab.plan(
        spec or lab.default_spec(),
        out=out,
        levels=_names(levels),
        model=model,
        base_url=base_url,
        data=data,
        brief=None if brief is None else str(brief.resolve()),
        repeats=repeats,
        cache=cache,
        faults=tuple(fault) if fault else None,
    )
    console = _console()
    result = _execute(console, plan)
    _show(console, result, result.terminal_tables())
    raise typer.Exit(1 if result.failed else 0)


@app.command()
def ablate(
    path: Annotated[
        Path | None,
        typer.Argument(help="Experiment, YAML, or an ablation's results. Default: blackboard to full."),
    ] = None,
    base: Annotated[str | None, typer.Option(help="Level that it begins from.")] = None,
    target: Annotated[str | None, typer.Option(help="Level that it leads to.")] = None,
    factors: Annotated[
        str | None, typer.Option(help="Comma-separated switches; '+' joins those flipped together.")
    ] = None,
    permutations: Annotated[
        int | None, typer.Option(help="Orders a repeat, where more than five factors are sampled.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="embedded[:FILE.gguf] or PROVIDER:NAME.")] = None,
    base_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible server's address.")] = None,
    data: Annotated[str | None, typer.Option(help="grocery, beverage[:ROWS], or a CSV or Parquet.")] = None,
    repeats: Annotated[int | None, typer.Option(help="Blocks, each with every combination.")] = None,
    cache: Annotated[Cache | None, typer.Option(help="State of the cache when a run starts.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ledger as JSON.")] = False,
    out: Out = Path("results"),
) -> None:
    """Say what each switch brings on the way from one level to another, in seconds, tokens and quality."""
    console = _console()
    if path is not None and path.is_dir():
        result = lab.open_results(path)
    else:
        ends = {"base": base, "target": target, "factors": _names(factors), "permutations": permutations}
        plan = lab.plan(
            path or lab.ablation_spec(),
            out=out,
            ablation=ends,
            model=model,
            base_url=base_url,
            data=data,
            repeats=repeats,
            cache=cache,
        )
        result = _execute(Console(quiet=True) if as_json else console, plan)
    if as_json:
        sys.stdout.write(json.dumps(lab.ledger_json(result), indent=2) + "\n")
    else:
        _show(console, result, lab.ledger_tables(result))
    raise typer.Exit(1 if result.failed else 0)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _execute(console: Console, plan: "lab.Plan") -> "lab.Result":
    console.print(
        f"{len(plan.cells)} runs of {len(plan.spec.levels)} levels on {plan.dataset.name} "
        f"({plan.dataset.rows:,} rows) with {plan.spec.model}; results in {plan.folder}",
        soft_wrap=True,
    )
    done: list[Record] = []

    def show(record: Record, was_there: bool) -> None:
        done.append(record)
        console.print(
            run_line(record, was_there, len(done), len(plan.cells)), soft_wrap=True, highlight=False
        )

    try:
        return lab.execute(plan, show)
    except KeyboardInterrupt:
        console.print(
            f"interrupted: {len(done)} of {len(plan.cells)} runs are kept; the same command goes on",
            soft_wrap=True,
        )
        raise typer.Exit(130) from None


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="An experiment's results folder.")]) -> None:
    """Write an experiment's tables, figures and report anew from its run folders."""
    result = lab.republish(folder)
    _show(_console(), result, result.terminal_tables())


@app.command()
def bottlenecks(
    path: Annotated[Path, typer.Argument(help="A run folder, a spans.jsonl, or a trace in JSON.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say where the time of one run went."""
    found = lab.trace_bottlenecks(path)
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        for table in lab.bottlenecks_tables(found):
            _console().print(table)


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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Out = Path("results"),
) -> None:
    """Predict what a change would bring; with --run make it and see. An experiment predicts, then tests."""
    console = _console()

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
        sys.stdout.write(json.dumps(told.as_dict(), indent=2) + "\n")
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether B is faster than A and as good, and write that down as JSON and as a page."""
    _print(lab.certify(a, b, margin=margin, results=results, cache=cache, out=out), as_json=as_json)


def _print(found: "lab.Comparison | lab.Guard | lab.Certificate", *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(found.as_dict(), indent=2) + "\n")
    else:
        _console().print(found)


def run_line(record: Record, was_there: bool, number: int, total: int) -> str:
    """One line for a finished run."""
    head = f"[{number}/{total}] {record.level:<12} {record.cache_state or '':<4} repeat {record.repeat}"
    if record.status != "ok":
        return f"{head}  FAILED  {record.error}"
    accuracy = "-" if record.decision_accuracy is None else f"{record.decision_accuracy:.2f}"
    coverage = "-" if record.fact_coverage is None else f"{record.fact_coverage:.2f}"
    line = (
        f"{head}  {record.duration_s:8.2f} s  {record.total_tokens:>6} tokens  {record.n_agents} agents  "
        f"{record.n_tool_calls} tool calls  facts {coverage}  decisions {accuracy}"
    )
    return line + ("  (on disk already)" if was_there else "")


def _console() -> Console:
    # Names and errors come from the user's files: square brackets in them are not markup.
    console = Console(markup=False, emoji=False)
    # Tables are made for 120 columns; in a pipe or a file nobody has set another width.
    return console if console.is_terminal else Console(markup=False, emoji=False, width=120)


def _show(console: Console, result: "lab.Result", tables: Sequence[Table]) -> None:
    for table in tables:
        console.print(table)
    if result.n_apart:
        console.print(
            f"{result.n_apart} runs in the folder are of other data, model, brief or code: in no table"
        )
    for record in result.failed:
        console.print(
            f"failed: {record.level} {record.run_id}: {record.error}", soft_wrap=True, highlight=False
        )
    console.print(f"report: {result.folder / 'report.html'}", soft_wrap=True)


def main() -> None:
    """Entry point: errors that swarmlab raises become one clear line and an exit code, never a traceback."""
    try:
        app()
    except SwarmlabError as error:
        sys.stderr.write(f"swarmlab: {' '.join(str(error).split())}\n")
        sys.exit(error.exit_code)
