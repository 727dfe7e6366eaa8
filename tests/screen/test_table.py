"""The leaderboard as a table."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nnexp.screen.table import show_leaderboard
from nnexp.sweeps.leaderboard import leaderboard
from tests.sweeps.test_leaderboard import board, diverged, result
from tests.terminal import on_terminal

ROOT = Path(__file__).parents[2]
LONG = """
from dataclasses import replace
from nnexp.screen import show_leaderboard
from nnexp.sweeps.leaderboard import leaderboard
from tests.sweeps.test_leaderboard import *
plan, results = board([result(0.5), result(0.7)], [result(0.9), diverged()])
chosen = {f"architecture.{name}": "[relu,tanh]" for name in ("hidden", "activation", "output", "more")}
show_leaderboard(leaderboard([replace(trial, chosen=chosen) for trial in plan.trials], results))
"""


def test_the_leaderboard_is_printed_best_first_and_without_cutting_a_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan, results = board([result(0.5), result(0.7)], [result(0.9), diverged()])
    show_leaderboard(leaderboard(plan.trials, results))
    said, head, first, second = capsys.readouterr().out.splitlines()
    assert said == (
        "2 configurations, best val/acc_best first, those that miss repeats last: "
        "mean over n repeats ± half of its 95 % t interval"
    )
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


@pytest.mark.parametrize(
    ("columns", "metrics"),
    [(90, ["val/acc_best", "test/acc"]), (62, ["val/acc_best"])],
)
def test_a_narrow_terminal_gets_fewer_metrics_and_whole_names(tmp_path: Path, columns: int, metrics: list[str]) -> None:
    seen = on_terminal([sys.executable, "-c", LONG], tmp_path, columns=columns, variables={"PYTHONPATH": str(ROOT)})
    assert seen.code == 0
    _, head, *lines = seen.terminal.text.splitlines()
    assert head.split() == ["rank", "configuration", *metrics, "n", "diverged"]
    assert max(map(len, [head, *lines])) <= columns
    assert "".join(lines).replace(" ", "").count("=[relu,tanh]") == 8
    assert "…" not in "".join(lines)
