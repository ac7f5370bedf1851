"""A cache in a folder: an SQLite file, set aside and begun anew when damaged, and files of large values."""

import contextlib
import functools
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from swarmlab.errors import StoreError
from swarmlab.tools.cache.connection import (
    BUSY_S,
    ERRORS,
    connect,
    is_damage,
    positional,
    reading_any_text,
    reason,
    sweep,
)
from swarmlab.tools.cache.database import NONE, DamagedError, Rows, Run, UnavailableError, Values
from swarmlab.tools.cache.entry import Name, Row
from swarmlab.tools.cache.files import ValueFiles
from swarmlab.tools.cache.statements import FIND

FILE = "cache.sqlite"
_IN_FILE_BYTES = 1 << 16
"""From this size on a value is written once, into a file; in the database each page is written twice."""
_FIND, _ = positional(FIND)


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
        self._finder: sqlite3.Cursor | None = None
        self._files = ValueFiles(folder)
        self._is_closed = False
        self._pid = 0
        self._inode = 0
        self._version = 0
        self._positional: dict[str, tuple[str, tuple[str, ...]]] = {}
        # Rather than ask for the process's number at each hit, which the system takes long to tell.
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=functools.partial(_leave, weakref.ref(self)))
        try:
            self._open()
        except (*ERRORS, OSError, filelock.Timeout, UnavailableError) as error:
            raise StoreError(f"cache {folder} cannot be opened: {reason(error)}") from error

    def find(self, name: Name) -> Row | None:
        """The entry's row, with its value from its file where it has one."""
        # Without detours, for every hit waits for it.
        with self._lock:
            if self._finder is None:
                row = self._look(name)
            else:
                try:
                    row = self._finder.execute(_FIND, name).fetchone()
                except ERRORS:
                    # Text that is none any more, or worse, which is told on the long way.
                    row = self._look(name)
        return row if row is None or type(row[0]) is bytes else self.whole(name, row)

    def whole(self, name: Name, row: Row) -> Row | None:
        """The row with its value from its file; as it is when there is none, which its seal will tell."""
        while type(row[0]) is str:
            try:
                value = self._files.read(row[0])
            except OSError as error:
                raise UnavailableError(f"cache {self.label}: {reason(error)}") from error
            if value is not None:
                return (value, *row[1:])
            # Another process may have written it anew, or removed it, since the row was read.
            now = self._look(name)
            if now is None or now[0] == row[0]:
                return now
            row = now
        return row

    def keep(self, value: bytes) -> bytes | str:
        """The value, or the name of a file that has it; before the transaction, which others wait for."""
        if len(value) < _IN_FILE_BYTES:
            return value
        try:
            return self._files.write(value)
        except OSError as error:
            raise UnavailableError(f"cache {self.label}: {reason(error)}") from error

    def discard(self, kept: bytes | str) -> None:
        """Remove the file, if that is what it names."""
        if isinstance(kept, str):
            self._files.remove([kept])

    def read(self, statement: str, values: Values = NONE) -> Rows:
        """Run one statement that only reads."""
        with self._lock:
            try:
                with reading_any_text(self._connected()) as db:
                    return self._run(db, statement, values)
            except sqlite3.ProgrammingError:
                # Not the file's fault.
                raise
            except (*ERRORS, OSError) as error:
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
                    self._files.unused.clear()
                    with reading_any_text(db):
                        yield functools.partial(self._run, db)
                    db.execute("COMMIT")
                    self._files.remove(self._files.unused)
                except BaseException:
                    # A full disk has rolled back already.
                    with contextlib.suppress(sqlite3.Error):
                        db.execute("ROLLBACK")
                    raise
            except sqlite3.ProgrammingError:
                raise
            except (*ERRORS, OSError, filelock.Timeout) as error:
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
                sweep(self._connected(), self._files)
            except ERRORS as error:
                raise self._judged(error) from error

    def close(self) -> None:
        """Close the file; the last to do so moves the journal into it."""
        with self._lock:
            self._is_closed = True
            if self._db is not None and self._pid == os.getpid():
                self._db.close()
            self._db = self._finder = None

    def _look(self, name: Name) -> Row | None:
        rows = self.read(FIND, {"layer": name[0], "key": name[1]})
        return rows[0] if rows else None

    def _run(self, db: sqlite3.Connection, statement: str, values: Values = NONE) -> Rows:
        known = self._positional.get(statement)
        if known is None:
            known = self._positional[statement] = positional(statement)
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
            self._connect(creates=False)
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            try:
                self._connect(creates=True)
            except DamagedError:
                self._set_aside()
                self._connect(creates=True)

    def _locked(self) -> filelock.BaseFileLock:
        return filelock.FileLock(self._folder / f"{FILE}.lock", timeout=BUSY_S, mode=0o600)

    def _connect(self, *, creates: bool) -> None:
        self._forget()
        db = connect(self._path, self._files, creates=creates)
        self._db, self._pid, self._inode = db, os.getpid(), self._path.stat().st_ino
        self._finder = db.cursor()
        self._version = db.execute("PRAGMA data_version").fetchone()[0]

    def _forget(self) -> None:
        if self._db is not None and self._pid == os.getpid():
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
        self._db = self._finder = None

    def _judged(self, error: Exception) -> StoreError:
        """What an error means; a damaged file has been set aside when this returns."""
        if not is_damage(error):
            return UnavailableError(f"cache {self.label}: {reason(error)}")
        if not self._repairs:
            return DamagedError(f"{self._path} is damaged: {error}")
        try:
            with self._locked():
                # Another process may have been the first to see it.
                if self._is_in_place():
                    self._forget()
                    self._set_aside()
                self._connect(creates=True)
        except (*ERRORS, OSError, filelock.Timeout, StoreError) as failure:
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


def _leave(file: "weakref.ref[SqliteFile]") -> None:
    """Forget in a fork what hits use; the next finds that the connection is its parent's."""
    mine = file()
    if mine is not None:
        mine._finder = None
