"""The typed copy of checked data: a Parquet file with dates, dictionaries of text and floating numbers."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from swarmlab.data.fingerprint import coded, digest_of
from swarmlab.data.schema import DIMENSIONS, kept_columns

BATCH_ROWS = 1 << 18


class CopyWriter:
    """Writes a typed copy chunk by chunk, one row group each; a file without any chunk is not made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, frame: pd.DataFrame) -> None:
        """Append the rows of a canonical frame."""
        table = _dictionary_encoded(frame)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table, row_group_size=max(len(frame), 1))


def keep_columns(path: Path, columns: tuple[str, ...]) -> None:
    """Write a copy anew with these of its columns."""
    narrow = path.with_name(f"{path.name}.narrow")
    with pq.ParquetFile(path, pre_buffer=False) as file:
        schema = pa.schema([file.schema_arrow.field(name) for name in columns])
        with pq.ParquetWriter(narrow, schema, compression="zstd") as writer:
            for group in range(file.num_row_groups):
                writer.write_table(file.read_row_group(group, columns=list(columns)).select(list(columns)))
    narrow.replace(path)


def copy_fingerprint(path: Path) -> str:
    """Return the fingerprint of a copy's content, reading a column at a time in bounded memory."""
    with pq.ParquetFile(path, pre_buffer=False) as file:

        def parts(name: str) -> Iterator["pd.Series[Any]"]:
            for batch in file.iter_batches(BATCH_ROWS, columns=[name]):
                yield batch.column(0).to_pandas(date_as_object=False)

        return digest_of(file.metadata.num_rows, tuple(file.schema_arrow.names), parts)


def _dictionary_encoded(frame: pd.DataFrame) -> pa.Table:
    """Return the frame as an Arrow table: dates as date32, text as dictionaries in name order, float64."""
    arrays = {}
    for name in kept_columns(tuple(frame.columns)):
        column = frame[name]
        if name == "sale_date":
            arrays[name] = pa.array(column.to_numpy(dtype="datetime64[D]"))
        elif name in DIMENSIONS:
            values, codes = coded(column)
            indices = pa.array(codes.astype("int32"), mask=codes < 0)
            arrays[name] = pa.DictionaryArray.from_arrays(indices, pa.array(values, pa.string()))
        else:
            arrays[name] = pa.array(column.to_numpy(dtype="float64"), from_pandas=True)
    return pa.table(arrays)
