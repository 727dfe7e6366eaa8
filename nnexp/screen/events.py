"""What a screen is told beside progress: what is planned, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnexp.sweeps.leaderboard import Row
    from nnexp.sweeps.plan import Trial
    from nnexp.sweeps.results import TrialResult


@dataclass(frozen=True)
class Planned:
    """A sweep that is about to run.

    trials, configurations: of the plan. removed, merged: combinations that conditions removed, and that were the same
    as others. done: trials that finished or diverged in an earlier run of it. failed: those that failed in one, and are
    not tried again. reused: trained by another sweep. widths: trials in each stack to train. resumed: how many of those
    stacks go on from where they were saved. single: whether it is one trial that is a run of its own.
    """

    sweep: str
    trials: int
    configurations: int
    removed: int = 0
    merged: int = 0
    done: int = 0
    failed: int = 0
    reused: int = 0
    resumed: int = 0
    widths: Sequence[int] = ()
    workers: int = 1
    single: bool = False

    @property
    def to_train(self) -> int:
        """How many trials are trained now, from the start or from where they were saved."""
        return sum(self.widths)


@dataclass(frozen=True)
class Result:
    """What came of a sweep, after a run of it.

    states: how many of its trials are in each state. rows: the leaderboard. trial: the one trial, and its result if it
    has one, where it is a run of its own. seconds: of each stage of the command. total_seconds: of the command. notes:
    lines on what else there is to know. folder: of its files. look: the command that opens MLflow on it, and the link.
    again: the command that goes on with what is missing, if anything is.
    """

    sweep: str
    states: Mapping[str, int]
    rows: Sequence[Row]
    folder: Path
    trial: tuple[Trial, TrialResult | None] | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    total_seconds: float = 0.0
    notes: Sequence[str] = ()
    look: Sequence[str] = ()
    again: str | None = None
