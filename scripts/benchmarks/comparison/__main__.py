"""Runs the three ways in turns, each as a process of its own from its start to its end, and prints a table."""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.turns import machine

HERE = Path(__file__).parent
OPTIMIZERS, LR, SEEDS = "sgd,momentum,nesterov,adam", "0.001,0.003,0.01,0.03,0.1", "range(5)"
WORKERS = 2


@dataclass(frozen=True)
class Outcome:
    """What came of a sweep. trials: that were trained. best: the chosen one's accuracy on the test part."""

    trials: int
    best: float


@dataclass(frozen=True)
class Way:
    """A way to run the sweep. command: of a folder. outcome: of the folder and what the command printed."""

    name: str
    command: Callable[[Path], list[str]]
    outcome: Callable[[Path, str], Outcome]


def launched(folder: Path) -> list[str]:
    """Return the command of Hydra's basic launcher."""
    axes = [f"optimizer={OPTIMIZERS}", f"lr={LR}", f"seed={SEEDS}"]
    return [sys.executable, str(HERE / "by_launcher.py"), "-m", *axes]


def launched_outcome(folder: Path, _: str) -> Outcome:
    """Read what the launched trainings logged."""
    from mlflow import MlflowClient

    runs = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}").search_runs(["0"], max_results=1000)
    best = max(runs, key=lambda run: run.data.metrics["val/acc"])
    return Outcome(len(runs), best.data.metrics["test/acc"])


def searched(_: Path) -> list[str]:
    """Return the command of the grid search."""
    return [sys.executable, str(HERE / "grid_search.py"), str(WORKERS)]


def searched_outcome(_: Path, out: str) -> Outcome:
    """Read what the grid search printed."""
    trials, best = out.split()
    return Outcome(int(trials), float(best))


def swept(folder: Path) -> list[str]:
    """Return nnexp's command."""
    settings = [f"paths.root={folder}", "sweep.name=comparison", f"executor.workers={WORKERS}"]
    network = ["architecture.hidden=[64]", "training.batch_size=64", "training.epochs=20"]
    axes = [f"optimizer={OPTIMIZERS}", f"optimizer.lr={LR}", f"seed={SEEDS}"]
    return [sys.executable, "-m", "nnexp.run", "-m", *settings, *network, *axes]


def swept_outcome(folder: Path, out: str) -> Outcome:
    """Read nnexp's leaderboard, and say where its seconds went."""
    print("  " + next(line for line in out.splitlines() if line.startswith("seconds:")), flush=True)
    (path,) = folder.glob("sweeps/*/leaderboard.csv")
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    return Outcome(sum(int(row["n"]) for row in rows), float(rows[0]["test/acc_mean"]))


WAYS = (
    Way("Hydra's launcher, PyTorch, mlflow.log_metric", launched, launched_outcome),
    Way("scikit-learn's GridSearchCV, nothing recorded", searched, searched_outcome),
    Way("nnexp, everything recorded", swept, swept_outcome),
)


def run(way: Way) -> tuple[float, Outcome]:
    """Run a way in a new folder; return its wall seconds and what came of it."""
    told = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "HYDRA_"))}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        done = subprocess.run(way.command(folder), cwd=folder, env=told, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"{way.name} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return seconds, way.outcome(folder, done.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    for name, value in machine().items():
        print(f"{name:8}{value}")
    seconds: dict[str, list[float]] = {way.name: [] for way in WAYS}
    outcomes: dict[str, Outcome] = {}
    for number in range(1, rounds + 1):
        for way in WAYS:
            took, outcomes[way.name] = run(way)
            seconds[way.name].append(took)
            print(f"round {number}: {way.name:48}{took:8.1f} s", flush=True)
    least = statistics.median(seconds[WAYS[-1].name])
    print(f"\n{'medians':48}{'seconds':>9}{'to nnexp':>10}{'trials':>8}{'test/acc of the best':>22}")
    for name, times in seconds.items():
        each, outcome = statistics.median(times), outcomes[name]
        print(f"{name:48}{each:9.1f}{each / least:10.2f}{outcome.trials:8}{outcome.best:22.3f}")


if __name__ == "__main__":
    main()
