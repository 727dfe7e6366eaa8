"""The screen that says the end only, and what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnexp.screen.dry_run import show_plan
from nnexp.screen.ending import show_result
from nnexp.screen.lines import say
from nnexp.screen.protocol import Screen

if TYPE_CHECKING:
    from nnexp.screen.events import Planned, Result
    from nnexp.sweeps.estimate import Estimate
    from nnexp.sweeps.plan import Plan
    from nnexp.sweeps.progress import Ended, Failure, Progress


class Quiet(Screen):
    """Says the end only, and what failed."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def preview(self, plan: Plan, estimate: Estimate) -> None:
        """Say what a plan would do and take."""
        show_plan(plan, estimate)

    def planned(self, planned: Planned) -> None:
        """Say nothing."""

    def show(self, progress: Progress) -> None:
        """Say nothing."""

    def ended(self, ended: Ended) -> None:
        """Say nothing: the result counts them."""

    def failed(self, failure: Failure) -> None:
        """Say which trial failed, and why."""
        say(f"failed: {failure.label}: {failure.reason}")

    def delivering(self, pending: int) -> None:
        """Say nothing."""

    def result(self, result: Result) -> None:
        """Say what came of it, and where everything is."""
        show_result(result)

    def close(self) -> None:
        """There is nothing to put back."""
