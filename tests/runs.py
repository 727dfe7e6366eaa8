"""Commands run as users run them: a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HANGS = 300.0  # seconds that no command here needs, however slow the machine
RUN = (sys.executable, "-m", "nnexp.run")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def run(
    *arguments: str, folder: Path, program: Sequence[str] = RUN, variables: Mapping[str, str] | None = None
) -> Ended:
    """Run a command to its end; TimeoutExpired if it hangs."""
    environment = surroundings() | dict(variables or {})
    done = subprocess.run(
        [*program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=HANGS
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def hearing_ctrl_c() -> Iterator[None]:
    """Let commands that start here hear Ctrl-C also where these tests run deaf to it, in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what is ignored here would be ignored there
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def surroundings() -> dict[str, str]:
    """Return this process's environment without what tells a command about tracking, Hydra or a screen."""
    told = ("MLFLOW_", "HYDRA_", "COMP_", "DO_NOT_TRACK", "COLUMNS", "LINES")
    return {name: value for name, value in os.environ.items() if not name.startswith(told)}
