"""A connection to a cache's file: how it is set, and what its errors mean."""

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swarmlab.tools.cache.database import DamagedError
from swarmlab.tools.cache.files import ValueFiles
from swarmlab.tools.cache.layout import DIALECT, LIST_FILES, TRIGGERS, prepare

BUSY_S = 10.0
"""How long a call waits for another process's write."""
_SETTINGS = (
    # What is committed survives a kill of the process; a power cut may take the last entries, but whole.
    "PRAGMA synchronous = NORMAL",
    # Bytes / -1024; its own 2 MB hold two hundred answers of 10 kB, and each of them would be read anew.
    "PRAGMA cache_size = -32768",
    # Pages; four times what is usual, for each checkpoint waits for the disk.
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
)
ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""The second when a message quotes what was damaged."""
_NOT_NOW = frozenset(
    {
        *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM),
        *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL),
        *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_AUTH),
        sqlite3.SQLITE_TOOBIG,
    }
)
"""What the place does to a file that is whole; any other error of these few statements means damage."""


def connect(path: Path, files: ValueFiles, *, creates: bool) -> sqlite3.Connection:
    """Open a cache's file, with tables of this layout in it.

    Parameters
    ----------
    files
        Beside it; is told in each transaction which of them no row will name any more.
    creates
        Whether to make it when it is missing, and to bring it and its files up to date.

    Raises
    ------
    StoreError
        It is another program's or another swarmlab's.
    DamagedError
        It is damaged.
    sqlite3.Error
        It cannot be opened now.
    """
    if creates:
        # SQLite itself would let others read it. Never one that is there: to close it would end the locks
        # that other connections of this process hold on it.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rwc' if creates else 'rw'}",
        uri=True,
        timeout=BUSY_S,
        check_same_thread=False,
        isolation_level=None,
    )
    db.create_function("swarmlab_cache_unused", 1, lambda name: files.unused.append(text_of(name)))
    try:
        for setting in _SETTINGS:
            db.execute(setting)
        prepare(db, path, creates=creates)
        for trigger in TRIGGERS:
            db.execute(trigger)
        if creates:
            sweep(db, files)
    except BaseException as error:
        db.close()
        if is_damage(error):
            raise DamagedError(f"{path} is damaged: {error}") from error
        raise
    return db


def sweep(db: sqlite3.Connection, files: ValueFiles) -> None:
    """Remove the files that killed processes have left."""
    if old := files.old():
        files.remove(old - {text_of(name) for (name,) in db.execute(LIST_FILES)})


def positional(statement: str) -> tuple[str, tuple[str, ...]]:
    """The statement with `?` for its named values, in half the time to bind, and their names in order."""
    text = statement.format(**DIALECT)
    return re.sub(r":\w+", "?", text), tuple(re.findall(r":(\w+)", text))


@contextmanager
def reading_any_text(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Within the block text is read even when it is damaged, and need not be UTF-8 any more."""
    db.text_factory = text_of
    try:
        yield db
    finally:
        db.text_factory = str


def text_of(raw: bytes) -> str:
    """Text as it was stored, damaged or not."""
    return raw.decode("utf-8", "surrogateescape")


def is_damage(error: BaseException) -> bool:
    """Whether an error says that the file is not as SQLite wrote it."""
    return (
        isinstance(error, ERRORS)
        and getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _NOT_NOW
    )


def reason(error: Exception) -> str:
    """What an error says, without the file's name where the system has put it in."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
