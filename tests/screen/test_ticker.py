"""The line that says how far a sweep is."""

from __future__ import annotations

import pytest

from nnexp.screen.ticker import Ticker
from nnexp.sweeps.old_execution import Progress


def test_progress_is_said_now_and_then_and_not_at_every_slice(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("nnexp.screen.ticker.time.monotonic", lambda: now[0])
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
    monkeypatch.setattr("nnexp.screen.ticker.time.monotonic", lambda: now[0])
    ticker = Ticker()
    now[0] = 9.0
    ticker.show(Progress(trials=8, epochs=0))
    assert capsys.readouterr().out.startswith("  0 of 8 trials, 0% of the epochs")
