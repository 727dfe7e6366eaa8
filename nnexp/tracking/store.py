"""MLflow's store: where it is, and how a new one is made so that no crash and no second process can spoil it."""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from nnexp.errors import ConfigError, TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

STORES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks")  # that MLflow can write to
LOCK_SECONDS = 120


def store_uri(given: str | None, root: Path) -> str:
    """Return the tracking URI: the given one, else MLFLOW_TRACKING_URI, else SQLite under the root.

    Raises: ConfigError if it names a kind of store that MLflow cannot write to.
    """
    named = {"tracking.uri": given, "MLFLOW_TRACKING_URI": os.environ.get("MLFLOW_TRACKING_URI")}
    for name, uri in named.items():
        if uri:
            kind, colon, _ = uri.partition(":")
            if not colon or kind.partition("+")[0] not in STORES:
                raise ConfigError(f"{name} must begin with one of {', '.join(STORES)}; got {uri!r}")
            return uri
    return f"sqlite:///{root / 'mlflow.db'}"


def open_store(uri: str, experiment: str, root: Path) -> tuple[MlflowClient, str]:
    """Return a client and the id of the experiment, both created if they are missing.

    MLflow's own telemetry is off unless the user turns it on (MLFLOW_DISABLE_TELEMETRY=false).
    Raises: TrackingError if the store cannot be used.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    logging.getLogger("alembic").setLevel(logging.ERROR)  # 60 lines of migrations otherwise
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.ERROR)
    root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root / "mlflow.lock", timeout=LOCK_SECONDS):
            if uri.startswith("sqlite:///"):
                _ensure_sqlite(Path(uri.removeprefix("sqlite:///")))
            client = MlflowClient(tracking_uri=uri)
            return client, _experiment(client, experiment, uri, root)
    except Timeout:
        raise TrackingError(f"{root / 'mlflow.lock'} is held by another process for over {LOCK_SECONDS} s") from None
    except MlflowException as error:
        raise TrackingError(f"MLflow's store cannot be used: {str(error).splitlines()[0]}") from None


def _ensure_sqlite(path: Path) -> None:
    """Make a new database under a temporary name, in write-ahead mode, then rename it: it is whole or not there.

    MLflow's first migration takes a second; killed in it, a store stays unusable, and so it does if two processes
    migrate at once.
    """
    if path.exists():
        return
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
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
    store = client._tracking_client.store
    engine = getattr(store, "engine", None)
    if engine is not None:
        engine.dispose()


def _experiment(client: MlflowClient, name: str, uri: str, root: Path) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        local = "://" not in uri or uri.split(":", 1)[0] in ("sqlite",)
        location = (root / "artifacts").as_uri() if local else None
        return str(client.create_experiment(name, artifact_location=location))
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"MLflow's experiment {name!r} is deleted: restore it or choose another tracking.experiment"
        )
    return str(found.experiment_id)
