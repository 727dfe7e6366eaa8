"""Commands run as users run them, and what MLflow holds after three of them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SMALL = ("training.epochs=3", "architecture.hidden=[8]", "executor.workers=2")
CLASSES = ("-m", "sweep.name=classes", *SMALL, "optimizer=sgd,adam", "l2.strength=0,0.1", "seed=0,1")
VALUES = (
    "-m",
    "sweep.name=values",
    *SMALL,
    "dataset=diabetes",
    "optimizer=sgd",
    "optimizer.lr=0.01,1e30",
    "seed=0,1",
)
SINGLE = ("sweep.name=single", *SMALL, "dataset=iris")


def command(root: Path, *arguments: str) -> list[str]:
    """Return the command line that runs on a root."""
    return [sys.executable, "-m", "nnexp.run", *arguments, f"paths.root={root}"]


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without what would tell a command where to track, and some variables."""
    told = ("MLFLOW_", "HYDRA_")
    return {name: value for name, value in os.environ.items() if not name.startswith(told)} | variables


def nnexp_run(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in the folder that holds the root."""
    return subprocess.run(
        command(root, *arguments),
        cwd=root.parent,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=300,
    )


@dataclass(frozen=True)
class Recorded:
    """What is under a root, and what the commands that wrote it said."""

    root: Path
    outputs: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)

    def client(self) -> Any:
        """Return a client of the root's store."""
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=f"sqlite:///{self.root / 'mlflow.db'}")

    def folder(self, sweep: str) -> Path:
        """Return the folder of the sweep with a name."""
        (found,) = (self.root / "sweeps").glob(f"{sweep}-*")
        return found

    def runs(self, kind: str, sweep: str) -> list[Any]:
        """Return the runs of a kind in MLflow that belong to the sweep with a name."""
        client = self.client()
        experiment = client.get_experiment_by_name("nnexp")
        found = client.search_runs([experiment.experiment_id], f"tags.`nnexp.kind` = '{kind}'", max_results=1000)
        return [run for run in found if run.data.tags["nnexp.sweep"].rpartition("-")[0] == sweep]


@pytest.fixture
def root(tmp_path: Path, empty_store: Path) -> Path:
    """Return a root that has a store."""
    found = tmp_path / "runs"
    found.mkdir()
    with closing(sqlite3.connect(empty_store)) as made, closing(sqlite3.connect(found / "mlflow.db")) as copy:
        made.backup(copy)
    return found


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Run a sweep over classes, one over values and a single trial, one after another on one root."""
    root = tmp_path_factory.mktemp("recorded") / "runs"
    commands = {"classes": CLASSES, "values": VALUES, "single": SINGLE}
    outputs = {name: nnexp_run(root, *arguments) for name, arguments in commands.items()}
    for done in outputs.values():
        assert done.returncode == 0, done.stderr
    return Recorded(root, outputs)
