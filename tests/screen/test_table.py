"""The leaderboard as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nnexp.screen.table import show_leaderboard
from nnexp.sweeps.leaderboard import leaderboard
from tests.sweeps.test_leaderboard import board, diverged, result


def test_the_leaderboard_is_printed_best_first_and_without_cutting_a_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan, results = board([result(0.5), result(0.7)], [result(0.9), diverged()])
    show_leaderboard(leaderboard(plan.trials, results))
    said, head, first, second = capsys.readouterr().out.splitlines()
    assert said.startswith(
        "2 configurations: mean over repeats, best val/acc_best first; ± is half of the 95 % t interval"
    )
    assert said.endswith("; configurations that miss repeats come last")
    assert head.split() == ["rank", "configuration", "val/acc_best", "test/acc", "epoch_best", "n", "diverged"]
    assert first.split() == [
        "1",
        "lr=1",
        *["0.6000", "±", "1.2706"],  # t(0.975, 1) * sqrt(0.02) / sqrt(2)
        *["0.5000", "±", "0.0000"],
        "1.0",
        "±",
        "0.0",
        "2",
        "0",
    ]
    assert second.split()[:5] == ["2", "lr=2", "0.9000", "±", "–"]
    assert second.split()[-4:] == ["1", "of", "2", "1"]


def test_the_leaderboard_has_no_column_for_what_did_not_happen(capsys: pytest.CaptureFixture[str]) -> None:
    plan, results = board([result(0.5)])
    show_leaderboard(leaderboard(plan.trials, results))
    assert "diverged" not in capsys.readouterr().out


def test_a_name_in_brackets_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    plan, results = board([result(0.5)])
    trial = replace(plan.trials[0], chosen={"architecture.activation": "[relu,tanh]"})
    show_leaderboard(leaderboard((trial,), results))
    assert " activation=[relu,tanh] " in capsys.readouterr().out


def test_a_long_leaderboard_says_how_many_it_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    plan, results = board(*[[result(number / 100)] for number in range(15)])
    show_leaderboard(leaderboard(plan.trials, results), top=4)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 4 + 1
    assert lines[-1] == "… and 11 more; all of them are in leaderboard.csv"
