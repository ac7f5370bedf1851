"""Optimization levels: a level is data, a frozen bundle of independent switches.

`LEVELS` holds the four presets of the source study; `make_level` resolves a preset's name or a
definition that changes some switches of one (`{"name": "partial-nocache", "base": "partial", "cache": []}`).
"""

import difflib
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from swarmlab.errors import SpecError, first_problem
from swarmlab.tools.cache import content_key

Layer = Literal["tools", "completions", "analyses"]
CACHE_LAYERS: tuple[Layer, ...] = get_args(Layer)

# Lossless switches leave every tool fact identical; lossy ones may cost quality, which is then measured.
LOSSLESS_SWITCHES = ("agent_schedule", "tool_schedule", "tool_impl", "cache")
LOSSY_SWITCHES = ("roster", "context", "context_tokens", "output")


class Level(BaseModel):
    """One optimization level; every field but `name` is a switch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    roster: Literal["six", "three", "two"]
    context: Literal["blackboard", "transcript", "lightweight"]
    context_tokens: Annotated[int, Field(ge=1)] | None = None
    """Most tokens of a draft's prompt: the view's oldest lines go first. None cuts nothing."""
    agent_schedule: Literal["sequential", "superstep", "dataflow"]
    tool_schedule: Literal["sequential", "parallel"]
    tool_impl: Literal["baseline", "vectorized"]
    cache: tuple[Layer, ...]
    output: Literal["prose", "structured"]

    @property
    def switches_id(self) -> str:
        """Hash of the switches, whatever the level is called."""
        return content_key(self.model_dump(mode="json", exclude={"name"}))[:16]

    @field_validator("name")
    @classmethod
    def _name_is_a_folder_name(cls, name: str) -> str:
        # The name becomes a folder under results/.
        if not name or not all(c.isalnum() or c in "-_" for c in name):
            raise ValueError("use letters, digits, '-' and '_' only")
        return name

    @field_validator("cache")
    @classmethod
    def _cache_in_canonical_order(cls, cache: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(layer for layer in CACHE_LAYERS if layer in cache)


LEVELS: dict[str, Level] = {
    "blackboard": Level(
        name="blackboard",
        roster="six",
        context="blackboard",
        agent_schedule="sequential",
        tool_schedule="sequential",
        tool_impl="baseline",
        cache=(),
        output="prose",
    ),
    "none": Level(
        name="none",
        roster="three",
        context="transcript",
        agent_schedule="sequential",
        tool_schedule="sequential",
        tool_impl="baseline",
        cache=(),
        output="prose",
    ),
    "partial": Level(
        name="partial",
        roster="three",
        context="transcript",
        agent_schedule="sequential",
        tool_schedule="parallel",
        tool_impl="vectorized",
        cache=("tools",),
        output="prose",
    ),
    "full": Level(
        name="full",
        roster="two",
        context="lightweight",
        agent_schedule="dataflow",
        tool_schedule="parallel",
        tool_impl="vectorized",
        cache=("tools", "completions", "analyses"),
        output="structured",
    ),
}


def make_level(definition: str | dict[str, Any] | Level) -> Level:
    """Resolve a preset's name, or a definition with a `name` and a `base` (or every switch).

    Raises
    ------
    SpecError
        Unknown preset, unknown switch or a switch with a value it does not have.
    """
    if isinstance(definition, Level):
        return definition
    if isinstance(definition, str):
        if definition not in LEVELS:
            raise SpecError(f"unknown level {definition!r}{_nearest(definition)}; known: {', '.join(LEVELS)}")
        return LEVELS[definition]
    if not isinstance(definition, dict):
        raise SpecError(f"a level or its base is a name or a mapping of switches, not {definition!r}")
    switches = dict(definition)
    base = switches.pop("base", None)
    # The name is not inherited: a changed level must not pass for its base in a table.
    start = make_level(base).model_dump(exclude={"name"}) if base is not None else {}
    try:
        level = Level.model_validate(start | switches)
    except ValidationError as error:
        name = definition.get("name", "(unnamed)")
        raise SpecError(f"level {name!r}: {first_problem(error)}") from error
    if level != LEVELS.get(level.name, level):
        raise SpecError(f"level {level.name!r} is a preset's name; give a level with other switches its own")
    return level


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, LEVELS, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
