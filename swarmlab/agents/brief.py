"""The brief: what the client asks of the swarm; the same for every level of an experiment."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarmlab.errors import SpecError, first_problem
from swarmlab.tools import DEFAULT_PLAN, TOOLS, Scope
from swarmlab.trace.yaml_text import parse_yaml

Phrase = Annotated[str, Field(min_length=1, max_length=120)]


class Focus(BaseModel):
    """Entities the client cares about; empty means the whole market."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    brands: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()


class Brief(BaseModel):
    """A client's brief; `plan` is its list of tool requests, one call each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    analysis_type: Phrase = "comprehensive market analysis"
    audience: Phrase = "marketing director"
    budget: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 100_000.0
    campaign_type: Literal["awareness", "conversion", "retention", "launch"] = "awareness"
    forecast_periods: Annotated[int, Field(ge=1, le=12)] = 3
    goals: tuple[str, ...] = ("grow revenue", "defend market share", "spend the budget where it returns most")
    focus: Focus = Focus()
    plan: tuple[str, ...] = DEFAULT_PLAN
    tool_choice: Literal["planned", "model"] = "planned"

    @cached_property
    def scope(self) -> Scope:
        """The part of the brief that every tool request carries as its arguments."""
        return Scope(
            brands=self.focus.brands,
            categories=self.focus.categories,
            regions=self.focus.regions,
            forecast_periods=self.forecast_periods,
            budget=self.budget,
            campaign_type=self.campaign_type,
            goals=self.goals,
        )


def load_brief(source: str | Path | dict[str, Any] | Brief | None) -> Brief:
    """Validate a brief given as a dict, a YAML file's path, or None for the default brief.

    Raises
    ------
    SpecError
        The file is missing or not YAML, or a field is unknown or has a bad value; names the field.
    """
    if isinstance(source, Brief):
        return source
    place = "brief"
    if isinstance(source, str | Path):
        place = f"brief {source}"
        source = _read_yaml(Path(source))
    try:
        brief = Brief.model_validate(source or {})
    except ValidationError as error:
        raise SpecError(f"{place}: {first_problem(error)}") from error
    unknown = [name for name in brief.plan if name not in TOOLS]
    if unknown:
        raise SpecError(f"{place}: plan names an unknown tool {unknown[0]!r}; known: {', '.join(TOOLS)}")
    if len(set(brief.plan)) != len(brief.plan) or not brief.plan:
        raise SpecError(f"{place}: plan must name each tool at most once, and at least one")
    return brief


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"brief {path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise SpecError(f"brief {path}: expected a mapping of fields, got {type(document).__name__}")
    return document
