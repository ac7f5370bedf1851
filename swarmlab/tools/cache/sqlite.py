"""A cache in a folder: one SQLite file, set aside and begun anew when its structure is damaged."""

import contextlib
import functools
import os
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from swarmlab.errors import StoreError
from swarmlab.tools.cache.database import NONE, DamagedError, Rows, Run, UnavailableError, Values
from swarmlab.tools.cache.statements import GET_LAYOUT, LAYOUT, TABLES

FILE = "cache.sqlite"
_TYPES = {"integer": "INTEGER", "real": "REAL", "bytes": "BLOB"}
_BUSY_S = 10.0
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
_SCHEMA = frozenset(
    "CREATE TABLE " + statement.format(**_TYPES).strip().removeprefix("CREATE TABLE IF NOT EXISTS ")
    for statement in TABLES
    if "CREATE TABLE" in statement
)
"""As SQLite keeps it."""
_ERRORS = (sqlite3.Error, UnicodeDecodeError)
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


class SqliteFile:
    """The database of a cache folder, for all threads of a process, and for its forks.

    Parameters
    ----------
    folder
        Made when missing, private to the user (mode 0700).
    repairs
        Whether to make the file when it is missing and to set it aside when it is damaged.

    Raises
    ------
    StoreError
        The folder cannot be made or its file not be opened, or a newer swarmlab has written it.
    DamagedError
        The file is damaged and this does not repair.
    """

    def __init__(self, folder: Path, *, repairs: bool = True) -> None:
        self.label = str(folder)
        self.set_aside = 0
        """How many damaged files this process has set aside."""
        self._folder = folder
        self._path = folder / FILE
        self._repairs = repairs
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._is_closed = False
        self._pid = 0
        self._inode = 0
        self._version = 0
        self._positional: dict[str, tuple[str, tuple[str, ...]]] = {}
        try:
            self._open()
        except (*_ERRORS, OSError, filelock.Timeout, UnavailableError) as error:
            raise StoreError(f"cache {folder} cannot be opened: {_reason(error)}") from error

    def read(self, statement: str, values: Values = NONE) -> Rows:
        """Run one statement that only reads."""
        with self._lock:
            try:
                return self._run(self._connected(), statement, values)
            except sqlite3.ProgrammingError:
                # Not the file's fault.
                raise
            except (*_ERRORS, OSError) as error:
                raise self._judged(error) from error

    @contextmanager
    def writing(self) -> Iterator[Run]:
        """One transaction, which other processes wait for."""
        with self._lock:
            try:
                db = self._connected()
                if not self._is_in_place():
                    # Set aside by another process, or removed with its folder: nobody would find the entry.
                    self._open()
                    db = self._connected()
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield functools.partial(self._run, db)
                    db.execute("COMMIT")
                except BaseException:
                    # A full disk has rolled back already.
                    with contextlib.suppress(sqlite3.Error):
                        db.execute("ROLLBACK")
                    raise
            except sqlite3.ProgrammingError:
                raise
            except (*_ERRORS, OSError, filelock.Timeout) as error:
                raise self._judged(error) from error

    def was_changed(self) -> bool:
        """Whether another connection has committed since this was last asked."""
        ((version,),) = self.read("PRAGMA data_version")
        changed = bool(version != self._version)
        self._version = version
        return changed

    def shrink(self) -> None:
        """Cut free pages off the file; the processes that use it go on."""
        with self._lock:
            try:
                # As a script: by itself the statement is left after its first page.
                self._connected().executescript("PRAGMA incremental_vacuum")
                self._connected().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except _ERRORS as error:
                raise self._judged(error) from error

    def close(self) -> None:
        """Close the file; the last to do so moves the journal into it."""
        with self._lock:
            self._is_closed = True
            if self._db is not None and self._pid == os.getpid():
                self._db.close()
            self._db = None

    def _run(self, db: sqlite3.Connection, statement: str, values: Values = NONE) -> Rows:
        known = self._positional.get(statement)
        if known is None:
            known = self._positional[statement] = _positional(statement)
        text, names = known
        return db.execute(text, [values[name] for name in names]).fetchall()

    def _connected(self) -> sqlite3.Connection:
        if self._is_closed:
            raise StoreError(f"cache {self.label} is closed")
        # A connection must not be used, nor closed, on the other side of a fork.
        if self._db is None or self._pid != os.getpid():
            self._open()
        assert self._db is not None
        return self._db

    def _is_in_place(self) -> bool:
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _open(self) -> None:
        """Open the file; under a lock, for nobody may move it while another opens it and its journal."""
        if not self._repairs:
            self._connect("rw")
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            try:
                self._connect("rwc")
            except DamagedError:
                self._set_aside()
                self._connect("rwc")

    def _locked(self) -> filelock.BaseFileLock:
        return filelock.FileLock(self._folder / f"{FILE}.lock", timeout=_BUSY_S, mode=0o600)

    def _connect(self, mode: str) -> None:
        self._forget()
        if mode == "rwc":
            # SQLite itself would let others read it. Never one that is there: to close it would end the locks
            # that other connections of this process hold on it.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        db = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_BUSY_S,
            check_same_thread=False,
            isolation_level=None,
        )
        # Damaged text need not be UTF-8 any more.
        db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            for setting in _SETTINGS:
                db.execute(setting)
            _check_layout(db, self._path, create=mode == "rwc")
        except BaseException as error:
            db.close()
            if _is_damage(error):
                raise DamagedError(f"{self._path} is damaged: {error}") from error
            raise
        self._db, self._pid, self._inode = db, os.getpid(), self._path.stat().st_ino
        self._version = db.execute("PRAGMA data_version").fetchone()[0]

    def _forget(self) -> None:
        if self._db is not None and self._pid == os.getpid():
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
        self._db = None

    def _judged(self, error: Exception) -> StoreError:
        """What an error means; a damaged file has been set aside when this returns."""
        if not _is_damage(error):
            return UnavailableError(f"cache {self.label}: {_reason(error)}")
        if not self._repairs:
            return DamagedError(f"{self._path} is damaged: {error}")
        try:
            with self._locked():
                # Another process may have been the first to see it.
                if self._is_in_place():
                    self._forget()
                    self._set_aside()
                self._connect("rwc")
        except (*_ERRORS, OSError, filelock.Timeout, StoreError) as failure:
            return UnavailableError(f"cache {self.label} is damaged and cannot be begun anew: {failure}")
        return DamagedError(f"{self._path} was damaged and has been set aside: {error}")

    def _set_aside(self) -> None:
        number = 1
        while (aside := self._folder / f"{FILE}.quarantined-{number}").exists():
            number += 1
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self._path.with_name(FILE + suffix).rename(aside.with_name(aside.name + suffix))
        self._path.rename(aside)
        self.set_aside += 1


def _positional(statement: str) -> tuple[str, tuple[str, ...]]:
    """The statement with `?` for its named values, in half the time to bind, and their names in order."""
    return re.sub(r":\w+", "?", statement), tuple(re.findall(r":(\w+)", statement))


def _check_layout(db: sqlite3.Connection, path: Path, *, create: bool) -> None:
    """Make the tables of a new file and refuse those of a newer swarmlab."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables - {"entries"} and not any(name.startswith("swarmlab_cache_") for name in tables):
            raise StoreError(f"{path} is another program's: choose another folder")
        if not create:
            raise StoreError(f"{path} is of an older swarmlab, or empty; the next run begins it anew")
        _make(db)
        return
    (known,) = db.execute(GET_LAYOUT).fetchone() or (None,)
    if version != known:
        # The two are always written together.
        raise sqlite3.DatabaseError(f"its version is {version} in one place and {known} in another")
    if version != LAYOUT:
        raise StoreError(
            f"{path} has layout {version}, and this swarmlab knows layout {LAYOUT}: upgrade swarmlab, or"
            " delete the file"
        )
    found = {text for (text,) in db.execute("SELECT sql FROM sqlite_master WHERE type = 'table'")}
    if not found >= _SCHEMA:
        # Another type, say, would change what is stored in that column.
        raise sqlite3.DatabaseError("its tables are not those that were made")


def _make(db: sqlite3.Connection) -> None:
    # Nothing is in it that a power cut could take, and a file left in parts is begun anew.
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    for statement in ("DROP TABLE IF EXISTS entries", *TABLES):
        db.execute(statement.format(**_TYPES))
    db.execute(f"PRAGMA user_version = {LAYOUT}")
    db.execute("COMMIT")
    db.execute("PRAGMA synchronous = NORMAL")


def _is_damage(error: BaseException) -> bool:
    return (
        isinstance(error, _ERRORS)
        and getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _NOT_NOW
    )


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
