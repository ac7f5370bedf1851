"""An ablation: from a base level to a target level, what does each factor bring?

Up to five factors make a full factorial: every block holds all 2^k combinations. More make a Shapley design:
a block goes from base to target along one order of the factors, and the orders are drawn at random.
"""

import difflib
import itertools
import random
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from swarmlab.agents.levels import Level, make_level
from swarmlab.errors import SpecError
from swarmlab.records.design import MAX_FACTORIAL, Design, path_bits

_BETWEEN = "abl-"
SWITCHES = tuple(name for name in Level.model_fields if name != "name")


class Ablation(BaseModel):
    """What is ablated.

    Raises
    ------
    SpecError
        Base and target do not differ, or the factors are not exactly the switches in which they do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Annotated[Level, BeforeValidator(make_level)]
    target: Annotated[Level, BeforeValidator(make_level)]
    factors: tuple[str, ...] = ()
    """Switches, or several joined by '+' that are flipped together; empty for each that differs, alone."""
    permutations: Annotated[int, Field(ge=2, le=100, multiple_of=2)] = 10
    """Orders of a repeat in a Shapley design (over five factors): half are drawn, half are their reverses."""

    @model_validator(mode="after")
    def _factors_are_what_differs(self) -> Self:
        if self.base.switches_id == self.target.switches_id:
            raise SpecError(
                f"ablation: base {self.base.name!r} and target {self.target.name!r} have equal switches; "
                "there is nothing to ablate"
            )
        if self.base.name == self.target.name:
            raise SpecError(f"ablation: base and target are both called {self.base.name!r}")
        for level in (self.base, self.target):
            if level.name.startswith(_BETWEEN):
                raise SpecError(f"ablation: {level.name!r} begins like the levels between base and target")
        _check_factors([name for names in self._listed for name in names], self.differing)
        return self

    @property
    def differing(self) -> tuple[str, ...]:
        """Switches on which base and target do not agree."""
        return tuple(name for name in SWITCHES if getattr(self.base, name) != getattr(self.target, name))

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The switches of each factor, by the factor's name."""
        return {"+".join(names): names for names in self._listed}

    @property
    def _listed(self) -> list[tuple[str, ...]]:
        if not self.factors:
            return [(name,) for name in self.differing]
        return [tuple(name.strip() for name in factor.split("+")) for factor in self.factors]

    @property
    def is_factorial(self) -> bool:
        """All combinations are run in every block."""
        return len(self.groups) <= MAX_FACTORIAL

    def level(self, bits: str) -> Level:
        """Return the level with the factors at `bits` ("1" is on); only base and target keep their names."""
        if "1" not in bits:
            return self.base
        if "0" not in bits:
            return self.target
        on = [names for bit, names in zip(bits, self.groups.values(), strict=True) if bit == "1"]
        switches = {name: getattr(self.target, name) for names in on for name in names}
        return self.base.model_copy(update={"name": _BETWEEN + bits, **switches})

    def design(self, repeats: int, seed: int) -> Design:
        """Return the design: which levels there are, and in a Shapley design the order of each block.

        Parameters
        ----------
        repeats
            Blocks of a factorial; in a Shapley design, rounds of `permutations` blocks.
        seed
            Of the orders. More repeats leave the earlier blocks as they are.
        """
        factors = tuple(self.groups)
        orders: tuple[tuple[str, ...], ...] = ()
        if self.is_factorial:
            points = ["".join(bits) for bits in itertools.product("01", repeat=len(factors))]
        else:
            orders = tuple(itertools.islice(_antithetic(factors, seed), repeats * self.permutations))
            paths = [bits for order in orders for bits in path_bits(factors, order)]
            points = sorted(dict.fromkeys(paths), key=lambda bits: (bits.count("1"), bits))
        names = {self.level(bits).name: bits for bits in points}
        return Design(
            base=self.base.name, target=self.target.name, factors=factors, levels=names, orders=orders
        )

    def blocks(self, repeats: int, seed: int) -> list[tuple[Level, ...]]:
        """Return the levels of each block of `design`."""
        design = self.design(repeats, seed)
        blocks = [tuple(self.level(bits) for bits in path) for _, path in design.paths()]
        return blocks * (1 if design.orders else repeats)


def named_level(level: Any, own: Mapping[str, Level]) -> Level:
    """Return a level by its name among a spec's own, or as `make_level` does."""
    return own[level] if isinstance(level, str) and level in own else make_level(level)


def override_ablation(of_file: Any, given: Mapping[str, Any], own: Mapping[str, Level]) -> dict[str, Any]:
    """Change a spec's ablation from the command line; its factors hold for its own base and target only.

    Raises
    ------
    SpecError
        Neither names a base or a target, or a level is unknown.
    """
    before = dict(of_file) if isinstance(of_file, Mapping) else {}
    after = before | {name: value for name, value in given.items() if value is not None}
    for end in ("base", "target"):
        if end not in after:
            raise SpecError(f"the ablation has no {end}; give --{end}, or name one in the experiment")
        after[end] = named_level(after[end], own)
    is_same = all(end in before and after[end] == named_level(before[end], own) for end in ("base", "target"))
    if not is_same and given.get("factors") is None:
        after.pop("factors", None)
    return after


def _antithetic(factors: tuple[str, ...], seed: int) -> Iterator[tuple[str, ...]]:
    """Draw orders in pairs, one and its reverse, which cancels much of the sampling error.

    Source: Mitchell, Cooper, Frank & Holmes, "Sampling permutations for Shapley value estimation", Journal of
    Machine Learning Research 23 (2022).
    """
    draw = random.Random(f"orders of {seed}")
    while True:
        order = tuple(draw.sample(factors, len(factors)))
        yield order
        yield order[::-1]


def _check_factors(listed: list[str], differing: tuple[str, ...]) -> None:
    for name in listed:
        if name not in SWITCHES:
            near = difflib.get_close_matches(name, SWITCHES, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise SpecError(f"ablation: unknown switch {name!r}{hint} in factors; known: {_all(SWITCHES)}")
        if listed.count(name) > 1:
            raise SpecError(f"ablation: switch {name!r} is in two factors; leave it in one")
        if name not in differing:
            raise SpecError(
                f"ablation: switch {name!r} is the same in base and target, so it is no factor; leave it out "
                "or make the target differ"
            )
    missing = [name for name in differing if name not in listed]
    if missing:
        raise SpecError(
            f"ablation: the factors leave out {_all(missing)}, in which base and target differ; add each to "
            "a factor, or give a target that does not differ in it"
        )


def _all(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)
