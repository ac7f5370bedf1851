"""The command line: parses, calls one function of the laboratory, shows the answer.

Exit codes: 0 all runs succeeded, 1 a run failed, 2 the user's input was wrong, 130 interrupted.
"""

import sys

# Commands are listed in the order in which their modules are imported.
from swarmlab.cli import runs  # isort: skip
from swarmlab.cli import analyses, caches, catalogue, simulations
from swarmlab.cli.options import app
from swarmlab.errors import SwarmlabError

__all__ = ["analyses", "app", "caches", "catalogue", "main", "runs", "simulations"]


def main() -> None:
    """Entry point: errors that swarmlab raises become one clear line and an exit code, never a traceback."""
    try:
        app()
    except SwarmlabError as error:
        sys.stderr.write(f"swarmlab: {' '.join(str(error).split())}\n")
        sys.exit(error.exit_code)
