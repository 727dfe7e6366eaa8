"""What screens are told in tests: a sweep with one of everything."""

from __future__ import annotations

from pathlib import Path

from nnexp.screen import Planned, Result
from nnexp.sweeps.leaderboard import leaderboard
from nnexp.sweeps.progress import Best, Ended, Failure, Progress
from tests.sweeps.test_leaderboard import board, diverged, result

EVIL = (
    "lr=\x1b]0;x\x07 [bold]a\nb\x9b31m \u202edlrow[/]"  # sets a window's title, styles, breaks lines, turns text around
)
SHOWN = r"lr=\x1b]0;x\x07 [bold]a\nb\x9b31m \u202edlrow[/]"

PLANNED = Planned(
    sweep="name-1234", trials=20, configurations=10, removed=4, merged=1, done=3, failed=2, reused=1, resumed=1,
    widths=(8, 6), workers=4,
)  # fmt: skip
FAILURE = Failure("abc", EVIL, "ValueError: \x1b[2J gone")
ENDED = Ended("def", EVIL, "diverged", 3, float("nan"))


def progress(**changed: object) -> Progress:
    """Return the progress of a sweep that is a quarter done."""
    known = {
        "trials": 8, "running": 3, "finished": 1, "diverged": 1, "failed": 1, "epochs": 500, "work": 8.0,
        "work_done": 2.0, "seconds": 10.0, "best": Best("adam", "val/acc", 0.75, 0.01, 3), "failures": (FAILURE,),
    }  # fmt: skip
    return Progress(**{**known, **changed})  # type: ignore[arg-type]


def outcome(folder: Path) -> Result:
    """Return the result of a sweep of two configurations."""
    plan, results = board([result(0.5), result(0.7)], [result(float("inf")), diverged()])
    return Result(
        sweep="name-1234", states={"finished": 3, "diverged": 1}, rows=leaderboard(plan.trials, results), folder=folder,
        seconds={"train": 2.0}, total_seconds=3.5, notes=("MLflow lacks 2 trials: nnexp-sync sends them",),
        look=("nnexp-ui", "http://127.0.0.1:5000"), again="nnexp-run -m a=1,2",
    )  # fmt: skip
