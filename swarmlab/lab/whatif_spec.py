"""An experiment about predictions: which changes are predicted from which bases, and then run."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from swarmlab.agents.brief import Brief, load_brief
from swarmlab.agents.levels import Level, make_level
from swarmlab.errors import SpecError, first_problem
from swarmlab.lab.changed import ChangedRun, changed_run
from swarmlab.lab.experiment import Seed
from swarmlab.lab.known_graphs import KnownGraph, changed_graph
from swarmlab.tools.cache import content_key
from swarmlab.trace.changes import parse_changes
from swarmlab.trace.yaml_text import parse_yaml

Changed = Annotated[tuple[str, ...], Field(min_length=1)]


class LevelQuestion(BaseModel):
    """What changes would bring to a level on the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Annotated[Level, BeforeValidator(make_level)]
    changes: Annotated[tuple[Changed, ...], Field(min_length=1)]


class GraphQuestion(BaseModel):
    """What changes would bring to a graph with a known answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    graph: KnownGraph
    changes: Annotated[tuple[Changed, ...], Field(min_length=1)]


class WhatIfSpec(BaseModel):
    """Predictions to be made, written down, and then put to the test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")] = "whatif"
    data: str = "grocery"
    model: str = "embedded"
    base_url: str | None = None
    brief: Annotated[Brief, BeforeValidator(load_brief)] = Brief()
    other_briefs: tuple[Annotated[Brief, BeforeValidator(load_brief)], ...] = ()
    """Briefs of the second, third, … of several runs at once, which must not all ask the same."""
    seed: Seed = 0
    repeats: Annotated[int, Field(ge=1, le=100)] = 3
    """Runs of each base before predicting, and of each base and each changed run when testing."""
    levels: tuple[LevelQuestion, ...] = ()
    graphs: tuple[GraphQuestion, ...] = ()

    @property
    def spec_id(self) -> str:
        """Hash of all of it: predictions belong to one spec."""
        return content_key(self.model_dump(mode="json"))[:16]


def load_whatif_spec(path: Path) -> WhatIfSpec:
    """Read a spec and check that every change in it can be both predicted and run.

    Raises
    ------
    SpecError
        The file is missing or not YAML, a field has a bad value, or a change cannot be run; names it.
    """
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"experiment {path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise SpecError(f"experiment {path}: expected a mapping of fields, got {type(document).__name__}")
    try:
        spec = WhatIfSpec.model_validate(document)
    except ValidationError as error:
        raise SpecError(f"experiment {path}: {first_problem(error)}") from error
    if not spec.levels and not spec.graphs:
        raise SpecError(f"experiment {path}: it asks nothing; give 'levels' or 'graphs' with changes")
    names = [question.base.name for question in spec.levels] + [g.graph.name for g in spec.graphs]
    if len(set(names)) < len(names):
        raise SpecError(f"experiment {path}: a base or graph is listed twice; put all changes under one")
    try:
        check_runnable(spec)
    except SpecError as error:
        raise SpecError(f"experiment {path}: {error}") from error
    return spec


def check_runnable(spec: WhatIfSpec) -> None:
    """Refuse a change that can be predicted but not run; raises SpecError, which names it."""
    for question in spec.levels:
        for changes in question.changes:
            together = changed_level(question.base, changes).concurrency
            if together > 1 + len(spec.other_briefs):
                raise SpecError(
                    f"{together} runs at once need {together - 1} other briefs (`other_briefs`, or `briefs` "
                    "of the run's experiment), for equal runs would share the model's prefix cache"
                )
    for asked in spec.graphs:
        for changes in asked.changes:
            changed_graph(asked.graph, parse_changes(changes))


def changed_level(base: Level, changes: Changed) -> ChangedRun:
    """How a changed run of a level is made; its level is named after the base and the changes."""
    words = "-".join((base.name, *changes))
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in words)
    return changed_run(base, parse_changes(changes), name)
