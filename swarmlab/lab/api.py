"""What the command line and notebooks call: run an experiment, read its results."""

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from swarmlab.agents.brief import load_brief
from swarmlab.agents.faults import check_faults
from swarmlab.agents.levels import make_level
from swarmlab.data import Dataset, open_dataset
from swarmlab.errors import SpecError, first_problem
from swarmlab.lab.experiment import Cell, Spec, check_place, default_spec, expand, load_spec
from swarmlab.lab.publish import publish, write_plan
from swarmlab.lab.results import Result, republish
from swarmlab.lab.runner import check_jobs, finished_record, run_cells
from swarmlab.lab.version import code_version
from swarmlab.models import check_model
from swarmlab.models.profile import profile_hash
from swarmlab.records.record import Record
from swarmlab.records.store import check_writable, run_folder
from swarmlab.tools import Scope, check_plan, check_scope, entities
from swarmlab.tools.cache import Cache
from swarmlab.trace.clock import WallClock

OnRun = Callable[[Record, bool], None]
"""Called with each record as soon as it is there, and whether it was on disk already."""


@dataclass(frozen=True)
class Plan:
    """A validated experiment, ready to run."""

    spec: Spec
    dataset: Dataset
    cells: tuple[Cell, ...]
    folder: Path


def plan(spec_path: str | Path | None = None, *, out: str | Path = "results", **overrides: Any) -> Plan:
    """Validate everything an experiment needs, before anything is run or written over.

    Parameters
    ----------
    spec_path
        YAML spec; None for the default experiment.
    out
        Parent of the experiment's results folder.
    **overrides
        Fields of `Spec`; None leaves the spec's value.

    Raises
    ------
    UserError
        Spec, data, brief, model or results folder cannot be used; says which and what to do.
    """
    spec = load_spec(default_spec() if spec_path is None else Path(spec_path), **overrides)
    dataset = open_dataset(spec.data)
    sold = entities(dataset, Scope())
    for brief in spec.briefs or (spec.brief,):
        check_scope(brief.scope, sold)
        check_plan(brief.plan, dataset, brief.scope)
        if not entities(dataset, brief.scope)["categories"]:
            raise SpecError("the brief's focus leaves no rows: its categories are not sold in its regions")
    model = check_model(spec.model, clock=WallClock(), base_url=spec.base_url)
    spec = spec.model_copy(update={"model": model})
    folder = Path(out).expanduser().resolve() / spec.name
    cells = expand(spec, dataset, code_version=code_version().sources, out=folder)
    for cell in cells:
        # A level's name that cannot be a folder is refused now.
        run_folder(folder, cell.level.name, cell.run_id)
    place = next((cell.cache_place for cell in cells if cell.cache_state == "warm"), None)
    if place is not None:
        # Whether it can be opened is seen now, not by the first warm run.
        Cache(place if "://" in place else Path(place), ()).close()
    check_writable(folder)
    return Plan(spec, dataset, tuple(cells), folder)


def execute(plan: Plan, on_run: OnRun | None = None, n_jobs: int | None = None) -> Result:
    """Run a plan's cells that are not on disk yet, then write tables, figures and the report.

    Ctrl-C leaves finished runs and their tables in place; running the same plan again goes on from there.

    Parameters
    ----------
    n_jobs
        Simulated runs at once, at most; None for as many as pay. Measured ones go one at a time.

    Raises
    ------
    SpecError
        `n_jobs` is under 1, or over 1 for a model that is measured.
    """
    check_jobs(plan.cells, n_jobs)
    found = {cell.cell_id: finished_record(cell) for cell in plan.cells}
    kept = [record for record in found.values() if record is not None]
    missing = [cell for cell in plan.cells if found[cell.cell_id] is None]
    records: list[Record] = []
    try:
        # Closed at once when interrupted, which ends the kernels before anything is published.
        with closing(run_cells(missing, n_jobs)) as made:
            for record in itertools.chain(kept, made):
                if not records:
                    # Not before there is a run: until then the folder's earlier results stand as they are.
                    write_plan(plan.folder, plan.spec, plan.dataset, plan.cells)
                records.append(record)
                if on_run is not None:
                    on_run(record, len(records) <= len(kept))
    except KeyboardInterrupt:
        if records:
            publish(plan.folder)
        raise
    failed = tuple(record for record in records if record.status != "ok")
    return replace(republish(plan.folder), failed=failed)


def run(
    spec_path: str | Path | None = None,
    *,
    out: str | Path = "results",
    on_run: OnRun | None = None,
    n_jobs: int | None = None,
    **overrides: Any,
) -> Result:
    """Plan and execute an experiment; see `plan` and `execute` for the parameters."""
    return execute(plan(spec_path, out=out, **overrides), on_run, n_jobs)


async def arun(spec_path: str | Path | None = None, **options: Any) -> Result:
    """`run` without blocking the caller's event loop."""
    return await asyncio.to_thread(lambda: run(spec_path, **options))


def make_cell(fields: Mapping[str, Any]) -> Cell:
    """Check one run's parameters, as `10_run_level` gets them, and fill in what is left out.

    Parameters
    ----------
    fields
        Fields of `Cell`. A cell of an experiment has them all; by hand, `level` (a preset's name or a
        definition) is enough; without `out` the run goes to a new temporary folder.

    Raises
    ------
    UserError
        A field is unknown or has a bad value, or the data cannot be used; names the field.
    """
    defaults = Spec()
    given = dict(fields)
    given["level"] = make_level(given.get("level", "full"))
    given["brief"] = load_brief(given.get("brief"))
    given.setdefault("data", defaults.data)
    if given.get("data_fingerprint") is None or given.get("data_name") is None:
        dataset = open_dataset(given["data"])
        given |= {"data_fingerprint": dataset.fingerprint, "data_name": dataset.name}
    cell = {
        "experiment": "notebook",
        "model": defaults.model,
        "profile_hash": profile_hash(str(given.get("model", defaults.model))),
        "cache_state": "cold",
        "repeat": 0,
        "order": 0,
        "seed": defaults.seed,
        "workers": defaults.workers,
        "timeout_s": defaults.timeout_s,
        "code_version": code_version().sources,
        "out": "",
    } | given
    try:
        checked = Cell.model_validate(cell)
    except ValidationError as error:
        raise SpecError(f"cell: {first_problem(error)}") from error
    check_faults(checked.faults)
    check_place(checked.cache_place)
    return (
        checked if checked.out else checked.model_copy(update={"out": tempfile.mkdtemp(prefix="swarmlab-")})
    )
