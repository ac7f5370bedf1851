"""The design of an ablation as its manifest holds it: which factors are on in which level, and where."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from swarmlab.errors import StoreError, first_problem

__all__ = ["MAX_FACTORIAL", "Design", "design_frame", "design_of", "factors_of", "path_bits"]

MAX_FACTORIAL = 5
"""With more factors all 2^k combinations are too many, and orders of the factors are sampled."""

_KEYS = ["block", "level"]


class Design(BaseModel):
    """An ablation's design; `levels` maps a level to its factors' bits ("0110"), "1" being as in the target.

    `orders` is empty for a full factorial, in which every block holds all levels. Otherwise it has, for each
    block, the order in which that block switches the factors on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    target: str
    factors: tuple[str, ...]
    levels: dict[str, str]
    orders: tuple[tuple[str, ...], ...] = ()

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        k = len(self.factors)
        if not k or set(self.factors) & set(_KEYS):
            raise ValueError("there must be factors, none called block or level")
        bits = list(self.levels.values())
        if any(len(point) != k or set(point) - {"0", "1"} for point in bits) or len(set(bits)) < len(bits):
            raise ValueError(f"each level needs {k} bits of its own")
        if (self.levels.get(self.base), self.levels.get(self.target)) != ("0" * k, "1" * k):
            raise ValueError("the base must have no factor on, and the target all")
        if any(sorted(order) != sorted(self.factors) for order in self.orders):
            raise ValueError("an order must have every factor once")
        if not self.orders and len(bits) != 2**k:
            raise ValueError(f"a factorial of {k} factors has {2**k} levels, not {len(bits)}")
        missing = {point for _, path in self.paths() for point in path} - set(bits)
        if missing:
            raise ValueError(f"no level has the bits {min(missing)}")
        return self

    def paths(self) -> list[tuple[int | None, list[str]]]:
        """Return each block with the bits of its levels; in a factorial one entry, None, for all blocks."""
        if not self.orders:
            k = len(self.factors)
            return [(None, [f"{number:0{k}b}" for number in range(2**k)])]
        return [(block, path_bits(self.factors, order)) for block, order in enumerate(self.orders)]


def path_bits(factors: Sequence[str], order: Sequence[str]) -> list[str]:
    """Return the bits of each level on the way from base to target that switches factors on in `order`."""
    return [
        "".join("1" if factor in order[:n_on] else "0" for factor in factors)
        for n_on in range(len(order) + 1)
    ]


def design_of(manifest: Mapping[str, Any]) -> Design | None:
    """Return the manifest's design; None when the experiment is no ablation.

    Raises
    ------
    StoreError
        There is one, but it makes no sense; names the field.
    """
    if manifest.get("design") is None:
        return None
    try:
        return Design.model_validate(manifest["design"])
    except ValidationError as error:
        raise StoreError(f"the design in manifest.json is unreadable: {first_problem(error)}") from error


def design_frame(design: Design | None) -> pd.DataFrame:
    """Return the design as a table; empty without one.

    Returns
    -------
    DataFrame
        `block` (missing in a factorial: every block), `level`, and a boolean column a factor, in the
        factors' order. In a block of a Shapley design the rows are in the order of its path.
    """
    if design is None:
        return pd.DataFrame({"block": pd.Series(dtype="Int64"), "level": pd.Series(dtype="str")})
    by_bits = {bits: level for level, bits in design.levels.items()}
    rows = [
        (block, by_bits[bits], *(bit == "1" for bit in bits))
        for block, path in design.paths()
        for bits in path
    ]
    frame = pd.DataFrame(rows, columns=[*_KEYS, *design.factors])
    return frame.astype({"block": "Int64", "level": "str", **dict.fromkeys(design.factors, "bool")})


def factors_of(design: pd.DataFrame) -> list[str]:
    """Return the factors of a `design` table."""
    return [str(name) for name in design.columns if name not in _KEYS]
