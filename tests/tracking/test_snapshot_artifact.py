"""The snapshot of a sweep is made when it ends, is among its run's files, and is compared and mended like those."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nnexp.reporting.snapshot import read_snapshot
from nnexp.reporting.study import make_study
from nnexp.sweeps.files import SNAPSHOT
from nnexp.tracking.syncing import sync
from tests.tracking.conftest import CLASSES, Recorded, nnexp_run
from tests.tracking.pretended import Pretended, pretend


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_sweeps_own_run_has_the_snapshot_that_is_in_its_folder(recorded: Recorded, tmp_path: Path) -> None:
    (parent,) = recorded.runs("sweep", "classes")
    got = Path(recorded.client().download_artifacts(parent.info.run_id, SNAPSHOT, str(tmp_path)))
    assert contents(got) == contents(recorded.folder("classes") / SNAPSHOT)
    snapshot = read_snapshot(got)
    planned = json.loads((recorded.folder("classes") / "plan.json").read_text())
    assert snapshot.trials["key"].to_list() == [trial["key"] for trial in planned["trials"]]
    assert {*snapshot.trials["state"]} == {"finished"}
    assert len(snapshot.histories) == 8 * 3
    (sweep,) = snapshot.sweeps
    assert sweep["notes"] == []
    environment = json.loads((recorded.folder("classes") / "environment.json").read_text())
    told = {name: value for name, value in environment.items() if name != "git"}  # somebody may commit meanwhile
    assert told.items() <= sweep["environment"].items()
    study = make_study(snapshot)
    assert study.best is not None
    assert {*snapshot.tables["predictions"]["key"]} == {each.key for each in study.best.repeats}


def test_scores_of_the_study_are_those_of_the_runs(recorded: Recorded) -> None:
    study = make_study(read_snapshot(recorded.folder("classes") / SNAPSHOT))
    runs = {run.data.tags["nnexp.key"]: run.data.metrics for run in recorded.runs("trial", "classes")}
    for repeat in study.repeats:
        assert repeat.score == runs[repeat.key]["val/acc_best"]
        assert repeat.test == runs[repeat.key]["test/acc"]


def test_a_single_trial_has_no_snapshot(recorded: Recorded) -> None:
    assert not (recorded.folder("single") / SNAPSHOT).exists()


def test_the_same_command_makes_a_snapshot_that_is_missing(root: Path) -> None:
    sweep = [each for each in CLASSES if not each.startswith(("seed", "l2"))]
    assert nnexp_run(root, *sweep).returncode == 0
    (folder,) = root.glob("sweeps/*")
    before = contents(folder / SNAPSHOT)
    (artifacts,) = root.glob("artifacts/*/artifacts/snapshot")
    for each in (folder / SNAPSHOT, artifacts):
        shutil.rmtree(each)
    assert nnexp_run(root, *sweep).returncode == 0
    assert contents(folder / SNAPSHOT) == before == contents(artifacts)


@pytest.fixture
def sweep(root: Path) -> Pretended:
    """Return a sweep that MLflow has."""
    found = pretend(root, f"sqlite:///{root / 'mlflow.db'}")
    found.whole()
    (found.folder / SNAPSHOT).mkdir()
    for name in ("SHA256SUMS", "trials.parquet"):
        (found.folder / SNAPSHOT / name).write_text(name)
    (done,) = sync(found.ledger, root)
    assert done.is_whole
    return found


def artifacts(sweep: Pretended) -> Path:
    """Return where MLflow has the snapshot."""
    (found,) = (sweep.root / "artifacts").glob(f"*/artifacts/{SNAPSHOT}")
    return found


def verified(sweep: Pretended) -> list[str]:
    """Return what verifying says."""
    (found,) = sync(sweep.ledger, sweep.root, verifying=True, patience=60.0)
    return list(found.lines())


def test_a_snapshot_that_mlflow_lost_or_has_otherwise_is_found_and_mended(sweep: Pretended) -> None:
    mine = contents(sweep.folder / SNAPSHOT)
    assert verified(sweep) == [f"{sweep.plan.id}: MLflow has all of it"]
    (artifacts(sweep) / "trials.parquet").write_text("else")
    (artifacts(sweep) / "SHA256SUMS").unlink()
    lines = verified(sweep)
    for name in mine:
        assert f"{sweep.plan.id}: its own run: {SNAPSHOT}/{name} missing or damaged" in lines
    assert contents(artifacts(sweep)) == mine
    shutil.rmtree(artifacts(sweep))
    assert len(verified(sweep)) == 3
    assert contents(artifacts(sweep)) == mine
