"""Which page of MLflow's UI is opened, and what is said where there is none. Nothing here starts a server."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from nnexp import ui
from nnexp.errors import TrackingError, UsageError
from nnexp.tracking.looking import EXPERIMENTS, page, sweep_named, uri_of
from nnexp.tracking.server import command, environment, is_free
from nnexp.tracking.views import VIEW_TAG
from tests.tracking.listener import Listener
from tests.tracking.pretended import Pretended, pretend


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "MLFLOW_TRACKING_URI",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sweep(root: Path) -> Pretended:
    """Return a sweep that is planned."""
    return pretend(root, f"sqlite:///{root / 'mlflow.db'}")


@contextmanager
def server(*tags: str, status: int = 200) -> Iterator[str]:
    """Keep a server running whose one experiment has the id 7; give its address."""
    experiment = {"experiment_id": "7", "tags": [{"key": key, "value": "{}"} for key in tags]}
    with Listener(status, json.dumps({"experiment": experiment}).encode()).listening() as address:
        yield f"http://{address}"


def options(link: str) -> dict[str, list[str]]:
    path, _, found = link.partition("?")
    assert path == "#/experiments/7/runs"
    return parse_qs(found)


def test_a_sweep_is_found_by_its_name_and_by_its_id(sweep: Pretended) -> None:
    for name in (sweep.plan.name, sweep.plan.id):
        assert sweep_named(sweep.root, name).id == sweep.plan.id


def test_a_sweep_that_is_not_there_is_said_with_those_that_are(sweep: Pretended, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"there is no sweep 'other' in this ledger; it has: {sweep.plan.id}$"):
        sweep_named(sweep.root, "other")
    with pytest.raises(UsageError, match=r"there is no ledger at .*elsewhere/ledger.db, so no sweep 'other'"):
        sweep_named(tmp_path / "elsewhere", "other")
    assert not (tmp_path / "elsewhere").exists()


def test_a_sweeps_view_is_opened_or_without_one_the_search_for_its_trials(sweep: Pretended) -> None:
    planned = sweep_named(sweep.root, sweep.plan.id)
    with server(f"{VIEW_TAG}nnexp-{sweep.plan.id}") as address:
        found = options(page(address, planned))
    assert found == {"workflowType": ["machine_learning"], "viewStateShareKey": [f"nnexp-{sweep.plan.id}"]}
    with server("mlflow.sharedViewState.another") as address:
        found = options(page(address, planned))
    assert sweep.plan.id in found["searchFilter"][0]


def test_without_a_sweep_all_runs_are_opened_and_without_an_experiment_the_list_of_them() -> None:
    with server() as address:
        assert options(page(address, None)) == {"workflowType": ["machine_learning"]}
    for status in (404, 401, 307):
        with server(status=status) as address:
            assert page(address, None) == EXPERIMENTS


def test_what_is_no_mlflow_server_is_one_line_without_credentials() -> None:
    with Listener(200, b"<html>").listening() as address, pytest.raises(TrackingError) as raised:
        page(f"http://me:SECRET@{address}", None)
    assert f"http://{address} does not answer as MLflow's server" in str(raised.value)
    with pytest.raises(
        TrackingError, match=r"http://127.0.0.1:9 does not answer as MLflow's server: .*refused"
    ) as raised:
        page("http://me:SECRET@127.0.0.1:9", None)
    assert "SECRET" not in str(raised.value)


def test_the_store_is_the_given_one_then_the_sweeps_then_as_for_a_new_sweep(
    sweep: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, root = sweep_named(sweep.root, sweep.plan.id), sweep.root
    object.__setattr__(planned, "settings", {**planned.settings, "store": "http://there"})
    assert uri_of("sqlite:////given.db", planned, root) == "sqlite:////given.db"
    assert uri_of(None, planned, root) == "http://there"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:word@there")
    assert uri_of(None, planned, root) == "http://me:word@there"  # the same, and who asks
    assert uri_of(None, None, root) == "http://me:word@there"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert uri_of(None, None, root) == f"sqlite:///{root / 'mlflow.db'}"


# the command


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command in this process; return its exit code and what it said."""
    code: Any = 0
    before = signal.getsignal(signal.SIGTERM)
    try:
        ui.main(arguments)
    except SystemExit as ended:
        code = ended.code
    finally:
        signal.signal(signal.SIGTERM, before)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "there is no MLflow store at {root}/mlflow.db: --root or --uri say where it is"),
        (["mine"], "there is no ledger at {root}/ledger.db, so no sweep 'mine'"),
        (["--uri", "ftp://me:SECRET@x"], "--uri must begin with one of sqlite, http,"),
        (["--uri", "databricks://SECRET@x"], "a store of kind 'databricks' is looked at in its own UI"),
        (["--uri", "http://me:SECRET@x", "--port", "5"], "--port is for stores that are served here"),
        (["--uri", "postgresql://me:SECRET@x/y", "--port", "0"], "--port must be in [1, 65535], got 0"),
    ],
)
def test_what_cannot_be_opened_is_one_line_and_exit_code_2(
    arguments: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "none"
    code, out, err = said(capsys, "--no-browser", "--root", str(root), *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert line.format(root=root) in err
    assert "SECRET" not in err
    assert not root.exists()


def test_a_port_that_is_taken_is_refused_where_it_was_asked_for_and_left_where_it_was_not(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        code, _, err = said(capsys, "--no-browser", "--root", str(root), "--port", str(taken))
        assert (code, err) == (
            2,
            f"nnexp: port {taken} is taken: choose another --port, or none for any that is free\n",
        )
        monkeypatch.setattr(ui, "PORT", taken)
        port = ui._port(None)
        assert port != taken
        assert is_free(port)
        assert capsys.readouterr().out == f"port {taken} is taken, so the UI is on {port}\n"
    assert ui._port(None) == taken


def test_a_server_is_only_opened_and_its_link_has_no_credentials(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    with server() as address:
        mine = address.replace("http://", "http://me:SECRET@")
        code, out, err = said(capsys, "--uri", f"{mine}/")
        link = f"{address}/#/experiments/7/runs?workflowType=machine_learning"
        assert (code, out, err) == (0, f"{link}\n", "")
        assert opened == [link]
        said(capsys, "--uri", mine, "--no-browser")
        assert opened == [link]


def test_a_server_here_is_nobody_elses_and_does_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_HOST", "0.0.0.0")
    monkeypatch.setenv("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "true")
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://files")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    secret = "postgresql://me:SECRET@there/db"
    line, variables = " ".join(command(5000, tmp_path)), environment(secret)
    assert "--host=127.0.0.1" in line
    assert "--workers=1" in line
    assert "SECRET" not in line
    mine = {name: value for name, value in variables.items() if name.startswith("MLFLOW_")}
    assert mine["MLFLOW_BACKEND_STORE_URI"] == secret
    assert mine["MLFLOW_S3_ENDPOINT_URL"] == "http://files"
    assert mine["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert mine["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert not {"MLFLOW_HOST", "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"} & mine.keys()
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    assert environment(secret)["MLFLOW_DISABLE_TELEMETRY"] == "false"  # the user's choice
