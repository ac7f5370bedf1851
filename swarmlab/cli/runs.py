"""Commands that run experiments or read their results: run, ablate, report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from swarmlab import lab
from swarmlab.cli.options import (
    BaseUrl,
    Cache,
    Data,
    Jobs,
    Model,
    Out,
    app,
    names_in,
    new_console,
    print_json,
)
from swarmlab.errors import UserError
from swarmlab.records.record import Record


@app.command()
def run(
    spec: Annotated[Path | None, typer.Argument(help="Experiment, YAML. Default: the four levels.")] = None,
    levels: Annotated[str | None, typer.Option(help="Comma-separated presets, e.g. blackboard,full.")] = None,
    model: Model = None,
    base_url: BaseUrl = None,
    data: Data = None,
    brief: Annotated[Path | None, typer.Option(help="Brief, a YAML file.")] = None,
    repeats: Annotated[int | None, typer.Option(help="Runs of each level and cache state.")] = None,
    cache: Annotated[Cache | None, typer.Option(help="State of the cache when a run starts.")] = None,
    cache_place: Annotated[
        str | None, typer.Option(help="Folder or database address that warm runs share.")
    ] = None,
    jobs: Jobs = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="Break a tool: TOOL or TOOL:fail|hang|garbage|flaky (repeatable)."),
    ] = None,
    tool_timeout: Annotated[float | None, typer.Option(help="Seconds for one tool call.")] = None,
    deadline: Annotated[float | None, typer.Option(help="Seconds for one run.")] = None,
    out: Out = Path("results"),
) -> None:
    """Run an experiment: every level on the same work, then compare and say where the time went."""
    console = new_console()
    if lab.is_phases_spec(spec):
        _run_phases(console, spec, out, {"levels": levels, "model": model, "data": data, "brief": brief})
        return
    plan = lab.plan(
        spec or lab.default_spec(),
        out=out,
        levels=names_in(levels),
        model=model,
        base_url=base_url,
        data=data,
        brief=None if brief is None else str(brief.resolve()),
        repeats=repeats,
        cache=cache,
        cache_place=cache_place,
        faults=tuple(fault) if fault else None,
        tool_timeout_s=tool_timeout,
        deadline_s=deadline,
    )
    result = _execute(console, plan, jobs)
    _show(console, result, result.terminal_tables())
    raise typer.Exit(1 if result.failed else 0)


def _run_phases(console: Console, spec: Path | None, out: Path, given: Mapping[str, object]) -> None:
    for option, value in given.items():
        if value is not None:
            raise UserError(f"an experiment on phases says its own {option}: change it in {spec}")
    folder, tables = lab.run_phases(spec or Path(), out, lambda line: console.print(line, soft_wrap=True))
    for table in lab.phases_terminal(tables):
        console.print(table)
    console.print(f"{folder / 'phases.md'}", soft_wrap=True)


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
    model: Model = None,
    base_url: BaseUrl = None,
    data: Data = None,
    repeats: Annotated[int | None, typer.Option(help="Blocks, each with every combination.")] = None,
    cache: Annotated[Cache | None, typer.Option(help="State of the cache when a run starts.")] = None,
    jobs: Jobs = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ledger as JSON.")] = False,
    out: Out = Path("results"),
) -> None:
    """Say what each switch brings on the way from one level to another, in seconds, tokens and quality."""
    console = new_console()
    if path is not None and path.is_dir():
        result = lab.open_results(path)
    else:
        ends = {"base": base, "target": target, "factors": names_in(factors), "permutations": permutations}
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
        result = _execute(Console(quiet=True) if as_json else console, plan, jobs)
    if as_json:
        print_json(lab.ledger_json(result))
    else:
        _show(console, result, lab.ledger_tables(result))
    raise typer.Exit(1 if result.failed else 0)


def _execute(console: Console, plan: "lab.Plan", jobs: int | None) -> "lab.Result":
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
        return lab.execute(plan, show, jobs)
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
    _show(new_console(), result, result.terminal_tables())


def run_line(record: Record, was_there: bool, number: int, total: int) -> str:
    """One line for a finished run."""
    head = f"[{number}/{total}] {record.level:<12} {record.cache_state or '':<4} repeat {record.repeat}"
    if record.status != "ok":
        return f"{head}  FAILED  {record.error}"
    accuracy = "-" if record.decision_accuracy is None else f"{record.decision_accuracy:.2f}"
    coverage = "-" if record.fact_coverage is None else f"{record.fact_coverage:.2f}"
    unit = " simulated" if record.clock == "virtual" else ""
    line = (
        f"{head}  {record.duration_s:8.2f} s{unit}  {record.total_tokens:>6} tokens  "
        f"{record.n_agents} agents  {record.n_tool_calls} tool calls  facts {coverage}  decisions {accuracy}"
    )
    return line + ("  (on disk already)" if was_there else "")


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
