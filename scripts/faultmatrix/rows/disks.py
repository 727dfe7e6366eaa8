"""Rows 2 and 14 to 16: a process dies at each system call that writes; the disk is full; it cannot sync."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from faultmatrix import strace
from faultmatrix.bench import Bench
from faultmatrix.case import Case
from faultmatrix.rows.row import Row
from faultmatrix.workload import SMALL

ALL_SYNCS = strace.Group("syncs", strace.SYNCS)
LEDGER_WRITES = strace.Group("ledger", ("pwrite64",), strace.LEDGER.paths)
KB = 1024


def crash_points(bench: Bench) -> list[tuple[strace.Group, int]]:
    """Return each system call of an undisturbed small sweep that writes something, by its group and count."""
    found: list[tuple[strace.Group, int]] = []
    for group in strace.GROUPS:
        case = Case(bench, 2, -1, bench.folder / f"points-{group.name}", SMALL, bench.random(2, -1))
        log = case.folder / "calls"
        try:
            case.expect(case.end(case.start(under=strace.counting(group, case.root, log))), 0)
        finally:
            case.close()
        if case.problems:
            raise RuntimeError(f"the small sweep under strace: {case.problems}")
        found += [(group, at) for at in strace.points(log, case.root)[:: group.every]]
    return found


def crash_at_call(case: Case) -> None:
    """SIGKILL at one system call that writes; then the same command again."""
    group, at = case.bench.points(crash_points)[case.seed]
    log = case.folder / "calls"
    case.note = f"{group.name} call {at}"
    command = case.start(under=strace.killing(group, case.root, log, at))
    ended = case.end(command)
    killed = strace.hits(log, (" = ?", "killed by SIGKILL")) > 0
    if killed:
        case.struck()
    elif ended.code:
        case.expect(ended, 0)
    case.again()
    case.check(patience=1e9)  # under strace nothing is fast


def no_space_for_ledger(case: Case) -> None:
    """ENOSPC for one write to the ledger, or for all from then on; then there is space again."""
    when = case.random.randint(1, 60)
    log = case.folder / "calls"
    all_later = "+" if case.random.random() < 0.5 else ""
    under = strace.failing(LEDGER_WRITES, case.root, log, error="ENOSPC", when=f"{when}{all_later}")
    _fails(case, under, log)


def no_sync(case: Case) -> None:
    """EIO from one fsync of any file, or from all from then on."""
    when = case.random.randint(1, 25)
    log = case.folder / "calls"
    all_later = "+" if case.random.random() < 0.5 else ""
    under = strace.failing(ALL_SYNCS, case.root, log, error="EIO", when=f"{when}{all_later}")
    _fails(case, under, log)


def _fails(case: Case, under: list[str], log: Path) -> None:
    ended = case.end(case.start(under=under))
    case.expect(ended, 0, 1)
    case.injections += strace.hits(log, ("(INJECTED)",))
    case.struck()
    case.injections -= 1
    case.again("sweep.rerun=failed")
    case.check(patience=1e9)


def no_space_for_files(case: Case) -> None:
    """A full disk: where checkpoints and trials' files go, or MLflow's artifacts, or everything; then there is more."""
    where = ("sweeps", "artifacts", "")[case.seed % 3]
    size = case.random.randint(40, 600) * KB + (1400 * KB if not where else 0)
    with _small_disk(case.root / where, size) as grow:
        if not where:
            case.bench.copy_store(case.root / "mlflow.db")
        ended = case.end(case.start())
        case.expect(ended, 0, 1)
        case.struck()
        grow()
        case.again("sweep.rerun=failed")
        if case.look() is not None:
            case.check(patience=1e9)


@contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[Callable[[], object]]:
    """Keep a file system of some bytes at a folder for a while; yields a function that makes it large."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,size=256m", str(folder)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


ROWS = (
    Row(
        2,
        "killed at any system call that writes",
        "strace: SIGKILL at the k-th write, sync, rename, … of a small sweep, k = 1, 2, …",
        "every crash point recovers",
        crash_at_call,
        short=4,
        needs=("strace",),
        workload=SMALL,
        points=crash_points,
    ),
    Row(
        14,
        "no space for the ledger",
        "strace: ENOSPC from the n-th write to the ledger, or from all later ones too",
        "one clear line; no torn rows; goes on when there is space",
        no_space_for_ledger,
        needs=("strace",),
    ),
    Row(
        15,
        "no space for checkpoints, files, artifacts",
        "a file system of 40 to 600 kB where they go, enlarged afterwards",
        "one clear line; what is there is whole; goes on when there is space",
        no_space_for_files,
        short=2,
        needs=("mount",),
    ),
    Row(
        16,
        "fsync fails",
        "strace: EIO from the n-th fsync or fdatasync, or from all later ones too",
        "never taken for done; goes on when the disk does",
        no_sync,
        needs=("strace",),
    ),
)
