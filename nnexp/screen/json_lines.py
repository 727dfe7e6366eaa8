"""The screen for programs: one JSON object a line, nothing else on standard output."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

from nnexp.screen.lines import write
from nnexp.screen.pace import Pace
from nnexp.screen.protocol import Screen
from nnexp.screen.stand import epochs_a_second

if TYPE_CHECKING:
    from nnexp.screen.events import Planned, Result
    from nnexp.sweeps.estimate import Estimate
    from nnexp.sweeps.leaderboard import Row
    from nnexp.sweeps.plan import Plan
    from nnexp.sweeps.progress import Best, Ended, Failure, Progress


class JsonLines(Screen):
    """Says every event as an object: `event` tells which, `time` when, in seconds since 1970.

    Args: every: seconds between events of progress.
    """

    def __init__(self, every: float) -> None:
        self._every, self._last, self._pace = every, time.monotonic(), Pace()

    def note(self, text: str) -> None:
        """Say it."""
        self._say("note", text=text)

    def preview(self, plan: Plan, estimate: Estimate) -> None:
        """Say what a plan would do and take."""
        size = {"trials": len(plan.trials), "configurations": len(plan.configurations)}
        made = {"axes": plan.axes, "combinations": plan.made, "merged": [asdict(each) for each in plan.merges]}
        self._say("dry_run", sweep=plan.id, **size, **made, **asdict(estimate))

    def planned(self, planned: Planned) -> None:
        """Say what is about to run."""
        self._say("planned", **asdict(planned), to_train=planned.to_train)

    def show(self, progress: Progress) -> None:
        """Say how far it is, if it is time to."""
        left = self._pace.left(progress)
        if not self._is_time():
            return
        names = ("trials", "running", "finished", "diverged", "failed", "stopped", "epochs", "seconds")
        self._say(
            "progress",
            **{name: getattr(progress, name) for name in names},
            share=progress.share,
            seconds_left=left,
            epochs_per_second=epochs_a_second(progress),
            best=None if progress.best is None else _best(progress.best),
        )

    def ended(self, ended: Ended) -> None:
        """Say how a trial ended."""
        self._say("ended", **asdict(ended))

    def failed(self, failure: Failure) -> None:
        """Say which trial failed, and why."""
        self._say("failed", **asdict(failure))

    def delivering(self, pending: int) -> None:
        """Say how many runs MLflow has to get after the training, if it is time to."""
        if self._is_time():
            self._say("delivering", pending=pending)

    def result(self, result: Result) -> None:
        """Say what came of it, and where everything is."""
        self._say(
            "result",
            sweep=result.sweep,
            states=result.states,
            leaderboard=[{"rank": rank, **_row(row)} for rank, row in enumerate(result.rows, start=1)],
            seconds={**result.seconds, "total": result.total_seconds},
            notes=result.notes,
            folder=str(result.folder),
            look=result.look,
            again=result.again,
        )

    def close(self) -> None:
        """There is nothing to put back."""

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now - self._last < self._every:
            return False
        self._last = now
        return True

    def _say(self, event: str, **more: Any) -> None:
        write(json.dumps(_strict({"event": event, "time": time.time(), **more}), allow_nan=False) + "\n")


def _best(best: Best) -> dict[str, Any]:
    from nnexp.sweeps.leaderboard import half_width

    half = half_width(best.deviation, best.n)
    return {
        "configuration": best.label,
        "metric": best.metric,
        "n": best.n,
        "mean": best.mean,
        "std": best.deviation,
        "ci95": half,
    }


def _row(row: Row) -> dict[str, Any]:
    from nnexp.sweeps.leaderboard import COUNTS

    metrics = {
        name: {"mean": mean, "std": row.deviation[name], "ci95": row.ci95.get(name)} for name, mean in row.mean.items()
    }
    counts = {name: getattr(row, name) for name in ("n", *COUNTS)}
    return {"configuration": row.label, **counts, "keys": [trial.key for trial in row.trials], "metrics": metrics}


def _strict(value: Any) -> Any:
    """Return a value as JSON knows it: null for what is not a finite number, escapes for half a character."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_strict(name): _strict(each) for name, each in value.items()}
    if isinstance(value, Sequence):
        return [_strict(each) for each in value]
    return value
