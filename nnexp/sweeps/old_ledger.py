"""The ledger: the local SQLite file that is written first. One process writes; a crash leaves whole transactions.

A trial's result and its place in the outbox are one transaction, so whatever is in MLflow was in the ledger before, and
what is not in MLflow yet is in the outbox.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from nnexp.errors import NnexpError, UsageError
from nnexp.sweeps import results
from nnexp.sweeps.plan import Plan

SCHEMA = """
CREATE TABLE IF NOT EXISTS sweep (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, code TEXT NOT NULL, planned_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS trial (
  sweep TEXT NOT NULL REFERENCES sweep (id), key TEXT NOT NULL, position INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'planned', result TEXT, PRIMARY KEY (sweep, key)
);
CREATE TABLE IF NOT EXISTS outbox (
  sweep TEXT NOT NULL, key TEXT NOT NULL,
  PRIMARY KEY (sweep, key), FOREIGN KEY (sweep, key) REFERENCES trial (sweep, key)
);
"""
VERSION = 1
LOCK_SECONDS = 60.0  # how long another process's writing is waited for


@dataclass(frozen=True)
class TrialResult:
    """What became of a trial, as plain data.

    epoch: the last one. epochs: of the records. history: each metric's values at them. times: when each record was
    made, seconds since 1970. summary: metrics of the whole training. confusion: of the best epoch, by part; rows are
    true classes. costs: by name. stack_width: replicas in its stack when it began.
    """

    outcome: str
    epoch: int
    epochs: list[int]
    history: dict[str, list[float]]
    times: list[float]
    summary: dict[str, float]
    confusion: dict[str, list[list[int]]]
    costs: dict[str, float]
    stack_width: int
    started_at: float
    ended_at: float

    def modern(self, metric: str) -> results.TrialResult:
        """Return it as the leaderboard takes it."""
        best = int(self.summary["epoch_best"])
        objective = self.history[metric][self.epochs.index(best)] if best else None
        return results.TrialResult(
            self.outcome, self.epoch, objective, self.summary, self.costs, self.stack_width, self.started_at,
            self.ended_at, "",
        )  # fmt: skip


class Ledger:
    """The ledger of one root folder."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"paths.root {str(path.parent)!r} cannot be used: {error.strerror}") from None
        self.path = path
        with self._clearly():
            self._connection = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)
            self._write_ahead()
            self._connection.execute("PRAGMA foreign_keys=ON")
            found = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, VERSION):
                raise NnexpError(f"{path} is a ledger of version {found}, this nnexp reads version {VERSION}")
            with self._transaction() as cursor:
                for statement in SCHEMA.split(";"):
                    cursor.execute(statement)
                cursor.execute(f"PRAGMA user_version={VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def add(self, plan: Plan, code: str) -> str | None:
        """Record a plan unless it is there; return the digest of the code that made it then, None if it is new."""
        with self._transaction() as cursor:
            row = cursor.execute("SELECT code FROM sweep WHERE id = ?", (plan.id,)).fetchone()
            if row is not None:
                return str(row[0])
            cursor.execute(
                "INSERT INTO sweep VALUES (?, ?, ?, ?, ?)", (plan.id, plan.name, plan.hash, code, time.time())
            )
            rows = [(plan.id, trial.key, trial.position) for trial in plan.trials]
            cursor.executemany("INSERT INTO trial (sweep, key, position) VALUES (?, ?, ?)", rows)
        return None

    def finish(self, sweep: str, results: dict[str, TrialResult]) -> None:
        """Record trials' results and put them into the outbox."""
        with self._transaction() as cursor:
            for key, result in results.items():
                text = json.dumps(asdict(result))
                update = "UPDATE trial SET state = ?, result = ? WHERE sweep = ? AND key = ?"
                cursor.execute(update, (result.outcome, text, sweep, key))
                cursor.execute("INSERT OR IGNORE INTO outbox VALUES (?, ?)", (sweep, key))

    def results(self, sweep: str) -> dict[str, TrialResult]:
        """Return the results of a sweep's finished trials by key."""
        query = "SELECT key, result FROM trial WHERE sweep = ? AND result IS NOT NULL"
        with self._clearly():
            return {key: TrialResult(**json.loads(text)) for key, text in self._connection.execute(query, (sweep,))}

    def outbox(self, sweep: str) -> set[str]:
        """Return the keys of a sweep's trials that MLflow may not have."""
        query = "SELECT key FROM outbox WHERE sweep = ?"
        with self._clearly():
            return {key for (key,) in self._connection.execute(query, (sweep,))}

    def delivered(self, sweep: str, key: str) -> None:
        """Take a trial out of the outbox: MLflow has it."""
        with self._transaction() as cursor:
            cursor.execute("DELETE FROM outbox WHERE sweep = ? AND key = ?", (sweep, key))

    def _write_ahead(self) -> None:
        """Let readers not wait for the writer. SQLite itself does not wait for its turn to make this so."""
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)

    @contextmanager
    def _clearly(self) -> Iterator[None]:
        """Say in one line what SQLite cannot do with the file."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise NnexpError(f"{self.path} cannot be used as a ledger: {error}") from None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with self._clearly(), closing(self._connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")
