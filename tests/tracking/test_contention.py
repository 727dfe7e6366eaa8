"""Several processes at one SQLite store: its first use at once, and a lock that another process holds."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from tests.runs import HANGS, surroundings
from tests.tracking.pretended import Database, assert_delivered, pretend
from tests.tracking.test_delivery import deliver

OPEN = """
import sys, time
from pathlib import Path
from nnexp.tracking.store import Store, open_writer
root, start = Path(sys.argv[1]), float(sys.argv[2])
time.sleep(max(0.0, start - time.time()))
open_writer(Store(f"sqlite:///{root / 'mlflow.db'}", "nnexp", root)).close()
"""
PROCESSES = 4


def test_processes_that_open_an_empty_store_at_once_all_can(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN, str(tmp_path), str(time.time() + 3)]
    processes = [
        subprocess.Popen(command, env=surroundings(), stderr=subprocess.PIPE, text=True) for _ in range(PROCESSES)
    ]
    errors = [process.communicate(timeout=HANGS)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES, errors
    database = Database(tmp_path / "mlflow.db")
    assert database.rows("PRAGMA integrity_check") == [("ok",)]
    assert database.rows("SELECT count(*) FROM experiments WHERE name = 'nnexp'") == [(1,)]


def test_a_store_that_another_process_locks_is_waited_for(root: Path) -> None:
    database = Database(root / "mlflow.db")
    sweep = pretend(root, f"sqlite:///{database.path}")
    sweep.whole()
    with closing(sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        threading.Timer(3.0, other.execute, ["ROLLBACK"]).start()
        assert deliver(sweep).pending == 0
    assert_delivered(sweep, database, 3)
