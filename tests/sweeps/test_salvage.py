"""Salvaging a ledger: all that can be read comes over, nothing else does, and a crash in the middle costs nothing."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nnexp.sweeps.database import DamageError, Database, Row, Table
from nnexp.sweeps.kept import OWN_RUN
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.pages import HEADER
from nnexp.sweeps.salvage import salvage
from nnexp.sweeps.tables import OUTBOX, TABLES, VERSION
from tests.sweeps.ledgers import SETTINGS, add_again, everything, fill, keys, plan

PAGE = 4096
# Fills a ledger and dies, so that its write-ahead log stays.
KILLED = """
import os, signal, sys
from pathlib import Path
from nnexp.sweeps.ledger import Ledger
from tests.sweeps import ledgers
made = Ledger(Path(sys.argv[1]))  # a second connection, so that the log is not emptied when fill closes its own
ledgers.fill(Path(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def contents(path: Path) -> dict[Table, list[Row]]:
    """Return the rows of every table but the outbox, which salvaging fills."""
    with closing(Database(path, TABLES, VERSION, "ledger")) as file:
        return {table: file.rows(table, {}, ", ".join(table.identity)) for table in TABLES if table is not OUTBOX}


def overwrite(path: Path, page: int, rng: random.Random) -> None:
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(rng.choice([bytes(PAGE), rng.randbytes(PAGE)]))


def is_on(page: bytes, row: Row) -> bool:
    """Return whether a page has a piece of a row's longest text."""
    text = max((value for value in row.values() if isinstance(value, str)), key=len).encode()
    return any(text[at : at + 24] in page for at in range(0, len(text), 12))


def test_each_page_takes_only_the_rows_with_it_that_are_on_it(path: Path) -> None:
    fill(path)
    whole, before, rng = path.read_bytes(), contents(path), random.Random(3)
    assert len(whole) >= 20 * PAGE
    lines = []
    for page in range(len(whole) // PAGE):
        path.write_bytes(whole)
        overwrite(path, page, rng)
        lines.append(salvage(path))
        content = whole[page * PAGE : (page + 1) * PAGE]
        for table, rows in contents(path).items():
            assert all(row in before[table] for row in rows)
            assert all(is_on(content, row) for row in before[table] if row not in rows)
    assert sum("was damaged" in line for line in lines) >= 20
    assert all("\n" not in line and str(path) in line for line in lines)


def test_what_is_left_and_its_plans_make_a_sound_ledger(path: Path) -> None:
    plans = fill(path)
    whole, before, rng = path.read_bytes(), everything(path), random.Random(4)
    kept = 0
    for _ in range(12):
        path.write_bytes(whole[: rng.randrange(len(whole) // 2, len(whole))] if rng.random() < 0.2 else whole)
        for page in rng.sample(range(path.stat().st_size // PAGE), 4):
            overwrite(path, page, rng)
        salvage(path)
        new = set(before) - {row["sweep"] for rows in contents(path).values() for row in rows if "sweep" in row}
        told = add_again(path, plans)
        with closing(Ledger(path)) as ledger:
            ledger.check()
        for id, (_, _, standing, *_) in everything(path).items():
            for key, now in standing.items():
                kept += now == before[id][2][key]
                assert now == before[id][2][key] or (now.state, now.epoch) == ("planned", 0)
                assert now == before[id][2][key] or key[:8] in "".join(told.get(id, [])) or id in new
        assert add_again(path, plans) == {}
    assert kept > 12 * 5, "hardly anything came over"


def test_mlflow_may_lack_anything_that_was_under_way(path: Path) -> None:
    (sweep,) = fill(path, ("one",))
    overwrite(path, 1, random.Random(0))
    salvage(path)
    add_again(path, [sweep])
    with closing(Ledger(path)) as ledger:
        assert set(ledger.outbox(sweep.id)) == {OWN_RUN, *keys(sweep)[:-1]}
        assert len(ledger.deliveries(sweep.id)) >= 4, "MLflow would get it twice"


def test_the_latest_version_of_a_row_comes_over(path: Path) -> None:
    (sweep,) = fill(path, ("one",))
    older = path.read_bytes()
    with closing(Ledger(path)) as ledger:
        ledger.stop(sweep.id, keys(sweep)[4:], "told so")
    before = contents(path)
    path.write_bytes(bytes(PAGE) + path.read_bytes()[PAGE:] + older[PAGE:])
    log = path.with_name("ledger.db-wal")
    log.write_bytes(b"7" * 5000)  # no log, though it has a frame: of page 926,365,495
    salvage(path)
    assert not log.exists(), "it would come to stand beside another file"
    assert contents(path) == before


def test_what_was_deleted_does_not_come_back(path: Path) -> None:
    fill(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA secure_delete = OFF")  # not so everywhere: pages keep what was on them
        for table in ("trial", "record"):
            connection.execute(f"DELETE FROM {table} WHERE sweep LIKE 'two%'")
    before = contents(path)
    assert path.read_bytes().count(b"two-") > 5, "it is all still there"
    with path.open("r+b") as file:
        file.seek(HEADER)
        file.write(bytes(PAGE - HEADER))  # the schema
    salvage(path)
    assert contents(path) == before


def test_a_write_ahead_log_comes_over(path: Path) -> None:
    process = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert process.returncode == -signal.SIGKILL
    log = path.with_name("ledger.db-wal")
    assert log.stat().st_size > 50 * PAGE
    assert path.stat().st_size < 10 * PAGE, "it is all in the log"
    files = {each: each.read_bytes() for each in (path, log)}
    expected = contents(path)
    for each, content in files.items():
        each.write_bytes(content)
    with path.open("r+b") as file:
        file.write(b"no database")
    with log.open("r+b") as file:  # in the first page's frame: SQLite reads no frame from there on
        file.seek(32 + 24)
        file.write(b"no database")
    path.with_name(".ledger.db.new").write_bytes(b"of a salvage that was killed")
    assert "was damaged" in salvage(path)
    assert contents(path) == expected
    (kept,) = path.parent.glob("ledger.db.damaged-*")
    assert kept.stat().st_size > 20 * PAGE


def test_a_damaged_number_in_the_log_makes_no_large_file(path: Path) -> None:
    fill(path, ("one",), trials=4)
    before, size = contents(path), path.stat().st_size
    frame = b"\x77" * 4 + b"\0\0\0\1" + bytes(16) + b"\x55" * PAGE
    path.with_name("ledger.db-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(28) + frame)
    with path.open("r+b") as file:
        file.write(bytes(PAGE))
    salvage(path)
    assert contents(path) == before
    (kept,) = path.parent.glob("ledger.db.damaged-*")
    assert kept.stat().st_size == size


class Killed(BaseException):
    """In place of a SIGKILL."""


def test_killed_at_any_step_it_does_the_same_when_it_is_called_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path)
    overwrite(path, 1, random.Random(0))
    whole = path.read_bytes()
    salvage(path)
    expected, steps = contents(path), 0
    for last in range(100):
        for leftover in path.parent.glob("*ledger.db*"):
            leftover.unlink()
        path.write_bytes(whole)
        steps = 0

        def until(real: Any, last: int = last) -> Any:
            def step(*args: Any, **named: Any) -> Any:
                nonlocal steps
                steps += 1
                if steps > last:
                    raise Killed
                return real(*args, **named)

            return step

        with monkeypatch.context() as patch:
            for owner, name in ((Path, "replace"), (Path, "unlink"), (Path, "open"), (os, "fsync")):
                patch.setattr(owner, name, until(getattr(owner, name)))
            try:
                salvage(path)
            except Killed:
                pass
            else:
                break
        salvage(path)
        assert contents(path) == expected
    assert 10 < last < 100


def test_where_nothing_can_be_read_the_file_stays_as_it_is(path: Path) -> None:
    path.write_bytes(b"my notes " * 1000)
    with pytest.raises(DamageError, match="nothing of it can be read: move it away") as caught:
        salvage(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"my notes " * 1000
    assert not list(path.parent.glob("*damaged*"))


def test_a_sound_ledger_is_left_alone(path: Path) -> None:
    fill(path)
    before = path.read_bytes()
    assert salvage(path) == f"{path} is in order"
    assert path.read_bytes() == before


def test_rows_of_several_pages_and_large_numbers_come_over(path: Path) -> None:
    sweep = plan()
    note = "ü" * 3 + "x" * 30000
    with closing(Ledger(path)) as ledger:
        ledger.add(sweep, "code", SETTINGS | {"negative": -1.5})
        for each in (keys(sweep), keys(sweep)[:1]):
            ledger.begin(sweep.id, each)
            ledger.stop(sweep.id, each, note)
    before = contents(path)
    with path.open("r+b") as file:
        file.write(bytes(PAGE))
    salvage(path)
    assert contents(path) == before
