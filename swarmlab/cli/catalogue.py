"""The command about the tool catalogue: tools."""

from typing import Annotated

import typer

from swarmlab import lab
from swarmlab.cli.options import Data, Json, app, new_console, print_json


@app.command()
def tools(
    name: Annotated[str | None, typer.Argument(help="One tool, with its definition.")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List the tools: what each finds, needs and rests on, and with --data whether the data allow it."""
    listed = lab.list_tools(name, data)
    if as_json:
        print_json([one.as_dict() for one in listed])
        return
    console = new_console()
    if name is None:
        console.print(lab.tools_table(listed))
    else:
        console.print(lab.tool_text(listed[0]), soft_wrap=True, highlight=False)
