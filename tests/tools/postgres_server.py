"""A PostgreSQL server of the tests' own: in a temporary folder, on a socket in it, not on the network."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SETTINGS = "-c listen_addresses='' -c fsync=off -c max_connections=100"


def _binaries() -> Path:
    """The folder of initdb and pg_ctl; Debian keeps them out of the path."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if found is None else [Path(found).parent]
    if not folders or not (folders[-1] / "initdb").exists():
        pytest.skip("no PostgreSQL server here (Debian: postgresql)")
    return folders[-1]


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        pytest.importorskip("pwd").getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL refuses root, and there is no user postgres to run it")
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


# Stays with the server and stops it when the pipe from the tests closes, also because they were killed.
WATCH = """
"$1/pg_ctl" -D "$2/data" -w -l "$2/log" -o "-k $2 $3" start >&2 || exit 1
echo started
cat >&2
"$1/pg_ctl" -D "$2/data" -w -m immediate stop >&2
rm -rf "$2"
"""


@contextmanager
def postgres_server() -> Iterator[str]:
    """The address of a running server's empty database; it and its files are gone afterwards."""
    pytest.importorskip("psycopg", reason="no driver for PostgreSQL here (psycopg)")
    pytest.importorskip("sqlalchemy", reason="no SQLAlchemy here")
    binaries, account = _binaries(), _account()
    # Not pytest's folder: the server's user could not enter it; and a socket's path has to be short.
    folder = Path(tempfile.mkdtemp(prefix="swarmlab-pg-"))
    if account:
        shutil.chown(folder, "postgres", "postgres")
    quiet = {**account, "cwd": folder, "stderr": subprocess.DEVNULL}
    new = (str(binaries / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "swarmlab")
    subprocess.run([*new, "-E", "UTF8", "-N"], check=True, stdout=subprocess.DEVNULL, **quiet)
    watch = ["sh", "-c", WATCH, "sh", str(binaries), str(folder), SETTINGS]
    with subprocess.Popen(
        watch, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, **quiet
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        if server.stdout.readline() != b"started\n":
            log = folder / "log"
            pytest.fail(f"PostgreSQL did not start: {log.read_text() if log.exists() else 'no log'}")
        try:
            yield f"postgresql+psycopg://swarmlab:wachtwoord@/postgres?host={folder}"
        finally:
            server.stdin.close()
            server.wait(60)
    shutil.rmtree(folder, ignore_errors=True)


def new_schema(url: str) -> str:
    """The address of a schema of a test's own in a running server's database."""
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="no SQLAlchemy here")
    name = f"test_{uuid.uuid4().hex}"
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"CREATE SCHEMA {name}"))
    engine.dispose()
    return f"{url}&options=-csearch_path%3D{name}"
