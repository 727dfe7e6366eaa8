"""What the tracker needs of MLflow: the same calls to MLflow's client or, for a database on this machine, directly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nnexp.errors import TrackingError

Point = tuple[str, float, int, int]  # name, value, milliseconds since 1970, step


class GoneError(TrackingError):
    """What was in MLflow's store is not there any more."""


@dataclass(frozen=True)
class FoundRun:
    """A run in MLflow. ended: milliseconds since 1970. artifacts: the URI of where its files go."""

    id: str
    status: str
    ended: int | None
    artifacts: str
    tags: Mapping[str, str]


class Writer(Protocol):
    """Writes and finds the runs of one experiment. Whatever is written again changes nothing.

    Attributes: experiment_id: MLflow's. transactional: whether what is written together is all there or not at all.
    """

    experiment_id: str
    transactional: bool

    def together(self) -> AbstractContextManager[None]:
        """Write what is told within at once, where the store can: all of it, or nothing if anything is raised.

        Within another one, only the inner one is undone.
        """

    def find(self, tags: Mapping[str, str]) -> list[FoundRun]:
        """Return the active runs that have all of some tags, those that started last first."""

    def latest(self, run: str, metric: str) -> tuple[int, int] | None:
        """Return the step and the time (milliseconds since 1970) of a metric's last point; None if it has none."""

    def create(self, name: str, tags: Mapping[str, str], started: int) -> FoundRun:
        """Make a run. started: milliseconds since 1970."""

    def log(self, run: str, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Log points, params, which cannot be changed, and tags, which can."""

    def log_data(self, run: str, name: str, digest: str, source: str) -> None:
        """Say which data a run read."""

    def set_status(self, run: str, status: str, ended: int | None = None) -> None:
        """Say how a run stands and, if it has ended, when."""

    def untag(self, run: str, name: str) -> None:
        """Take a tag off a run, if it has it."""

    def delete(self, run: str) -> None:
        """Delete a run, as the UI does: it can be restored."""

    def is_deleted(self, run: str) -> bool:
        """Return whether a run was deleted; of one that never was there False, or what MLflow raises."""

    def upload(self, artifacts: str, path: Path, folder: str = "") -> None:
        """Copy a file to a run's files. artifacts: where they go. folder: below that."""

    def upload_text(self, artifacts: str, name: str, text: str) -> None:
        """Write a text to a run's files."""

    def experiment_tags(self) -> dict[str, str]:
        """Return the experiment's tags."""

    def tag_experiment(self, name: str, value: str | None) -> None:
        """Set a tag of the experiment; None takes it off."""

    def close(self) -> None:
        """Close the store."""
