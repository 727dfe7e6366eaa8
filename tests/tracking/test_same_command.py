"""The same command again, a bigger one, another plan under a name, reruns: what is trained, said, and there."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnexp
from nnexp.config.compose import conf_folder
from nnexp.sweeps.holding import holding
from nnexp.sweeps.kept import OWN_RUN
from nnexp.sweeps.ledger import Ledger
from tests.runs import Ended, run
from tests.tracking.conftest import Recorded

PLAIN = ("-m", "sweep.name=same", "dataset=iris", "architecture.hidden=[4]", "training.epochs=2", "screen.mode=plain")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Return a root in which a sweep of three seeds has been run."""
    found = tmp_path_factory.mktemp("same") / "runs"
    found.mkdir()
    with closing(sqlite3.connect(empty_store)) as made, closing(sqlite3.connect(found / "mlflow.db")) as copy:
        made.backup(copy)
    assert again(found, "seed=0,1,2").code == 0
    return found


def again(root: Path, *arguments: str, **variables: str) -> Ended:
    return run(*PLAIN, *arguments, folder=root.parent, variables=variables)


def rows(root: Path, name: str, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(root / name)) as connection:
        return connection.execute(query).fetchall()


def points(root: Path) -> list[tuple[Any, ...]]:
    """Return every point of active runs in MLflow but the aggregates, which differ with the sweep."""
    query = """SELECT r.run_uuid, m.key, m.step, m.value, m.timestamp FROM metrics m JOIN runs r USING (run_uuid)
        WHERE r.lifecycle_stage = 'active' AND m.key NOT LIKE 'agg/%' ORDER BY 1, 2, 3"""
    return rows(root, "mlflow.db", query)


def test_nothing_is_trained_and_nothing_delivered_again(root: Path) -> None:
    before = points(root)
    done = again(root, "seed=0,1,2")
    assert (done.code, done.err) == (0, "")
    assert "3 of 3 trials are in the ledger already and are not trained again" in done.out
    assert "training" not in done.out
    assert "look:    " in done.out
    assert points(root) == before


def test_a_trial_that_is_deleted_in_mlflow_is_delivered_again_and_not_trained(root: Path) -> None:
    runs = Recorded(root).runs("trial", "same")
    Recorded(root).client().delete_run(runs[0].info.run_id)
    attempts = rows(root, "ledger.db", "SELECT sum(attempts) FROM trial")
    done = again(root, "seed=0,1,2")
    assert (done.code, done.err) == (0, "")
    assert rows(root, "ledger.db", "SELECT sum(attempts) FROM trial") == attempts
    found = {each.data.tags["nnexp.key"]: each for each in Recorded(root).runs("trial", "same")}
    assert len(found) == 3
    new = found[runs[0].data.tags["nnexp.key"]]
    assert new.data.metrics == runs[0].data.metrics
    assert (new.info.start_time, new.info.end_time) == (runs[0].info.start_time, runs[0].info.end_time)


def test_a_bigger_sweep_takes_over_what_is_there_and_says_so(root: Path) -> None:
    done = again(root, "seed=range(5)", "sweep.name=bigger")
    assert (done.code, done.err) == (0, "")
    assert "3 are reused: another sweep in this ledger has trained them" in done.out
    assert "training 2 in" in done.out
    origins = [each.data.tags.get("nnexp.reused_from") for each in Recorded(root).runs("trial", "bigger")]
    (folder,) = (path.name for path in (root / "sweeps").glob("same-*"))
    assert sorted(origins, key=str) == [None, None, folder, folder, folder]
    old = {each.data.tags["nnexp.key"]: each for each in Recorded(root).runs("trial", "same")}
    for each in Recorded(root).runs("trial", "bigger"):
        theirs = old.get(each.data.tags["nnexp.key"])
        if theirs is not None:
            assert each.info.start_time == theirs.info.start_time
            same = {name: value for name, value in theirs.data.metrics.items() if not name.startswith("agg/")}
            assert same.items() <= each.data.metrics.items()
    assert len(Recorded(root).runs("sweep", "bigger")) == 1


def test_another_plan_under_a_name_says_what_was_added_removed_and_changed(root: Path) -> None:
    told = again(root, "seed=1,2,7", "sweep.name=other")
    assert told.code == 0
    done = again(root, "seed=2,7,8", "sweep.name=other", "training.batch_size=32")
    assert (done.code, done.err) == (0, "")
    said = [line.strip() for line in done.out.splitlines()]
    assert "added    1 trial: seed=8" in said
    assert "removed  1 trial: seed=1" in said
    assert "changed  2 trials: training.batch_size 64 → 32" in said


def test_a_rerun_trains_again_and_leaves_equal_records_as_they_are(root: Path) -> None:
    before, weights = points(root), stored(root)
    attempts = dict(rows(root, "ledger.db", "SELECT key, attempts FROM trial WHERE sweep LIKE 'same-%'"))
    key = min(attempts)
    some = again(root, "seed=0,1,2", f"sweep.rerun=['{key[:9]}']")
    assert (some.code, some.err) == (0, "")
    assert "training 1 in" in some.out
    every = again(root, "seed=0,1,2", "sweep.rerun=all")
    assert (every.code, every.err) == (0, "")
    assert "training 3 in" in every.out
    now = dict(rows(root, "ledger.db", "SELECT key, attempts FROM trial WHERE sweep LIKE 'same-%'"))
    assert now == {each: count + 1 + (each == key) for each, count in attempts.items()}
    assert stored(root) == weights
    epochs = [point[1:4] for point in before if point[1].startswith(("train/", "val/"))]
    assert sorted(epochs) == sorted(point[1:4] for point in points(root) if point[1].startswith(("train/", "val/")))


def test_a_sweep_whose_end_was_not_told_any_more_is_told_it_by_the_same_command(root: Path) -> None:
    (sweep,) = Recorded(root).runs("sweep", "same")
    with closing(Ledger(root / "ledger.db")) as ledger:
        (planned,) = ledger.sweeps()[:1]
        told = ledger.deliveries(planned.id)[OWN_RUN]
        ledger.delivered(planned.id, OWN_RUN, replace(told, state="running"))
        assert not ledger.pending(planned.id)
    with closing(sqlite3.connect(root / "mlflow.db")) as store, store:
        store.execute("UPDATE runs SET status = 'RUNNING' WHERE run_uuid = ?", (sweep.info.run_id,))
    assert again(root, "seed=0,1,2").code == 0
    assert [run.info.status for run in Recorded(root).runs("sweep", "same")] == ["FINISHED"]


def test_a_ledger_that_is_lost_is_said_and_its_runs_in_mlflow_are_found_again(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    assert again(root, "seed=0,1").code == 0
    (before,) = Recorded(root).runs("sweep", "same")
    for path in root.glob("ledger.db*"):
        path.unlink()
    done = again(root, "seed=0,1")
    assert done.code == 0
    assert "the ledger has lost sweep same-" in done.out
    (after,) = Recorded(root).runs("sweep", "same")
    assert after.info.run_id == before.info.run_id
    assert [run.info.status for run in Recorded(root).runs("trial", "same")] == ["FINISHED"] * 2


def test_a_damaged_file_of_a_finished_trial_is_said_and_made_again(root: Path) -> None:
    before, weights = points(root), stored(root)
    path = min(root.glob("sweeps/same-*/trials/*/weights.npz"))
    whole = path.read_bytes()
    path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    told = run(
        "same", "--verify", "--root", str(root), folder=root.parent, program=(sys.executable, "-m", "nnexp.sync")
    )
    assert told.code == 1
    assert "weights.npz missing or damaged here: the sweep's command makes it again" in told.out
    done = again(root, "seed=0,1,2")
    assert (done.code, done.err) == (0, "")
    assert f"({path.parent.name[:8]}) are damaged or missing: made again" in done.out
    assert "training 1 in" in done.out or "1 is reused: another sweep" in done.out
    print(done.out)
    with np.load(path) as remade, np.load(BytesIO(whole)) as was:
        assert {name: remade[name].tobytes() for name in remade} == {name: was[name].tobytes() for name in was}
    assert stored(root) == weights
    epochs = [point[1:4] for point in before if point[1].startswith(("train/", "val/"))]
    assert sorted(epochs) == sorted(point[1:4] for point in points(root) if point[1].startswith(("train/", "val/")))
    assert len(Recorded(root).runs("trial", "same")) == 3


def stored(root: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in sorted(root.glob("sweeps/same-*/trials/*/history.csv"))}


def test_a_rerun_of_a_key_that_no_trial_has_is_a_usage_error(root: Path) -> None:
    done = again(root, "seed=0,1,2", "sweep.rerun=[abcdef123456]")
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert "abcdef123456" in line


def test_a_sweep_that_another_process_works_on_is_refused_and_says_whose_it_is(root: Path) -> None:
    (folder,) = (root / "sweeps").glob("same-*")
    with holding(folder, folder.name):
        done = again(root, "seed=0,1,2")
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    for word in (folder.name, socket.gethostname(), "process ", "since 20"):
        assert word in line


@pytest.fixture
def other_code(tmp_path: Path) -> Path:
    """Return a folder with another version of nnexp's code, of the same numerics."""
    shutil.copytree(Path(nnexp.__file__).parent, tmp_path / "nnexp", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(conf_folder(), tmp_path / "conf", dirs_exist_ok=True)
    with (tmp_path / "nnexp" / "clock.py").open("a") as file:
        file.write("# another version\n")
    return tmp_path


def test_results_of_other_code_are_never_mixed_in_without_saying_so(root: Path, other_code: Path) -> None:
    done = again(root, "seed=0,1,20", "sweep.name=mixed", PYTHONPATH=str(other_code))
    assert (done.code, done.err) == (0, "")
    assert "results are from other code of nnexp" in done.out
    codes = {each.data.tags["nnexp.code"] for each in Recorded(root).runs("trial", "mixed")}
    assert len(codes) == 2
    (sweep,) = Recorded(root).runs("sweep", "mixed")
    assert all(code in sweep.data.tags["nnexp.code"] for code in codes)
    assert "code" in sweep.data.tags["mlflow.note.content"]
