"""Where things are, and how to look at them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from nnexp.screen.places import how_to_look, shown_path

VIEW = "/#/experiments/7/runs?workflowType=machine_learning"


def test_a_store_below_the_current_folder_is_looked_at_by_a_short_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command, link = how_to_look(f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}", "7")
    words = shlex.split(command)
    assert Path(words[0]).name == "mlflow"
    assert words[1] == "ui"
    assert words[words.index("--backend-store-uri") + 1] == "sqlite:///runs/mlflow.db"
    assert link == f"http://127.0.0.1:5000{VIEW}"


def test_a_store_elsewhere_is_looked_at_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    command, _ = how_to_look(f"sqlite:///{tmp_path / 'mlflow.db'}", "7")
    assert shlex.split(command)[-1] == f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_the_command_can_be_pasted_where_a_path_has_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command, _ = how_to_look(f"sqlite:///{tmp_path / 'my runs' / 'mlflow.db'}", "7")
    assert shlex.split(command)[-1] == "sqlite:///my runs/mlflow.db"


def test_the_mlflow_of_the_command_is_the_one_beside_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command, _ = how_to_look(f"sqlite:///{tmp_path / 'mlflow.db'}", "7")
    assert shlex.split(command)[0] == str(Path(sys.executable).with_name("mlflow"))


@pytest.mark.parametrize("uri", ["http://host:5000", "https://host/mlflow", "http://host:5000/"])
def test_a_server_is_linked_to(uri: str) -> None:
    command, link = how_to_look(uri, "7")
    assert uri in command
    assert link == f"{uri.rstrip('/')}{VIEW}"


def test_a_path_is_shown_as_short_as_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "a" / "b") == "a/b"
    assert shown_path(tmp_path.parent) == str(tmp_path.parent)
