"""`nnexp.sync`: what is pending is delivered without training, twice in a row changes nothing, the exit code tells."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nnexp.errors import UsageError
from nnexp.sweeps.holding import holding
from nnexp.tracking.delivery import reconcile
from nnexp.tracking.syncing import Synced, choose, store_of, sync
from tests.runs import Ended, run
from tests.tracking.pretended import Database, Pretended, assert_delivered, pretend
from tests.tracking.test_delivery import deliver_live

NOWHERE = "http://127.0.0.1:9"


def synced(sweep: Pretended, *names: str, uri: str | None = None) -> list[Synced]:
    """Sync in this process."""
    return list(sync(sweep.ledger, sweep.root, names, uri=uri, patience=60.0))


def command(folder: Path, *arguments: str, **variables: str) -> Ended:
    """Run the command in a folder that has `runs`."""
    return run(*arguments, folder=folder, program=(sys.executable, "-m", "nnexp.sync"), variables=variables)


def test_the_command_delivers_says_so_and_changes_nothing_when_it_is_repeated(root: Path) -> None:
    database = Database(root / "mlflow.db")
    one, two = (pretend(root, f"sqlite:///{database.path}", name=name) for name in ("one", "two"))
    for each in (one, two):
        each.whole()
        each.ledger.close()
    first = command(root.parent)
    assert (first.code, first.err) == (0, "")
    assert first.out.splitlines() == [
        f"{each.plan.id}: delivered to sqlite:///{database.path} (trials told: 4)" for each in (one, two)
    ]
    for each in (one, two):
        assert_delivered(each, Database(database.path, each.plan.id), 3)
    before = database.dump()
    second = command(root.parent, "--root", str(root))
    assert (second.code, second.err) == (0, "")
    assert second.out.splitlines() == [f"{each.plan.id}: nothing to deliver" for each in (one, two)]
    assert database.dump() == before


def test_usage_errors_are_one_line_and_name_the_choices(tmp_path: Path) -> None:
    none = command(tmp_path)
    line = f"nnexp: there is no ledger in {tmp_path / 'runs'}: --root is the folder where nnexp-run has written\n"
    assert (none.code, none.out, none.err) == (2, "", line)
    sweep = pretend(tmp_path / "runs", NOWHERE)
    sweep.ledger.close()
    unknown = command(tmp_path, "other")
    line = f"nnexp: there is no sweep 'other' in this ledger; it has: {sweep.plan.id}\n"
    assert (unknown.code, unknown.out, unknown.err) == (2, "", line)
    assert command(tmp_path, "--nonsense").code == 2


def test_what_is_pending_is_said_with_its_reason_and_delivered_by_another_uri(root: Path) -> None:
    sweeps = [pretend(root, "http://127.0.0.1:9", name=name) for name in ("one", "two")]
    for each in sweeps:
        each.whole()
    first, second = sync(sweeps[0].ledger, root, patience=0.5)
    assert [each.is_whole for each in (first, second)] == [False, False]
    (line,) = first.lines()
    assert line.startswith(f"{sweeps[0].plan.id}: 5 pending: MLflow's store {NOWHERE} cannot be used: ")
    assert "refused" in line
    assert list(second.lines()) == [f"{sweeps[1].plan.id}: 5 pending: its store could not be reached just now"]
    database = Database(root / "mlflow.db", sweeps[0].plan.id)
    (done,) = synced(sweeps[0], "one", uri=f"sqlite:///{database.path}")
    assert done.is_whole
    assert_delivered(sweeps[0], database, 3)


def test_another_store_gets_all_of_it(root: Path, tmp_path: Path) -> None:
    sweep = pretend(root, f"sqlite:///{root / 'mlflow.db'}")
    sweep.whole()
    for path in (root / "mlflow.db", tmp_path / "other.db"):
        (done,) = synced(sweep, uri=f"sqlite:///{path}")
        assert done.is_whole
        assert_delivered(sweep, Database(path), 3)


def test_credentials_come_from_the_environment_where_the_recorded_uri_is_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = pretend(root, "https://me:secret@server/path")
    planned = sweep.ledger.sweep(sweep.plan.id)
    assert planned is not None
    assert planned.settings["store"] == "https://server/path"
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store_of(planned, root).uri == "https://server/path"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://you:other@server/path")
    assert store_of(planned, root).uri == "https://you:other@server/path"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://you:other@elsewhere/path")
    assert store_of(planned, root).uri == "https://server/path"
    assert store_of(planned, root, "https://third", "mine").uri == "https://third"
    assert store_of(planned, root, experiment="mine").experiment == "mine"


def test_a_name_is_its_latest_sweep(root: Path) -> None:
    old = pretend(root, NOWHERE, configurations=1)
    new = pretend(root, NOWHERE, configurations=2)
    sweeps = new.ledger.sweeps()
    assert [each.id for each in choose(sweeps, ())] == [old.plan.id, new.plan.id]
    assert [each.id for each in choose(sweeps, ["pretended"])] == [new.plan.id]
    assert [each.id for each in choose(sweeps, [old.plan.id, old.plan.id])] == [old.plan.id]
    with pytest.raises(UsageError, match="there is no sweep 'x' in this ledger; it has: pretended-"):
        choose(sweeps, ["x"])


def test_a_sweep_that_somebody_works_on_is_left_to_them(root: Path) -> None:
    sweep = pretend(root, f"sqlite:///{root / 'mlflow.db'}")
    sweep.begin()
    sweep.train(sweep.keys, 1, 2)
    with holding(sweep.folder, sweep.plan.id):
        (left,) = synced(sweep)
    assert not left.is_whole
    (line,) = left.lines()
    assert line.startswith(f"{sweep.plan.id}: sweep {sweep.plan.id} is being worked on by process ")
    assert line.endswith(", which delivers it")
    assert Database(root / "mlflow.db").runs() == {}
    assert {each.state for each in sweep.ledger.standing(sweep.plan.id).values()} == {"running"}


def test_what_a_dead_process_left_running_is_killed(root: Path) -> None:
    sweep, database = pretend(root, f"sqlite:///{root / 'mlflow.db'}"), Database(root / "mlflow.db")
    sweep.begin(sweep.keys[:2])
    sweep.train(sweep.keys[:2], 1, 2)
    deliver_live(sweep)
    sweep.folder.joinpath("lock").touch()
    assert {status for [(_, status)] in database.runs().values()} == {"RUNNING"}
    (done,) = synced(sweep)
    assert done.is_whole
    assert {status for [(_, status)] in database.runs().values()} == {"KILLED"}
    states = [each.state for each in sweep.ledger.standing(sweep.plan.id).values()]
    assert states == ["stopped", "stopped", "planned", "planned"]
    (stopped,) = database.runs()[sweep.keys[0]]
    assert database.tags(stopped[0])["nnexp.reason"] == "the process that trained it is gone"
    assert reconcile(sweep.ledger, root) == []


def test_the_next_command_delivers_what_other_sweeps_dead_processes_left(root: Path) -> None:
    from nnexp.tracking.delivery import Delivery

    uri, database = f"sqlite:///{root / 'mlflow.db'}", Database(root / "mlflow.db")
    dead, mine = pretend(root, uri, name="dead"), pretend(root, uri, name="mine")
    dead.begin()
    dead.train(dead.keys, 1, 2)
    deliver_live(dead)
    with holding(mine.folder, mine.plan.id):
        mine.whole()
        also = reconcile(mine.ledger, root)
        assert also == [dead.plan.id]
        delivery = Delivery(mine.ledger.path, mine.plan.id, mine.store, 0.05, also=also)
        delivery.start()
        assert delivery.drain(60.0).pending == 0
    assert {status for [(_, status)] in Database(database.path, dead.plan.id).runs().values()} == {"KILLED"}
    assert_delivered(mine, Database(database.path, mine.plan.id), 3)
