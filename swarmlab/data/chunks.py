"""A user's files as chunks of typed rows, in bounded memory; what cannot be read as such is an error.

Can it be read as CSV or Parquet at all, are the columns there, are numbers numbers: rows, lines and columns
are named. Dates stay as they are written; `swarmlab.data.check` finds their form and judges the values.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from swarmlab.data.csvtext import CsvHeader, check_text, ragged_row
from swarmlab.data.memory import memory_limit
from swarmlab.data.names import check_names
from swarmlab.data.parts import check_same_columns, is_parquet
from swarmlab.data.places import Place
from swarmlab.data.schema import AMOUNTS, DIMENSIONS, FLAGS, MEASURES, kept_columns
from swarmlab.data.tables import as_text, csv_chunks, parquet_chunks, with_fractions
from swarmlab.errors import DataError

CHUNK_ROWS: Final = 1 << 18
"""262,144 rows, at most, in a chunk."""
ROW_BYTES: Final = 4096
"""Bytes of the memory limit that go with a row of a chunk; checking one of 13 columns takes about 1,000."""


Heads = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Chunk:
    """Rows of one file: the canonical and extension columns, numbers as float64, names as text."""

    frame: pd.DataFrame
    place: Place
    start: int
    "How many rows of the file come before."


def check_heads(parts: tuple[Path, ...]) -> Heads:
    """Return each file's column names, after checking that these are what their suffix says.

    Raises
    ------
    DataError
        Another kind of file, text that is not UTF-8, a wrong header, or files of different columns.
    """
    names = tuple(_parquet_names(part) if is_parquet(part) else check_text(part).names for part in parts)
    check_same_columns(parts, names)
    return names


def chunks_of(parts: tuple[Path, ...], heads: Heads) -> Iterator[Chunk]:
    """Yield the rows of the files in order.

    Raises
    ------
    DataError
        A row cannot be read, or a number is none.
    """
    columns = kept_columns(heads[0])
    rows = min(CHUNK_ROWS, memory_limit() // ROW_BYTES)
    fractional = with_fractions(parts, columns) if is_parquet(parts[0]) else frozenset()
    for part, names in zip(parts, heads, strict=True):
        start = 0
        for chunk in (
            _parquet(part, columns, fractional, rows) if is_parquet(part) else _csv(part, names, rows)
        ):
            yield Chunk(chunk, Place(part), start)
            start += len(chunk)
        if start == 0:
            raise DataError(f"{part}: has a header but no rows; write at least one sale under it")


def _csv(path: Path, names: tuple[str, ...], rows: int) -> Iterator[pd.DataFrame]:
    header = CsvHeader(names)
    text = _AsText(path, header, rows)
    chunks = csv_chunks(path, None, rows)
    index = start = 0
    has_full_rows = False
    while True:
        try:
            frame = next(chunks, None)
        except pd.errors.ParserError as error:
            raise _ragged(path, header, error) from error
        except ValueError as error:
            raise _text_in_number(text.chunk(index), Place(path), start, str(error)) from error
        if frame is None:
            return
        if _may_hold_truth_values(frame) and _truth_values(words := text.chunk(index)):
            raise _text_in_number(words, Place(path), start, "")
        # pandas fills a short row with empty fields: only a file with a gap in its last column can hold one.
        last = frame.iloc[:, -1]
        if not has_full_rows and (last.isna() | (last == "")).any():
            short = ragged_row(path, header)
            if short:
                raise short
            has_full_rows = True
        yield frame[list(kept_columns(names))]
        index, start = index + 1, start + len(frame)


class _AsText:
    """The chunks of a CSV with numbers as text; read only where they are asked for, in rising order."""

    def __init__(self, path: Path, header: CsvHeader, rows: int) -> None:
        self._path, self._header = path, header
        self._chunks = enumerate(csv_chunks(path, None, rows, numbers_as_text=True))

    def chunk(self, index: int) -> pd.DataFrame:
        """Return the chunk of that index."""
        try:
            return next(chunk for at, chunk in self._chunks if at == index)
        except pd.errors.ParserError as error:
            raise _ragged(self._path, self._header, error) from error


def _ragged(path: Path, header: CsvHeader, error: pd.errors.ParserError) -> DataError:
    return ragged_row(path, header) or DataError(f"{path}: is not a regular CSV: {error}")


def _may_hold_truth_values(frame: pd.DataFrame) -> bool:
    """Tell if a column of amounts is all ones and zeros, as pandas makes of true and false."""
    return any(frame[name].dropna().isin((0.0, 1.0)).all() for name in AMOUNTS if name in frame)


def _truth_values(text: pd.DataFrame) -> bool:
    words = text[[name for name in AMOUNTS if name in text]]
    found = words.apply(lambda column: column.str.strip().str.lower().isin(("true", "false")).any())
    return bool(found.any())


def _text_in_number(frame: pd.DataFrame, place: Place, start: int, message: str) -> DataError:
    found: list[tuple[int, str, str]] = []
    for name in kept_columns(tuple(frame.columns)):
        if name in MEASURES:
            wrong = frame[name].notna() & pd.to_numeric(frame[name], errors="coerce").isna()
            if wrong.any():
                row = int(wrong.to_numpy().argmax())
                found.append((row, name, frame[name].iloc[row]))
    if not found:
        return DataError(f"{place.path}: {message}")
    row, name, value = min(found)
    advice = "digits with a point, no currency or thousands sign"
    if name in FLAGS:
        advice = "1 for yes and 0 for no in every row"
    return place.error(start + row, name, f"{value!r} is not a number; write {advice}")


def _parquet_names(path: Path) -> tuple[str, ...]:
    try:
        names = tuple(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    check_names(path, names)
    return names


def _parquet(
    path: Path, columns: tuple[str, ...], fractional: frozenset[str], rows: int
) -> Iterator[pd.DataFrame]:
    place, start = Place(path), 0
    try:
        for frame in parquet_chunks(path, columns, rows):
            texts = [name for name in columns if name in DIMENSIONS]
            for name in texts:
                if isinstance(frame[name].dropna().iloc[:1].squeeze(), bytes):
                    raise DataError(f"{path}: column {name}: holds bytes; store it as text (UTF-8)")
            names = {name: as_text(frame[name], is_fractional=name in fractional) for name in texts}
            numbers = {name: _numbers(frame[name], place, start) for name in columns if name in MEASURES}
            yield frame.assign(**names, **numbers)
            start += len(frame)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0]
    return DataError(f"{path}: cannot be read as Parquet ({reason}); write it anew, or use CSV")


def _numbers(column: "pd.Series[Any]", place: Place, start: int) -> "pd.Series[float]":
    present = column.dropna()
    first = present.iloc[0] if len(present) else None
    is_text = isinstance(first, str | bytes)
    is_truth = isinstance(first, bool) or pd.api.types.is_bool_dtype(column.dtype)
    try:
        if is_text or (is_truth and column.name not in FLAGS):
            raise TypeError
        return column.astype("float64")
    except (TypeError, ValueError) as error:
        row = int(column.notna().to_numpy().argmax())
        kind = "text" if is_text else "truth values" if is_truth else str(column.dtype)
        shown = bool(column.iloc[row]) if is_truth else column.iloc[row]
        raise place.error(
            start + row,
            str(column.name),
            f"{shown!r} is not a number (the column holds {kind}); store it as a number",
        ) from error
