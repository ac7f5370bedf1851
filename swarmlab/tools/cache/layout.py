"""The tables of a cache's file: made in a new one, brought up to date in an older one, refused in others."""

import sqlite3
from pathlib import Path

from swarmlab.errors import StoreError
from swarmlab.tools.cache.statements import GET_LAYOUT, SET_LAYOUT, TABLES

LAYOUT = 3
"""Raised when it changes. 1 was a file with a single table, `entries`; in 2 every value was in its row."""
DIALECT = {
    "integer": "INTEGER",
    "real": "REAL",
    "bytes": "BLOB",
    # A text names the file of a value that is kept beside the rows, and begins with its size.
    "size": "CASE typeof(value) WHEN 'text' THEN CAST(substr(value, 1, 10) AS INT) ELSE length(value) END",
    "layout": LAYOUT,
}
_VALUES_IN_ROWS = 2
_SCHEMA = frozenset(
    "CREATE TABLE " + statement.format(**DIALECT).strip().removeprefix("CREATE TABLE IF NOT EXISTS ")
    for statement in TABLES
    if "CREATE TABLE" in statement
)
"""As SQLite keeps it."""
_INDEX_OF_FILES = """
CREATE INDEX IF NOT EXISTS swarmlab_cache_files ON swarmlab_cache_entries (value)
WHERE typeof(value) = 'text'"""
LIST_FILES = """
SELECT CAST(value AS BLOB) FROM swarmlab_cache_entries WHERE typeof(value) = 'text'
UNION ALL SELECT CAST(value AS BLOB) FROM swarmlab_cache_quarantine WHERE typeof(value) = 'text'"""
# Temporary, for they call a function that only this program has; an entry in quarantine keeps its file.
TRIGGERS = (
    """
CREATE TEMP TRIGGER swarmlab_cache_dropped AFTER DELETE ON main.swarmlab_cache_entries
WHEN typeof(OLD.value) = 'text' AND NOT EXISTS (
    SELECT 1 FROM swarmlab_cache_quarantine WHERE layer = OLD.layer AND key = OLD.key AND value = OLD.value)
BEGIN SELECT swarmlab_cache_unused(CAST(OLD.value AS BLOB)); END""",
    """
CREATE TEMP TRIGGER swarmlab_cache_replaced AFTER UPDATE OF value ON main.swarmlab_cache_entries
WHEN typeof(OLD.value) = 'text' AND OLD.value IS NOT NEW.value
BEGIN SELECT swarmlab_cache_unused(CAST(OLD.value AS BLOB)); END""",
    """
CREATE TEMP TRIGGER swarmlab_cache_forgotten AFTER DELETE ON main.swarmlab_cache_quarantine
WHEN typeof(OLD.value) = 'text'
BEGIN SELECT swarmlab_cache_unused(CAST(OLD.value AS BLOB)); END""",
)
"""They name the files that no row has any more, before the transaction ends."""


def prepare(db: sqlite3.Connection, path: Path, *, creates: bool) -> None:
    """Make the tables of a new file, bring those of an older one up to date, and refuse a newer one's.

    Raises
    ------
    StoreError
        It is another program's, a newer swarmlab's, or an older one's and may not be changed.
    sqlite3.DatabaseError
        It is damaged.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables - {"entries"} and not any(name.startswith("swarmlab_cache_") for name in tables):
            raise StoreError(f"{path} is another program's: choose another folder")
        if not creates:
            raise StoreError(f"{path} is of an older swarmlab, or empty; the next run begins it anew")
        _make(db)
        return
    (known,) = db.execute(GET_LAYOUT).fetchone() or (None,)
    if version != known:
        # The two are always written together.
        raise sqlite3.DatabaseError(f"its version is {version} in one place and {known} in another")
    if version not in (_VALUES_IN_ROWS, LAYOUT):
        raise StoreError(
            f"{path} has layout {version}, and this swarmlab knows layout {LAYOUT}: upgrade swarmlab, or"
            " delete the file"
        )
    found = {text for (text,) in db.execute("SELECT sql FROM sqlite_master WHERE type = 'table'")}
    if not found >= _SCHEMA:
        # Another type, say, would change what is stored in that column.
        raise sqlite3.DatabaseError("its tables are not those that were made")
    if version == _VALUES_IN_ROWS and creates:
        _write_layout(db, ())


def _make(db: sqlite3.Connection) -> None:
    # Nothing is in it that a power cut could take, and a file left in parts is begun anew.
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    _write_layout(db, ("DROP TABLE IF EXISTS entries", *TABLES))
    db.execute("PRAGMA synchronous = NORMAL")


def _write_layout(db: sqlite3.Connection, tables: tuple[str, ...]) -> None:
    """Make tables and mark the file, in one transaction; the entries that are there stay."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in (*tables, _INDEX_OF_FILES, SET_LAYOUT):
            db.execute(statement.format(**DIALECT))
        db.execute(f"PRAGMA user_version = {LAYOUT}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
