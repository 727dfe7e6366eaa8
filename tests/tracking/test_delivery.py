"""Delivery: what the ledger has gets into MLflow once, however often and by whichever way it is delivered."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nnexp.sweeps.files import trial_folder
from nnexp.tracking.delivery import Delivery, Drained
from tests.tracking import pretended
from tests.tracking.pretended import METRICS, Database, Pretended, assert_delivered, pretend


@pytest.fixture
def sweep(root: Path) -> Pretended:
    """Return a planned sweep of two configurations with two repeats each."""
    return pretend(root, f"sqlite:///{root / 'mlflow.db'}")


@pytest.fixture
def database(root: Path) -> Database:
    """Return MLflow's database."""
    return Database(root / "mlflow.db")


def deliver(sweep: Pretended, *, every: float = 0.05, patience: float = 120.0) -> Drained:
    """Deliver what is due, as a command does that has trained all."""
    delivery = Delivery(sweep.ledger.path, sweep.plan.id, sweep.store, every)
    delivery.start()
    return delivery.drain(patience)


def deliver_live(sweep: Pretended) -> None:
    """Deliver what is due so far, while it is trained."""
    delivery = Delivery(sweep.ledger.path, sweep.plan.id, sweep.store, 0.01)
    delivery.start()
    wait_until(lambda: not sweep.ledger.pending(sweep.plan.id))
    delivery.abandon()


def wait_until(holds: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.01)


def test_a_whole_sweep_gets_there_once(sweep: Pretended, database: Database) -> None:
    sweep.whole()
    drained = deliver(sweep)
    assert (drained.pending, drained.error, drained.count, drained.notes) == (0, None, 4, ())
    assert_delivered(sweep, database, 3)
    before = database.dump()
    assert deliver(sweep).count == 0
    assert database.dump() == before


def run_of(database: Database, key: str) -> tuple[str, str]:
    """Return id and status of the one run of a key."""
    (found,) = database.runs()[key]
    return found


def test_curves_grow_while_it_trains_and_statuses_follow(sweep: Pretended, database: Database) -> None:
    first, second, *rest = sweep.keys
    sweep.begin()
    sweep.train(sweep.keys, 1, 2)
    delivery = Delivery(sweep.ledger.path, sweep.plan.id, sweep.store, 0.01)
    delivery.start()
    wait_until(lambda: not sweep.ledger.pending(sweep.plan.id))
    run, status = run_of(database, first)
    assert (status, len(database.points(run))) == ("RUNNING", 2 * len(METRICS))
    assert run_of(database, sweep.plan.hash)[1] == "RUNNING"
    sweep.train(sweep.keys, 3, 3)
    sweep.end([first], 3)
    wait_until(lambda: not sweep.ledger.pending(sweep.plan.id))
    assert run_of(database, first) == (run, "FINISHED")
    assert run_of(database, second)[1] == "RUNNING"
    assert not any(name.startswith("agg/") for name, _ in database.points(run))
    sweep.end([second, *rest], 3)
    assert delivery.drain(120).pending == 0
    assert_delivered(sweep, database, 3)


def test_what_was_stopped_is_killed_and_goes_on_in_the_same_run(sweep: Pretended, database: Database) -> None:
    first, *others = sweep.keys
    sweep.begin()
    sweep.train(sweep.keys, 1, 2)
    sweep.end([first], 2)
    sweep.ledger.stop(sweep.plan.id, others, "interrupted by Ctrl-C")
    deliver(sweep)
    run, status = run_of(database, others[0])
    assert (status, run_of(database, sweep.plan.hash)[1]) == ("KILLED", "KILLED")
    assert database.tags(run)["nnexp.reason"] == "interrupted by Ctrl-C"
    (ended,) = database.rows("SELECT end_time FROM runs WHERE run_uuid = ?", (run,))
    assert ended == (round(sweep.history(others[0], 2, 2).times[0] * 1000),)
    sweep.begin(others)
    sweep.train(others, 3, 3)
    deliver_live(sweep)
    assert run_of(database, others[0]) == (run, "RUNNING")
    assert "nnexp.reason" not in database.tags(run)
    sweep.end(others, 3)
    deliver(sweep)
    assert run_of(database, others[0]) == (run, "FINISHED")
    assert run_of(database, sweep.plan.hash)[1] == "FINISHED"
    assert {len(each) for key in sweep.keys for each in database.points(run_of(database, key)[0]).values()} == {1}


def test_a_sweep_that_ends_while_it_is_said_to_be_trained_is_ended(sweep: Pretended, database: Database) -> None:
    sweep.begin(sweep.keys[:1])
    for _ in range(5):
        sweep.ledger.stop(sweep.plan.id, sweep.keys[:1], "interrupted")
        sweep.ledger.deliver_again(sweep.plan.id, [""], wholly=False)
        deliver(sweep)
        assert run_of(database, sweep.plan.hash)[1] == "KILLED"


def test_other_records_than_before_are_another_run(sweep: Pretended, database: Database) -> None:
    first = sweep.keys[0]
    sweep.begin()
    sweep.train([first], 1, 2)
    deliver_live(sweep)
    old, _ = run_of(database, first)
    sweep.train([first], 1, 3, twist=1.0)
    deliver_live(sweep)
    new, _ = run_of(database, first)
    assert new != old
    assert {epoch for _, epoch in database.points(new)} == {1, 2, 3}
    values = {epoch: value for (name, epoch), ((value, _),) in database.points(new).items() if name == METRICS[0]}
    assert tuple(values.values()) == sweep.history(first, 1, 3, twist=1.0).values[METRICS[0]]
    assert database.rows("SELECT lifecycle_stage FROM runs WHERE run_uuid = ?", (old,)) == [("deleted",)]


def test_a_trial_that_is_trained_again_is_another_run(sweep: Pretended, database: Database) -> None:
    sweep.whole()
    deliver(sweep)
    old = {key: run_of(database, key)[0] for key in sweep.keys}
    first = sweep.keys[0]
    sweep.ledger.plan_again(sweep.plan.id, [first], {})
    sweep.begin([first])
    sweep.train([first], 1, 3)  # which finds nothing else than before, later
    sweep.end([first], 3, ended_at=1_800_000_000.0, costs={"wall_seconds": 9.0, "parameters": 123.0})
    deliver(sweep)
    new = {key: run_of(database, key)[0] for key in sweep.keys}
    assert [key for key in sweep.keys if new[key] != old[key]] == [first]
    points = database.points(new[first])
    assert points["cost/wall_seconds", 3] == [(9.0, 1_800_000_000_000)]
    assert {len(each) for key in sweep.keys for each in database.points(new[key]).values()} == {1}


def test_outcomes_are_statuses_and_tags(sweep: Pretended, database: Database) -> None:
    finished, diverged, failed, other = sweep.keys
    sweep.begin()
    sweep.train([finished, diverged, failed], 1, 2)
    sweep.end([finished], 2)
    sweep.end([diverged], 2, "diverged")
    sweep.end([failed], 2, "failed")
    sweep.end([other], 0, "failed")
    deliver(sweep)
    statuses = [run_of(database, key)[1] for key in (*sweep.keys, sweep.plan.hash)]
    assert statuses == ["FINISHED", "FINISHED", "FAILED", "FAILED", "FAILED"]
    tags = [database.tags(run_of(database, key)[0]) for key in sweep.keys]
    assert [each["nnexp.outcome"] for each in tags] == ["finished", "diverged", "failed", "failed"]
    assert (tags[1]["nnexp.diverged_epoch"], tags[1].get("nnexp.reason")) == ("2", None)
    assert tags[2]["nnexp.reason"] == "ZeroDivisionError: division by zero"
    assert "traceback.txt" in artifacts(database, failed)
    counts = {name: value for (name, _), ((value, _),) in
              database.points(run_of(database, sweep.plan.hash)[0]).items()}  # fmt: skip
    assert counts == {"sweep/trials": 4, "sweep/configurations": 2, "sweep/finished": 1, "sweep/diverged": 1,
                      "sweep/failed": 2}  # fmt: skip
    means = {key: database.points(run_of(database, key)[0]) for key in sweep.keys}
    assert [means[key]["agg/n", 2][0][0] for key in sweep.keys] == [1, 1, 0, 0]


def test_a_damaged_file_is_said_and_not_uploaded(sweep: Pretended, database: Database) -> None:
    sweep.whole()
    first, second, *_ = sweep.keys
    trial_folder(sweep.folder, first).joinpath("weights.npz").write_bytes(b"other")
    trial_folder(sweep.folder, second).joinpath("history.csv").unlink()
    notes = deliver(sweep).notes
    assert len(notes) == 2
    assert notes[0].endswith(f"weights.npz of trial {sweep.plan.trials[0].label} is damaged: it is not uploaded")
    assert notes[1].endswith(f"history.csv of trial {sweep.plan.trials[1].label} is missing: it is not uploaded")
    assert artifacts(database, first) == {"config.yaml", "history.csv"}
    assert artifacts(database, second) == {"config.yaml", "weights.npz"}


def test_a_single_trial_is_a_run_of_its_own(root: Path, database: Database) -> None:
    alone = pretend(root, f"sqlite:///{root / 'mlflow.db'}", configurations=1, seeds=1, single=True)
    alone.whole()
    assert deliver(alone).pending == 0
    ((key, [(run, status)]),) = database.runs().items()
    assert (key, status) == (alone.keys[0], "FINISHED")
    assert "mlflow.parentRunId" not in database.tags(run)


def test_what_is_taken_over_from_another_sweep_has_its_times_and_says_so(root: Path, database: Database) -> None:
    uri = f"sqlite:///{root / 'mlflow.db'}"
    old = pretend(root, uri, name="old")
    old.whole()
    new = pretend(root, uri, name="new", configurations=3)
    shared = [key for key in new.keys if key in old.keys]
    for key in shared:
        new.result(key, 3, "finished")  # its files
    new.ledger.reuse(new.plan.id, dict.fromkeys(shared, old.plan.id))
    rest = [key for key in new.keys if key not in shared]
    new.begin(rest)
    new.train(rest, 1, 3)
    new.end(rest, 3)
    deliver(old)
    deliver(new)
    by_sweep = {
        key: {database.tags(run)["nnexp.sweep"]: run for run, _ in runs} for key, runs in database.runs().items()
    }
    for key in shared:
        assert set(by_sweep[key]) == {old.plan.id, new.plan.id}
        mine, theirs = by_sweep[key][new.plan.id], by_sweep[key][old.plan.id]
        assert database.tags(mine)["nnexp.reused_from"] == old.plan.id
        parent = by_sweep[new.plan.hash][new.plan.id]
        assert database.tags(mine)["mlflow.parentRunId"] == parent
        assert once(database, mine) == once(database, theirs)


def once(database: Database, run: str) -> dict[tuple[str, int], list[tuple[float, int]]]:
    """Return a run's points but the aggregates."""
    return {each: points for each, points in database.points(run).items() if not each[0].startswith("agg/")}


def test_the_same_sweep_of_another_ledger_is_another_one(tmp_path: Path, root: Path, database: Database) -> None:
    uri = f"sqlite:///{root / 'mlflow.db'}"
    mine, theirs = pretend(root, uri), pretend(tmp_path / "elsewhere", uri)
    assert mine.plan.id == theirs.plan.id
    for each in (mine, theirs):
        each.whole()
        deliver(each)
    assert {key: len(runs) for key, runs in database.runs().items()} == dict.fromkeys([*mine.keys, mine.plan.hash], 2)


def test_results_of_several_codes_are_said(sweep: Pretended, database: Database) -> None:
    sweep.whole()
    first = sweep.keys[0]
    sweep.end([first], 3, code="d" * 64)
    deliver(sweep)
    tags = database.tags(run_of(database, sweep.plan.hash)[0])
    assert tags["nnexp.code"] == f"{'d' * 64}, {'c' * 64}"
    assert "Results are from 2 versions of nnexp's own code: 1 of dddddddddddd, 3 of cccccccccccc." in " ".join(
        tags["mlflow.note.content"].split()
    )
    assert database.tags(run_of(database, first)[0])["nnexp.code"] == "d" * 64


def artifacts(database: Database, key: str) -> set[str]:
    """Return the names of a trial's artifacts."""
    ((place,),) = database.rows("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_of(database, key)[0],))
    return {path.name for path in Path(place.removeprefix("file://")).iterdir()}


def test_between_deliveries_as_much_time_passes_as_is_told(sweep: Pretended) -> None:
    sweep.begin()
    sweep.train(sweep.keys, 1, 2)
    delivery = Delivery(sweep.ledger.path, sweep.plan.id, sweep.store, every=1000.0)
    delivery.start()
    wait_until(lambda: not sweep.ledger.pending(sweep.plan.id))
    sweep.train(sweep.keys, 3, 4)
    time.sleep(1.0)
    assert sweep.ledger.pending(sweep.plan.id) == len(sweep.keys)
    delivery.wake()
    wait_until(lambda: not sweep.ledger.pending(sweep.plan.id))
    delivery.abandon()


def test_records_that_the_ledger_lost_and_made_again_are_not_there_twice(
    sweep: Pretended, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep.begin()
    sweep.train(sweep.keys, 1, 3)
    deliver_live(sweep)
    planned = sweep.ledger.sweep(sweep.plan.id)
    assert planned is not None
    sweep.ledger.close()
    for path in sweep.root.glob("ledger.db*"):
        path.unlink()
    monkeypatch.setattr(pretended, "BEGAN", pretended.BEGAN + 1000)
    again = pretend(sweep.root, sweep.store.uri, planned_at=planned.planned_at)
    again.begin()
    again.train(again.keys, 1, 2)
    deliver_live(again)
    again.train(again.keys, 3, 4)
    again.end(again.keys, 4)
    assert deliver(again).pending == 0
    assert_delivered(again, database, 4)
