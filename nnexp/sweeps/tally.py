"""The tally of a run: how many trials ended and how, how much work is done, which configuration leads."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from nnexp.sweeps.plan import Plan, Trial
from nnexp.sweeps.progress import Best, Failure, Progress
from nnexp.sweeps.results import TrialResult

FAILURES = 5  # that progress tells


@dataclass
class Repeats:
    """Sums over a configuration's finished repeats. lost: how many diverged or failed."""

    label: str
    n: int = 0
    mean: float = 0.0
    squares: float = 0.0  # of deviations from the mean
    lost: int = 0

    def add(self, value: float) -> None:
        """Add a repeat's objective (Welford 1962, doi:10.1080/00401706.1962.10490022)."""
        self.n += 1
        change = value - self.mean
        self.mean += change / self.n
        self.squares += change * (value - self.mean)


class Tally:
    """Counts a run of a plan.

    Args: trials: to train. known: results that are there already, by key.
    """

    def __init__(self, plan: Plan, trials: int, known: Mapping[str, TrialResult]) -> None:
        self.began = time.monotonic()
        self.trials = trials
        self.work = self.work_done = 0.0
        self.epochs = 0
        self.running = 0
        self.states: Counter[str] = Counter()
        self.failed_in_a_row = 0
        self._failures: deque[Failure] = deque(maxlen=FAILURES)
        self._objective = plan.trials[0].config.objective
        self._repeats: dict[str, Repeats] = {}
        self._best: Best | None = None
        self._best_is_old = True
        for trial in plan.trials:
            if trial.key in known:
                self._add(trial, known[trial.key])

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self.began

    def end(self, trial: Trial, result: TrialResult) -> None:
        """Count a trial that ended."""
        self.running -= 1
        self.states[result.outcome] += 1
        if result.outcome == "failed":
            self.failed_in_a_row += 1
            self._failures.append(Failure(trial.key, trial.label, result.reason or ""))
        else:
            self.failed_in_a_row = 0
        self._add(trial, result)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(
            trials=self.trials,
            running=self.running,
            **{state: self.states[state] for state in ("finished", "diverged", "failed", "stopped")},
            epochs=self.epochs,
            work=self.work,
            work_done=min(self.work_done, self.work),
            seconds=self.seconds,
            best=self._leader(),
            failures=tuple(self._failures),
        )

    def _add(self, trial: Trial, result: TrialResult) -> None:
        repeats = self._repeats.get(trial.configuration)
        if repeats is None:
            repeats = self._repeats[trial.configuration] = Repeats(trial.configuration_label)
        if result.outcome == "finished" and result.objective is not None:
            repeats.add(result.objective)
        else:
            repeats.lost += 1
        self._best_is_old = True

    def _leader(self) -> Best | None:
        """Return the configuration with the best mean; one that lost a repeat leads only where all did."""
        if self._best_is_old:
            self._best, self._best_is_old = self._found_best(), False
        return self._best

    def _found_best(self) -> Best | None:
        found = [repeats for repeats in self._repeats.values() if repeats.n]
        if not found:
            return None
        sign = 1.0 if self._objective.direction == "maximize" else -1.0
        first = max(found, key=lambda repeats: (not repeats.lost, sign * repeats.mean))
        deviation = math.sqrt(first.squares / (first.n - 1)) if first.n > 1 else 0.0
        return Best(first.label, self._objective.metric, first.mean, deviation, first.n)
