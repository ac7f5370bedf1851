"""An experiment: a YAML spec, validated before any kernel starts, and expanded to frozen cells.

A cell is one run: its fields say everything that can change its result, and its id is their hash.
"""

import random
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

import swarmlab
from swarmlab.agents.brief import Brief, load_brief
from swarmlab.agents.faults import check_faults
from swarmlab.agents.levels import LEVELS, Layer, Level, make_level
from swarmlab.data import Dataset
from swarmlab.errors import SpecError, first_problem
from swarmlab.lab.ablation import Ablation, named_level, override_ablation
from swarmlab.models.profile import profile_hash
from swarmlab.records.design import Design
from swarmlab.tools.cache import Limits, content_key
from swarmlab.trace.yaml_text import parse_yaml

CacheState = Literal["cold", "warm"]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Workers = Annotated[int, Field(ge=1, le=64)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Spec(BaseModel):
    """What to run. Every field has a default, so an empty file is the default experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")] = "levels"
    levels: Annotated[tuple[Level, ...], Field(min_length=1)] = tuple(LEVELS.values())
    ablation: Ablation | None = None
    """An ablation makes the levels itself."""
    data: str = "grocery"
    model: str = "embedded"
    base_url: str | None = None
    brief: Annotated[Brief, BeforeValidator(load_brief)] = Brief()
    briefs: tuple[Annotated[Brief, BeforeValidator(load_brief)], ...] = ()
    """Briefs that the repeats take in turn, instead of `brief`: answers are judged on more than one."""
    exams: Annotated[int, Field(ge=1, le=1000)] = 1
    """Exams that the repeats take in turn, each drawn from a seed of its own: `seed`, `seed` + 1, …"""
    cache: Literal["cold", "warm", "both"] = "both"
    cache_place: Annotated[str, Field(min_length=1)] | None = None
    """A folder or a database's address that warm runs share, with other experiments and people too; None for
    a cache of each level's own. Cold runs never read it."""
    cache_ttl_s: dict[Layer, Seconds] = Field(default_factory=dict)
    """Age from which a layer's entries are computed again; a layer that is not named keeps them for ever."""
    cache_max_bytes: Annotated[int, Field(ge=1)] = Limits().max_bytes or 1
    """Of a cache; beyond it the entries used least recently go."""
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    seed: Seed = 0
    workers: Workers = 4
    timeout_s: Seconds = 1800.0
    """After which a run's notebook is ended, whatever it is at."""
    deadline_s: Seconds | None = None
    """Of a run, by its own clock: later it is cancelled, and its record says so."""
    tool_timeout_s: Seconds = 600.0
    """Of one tool call: later it is given up, and the others' answers are kept."""
    faults: tuple[str, ...] = ()
    """Tools that are made to fail, to see that failures are reported; see `swarmlab.agents.faults`."""

    @model_validator(mode="after")
    def _take_levels_of_the_ablation(self) -> Self:
        if self.ablation is None:
            return self
        design = self.ablation.design(self.repeats, self.seed)
        levels = tuple(self.ablation.level(bits) for bits in design.levels.values())
        if "levels" in self.model_fields_set and self.levels != levels:
            raise SpecError("'levels' and 'ablation' are both given, but an ablation makes its own levels")
        object.__setattr__(self, "levels", levels)
        return self

    @property
    def design(self) -> Design | None:
        """The ablation's design; None for an experiment that is none."""
        return None if self.ablation is None else self.ablation.design(self.repeats, self.seed)

    def blocks(self) -> list[tuple[Level, ...]]:
        """Levels of each block of runs that are compared: all, or those on a path of a Shapley design."""
        if self.ablation is None:
            return [self.levels] * self.repeats
        return self.ablation.blocks(self.repeats, self.seed)

    def work(self, block: int) -> tuple[Brief, int]:
        """Brief and seed of a block: every brief with the first exam, then with the second, and so on.

        In a Shapley design the two blocks of an order and its reverse do the same work.
        """
        briefs = self.briefs or (self.brief,)
        repeat = block if self.ablation is None or self.ablation.is_factorial else block // 2
        return briefs[repeat % len(briefs)], self.seed + repeat // len(briefs) % self.exams

    @property
    def works_id(self) -> str:
        """Hash of all the briefs and seeds that the repeats go through."""
        briefs = [brief.model_dump(mode="json") for brief in self.briefs or (self.brief,)]
        return content_key({"briefs": briefs, "exams": self.exams, "seed": self.seed})[:16]


class Cell(BaseModel):
    """One run to be made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiment: str
    level: Level
    brief: Brief
    data: str
    data_name: str
    data_fingerprint: str
    model: str
    base_url: str | None = None
    profile_hash: str = ""
    """Of a simulated model: the hash of its profile's figures."""
    cache_state: CacheState
    cache_place: str | None = None
    cache_ttl_s: tuple[tuple[Layer, Seconds], ...] = ()
    cache_max_bytes: Annotated[int, Field(ge=1)] = Limits().max_bytes or 1
    repeat: Annotated[int, Field(ge=0)]
    order: Annotated[int, Field(ge=0)]
    seed: Seed
    works_id: str = ""
    """The experiment's briefs and seeds, of which this cell has one each; empty for a cell made by hand."""
    workers: Workers
    timeout_s: Seconds
    deadline_s: Seconds | None = None
    tool_timeout_s: Seconds = 600.0
    faults: tuple[str, ...] = ()
    code_version: str
    out: str
    """The experiment's results folder."""

    @property
    def is_virtual(self) -> bool:
        """The model is simulated, and the run's time is virtual."""
        return self.model.partition(":")[0] == "simulated"

    @property
    def run_draw(self) -> str:
        """What tells this run's random draws from another's, in a simulation."""
        return f"{self.level.name}/{self.cache_state}/{self.repeat}"

    @property
    def cell_id(self) -> str:
        """Hash of every field that can change the result; not of where or when it is run."""
        return self._hash("works_id")

    @property
    def setting_id(self) -> str:
        """Hash of all that runs of one comparison share: everything but level, cache state and repeat.

        Briefs and seeds count as the experiment's whole list of them, not as this repeat's.
        """
        of_repeat = ("brief", "seed") if self.works_id else ("works_id",)
        return self._hash("level", "cache_state", "repeat", *of_repeat)[:16]

    @property
    def work_id(self) -> str:
        """Hash of what is asked.

        Brief (with its tool requests) and data fix the required facts, and with the seed the exam.
        """
        work = {"brief": self.brief.model_dump(mode="json"), "data": self.data_fingerprint, "seed": self.seed}
        return content_key(work)[:16]

    @property
    def run_id(self) -> str:
        """Folder name of the run."""
        return f"{self.cache_state}-{self.repeat:03d}-{self.cell_id[:10]}"

    @property
    def cache_folder(self) -> Path:
        """Cache of this level in this repeat: filled by the cold run, used by the warm one."""
        return Path(self.out) / ".cache" / self._hash("cache_state", "works_id")[:16]

    def _hash(self, *leave_out: str) -> str:
        # Where, when and under which name a run is made changes nothing in it.
        apart = {"out", "order", "timeout_s", "data_name", "cache_place", *leave_out}
        return content_key(self.model_dump(mode="json", exclude=apart))


def default_spec() -> Path:
    """The experiment that `swarmlab run` runs: `experiments/levels.yaml`, from the wheel or the checkout."""
    package = Path(swarmlab.__file__).parent
    installed = package / "experiments" / "levels.yaml"
    return installed if installed.is_file() else package.parent / "experiments" / "levels.yaml"


def load_spec(path: Path | None, **overrides: Any) -> Spec:
    """Read a spec and apply the command line's overrides (None leaves the spec's value).

    Raises
    ------
    SpecError
        The file is missing or not YAML, or a field is unknown or has a bad value; names the field.
    """
    place = f"experiment {path}" if path else "experiment"
    fields = read_mapping(path) if path else {}
    if path is not None:
        # A brief named in a spec lies beside it, wherever the command is run from.
        if isinstance(fields.get("brief"), str):
            fields["brief"] = str(path.parent / fields["brief"])
        if isinstance(fields.get("briefs"), list):
            fields["briefs"] = [str(path.parent / b) if isinstance(b, str) else b for b in fields["briefs"]]
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        if "levels" in fields:
            fields["levels"] = tuple(make_level(level) for level in _as_list(fields["levels"], "levels"))
        # A name may be that of a level of the spec's own.
        own = {level.name: level for level in fields.get("levels", ())}
        if "levels" in given:
            given["levels"] = tuple(named_level(level, own) for level in _as_list(given["levels"], "levels"))
        if "brief" in given:
            fields.pop("briefs", None)
        if "ablation" in given:
            given["ablation"] = override_ablation(fields.get("ablation"), given["ablation"], own)
            fields.pop("levels", None)
        fields |= given
        spec = Spec.model_validate(fields)
        _check_names(spec)
    except SpecError as error:
        raise SpecError(f"{place}: {error}") from error
    except ValidationError as error:
        raise SpecError(f"{place}: {first_problem(error)}") from error
    return spec


def expand(spec: Spec, dataset: Dataset, *, code_version: str, out: Path) -> list[Cell]:
    """Expand a spec to cells in the order they are to be run.

    Every repeat is a block with each level and cache state once, in an order drawn from the seed (so that
    drift of the machine spreads over all levels); only, a level's warm run comes after its cold one. A block
    of a Shapley design has only the levels on its path.
    """
    states: tuple[CacheState, ...] = ("cold", "warm") if spec.cache == "both" else (spec.cache,)
    data = str(Path(spec.data).expanduser().resolve()) if dataset.source == "file" else spec.data
    place = spec.cache_place
    if place is not None and "://" not in place:
        place = str(Path(place).expanduser().resolve())
    draw = random.Random(spec.seed)
    cells: list[Cell] = []
    for repeat, levels in enumerate(spec.blocks()):
        block = [(level, state) for level in levels for state in states]
        draw.shuffle(block)
        brief, seed = spec.work(repeat)
        for level, state in _cold_before_warm(block):
            cells.append(
                Cell(
                    experiment=spec.name,
                    level=level,
                    brief=brief,
                    data=data,
                    data_name=dataset.name,
                    data_fingerprint=dataset.fingerprint,
                    model=spec.model,
                    base_url=spec.base_url,
                    profile_hash=profile_hash(spec.model),
                    cache_state=state,
                    cache_place=place,
                    cache_ttl_s=tuple(sorted(spec.cache_ttl_s.items())),
                    cache_max_bytes=spec.cache_max_bytes,
                    repeat=repeat,
                    order=len(cells),
                    seed=seed,
                    works_id=spec.works_id,
                    workers=spec.workers,
                    timeout_s=spec.timeout_s,
                    deadline_s=spec.deadline_s,
                    tool_timeout_s=spec.tool_timeout_s,
                    faults=spec.faults,
                    code_version=code_version,
                    out=str(out),
                )
            )
    return cells


def _cold_before_warm(block: list[tuple[Level, CacheState]]) -> list[tuple[Level, CacheState]]:
    """Of a level's two places in the block, the earlier becomes cold."""
    seen: set[str] = set()
    both = {level.name for level, state in block if state == "cold"} & {
        level.name for level, state in block if state == "warm"
    }
    ordered: list[tuple[Level, CacheState]] = []
    for level, state in block:
        if level.name in both:
            state = "warm" if level.name in seen else "cold"
            seen.add(level.name)
        ordered.append((level, state))
    return ordered


def _check_names(spec: Spec) -> None:
    names = [level.name for level in spec.levels]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise SpecError(f"level {repeated[0]!r} is listed twice; give each level a name of its own")
    check_faults(spec.faults)
    briefs = spec.briefs or (spec.brief,)
    planned = {tool for brief in briefs for tool in brief.plan}
    unasked = [fault for fault in spec.faults if fault.partition(":")[0] not in planned]
    if unasked and all(brief.tool_choice == "planned" for brief in briefs):
        raise SpecError(f"faults names {unasked[0]!r}, which no brief plans: nobody would notice")
    check_place(spec.cache_place)
    if spec.briefs and spec.brief != Brief():
        raise SpecError("'brief' and 'briefs' are both given; put the one brief into the list")


def check_place(place: str | None) -> None:
    """Refuse an address with a password, which would be written into notebooks; raises SpecError."""
    if place is not None and re.search(r"^[^/]+://[^/@:]*:[^@]*@|[?&]password=", place):
        raise SpecError("cache_place has a password in it; leave it out and set PGPASSWORD or use ~/.pgpass")


def _as_list(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list | tuple) or not all(isinstance(v, str | dict | Level) for v in value):
        raise SpecError(f"field {field!r}: expected a list of level names or definitions, got {value!r}")
    bases = [definition.get("base") for definition in value if isinstance(definition, dict)]
    for base in bases:
        if not isinstance(base, str | None):
            raise SpecError(f"field {field!r}: base must be a level's name, got {base!r}")
    return list(value)


def read_mapping(path: Path) -> dict[str, Any]:
    """Read an experiment's YAML; an empty file is an empty mapping, anything else but one a SpecError."""
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SpecError(f"experiment {path} does not exist") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"experiment {path} cannot be read: {' '.join(str(error).split())}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SpecError(f"experiment {path}: expected a mapping of fields, got {type(document).__name__}")
    return document
