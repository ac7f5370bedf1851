"""The record of one run: every column of the `runs` table, typed, frozen and checked.

A run that failed is a record too. What it could not measure is None, never zero.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from swarmlab.records.timing import timing

__all__ = ["NS_PER_S", "ColumnKind", "Record", "column_kinds", "is_plain_name", "seconds_text"]

NS_PER_S = 1_000_000_000

ColumnKind = Literal["integer", "number", "datetime", "text"]

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0.0)]
# Names become folders, so they must not climb out of the results folder.
PlainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+=@-]{0,199}$")]

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=@-]{0,199}")
_OF_THE_MACHINE = ("load_s", "other_cpu_share", "load1", "instrument_s")
_NEEDED_WHEN_OK = ("repeat", "clock", "model", "cache_state", "wall_ns", "work_id", "started_at")


class Record(BaseModel):
    """One row of `runs`. Field order is column order.

    Raises
    ------
    pydantic.ValidationError
        A bad value; an "ok" run without its duration or identity; a failed run without its error;
        a `duration_s` that is not `wall_ns / 1e9`; a simulated run with figures of the machine it ran on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    experiment: PlainName
    run_id: PlainName
    level: PlainName
    repeat: Count | None = None
    status: Literal["ok", "failed", "interrupted"]
    error: str | None = None
    clock: Literal["wall", "virtual"] | None = None
    model: str | None = None
    cache_state: Literal["cold", "warm", "mixed"] | None = None
    duration_s: Seconds | None = None
    """Always `wall_ns / 1e9`; left out, it is filled in."""
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    tokens_source: Literal["provider", "estimate", "simulated"] | None = None
    tokens_per_s: Annotated[float, Field(ge=0.0)] | None = None
    """Total tokens (prompt and completion) over the duration; None where no model was called."""
    n_agents: Count | None = None
    n_tool_calls: Count | None = None
    n_tool_executions: Count | None = None
    n_model_calls: Count | None = None
    cache_hits: Count | None = None
    cache_misses: Count | None = None
    cost_usd: Annotated[float, Field(ge=0.0)] | None = None
    fact_coverage: Share | None = None
    groundedness: Share | None = None
    decision_accuracy: Share | None = None
    load_s: Seconds | None = None
    other_cpu_share: Share | None = None
    started_at: AwareDatetime | None = None

    work_id: str | None = None
    """Hash of brief, data and exam: only runs of equal work are compared."""
    setting_id: str | None = None
    """Hash of all but level, cache state and repeat: a folder's tables hold the runs of one setting."""
    level_id: str | None = None
    """Hash of the level's switches, whatever its name."""
    data_name: str | None = None
    data_fingerprint: str | None = None
    cell_id: str | None = None
    seed: int | None = None
    pair: Count | None = None
    """The block of runs, one a level, that are compared with each other."""
    order: Count | None = None
    """Position in the randomised order of runs."""
    code_version: str | None = None
    model_hash: str | None = None
    profile: str | None = None
    """The simulated model's profile; None for a real model."""
    tool_choice: Literal["planned", "model"] | None = None
    roster: str | None = None
    lossy_switches: tuple[str, ...] = ()
    """Switches of the level that may change the answer (roster, context, output)."""
    facts_hash: str | None = None
    """Hash of all tool facts: equal wherever only lossless switches differ."""
    keyword_accuracy: Share | None = None
    chance_accuracy: Share | None = None
    cache_saved_s: Seconds | None = None
    """What the answers found in the cache had taken to compute, a whole analysis counted once."""
    cache_saved_tokens: Count | None = None
    cache_troubles: str | None = None
    """What befell the cache, with counts: damaged entries, say, or a full disk; None where nothing did."""
    slowest_tool: str | None = None
    load1: Annotated[float, Field(ge=0.0)] | None = None
    """The machine's one-minute load average when the run started."""
    instrument_s: Seconds | None = None
    """The tracer's own cost within `duration_s`, estimated."""
    wall_ns: Count | None = None
    alerts: tuple[str, ...] = ()
    """Names of the alert rules that fired."""

    @property
    def timing(self) -> str:
        """How the duration came about: "measured", or "simulated: PROFILE"."""
        return timing(self.clock, self.model, self.profile)

    @model_validator(mode="before")
    @classmethod
    def _fill_duration(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or values.get("duration_s") is not None:
            return values
        wall_ns = values.get("wall_ns")
        return {**values, "duration_s": wall_ns / NS_PER_S} if isinstance(wall_ns, int) else values

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        expected = None if self.wall_ns is None else self.wall_ns / NS_PER_S
        if self.duration_s != expected:
            raise ValueError(f"duration_s is {self.duration_s} but wall_ns / 1e9 is {expected}")
        of_machine = [name for name in _OF_THE_MACHINE if getattr(self, name) is not None]
        if self.clock == "virtual" and of_machine:
            raise ValueError(f"a simulated run has no {', '.join(of_machine)}: equal runs leave equal bytes")
        if self.status == "failed" and not self.error:
            raise ValueError("a failed run must say its error")
        if self.status == "ok":
            if self.error is not None:
                raise ValueError("a run with an error is not ok")
            missing = [name for name in _NEEDED_WHEN_OK if getattr(self, name) is None]
            if missing:
                raise ValueError(f"an ok run must have {', '.join(missing)}")
        return self


def column_kinds() -> dict[str, ColumnKind]:
    """Return the columns of `runs`, in order, with the kind of each; a tuple of names is joined to text."""
    properties = Record.model_json_schema()["properties"]
    return {name: _kind([schema, *schema.get("anyOf", ())]) for name, schema in properties.items()}


def _kind(alternatives: Sequence[Mapping[str, Any]]) -> ColumnKind:
    types = {alternative.get("type") for alternative in alternatives}
    if "integer" in types:
        return "integer"
    if "number" in types:
        return "number"
    return "datetime" if "date-time" in {part.get("format") for part in alternatives} else "text"


def is_plain_name(name: str) -> bool:
    """Say whether `name` may name an experiment, level or run: up to 200 letters, digits, `. _ + = @ -`."""
    return _PLAIN.fullmatch(name) is not None


def seconds_text(ns: int) -> str:
    """Print whole nanoseconds as seconds with nine decimals, exactly.

    Parameters
    ----------
    ns
        Nanoseconds, zero or more.
    """
    return f"{ns // NS_PER_S}.{ns % NS_PER_S:09d}"
