"""Checking a user's files on first sight: every fault is an error that names file, row and column.

They are read once, in chunks, and a typed copy is written as they go. The order of faults is: can it be read
as CSV or Parquet at all, are the columns there, are numbers numbers (`swarmlab.data.chunks`), are dates there
and dates, by pandera nulls, signs, infinities, sizes and years, and last the totals.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pandera.errors

from swarmlab.data.chunks import Chunk, check_heads, chunks_of
from swarmlab.data.dates import FORMS, DateTrouble, DayTally
from swarmlab.data.parts import parts_of
from swarmlab.data.places import Fault, Place
from swarmlab.data.schema import ADDED, LARGEST, LARGEST_TOTAL, REQUIRED, frame_schema, kept_columns
from swarmlab.data.tables import NATIVE_DATES, WITH_TIME, as_days
from swarmlab.data.typed_copy import CopyWriter, keep_columns

_EMPTY: Final = "is empty"
_FILL: Final = "fill it in, it is required"


@dataclass(frozen=True)
class Checked:
    """Files that can be trusted, and what their typed copy holds."""

    rows: int
    columns: tuple[str, ...]
    "The canonical and extension columns of the copy, in canonical order."
    names: tuple[str, ...]
    "All columns of the files."
    empty: tuple[str, ...]
    "Optional columns that were left out because no row has a value."
    date_form: str


def check_file(path: Path, copy: Path) -> Checked:
    """Check a CSV or Parquet file, or a folder of them, of canonical sales, and write its typed copy.

    Parameters
    ----------
    path
        An existing file whose suffix says which of the two it is, or a folder.
    copy
        Where the typed copy is written; it is worth something only if no error is raised.

    Raises
    ------
    DataError
        A file cannot be used; names the file, and row and column where there is one.
    """
    parts = parts_of(path)
    heads = check_heads(parts)
    columns, forms = kept_columns(heads[0]), tuple(FORMS)
    while True:
        scan = _Scan(columns, forms)
        with CopyWriter(copy) as writer:
            for chunk in chunks_of(parts, heads):
                typed = scan.take(chunk)
                if typed is not None:
                    writer.write(typed)
                if scan.is_misread:
                    break
        if not scan.is_misread:
            break
        # Rows were read in a form of date that a later row rules out.
        forms = scan.forms
    date_form = scan.verdict()
    empty = tuple(name for name in columns if name not in REQUIRED and name not in scan.filled)
    columns = tuple(name for name in columns if name not in empty)
    if empty:
        keep_columns(copy, columns)
    return Checked(scan.rows, columns, heads[0], empty, date_form)


class _Scan:
    """One reading of all rows: the first fault of each kind and what is only known at the end."""

    def __init__(self, columns: tuple[str, ...], forms: Sequence[str]) -> None:
        self.rows = 0
        self.filled: set[str] = set()
        "Columns with a value in some row."
        self._columns = columns
        self._schema = frame_schema(columns)
        self._days = DayTally(forms)
        self._form: str | None = None
        self._places: list[tuple[Place, int]] = []
        self._starts: list[int] = []
        self._faults: dict[str, Fault] = {}
        self._totals = dict.fromkeys((name for name in ADDED if name in columns), 0.0)

    @property
    def forms(self) -> tuple[str, ...]:
        """Forms in which all dates so far can be read."""
        return self._days.forms

    @property
    def is_misread(self) -> bool:
        """Dates were read in a form that is ruled out by now, and another is left."""
        return bool(self._form and self.forms and self._form not in (self.forms[0], NATIVE_DATES))

    def take(self, chunk: Chunk) -> pd.DataFrame | None:
        """Check a chunk and return it with days for dates; None if no copy will be needed."""
        self._starts.append(self.rows)
        self._places.append((chunk.place, chunk.start))
        start, self.rows = self.rows, self.rows + len(chunk.frame)
        gaps = chunk.frame["sale_date"].isna().to_numpy()
        if gaps.any():
            self._add("gap", Fault(*_spot(chunk, gaps), "sale_date", _EMPTY, _FILL, int(gaps.sum())))
        if "gap" in self._faults:
            return None
        dates = chunk.frame["sale_date"]
        if pd.api.types.is_datetime64_any_dtype(dates.dtype):
            self._form = NATIVE_DATES
        else:
            dates = dates.astype("str")
            try:
                self._days.add(dates, start)
            except DateTrouble as trouble:
                raise self._date_error(trouble) from trouble
            self._form = self._form or next(iter(self.forms), None)
            if not self.forms or self.is_misread:
                return None
        assert self._form is not None
        frame = chunk.frame.assign(sale_date=as_days(dates, self._form))
        self.filled.update(name for name in frame.columns if frame[name].notna().any())
        self._judge(Chunk(frame, chunk.place, chunk.start))
        return None if self._faults else frame

    def verdict(self) -> str:
        """Return the form of the dates, with `WITH_TIME` if a time of day follows; raise what is wrong."""
        if "gap" in self._faults:
            raise self._faults["gap"].error()
        date_form = NATIVE_DATES
        if self._form != NATIVE_DATES:
            try:
                date_form = self._days.form() + WITH_TIME * self._days.has_time
            except DateTrouble as trouble:
                raise self._date_error(trouble) from trouble
        if "total_cost" in self.filled:
            self._faults.pop("cost", None)
        for kind in ("value", "cost", *self._totals):
            if kind in self._faults:
                raise self._faults[kind].error()
        return date_form

    def _date_error(self, trouble: DateTrouble) -> Exception:
        at = bisect_right(self._starts, trouble.position) - 1
        place, start = self._places[at]
        return place.error(start + trouble.position - self._starts[at], "sale_date", str(trouble))

    def _judge(self, chunk: Chunk) -> None:
        try:
            self._schema.validate(chunk.frame, lazy=True)
        except pandera.errors.SchemaErrors as error:
            self._add_failures(chunk, error.failure_cases)
        if "cost_per_unit" in chunk.frame:
            cost = (chunk.frame["cost_per_unit"] * chunk.frame["units_sold"]).to_numpy()
            wrong = cost > LARGEST
            if wrong.any():
                what = (
                    f"times units_sold is {cost[int(wrong.argmax())]}, larger than {LARGEST:,.0f}, "
                    "not a plausible amount"
                )
                advice = "correct it, or use a larger unit"
                fault = Fault(*_spot(chunk, wrong), "cost_per_unit", what, advice, int(wrong.sum()))
                self._add("cost", fault)
        for name, before in self._totals.items():
            amounts = chunk.frame[name].abs().fillna(0.0).to_numpy()
            total = np.cumsum(np.concatenate(([before], amounts)))[1:]
            if total[-1] > LARGEST_TOTAL and name not in self._faults:
                what = f"brings the column's total above {LARGEST_TOTAL:,.0f}, which cannot be added exactly"
                advice = "use a larger unit, such as thousands"
                self._faults[name] = Fault(*_spot(chunk, total > LARGEST_TOTAL), name, what, advice)
            self._totals[name] = float(total[-1])

    def _add(self, kind: str, fault: Fault) -> None:
        known = self._faults.get(kind)
        self._faults[kind] = known.with_more(fault.count) if known else fault

    def _add_failures(self, chunk: Chunk, cases: pd.DataFrame) -> None:
        known = self._faults.get("value")
        if known is None:
            first = cases.iloc[int(cases["index"].astype(float).to_numpy().argmin())]
            alike = cases[(cases["column"] == first["column"]) & (cases["check"] == first["check"])]
            self._faults["value"] = _failure(chunk, first, len(alike))
        else:
            alike = cases[(cases["column"] == known.column) & (cases["check"] == known.check)]
            self._faults["value"] = known.with_more(len(alike))


def _failure(chunk: Chunk, case: "pd.Series[Any]", count: int) -> Fault:
    row, column, check = chunk.start + int(str(case["index"])), str(case["column"]), str(case["check"])
    if check == "not_nullable":
        return Fault(chunk.place, row, column, _EMPTY, _FILL, count, check)
    # Not strftime, which cannot print the years that this check is there to refuse.
    shown = f"{case['failure_case']}".removesuffix(" 00:00:00")
    what, _, advice = check.partition("; ")
    return Fault(chunk.place, row, column, f"{shown} {what}", advice, count, check)


def _spot(chunk: Chunk, wrong: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> tuple[Place, int]:
    return chunk.place, chunk.start + int(wrong.argmax())
