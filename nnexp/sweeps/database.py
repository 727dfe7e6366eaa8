"""A SQLite file of rows that know their checksums: one process's crash leaves whole transactions, damage is found.

SQLite itself does not notice every damaged byte: it checks its structure, not its content.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnexp.errors import NnexpError, UsageError

LOCK_SECONDS = 60.0  # how long another process's writing is waited for
DAMAGE = (  # what SQLite says of a file that is not as nnexp's statements left it: a missing table is an ERROR
    *(sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_NOTADB),
    *(sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG),
)

Row = dict[str, Any]


class DamageError(NnexpError):
    """A file that nnexp wrote is not as it was written."""


@dataclass(frozen=True)
class Table:
    """A table: the columns that identify a row, then the others. Every row's last column is its checksum."""

    name: str
    identity: tuple[str, ...]
    others: tuple[str, ...]
    extra: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them but the checksum."""
        return (*self.identity, *self.others)

    @property
    def schema(self) -> str:
        """The statement that makes it."""
        columns = ", ".join((*self.columns, "checksum"))
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({columns}, PRIMARY KEY ({', '.join(self.identity)}))"


def checksum(values: Sequence[Any]) -> str:
    """Return 16 hex digits of the SHA-256 of a row's values, in order, as JSON."""
    return hashlib.sha256(json.dumps(list(values), separators=(",", ":")).encode()).hexdigest()[:16]


class Database:
    """A SQLite file in write-ahead mode: readers do not wait for the writer, and a commit is on the disk."""

    def __init__(self, path: Path, tables: Sequence[Table], version: int, kind: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"paths.root {str(path.parent)!r} cannot be used: {error.strerror}") from None
        self.path, self.kind = path, kind
        with self._clearly():
            self._connection = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)
        try:
            self._open(tables, version)
        except BaseException:
            self._connection.close()
            raise

    def _open(self, tables: Sequence[Table], version: int) -> None:
        with self._clearly():
            self._connection.text_factory = _text
            self._write_ahead()
            self._connection.execute("PRAGMA synchronous=FULL")
            found = self.scalar("PRAGMA user_version")
            if found not in (0, version):
                if self.scalar("PRAGMA application_id") == version:  # the file says it twice
                    raise DamageError(f"{self.path}: its version is damaged")
                raise NnexpError(f"{self.path} is a {self.kind} of version {found}, this nnexp reads version {version}")
            if found != version:
                with self.transaction() as cursor:
                    for table in tables:
                        cursor.execute(table.schema)
                        if table.extra:
                            cursor.execute(table.extra)
                    cursor.execute(f"PRAGMA application_id={version}")
                    cursor.execute(f"PRAGMA user_version={version}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """Let statements happen all together or not at all; they are on the disk when it ends."""
        with self._clearly(), closing(self._connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    def put(self, cursor: sqlite3.Cursor, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows, in place of those that are there."""
        marks = ", ".join("?" * (len(table.columns) + 1))
        statement = f"INSERT OR REPLACE INTO {table.name} ({', '.join((*table.columns, 'checksum'))}) VALUES ({marks})"
        values = [[row[name] for name in table.columns] for row in rows]
        cursor.executemany(statement, [(*each, checksum(each)) for each in values])

    def delete(self, cursor: sqlite3.Cursor, table: Table, where: Mapping[str, Any]) -> None:
        """Delete the rows with some values."""
        condition, values = _condition(where)
        cursor.execute(f"DELETE FROM {table.name}{condition}", values)

    def forget(self, cursor: sqlite3.Cursor, table: Table, damaged: Sequence[Row]) -> None:
        """Delete rows that `sound` found damaged, whatever they read now."""
        cursor.executemany(f"DELETE FROM {table.name} WHERE rowid = ?", [(row["rowid"],) for row in damaged])

    def rows(self, table: Table, where: Mapping[str, Any], order: str = "") -> list[Row]:
        """Return the rows with some values; under a name that ends with `>`, with larger ones.

        Raises: DamageError if one of them is not as it was written.
        """
        whole, damaged = self.sound(table, where, order)
        if damaged:
            raise DamageError(f"{self.path}: {_named(table, damaged[0])} is damaged")
        return whole

    def sound(self, table: Table, where: Mapping[str, Any], order: str = "") -> tuple[list[Row], list[Row]]:
        """Return the rows with some values that are as they were written, and those that are not, with their rowid."""
        whole: list[Row] = []
        damaged: list[Row] = []
        for row, sound in self.scan(table, where, order):
            (whole if sound else damaged).append(row)
        return whole, damaged

    def scan(self, table: Table, where: Mapping[str, Any], order: str = "") -> Iterator[tuple[Row, bool]]:
        """Yield the rows with some values, and whether each is as it was written; one that is not has its rowid."""
        condition, values = _condition(where)
        names = ("rowid", *table.columns, "checksum")
        query = f"SELECT {', '.join(names)} FROM {table.name}{condition}{f' ORDER BY {order}' if order else ''}"
        with self._clearly():
            for found in self._connection.execute(query, values):
                if _is_sound(found[1:]):
                    yield dict(zip(table.columns, found[1:-1], strict=True)), True
                else:
                    yield dict(zip(names, found, strict=True)), False

    def select(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return what a query of columns finds; checksums are not looked at."""
        with self._clearly():
            found: list[tuple[Any, ...]] = self._connection.execute(query, values).fetchall()
            return found

    def is_sound(self) -> bool:
        """Return whether SQLite finds its own structure in order."""
        return bool(self.scalar("PRAGMA integrity_check(1)") == "ok")

    def scalar(self, query: str, values: Sequence[Any] = ()) -> Any:
        """Return the one value that a query has."""
        with self._clearly():
            return self._connection.execute(query, values).fetchone()[0]

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
        except UnicodeDecodeError:  # a name in the file, or in what SQLite says of it
            raise DamageError(f"{self.path} cannot be used as a {self.kind}: a name in it is damaged") from None
        except sqlite3.DatabaseError as error:
            damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE
            raise (DamageError if damaged else NnexpError)(
                f"{self.path} cannot be used as a {self.kind}: {error}"
            ) from None


def _text(found: bytes) -> str:
    """Return a text also where damage left none, which its row's checksum then shows."""
    return found.decode(errors="backslashreplace")


def _condition(where: Mapping[str, Any]) -> tuple[str, list[Any]]:
    words = " AND ".join(f"{name} ?" if name.endswith(">") else f"{name} = ?" for name in where)
    return (f" WHERE {words}" if words else ""), list(where.values())


def _is_sound(found: Sequence[Any]) -> bool:
    try:
        return bool(checksum(found[:-1]) == found[-1])
    except (TypeError, ValueError):  # bytes where a text was
        return False


def _named(table: Table, row: Row) -> str:
    identity = ", ".join(f"{name} {row[name]!r}" for name in table.identity)
    return f"the row of table {table.name} with {identity}"
