"""The published study's figures, read from `experiments/source_study.yaml` and kept apart from ours."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from swarmlab.errors import SpecError, first_problem
from swarmlab.trace.spans import CATEGORIES
from swarmlab.trace.yaml_text import parse_yaml

__all__ = ["PublishedRun", "PublishedShare", "PublishedTarget", "SourceStudy", "load_study"]

_FILE = "experiments/source_study.yaml"
_PACKAGE = Path(__file__).parents[1]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PublishedRun(_Frozen):
    """One row of the study's table."""

    level: str
    status: Literal["ok", "failed"]
    error: str | None = None
    duration_s: Annotated[float, Field(gt=0)] | None = None
    total_tokens: int | None = None
    n_agents: int | None = None
    n_tool_calls: int | None = None


class PublishedShare(_Frozen):
    """One part of the study's claimed split of a duration, with our category nearest to its word."""

    name: str
    category: str
    seconds: Annotated[float, Field(ge=0)]
    share: Annotated[float, Field(ge=0, le=1)]

    @field_validator("category")
    @classmethod
    def _known(cls, category: str) -> str:
        if category not in CATEGORIES:
            raise ValueError(f"{category!r} is not a category; known: {', '.join(CATEGORIES)}")
        return category


class PublishedTarget(_Frozen):
    """One target that the study set itself."""

    name: str
    metric: str
    comparison: Literal["above", "below"]
    value: float
    phase: int | None = None
    """The phase that it was set for; None for all of them."""
    is_alert: bool = False
    """A threshold for an alarm, not a target."""


class SourceStudy(_Frozen):
    """The study's table, claimed split and targets, as published."""

    title: str
    caveats: tuple[str, ...]
    runs: tuple[PublishedRun, ...]
    split_of: str
    split: tuple[PublishedShare, ...]
    targets: tuple[PublishedTarget, ...]


def load_study(path: Path | None = None) -> SourceStudy:
    """Read and check the study's figures.

    Parameters
    ----------
    path
        The YAML file; None for the one beside the package, in the checkout or in the installed wheel.

    Raises
    ------
    SpecError
        It cannot be found or read, or holds something unknown; names the file and the field.
    """
    source = path or _shipped()
    try:
        return SourceStudy.model_validate(parse_yaml(source.read_text(encoding="utf-8")))
    except OSError as error:
        raise SpecError(f"cannot read {source}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{source} is not YAML: {error}") from error
    except ValidationError as error:
        raise SpecError(f"{source}: {first_problem(error)}") from error


def _shipped() -> Path:
    """Find the file inside the installed package or else at the root of the checkout."""
    installed = _PACKAGE / _FILE
    return installed if installed.exists() else _PACKAGE.parent / _FILE
