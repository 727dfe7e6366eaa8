"""Direct writing into MLflow's SQLite database: the rows that MLflow's client would write, in a fifth of its time.

MLflow builds an object for every point and takes seconds to be imported. Only a database on this machine is written
directly, and only if its schema is the one that is known here; tests compare every table with what MLflow's own
client writes. Any other store, and whatever is not here, is MLflow's client's.
"""

from __future__ import annotations

import math
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname
from uuid import uuid4

from nnexp.errors import TrackingError
from nnexp.tracking.database import clearly, connect, find_experiment, is_local, now
from nnexp.tracking.limits import check_data, check_names, check_params, check_tags
from nnexp.tracking.writer import FoundRun, GoneError, Point

LARGEST = sys.float_info.max  # what MLflow stores for infinity
RUN_NAME = "mlflow.runName"
WHOLE = ("BEGIN IMMEDIATE", "ROLLBACK", "COMMIT")


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
_LAST_POINT = "SELECT step, timestamp FROM latest_metrics WHERE run_uuid = ? AND key = ?"
_FIND = """
SELECT run.run_uuid, run.status, run.end_time, run.artifact_uri, tag.key, tag.value
FROM runs AS run JOIN tags AS tag ON tag.run_uuid = run.run_uuid
WHERE run.experiment_id = ? AND run.lifecycle_stage = 'active' AND run.run_uuid IN ({wanted})
ORDER BY run.start_time DESC, run.run_uuid
"""
_WITH_TAG = "SELECT run_uuid FROM tags WHERE key = ? AND value = ?"
_TAG_EXPERIMENT = """
INSERT INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, ?)
ON CONFLICT (key, experiment_id) DO UPDATE SET value = excluded.value
"""


class DirectWriter:
    """A writer into MLflow's database. Use `open_direct`, which returns None where MLflow's client must write.

    Every call is a transaction, those inside of `together` are one.
    """

    transactional = True

    def __init__(self, connection: sqlite3.Connection, experiment: int, location: str) -> None:
        self.experiment_id = str(experiment)
        self._connection, self._experiment, self._location = connection, experiment, location

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make one transaction of what is written within, or a part of one that can be undone alone."""
        nested = self._connection.in_transaction
        begin, undo, end = ("SAVEPOINT inner", "ROLLBACK TO inner", "RELEASE inner") if nested else WHOLE
        with clearly():
            self._connection.execute(begin)
            try:
                yield
                self._connection.execute(end)
            except BaseException:
                if self._connection.in_transaction:  # SQLite has undone it all by itself if the disk is full
                    self._connection.execute(undo)
                    if nested:
                        self._connection.execute(end)
                raise

    def find(self, tags: Mapping[str, str]) -> list[FoundRun]:
        """Return the active runs that have all of some tags."""
        query = _FIND.format(wanted=" INTERSECT ".join([_WITH_TAG] * len(tags)))
        found: dict[str, FoundRun] = {}
        told: dict[str, dict[str, str]] = {}
        with clearly():
            arguments = (self._experiment, *(text for pair in tags.items() for text in pair))
            for run, status, ended, artifacts, name, text in self._connection.execute(query, arguments):
                if run not in found:
                    found[run] = FoundRun(run, status, ended, artifacts, told.setdefault(run, {}))
                told[run][name] = text
        return list(found.values())

    def latest(self, run: str, metric: str) -> tuple[int, int] | None:
        """Return the step and the time of a metric's last point."""
        with clearly():
            found = self._connection.execute(_LAST_POINT, (run, metric)).fetchone()
        return None if found is None else (int(found[0]), int(found[1]))

    def create(self, name: str, tags: Mapping[str, str], started: int) -> FoundRun:
        """Make a run."""
        run, tags = uuid4().hex, {**tags, RUN_NAME: name}
        check_tags(tags)
        artifacts = f"{self._location.rstrip('/')}/{run}/artifacts"
        with self._transaction():
            self._check_experiment()
            user = tags.get("mlflow.user", "unknown")
            self._connection.execute(_CREATE, (run, name, user, started, artifacts, self._experiment))
            self._connection.executemany(_TAG, [(key, value, run) for key, value in tags.items()])
        return FoundRun(run, "RUNNING", None, artifacts, tags)

    def log(self, run: str, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Log points, params, which cannot be changed, and tags, which can."""
        check_names("metric", {name for name, *_ in points})
        check_params(params)
        check_tags(tags)
        with self._transaction():
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
        check_data(name, digest, source)
        key = (self._experiment, name, digest)
        with self._transaction():
            self._check(run)
            self._connection.execute(_DATASET, (uuid4().hex, *key, "nnexp", source))
            query = "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ? AND digest = ?"
            (data,) = self._connection.execute(query, key).fetchone()
            self._connection.execute(_INPUT, (uuid4().hex, data, run))

    def set_status(self, run: str, status: str, ended: int | None = None) -> None:
        """Say how a run stands and, if it has ended, when."""
        update = "UPDATE runs SET status = ?, end_time = coalesce(?, end_time) WHERE run_uuid = ?"
        with self._transaction():
            self._check(run)
            self._connection.execute(update, (status, ended, run))

    def untag(self, run: str, name: str) -> None:
        """Take a tag off a run, if it has it."""
        with self._transaction():
            self._check(run)
            self._connection.execute("DELETE FROM tags WHERE key = ? AND run_uuid = ?", (name, run))

    def delete(self, run: str) -> None:
        """Delete a run, as the UI does: it can be restored."""
        update = "UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = ? WHERE run_uuid = ?"
        with self._transaction():
            self._check(run)
            self._connection.execute(update, (now(), run))

    def is_deleted(self, run: str) -> bool:
        """Return whether a run was deleted."""
        query = "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?"
        return bool(self._connection.execute(query, (run,)).fetchone() == ("deleted",))

    def upload(self, artifacts: str, path: Path, folder: str = "") -> None:
        """Copy a file to a run's files."""
        shutil.copy2(path, _folder(artifacts, folder))

    def upload_text(self, artifacts: str, name: str, text: str) -> None:
        """Write a text to a run's files."""
        (_folder(artifacts) / name).write_text(text, encoding="utf-8")

    def experiment_tags(self) -> dict[str, str]:
        """Return the experiment's tags."""
        with clearly():
            query = "SELECT key, value FROM experiment_tags WHERE experiment_id = ?"
            return dict(self._connection.execute(query, (self._experiment,)))

    def tag_experiment(self, name: str, value: str | None) -> None:
        """Set a tag of the experiment; None takes it off."""
        check_names("tag", [name])
        with self._transaction():
            self._check_experiment()
            if value is None:
                query = "DELETE FROM experiment_tags WHERE key = ? AND experiment_id = ?"
                self._connection.execute(query, (name, self._experiment))
            else:
                self._connection.execute(_TAG_EXPERIMENT, (name, value, self._experiment))

    def _transaction(self) -> AbstractContextManager[None]:
        return nullcontext() if self._connection.in_transaction else self.together()

    def _check_experiment(self) -> None:
        query = "SELECT lifecycle_stage FROM experiments WHERE experiment_id = ?"
        if self._connection.execute(query, (self._experiment,)).fetchone() != ("active",):
            raise GoneError(f"MLflow's experiment {self._experiment} is deleted")

    def _check(self, run: str) -> None:
        query = "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?"
        if self._connection.execute(query, (run,)).fetchone() != ("active",):
            raise GoneError(f"run {run} is not in MLflow any more")

    def _add_params(self, run: str, params: Mapping[str, str]) -> None:
        there = dict(self._connection.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run,)))
        for key in params.keys() & there.keys():
            if params[key] != there[key]:
                problem = f"param {key!r} of run {run} is {there[key]!r} and cannot become {params[key]!r}"
                raise TrackingError(problem)
        new = [(key, value, run) for key, value in params.items() if key not in there]
        self._connection.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", new)


def open_direct(path: Path, experiment: str, location: str) -> DirectWriter | None:
    """Open a database that is known; None if the experiment's files are not on this machine: MLflow must write them.

    Args: location: the URI of where the files of a new experiment go.
    Raises: TrackingError if the experiment is deleted or SQLite cannot use the database.
    """
    with clearly():
        connection = connect(path)
        try:
            connection.execute("PRAGMA foreign_keys=ON")
            found = find_experiment(connection, experiment, location)
        except BaseException:
            connection.close()
            raise
    if is_local(found[1]):
        return DirectWriter(connection, *found)
    connection.close()
    return None


def _folder(artifacts: str, below: str = "") -> Path:
    """Return a run's folder, or one below it, made if it is missing."""
    parts = urlsplit(artifacts)
    path = Path(url2pathname(parts.path) if parts.scheme else artifacts) / below
    path.mkdir(parents=True, exist_ok=True)
    return path


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
