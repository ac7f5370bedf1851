"""Commands that look at what runs have cached and let it go: cache stats, list, prune, clear."""

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from swarmlab.cli.options import Json, app, new_console, print_json
from swarmlab.lab import caches as kept
from swarmlab.lab.cache_tables import entries_table, removal_lines, state_lines, stats_table

cache_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(cache_app, name="cache", help="Look at what runs have cached, and let it go.")

Place = Annotated[
    str, typer.Argument(help="A results, experiment's or cache's folder, or a database's address.")
]
Layer = Annotated[
    Literal["tools", "completions", "analyses", "known", "facts"] | None,
    typer.Option(help="Only this layer of the caches."),
]


@cache_app.command()
def stats(place: Place = "results", as_json: Json = False) -> None:
    """Say what each cache holds, how often it was used and what it saves."""
    states = kept.cache_states(place)
    if as_json:
        print_json([state.as_dict() for state in states])
        return
    new_console().print(stats_table(states))
    _say(state_lines(states))


@cache_app.command("list")
def list_entries(
    place: Place = "results",
    layer: Layer = None,
    limit: Annotated[int, typer.Option(min=0, help="Show at most so many of each cache; 0 for all.")] = 50,
    as_json: Json = False,
) -> None:
    """List the entries: what made them, their size and age, and what they cost."""
    found = kept.cache_entries(place, layer)
    if as_json:
        print_json([entries.as_dict() for entries in found])
        return
    for entries in found:
        new_console().print(entries_table(entries, limit))


@cache_app.command()
def prune(
    place: Place = "results",
    older_than: Annotated[str | None, typer.Option(help="Made longer ago: 7d, 36h, 90m.")] = None,
    tool: Annotated[str | None, typer.Option(help="Made by this tool.")] = None,
    data: Annotated[str | None, typer.Option(help="About the data of this fingerprint.")] = None,
    layer: Layer = None,
    max_bytes: Annotated[
        str | None, typer.Option(help="Keep so much of each cache, as 500MB: what was used last.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and leave it.")] = False,
) -> None:
    """Let the entries go that have all of what is given. Runs that use the cache go on."""
    pruning = kept.pruning(older_than=older_than, tool=tool, data=data, layer=layer, max_bytes=max_bytes)
    _say(removal_lines(kept.prune_caches(place, pruning, dry_run=dry_run), dry_run=dry_run))


@cache_app.command()
def clear(
    place: Place = "results",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Let all entries go, and damaged files that were set aside. Runs that use the cache go on."""
    n_caches = len(kept.find_caches(place))
    if not yes:
        typer.confirm(
            f"Remove all entries of {n_caches} {'cache' if n_caches == 1 else 'caches'}?", abort=True
        )
    _say(removal_lines(kept.clear_caches(place)))


def _say(lines: Sequence[str]) -> None:
    console = new_console()
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
