"""Rows 17 to 19: a file is locked, cut off, damaged."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from faultmatrix.case import Case, kill
from faultmatrix.command import HANGS, REPOSITORY, Command
from faultmatrix.ledger import TABLES
from faultmatrix.rows.row import Row
from faultmatrix.wal import commits

LOCK_SECONDS = 30.0
FLIPS = 5  # after one crash
HOLD = """
import sqlite3, sys, time
file = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
file.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
file.execute("ROLLBACK")
"""


def locked(case: Case) -> None:
    """Another process holds the ledger, or MLflow's database, exclusively."""
    path = case.root / ("mlflow.db" if case.seed % 2 else "ledger.db")
    seconds = 3.0 if case.bench.short else LOCK_SECONDS
    holders: list[subprocess.Popen[bytes]] = []

    def blow(command: Command) -> None:
        holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE)
        holders.append(holder)
        if holder.stdout is not None:
            holder.stdout.readline()

    command = case.start()
    try:
        case.strike(command, case.instant() * 0.8, blow)
        ended = case.end(command)
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()
    case.expect(ended, 0)
    if case.look() is not None and case.look().pending:  # type: ignore[union-attr]
        case.expect(case.end(case.begin("nnexp.sync", "--root", str(case.root))), 0)
    times = [each.time for each in case.seen]
    case.figure({"max_stall": max((b - a for a, b in pairwise(times)), default=0.0)})
    case.interrupted.clear()
    case.check()


def cut_off(case: Case) -> None:
    """The ledger's log is cut off at each byte of its last record; the real command goes on from one of these."""
    case.interrupt(kill)
    ledger = case.root / "ledger.db"
    log = case.root / "ledger.db-wal"
    ends = commits(log) if log.exists() else []
    if len(ends) > 1:
        offsets = list(range(ends[-2], ends[-1] + 1))
        if case.bench.short or case.seed:
            offsets = sorted(case.random.sample(offsets, min(len(offsets), 100 if case.bench.short else 1000)))
        _probe(case, ledger, log, ends, offsets)
        case.injections += len(offsets)
        with log.open("r+b") as file:
            file.truncate(case.random.choice(offsets))
    else:
        with ledger.open("r+b") as file:
            file.truncate(case.random.randint(0, ledger.stat().st_size))
    case.struck()
    case.injections -= 1
    case.again()
    case.before = None  # what the last record said may be done again
    case.check(patience=1e9)


def _probe(case: Case, ledger: Path, log: Path, ends: list[int], offsets: list[int]) -> None:
    """Let nnexp open all of them; and compare what SQLite itself finds with the states before and after."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        probe = subprocess.run(
            [sys.executable, "-m", "faultmatrix.probe", str(ledger), folder],
            input=" ".join(map(str, offsets)),
            capture_output=True,
            text=True,
            timeout=HANGS * 4,
            env={"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'scripts'}"},
        )
        if probe.returncode or probe.stdout:
            lines = (probe.stdout + probe.stderr).splitlines()
            case.problem(f"{len(lines)} of {len(offsets)} cuts are not taken well: {lines[0]}")
        content = log.read_bytes()
        whole = {_state(ledger, content[:end], Path(folder)) for end in ends[-2:]}
        for offset in offsets if len(offsets) <= 1000 else offsets[::20]:
            if _state(ledger, content[:offset], Path(folder)) not in whole:
                case.problem(f"cut off at byte {offset}: neither the state before the last record nor after it")
                break


def _state(ledger: Path, log: bytes, folder: Path) -> int:
    copy = folder / "cut.db"
    for end in ("-wal", "-shm"):
        copy.with_name(copy.name + end).unlink(missing_ok=True)
    shutil.copyfile(ledger, copy)
    copy.with_name("cut.db-wal").write_bytes(log)
    with closing(sqlite3.connect(copy)) as file:
        return hash(
            tuple(tuple(file.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()) for table in TABLES)
        )


def flipped(case: Case) -> None:
    """One bit of the ledger, its log, a checkpoint or a trial's file is turned over, after a crash; several times."""
    case.interrupt(kill)
    crashed, told = case.folder / "crashed", case.told.read_bytes() if case.told.exists() else b""
    shutil.copytree(case.root, crashed)
    flips = 1 if case.bench.short else FLIPS
    for number in range(flips):
        if number:
            shutil.rmtree(case.root)
            shutil.copytree(crashed, case.root)
            case.told.write_bytes(told)
        known = len(case.problems)
        where = _flip(case)
        case.again("sweep.rerun=failed")
        case.figure({"redone": 0})
        redone = case.before
        case.before = None
        findings = case.check(patience=1e9)
        case.before = redone
        if len(case.problems) > known:
            case.problem(f"that was bit {where}")
            return
        case.figure({"wasted_by_a_flip": findings.wasted_epochs})
    shutil.rmtree(crashed)


def _flip(case: Case) -> str:
    kinds: list[Callable[[], list[Path]]] = [
        lambda: [case.root / "ledger.db"],
        lambda: [case.root / "ledger.db-wal"],
        lambda: sorted(case.root.glob("sweeps/*/checkpoints/*")),
        lambda: sorted(path for path in case.root.glob("sweeps/*/trials/*/*") if path.is_file()),
    ]
    case.random.shuffle(kinds)
    for kind in kinds:
        files = [path for path in kind() if path.exists() and path.stat().st_size]
        if files:
            path = case.random.choice(files)
            content = bytearray(path.read_bytes())
            at, bit = case.random.randrange(len(content)), case.random.randrange(8)
            content[at] ^= 1 << bit
            path.write_bytes(content)
            case.struck()
            return f"{bit} of byte {at} of {path.relative_to(case.root)}"
    raise RuntimeError("there is no file to damage")


def wait_for(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds; return whether it does."""
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


ROWS = (
    Row(
        17,
        "a database is locked",
        f"another process holds BEGIN EXCLUSIVE for {LOCK_SECONDS:.0f} s, on the ledger or MLflow's database",
        "waits; nothing lost",
        locked,
        short=2,
    ),
    Row(
        18,
        "the last record is torn",
        "the ledger's log cut off at each byte of its last transaction (seed 0), at 1,000 of them (others)",
        "opens with the state before that record or after it; goes on",
        cut_off,
    ),
    Row(
        19,
        "a bit turns over",
        "one bit of the ledger, its log, a checkpoint or a trial's file, after a crash; five a seed",
        "found; what it was is trained again, all else kept",
        flipped,
        seeds=40,
        short=3,
    ),
)
