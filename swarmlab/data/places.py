"""Where a fault is, for people: the file, the row, the line and the column."""

from dataclasses import dataclass, replace
from pathlib import Path

from swarmlab.data.csvtext import line_of_row
from swarmlab.data.parts import is_parquet
from swarmlab.errors import DataError


@dataclass(frozen=True)
class Place:
    """A file whose rows are named; the line is only looked for when something is wrong."""

    path: Path

    def error(self, row: int, column: str, trouble: str) -> DataError:
        """Return the error for the 0-based row."""
        line = "" if is_parquet(self.path) else f" (line {line_of_row(self.path, row)})"
        return DataError(f"{self.path}: row {row + 1}{line}, column {column}: {trouble}")


@dataclass(frozen=True)
class Fault:
    """The first row with a fault, what is wrong with it and what to do, and how many rows are alike."""

    place: Place
    row: int
    column: str
    what: str
    advice: str
    count: int = 1
    check: str = ""

    def with_more(self, count: int) -> "Fault":
        """Return the fault with that many more rows that are alike."""
        return replace(self, count=self.count + count)

    def error(self) -> DataError:
        """Return the error to raise."""
        others = f" (so are {self.count - 1:,} more rows)" if self.count > 1 else ""
        return self.place.error(self.row, self.column, f"{self.what}{others}; {self.advice}")
