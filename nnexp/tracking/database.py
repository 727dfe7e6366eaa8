"""MLflow's SQLite database: how it is made and opened, and whether it is as it is known here."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from nnexp.errors import TrackingError
from nnexp.tracking.limits import LONGEST_NAME

if TYPE_CHECKING:
    from mlflow import MlflowClient

REVISION = "dc11669786a5"  # of the schema that MLflow 3.17 makes
LOCK_SECONDS = 20.0  # how long another process's writing is waited for, as MLflow waits
MAKE_EXPERIMENT = """
INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time, workspace)
VALUES (?, ?, 'active', ?, ?, 'default') ON CONFLICT DO NOTHING
"""
WORKSPACES = ("MLFLOW_ENABLE_WORKSPACES", "MLFLOW_WORKSPACE")


def make(path: Path) -> None:
    """Make a database unless it is there, under a temporary name, in write-ahead mode; then rename it.

    MLflow's first migration takes a second; killed in it, a store stays unusable, and so it does if two processes
    migrate at once. So it is whole or not there.
    """
    if path.exists():
        return
    from mlflow import MlflowClient

    building = path.with_name(f".{path.name}.new")
    for leftover in (building, *(building.with_name(building.name + end) for end in ("-wal", "-shm", "-journal"))):
        leftover.unlink(missing_ok=True)  # of a process that was killed; the lock says it is not at work
    client = MlflowClient(tracking_uri=f"sqlite:///{building}")
    client.search_experiments(max_results=1)
    _dispose(client)
    with closing(sqlite3.connect(building)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    for end in ("-wal", "-shm"):
        building.with_name(building.name + end).unlink(missing_ok=True)
    building.replace(path)


def _dispose(client: MlflowClient) -> None:
    """Close a client's database connections."""
    engine = getattr(client._tracking_client.store, "engine", None)
    if engine is not None:
        engine.dispose()


def is_known(path: Path) -> bool:
    """Return whether a database is there and as it is known here, and everything is in MLflow's only workspace."""
    if any(os.environ.get(name) for name in WORKSPACES) or not path.exists():
        return False
    try:
        with closing(connect(path)) as connection:
            if connection.execute("SELECT version_num FROM alembic_version").fetchall() != [(REVISION,)]:
                return False
            return not connection.execute("SELECT 1 FROM experiments WHERE workspace <> 'default'").fetchall()
    except sqlite3.Error:
        return False


def connect(path: Path) -> sqlite3.Connection:
    """Open a database that is there; another process that writes is waited for."""
    uri = f"file:{quote(str(path))}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS, isolation_level=None)


def find_experiment(connection: sqlite3.Connection, name: str, location: str) -> tuple[int, str]:
    """Return an experiment's id and the URI of where its files go; it is made if it is missing."""
    if not 0 < len(name) <= LONGEST_NAME:
        raise TrackingError(f"tracking.experiment {name!r} must have 1 to {LONGEST_NAME} characters")
    query = "SELECT experiment_id, artifact_location, lifecycle_stage FROM experiments WHERE name = ?"
    found = connection.execute(query, (name,)).fetchone()
    if found is None:
        connection.execute(MAKE_EXPERIMENT, (name, location, now(), now()))
        found = connection.execute(query, (name,)).fetchone()
    number, place, stage = found
    if stage != "active":
        raise TrackingError(
            f"MLflow's experiment {name!r} is deleted: restore it or choose another tracking.experiment"
        )
    return int(number), str(place)


def is_local(location: str) -> bool:
    """Return whether a URI is of files on this machine."""
    parts = urlsplit(location)
    return parts.scheme in ("", "file") and not (parts.netloc or parts.query or parts.fragment)


def now() -> int:
    """Return the time as MLflow counts it: milliseconds since 1970."""
    return int(time.time() * 1000)


@contextmanager
def clearly() -> Iterator[None]:
    """Say in one line what SQLite cannot do."""
    try:
        yield
    except sqlite3.Error as error:
        raise TrackingError(f"MLflow's database cannot be used: {error}") from error
