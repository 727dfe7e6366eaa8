"""Where things are, and how to look at them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from nnexp.screen.places import how_to_look, shown_path

PAGE = "#/experiments/7/runs?workflowType=machine_learning"
SQLITE = "sqlite:////somewhere/mlflow.db"


def test_a_local_store_is_looked_at_by_a_short_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command, link = how_to_look(SQLITE, PAGE, tmp_path / "runs", "mine")
    assert shlex.split(command) == [sys.executable, "-m", "nnexp.ui", "mine"]
    assert link == f"http://127.0.0.1:5000/{PAGE}"
    assert how_to_look(SQLITE, PAGE, tmp_path / "runs")[0].endswith(" nnexp.ui")


def test_the_python_of_the_command_is_this_one_as_short_as_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(Path.cwd() / ".venv" / "bin" / "python"))
    assert how_to_look(SQLITE, PAGE, Path("runs").resolve())[0] == ".venv/bin/python -m nnexp.ui"


def test_the_command_says_where_runs_are_elsewhere_and_can_be_pasted_where_a_path_has_a_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command, _ = how_to_look(SQLITE, PAGE, tmp_path / "my runs", "mine")
    assert shlex.split(command)[3:] == ["mine", "--root", "my runs"]


@pytest.mark.parametrize("uri", ["http://host:5000", "https://host/mlflow", "http://host:5000/"])
def test_a_server_is_linked_to(uri: str, tmp_path: Path) -> None:
    command, link = how_to_look(uri, PAGE, tmp_path, "mine")
    assert uri in command
    assert link == f"{uri.rstrip('/')}/{PAGE}"


def test_a_path_is_shown_as_short_as_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "a" / "b") == "a/b"
    assert shown_path(tmp_path.parent) == str(tmp_path.parent)
