"""MLflow's store: its telemetry is the user's choice, and a deleted experiment is said in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nnexp.errors import ConfigError, TrackingError
from nnexp.tracking.store import Store, open_store, store_uri, told


@pytest.mark.parametrize(("given", "after"), [(None, "true"), ("false", "false")])
def test_telemetry_is_off_unless_the_user_turns_it_on(
    given: str | None, after: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", given or "")
    if given is None:
        monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    open_store(Store(f"sqlite:///{root / 'mlflow.db'}", "nnexp", root))
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == after


def test_a_deleted_experiment_is_one_clear_line(root: Path) -> None:
    uri = f"sqlite:///{root / 'mlflow.db'}"
    client, experiment = open_store(Store(uri, "mine", root))
    client.delete_experiment(experiment)
    with pytest.raises(TrackingError, match="experiment 'mine' is deleted: restore it or choose another"):
        open_store(Store(uri, "mine", root))


def test_a_kind_of_store_that_mlflow_cannot_write_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ConfigError, match=r"tracking.uri must begin with one of sqlite, http, .*; got 'ftp://x'"):
        store_uri("ftp://x", tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    with pytest.raises(ConfigError, match=r"MLFLOW_TRACKING_URI must begin with .*; got './mlruns'"):
        store_uri(None, tmp_path)
    assert store_uri("sqlite:///a.db", tmp_path) == f"sqlite:///{Path.cwd() / 'a.db'}"


@pytest.mark.parametrize(
    "argument", ["tracking.uri=http://CANARY:CANARY@host/x", "tracking.uri=postgresql://u:CANARY@host/db"]
)
def test_an_argument_of_a_command_is_told_without_credentials(argument: str) -> None:
    assert "CANARY" not in told(argument)
    assert "host" in told(argument)
    assert told("optimizer.lr=0.1") == "optimizer.lr=0.1"
    assert told("-m") == "-m"
