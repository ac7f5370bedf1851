"""What the store needs of a database, and the two ways in which one can let it down."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from swarmlab.errors import StoreError
from swarmlab.tools.cache.entry import Name, Row

Values = Mapping[str, Any]
Rows = list[tuple[Any, ...]]
Run = Callable[..., Rows]
"""Runs a statement of `statements` with its values and returns the rows, if any."""
NONE: Values = {}


class UnavailableError(StoreError):
    """The database cannot do this now: busy, full, read-only or out of reach; what it holds is intact."""


class DamagedError(StoreError):
    """The database's own structure was damaged; it was set aside where that is possible, and begun anew."""


class DamagedEntryError(StoreError):
    """An entry was not as it had been written; it is in quarantine, its answer has to be computed again."""


class Database(Protocol):
    """A database that holds the tables of `statements`."""

    label: str
    """For messages: where it is, without user and password."""
    set_aside: int
    """How many damaged files were set aside since it was opened."""

    def find(self, name: Name) -> Row | None:
        """The entry's row, with its value wherever that is kept."""

    def whole(self, name: Name, row: Row) -> Row | None:
        """The same of a row that `FIND` returned; None when another process has removed it since."""

    def keep(self, value: bytes) -> bytes | str:
        """What is to stand in the row for a value: itself, or the name of the file that has it by then."""

    def discard(self, kept: bytes | str) -> None:
        """Undo `keep` of a value whose row could not be written."""

    def read(self, statement: str, values: Values = NONE) -> Rows:
        """Run one statement that only reads."""

    def writing(self) -> AbstractContextManager[Run]:
        """One transaction: committed when the block ends well, else as if nothing had been done."""

    def was_changed(self) -> bool:
        """Whether another process may have written since this was last asked, where that is cheap to tell."""

    def shrink(self) -> None:
        """Give space that is no longer needed back to the disk, where the database does not do so itself."""

    def close(self) -> None:
        """Close it; what is committed stays."""
