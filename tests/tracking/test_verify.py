"""`nnexp.sync --verify`: whatever MLflow lost or has otherwise is found, named and mended; nothing else is touched."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from nnexp.sweeps.files import trial_folder
from nnexp.tracking.syncing import Synced, sync
from tests.tracking.pretended import Database, Pretended, assert_delivered, pretend
from tests.tracking.test_delivery import artifacts, run_of
from tests.tracking.test_sync import command


@pytest.fixture
def sweep(root: Path) -> Pretended:
    """Return a sweep that MLflow has."""
    found = pretend(root, f"sqlite:///{root / 'mlflow.db'}")
    found.whole()
    found.folder.joinpath("leaderboard.csv").write_text("rank\n")
    (done,) = sync(found.ledger, root)
    assert done.is_whole
    return found


@pytest.fixture
def database(root: Path, sweep: Pretended) -> Database:
    """Return MLflow's database."""
    return Database(root / "mlflow.db")


def verified(sweep: Pretended) -> Synced:
    """Verify a sweep."""
    (found,) = sync(sweep.ledger, sweep.root, verifying=True, patience=60.0)
    return found


def change(database: Database, statement: str, *values: object) -> int:
    """Change MLflow's database behind its back; return how many rows were changed."""
    with closing(sqlite3.connect(database.path, timeout=60)) as connection, connection:
        return connection.execute(statement, values).rowcount


def test_a_sweep_that_is_whole_is_found_so_and_not_touched(sweep: Pretended, database: Database) -> None:
    before = database.dump()
    found = verified(sweep)
    assert found.is_whole
    assert list(found.lines()) == [f"{sweep.plan.id}: MLflow has all of it"]
    assert database.dump() == before


# What goes missing, and how to make it so; then what is there but other, which only another run can mend.
MISSING = {
    "4 points missing: train/cost, val/acc": (
        "DELETE FROM metrics WHERE run_uuid = ? AND (key = 'train/cost' OR (key = 'val/acc' AND step = 2))",
        "DELETE FROM latest_metrics WHERE run_uuid = ? AND key = 'train/cost'",
    ),
    "params missing: optimizer.name": ("DELETE FROM params WHERE run_uuid = ? AND key = 'optimizer.name'",),
    "tags missing or others: nnexp.outcome": ("DELETE FROM tags WHERE run_uuid = ? AND key = 'nnexp.outcome'",),
    "its data set is missing": ("DELETE FROM inputs WHERE destination_id = ?",),
    "it is RUNNING, not FINISHED": ("UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE run_uuid = ?",),
}
OTHER = {
    "2 other points: train/acc, val/loss": (
        "UPDATE metrics SET value = value + 1e-9 WHERE run_uuid = ? AND key = 'val/loss' AND step = 1",
        "UPDATE metrics SET timestamp = timestamp + 1 WHERE run_uuid = ? AND key = 'train/acc' AND step = 3",
    ),
    "2 points missing: train/acc, val/loss": (),
    "other params: seed": ("UPDATE params SET value = '99' WHERE run_uuid = ? AND key = 'seed'",),
    "tags missing or others: mlflow.parentRunId": (
        "UPDATE tags SET value = 'x' WHERE run_uuid = ? AND key = 'mlflow.parentRunId'",
    ),
}


def test_what_mlflow_lost_or_has_otherwise_is_named_and_mended(sweep: Pretended, database: Database) -> None:
    lacking, other = (run_of(database, key)[0] for key in sweep.keys[:2])
    for run, spoiled in ((lacking, MISSING), (other, OTHER)):
        for statement in (each for statements in spoiled.values() for each in statements):
            assert change(database, statement, run)
    found = verified(sweep)
    assert found.is_whole
    first, second = (f"{sweep.plan.id}: {name}" for name in labels(sweep)[:2])
    lines = {line.partition(", or ended")[0] for line in found.lines()}
    assert {f"{first}: {what}" for what in MISSING} | {f"{second}: {what}" for what in OTHER} <= lines
    assert_delivered(sweep, database, 3)
    assert run_of(database, sweep.keys[0])[0] == lacking
    assert run_of(database, sweep.keys[1])[0] != other
    assert list(verified(sweep).lines()) == [f"{sweep.plan.id}: MLflow has all of it"]


def labels(sweep: Pretended) -> list[str]:
    """Return what lines call the trials."""
    return [f"trial {trial.label}" for trial in sweep.plan.trials]


def test_runs_that_are_gone_or_there_twice_are_there_once(sweep: Pretended, database: Database) -> None:
    deleted, lost, doubled = (run_of(database, key)[0] for key in sweep.keys[:3])
    change(database, "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", deleted)
    for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
        change(database, f"DELETE FROM {table} WHERE run_uuid = ?", lost)
    change(database, "INSERT INTO runs SELECT 'f' || substr(run_uuid, 2), name, source_type, source_name, "
           "entry_point_name, user_id, status, start_time, end_time, source_version, lifecycle_stage, artifact_uri, "
           "experiment_id, deleted_time FROM runs WHERE run_uuid = ?", doubled)  # fmt: skip
    change(
        database, "INSERT INTO tags SELECT key, value, 'f' || substr(run_uuid, 2) FROM tags WHERE run_uuid = ?", doubled
    )
    assert [len(database.runs().get(key, [])) for key in sweep.keys] == [0, 0, 2, 1]
    found = verified(sweep)
    assert found.is_whole
    lines, names = list(found.lines()), labels(sweep)
    assert {f"{sweep.plan.id}: {name}: its run is not there" for name in names[:2]} <= set(lines)
    assert f"{sweep.plan.id}: {names[2]}: had a run too many, which was deleted" in lines
    assert_delivered(sweep, database, 3)
    assert run_of(database, sweep.keys[2])[0] == doubled


def test_a_sweeps_own_run_that_is_gone_is_another_parent_for_all(sweep: Pretended, database: Database) -> None:
    old, _ = run_of(database, sweep.plan.hash)
    change(database, "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", old)
    assert verified(sweep).is_whole
    assert_delivered(sweep, database, 3)
    parent, _ = run_of(database, sweep.plan.hash)
    assert parent != old
    assert {database.tags(run_of(database, key)[0])["mlflow.parentRunId"] for key in sweep.keys} == {parent}


def test_artifacts_are_compared_byte_by_byte(sweep: Pretended, database: Database) -> None:
    first, second = (Path(database.rows("SELECT artifact_uri FROM runs WHERE run_uuid = ?",
                     (run_of(database, key)[0],))[0][0].removeprefix("file://")) for key in sweep.keys[:2])  # fmt: skip
    first.joinpath("weights.npz").write_bytes(b"flipped")
    second.joinpath("history.csv").unlink()
    found = verified(sweep)
    assert found.is_whole
    names = labels(sweep)
    assert list(found.lines()) == [
        f"{sweep.plan.id}: {names[0]}: weights.npz missing or damaged",
        f"{sweep.plan.id}: {names[1]}: history.csv missing or damaged",
        f"{sweep.plan.id}: 2 differences mended",
    ]
    assert_delivered(sweep, database, 3)
    assert artifacts(database, sweep.keys[1]) == {"config.yaml", "history.csv", "weights.npz"}


def test_what_cannot_be_mended_is_said_and_the_exit_code_is_1(sweep: Pretended, database: Database) -> None:
    (place,) = (row[0] for row in database.rows("SELECT artifact_uri FROM runs WHERE run_uuid = ?",
                (run_of(database, sweep.keys[0])[0],)))  # fmt: skip
    Path(place.removeprefix("file://")).joinpath("weights.npz").unlink()
    trial_folder(sweep.folder, sweep.keys[0]).joinpath("weights.npz").unlink()
    sweep.ledger.close()
    done = command(sweep.root.parent, "--verify")
    assert done.code == 1
    line = f"{sweep.plan.id}: trial {sweep.plan.trials[0].label}: weights.npz missing or damaged, here too"
    assert line in done.out.splitlines()
    assert f"{line}: not mended" in done.out.splitlines()
    assert done.out.splitlines()[-1] == f"{sweep.plan.id}: 1 of 1 differences could not be mended"


def test_what_a_user_changed_of_its_looks_stays(sweep: Pretended, database: Database) -> None:
    run, _ = run_of(database, sweep.keys[0])
    for tag in ("mlflow.note.content", "mlflow.runColor", "mlflow.runName"):
        assert change(database, "UPDATE tags SET value = 'mine' WHERE run_uuid = ? AND key = ?", run, tag)
    change(database, "INSERT INTO tags VALUES ('mine', 'x', ?)", run)
    before = database.dump()
    assert list(verified(sweep).lines()) == [f"{sweep.plan.id}: MLflow has all of it"]
    assert database.dump() == before
