"""What commands print: progress, the leaderboard, a trial, and where everything is."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nnexp.screen import Ticker, how_to_look, seconds_line, show_leaderboard, show_trial, shown_path
from nnexp.sweeps.execution import Progress
from nnexp.sweeps.leaderboard import leaderboard
from tests.sweeps.test_leaderboard import board, diverged, result

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


def test_the_leaderboard_is_printed_best_first_and_without_cutting_a_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan, results = board([result(0.5), result(0.7)], [result(0.9), diverged()])
    show_leaderboard(leaderboard(plan, results))
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["rank", "configuration", "val/acc_best", "test/acc", "epoch_best", "n", "diverged"]
    assert first.split() == [
        "1",
        "lr=1",
        *["0.6000", "±", "0.1414"],
        *["0.5000", "±", "0.0000"],
        "1.0",
        "±",
        "0.0",
        "2",
        "0",
    ]
    assert second.split()[:2] == ["2", "lr=2"]
    assert second.split()[-2:] == ["1", "1"]


def test_the_leaderboard_has_no_column_for_what_did_not_happen(capsys: pytest.CaptureFixture[str]) -> None:
    plan, results = board([result(0.5)])
    show_leaderboard(leaderboard(plan, results))
    assert "diverged" not in capsys.readouterr().out


def test_a_name_in_brackets_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    plan, results = board([result(0.5)])
    trial = replace(plan.trials[0], chosen={"architecture.activation": "[relu,tanh]"})
    show_leaderboard(leaderboard(replace(plan, trials=(trial,)), results))
    assert " activation=[relu,tanh] " in capsys.readouterr().out


def test_a_long_leaderboard_says_how_many_it_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    plan, results = board(*[[result(number / 100)] for number in range(15)])
    show_leaderboard(leaderboard(plan, results), top=4)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 4 + 1
    assert lines[-1] == "… and 11 more; all of them are in leaderboard.csv"


def test_a_trial_is_printed_with_its_best_epoch_and_its_test(capsys: pytest.CaptureFixture[str]) -> None:
    plan, results = board([result(0.2, 0.9, 0.3, best=2, test=0.8125)])
    show_trial(plan.trials[0], results["0-0"])
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == "best epoch by val/acc: 2 of 3, val/acc 0.9000"
    assert "  test/acc 0.8125" in rest
    assert rest[-1] == "  7 parameters, 2.00 s of training"


def test_a_trial_that_stopped_early_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    plan, results = board([result(0.9, 0.3, best=1)])
    early = replace(results["0-0"], summary={**results["0-0"].summary, "epoch_stopped": 2.0})
    show_trial(plan.trials[0], early)
    assert capsys.readouterr().out.startswith("best epoch by val/acc: 1 of 2 (stopped early, of 3), val/acc 0.9000")


def test_a_diverged_trial_says_when(capsys: pytest.CaptureFixture[str]) -> None:
    plan, results = board([replace(diverged(), epoch=2)])
    show_trial(plan.trials[0], results["0-0"])
    assert capsys.readouterr().out.startswith("diverged in epoch 2 of 3: ")


def test_progress_is_said_now_and_then_and_not_at_every_slice(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("nnexp.screen.time.monotonic", lambda: now[0])
    ticker = Ticker()
    for second in range(12):
        now[0] = float(second)
        ticker.show(Progress(trials=8, trials_done=2, epochs=100, epochs_done=25, diverged=1))
    ticker.close()
    assert capsys.readouterr().out.splitlines() == [
        "  2 of 8 trials, 1 diverged, 25% of the epochs, 15 s left",
        "  2 of 8 trials, 1 diverged, 25% of the epochs, 30 s left",
    ]


def test_progress_can_be_said_before_there_is_any(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("nnexp.screen.time.monotonic", lambda: now[0])
    ticker = Ticker()
    now[0] = 9.0
    ticker.show(Progress(trials=8, epochs=0))
    assert capsys.readouterr().out.startswith("  0 of 8 trials, 0% of the epochs")


def test_where_the_seconds_went_is_one_line() -> None:
    assert seconds_line({"start": 0.44, "train": 12.0}) == "start 0.4 s, train 12.0 s"
