"""Holding a sweep: one process at a time works on it. The system frees what a process held when it dies."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from nnexp.errors import UsageError
from nnexp.sweeps.plan import write_whole

GRACE_SECONDS = 0.5  # somebody may just be looking whether it is held


@dataclass(frozen=True)
class Holder:
    """Who works on a sweep. since: local time with its zone, to the second."""

    host: str
    process: int
    since: str

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"


@contextmanager
def holding(folder: Path, sweep: str) -> Iterator[None]:
    """Hold a sweep by its folder.

    Raises: UsageError that says who holds it, or that there cannot be such a folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"paths.root cannot be used: {folder}: {error.strerror}") from None
    lock, said = FileLock(folder / "lock", timeout=GRACE_SECONDS), folder / "holder.json"
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(f"sweep {sweep} is being worked on by {_said(said)}") from None
    me = Holder(socket.gethostname(), os.getpid(), datetime.now().astimezone().isoformat(" ", "seconds"))
    try:
        write_whole(said, json.dumps(asdict(me)) + "\n")
        yield
    finally:
        said.unlink(missing_ok=True)
        lock.release()


def is_held(folder: Path) -> bool:
    """Return whether a living process works on the sweep of a folder."""
    if not (folder / "lock").exists():
        return False
    lock = FileLock(folder / "lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False


def held_by(folder: Path) -> str | None:
    """Return which process works on the sweep of a folder, None if none does."""
    return _said(folder / "holder.json") if is_held(folder) else None


def _said(path: Path) -> str:
    try:
        return str(Holder(**json.loads(path.read_text())))
    except (OSError, ValueError, TypeError):
        return "another process"
