"""A cache in a database that SQLAlchemy reaches, for a team: PostgreSQL, or SQLite by its address."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swarmlab.errors import StoreError
from swarmlab.tools.cache.database import NONE, Rows, Run, UnavailableError, Values
from swarmlab.tools.cache.entry import Name, Row
from swarmlab.tools.cache.statements import FIND, GET_LAYOUT, TABLES

LAYOUT = 2
"""Version of the tables; raised when they change."""
_DIALECTS = {
    "postgresql": {"integer": "BIGINT", "real": "DOUBLE PRECISION", "bytes": "BYTEA"},
    "sqlite": {"integer": "INTEGER", "real": "REAL", "bytes": "BLOB"},
}
_SAME = {"size": "length(value)", "layout": LAYOUT}
_BUSY_S = 10.0
"""How long a call waits for another process's write."""
_HUNG_S = 30.0
"""A transaction that says nothing for so long is ended by the server."""
_LOCK_OF_TABLES = 0x5A4C_CACE
"""Two processes that make the tables at once would disturb each other in PostgreSQL."""


class SqlDatabase:
    """A pool of connections, each tried before it is used, so that a server that was restarted is no error.

    On the wall clock a call takes the time of its round trips, also on an event loop.

    Parameters
    ----------
    url
        `postgresql+psycopg://…` or `sqlite:///FILE`.
    creates
        Whether to make the tables where they are missing.

    Raises
    ------
    StoreError
        The address is none, its driver is missing, the database cannot be reached, or a newer swarmlab has
        written it. No message holds the address's password.
    """

    def __init__(self, url: str, *, creates: bool = True) -> None:
        self._sql, self._engine = _engine(url)
        self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self.label = shown_address(url)
        self.set_aside = 0
        self._texts: dict[str, Any] = {}
        self._pid = os.getpid()
        self._is_closed = False
        try:
            if creates and not self._is_made():
                self._make()
            self._check()
        except UnavailableError as error:
            raise StoreError(f"{error}; check the address, and that its server runs") from None

    def find(self, name: Name) -> Row | None:
        """The entry's row, as it is stored."""
        rows = self.read(FIND, {"layer": name[0], "key": name[1]})
        return rows[0] if rows else None

    def whole(self, name: Name, row: Row) -> Row | None:  # noqa: ARG002 - another database's
        """The row itself: every value is in its row."""
        return row

    def keep(self, value: bytes) -> bytes | str:
        """The value itself."""
        return value

    def discard(self, kept: bytes | str) -> None:
        """Nothing: it was rolled back."""

    def read(self, statement: str, values: Values = NONE) -> Rows:
        """Run one statement that only reads."""
        with self._errors(), self._reader.connect() as connection:
            return [tuple(row) for row in connection.execute(self._text(statement), values)]

    @contextmanager
    def writing(self) -> Iterator[Run]:
        """One transaction."""
        with self._errors(), self._engine.begin() as connection:

            def run(statement: str, values: Values = NONE) -> Rows:
                result = connection.execute(self._text(statement), values)
                return [tuple(row) for row in result] if result.returns_rows else []

            yield run

    def was_changed(self) -> bool:
        """It may: to ask would take as long as to look."""
        return True

    def shrink(self) -> None:
        """Nothing: a server does so itself."""

    def close(self) -> None:
        """Close the pool's connections."""
        self._is_closed = True
        self._engine.dispose()

    def _text(self, statement: str) -> Any:
        if statement not in self._texts:
            dialect = _DIALECTS[self._engine.dialect.name]
            self._texts[statement] = self._sql.text(statement.format(**dialect, **_SAME))
        return self._texts[statement]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        if self._is_closed:
            raise StoreError(f"cache {self.label} is closed")
        if self._pid != os.getpid():
            # A fork must not speak on its parent's connections, nor end them.
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        try:
            yield
        except self._sql.exc.SQLAlchemyError as error:
            # Not the error itself: SQLAlchemy's name the statement, and a driver's may name the user.
            said = _first_line(getattr(error, "orig", None) or error, self._engine.url)
            raise UnavailableError(f"cache {self.label}: {said}") from None

    def _is_made(self) -> bool:
        # Who finds the tables need not write, which another process may keep it from for a while.
        with self._errors():
            return bool(self._sql.inspect(self._reader).has_table("swarmlab_cache_totals"))

    def _make(self) -> None:
        with self.writing() as run:
            if self._engine.dialect.name == "postgresql":
                run("SELECT pg_advisory_xact_lock(:number)", {"number": _LOCK_OF_TABLES})
            for statement in TABLES:
                run(statement)

    def _check(self) -> None:
        file = self._engine.url.database if self._engine.dialect.name == "sqlite" else None
        if file and not Path(file).exists():
            # To connect would make it.
            raise StoreError(f"no cache at {self.label}: there is no such file")
        ((layout,),) = self.read(GET_LAYOUT)
        if layout != LAYOUT:
            raise StoreError(
                f"cache {self.label} has layout {layout}, and this swarmlab knows layout {LAYOUT}: upgrade"
                " swarmlab, or drop its tables swarmlab_cache_*"
            )


def shown_address(url: str) -> str:
    """A database's address without user, password and options, as it may be shown."""
    scheme, _, rest = url.partition("://")
    host, _, database = rest.partition("?")[0].rpartition("@")[2].partition("/")
    return f"{scheme}://{host}/{database}"


def _engine(url: str) -> tuple[Any, Any]:
    """SQLAlchemy and an engine for an address."""
    try:
        import sqlalchemy  # noqa: PLC0415 - optional
    except ImportError:
        raise StoreError(
            'a cache at a database address needs SQLAlchemy: pip install "swarmlab[sql]"'
        ) from None
    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        # Its message may quote the address, password included.
        raise StoreError(
            "the cache's address cannot be read: write postgresql+psycopg://USER@HOST/DATABASE"
            " or sqlite:///FILE"
        ) from None
    if parsed.get_backend_name() == "sqlite" and not parsed.database:
        raise StoreError("a cache at an address of SQLite needs a file: write sqlite:///FILE")
    if parsed.get_backend_name() not in _DIALECTS:
        raise StoreError(
            f"a cache cannot be kept in {parsed.get_backend_name()!r}: use postgresql+psycopg:// or sqlite:///"
        )
    try:
        # A thread rather waits for its turn than has a connection opened and closed for one call.
        engine = sqlalchemy.create_engine(
            parsed, poolclass=sqlalchemy.QueuePool, max_overflow=0, pool_pre_ping=True, hide_parameters=True
        )
    except (ImportError, sqlalchemy.exc.ArgumentError, TypeError):
        raise StoreError(
            f'the driver of {parsed.drivername!r} is missing: pip install "swarmlab[sql]" has psycopg,'
            " for postgresql+psycopg://"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        sqlalchemy.event.listen(engine, "connect", _prepare_sqlite)
        sqlalchemy.event.listen(engine, "begin", _begin_sqlite)
    else:
        sqlalchemy.event.listen(engine, "connect", _prepare_postgresql)
    return sqlalchemy, engine


def _prepare_postgresql(connection: Any, _: Any) -> None:
    # A process that is stopped in the middle of a write would hold up all others for as long as it is.
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {_BUSY_S * 1000:.0f}")
        cursor.execute(f"SET idle_in_transaction_session_timeout = {_HUNG_S * 1000:.0f}")
    connection.commit()


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # By itself the driver would begin a transaction at the first write only, too late to be sure to get it.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_S * 1000:.0f}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin_sqlite(connection: Any) -> None:
    # By its option, for what the connection tells of itself is never autocommit.
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _first_line(error: BaseException, url: Any) -> str:
    text = (str(error).splitlines() or [type(error).__name__])[0]
    secrets = [url.password, *(value for name, value in url.query.items() if "pass" in name.lower())]
    for secret in secrets:
        if secret:
            text = text.replace(str(secret), "***")
    return text
