"""The command that opens MLflow's UI serves on loopback, to a browser only, and leaves nothing behind."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from nnexp.tracking.store import Store, open_store
from tests.servers.ui import all_end, running_ui

pytestmark = pytest.mark.servers


@pytest.fixture
def root(tmp_path: Path, empty_store: Path) -> Path:
    """Return a root with a store that has an experiment."""
    found = tmp_path / "runs"
    found.mkdir()
    with closing(sqlite3.connect(empty_store)) as made, closing(sqlite3.connect(found / "mlflow.db")) as copy:
        made.backup(copy)
    open_store(Store(f"sqlite:///{found / 'mlflow.db'}", "nnexp", found))
    return found


def asked(address: str, host: str) -> int:
    """Return the status of the answer to a request for a host."""
    try:
        with urlopen(
            Request(f"{address}/api/2.0/mlflow/experiments/get?experiment_id=1", headers={"Host": host})
        ) as got:
            return int(got.status)
    except HTTPError as error:
        return error.code


def test_the_link_works_for_this_machine_alone_and_the_server_dies_with_a_command_that_is_killed(root: Path) -> None:
    with running_ui(root) as ui:
        link = ui.read_until("http://")
        address, _, page = link.partition("/#")
        assert address.startswith("http://127.0.0.1:")
        assert page == "/experiments/2/runs?workflowType=machine_learning"
        assert asked(address, address.removeprefix("http://")) == 200
        assert asked(address, "evil.example") == 403
        servers = ui.servers()
        assert len(servers) == 2  # the server and its one worker
        ui.end(signal.SIGKILL)
        assert all_end(servers)


def test_sigterm_ends_it_also_while_the_server_starts(root: Path) -> None:
    with running_ui(root) as ui:
        ui.read_until("starting")
        while not (servers := ui.servers()):
            time.sleep(0.01)
        assert ui.end(signal.SIGTERM) == 143
        assert all_end(servers)
