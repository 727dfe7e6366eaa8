"""MLflow's own server for one user on this machine: on loopback, of one worker, gone when its process is gone.

parent ── pipe ──► this module's main: ends its process group when the pipe does ──► mlflow server ──► its worker
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.request import urlopen

from nnexp.errors import TrackingError
from nnexp.tracking.store import MANNERS, one_line, without_credentials

HOST = "127.0.0.1"
START_SECONDS = 120.0
END_SECONDS = 5.0

# Of MLflow's own variables, what says how to reach artifacts; the others would change what is served, and to whom.
KEPT = ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_S3_")
JOBS = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"  # of language models; they would be 13 processes more


@dataclass(frozen=True)
class LocalServer:
    """A server that answers. address: where."""

    address: str
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Wait until it ends by itself."""
        self.process.wait()


def is_free(port: int) -> bool:
    """Return whether nothing listens on a port here."""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return False
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def serving(uri: str, port: int, artifacts: Path) -> Iterator[LocalServer]:
    """Keep a server on a store running; it answers when this is entered.

    Args: artifacts: the folder for the files of experiments that are made in the UI.
    Raises: TrackingError if it does not start.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command(port, artifacts),
            env=environment(uri),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours
        )
        try:
            server = LocalServer(f"http://{HOST}:{port}", process)
            _wait(server, log, uri)
            yield server
        finally:
            _end(process)


def command(port: int, artifacts: Path) -> list[str]:
    """Return the command line: no credentials, as everybody on this machine may read it."""
    options = {"host": HOST, "port": str(port), "workers": "1", "artifacts-destination": str(artifacts)}
    return [sys.executable, "-m", __name__, *(f"--{name}={value}" for name, value in options.items())]


def environment(uri: str) -> dict[str, str]:
    """Return the environment of a server on a store."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    return {**inherited, **MANNERS, **kept, JOBS: "false", "MLFLOW_BACKEND_STORE_URI": uri}


def _wait(server: LocalServer, log: IO[bytes], uri: str) -> None:
    until = time.monotonic() + START_SECONDS
    while not _answers(server.address):
        if server.process.poll() is not None or time.monotonic() > until:
            log.seek(0)
            said = one_line(TrackingError(_reason(log.read().decode(errors="replace"))), uri)
            raise TrackingError(f"MLflow's server on {without_credentials(uri)} did not start: {said}")
        time.sleep(0.05)


def _reason(log: str) -> str:
    """Return the line of a log that says why: the last error's, else the last one."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return [*(lines or ["it said nothing"]), *errors][-1]


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and its worker, at once if they take their time or the user is impatient."""
    _signal_group(process.pid, signal.SIGTERM)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def main() -> None:
    """In the server's process: serve until the pipe ends, which it does with the process that holds its other end."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from mlflow.cli import cli

    cli(["server", *sys.argv[1:]])


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    main()
