"""A CSV as text: its encoding, separator and header, and the line where a row stands."""

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swarmlab.data.names import check_names
from swarmlab.data.schema import REQUIRED
from swarmlab.errors import DataError

_CHUNK = 1 << 24
_OTHER_KINDS: Final = {
    b"PAR1": "a Parquet file; give it the suffix .parquet",
    b"PK\x03\x04": "a zip or Excel file; save the sheet as CSV (UTF-8)",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"\xff\xfe": "UTF-16 text; save it as CSV UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as CSV UTF-8",
}
_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass(frozen=True, slots=True)
class CsvHeader:
    """The column names of the first record."""

    names: tuple[str, ...]


def check_text(path: Path) -> CsvHeader:
    """Return the header of a comma-separated UTF-8 file (a byte order mark is allowed).

    Raises
    ------
    DataError
        Empty, header only, another kind of file, not UTF-8 (with byte offset and line), another separator, a
        required column missing or one doubled, a first row of more or fewer fields than the header, or an
        open quote.
    """
    with path.open("rb") as file:
        start = file.read(4)
    for magic, what in _OTHER_KINDS.items():
        if start.startswith(magic):
            raise DataError(f"{path}: is not CSV text but {what}")
    _check_utf8(path)
    records = _records(path)
    _, names = next(records, (0, []))
    if not names:
        raise DataError(f"{path}: is empty; write a header with {', '.join(REQUIRED)} and one line per sale")
    if any("\n" in name for name in names):
        raise DataError(f"{path}: line 1: a quote in the header is not closed; close or remove it")
    header = CsvHeader(tuple(names))
    _check_separator(path, header)
    check_names(path, header.names)
    first = next(records, None)
    if first is None:
        raise DataError(f"{path}: has a header but no rows; write at least one sale under it")
    if len(first[1]) != len(names):
        raise _ragged(path, 0, first, header)
    return header


def line_of_row(path: Path, row: int) -> int:
    """Return the 1-based line on which the 0-based row ends (the header is line 1).

    Raises
    ------
    DataError
        A record before it cannot be read as CSV.
    """
    for index, (line, _) in enumerate(_records(path)):
        if index == row + 1:
            return line
    return row + 2


def ragged_row(path: Path, header: CsvHeader) -> DataError | None:
    """Return the error for the first row whose number of fields is not the header's, if there is one.

    Raises
    ------
    DataError
        A record before it cannot be read as CSV.
    """
    records = _records(path)
    next(records, None)
    for row, record in enumerate(records):
        if len(record[1]) != len(header.names):
            return _ragged(path, row, record, header)
    return None


def _ragged(path: Path, row: int, record: tuple[int, list[str]], header: CsvHeader) -> DataError:
    line, fields = record
    least = min(len(fields), len(header.names))
    last = header.names[least - 1] if least else header.names[0]
    return DataError(
        f"{path}: row {row + 1} (line {line}), column {last}: {len(fields)} fields where the header has "
        f"{len(header.names)}; add or remove commas, or put text with a comma in quotes"
    )


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the line on which it ends; blank lines are passed over, as pandas does."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        while True:
            first_line = reader.line_num + 1
            try:
                record = next(reader, None)
            except csv.Error as error:
                # An open quote swallows lines until the field is longer than the csv module allows.
                raise DataError(
                    f"{path}: line {first_line}: the record that begins here cannot be read ({error}); most "
                    "likely a quote is not closed: close or remove it"
                ) from error
            if record is None:
                return
            if record and not (len(record) == 1 and not record[0].strip()):
                yield reader.line_num, record


def _check_utf8(path: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    line = 1
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK)
            pending = decoder.getstate()[0]
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                block = pending + chunk
                at = offset - len(pending) + error.start
                line += chunk.count(b"\n", 0, max(error.start - len(pending), 0))
                byte = block[error.start]
                raise DataError(
                    f"{path}: line {line}: byte {at} (0x{byte:02X}) is not UTF-8, which is expected; "
                    f"in Windows-1252 it would be {bytes([byte]).decode('cp1252', 'replace')!r}; "
                    "save the file as CSV UTF-8"
                ) from error
            if not chunk:
                return
            if b"\x00" in chunk:
                line += chunk.count(b"\n", 0, chunk.index(b"\x00"))
                raise DataError(
                    f"{path}: line {line}: holds a zero byte, so it is no text; write it anew as CSV"
                )
            offset += len(chunk)
            line += chunk.count(b"\n")


def _check_separator(path: Path, header: CsvHeader) -> None:
    if set(REQUIRED) <= set(header.names):
        return
    for sign, plural in _SEPARATORS.items():
        if any(sign in name for name in header.names):
            raise DataError(
                f"{path}: line 1: the columns are separated by {plural}; write a comma-separated file "
                "(with a point, not a comma, in numbers)"
            )
