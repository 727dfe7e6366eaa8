"""A sweep is recorded alike in a SQLite file, by a server on SQLite and by one on PostgreSQL."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
import pytest
import yaml

from nnexp.fetching import fetch
from nnexp.reporting.snapshot import read_snapshot
from nnexp.sweeps.files import SNAPSHOT
from nnexp.tracking.entries import config_of
from nnexp.tracking.snapshots import TrackedSweeps
from nnexp.tracking.store import Store, open_store
from tests.runs import run

pytestmark = pytest.mark.servers

SWEEP = (
    "-m",
    "sweep.name=stores",
    "dataset=iris",
    "training.epochs=3",
    "architecture.hidden=[8]",
    "executor.workers=1",
    "optimizer=sgd,adam",
    "seed=0,1",
)
TRIALS = 4


@dataclass(frozen=True)
class Swept:
    """A sweep that a command recorded in a store."""

    root: Path
    uri: str

    def again(self) -> str:
        """Run the command until MLflow has all of it, as it may not on a machine that is busy; return what it said."""
        for _ in range(10):
            done = run(*SWEEP, f"paths.root={self.root}", f"tracking.uri={self.uri}", folder=self.root.parent)
            assert done.code == 0, done.err
            if "pending" not in done.out:
                return done.out
        raise AssertionError(done.out)

    def client(self) -> Any:
        """Return a client of the store."""
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    def runs(self, kind: str) -> list[Any]:
        """Return the sweep's runs of a kind, ordered by key."""
        client = self.client()
        experiment = client.get_experiment_by_name("nnexp").experiment_id
        found = client.search_runs([experiment], f"tags.`nnexp.kind` = '{kind}'", max_results=1000)
        return sorted(found, key=lambda each: str(each.data.tags["nnexp.key"]))

    def plan(self) -> dict[str, Any]:
        """Return the frozen plan's trials by key."""
        (path,) = self.root.glob("sweeps/*/plan.json")
        return {trial["key"]: trial for trial in json.loads(path.read_text())["trials"]}

    def folder(self, key: str) -> Path:
        """Return a trial's folder."""
        (found,) = (path for path in self.root.glob("sweeps/*/trials/*") if key.startswith(path.name))
        return found

    def dump(self) -> list[Any]:
        """Return everything that MLflow shows of the sweep."""
        client, runs = self.client(), [*self.runs("sweep"), *self.runs("trial")]
        return [
            (
                each.to_dictionary(),
                {name: [vars(point) for point in client.get_metric_history(each.info.run_id, name)]
                 for name in each.data.metrics},
                sorted((found.path, found.file_size) for found in files(client, each.info.run_id)),
            )
            for each in runs
        ]  # fmt: skip


def files(client: Any, run_id: str, below: str = "") -> Iterator[Any]:
    """Yield a run's artifacts, in folders too."""
    for each in client.list_artifacts(run_id, below):
        if each.is_dir:
            yield from files(client, run_id, each.path)
        else:
            yield each


@pytest.fixture(scope="module", params=["sqlite", "sqlite_server", "postgresql_server"])
def swept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Swept:
    """Run the sweep on a root of its own and a store."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        uri = f"sqlite:///{shutil.copy(empty_store, folder / 'elsewhere.db')}"
    else:
        uri = request.getfixturevalue(request.param).uri
    found = Swept(folder / "runs", uri)
    found.again()
    return found


def test_every_trial_is_there_once_below_its_sweep(swept: Swept) -> None:
    (parent,) = swept.runs("sweep")
    trials = swept.runs("trial")
    assert [each.data.tags["nnexp.key"] for each in trials] == sorted(swept.plan())
    assert len(trials) == TRIALS
    assert {each.info.status for each in (parent, *trials)} == {"FINISHED"}
    assert {each.data.tags["mlflow.parentRunId"] for each in trials} == {parent.info.run_id}
    assert {each.data.tags["nnexp.sweep"] for each in (parent, *trials)} == {parent.data.tags["nnexp.sweep"]}


def test_a_runs_config_reads_back_as_it_was_resolved(swept: Swept) -> None:
    plan = swept.plan()
    for each in swept.runs("trial"):
        assert config_of(each.data.params) == plan[each.data.tags["nnexp.key"]]["config"]


def history(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Return a history's points by metric."""
    found: dict[str, list[tuple[int, float]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if name != "epoch":
                    found.setdefault(name, []).append((int(row["epoch"]), float(value)))
    return found


def test_the_metrics_are_the_history_to_the_last_digit(swept: Swept) -> None:
    client = swept.client()
    for each in swept.runs("trial"):
        expected = history(swept.folder(each.data.tags["nnexp.key"]) / "history.csv")
        assert {"train/cost", "val/acc"} <= expected.keys()
        for name, points in expected.items():
            there = client.get_metric_history(each.info.run_id, name)
            assert [(point.step, point.value) for point in there] == points
        assert {"test/acc", "val/acc_best", "epoch_best", "agg/n"} <= each.data.metrics.keys()


def test_the_artifacts_are_the_files_of_the_trial(swept: Swept, tmp_path: Path) -> None:
    client = swept.client()
    plan: Mapping[str, Any] = swept.plan()
    for each in swept.runs("trial"):
        key = each.data.tags["nnexp.key"]
        got = Path(client.download_artifacts(each.info.run_id, "", str(tmp_path)))
        mine = {path.relative_to(swept.folder(key)): path.read_bytes() for path in swept.folder(key).iterdir()}
        assert {path: (got / path).read_bytes() for path in mine} == mine
        assert {Path(name) for name in ("config.yaml", "history.csv", "weights.npz")} <= mine.keys()
        assert yaml.safe_load((got / "config.yaml").read_text()) == plan[key]["config"]
    (parent,) = swept.runs("sweep")
    assert {"plan.json", "leaderboard.csv"} <= {each.path for each in files(client, parent.info.run_id)}


def test_the_sweep_can_be_fetched_without_its_ledger(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = swept.root.glob("sweeps/*")
    expected = read_snapshot(folder / SNAPSHOT)
    found = fetch(swept.uri, ["stores"])[0].snapshot
    assert found.sweeps == expected.sweeps
    for name, rows in expected.tables.items():
        pandas.testing.assert_frame_equal(found.tables[name], rows, check_exact=True)
    monkeypatch.setattr(TrackedSweeps, "download", lambda self, sweep, folder: None)
    of_runs = fetch(swept.uri, ["stores"])[0].snapshot
    for name in ("key", "state", "objective", "summary/test/acc", "parameters", "config"):
        assert of_runs.trials[name].to_list() == expected.trials[name].to_list()
    for name in ("key", "epoch", "val/acc", "train/cost"):
        assert of_runs.histories[name].to_list() == expected.histories[name].to_list()


def test_the_same_command_again_changes_nothing(swept: Swept) -> None:
    before = swept.dump()
    assert f"{TRIALS} of {TRIALS} trials are in the ledger already" in swept.again()
    assert swept.dump() == before


def test_files_beside_a_database_go_below_the_root_and_not_where_the_command_runs(
    postgresql: str, tmp_path: Path
) -> None:
    client, experiment = open_store(Store(postgresql, "files", tmp_path))
    assert client.get_experiment(experiment).artifact_location == (tmp_path / "artifacts").as_uri()
