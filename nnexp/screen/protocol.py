"""The protocol of screens: what is told to them, each prints in its own way or not at all."""

from __future__ import annotations

from abc import abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from nnexp.screen.events import Planned, Result
    from nnexp.sweeps.estimate import Estimate
    from nnexp.sweeps.plan import Plan
    from nnexp.sweeps.progress import Ended, Failure, Progress


class Screen(Protocol):
    """Where a command says what it does. One thread tells it; it is closed whatever happens."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Say one line that is worth saying now."""

    @abstractmethod
    def preview(self, plan: Plan, estimate: Estimate) -> None:
        """Say what a plan would do and take; nothing runs."""

    @abstractmethod
    def planned(self, planned: Planned) -> None:
        """Say what is about to run."""

    @abstractmethod
    def show(self, progress: Progress) -> None:
        """Say how far it is, if it is time to; called after every slice."""

    @abstractmethod
    def ended(self, ended: Ended) -> None:
        """Say how a trial ended that did not fail."""

    @abstractmethod
    def failed(self, failure: Failure) -> None:
        """Say at once that a trial failed, which, and why."""

    @abstractmethod
    def delivering(self, pending: int) -> None:
        """Say how many runs MLflow has to get after the training, if it is time to; called as long as there are any."""

    @abstractmethod
    def result(self, result: Result) -> None:
        """Say what came of it, and where everything is."""

    @abstractmethod
    def close(self) -> None:
        """Leave the terminal as it was. Once is enough, twice does no harm."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
