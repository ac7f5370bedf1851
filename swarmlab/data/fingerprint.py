"""The fingerprint: SHA-256 over what a canonical frame says, not over how its file is written."""

import hashlib
import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from swarmlab.data.schema import DIMENSIONS, kept_columns


def fingerprint(frame: pd.DataFrame) -> str:
    """Return the SHA-256, in hexadecimal, of a canonical frame's content.

    It depends on the canonical and extension columns present, the order of the rows and every value; not on
    the file's name, time or format, the order of its columns, any extra column, or the dtypes chosen
    (plain or categorical text, whole or floating numbers).

    Parameters
    ----------
    frame
        A canonical frame of any row count.

    Notes
    -----
    Hashed in canonical column order: the column's name; then for dates the days since 1970 as little-endian
    int64, for text its sorted values as JSON and each row's index into them as little-endian int32 (-1 for
    null), for numbers little-endian float64 with one zero and one NaN.
    """
    return digest_of(len(frame), kept_columns(tuple(frame.columns)), lambda name: (frame[name],))


def digest_of(rows: int, columns: tuple[str, ...], parts: Callable[[str], Iterable["pd.Series[Any]"]]) -> str:
    """Return the fingerprint of content that `parts` gives by column, in pieces; asked twice for text."""
    digest = hashlib.sha256()
    digest.update(json.dumps([rows, columns]).encode())
    for name in columns:
        if name in DIMENSIONS:
            _add_text(digest, partial(parts, name))
            continue
        for column in parts(name):
            if name == "sale_date":
                values = column.to_numpy(dtype="datetime64[D]").astype("<i8")
            else:
                values = column.to_numpy(dtype="<f8", na_value=np.nan) + 0.0  # -0.0 becomes 0.0
                values[np.isnan(values)] = np.nan
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _add_text(digest: "hashlib._Hash", parts: Callable[[], Iterable["pd.Series[Any]"]]) -> None:
    values = sorted({str(value) for column in parts() for value in pd.factorize(column)[1]})
    rank = {value: index for index, value in enumerate(values)}
    digest.update(json.dumps(values).encode())
    for column in parts():
        codes, unique = pd.factorize(column)
        # Code -1, a null, picks the last.
        ranks = np.array([*(rank[str(value)] for value in unique), -1], dtype="<i4")
        digest.update(np.ascontiguousarray(ranks[codes]).data)


def coded(column: "pd.Series[str]") -> tuple[list[str], "np.ndarray[tuple[int], np.dtype[np.intp]]"]:
    """Return a text column's distinct values in name order and each row's index into them (-1 for null)."""
    codes, unique = pd.factorize(column)
    values = [str(value) for value in unique]
    order = sorted(range(len(values)), key=values.__getitem__)
    rank = np.empty(len(values) + 1, dtype=np.intp)
    rank[order] = np.arange(len(values))
    rank[-1] = -1
    return [values[index] for index in order], rank[codes]
