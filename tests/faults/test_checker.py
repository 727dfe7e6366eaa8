"""The fault matrix's checker finds what it is for: each thing broken on purpose, in a copy of a real sweep."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from faultmatrix import ledger, witness
from faultmatrix.bench import Bench
from faultmatrix.checker import Control, Findings, Place, check
from faultmatrix.ledger import checksum
from faultmatrix.workload import SMALL


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Control, Path]]:
    """Return an undisturbed sweep, and where it is."""
    bench = Bench(tmp_path_factory.mktemp("faults") / "bench", short=True)
    yield bench.control(SMALL), bench.folder / "control-small-0"
    bench.close()


class Copy:
    """A copy of the sweep, to break."""

    def __init__(self, control: Control, original: Path, folder: Path) -> None:
        self.control, self.root, self.told = control, folder / "runs", folder / "witness"
        shutil.copytree(original / "runs", self.root)
        shutil.copyfile(original / "witness", self.told)
        self.store("UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", str(original), str(folder))
        self.before = ledger.read(self.root / "ledger.db")

    def store(self, query: str, *values: object) -> None:
        """Change MLflow's database."""
        with closing(sqlite3.connect(self.root / "mlflow.db")) as file, file:
            file.execute(query, values)

    def ledger(self, query: str, *values: object) -> None:
        """Change the ledger, without its checksums."""
        with closing(sqlite3.connect(self.root / "ledger.db")) as file, file:
            file.execute(query, values)

    def change(self, table: str, column: str, value: Callable[[str], object]) -> None:
        """Change a row of the ledger, with its checksum."""
        with closing(sqlite3.connect(self.root / "ledger.db")) as file, file:
            cursor = file.execute(f"SELECT rowid, * FROM {table} ORDER BY rowid LIMIT 1")
            names, (row, *values) = [each[0] for each in cursor.description][1:], cursor.fetchone()
            at = names.index(column)
            values[at] = value(values[at])
            query = f"UPDATE {table} SET {column} = ?, checksum = ? WHERE rowid = ?"
            file.execute(query, (values[at], checksum(values[:-1]), row))

    def trial_file(self, name: str) -> Path:
        """Return a file of the first trial that has it."""
        return sorted(self.root.glob(f"sweeps/*/trials/*/{name}"))[0]

    def check(self, *, again_at: float = 0.0, interrupted: Sequence[float] = ()) -> Findings:
        """Let the checker look."""
        seen = witness.read(self.told, self.control.known)
        place = Place(self.root, SMALL.name, self.root / "mlflow.db")
        return check(place, self.control, before=self.before, again_at=again_at, seen=seen, interrupted=interrupted)


@pytest.fixture
def copy(control: tuple[Control, Path], tmp_path: Path) -> Copy:
    return Copy(*control, tmp_path)


def test_nothing_is_wrong_with_an_undisturbed_sweep(copy: Copy) -> None:
    assert copy.check().problems == []


def test_a_trial_without_an_end_is_lost(copy: Copy) -> None:
    copy.change("trial", "state", lambda state: "running")
    assert copy.check().lost == 1


def test_a_ledger_without_the_sweep_has_lost_all_of_it(copy: Copy) -> None:
    (copy.root / "ledger.db").unlink()
    assert copy.check().lost == SMALL.trials


def test_a_file_that_is_no_database_has_lost_all_of_it(copy: Copy) -> None:
    (copy.root / "ledger.db").write_bytes(b"no database")
    assert copy.check().lost == SMALL.trials


def test_a_row_whose_checksum_is_of_something_else_is_damaged(copy: Copy) -> None:
    copy.ledger("UPDATE record SET history = replace(history, '1', '2') WHERE rowid = 1")
    assert copy.check().damaged == 1


def test_a_second_run_of_a_trial_is_counted(copy: Copy) -> None:
    copy.store("UPDATE runs SET run_uuid = run_uuid")  # the store can be written
    with closing(sqlite3.connect(copy.root / "mlflow.db")) as file, file:
        (run,) = file.execute("SELECT run_uuid FROM tags WHERE key='nnexp.kind' AND value='trial' LIMIT 1").fetchone()
        names = [each[1] for each in file.execute("PRAGMA table_info(runs)")]
        others = ", ".join(name for name in names if name != "run_uuid")
        file.execute(
            f"INSERT INTO runs (run_uuid, {others}) SELECT 'another', {others} FROM runs WHERE run_uuid=?", (run,)
        )
        file.execute(
            "INSERT INTO tags (key, value, run_uuid) SELECT key, value, 'another' FROM tags WHERE run_uuid=?", (run,)
        )
    assert copy.check().dup_runs == 1


def test_a_run_that_is_left_running_is_a_ghost(copy: Copy) -> None:
    copy.store("UPDATE runs SET status = 'RUNNING' WHERE rowid = (SELECT max(rowid) FROM runs)")
    found = copy.check()
    assert found.ghosts == 1


def test_a_run_with_another_status_than_its_trial_is_counted(copy: Copy) -> None:
    copy.store("UPDATE runs SET status = 'FAILED'")
    assert copy.check().wrong_status == SMALL.trials


def test_a_point_that_mlflow_lacks_is_lost(copy: Copy) -> None:
    copy.store("DELETE FROM metrics WHERE rowid = (SELECT min(rowid) FROM metrics WHERE key = 'val/loss')")
    assert copy.check().pts_lost == 1


def test_a_point_with_another_last_bit_is_lost(copy: Copy) -> None:
    copy.store("UPDATE metrics SET value = value * (1 + 3e-16) WHERE key = 'val/loss' AND step = 1")
    assert copy.check().pts_lost == SMALL.trials


def test_a_point_that_is_there_twice_is_counted(copy: Copy) -> None:
    copy.store(
        "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
        "SELECT key, value, timestamp + 1, run_uuid, step, is_nan FROM metrics WHERE key = 'val/loss' AND step = 1"
    )
    assert copy.check().pts_dup == SMALL.trials


def test_points_beyond_the_ledgers_are_counted(copy: Copy) -> None:
    copy.store("UPDATE metrics SET step = 1000 WHERE key = 'val/loss' AND step = 1")
    assert copy.check().pts_dup == SMALL.trials


def test_a_summary_that_mlflow_lacks_is_lost(copy: Copy) -> None:
    copy.store("DELETE FROM metrics WHERE key = 'test/acc'")
    assert copy.check().pts_lost == SMALL.trials


def test_a_deleted_run_is_not_there(copy: Copy) -> None:
    copy.store("UPDATE runs SET lifecycle_stage = 'deleted'")
    assert copy.check().pts_lost > SMALL.trials


def test_an_experiment_of_another_name_is_not_looked_at(copy: Copy) -> None:
    copy.store("UPDATE experiments SET name = 'another' WHERE name = 'nnexp'")
    assert copy.check().pts_lost > SMALL.trials


def test_records_with_another_last_bit_are_not_equal(copy: Copy) -> None:
    def changed(text: str) -> str:
        history = json.loads(text)
        name = next(iter(history["values"]))
        history["values"][name][0] = float(np.nextafter(history["values"][name][0], 1e9))
        return json.dumps(history)

    copy.change("record", "history", changed)
    assert not copy.check().equal


def test_weights_with_another_last_bit_are_not_equal_though_a_file_was_written_whole(copy: Copy) -> None:
    path = copy.trial_file("weights.npz")
    with np.load(path) as stored:
        arrays = dict(stored)
    first = next(iter(arrays))
    arrays[first].flat[0] = np.nextafter(arrays[first].flat[0], np.float32(1e9))
    np.savez(path, **arrays)
    found = copy.check()
    assert not found.equal
    assert found.art_bad == 1


def test_a_file_that_is_not_what_its_result_says_is_bad(copy: Copy) -> None:
    copy.trial_file("history.csv").write_text("epoch\n")
    assert copy.check().art_bad == 1


def test_an_artifact_that_is_missing_is_bad(copy: Copy) -> None:
    artifacts = sorted((copy.root / "artifacts").rglob("weights.npz"))
    artifacts[0].unlink()
    assert copy.check().art_bad == 1


def test_a_trial_that_is_trained_again_after_its_end_is_redone(copy: Copy) -> None:
    now, value = time.time(), next(iter(copy.control.known))
    copy.told.write_text(copy.told.read_text() + f"{now + 10} 1 {value}\n")
    found = copy.check(again_at=now, interrupted=[now + 11])
    assert (found.redone, found.wasted_epochs, found.late) == (1, 1, 1)


def test_a_trial_whose_result_was_replaced_is_redone(copy: Copy) -> None:
    copy.change("trial", "attempts", lambda attempts: int(attempts) + 1)
    assert copy.check().redone == 1


def test_an_epoch_that_is_trained_twice_is_excused_by_an_interruption_soon_after_it(copy: Copy) -> None:
    lines = copy.told.read_text().splitlines()
    first = float(lines[0].split()[0])
    copy.told.write_text("\n".join([*lines, f"{first + 3} 1 {lines[0].split()[2]}"]) + "\n")
    assert copy.check(interrupted=[first + 2]).late == 0
    assert copy.check(interrupted=[first + 60]).late == 1
    assert copy.check().late == 1


def test_two_processes_that_train_one_trial_overlap(copy: Copy) -> None:
    lines = [line.split() for line in copy.told.read_text().splitlines()]
    copy.told.write_text("".join(f"{time} {process} {value}\n{time} 1 {value}\n" for time, process, value in lines))
    assert copy.check().overlap > 0


def test_an_objective_that_the_control_never_had_is_strange(copy: Copy) -> None:
    copy.told.write_text(copy.told.read_text() + f"{time.time()} 1 {(0.123).hex()}\n")
    assert copy.check().strange == 1


def test_what_waits_in_the_outbox_is_counted(copy: Copy) -> None:
    with closing(sqlite3.connect(copy.root / "ledger.db")) as file, file:
        sweep, key = file.execute("SELECT sweep, key FROM trial LIMIT 1").fetchone()
        row = [sweep, key, 1]
        file.execute("INSERT INTO outbox VALUES (?, ?, ?, ?)", (*row, checksum(row)))
    assert copy.check().pending == 1
