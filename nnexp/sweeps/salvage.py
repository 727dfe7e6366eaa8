"""Salvaging a ledger whose file is broken: every row that can still be read moves to a new file.

No row comes over that is not as it was written. What a ledger lacks then, adding the plan again finds; what MLflow
lacks cannot be told from it any more, so that all of it is put into the outbox.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from nnexp.errors import NnexpError
from nnexp.sweeps.database import DamageError, Database, Row, Table, checksum
from nnexp.sweeps.kept import OWN_RUN
from nnexp.sweeps.pages import read_pages, rows
from nnexp.sweeps.tables import DELIVERY, OUTBOX, RECORD, STACK, SWEEP, TABLES, TRIAL, VERSION

Found = Mapping[Table, list[Row]]
COUNTED = {SWEEP: "sweeps", TRIAL: "trials", RECORD: "records", STACK: "stacks", DELIVERY: "deliveries"}


def salvage(path: Path) -> str:
    """Put a new ledger of all that can be read in place of a broken one, which stays beside it.

    Nobody else may work on any sweep of it. Killed at any instant, it leaves the broken ledger or the new one.
    Returns: one line that says what came over.
    Raises: DamageError if nothing can be read.
    """
    with FileLock(path.with_name(f".{path.name}.salvage")):
        pages = read_pages(path)  # before SQLite has it: misled by a damaged header, it drops the log
        if _is_sound(path):  # another process was first
            return f"{path} is in order"
        found = _found(pages)
        if not any(found.values()):
            raise DamageError(
                f"{path} is damaged, and nothing of it can be read: move it away, and the same command trains anew"
            )
        kept = path.with_name(f"{path.name}.damaged-{datetime.now():%Y%m%dT%H%M%S.%f}")
        building = path.with_name(f".{path.name}.new")
        _remove(building, *_companions(building))  # of a salvage that was killed
        _write(building, found)
        _keep(path, pages, kept)
        _move(building, path)
    counts = ", ".join(f"{len(found[table])} {words}" for table, words in COUNTED.items() if found[table])
    return f"{path} was damaged: {counts} were read and are kept, the damaged file is now {kept.name}"


def _is_sound(path: Path) -> bool:
    try:
        with closing(Database(path, TABLES, VERSION, "ledger")) as file:
            return file.is_sound() and not any(file.sound(table, {})[1] for table in TABLES)
    except NnexpError:
        return False


def _found(pages: Mapping[int, bytes]) -> Found:
    """Return the rows that are as they were written, by table; of several versions of one, the latest."""
    latest: dict[Table, dict[tuple[Any, ...], tuple[int, Row]]] = {table: {} for table in TABLES}
    for number, values in rows(pages):
        for table in TABLES:
            if len(values) == len(table.columns) + 1 and checksum(values[:-1]) == values[-1]:
                row = dict(zip(table.columns, values, strict=False))
                if _belongs(table, row):
                    identity = tuple(row[name] for name in table.identity)
                    if number >= latest[table].get(identity, (number, row))[0]:
                        latest[table][identity] = number, row
    return {table: [row for _, row in each.values()] for table, each in latest.items()}


def _belongs(table: Table, row: Row) -> bool:
    """Return whether a row can be of a table: two have equally many columns."""
    if table is SWEEP:
        return isinstance(row["settings"], str)
    return table is not DELIVERY or isinstance(row["aggregated"], int)


def _write(path: Path, found: Found) -> None:
    """Write a ledger; what may not have been delivered is in its outbox."""
    now = time.time_ns()
    due = [{"sweep": row["id"], "key": OWN_RUN} for row in found[SWEEP]]
    due += [{"sweep": row["sweep"], "key": row["key"]} for row in found[TRIAL] if row["state"] != "planned"]
    with closing(Database(path, TABLES, VERSION, "ledger")) as file, file.transaction() as cursor:
        for table, each in found.items():
            file.put(cursor, table, each)
        file.put(cursor, OUTBOX, [row | {"version": now} for row in due])


def _keep(path: Path, pages: Mapping[int, bytes], kept: Path) -> None:
    """Keep the broken file, what its write-ahead log has included: a log must not come to stand beside another file."""
    size, last = len(next(iter(pages.values()))), max(pages)
    for copy in (kept, path.with_name(f".{path.name}.kept")):
        with copy.open("wb") as file:
            file.writelines(pages.get(number, bytes(size)) for number in range(1, last + 1))
            file.flush()
            os.fsync(file.fileno())
    _move(copy, path)  # from here on it says the same with its log as without
    _remove(*_companions(path))


def _move(source: Path, target: Path) -> None:
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _companions(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm", "-journal")]


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
