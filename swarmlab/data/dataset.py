"""A dataset: a checked file and its typed copy, read whole or by columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from swarmlab.data.dates import ISO_DAY
from swarmlab.data.parts import parts_of
from swarmlab.data.schema import DIMENSIONS
from swarmlab.data.tables import read_table, typed_chunks
from swarmlab.errors import DataError


@dataclass(frozen=True)
class Dataset:
    """A canonical sales frame on disk, checked.

    `read` and `load` give the same rows in the same order with the same values: `sale_date` as datetime64[us]
    at midnight, every measure as float64, text as plain strings (`read`) or categoricals (`load`).
    """

    name: str
    "`grocery`, `beverage-100000-s7`, or the file's stem."
    source: str
    "`grocery`, `beverage` or `file`."
    path: Path
    "What an ordinary program would read: a CSV, the user's own Parquet, or a folder of one of these."
    columnar: Path
    "The checked, typed, dictionary-encoded Parquet copy in the user's cache, named by the fingerprint."
    fingerprint: str
    "SHA-256 of the content in hexadecimal; see `swarmlab.data.fingerprint`."
    rows: int
    columns: tuple[str, ...]
    "The canonical and extension columns present, in canonical order."
    notes: tuple[str, ...]
    "How columns map, what was left out and why, quirks, licence."
    date_form: str = ISO_DAY
    "How `path` writes its dates (a key of `swarmlab.data.dates.FORMS`, perhaps `+time`; or `native`)."

    def read(self) -> pd.DataFrame:
        """Read all of `path` with pandas, as an ordinary first version of a tool does.

        Returns
        -------
        pandas.DataFrame
            `rows` rows and `columns`; any extra column is read and dropped.
        """
        parts = [read_table(part, self.columns, self.date_form) for part in parts_of(self.path)]
        return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)

    def chunks(self, rows: int) -> Iterator[pd.DataFrame]:
        """Read all of `path` with pandas, as `read` does, at most so many rows at a time."""
        return typed_chunks(parts_of(self.path), self.columns, self.date_form, rows)

    @property
    def size_bytes(self) -> int:
        """Size of `path` on disk, all files of a folder together."""
        return sum(part.stat().st_size for part in parts_of(self.path))

    def load(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read only `columns` (default: all) from the typed copy.

        Returns
        -------
        pandas.DataFrame
            `rows` rows; text columns are categoricals whose categories are in name order.

        Raises
        ------
        DataError
            A column is not in the dataset, or the copy is gone from the cache.
        """
        wanted = list(self.columns if columns is None else columns)
        for name in wanted:
            if name not in self.columns:
                raise DataError(f"{self.path}: no column {name!r}; it has {', '.join(self.columns)}")
        try:
            table = pq.read_table(self.columnar, columns=wanted, partitioning=None)
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(
                f"the checked copy {self.columnar} cannot be read ({error}); open the data anew"
            ) from error
        frame: pd.DataFrame = table.to_pandas(date_as_object=False, ignore_metadata=True)
        if "sale_date" in wanted:
            frame["sale_date"] = frame["sale_date"].astype("datetime64[us]")
        for name in set(DIMENSIONS).intersection(wanted):
            categories = frame[name].cat.categories
            if not categories.is_monotonic_increasing:
                frame[name] = frame[name].cat.reorder_categories(sorted(categories))
        return frame[wanted]
