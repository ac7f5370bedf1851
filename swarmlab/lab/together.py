"""Several runs at once on one model: what each takes when they share it."""

from collections.abc import Sequence

from swarmlab.errors import ModelError
from swarmlab.lab.experiment import Cell
from swarmlab.lab.measure import run_together
from swarmlab.trace.spans import Span


def measure_together(cells: Sequence[Cell]) -> list[Sequence[Span]]:
    """Start one run of each cell at once in this process, on one loaded model; no run folder is written.

    Call it in a process that does nothing else. The cells should ask different things: of equal prompts the
    model's prefix cache would prefill only the first.

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
    measured = run_together(cells)
    for one in measured:
        if one.error is not None:
            raise ModelError(f"one of {len(cells)} runs at once failed: {one.error}")
    return [one.spans for one in measured]
