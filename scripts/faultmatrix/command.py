"""Commands of nnexp, each in a process group of its own; watched, ended, interrupted from outside."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
COMPONENTS = Path(__file__).resolve().parent / "components"
HANGS = 300.0  # seconds that no command here needs, however slow the machine
TOLD = ("MLFLOW_", "HYDRA_", "NNEXP_", "COMP_", "DO_NOT_TRACK")  # variables that would tell a command something


@dataclass(frozen=True)
class Ended:
    """How a command ended. code: negative for a signal. seconds: from its start. hung: whether it had to be killed."""

    code: int
    text: str
    seconds: float
    hung: bool = False

    @property
    def last_line(self) -> str:
        """The last thing that it said."""
        return next((line for line in reversed(self.text.splitlines()) if line.strip()), "")


@dataclass
class Command:
    """A command under way. output: the file that has what it says. terminal: the one it sits at, if it has one."""

    process: subprocess.Popen[bytes]
    output: Path
    began: float
    terminal: int | None = None
    _reader: threading.Thread | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """Of the process itself, and of its group."""
        return self.process.pid

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def send_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def press_interrupt(self) -> None:
        """Press Ctrl-C at its terminal."""
        if self.terminal is not None:
            with contextlib.suppress(OSError):
                os.write(self.terminal, b"\x03")

    def workers(self) -> list[int]:
        """Return the process ids of its workers."""
        return [pid for pid in children(self.pid) if b"spawn_main" in command_line(pid)]

    def wait(self, seconds: float = HANGS) -> Ended:
        """Wait for its end; kill it if that takes too long."""
        hung = False
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            hung = True
            self.send_group(signal.SIGKILL)
            self.process.wait()
        took = time.monotonic() - self.began
        if self._reader is not None:
            self._reader.join(10)
        return Ended(self.process.returncode, self.output.read_text(errors="replace"), took, hung)

    def end(self) -> None:
        """Leave nothing of it behind."""
        self.send_group(signal.SIGKILL)
        self.process.wait()
        if self.terminal is not None:
            if self._reader is not None:
                self._reader.join(10)
            os.close(self.terminal)
            self.terminal = None


def start(
    arguments: Sequence[str],
    output: Path,
    *,
    variables: Mapping[str, str] | None = None,
    tree: Path = REPOSITORY,
    under: Sequence[str] = (),
    module: str = "nnexp.run",
    at_terminal: bool = False,
) -> Command:
    """Start a command of nnexp.

    Args: output: where what it says goes; the command runs in the folder of that file. tree: the folder that has nnexp
    and conf. under: a command that runs it. at_terminal: let it be the foreground of a terminal of its own.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(TOLD)}
    environment |= {"PYTHONPATH": f"{tree}:{COMPONENTS}", **(variables or {})}
    whole = [*under, sys.executable, "-m", module, *arguments]
    if at_terminal:
        return _start_at_terminal(whole, output, environment)
    with output.open("wb") as file:
        process = subprocess.Popen(
            whole,
            cwd=output.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Command(process, output, time.monotonic())


def _start_at_terminal(whole: Sequence[str], output: Path, environment: Mapping[str, str]) -> Command:
    """The terminal becomes the session's own because a process that leads one opens it: `setsid --ctty` does."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *whole], cwd=output.parent, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    reader = threading.Thread(target=_copy, args=(ours, output), daemon=True)
    reader.start()
    return Command(process, output, time.monotonic(), ours, reader)


def _copy(terminal: int, output: Path) -> None:
    with output.open("wb") as file, contextlib.suppress(OSError):  # EIO when nobody is at the other end
        while True:
            file.write(os.read(terminal, 65536))
            file.flush()


def children(pid: int) -> list[int]:
    """Return the processes that a process started and that are there."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def command_line(pid: int) -> bytes:
    """Return what a process was started with; empty for one that is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def is_alive(pid: int) -> bool:
    """Return whether a process is there, other than as a zombie."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
