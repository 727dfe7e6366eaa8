"""What delivering a trial to MLflow costs, beside a bare loop of MLflow's own calls that writes the same."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from nnexp.sweeps.kept import OWN_RUN
from nnexp.sweeps.ledger import Ledger
from nnexp.tracking.store import Store, import_mlflow, open_store
from nnexp.tracking.tracker import Tracker

SWEEP = (
    "sweep.name=delivered",
    "architecture.hidden=[64]",
    "training.epochs=20",
    "optimizer=sgd,momentum,nesterov,adam",
    "optimizer.lr=0.001,0.003,0.01,0.03,0.1",
    "seed=range(5)",
)
CHUNK = 10  # trials at a time, of 2 configurations
WAYS = {
    "bare": "a bare loop: create, one log_batch, artifacts, terminate",
    "direct": "nnexp, ledger and files included, into a database here",
    "client": "nnexp, the same by MLflow's client",
}


@dataclass(frozen=True)
class Content:
    """What MLflow has of a trial."""

    name: str
    started: int
    ended: int
    tags: dict[str, str]
    params: dict[str, str]
    points: list[tuple[str, float, int, int]]
    files: Path


def train(root: Path) -> None:
    """Train a sweep and track it."""
    command = [sys.executable, "-m", "nnexp.run", "-m", f"paths.root={root}", "screen.mode=quiet", *SWEEP]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def contents(client: Any, experiment: str) -> dict[str, Content]:
    """Return what MLflow has of each trial, by key."""
    found = {}
    for run in client.search_runs([experiment], "tags.`nnexp.kind` = 'trial'", max_results=1000):
        info, data = run.info, run.data
        points = [
            (each.key, each.value, each.timestamp, each.step)
            for name in data.metrics
            for each in client.get_metric_history(info.run_id, name)
        ]
        files = Path(info.artifact_uri.removeprefix("file://"))
        found[data.tags["nnexp.key"]] = Content(
            info.run_name, info.start_time, info.end_time, data.tags, data.params, points, files
        )
    return found


class BareLoop:
    """A bare loop of MLflow's calls. contents: what it writes, by key."""

    def __init__(self, store: Store, contents: Mapping[str, Content]) -> None:
        self.client, self.experiment = open_store(store)
        self.contents = contents

    def deliver(self, keys: Sequence[str]) -> None:
        """Write trials: create, one log_batch, artifacts, terminate."""
        from mlflow.entities import Metric, Param

        for each in map(self.contents.__getitem__, keys):
            run = self.client.create_run(self.experiment, each.started, each.tags, each.name).info.run_id
            metrics = [Metric(*point) for point in each.points]
            self.client.log_batch(run, metrics, [Param(*param) for param in each.params.items()])
            self.client.log_artifacts(run, str(each.files))
            self.client.set_terminated(run, "FINISHED", each.ended)


class Delivered:
    """A sweep of a ledger, delivered again into an experiment of its own, some trials at a time."""

    def __init__(self, ledger: Ledger, sweep: str, store: Store) -> None:
        self.ledger, self.sweep = ledger, sweep
        self.tracker = Tracker(ledger, sweep, store)
        for key, version in ledger.outbox(sweep).items():
            ledger.nothing_due(sweep, key, version)

    def deliver(self, keys: Sequence[str]) -> None:
        """Deliver trials as if MLflow had nothing of them."""
        self.ledger.deliver_again(self.sweep, keys)
        self.tracker.deliver_due()


@contextmanager
def by_client() -> Iterator[None]:
    """Let MLflow's client write databases too."""
    with mock.patch("nnexp.tracking.store.is_known", return_value=False):
        yield


def measure(root: Path, rounds: int) -> dict[str, list[float]]:
    """Return milliseconds a trial of each way, a figure for each chunk: all take turns, in stores of their own."""
    ledger = Ledger(root / "ledger.db")
    (sweep,) = ledger.sweeps()
    first, experiment = open_store(Store(f"sqlite:///{root / 'mlflow.db'}", "nnexp", root))
    told = contents(first, experiment)
    keys = [key for key in ledger.standing(sweep.id) if key != OWN_RUN]
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(rounds):
        where = {name: Store(f"sqlite:///{root / name}.db", f"round {number}", root) for name in WAYS}
        ways: dict[str, BareLoop | Delivered] = {
            "bare": BareLoop(where["bare"], told),
            "direct": Delivered(ledger, sweep.id, where["direct"]),
        }
        with by_client():
            ways["client"] = Delivered(ledger, sweep.id, where["client"])
        for begin in range(0, len(keys), CHUNK):
            chunk = keys[begin : begin + CHUNK]
            for name, way in ways.items():
                began = time.perf_counter()
                way.deliver(chunk)
                found[name].append(1000 * (time.perf_counter() - began) / len(chunk))
    points = [len(each.points) for each in told.values()]
    print(f"{len(told)} trials of 20 epochs, {statistics.median(points):.0f} points each; {rounds} rounds")
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    import_mlflow()
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder))
        found = measure(Path(folder), arguments.rounds)
    least = statistics.median(found["bare"])
    for name, text in WAYS.items():
        each = statistics.median(found[name])
        print(f"{text:60}{each:7.1f} ms a trial{each / least:7.2f} of the bare loop")
    if arguments.json:
        arguments.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
