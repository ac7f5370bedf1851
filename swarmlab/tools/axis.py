"""A dimension of the rows as codes and names, whatever the column's dtype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Codes = NDArray[np.intp]

UNKNOWN: Final = "unknown"
"""Name given to rows whose dimension is empty."""


@dataclass(frozen=True)
class Axis:
    """A dimension of the rows: a code for each row and a name for each code, names in alphabetical order."""

    codes: Codes
    names: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of names."""
        return len(self.names)


def axis_of(column: pd.Series[Any]) -> Axis:
    """Code a column by its sorted names; empty cells are named `UNKNOWN`."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        raw, labels = column.cat.codes.to_numpy(), column.cat.categories
    else:
        raw, labels = pd.factorize(column)
    codes: Codes = raw.astype(np.intp)
    texts = [str(label) for label in labels]
    if codes.min(initial=0) < 0:
        # Code -1 (an empty cell) is then that of the last text.
        texts.append(UNKNOWN)
        codes[codes < 0] = len(texts) - 1
    names = sorted(set(texts))
    if names != texts:
        position = {name: i for i, name in enumerate(names)}
        codes = np.array([position[text] for text in texts], dtype=np.intp)[codes]
    return Axis(codes, tuple(names))
