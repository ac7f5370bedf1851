"""What a calibration is made from and put to the test on: one YAML file."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from swarmlab.agents.brief import Brief, load_brief
from swarmlab.agents.levels import LEVELS, Level, make_level
from swarmlab.errors import SpecError, first_problem
from swarmlab.lab.experiment import Seed, default_spec
from swarmlab.models.profile import Batching, PrefixCache
from swarmlab.tools.cache import content_key
from swarmlab.trace.yaml_text import parse_yaml

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Levels = Annotated[tuple[Annotated[Level, BeforeValidator(make_level)], ...], Field(min_length=1)]
Repeats = Annotated[int, Field(ge=1, le=100)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Known(_Frozen):
    """What of the profile is known from how the model is served, not fitted."""

    name: Name
    about: Annotated[str, Field(min_length=1)]
    concurrency: Annotated[int, Field(ge=1)]
    batching: Batching = Batching()
    prefix_cache: PrefixCache = PrefixCache()
    context_tokens: Annotated[int, Field(ge=1)]


class Work(_Frozen):
    """A brief on a dataset, with the exam of a seed."""

    data: str = "grocery"
    brief: Annotated[Brief, BeforeValidator(load_brief)] = Brief()
    seed: Seed = 0

    @property
    def name(self) -> str:
        """Short, and different for different works."""
        asked = content_key(self.model_dump(mode="json"))[:6]
        return f"{self.data.rpartition('/')[2].replace(':', '-')}-{asked}"


Works = Annotated[tuple[Work, ...], Field(min_length=1)]


class ToolTimes(_Frozen):
    """On which datasets the tools are timed, and how often."""

    data: Annotated[tuple[str, ...], Field(min_length=2)]
    """Of different sizes: a start and a rate are told apart by them."""
    repeats: Repeats = 3


class HeldOut(_Frozen):
    """Works that the fit has not seen, whose durations are predicted and then measured."""

    works: Works
    repeats: Repeats = 2
    """Measured runs of each level on each work."""
    draws: Repeats = 20
    """Simulated runs of each, whose median is the prediction."""
    seed: Seed = 0
    """Of the order of the measured runs."""


class CalibrationSpec(_Frozen):
    """A calibration: measured runs to fit, texts to count, tools to time, and a test of it all."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")] = "calibration"
    model: str = "embedded"
    profile: Known
    fit: Annotated[tuple[Path, ...], Field(min_length=1)]
    """Results folders of measured runs; in the file, beside it."""
    levels: Levels = tuple(LEVELS.values())
    texts: Works
    """Works whose prompts are counted."""
    text_levels: tuple[Annotated[Level, BeforeValidator(make_level)], ...] = ()
    """More levels whose prompts are counted and to whose runs lengths are fitted; not to be held out."""
    tools: ToolTimes
    held_out: HeldOut | None = None

    @property
    def spec_id(self) -> str:
        """Hash of all of it but where the measured runs lie: predictions belong to one spec."""
        return content_key(self.model_dump(mode="json", exclude={"fit"}))[:16]


def calibration_spec() -> Path:
    """The experiment that `swarmlab calibrate` runs, `experiments/calibration.yaml`."""
    return default_spec().with_name("calibration.yaml")


def load_calibration_spec(path: Path) -> CalibrationSpec:
    """Read a spec and check that its held-out works are held out.

    Raises
    ------
    SpecError
        The file is missing or not YAML, a field has a bad value, or a work to be held out is among those of
        the fit; names it.
    """
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"experiment {path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise SpecError(f"experiment {path}: expected a mapping of fields, got {type(document).__name__}")
    try:
        spec = CalibrationSpec.model_validate(document)
    except ValidationError as error:
        raise SpecError(f"experiment {path}: {first_problem(error)}") from error
    except SpecError as error:
        raise SpecError(f"experiment {path}: {error}") from error
    seen = {(work.data, work.brief) for work in spec.texts}
    for work in () if spec.held_out is None else spec.held_out.works:
        if (work.data, work.brief) in seen:
            raise SpecError(f"experiment {path}: the held-out work on {work.data!r} is among the fit's texts")
    return spec.model_copy(update={"fit": tuple((path.parent / folder).resolve() for folder in spec.fit)})
