"""Simulated runs in this process, without kernels and files: for hundreds of runs, or many at once."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from swarmlab.agents.levels import LEVELS
from swarmlab.agents.tool_runs import ToolAnswers
from swarmlab.data import open_dataset
from swarmlab.errors import SpecError
from swarmlab.lab.experiment import Cell, expand, load_spec
from swarmlab.lab.measure import Bench, Measured, record_of, run_once, set_up
from swarmlab.lab.version import code_version
from swarmlab.lab.work import Known, Work, fact_store, known_of, set_work
from swarmlab.models.author import Author
from swarmlab.models.simulated import SimulatedChat
from swarmlab.records.record import Record
from swarmlab.tools import Scope
from swarmlab.tools.cache import Cache
from swarmlab.trace.clock import VirtualClock

SHOWN = (
    *("level", "repeat", "status", "timing", "duration_s", "total_tokens", "n_agents"),
    *("n_tool_calls", "n_model_calls", "cost_usd", "fact_coverage", "groundedness", "decision_accuracy"),
)
"""What `simulate_levels` shows of a record."""


class Simulator:
    """Runs cells of simulated models; what they have in common (data, exams, tools' facts) is made once.

    A cell run here and by `measure` gives the same spans and the same record.

    Parameters
    ----------
    experiment
        Results folder that keeps the facts for the next process; None keeps them in memory.
    """

    def __init__(self, experiment: Path | None = None) -> None:
        self._store = Cache(None, ("known", "facts")) if experiment is None else fact_store(experiment)
        self._answers = ToolAnswers(self._store, code_version().sources)
        self._works: dict[tuple[str, str, str, int], Work] = {}
        self._known: dict[tuple[str, str, Scope, tuple[str, ...]], Known] = {}
        self._authors: dict[tuple[str, str, str | None], Author] = {}

    def run(self, cell: Cell, cache: Cache | None = None) -> tuple[Record, Measured]:
        """Run a cell alone, in a world of its own: an idle machine and a provider nobody has called.

        Parameters
        ----------
        cache
            What earlier runs left; without it the run is cold and leaves nothing on disk.

        Raises
        ------
        UserError
            The cell's model is not simulated, or its data, profile or brief cannot be used.
        """
        clock = VirtualClock()
        bench = self.bench(cell, clock)
        used = Cache(None, cell.level.cache) if cache is None else cache
        with lean_memory():
            measured = clock.run(run_once(cell, bench, clock, used))
        if cache is None:
            used.close()
        return record_of(cell, bench, measured), measured

    def bench(self, cell: Cell, clock: VirtualClock) -> Bench:
        """A new world for a cell and whatever else is to run beside it (see `at`)."""
        if not cell.is_virtual:
            raise SpecError(f"only a simulated model can be simulated, not {cell.model!r}")
        # A profile that was changed on disk since has another hash.
        key = (cell.model, cell.profile_hash, cell.base_url)
        bench = set_up(cell, clock, self.work(cell), self._authors.get(key))
        if isinstance(bench.model.chat, SimulatedChat):
            self._authors[key] = bench.model.chat.server.author
        return replace(bench, answers=self._answers)

    def at(self, bench: Bench, cell: Cell) -> Bench:
        """The same world, for another cell's work."""
        return replace(bench, work=self.work(cell))

    def work(self, cell: Cell) -> Work:
        """Data and exam of a cell, made at its first use."""
        key = (cell.data, cell.data_fingerprint, cell.brief.model_dump_json(), cell.seed)
        if key not in self._works:
            # Exams differ by seed, and what is true does not.
            about = (cell.data, cell.data_fingerprint, cell.brief.scope, cell.brief.plan)
            if about not in self._known:
                self._known[about] = known_of(cell, self._store)
            self._works[key] = set_work(cell, self._known[about])
        return self._works[key]


@contextmanager
def lean_memory() -> Iterator[None]:
    """Have the collector look rarely, and only at what is made meanwhile, or it takes a third of the time."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(500_000, 10, 10)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def simulate(cells: Iterable[Cell]) -> list[Record]:
    """Run cells of simulated models one after the other, each cold and in a world of its own."""
    simulator = Simulator()
    return [simulator.run(cell)[0] for cell in cells]


def simulate_levels(
    profile: str = "", *, data: str = "grocery", levels: Sequence[Any] = tuple(LEVELS), repeats: int = 1
) -> pd.DataFrame:
    """Simulate levels on a profile, cold, in this process.

    Parameters
    ----------
    profile
        A profile's name or file; empty for the default one.
    levels
        Presets' names or definitions of levels.
    repeats
        Runs of each level; each has a jitter of its own.

    Returns
    -------
    pandas.DataFrame
        One row a run, with the columns of `runs` that say what it did, how long it took in simulated seconds
        and how good the answer was.
    """
    model = f"simulated:{profile}" if profile else "simulated"
    spec = load_spec(None, levels=list(levels), data=data, model=model, repeats=repeats, cache="cold")
    cells = expand(spec, open_dataset(data), code_version=code_version().sources, out=Path("results"))
    order = {level.name: place for place, level in enumerate(spec.levels)}
    by_level = sorted(cells, key=lambda cell: (order[cell.level.name], cell.repeat))
    rows = [{name: getattr(record, name) for name in SHOWN} for record in simulate(by_level)]
    return pd.DataFrame(rows)
