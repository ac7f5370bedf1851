"""A capacity experiment: which load is put on which simulated machine, and what is asked of the outcome."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from swarmlab.agents.brief import Brief, load_brief
from swarmlab.agents.levels import LEVELS, Level, make_level
from swarmlab.errors import SpecError, first_problem
from swarmlab.lab.experiment import Seed, Workers, default_spec, read_mapping
from swarmlab.lab.load.arrivals import Arrivals, Mix, Poisson, Trace, read_trace, trace_rate
from swarmlab.models.profile import DEFAULT_PROFILE, Limits, Profile, load_profile, no_truth_value
from swarmlab.records.load_tables import fewest_requests
from swarmlab.tools.cache import content_key

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Users = Annotated[int, Field(ge=1, le=10_000)]
AnyLevel = Annotated[Level, BeforeValidator(make_level)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_truth_value(cls, value: Any) -> Any:
        return no_truth_value(value)


class WeightedBrief(_Frozen):
    """A brief and how often it is asked, relative to the others."""

    brief: Annotated[Brief, BeforeValidator(load_brief)] = Brief()
    weight: Positive = 1.0


class Pool(_Frozen):
    """Analyses that run at once; others queue, first come, first served."""

    workers: Annotated[int, Field(ge=1)] | None = None
    """None: every analysis starts when it is asked for."""


class Slo(_Frozen):
    """The service level that is asked for: so many percent of analyses are done within so many seconds."""

    latency_s: Positive = 15.0
    percentile: Annotated[float, Field(gt=0, lt=100)] = 95.0


class ClosedLoop(_Frozen):
    """Steps of users who each ask again at once when their analysis is done: how throughput scales."""

    users: Annotated[tuple[Users, ...], Field(min_length=1)] = (1, 2, 4, 8, 16)
    analyses: Annotated[int, Field(ge=1)] = 60
    """Analyses counted a step, at least; after a warm-up of two rounds of all users."""
    least_s: Annotated[float, Field(ge=0)] = 600.0
    """Time that a step takes at least: a provider's full bucket at the start must not pass for throughput."""
    seeds: Annotated[int, Field(ge=1, le=100)] = 3
    """Each step is simulated with so many seeds."""


class Purchase(_Frozen):
    """A question: which provider's limit is enough for a wanted rate?"""

    profile: str
    level: AnyLevel = LEVELS["full"]
    rate_per_h: Positive


class Advantage(_Frozen):
    """A claim to test: one level does so many times the analyses per hour of another."""

    level: AnyLevel = LEVELS["full"]
    baseline: AnyLevel = LEVELS["blackboard"]
    times: Positive = 20.0


class CapacitySpec(_Frozen):
    """A load to simulate. Every field has a default."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")] = "capacity"
    profiles: Annotated[tuple[str, ...], Field(min_length=1)] = (DEFAULT_PROFILE,)
    levels: Annotated[tuple[AnyLevel, ...], Field(min_length=1)] = (LEVELS["blackboard"], LEVELS["full"])
    data: str = "grocery"
    briefs: Annotated[tuple[WeightedBrief, ...], Field(min_length=1)] = (WeightedBrief(),)
    repeat_rate: Share = 0.0
    """Share of arrivals that ask for an analysis that was asked for before.

    Never all: users of a closed loop whose every answer is in the cache would ask for ever in no time.
    """
    arrivals: Arrivals = Poisson()
    rates: tuple[Positive, ...] | None = None
    """Analyses per hour to step through; None: `shares` of what each level does at most."""
    shares: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.1, 0.3, 0.5, 0.7, 0.9, 1.2)
    """Of the greatest throughput of the closed loop."""
    users: Users = 400
    """Arrivals of each step."""
    pool: Pool = Pool()
    workers: Workers = 4
    """Tool workers of each analysis."""
    tool_processors: Annotated[int, Field(ge=1)] | None = None
    """Processors that the tools of all analyses share; None: as the profile says."""
    timeout_s: Positive = 120.0
    """From the intended start; an analysis that is not done by then is given up and has failed."""
    slo: Slo = Slo()
    limits: Mapping[str, Limits] = {}
    """Instead of a profile's own, by its name."""
    warm_up: Share = 0.1
    """First share of a step's arrivals, which is not counted."""
    think_time_s: Annotated[float, Field(ge=0)] = 600.0
    """What a user does between an answer and the next question, for "how many users"."""
    tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """Width of the bracket around a knee or a limit, relative to its lower end."""
    closed: ClosedLoop = ClosedLoop()
    buy: tuple[Purchase, ...] = ()
    advantage: Advantage | None = None
    seed: Seed = 0
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    """Each step of arrivals is simulated with so many seeds, drawn from `seed`; purchases with the first."""

    @model_validator(mode="after")
    def _asks_what_can_be_answered(self) -> Self:
        for what, names in (("level", [level.name for level in self.levels]), ("profile", self.profiles)):
            repeated = [name for name in names if list(names).count(name) > 1]
            if repeated:
                raise ValueError(f"{what} {repeated[0]!r} is listed twice")
        for field, values in (("rates", self.rates or ()), ("closed.users", self.closed.users)):
            if any(later <= earlier for earlier, later in itertools.pairwise(values)):
                raise ValueError(f"{field} must ascend, got {list(values)}")
        if self.rates is not None and not self.rates:
            raise ValueError("rates is empty; leave it out to let them be chosen")
        counted = self.users - int(self.users * self.warm_up)
        needed = fewest_requests(self.slo.percentile)
        if counted < needed:
            raise ValueError(
                f"a {self.slo.percentile:g}th percentile takes {needed} requests beyond the warm-up, and "
                f"'users' leaves {counted}; raise 'users' or lower slo.percentile"
            )
        listed = {level.name: level for level in self.levels}
        if self.advantage is not None:
            for level in (self.advantage.level, self.advantage.baseline):
                if listed.get(level.name) != level:
                    raise ValueError(f"advantage compares level {level.name!r}, which is not among 'levels'")
        return self

    @property
    def spec_id(self) -> str:
        """Hash of all of it."""
        return content_key(self.model_dump(mode="json"))[:16]

    def profile(self, name: str) -> Profile:
        """A profile, with this spec's limits and processors where it gives any."""
        profile = load_profile(name)
        changed: dict[str, Any] = {}
        if profile.name in self.limits:
            changed["limits"] = self.limits[profile.name]
        if self.tool_processors is not None:
            cores = {"cores": float(self.tool_processors)}
            changed["tools"] = {impl: costs.model_copy(update=cores) for impl, costs in profile.tools.items()}
        return profile.model_copy(update=changed)

    def mix(self, seed: int) -> Mix:
        """Which analyses are asked for, drawn from a seed."""
        return Mix(tuple(each.weight for each in self.briefs), self.repeat_rate, seed)

    def seed_of(self, replication: int) -> int:
        """Seed of a replication, far from the next, so that no analysis of one is an analysis of another."""
        return (self.seed + replication * 1_000_003) % 2**31


def capacity_spec() -> Path:
    """The experiment that `swarmlab capacity` runs: `experiments/capacity.yaml`, beside the default one."""
    return default_spec().with_name("capacity.yaml")


def load_capacity_spec(path: Path, **overrides: Any) -> CapacitySpec:
    """Read a spec, apply the command line's overrides (None leaves the spec's value), and check all it names.

    Of the spec's own claim and purchases those go that are of levels or profiles an override leaves out.

    Raises
    ------
    SpecError
        The file is missing or not YAML, a field is unknown or has a bad value, or a brief, profile or trace
        that it names cannot be used; names the file and the field.
    """
    fields = read_mapping(path)
    _beside(fields, path.parent)
    given = {name: value for name, value in overrides.items() if value is not None}
    _narrow(fields, given)
    fields |= given
    try:
        spec = CapacitySpec.model_validate(fields)
        known = {load_profile(name).name for name in spec.profiles}
        for purchase in spec.buy:
            load_profile(purchase.profile)
        unknown = sorted(set(spec.limits) - known)
        if unknown:
            raise SpecError(f"limits are given for profile {unknown[0]!r}, which is not among 'profiles'")
        if isinstance(spec.arrivals, Trace):
            spec = _with_trace(spec, read_trace(Path(spec.arrivals.file)))
    except SpecError as error:
        raise SpecError(f"experiment {path}: {error}") from error
    except ValidationError as error:
        raise SpecError(f"experiment {path}: {first_problem(error)}") from error
    return spec


def _with_trace(spec: CapacitySpec, times_s: list[float]) -> CapacitySpec:
    """Fill in what follows from the trace: its own rate where none is given."""
    if spec.rates is None:
        spec = spec.model_copy(update={"rates": (round(trace_rate(times_s[: spec.users]), 6),)})
    counted = min(spec.users, len(times_s))
    counted -= int(counted * spec.warm_up)
    needed = fewest_requests(spec.slo.percentile)
    if counted < needed:
        raise SpecError(
            f"the trace leaves {counted} arrivals beyond the warm-up; percentile {spec.slo.percentile:g} "
            f"takes {needed}"
        )
    return spec


def _narrow(fields: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Leave out of the spec what is asked of levels and profiles that the command line leaves out."""
    claim = fields.get("advantage")
    if "levels" in given and isinstance(claim, dict):
        ends = [claim.get("level", "full"), claim.get("baseline", "blackboard")]
        if any(end not in given["levels"] for end in ends):
            del fields["advantage"]
    if "profiles" in given and isinstance(fields.get("buy"), list):
        fields["buy"] = [
            asked
            for asked in fields["buy"]
            if not isinstance(asked, dict) or asked.get("profile") in given["profiles"]
        ]


def _beside(fields: dict[str, Any], folder: Path) -> None:
    """Files named in a spec lie beside it, wherever the command is run from."""
    arrivals = fields.get("arrivals")
    if isinstance(arrivals, dict) and isinstance(arrivals.get("file"), str):
        fields["arrivals"] = arrivals | {"file": str(folder / arrivals["file"])}
    if isinstance(fields.get("briefs"), list):
        fields["briefs"] = [_weighted(each, folder) for each in fields["briefs"]]
    if isinstance(fields.get("profiles"), list):
        fields["profiles"] = [_profile(name, folder) for name in fields["profiles"]]


def _weighted(each: Any, folder: Path) -> Any:
    if isinstance(each, dict) and isinstance(each.get("brief"), str):
        return each | {"brief": str(folder / each["brief"])}
    return {"brief": str(folder / each)} if isinstance(each, str) else each


def _profile(name: Any, folder: Path) -> Any:
    is_path = isinstance(name, str) and name.endswith((".yaml", ".yml"))
    return str(folder / name) if is_path else name
