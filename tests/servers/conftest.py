"""Stores made once for all tests: a server on SQLite, a PostgreSQL, a server on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.needs import needed
from tests.servers.mlflow_server import MlflowServer, running_server
from tests.servers.postgresql import programs, running_postgresql


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Keep a PostgreSQL running; give the URI of a database in it."""
    found = needed("postgresql", programs(), "install Debian's package postgresql, or put initdb on the PATH")
    with running_postgresql(found) as uri:
        yield uri


@pytest.fixture(scope="session")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """Keep an MLflow server on SQLite running."""
    folder = tmp_path_factory.mktemp("sqlite-server")
    with running_server(f"sqlite:///{folder / 'mlflow.db'}", folder) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_server(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """Keep an MLflow server on PostgreSQL running."""
    with running_server(postgresql, tmp_path_factory.mktemp("postgresql-server")) as server:
        yield server
