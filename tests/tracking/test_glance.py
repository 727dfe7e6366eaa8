"""A glance at MLflow's store says what MLflow's own search says, or that MLflow is to be asked."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nnexp.tracking import glance
from nnexp.tracking.glance import runs_there
from nnexp.tracking.store import Store, open_store
from tests.servers.mlflow_server import running_server
from tests.tracking.listener import Listener

SWEEP = "named-0123abcd"
USED = (*glance.VARIABLES, *(f"MLFLOW_TRACKING_{name}" for name in ("USERNAME", "PASSWORD", "TOKEN")))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Return a store with runs of two sweeps, of two experiments, of every kind and status; one run is deleted."""
    path = tmp_path_factory.mktemp("glance") / "with % and # signs" / "mlflow.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(empty_store)) as made, closing(sqlite3.connect(path)) as copy:
        made.backup(copy)
    client, mine = open_store(Store(f"sqlite:///{path}", "mine", path.parent))
    other = client.create_experiment("other")
    statuses = ("RUNNING", "FINISHED", "FAILED", "KILLED", "RUNNING")
    for number, status in enumerate(statuses):
        _run(client, mine, status, kind="trial", key=f"k{number}", sweep=SWEEP, start=number)
    _run(client, mine, "KILLED", kind="sweep", key="of the sweep", sweep=SWEEP)
    _run(client, mine, "FINISHED", kind="trial", key="k1", sweep=SWEEP, start=9)  # a second one, started later
    _run(client, mine, "FINISHED", kind="report", key="k7", sweep=SWEEP)
    _run(client, mine, "FINISHED", kind="trial", key="k8", sweep="another-0123abcd")
    _run(client, other, "FINISHED", kind="trial", key="k9", sweep=SWEEP)
    client.delete_run(_run(client, mine, "FINISHED", kind="trial", key="k10", sweep=SWEEP))
    client.delete_experiment(client.create_experiment("deleted"))
    return path


def _run(client: Any, experiment: str, status: str, *, kind: str, key: str, sweep: str, start: int = 0) -> str:
    tags = {"nnexp.kind": kind, "nnexp.key": key, "nnexp.sweep": sweep}
    run = str(client.create_run(experiment, start_time=start, tags=tags).info.run_id)
    if status != "RUNNING":
        client.set_terminated(run, status)
    return run


def searched(uri: str, experiment: str, sweep: str) -> dict[str, tuple[str, str]]:
    """Return what MLflow's own search finds."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found: dict[str, tuple[str, str]] = {}
    there = client.get_experiment_by_name(experiment)
    assert there is not None
    for run in client.search_runs([there.experiment_id], f"tags.`nnexp.sweep` = '{sweep}'"):
        if run.data.tags["nnexp.kind"] in ("trial", "sweep"):
            found.setdefault(run.data.tags["nnexp.key"], (run.info.run_id, run.info.status))
    return found


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let nothing of this machine's user say how MLflow is to be asked."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in USED:
        monkeypatch.delenv(name, raising=False)


def test_a_glance_at_sqlite_sees_what_mlflow_finds(store: Path) -> None:
    uri = f"sqlite:///{store}"
    seen = runs_there(uri, "mine", SWEEP)
    assert seen == searched(uri, "mine", SWEEP)
    assert seen is not None
    assert sorted(seen) == ["k0", "k1", "k2", "k3", "k4", "of the sweep"]
    assert {key: status for key, (_, status) in seen.items()}["k1"] == "FINISHED"
    assert runs_there(uri, "mine", "missing") == {}
    assert runs_there(uri, "missing", SWEEP) == {}
    assert runs_there(uri, "deleted", SWEEP) is None


def test_a_glance_leaves_nothing_behind(store: Path, tmp_path: Path) -> None:
    before = sorted(store.parent.iterdir())
    runs_there(f"sqlite:///{store}", "mine", SWEEP)
    assert sorted(store.parent.iterdir()) == before
    assert runs_there(f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}", "mine", SWEEP) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_glance_sees_what_a_writer_has_just_committed(root: Path) -> None:
    uri = f"sqlite:///{root / 'mlflow.db'}"
    client, experiment = open_store(Store(uri, "mine", root))
    for count in range(1, 4):
        _run(client, experiment, "RUNNING", kind="trial", key=f"k{count}", sweep=SWEEP)
        seen = runs_there(uri, "mine", SWEEP)
        assert seen is not None
        assert len(seen) == count


def test_mlflow_is_not_imported_for_a_glance(store: Path) -> None:
    code = "import sys; from nnexp.tracking.glance import runs_there; "
    code += f"seen = runs_there({f'sqlite:///{store}'!r}, 'mine', {SWEEP!r}); "
    code += "print(len(seen), [name for name in ('mlflow', 'sqlalchemy', 'requests', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "6 []\n"


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE tags",
        "ALTER TABLE runs RENAME COLUMN status TO state",
        "DROP INDEX index_tags_run_uuid; PRAGMA writable_schema=ON; DELETE FROM sqlite_master WHERE name='runs'",
    ],
)
def test_mlflow_is_asked_about_a_schema_that_is_not_known(damage: str, root: Path) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        connection.executescript(f"PRAGMA foreign_keys=OFF; PRAGMA legacy_alter_table=ON; {damage};")
    assert runs_there(f"sqlite:///{root / 'mlflow.db'}", "nobody's", SWEEP) is None


def test_mlflow_is_asked_about_stores_that_a_glance_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "no database"
    path.write_text("but a text\n" * 100)
    told = (f"sqlite:///{path}", f"sqlite:///{path}?timeout=3", "postgresql://user@nowhere/db", "databricks", "")
    assert [runs_there(uri, "mine", SWEEP) for uri in told] == [None] * len(told)


@pytest.mark.usefixtures("no_settings")
def test_a_glance_at_a_server_sees_what_mlflow_finds(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server(f"sqlite:///{store}", tmp_path) as server:
        uri = server.uri
        for page in (1000, 2):
            monkeypatch.setattr(glance, "PAGE", page)
            assert runs_there(uri, "mine", SWEEP) == searched(f"sqlite:///{store}", "mine", SWEEP)
        assert runs_there(f"{uri}/", "mine", "missing") == {}
        assert runs_there(uri, "missing", SWEEP) == {}
        assert runs_there(uri, "deleted", SWEEP) is None


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize(
    ("user", "variables"),
    [
        ("", {}),
        ("", {"TOKEN": "secret"}),
        ("", {"USERNAME": "me", "PASSWORD": "pässword"}),
        ("", {"USERNAME": "me", "PASSWORD": "p:w", "TOKEN": "secret"}),
        ("", {"USERNAME": "me", "TOKEN": "secret"}),
        ("me:p%40w@", {}),
        ("me:p%40w@", {"USERNAME": "another", "PASSWORD": "password"}),
        ("me:p%40w@", {"TOKEN": "secret"}),
    ],
)
def test_a_server_is_told_who_asks_as_mlflow_tells_it(
    user: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    for name, value in variables.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    listener = Listener(200, json.dumps({"experiment": {"experiment_id": "1", "lifecycle_stage": "deleted"}}).encode())
    with listener.listening() as address:
        runs_there(f"http://{user}{address}/prefix", "mine", SWEEP)
        MlflowClient(tracking_uri=f"http://{user}{address}/prefix").get_experiment_by_name("mine")
    ours, theirs = listener.heard
    assert ours == theirs
    assert (ours[1] is not None) == bool(user or variables)


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b"<html>welcome</html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"experiment": 1}'),
        (200, b'{"experiment": {"experiment_id": "1", "lifecycle_stage": "active"}, "runs": [{}]}'),
        (200, b"\xff"),
        (401, b""),
        (404, b"not here"),
        (404, b'{"error_code": "ENDPOINT_NOT_FOUND"}'),
        (503, b"{}"),
    ],
)
def test_mlflow_is_asked_where_a_server_answers_unexpectedly(status: int, content: bytes) -> None:
    with Listener(status, content).listening() as address:
        assert runs_there(f"http://{address}", "mine", SWEEP) is None


@pytest.mark.usefixtures("no_settings")
def test_credentials_do_not_follow_a_redirect() -> None:
    there = Listener(200, b"{}")
    with there.listening() as target:
        here = Listener(307, b"", [("Location", f"http://{target}/")])
        with here.listening() as address:
            assert runs_there(f"http://me:secret@{address}", "mine", SWEEP) is None
    assert len(here.heard) == 1
    assert there.heard == []


@pytest.mark.usefixtures("no_settings")
def test_a_server_that_hangs_or_is_gone_is_not_waited_for() -> None:
    with Listener(200, b"{}", delay=3).listening() as address:
        began = time.monotonic()
        assert runs_there(f"http://{address}", "mine", SWEEP, seconds=0.2) is None
        assert time.monotonic() - began < 2.5
    assert runs_there(f"http://{address}", "mine", SWEEP) is None


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize("name", glance.VARIABLES)
def test_mlflow_is_asked_where_it_would_ask_another_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}')
    with listener.listening() as address:
        assert runs_there(f"http://{address}", "mine", SWEEP) == {}
        monkeypatch.setenv(name, "set")
        assert runs_there(f"http://{address}", "mine", SWEEP) is None
    assert len(listener.heard) == 1


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize("name", glance.FILES)
def test_mlflow_is_asked_where_a_file_has_credentials(name: str) -> None:
    path = Path(name).expanduser()
    path.parent.mkdir(exist_ok=True)
    path.touch()
    listener = Listener(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}')
    with listener.listening() as address:
        assert runs_there(f"http://{address}", "mine", SWEEP) is None
    assert listener.heard == []
    assert os.environ["HOME"] in str(path)
