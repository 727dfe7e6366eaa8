"""How a single trial is printed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nnexp.screen.single import show_trial
from tests.sweeps.test_leaderboard import board, diverged, result


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


def test_a_failed_trial_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    plan, results = board([replace(diverged(), outcome="failed", epoch=2, reason="ValueError: no\x1b[2J")])
    show_trial(plan.trials[0], results["0-0"])
    assert capsys.readouterr().out == "failed in epoch 2 of 3: ValueError: no\\x1b[2J\n"
