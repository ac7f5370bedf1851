"""The application that the commands join, the options that several share, and the console they print on."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

Cache = Literal["cold", "warm", "both"]
Model = Annotated[
    str | None, typer.Option(help="embedded[:FILE.gguf], simulated[:PROFILE] or PROVIDER:NAME.")
]
BaseUrl = Annotated[str | None, typer.Option(help="An OpenAI-compatible server's address.")]
Data = Annotated[str | None, typer.Option(help="grocery, beverage[:ROWS], or a CSV or Parquet.")]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Processes for simulated runs; real ones go one at a time.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Out = Annotated[Path, typer.Option(help="Parent of the experiment's results folder.")]


@app.callback()
def _root() -> None:
    """A performance laboratory for LLM agent swarms."""


def new_console() -> Console:
    """A console for tables that were made for 120 columns."""
    # Names and errors come from the user's files: square brackets in them are not markup.
    console = Console(markup=False, emoji=False)
    # In a pipe or a file nobody has set another width.
    return console if console.is_terminal else Console(markup=False, emoji=False, width=120)


def names_in(text: str | None) -> list[str] | None:
    """The names of a comma-separated list; None for an option that was not given."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
