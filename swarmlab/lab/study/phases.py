"""The study's phases on simulated profiles: each at equal work, against the targets that it was set.

Two kinds of analyses are run at every phase: fresh ones, of which none was asked before, and a mix in which a
stated share repeats an earlier analysis and may be served from cache.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from swarmlab.agents.brief import Brief, load_brief
from swarmlab.agents.levels import Level, make_level
from swarmlab.data import open_dataset
from swarmlab.errors import SpecError, first_problem
from swarmlab.lab.experiment import Cell, Seed, Spec, expand
from swarmlab.lab.simulate import Simulator
from swarmlab.lab.version import code_version
from swarmlab.models.profile import load_profile
from swarmlab.records.manifest import environment, write_manifest
from swarmlab.records.phases import PhaseRun, PhaseTables, phase_tables, write_phases
from swarmlab.records.published import load_study
from swarmlab.records.store import check_writable
from swarmlab.tools.cache import Cache
from swarmlab.trace.yaml_text import parse_yaml


class Phase(BaseModel):
    """One phase: a level, and which of the study's phases set its targets (0 is the baseline)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Annotated[Level, BeforeValidator(make_level)]
    study_phase: Annotated[int, Field(ge=0)]
    about: str = ""


class Mix(BaseModel):
    """A sequence of analyses in which some are asked again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    analyses: Annotated[int, Field(ge=2, le=10_000)] = 40
    repeat_share: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Of the analyses after the first, how many repeat an earlier one, chosen evenly among those."""


class PhasesSpec(BaseModel):
    """An experiment on phases."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")] = "phases"
    data: str = "grocery"
    profiles: Annotated[tuple[str, ...], Field(min_length=1)]
    briefs: Annotated[tuple[Annotated[Brief, BeforeValidator(load_brief)], ...], Field(min_length=1)]
    fresh: Annotated[int, Field(ge=1, le=1000)] = 10
    """Fresh analyses of each phase: every brief with a first exam, then with a second, and so on."""
    mix: Mix = Mix()
    seed: Seed = 0
    phases: Annotated[tuple[Phase, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _begins_with_a_baseline(self) -> Self:
        if self.phases[0].study_phase != 0:
            raise ValueError("the first of 'phases' is the baseline: give it study_phase: 0")
        names = [phase.level.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError("two phases have levels of the same name")
        return self


def is_phases_spec(path: Path | None) -> bool:
    """Say whether a spec's file is one of phases, by its key `phases`; an unreadable file is none."""
    try:
        document = None if path is None else parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return isinstance(document, dict) and "phases" in document


def load_phases_spec(path: Path) -> PhasesSpec:
    """Read a spec.

    Raises
    ------
    SpecError
        The file is no YAML mapping, a field has a bad value, or a profile is unknown; names it.
    """
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise SpecError(f"expected a mapping of fields, got {type(document).__name__}")
        spec = PhasesSpec.model_validate(document)
        for profile in spec.profiles:
            load_profile(profile)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"experiment {path} cannot be read: {error}") from error
    except ValidationError as error:
        raise SpecError(f"experiment {path}: {first_problem(error)}") from error
    except SpecError as error:
        raise SpecError(f"experiment {path}: {error}") from error
    return spec


def run_phases(
    path: Path, out: Path, say: Callable[[str], None] = lambda _: None
) -> tuple[Path, PhaseTables]:
    """Simulate every phase on every profile; write `phases.csv`, `targets.csv`, `phases.md`, `figures/`.

    Parameters
    ----------
    path
        YAML of a `PhasesSpec`.
    out
        Parent of the experiment's results folder.
    say
        Called with a line for each phase that is done.

    Raises
    ------
    UserError
        The spec, its data, a profile or the results folder cannot be used.
    """
    spec = load_phases_spec(path)
    folder = out.expanduser().resolve() / spec.name
    check_writable(folder)
    simulator = Simulator(folder)
    runs: list[PhaseRun] = []
    for profile in spec.profiles:
        cells = _cells(spec, profile, folder)
        for phase in spec.phases:
            own = [cell for cell in cells if cell.level == phase.level]
            made = _runs(simulator, spec, phase, profile, own)
            failed = sum(run.record.status != "ok" for run in made)
            say(f"{profile}  {phase.level.name}: {len(made)} simulated analyses, {failed} failed")
            runs.extend(made)
    tables = phase_tables(runs, load_study().targets)
    write_phases(folder, tables, mix=f"{spec.mix.analyses} analyses, {spec.mix.repeat_share:.0%} repeats")
    write_manifest(folder, _manifest(spec))
    return folder, tables


def _manifest(spec: PhasesSpec) -> dict[str, Any]:
    dataset = open_dataset(spec.data)
    return {
        "experiment": spec.name,
        "kind": "phases",
        "spec": spec.model_dump(mode="json"),
        "code": asdict(code_version()),
        "data": {"name": dataset.name, "fingerprint": dataset.fingerprint, "rows": dataset.rows},
        "clock": "virtual",
        "profiles": {name: load_profile(name).fingerprint for name in spec.profiles},
        "machine": environment(["swarmlab", "langgraph", "langchain-core", "numpy", "pandas"]),
    }


def _cells(spec: PhasesSpec, profile: str, folder: Path) -> list[Cell]:
    """A cold cell of every phase and work; enough works for the mix to have as many new ones as it asks."""
    new = max(spec.fresh, spec.mix.analyses)
    experiment = Spec(
        name=spec.name,
        levels=tuple(phase.level for phase in spec.phases),
        data=spec.data,
        model=f"simulated:{profile}",
        briefs=spec.briefs,
        exams=-(-new // len(spec.briefs)),
        cache="cold",
        repeats=new,
        seed=spec.seed,
    )
    return expand(experiment, open_dataset(spec.data), code_version=code_version().sources, out=folder)


def _runs(
    simulator: Simulator, spec: PhasesSpec, phase: Phase, profile: str, cells: Sequence[Cell]
) -> list[PhaseRun]:
    by_work = sorted(cells, key=lambda cell: cell.repeat)

    def run(cell: Cell, kind: str, is_repeat: bool, cache: Cache | None) -> PhaseRun:
        record, _ = simulator.run(cell, cache)
        return PhaseRun(profile, phase.level.name, phase.study_phase, kind, is_repeat, record)

    made = [run(cell, "fresh", False, None) for cell in by_work[: spec.fresh]]
    cache = Cache(None, phase.level.cache)
    for place, (work, is_repeat) in enumerate(sequence(spec.mix, spec.seed)):
        # Its place in the sequence is its draw: a repeated analysis has a jitter of its own.
        cell = by_work[work].model_copy(update={"repeat": place})
        made.append(run(cell, "mix", is_repeat, cache))
    cache.close()
    return made


def sequence(mix: Mix, seed: int) -> list[tuple[int, bool]]:
    """The works of a mix in order, each with whether it was asked before; exact in the share of repeats."""
    draw = random.Random(seed)
    repeats = round(mix.repeat_share * (mix.analyses - 1))
    kinds = [True] * repeats + [False] * (mix.analyses - 1 - repeats)
    draw.shuffle(kinds)
    asked, order = 1, [(0, False)]
    for is_repeat in kinds:
        work = draw.randrange(asked) if is_repeat else asked
        asked += not is_repeat
        order.append((work, is_repeat))
    return order
