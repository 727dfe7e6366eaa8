"""Reading MLflow's store as any program could: its SQLite database, and its folder of artifacts."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from faultmatrix.ledger import copied


@dataclass(frozen=True)
class Run:
    """A run that is not deleted. points: all values of each metric at each step. artifacts: where they are."""

    id: str
    status: str
    tags: dict[str, str]
    artifacts: Path
    params: dict[str, str] = field(default_factory=dict)
    points: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The key of its trial, or what a sweep's own run has in its place."""
        return self.tags.get("nnexp.key", "")

    @property
    def kind(self) -> str:
        """`trial` or `sweep`."""
        return self.tags.get("nnexp.kind", "")


def runs(database: Path, experiment: str, served: Path | None = None) -> list[Run]:
    """Return the runs of an experiment. served: the folder of a server's artifacts."""
    with copied(database) as copy, closing(sqlite3.connect(copy)) as file:
        query = (
            "SELECT run_uuid, status, artifact_uri FROM runs JOIN experiments USING (experiment_id)"
            " WHERE experiments.name = ? AND runs.lifecycle_stage = 'active'"
        )
        found = [
            Run(
                id,
                status,
                _pairs(file, "tags", id),
                _folder(uri, served),
                _pairs(file, "params", id),
                _points(file, id),
            )
            for id, status, uri in file.execute(query, (experiment,)).fetchall()
        ]
    return found


def content(database: Path, experiment: str) -> str:
    """Return a digest of all that the database says of an experiment's runs, deleted ones too."""
    of_run = "run_uuid IN (SELECT run_uuid FROM runs JOIN experiments USING (experiment_id) WHERE experiments.name = ?)"
    tables = dict.fromkeys(("runs", "tags", "params", "metrics", "latest_metrics"), of_run)
    tables["experiments"] = "name = ?"
    tables["inputs"] = of_run.replace("run_uuid IN", "destination_id IN")
    sha = hashlib.sha256()
    with copied(database) as copy, closing(sqlite3.connect(copy)) as file:
        for table, condition in tables.items():
            for row in sorted(map(repr, file.execute(f"SELECT * FROM {table} WHERE {condition}", (experiment,)))):
                sha.update(f"{table} {row}\n".encode())
    return sha.hexdigest()


def _pairs(file: sqlite3.Connection, table: str, run: str) -> dict[str, str]:
    return dict(file.execute(f"SELECT key, value FROM {table} WHERE run_uuid = ?", (run,)).fetchall())


def _points(file: sqlite3.Connection, run: str) -> dict[tuple[str, int], list[float]]:
    found: dict[tuple[str, int], list[float]] = {}
    query = "SELECT key, step, value, is_nan FROM metrics WHERE run_uuid = ?"
    for name, step, value, is_nan in file.execute(query, (run,)):
        found.setdefault((name, step), []).append(float("nan") if is_nan else value)
    return found


def _folder(uri: str, served: Path | None) -> Path:
    parts = urlsplit(uri)
    if parts.scheme == "mlflow-artifacts" and served is not None:
        return served / unquote(parts.path).lstrip("/")
    return Path(unquote(parts.path))
