"""Limits: of a trial's time, of a run's, of failures; and how long an answer may take before it is given up."""

from __future__ import annotations

from dataclasses import dataclass

from nnexp.config.build import Executor
from nnexp.sweeps.interrupts import Halt
from nnexp.sweeps.stacks import SLICE_SECONDS, Stack
from nnexp.sweeps.tally import Tally

GRACE_SECONDS = 10.0  # beyond a limit, for a machine that is busy with other things


@dataclass(frozen=True)
class Limits:
    """What the settings of an executor limit."""

    executor: Executor

    def halt(self, tally: Tally) -> Halt | None:
        """Return why to stop, if a limit of the whole run is reached."""
        executor, failed, in_a_row = self.executor, tally.states["failed"], tally.failed_in_a_row
        if executor.sweep_seconds is not None and tally.seconds >= executor.sweep_seconds:
            return Halt("sweep_seconds", f"executor.sweep_seconds={executor.sweep_seconds:g} is over")
        if executor.on_error == "stop" and failed:
            return Halt("on_error", "a trial failed, and executor.on_error=stop")
        most = executor.max_consecutive_failures
        if most is not None and in_a_row >= most:
            return Halt("max_consecutive_failures", f"{in_a_row} trials failed one after another")
        return None

    def slice_seconds(self, stack: Stack, tally: Tally) -> float:
        """Return how long the next slice should be: shorter where a limit is near."""
        left = [SLICE_SECONDS]
        if self.executor.sweep_seconds is not None:
            left.append(self.executor.sweep_seconds - tally.seconds)
        if self.executor.trial_seconds is not None:
            alive = stack.alive
            flops = sum(stack.flops[position] for position in alive)
            left += [self._left(stack, position) * flops / stack.flops[position] for position in alive]
        return max(min(left), 0.0)

    def late(self, stack: Stack) -> list[int]:
        """Return positions of the replicas that have had their time."""
        return [position for position in stack.alive if self._left(stack, position) <= 0]

    @property
    def late_words(self) -> str:
        """Return why they stop."""
        return f"executor.trial_seconds={self.executor.trial_seconds:g} is over"

    def answer_seconds(self, stack: Stack) -> float | None:
        """Return how long a slice may take before its worker is given up; None is for ever."""
        if self.executor.trial_seconds is not None:
            return self.executor.trial_seconds * len(stack.alive) + GRACE_SECONDS
        return None

    def is_long_over(self, tally: Tally) -> bool:
        """Return whether the run's time is over for as long again: what has not answered by now is given up."""
        limit = self.executor.sweep_seconds
        return limit is not None and tally.seconds > 2 * limit + GRACE_SECONDS

    def _left(self, stack: Stack, position: int) -> float:
        limit = self.executor.trial_seconds
        return float("inf") if limit is None else limit - stack.spent.wall_seconds.get(position, 0.0)
