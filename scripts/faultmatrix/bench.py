"""What all cases share: an empty MLflow store to copy, one server, and the undisturbed sweeps to compare with."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from faultmatrix import ledger, results
from faultmatrix.checker import Control, Place, check
from faultmatrix.command import HANGS, start
from faultmatrix.witness import Seen
from faultmatrix.witness import read as read_witness
from faultmatrix.workload import MAIN, SHORT, Workload
from tests.servers.mlflow_server import MlflowServer

OBJECTIVE = "val/loss"
WITNESS = "NNEXP_FAULTS_WITNESS"  # names the file that the witness tells
DATA = "NNEXP_FAULTS_DATA"  # names the file that the data set in_file reads
EMPTY_STORE = """
import sys
from mlflow import MlflowClient
MlflowClient(tracking_uri=sys.argv[1]).search_experiments(max_results=1)
"""


class Bench:
    """The matrix's own folder, and what is made there once."""

    def __init__(self, folder: Path, *, short: bool) -> None:
        self.folder, self.short = folder, short
        self._lock = threading.Lock()
        self._controls: dict[Workload, Control] = {}
        self._server: MlflowServer | None = None
        self._empty = folder / "empty.db"
        self._points: Sequence[Any] = ()
        self._broken = ""  # what is wrong with an undisturbed sweep: nothing can be compared with it

    @property
    def workload(self) -> Workload:
        """The sweep that most rows disturb."""
        return SHORT if self.short else MAIN

    def copy_store(self, path: Path) -> None:
        """Make a store without a run."""
        with self._lock:
            if not self._empty.exists():
                self._make_store()
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._empty)) as made, closing(sqlite3.connect(path)) as copy:
            made.backup(copy)
            copy.execute("PRAGMA journal_mode=WAL")

    def server(self) -> MlflowServer:
        """Return a real server that all cases share; each has an experiment of its own."""
        with self._lock:
            if self._server is None:
                folder = self.folder / "server"
                folder.mkdir()
                server = MlflowServer(f"sqlite:///{folder / 'mlflow.db'}", folder)
                server.start()
                self._server = server
            return self._server

    def control(self, workload: Workload) -> Control:
        """Return the undisturbed sweep.

        Raises: RuntimeError if even that is not as it should be.
        """
        with self._lock:
            there = workload in self._controls
        if not there:
            if not self._empty.exists():
                self.copy_store(self.folder / "first.db")
            with self._lock:
                if self._broken:
                    raise RuntimeError(self._broken)
                if workload not in self._controls:
                    try:
                        self._controls[workload] = self._undisturbed(workload)
                    except RuntimeError as error:
                        self._broken = str(error)
                        raise
        return self._controls[workload]

    def points(self, find: Callable[[Bench], Sequence[Any]]) -> Sequence[Any]:
        """Return what there is to enumerate, found once."""
        if not self._points:
            self._points = find(self)
        return self._points

    def variables(self, told: Path) -> dict[str, str]:
        """Return the variables that every command gets. told: what the witness writes to."""
        return {WITNESS: str(told), DATA: str(self.folder / "data.npz")}

    def random(self, row: int, seed: int) -> Random:
        """Return the random numbers of a case."""
        return Random(f"row {row} seed {seed}")

    def close(self) -> None:
        """Stop the server."""
        if self._server is not None:
            self._server.stop()

    def _make_store(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        building = self._empty.with_name("building.db")
        subprocess.run(
            [sys.executable, "-c", EMPTY_STORE, f"sqlite:///{building}"], check=True, capture_output=True, timeout=HANGS
        )
        building.replace(self._empty)

    def _undisturbed(self, workload: Workload) -> Control:
        folder = self.folder / f"control-{workload.name}-{len(self._controls)}"
        root = folder / "runs"
        root.mkdir(parents=True)
        with closing(sqlite3.connect(self._empty)) as made, closing(sqlite3.connect(root / "mlflow.db")) as copy:
            made.backup(copy)
        if "dataset=in_file" in workload.overrides:
            write_digits(self.folder / "data.npz")
        told = folder / "witness"
        began = time.time()
        command = start(workload.arguments(str(root)), folder / "output", variables=self.variables(told))
        try:
            started = until_planned(root, command.process)
            ended = command.wait()
        finally:
            command.end()
        if ended.code or started is None:
            raise RuntimeError(f"the undisturbed sweep ended with exit code {ended.code}:\n{ended.text}")
        control = _control(workload, root, told, times=(began, started, ended.seconds))
        findings = check(Place(root, workload.name, root / "mlflow.db"), control)
        if findings.problems:
            raise RuntimeError("the undisturbed sweep is not in order:\n  " + "\n  ".join(findings.problems))
        return control


def write_digits(path: Path, *, changed: int = 0) -> Path:
    """Write the digits into a file; a grey value of the first few may be another."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X[:changed, 20] += 1.0
    np.savez(path, X=X, y=y)
    return path


def until_planned(root: Path, process: subprocess.Popen[bytes], seconds: float = HANGS) -> float | None:
    """Wait until the ledger has the trials of a sweep; return when, or None if the process ended before."""
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        if _has_trials(root / "ledger.db"):
            return time.time()
        time.sleep(0.02)
    return None


def _has_trials(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
            return bool(file.execute("SELECT count(*) FROM trial").fetchone()[0])
    except sqlite3.Error:
        return False


def _control(workload: Workload, root: Path, told: Path, *, times: tuple[float, float, float]) -> Control:
    began, started, whole = times
    found = ledger.read(root / "ledger.db")
    (sweep,) = (id for id, (name, _) in found.sweeps.items() if name == workload.name)
    trials = found.of(sweep)
    if len(trials) != workload.trials:
        raise RuntimeError(f"the sweep {workload.name} has {len(trials)} trials, not {workload.trials}")
    whose: dict[str, set[tuple[str, int]]] = {}
    for key, trial in trials.items():
        for (name, epoch), value in trial.points.items():
            if name == OBJECTIVE:
                whose.setdefault(value.hex(), set()).add((key, epoch))
    seen: list[Seen] = read_witness(told, {})
    return Control(
        results.table_of(trials, root / "sweeps" / sweep),
        {value: next(iter(of)) for value, of in whose.items() if len(of) == 1},
        frozenset(each.value for each in seen),
        seconds=began + whole - started,
        first_epoch=seen[0].time - began if seen else whole,
        whole=whole,
    )
