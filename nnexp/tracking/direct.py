"""Direct writing into MLflow's SQLite database: the rows that MLflow's client would write, in a fifth of its time.

MLflow builds an object for every point and takes seconds to be imported. Only a database on this machine is written
directly, and only if its schema is the one that is known here; tests compare every table with what MLflow's own
client writes. Any other store, and whatever is not here, is MLflow's client's.
"""

from __future__ import annotations

import math
import os
import posixpath
import re
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname
from uuid import uuid4

from nnexp.errors import TrackingError

REVISION = "dc11669786a5"  # of the schema that MLflow 3.17 makes
LOCK_SECONDS = 20.0  # how long another process's writing is waited for, as MLflow waits
LONGEST_NAME, LONGEST_PARAM, LONGEST_TAG = 250, 6000, 8000
LONGEST_DATA_NAME, LONGEST_DIGEST, LONGEST_SOURCE = 500, 36, 65535
LARGEST = sys.float_info.max  # what MLflow stores for infinity
WORKSPACES = ("MLFLOW_ENABLE_WORKSPACES", "MLFLOW_WORKSPACE")
RUN_NAME = "mlflow.runName"

Point = tuple[str, float, int, int]  # name, value, milliseconds since 1970, step

_NAME = re.compile(r"[/\w.\- :]+" if os.name != "nt" else r"[/\w.\- ]+")

_CREATE = """
INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time,
                  source_version, lifecycle_stage, artifact_uri, experiment_id, deleted_time)
VALUES (?, ?, 'UNKNOWN', '', '', ?, 'RUNNING', ?, NULL, '', 'active', ?, ?, NULL)
"""
_POINT = """
INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_LATEST = """
INSERT INTO latest_metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key, run_uuid) DO UPDATE
SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan
WHERE (excluded.step, excluded.timestamp, excluded.value) > (step, timestamp, value)
"""
_TAG = """
INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)
ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value
"""
_DATASET = """
INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source, dataset_schema,
                      dataset_profile)
VALUES (?, ?, ?, ?, ?, ?, NULL, NULL) ON CONFLICT (experiment_id, name, digest) DO NOTHING
"""
_INPUT = """
INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step)
VALUES (?, 'DATASET', ?, 'RUN', ?, 0) ON CONFLICT DO NOTHING
"""
_FIND = """
SELECT run.run_uuid, run.status, run.end_time, run.artifact_uri, tag.key, tag.value
FROM tags AS wanted
JOIN runs AS run ON run.run_uuid = wanted.run_uuid AND run.experiment_id = ? AND run.lifecycle_stage = 'active'
JOIN tags AS tag ON tag.run_uuid = run.run_uuid
WHERE wanted.key = ? AND wanted.value = ?
ORDER BY run.start_time DESC, run.run_uuid
"""


class NoRunError(TrackingError):
    """A run is not in the database, or is deleted."""


@dataclass(frozen=True)
class FoundRun:
    """A run in MLflow. ended: milliseconds since 1970. artifacts: the URI of where its files go."""

    id: str
    status: str
    ended: int | None
    artifacts: str
    tags: Mapping[str, str]


class Direct:
    """Writes the runs of one experiment. Use `open_direct`, which returns None where MLflow's client must write.

    Every call is a transaction, those inside of `together` are one. Whatever is logged again changes nothing.
    """

    def __init__(self, connection: sqlite3.Connection, experiment: int, location: str) -> None:
        self._connection, self._experiment, self._location = connection, experiment, location

    @property
    def experiment_id(self) -> str:
        """The experiment's id."""
        return str(self._experiment)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make one transaction of what is written within: all of it, or nothing if anything is raised."""
        if self._connection.in_transaction:
            yield
            return
        with _clearly():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def find(self, tag: str, value: str) -> list[FoundRun]:
        """Return the active runs that have a tag, those that started last first."""
        found: dict[str, FoundRun] = {}
        tags: dict[str, dict[str, str]] = {}
        with _clearly():
            for run, status, ended, artifacts, name, text in self._connection.execute(
                _FIND, (self._experiment, tag, value)
            ):
                if run not in found:
                    found[run] = FoundRun(run, status, ended, artifacts, tags.setdefault(run, {}))
                tags[run][name] = text
        return list(found.values())

    def create(self, name: str, tags: Mapping[str, str], started: int) -> FoundRun:
        """Make a run. started: milliseconds since 1970."""
        run, tags = uuid4().hex, {**tags, RUN_NAME: name}
        _check_tags(tags)
        artifacts = f"{self._location.rstrip('/')}/{run}/artifacts"
        with self.together():
            query = "SELECT lifecycle_stage FROM experiments WHERE experiment_id = ?"
            if self._connection.execute(query, (self._experiment,)).fetchone() != ("active",):
                raise TrackingError(f"MLflow's experiment {self._experiment} is deleted")
            user = tags.get("mlflow.user", "unknown")
            self._connection.execute(_CREATE, (run, name, user, started, artifacts, self._experiment))
            self._connection.executemany(_TAG, [(key, value, run) for key, value in tags.items()])
        return FoundRun(run, "RUNNING", None, artifacts, tags)

    def log(
        self,
        run: str,
        points: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log points, params, which cannot be changed, and tags, which can."""
        params, tags = params or {}, tags or {}
        _check_points(points)
        _check_params(params)
        _check_tags(tags)
        with self.together():
            self._check(run)
            self._add_params(run, params)
            rows = [(name, *_stored(value), stamp, step) for name, value, stamp, step in points]
            for statement, chosen in ((_POINT, rows), (_LATEST, _latest(rows))):
                told = [(name, value, stamp, run, step, nan) for name, value, nan, stamp, step in chosen]
                self._connection.executemany(statement, told)
            self._connection.executemany(_TAG, [(key, value, run) for key, value in tags.items()])
            if RUN_NAME in tags:
                self._connection.execute("UPDATE runs SET name = ? WHERE run_uuid = ?", (tags[RUN_NAME], run))

    def log_data(self, run: str, name: str, digest: str, source: str) -> None:
        """Say which data a run read."""
        limits = {name: LONGEST_DATA_NAME, digest: LONGEST_DIGEST, source: LONGEST_SOURCE}
        for text, longest in limits.items():
            _require(len(text) <= longest, f"{text[:60]!r} is longer than {longest} characters")
        with self.together():
            self._check(run)
            key = (self._experiment, name, digest)
            self._connection.execute(_DATASET, (uuid4().hex, *key, "nnexp", source))
            query = "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ? AND digest = ?"
            (data,) = self._connection.execute(query, key).fetchone()
            self._connection.execute(_INPUT, (uuid4().hex, data, run))

    def set_status(self, run: str, status: str, ended: int | None = None) -> None:
        """Say how a run stands and, unless it goes on, when it ended."""
        with self.together():
            self._check(run)
            update = "UPDATE runs SET status = ?, end_time = coalesce(?, end_time) WHERE run_uuid = ?"
            self._connection.execute(update, (status, ended, run))

    def folder(self, run: FoundRun) -> Path:
        """Return where a run's files go."""
        return _local(run.artifacts)

    def _check(self, run: str) -> None:
        query = "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?"
        if self._connection.execute(query, (run,)).fetchone() != ("active",):
            raise NoRunError(f"run {run} is not in MLflow any more")

    def _add_params(self, run: str, params: Mapping[str, str]) -> None:
        there = dict(self._connection.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run,)))
        for key in params.keys() & there.keys():
            same = params[key] == there[key]
            _require(same, f"param {key!r} of run {run} is {there[key]!r} and cannot become {params[key]!r}")
        new = [(key, value, run) for key, value in params.items() if key not in there]
        self._connection.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", new)


def open_direct(path: Path, experiment: str, location: str) -> Direct | None:
    """Open a database that is there, or return None if MLflow's client must write it.

    Args: location: the URI of where the files of a new experiment go.
    Raises: TrackingError if the experiment is deleted or SQLite cannot use the database.
    """
    if any(os.environ.get(name) for name in WORKSPACES) or not path.exists():
        return None
    with _clearly():
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw", uri=True, timeout=LOCK_SECONDS, isolation_level=None
        )
        try:
            connection.execute("PRAGMA foreign_keys=ON")
            found = _experiment(connection, experiment, location) if _is_known(connection) else None
            opened = None if found is None or not _is_local(found[1]) else Direct(connection, *found)
        except BaseException:
            connection.close()
            raise
    if opened is None:
        connection.close()
    return opened


def _is_known(connection: sqlite3.Connection) -> bool:
    """Return whether the schema is the known one, and everything is in MLflow's only workspace."""
    tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchall()
    if not tables or connection.execute("SELECT version_num FROM alembic_version").fetchall() != [(REVISION,)]:
        return False
    return not connection.execute("SELECT 1 FROM experiments WHERE workspace <> 'default'").fetchall()


def _experiment(connection: sqlite3.Connection, name: str, location: str) -> tuple[int, str]:
    """Return an experiment's id and the URI of where its files go; it is made if it is missing."""
    _require(0 < len(name) <= LONGEST_NAME, f"experiment name {name!r} must have 1 to {LONGEST_NAME} characters")
    now = int(time.time() * 1000)
    insert = "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time, "
    insert += "workspace) VALUES (?, ?, 'active', ?, ?, 'default') ON CONFLICT DO NOTHING"
    connection.execute(insert, (name, location, now, now))
    query = "SELECT experiment_id, artifact_location, lifecycle_stage FROM experiments WHERE name = ?"
    number, place, stage = connection.execute(query, (name,)).fetchone()
    if stage != "active":
        raise TrackingError(
            f"MLflow's experiment {name!r} is deleted: restore it or choose another tracking.experiment"
        )
    return int(number), str(place)


def _is_local(location: str) -> bool:
    parts = urlsplit(location)
    return parts.scheme in ("", "file") and not (parts.netloc or parts.query or parts.fragment)


def _local(uri: str) -> Path:
    parts = urlsplit(uri)
    return Path(url2pathname(parts.path) if parts.scheme else uri)


def _stored(value: float) -> tuple[float, bool]:
    """Return a value as MLflow stores it, and whether it is NaN."""
    value = float(value)
    if math.isnan(value):
        return 0.0, True
    return max(-LARGEST, min(LARGEST, value)), False


def _latest(rows: Sequence[tuple[str, float, bool, int, int]]) -> list[tuple[str, float, bool, int, int]]:
    """Return the last row of each name: of the largest step, then time, then value."""
    found: dict[str, tuple[str, float, bool, int, int]] = {}
    for row in rows:
        name, value, _, stamp, step = row
        there = found.get(name)
        if there is None or (step, stamp, value) > (there[4], there[3], there[1]):
            found[name] = row
    return list(found.values())


def _check_points(points: Sequence[Point]) -> None:
    for name in {name for name, *_ in points}:
        _check_name("metric", name)


def _check_params(params: Mapping[str, str]) -> None:
    for name, value in params.items():
        _check_name("param", name)
        _require(len(value) <= LONGEST_PARAM, f"param {name!r} is longer than {LONGEST_PARAM} characters")


def _check_tags(tags: Mapping[str, str]) -> None:
    for name, value in tags.items():
        _check_name("tag", name)
        _require(len(value) <= LONGEST_TAG, f"tag {name!r} is longer than {LONGEST_TAG} characters")


def _check_name(kind: str, name: str) -> None:
    """Raise TrackingError for a name that MLflow would refuse."""
    whole = posixpath.normpath(name)
    plain = _NAME.fullmatch(name) and whole == name and whole != "." and not whole.startswith(("..", "/"))
    _require(bool(plain) and len(name) <= LONGEST_NAME, f"{kind} {name!r} is not a name that MLflow takes")


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise TrackingError(problem)


@contextmanager
def _clearly() -> Iterator[None]:
    """Say in one line what SQLite cannot do."""
    try:
        yield
    except sqlite3.Error as error:
        raise TrackingError(f"MLflow's database cannot be used: {error}") from error
