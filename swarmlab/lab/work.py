"""What a cell is about: its data, what is true of them, and the exam set on that."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from swarmlab.agents.questions import Exam, months_of, set_exam
from swarmlab.data import Dataset, open_dataset
from swarmlab.errors import DataError
from swarmlab.lab.experiment import Cell
from swarmlab.tools import DEFAULT_PLAN, Scope, check_plan, check_scope, entities, truth
from swarmlab.tools.cache import Cache, content_key
from swarmlab.tools.scope import region_dimension


@dataclass(frozen=True)
class Known:
    """What is true of a dataset within a brief's scope, and the names of what is sold in it."""

    dataset: Dataset
    required: Mapping[str, float | int | str]
    """By id, the facts that the brief's plan has to find."""
    names: Mapping[str, Sequence[str]]
    """By kind, its months among them."""


@dataclass(frozen=True)
class Work:
    """What a run is about: the data, the facts it has to find, and its exam."""

    dataset: Dataset
    required: Mapping[str, float | int | str]
    exam: Exam


def set_work(cell: Cell, known: Known) -> Work:
    """Set a cell's exam on what is known of its data."""
    place = (region_dimension(known.dataset.columns) or "region").removesuffix("_id")
    exam = set_exam(known.required, known.names, seed=cell.seed, place=place)
    return Work(known.dataset, known.required, exam)


def fact_store(experiment: Path) -> Cache:
    """What is known of an experiment's data and what tools find in them, for all its simulated runs."""
    return Cache(experiment / ".cache" / "facts", ("known", "facts"))


def known_of(cell: Cell, store: Cache | None = None) -> Known:
    """Find out what is true of a cell's data within its brief's scope, or find it in `store`.

    Raises
    ------
    UserError
        The data cannot be used or have changed since the cell was made, or the brief is not about them.
    """
    dataset = open_dataset(cell.data)
    if dataset.fingerprint != cell.data_fingerprint:
        raise DataError(f"{cell.data}: its content has changed since the run was planned; start again")
    scope, plan = cell.brief.scope, cell.brief.plan
    check_plan(plan, dataset, scope)
    extra = sorted(set(plan) - set(DEFAULT_PLAN))
    key = content_key(
        {"scope": asdict(scope), "data": dataset.fingerprint, "code": cell.code_version, "extra": extra}
    )
    stored = None if store is None else store.get("known", key)
    if stored is None:
        all_names = entities(dataset, Scope())
        check_scope(scope, all_names)
        names = all_names if scope == Scope() else entities(dataset, scope)
        stored = {"truth": truth(dataset, scope, plan), "names": names}
        if store is not None:
            store.put("known", key, stored)
    required = {i: value for i, value in stored["truth"].items() if i.partition(".")[0] in plan}
    return Known(dataset, required, {**stored["names"], "months": months_of(required)})
