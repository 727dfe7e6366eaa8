"""Outages: whatever goes wrong between nnexp and an MLflow server, nothing is lost and nothing comes twice."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from nnexp.errors import TrackingError
from nnexp.tracking.delivery import Delivery, Drained
from nnexp.tracking.store import Store, check_store
from tests.servers.mlflow_server import MlflowServer, free_port, running_server
from tests.tracking.pretended import Database, Pretended, assert_delivered, pretend
from tests.tracking.proxy import Fault, Proxy, proxy_of
from tests.tracking.test_delivery import wait_until

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """Keep a server on SQLite running."""
    folder = tmp_path_factory.mktemp("server")
    with running_server(f"sqlite:///{folder / 'mlflow.db'}", folder) as found:
        yield found


@pytest.fixture
def proxy(server: MlflowServer) -> Iterator[Proxy]:
    """Keep a proxy of the server running."""
    with proxy_of(server.port) as found:
        yield found


@pytest.fixture
def sweep(proxy: Proxy, tmp_path: Path, request: pytest.FixtureRequest) -> Pretended:
    """Return a sweep that is trained and not delivered."""
    found = pretend(tmp_path / "runs", proxy.uri, name=re.sub(r"\W+", "_", request.node.name))
    found.whole()
    return found


@pytest.fixture
def database(server: MlflowServer, sweep: Pretended) -> Database:
    """Return the server's database as the sweep sees it."""
    return Database(server.folder / "mlflow.db", sweep.plan.id)


def deliver(sweep: Pretended, patience: float = 120.0) -> Drained:
    """Deliver what is due."""
    delivery = Delivery(sweep.ledger.path, sweep.plan.id, sweep.store, 0.05)
    delivery.start()
    return delivery.drain(patience)


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let MLflow's client wait a second for an answer, not ten."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


def test_a_server_that_refuses_costs_nothing_but_patience_and_gets_it_later(
    sweep: Pretended, proxy: Proxy, database: Database
) -> None:
    proxy.refuse()
    began = time.monotonic()
    drained = deliver(sweep, patience=1.0)
    assert time.monotonic() - began < 60
    assert drained.pending == 5
    assert drained.error is not None
    assert "refused" in drained.error
    proxy.accept()
    assert deliver(sweep).pending == 0
    assert_delivered(sweep, database, 3)


def test_a_server_that_comes_back_while_it_is_waited_for_gets_it(
    sweep: Pretended, proxy: Proxy, database: Database
) -> None:
    proxy.refuse()
    threading.Timer(1.5, proxy.accept).start()
    assert deliver(sweep).pending == 0
    assert_delivered(sweep, database, 3)


CALLS = ("runs/create", "runs/log-batch", "runs/log-inputs", "runs/update", "artifacts", "runs/search", "experiments")


@pytest.mark.parametrize("where", CALLS)
def test_lost_replies_make_no_second_run_and_no_second_point(
    where: str, sweep: Pretended, proxy: Proxy, database: Database
) -> None:
    proxy.go_wrong(Fault("drop", where, times=2))
    assert deliver(sweep).pending == 0
    assert proxy.hit
    assert_delivered(sweep, database, 3)


def test_a_server_that_is_busy_three_times_in_ten_gets_it_all(
    sweep: Pretended, proxy: Proxy, database: Database
) -> None:
    proxy.go_wrong(Fault("503", share=0.3))
    assert deliver(sweep).pending == 0
    assert len(proxy.hit) > 5
    assert_delivered(sweep, database, 3)


def test_a_server_that_hangs_delays_the_end_by_no_more_than_patience_and_an_answer(
    sweep: Pretended, proxy: Proxy, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    proxy.go_wrong(Fault("hang"))
    began = time.monotonic()
    drained = deliver(sweep, patience=2.0)
    assert time.monotonic() - began < 60
    assert drained.pending == 5
    proxy.accept()
    assert deliver(sweep).pending == 0
    assert_delivered(sweep, database, 3)


def test_a_run_that_is_made_late_is_not_there_twice(
    sweep: Pretended, proxy: Proxy, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    proxy.go_wrong(Fault("late", "runs/create", times=2))
    assert deliver(sweep).pending == 0
    assert len(proxy.hit) == 2
    proxy.send_late()
    assert max(len(runs) for runs in database.runs().values()) == 3  # nothing could be done about it yet
    assert deliver(sweep).pending == 0
    assert_delivered(sweep, database, 3)


def test_what_is_delivered_while_it_trains_survives_all_of_that_at_once(
    proxy: Proxy, server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    sweep = pretend(tmp_path / "runs", proxy.uri, name="all_at_once")
    delivery = Delivery(sweep.ledger.path, sweep.plan.id, sweep.store, 0.02)
    delivery.start()
    sweep.begin()
    faults = [Fault("503", share=0.5), Fault("drop", share=0.3), Fault("lose", share=0.3), Fault("hang", share=0.1)]
    for epoch in range(1, 9):
        proxy.refuse() if epoch % 3 == 0 else proxy.accept()
        proxy.go_wrong(faults[epoch % len(faults)])
        sweep.train(sweep.keys, epoch, epoch)
        time.sleep(0.3)
    sweep.end(sweep.keys, 8)
    proxy.accept()
    assert delivery.drain(120).pending == 0
    assert_delivered(sweep, Database(server.folder / "mlflow.db", sweep.plan.id), 8)


def test_a_server_that_is_killed_and_started_again_or_restored_from_a_backup_gets_all(tmp_path: Path) -> None:
    folder, root = tmp_path / "own", tmp_path / "runs"
    with running_server(f"sqlite:///{folder / 'mlflow.db'}", folder) as own:
        sweep = pretend(root, own.uri)
        first, *others = sweep.keys
        database = Database(folder / "mlflow.db")
        sweep.begin()
        sweep.train([first], 1, 3)
        sweep.end([first], 3)
        delivery = Delivery(sweep.ledger.path, sweep.plan.id, sweep.store, 0.02)
        delivery.start()
        wait_until(lambda: not sweep.ledger.pending(sweep.plan.id))
        own.kill()
        with closing(sqlite3.connect(database.path)) as live, closing(sqlite3.connect(tmp_path / "backup.db")) as copy:
            live.backup(copy)
        sweep.train(others, 1, 2)
        time.sleep(0.5)
        own.start()
        sweep.train(others, 3, 3)
        sweep.end(others, 3)
        assert delivery.drain(120).pending == 0
        assert_delivered(sweep, database, 3)
        with closing(sqlite3.connect(tmp_path / "backup.db")) as copy, closing(sqlite3.connect(database.path)) as live:
            copy.backup(live)
        assert sorted(database.runs()) != sorted([*sweep.keys, sweep.plan.hash])
        drained = deliver(sweep)
        assert drained.notes == (f"MLflow's store went back in time: sweep {sweep.plan.id} is delivered again",)
        assert_delivered(sweep, database, 3)


def test_required_is_an_error_in_time_that_names_no_password(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    told = {
        f"http://me:CANARY@127.0.0.1:{free_port()}": "refused",
        "http://me:CANARY@nowhere.invalid:80": "Name or service|resolution|No address",
        f"http://me:CANARY@127.0.0.1:{proxy.port}/hang": "timed out|does not answer within 2 s",
        f"postgresql://me:CANARY@127.0.0.1:{free_port()}/x": "refused|does not answer within 2 s",
    }
    proxy.go_wrong(Fault("hang"))
    for uri, why in told.items():
        began = time.monotonic()
        with pytest.raises(TrackingError, match=why) as error:
            check_store(Store(uri, "nnexp", tmp_path), seconds=2.0)
        assert time.monotonic() - began < 30
        assert "CANARY" not in str(error.value)
        assert "\n" not in str(error.value)
    proxy.accept()
    check_store(Store(proxy.uri, "nnexp", tmp_path))


def test_credentials_are_nowhere(sweep: Pretended, proxy: Proxy, tmp_path: Path) -> None:
    for fault in (Fault("forward", share=0.0), Fault("503"), Fault("lose")):
        proxy.go_wrong(fault)
        mine = replace(sweep.store, uri=proxy.uri.replace("//", "//me:CANARY@"))
        delivery = Delivery(sweep.ledger.path, sweep.plan.id, mine, 0.05)
        delivery.start()
        sweep.ledger.deliver_again(sweep.plan.id, ["", *sweep.keys])
        drained = delivery.drain(3.0)
        assert (drained.pending > 0) == (fault.share > 0)
        assert "CANARY" not in repr(drained)
        assert "127.0.0.1" in (drained.error or "127.0.0.1")
    sweep.ledger.close()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in written if b"CANARY" in path.read_bytes()] == []
