"""A real `mlflow server` of one worker, which can be stopped, killed and started again where it was."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.runs import surroundings

HANGS = 120.0


def free_port() -> int:
    """Return a port on loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class MlflowServer:
    """A server on loopback. store: its database's URI. folder: for its artifacts and what it prints."""

    store: str
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.folder / "server.log"

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it answers."""
        options = {
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--workers": "1",
            "--backend-store-uri": self.store,
            "--artifacts-destination": str(self.folder / "artifacts"),
        }
        quietly = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *(part for pair in options.items() for part in pair)],
                cwd=self.folder,
                env=surroundings() | quietly,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that it can be killed with the worker that it starts
            )
        if wait:
            self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        """Wait for its health; raises AssertionError with what it printed if it ends or hangs."""
        until = time.monotonic() + HANGS
        while not self.answers():
            if self.process is None or self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Return whether it is healthy."""
        try:
            with urlopen(f"{self.uri}/health", timeout=5) as response:
                return bool(response.status == 200)
        except (URLError, OSError):
            return False

    def stop(self) -> None:
        """End it as its user would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(HANGS)
        finally:
            _kill_group(process.pid)


def _kill_group(group: int) -> None:
    """Kill what is left of a process group."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def running_server(store: str, folder: Path) -> Iterator[MlflowServer]:
    """Keep a server running for a while."""
    folder.mkdir(parents=True, exist_ok=True)
    server = MlflowServer(store, folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
