"""Several runs of one cell at once on one model: what each takes when they share it."""

import asyncio
from collections.abc import Sequence

from swarmlab.errors import ModelError
from swarmlab.lab.experiment import Cell
from swarmlab.lab.measure import run_together
from swarmlab.trace.spans import Span


def measure_together(cell: Cell, runs: int) -> list[Sequence[Span]]:
    """Start `runs` runs of a cell at once in this process, on one loaded model; no run folder is written.

    Call it in a process that does nothing else.

    Returns
    -------
    list
        The spans of each run.

    Raises
    ------
    ModelError
        A run failed.
    UserError
        The data or the model cannot be used.
    """
    measured = asyncio.run(run_together(cell, runs))
    for one in measured:
        if one.error is not None:
            raise ModelError(f"one of {runs} runs at once failed: {one.error}")
    return [one.spans for one in measured]
