"""Reading the ledger as any program could: with SQLite alone, from a copy, every row's checksum worked out again."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ENDS = ("finished", "diverged", "failed")
TABLES = ("sweep", "trial", "record", "stack", "outbox", "delivery")

Points = dict[tuple[str, int], float]  # by metric and epoch


@dataclass(frozen=True)
class Trial:
    """A trial as the ledger has it. points: of its records. twice: how many points more than one row holds."""

    sweep: str
    key: str
    position: int
    configuration: str
    label: str
    state: str
    attempts: int
    generation: int
    epoch: int
    note: str | None
    reused_from: str | None
    result: dict[str, Any] | None
    points: Points = field(default_factory=dict)
    twice: int = 0

    @property
    def ended(self) -> bool:
        """Whether it has a terminal record: an end, and the result that goes with it."""
        return self.state in ENDS and self.result is not None


@dataclass(frozen=True)
class Ledger:
    """All of a ledger. sweeps: names and codes by id. damaged: rows that are not as they were written."""

    sweeps: dict[str, tuple[str, str]] = field(default_factory=dict)
    trials: dict[tuple[str, str], Trial] = field(default_factory=dict)
    stacks: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)  # (file, its sha256)
    pending: int = 0
    deliveries: dict[tuple[str, str], str] = field(default_factory=dict)  # run
    damaged: tuple[str, ...] = ()

    def of(self, sweep: str) -> dict[str, Trial]:
        """Return the trials of a sweep, by key."""
        return {key: trial for (id, key), trial in self.trials.items() if id == sweep}


@contextmanager
def copied(path: Path) -> Iterator[Path]:
    """Yield a copy of a SQLite file with what its write-ahead log holds: looking at it changes nothing."""
    with TemporaryDirectory(prefix="look-") as folder:
        for end in ("", "-wal"):
            file = path.with_name(path.name + end)
            if file.exists():
                shutil.copyfile(file, Path(folder) / file.name)
        yield Path(folder) / path.name


def read(path: Path) -> Ledger:
    """Return all of a ledger.

    Raises: sqlite3.DatabaseError if SQLite cannot read it.
    """
    if not path.exists():
        return Ledger()
    with copied(path) as copy, closing(sqlite3.connect(copy)) as file:
        if file.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its structure is damaged")
        damaged: list[str] = []
        rows = {table: _rows(file, table, damaged) for table in TABLES}
    trials = {(row["sweep"], row["key"]): _trial(row) for row in rows["trial"]}
    for row in rows["record"]:
        _add(trials, row)
    return Ledger(
        {row["id"]: (row["name"], row["code"]) for row in rows["sweep"]},
        trials,
        {(row["sweep"], row["id"]): (row["file"], row["sha256"]) for row in rows["stack"]},
        len(rows["outbox"]),
        {(row["sweep"], row["key"]): row["run"] for row in rows["delivery"]},
        tuple(damaged),
    )


def _rows(file: sqlite3.Connection, table: str, damaged: list[str]) -> list[dict[str, Any]]:
    cursor = file.execute(f"SELECT * FROM {table}")
    names, found = [column[0] for column in cursor.description], []
    for values in cursor:
        row = dict(zip(names, values, strict=True))
        written = row.pop("checksum")
        if checksum(list(row.values())) == written:
            found.append(row)
        else:
            damaged.append(f"{table} {list(values)[:2]}")
    return found


def checksum(values: list[Any]) -> str:
    """Return the first 16 hex digits of the SHA-256 of values as JSON without spaces."""
    return hashlib.sha256(json.dumps(values, separators=(",", ":")).encode()).hexdigest()[:16]


def _trial(row: dict[str, Any]) -> Trial:
    result = None if row["result"] is None else json.loads(row["result"])
    taken = ("sweep", "key", "position", "configuration", "state", "attempts", "generation", "epoch", "note")
    about = json.loads(row["about"])
    return Trial(
        **{name: row[name] for name in taken}, label=about["label"], reused_from=row["reused_from"], result=result
    )


def _add(trials: dict[tuple[str, str], Trial], row: dict[str, Any]) -> None:
    trial, history = trials[row["sweep"], row["key"]], json.loads(row["history"])
    twice = 0
    for name, values in history["values"].items():
        for epoch, value in zip(history["epochs"], values, strict=True):
            twice += (name, epoch) in trial.points
            trial.points[name, epoch] = value
    if twice:
        trials[row["sweep"], row["key"]] = Trial(**{**vars(trial), "twice": trial.twice + twice})
