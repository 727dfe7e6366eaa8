"""The command that opens MLflow's UI, run as a user does: a process that prints a link and serves until it is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.runs import HANGS, hearing_ctrl_c, surroundings


@dataclass
class RunningUi:
    """The command while it runs. said: its lines so far, without their ends."""

    process: subprocess.Popen[str]
    said: list[str]

    def read_until(self, what: str) -> str:
        """Read its lines until one starts so; return that one."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            if line.startswith(what):
                return self.said[-1]
        raise AssertionError(f"it ended without a line that starts with {what!r}: {self.said}")

    def end(self, number: int = signal.SIGINT) -> int:
        """Send it a signal; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(HANGS)

    def servers(self) -> list[int]:
        """Return the processes that it started, at any depth."""
        out = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parent = {int(pid): int(above) for pid, above in (line.split() for line in out.splitlines())}
        return [pid for pid in parent if _below(pid, self.process.pid, parent)]


def _below(pid: int, ancestor: int, parent: dict[int, int]) -> bool:
    while pid in parent and pid != ancestor:
        pid = parent[pid]
        if pid == ancestor:
            return True
    return False


def all_end(pids: list[int]) -> bool:
    """Return whether processes end, within a time that is plenty."""
    until = time.monotonic() + HANGS
    while any(_alive(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


@contextmanager
def running_ui(root: Path, *arguments: str) -> Iterator[RunningUi]:
    """Keep the command running on a root; Ctrl-C reaches it even where these tests run deaf to it."""
    with hearing_ctrl_c():
        process = subprocess.Popen(
            [sys.executable, "-m", "nnexp.ui", "--no-browser", "--root", str(root), *arguments],
            cwd=root.parent,
            env=surroundings(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield RunningUi(process, [])
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
        process.communicate(timeout=HANGS)
