"""How far a sweep is, as execution says it after every slice and screens show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Best:
    """The configuration that leads so far. deviation: the sample standard deviation over its n repeats, 0 for one."""

    label: str
    metric: str
    mean: float
    deviation: float
    n: int


@dataclass(frozen=True)
class Failure:
    """A trial that failed: its label, and why in one line."""

    key: str
    label: str
    reason: str


@dataclass(frozen=True)
class Ended:
    """A trial that ended without failing.

    state: `finished`, `diverged` or `stopped`. epoch: the last one. objective: at the best epoch, None if there was
    none. reason: why it stopped, in one line.
    """

    key: str
    label: str
    state: str
    epoch: int
    objective: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far a run of a sweep is.

    trials: to train in this run; running, finished, diverged, failed and stopped count them, the rest waits. epochs:
    trained in this run, over all trials. work, work_done: estimated operations of this run, all and done; nothing is
    left to do for a trial that ended, at whichever epoch. seconds: since the training began. best: over what this sweep
    has, earlier runs included. failures: the latest, oldest first.
    """

    trials: int
    running: int = 0
    finished: int = 0
    diverged: int = 0
    failed: int = 0
    stopped: int = 0
    epochs: int = 0
    work: float = 0.0
    work_done: float = 0.0
    seconds: float = 0.0
    best: Best | None = None
    failures: tuple[Failure, ...] = ()

    @property
    def ended(self) -> int:
        """How many trials are over."""
        return self.finished + self.diverged + self.failed + self.stopped

    @property
    def share(self) -> float:
        """The share of the work that is done, in [0, 1]."""
        return min(self.work_done / self.work, 1.0) if self.work else 1.0


class Watcher(Protocol):
    """Who is told how a run goes on. Screens are; none of it may take long."""

    def stacks(self, widths: Sequence[int], resumed: int, workers: int) -> None:
        """Hear of the stacks to train: their widths, how many of them go on from a saved slice, on how many workers."""

    def show(self, progress: Progress) -> None:
        """Hear how far it is, after every slice."""

    def ended(self, ended: Ended) -> None:
        """Hear that a trial ended without failing, or was stopped."""

    def failed(self, failure: Failure) -> None:
        """Hear at once that a trial failed, in one line."""

    def note(self, text: str) -> None:
        """Hear of something worth a line: a worker that was replaced, an interruption."""
