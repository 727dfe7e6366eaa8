"""A glance at MLflow's store: which runs of a sweep it has, without importing MLflow, which takes seconds.

It only reads, and only what it knows: where anything is not as expected the answer is None, and MLflow is to be asked.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit

from nnexp.tracking.rest import Rest

Runs = dict[str, tuple[str, str]]

KINDS = ("trial", "sweep")
PAGE = 1000
SECONDS = 10.0  # that one answer is waited for

# With one of these MLflow would ask another way, or somebody else. The credentials of files would be one more secret.
VARIABLES = (
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_AWS_SIGV4",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_WORKSPACE",
    "NETRC",
)
FILES = ("~/.mlflow/credentials", "~/.netrc", "~/_netrc")

IN_SQLITE = """
SELECT key.value, run.run_uuid, run.status
FROM tags AS sweep
JOIN runs AS run ON run.run_uuid = sweep.run_uuid AND run.experiment_id = ? AND run.lifecycle_stage = 'active'
JOIN tags AS kind ON kind.run_uuid = run.run_uuid AND kind.key = 'nnexp.kind' AND kind.value IN (?, ?)
JOIN tags AS key ON key.run_uuid = run.run_uuid AND key.key = 'nnexp.key'
WHERE sweep.key = 'nnexp.sweep' AND sweep.value = ?
ORDER BY run.start_time DESC, run.run_uuid
"""

UNEXPECTED = (OSError, HTTPException, sqlite3.Error, ValueError, LookupError, TypeError, AttributeError)


def runs_there(uri: str, experiment: str, sweep_id: str, *, seconds: float = SECONDS) -> Runs | None:
    """Return run id and status of a sweep's active runs, its own and its trials', by key; None if MLflow must be asked.

    Where two runs have one key, the one that started last is returned, as MLflow's own search lists it first.
    Args: seconds: that each answer of a server, or of a database that another process locks, is waited for.
    """
    try:
        if uri.startswith("sqlite:///") and "?" not in uri:
            return _first(_in_sqlite(Path(uri.removeprefix("sqlite:///")), experiment, sweep_id, seconds))
        if urlsplit(uri).scheme in ("http", "https") and not _asked_differently():
            return _first(_on_server(Rest(uri, seconds), experiment, sweep_id))
    except UNEXPECTED:
        pass
    return None


def _first(rows: Iterable[tuple[str, str, str]]) -> Runs:
    found: Runs = {}
    for key, run, status in rows:
        found.setdefault(key, (run, status))
    return found


def _in_sqlite(path: Path, experiment: str, sweep_id: str, seconds: float) -> list[tuple[str, str, str]]:
    if not path.exists():
        return []
    # A connection that cannot write at all would leave files of its own beside a store in write-ahead mode.
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=seconds)) as store:
        store.execute("PRAGMA query_only=ON")
        query = "SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?"
        experiments = store.execute(query, (experiment,)).fetchall()
        if not experiments:
            return []
        if len(experiments) > 1 or experiments[0][1] != "active":
            raise ValueError(f"{len(experiments)} experiments, {experiments[0][1]}")
        return store.execute(IN_SQLITE, (experiments[0][0], *KINDS, sweep_id)).fetchall()


def _on_server(server: Rest, experiment: str, sweep_id: str) -> Iterator[tuple[str, str, str]]:
    try:
        found = server.ask(f"experiments/get-by-name?{urlencode({'experiment_name': experiment})}")["experiment"]
    except HTTPError as error:
        if error.code == 404 and json.load(error).get("error_code") == "RESOURCE_DOES_NOT_EXIST":
            return
        raise
    if found["lifecycle_stage"] != "active" or "'" in sweep_id:
        raise ValueError(f"experiment {found['lifecycle_stage']}, sweep {sweep_id}")
    asked: dict[str, Any] = {
        "experiment_ids": [found["experiment_id"]],
        "filter": f"tags.`nnexp.sweep` = '{sweep_id}'",
        "run_view_type": "ACTIVE_ONLY",
        "max_results": PAGE,
    }
    while True:
        page = server.ask("runs/search", asked)
        for run in page.get("runs", []):
            tags = {tag["key"]: tag.get("value", "") for tag in run["data"].get("tags", [])}
            if tags.get("nnexp.kind") in KINDS and "nnexp.key" in tags:
                yield tags["nnexp.key"], run["info"]["run_id"], run["info"]["status"]
        if not page.get("next_page_token"):
            return
        asked["page_token"] = page["next_page_token"]


def _asked_differently() -> bool:
    return any(os.environ.get(name) for name in VARIABLES) or any(Path(name).expanduser().exists() for name in FILES)
