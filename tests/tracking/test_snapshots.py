"""Snapshots from MLflow alone: as they were made, or made of the runs, which say the same as the ledger did."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas
import pytest

from nnexp import fetching
from nnexp.errors import TrackingError, UsageError
from nnexp.reporting.snapshot import Snapshot, read_snapshot
from nnexp.reporting.study import make_study
from nnexp.sweeps.files import SNAPSHOT
from nnexp.tracking import retelling
from nnexp.tracking.snapshots import TrackedSweeps
from nnexp.tracking.store import Store
from nnexp.tracking.syncing import sync
from tests.tracking.conftest import Recorded
from tests.tracking.pretended import Database, Pretended, pretend

# what only a ledger has: seconds finer than milliseconds
ROUNDED = ["started_at", "ended_at"]


def fetch(uri: str, names: Sequence[str] = (), *, experiment: str = "") -> list[Snapshot]:
    """Return the snapshots that are fetched."""
    return [each.snapshot for each in fetching.fetch(uri, names, experiment=experiment)]


def uri(root: Path) -> str:
    return f"sqlite:///{root / 'mlflow.db'}"


def of_runs(monkeypatch: pytest.MonkeyPatch, root: Path, name: str) -> Snapshot:
    """Return the snapshot that is made of a sweep's runs, as if there were none among its own run's files."""
    monkeypatch.setattr(TrackedSweeps, "download", lambda self, sweep, folder: None)
    (found,) = fetch(uri(root), [name])
    return found


def assert_same(found: Snapshot, expected: Snapshot) -> None:
    """Assert that a snapshot made of runs says what the one made of the ledger says."""
    assert {*found.trials} == {*expected.trials}
    for name in {*expected.trials} - {*ROUNDED, "chosen", "parameters"}:
        mine, theirs = found.trials[name], expected.trials[name]
        pandas.testing.assert_series_equal(mine, theirs, check_exact=True, check_dtype=False)
    for name in ROUNDED:
        assert (found.trials[name] - expected.trials[name]).abs().max() <= 0.0005
    for mine, theirs in zip(found.trials["parameters"], expected.trials["parameters"], strict=True):
        assert json.loads(mine) == json.loads(theirs)
    assert {*found.histories} == {*expected.histories}
    for name in {*expected.histories} - {"time"}:
        pandas.testing.assert_series_equal(
            found.histories[name], expected.histories[name], check_exact=True, check_dtype=False
        )
    assert (found.histories["time"] - expected.histories["time"]).abs().max() <= 0.0005


@pytest.mark.parametrize("name", ["classes", "values"])
def test_a_snapshot_is_downloaded_as_it_was_made(recorded: Recorded, name: str) -> None:
    expected = read_snapshot(recorded.folder(name) / SNAPSHOT)
    for called in (name, recorded.folder(name).name):
        (found,) = fetch(uri(recorded.root), [called])
        assert found.sweeps == expected.sweeps
        for table, rows in expected.tables.items():
            pandas.testing.assert_frame_equal(found.tables[table], rows, check_exact=True)


def test_without_a_name_it_is_the_latest_sweep_and_several_may_be_named(recorded: Recorded) -> None:
    (latest,) = fetch(uri(recorded.root))
    assert latest.sweeps[0]["name"] == "values"
    both = fetch(uri(recorded.root), ["values", "classes", "values"], experiment="nnexp")
    assert [each.sweeps[0]["name"] for each in both] == ["values", "classes"]


@pytest.mark.parametrize("name", ["classes", "values"])
def test_a_snapshot_made_of_runs_says_the_same(recorded: Recorded, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    expected = read_snapshot(recorded.folder(name) / SNAPSHOT)
    found = of_runs(monkeypatch, recorded.root, name)
    assert_same(found, expected)
    (mine,), (theirs,) = found.sweeps, expected.sweeps
    assert abs(mine["planned_at"] - theirs["planned_at"]) < 1e-6
    differ = {each for each in {*theirs} - {"planned_at"} if mine.get(each) != theirs[each]}
    assert differ <= {"argv", "notes", "image"}  # the command is the ledger's, portraits need the networks
    assert mine["notes"] == [retelling.NOTE]
    assert found.tables["predictions"].empty
    one, other = make_study(found), make_study(expected)
    assert [each.label for each in one.configurations] == [each.label for each in other.configurations]
    assert one.axes == other.axes
    assert one.entropy == other.entropy


def test_without_a_plan_too_trials_that_have_runs_are_told(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retelling, "_json", lambda tracked, run, name: None)
    found = of_runs(monkeypatch, recorded.root, "classes")
    expected = read_snapshot(recorded.folder("classes") / SNAPSHOT)
    assert found.sweeps[0]["notes"][1].startswith("no plan: its artifact plan.json is not there")
    mine, theirs = (each.trials.set_index("key").sort_index() for each in (found, expected))
    for name in ("config", "configuration", "data", "state", "objective", "seed", "summary/test/acc"):
        pandas.testing.assert_series_equal(mine[name], theirs[name], check_exact=True, check_dtype=False)
    study = make_study(found)
    assert {"optimizer.name", "l2.strength"} <= {axis.name for axis in study.axes}
    assert [each.n for each in study.configurations] == [2, 2, 2, 2]


def test_a_server_that_tells_no_points_of_many_runs_leaves_a_note(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise retelling._RefusedError("it answers 404")

    monkeypatch.setattr(retelling, "_some_points", refuse)
    found = of_runs(monkeypatch, recorded.root, "classes")
    assert found.histories.empty
    assert found.sweeps[0]["notes"] == [retelling.NOTE, "no histories: it answers 404"]
    assert make_study(found).best is not None


def test_few_runs_and_points_are_asked_for_at_once(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = of_runs(monkeypatch, recorded.root, "classes")
    asked, ask = [], retelling._some_points

    def counting(tracked: TrackedSweeps, name: str, ids: Any) -> Any:
        asked.append(len(ids))
        return ask(tracked, name, ids)

    monkeypatch.setattr(retelling, "MOST_POINTS", 3 * 3)  # of three epochs
    monkeypatch.setattr(retelling, "_some_points", counting)
    again = of_runs(monkeypatch, recorded.root, "classes")
    assert max(asked) == 3
    pandas.testing.assert_frame_equal(again.histories, whole.histories)


@pytest.fixture
def killed(root: Path) -> Pretended:
    """Return a sweep whose process was killed: one trial finished, one diverged, one failed, one is under way."""
    found = pretend(root, uri(root), configurations=5, seeds=1)
    first, second, third, fourth, _ = found.keys
    found.begin(found.keys[:4])
    found.train([first, second, fourth], 1, 3)
    found.end([first], 3)
    found.end([second], 3, "diverged")
    found.end([third], 0, "failed")
    found.ledger.stop(found.plan.id, [fourth], "the process that trained it is gone")
    (done,) = sync(found.ledger, root)
    assert done.is_whole
    return found


def test_a_sweep_that_was_killed_is_told_by_its_runs(killed: Pretended, root: Path) -> None:
    (found,) = fetch(uri(root), ["pretended"])
    assert found.trials["state"].to_list() == ["finished", "diverged", "failed", "stopped", "planned"]
    assert found.trials["epoch"].to_list() == [3, 3, 0, 3, 0]
    assert found.trials["note"].to_list()[2] == "ZeroDivisionError: division by zero"
    history = found.histories[found.histories["key"] == killed.keys[3]]
    assert tuple(history["val/acc"]) == killed.history(killed.keys[3], 1, 3).values["val/acc"]
    assert found.sweeps[0]["hash"] == killed.plan.hash
    assert len(make_study(found).configurations) == 5


def test_a_sweep_that_is_worked_on_is_told_as_it_is_now(killed: Pretended, root: Path) -> None:
    (artifacts,) = {path.parent for path in root.glob("artifacts/*/artifacts/plan.json")}
    (artifacts / SNAPSHOT).mkdir()
    (artifacts / SNAPSHOT / "SHA256SUMS").write_text("")
    with closing(sqlite3.connect(root / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE runs SET status = 'RUNNING' WHERE artifact_uri = ?", (artifacts.as_uri(),))
        changed = connection.execute("SELECT changes()").fetchone()[0]
    assert changed == 1
    (found,) = fetch(uri(root), [killed.plan.id])
    assert len(found.trials) == 5


def test_a_snapshot_that_was_damaged_is_refused_in_one_line(killed: Pretended, root: Path) -> None:
    (artifacts,) = {path.parent for path in root.glob("artifacts/*/artifacts/plan.json")}
    shutil.copytree(_some_snapshot(root), artifacts / SNAPSHOT)
    fetch(uri(root))
    (artifacts / SNAPSHOT / "sweeps.json").write_text("{}")
    with pytest.raises(
        TrackingError, match=r"^the snapshot of pretended-\S+ \(run .*is damaged: sweeps.json is damaged"
    ):
        fetch(uri(root))


def _some_snapshot(root: Path) -> Path:
    from nnexp.reporting.snapshot import make_snapshot, write_snapshot

    write_snapshot(make_snapshot([{"id": "x", "planned_at": 1.0}], {}), root / "made")
    return root / "made"


def test_a_sweep_that_is_not_there_is_refused_with_the_choices(recorded: Recorded) -> None:
    ids = ", ".join(recorded.folder(name).name for name in ("classes", "values"))
    with pytest.raises(UsageError) as said:
        fetch(uri(recorded.root), ["other"])
    assert str(said.value) == f"there is no sweep 'other' in {uri(recorded.root)}; it has: {ids}"
    with pytest.raises(UsageError, match="there is no experiment 'other' in sqlite"):
        fetch(uri(recorded.root), experiment="other")


def test_a_store_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=f"there is no MLflow store at {tmp_path / 'mlflow.db'}"):
        fetch(uri(tmp_path))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TrackingError, match=r"MLflow's store http://127.0.0.1:9 cannot be read: "):
        fetch("http://127.0.0.1:9")


def test_it_says_which_run_a_sweep_has_of_its_own(recorded: Recorded) -> None:
    (parent,) = recorded.runs("sweep", "classes")
    (found,) = fetching.fetch(uri(recorded.root), ["classes"])
    assert (found.run, found.experiment) == (parent.info.run_id, "nnexp")


def test_an_empty_store_has_no_sweep(root: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no sweep in sqlite:.*; it has: none"):
        fetch(uri(root))


def test_the_same_sweep_of_two_experiments_is_named_by_its_run(killed: Pretended, root: Path) -> None:
    list(sync(killed.ledger, root, experiment="other"))
    found = TrackedSweeps(Store(uri(root), "", root))
    assert len(found.all) == 2
    with pytest.raises(UsageError, match=r"^'pretended' is several sweeps in .*, name one by its run: pretended-"):
        fetch(uri(root), ["pretended"])
    (one,) = fetch(uri(root), [found.all[0].run])
    (other,) = fetch(uri(root), ["pretended"], experiment="other")
    assert one.trials["key"].to_list() == other.trials["key"].to_list()
    assert Database(root / "mlflow.db").rows("SELECT count(*) FROM experiments WHERE name = 'other'") == [(1,)]
