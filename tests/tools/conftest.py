"""The places a cache can be kept in, each empty; one PostgreSQL server serves all tests that ask for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import new_schema, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a running server; skips where there is none to start."""
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["folder", "sqlite address", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """An empty place on disk for a cache, one of each kind."""
    if request.param == "folder":
        return tmp_path / "cache"
    if request.param == "sqlite address":
        pytest.importorskip("sqlalchemy", reason="no SQLAlchemy here")
        return f"sqlite:///{tmp_path}/team.sqlite"
    return new_schema(request.getfixturevalue("postgres"))
