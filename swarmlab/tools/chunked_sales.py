"""A file too large for memory as a first version reads it: with pandas, chunk after chunk, in every call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd

from swarmlab.tools.axis import UNKNOWN
from swarmlab.tools.grouped_sales import Keys, Limits, SalesOnDisk
from swarmlab.tools.rows import FrameRows

if TYPE_CHECKING:
    from swarmlab.data import Dataset

CHUNK_ROWS: Final = 100_000


class ChunkedSales(SalesOnDisk):
    """The dataset's own file, read and grouped in chunks of `CHUNK_ROWS` rows; groups are then added up."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self._dataset = dataset
        self.columns = dataset.columns

    def grouped(self, sets: Sequence[Keys], limits: Limits, *, with_sums: bool = True) -> list[pd.DataFrame]:
        """Return the groups of each set of keys, all from one reading of the file."""
        found: list[list[pd.DataFrame]] = [[] for _ in sets]
        for chunk in self._dataset.chunks(CHUNK_ROWS):
            rows = _rows(chunk, limits, with_sums)
            for parts, keys in zip(found, sets, strict=True):
                parts.append(_by(rows, keys))
        return [_by(pd.concat(parts), keys) for parts, keys in zip(found, sets, strict=True)]


def _rows(chunk: pd.DataFrame, limits: Limits, with_sums: bool) -> pd.DataFrame:
    """Return the chunk's rows in scope: their keys, and by measure what each adds."""
    names = [name for name in ("brand", "category", "region", "country", "store_id") if name in chunk]
    keys = chunk[names].fillna(UNKNOWN).assign(sale_date=chunk["sale_date"])
    rows = keys.assign(day=chunk["sale_date"], month=chunk["sale_date"].dt.to_period("M"), rows=1.0)
    if with_sums:
        amounts = FrameRows(chunk, {})
        rows = rows.assign(**{name: amounts.amounts(name) for name in amounts.measures})
    for name, wanted in limits.items():
        rows = rows[rows[name].isin(wanted)]
    return rows


def _by(rows: pd.DataFrame, keys: Keys) -> pd.DataFrame:
    sums = dict.fromkeys(rows.select_dtypes("float64").columns, "sum")
    return rows.groupby(list(keys), as_index=False).agg({"sale_date": "min", **sums})
