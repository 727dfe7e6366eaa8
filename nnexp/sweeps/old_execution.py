"""Execution: stacks, slice by slice on workers; results into the ledger; the outbox to the tracker, in between."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnexp.data.prepared import Data
from nnexp.errors import NnexpError
from nnexp.sweeps.old_files import write_trial
from nnexp.sweeps.old_ledger import Ledger, TrialResult
from nnexp.sweeps.plan import DataKey, Plan, Trial
from nnexp.sweeps.workers import Done, Worker, work
from nnexp.training.costs import counts
from nnexp.training.stacking import form_problem
from nnexp.training.state import Problem, Records, Spent, State, metrics_of

SLICE_SECONDS = 2.0
FIRST_SLICE_EPOCHS = 2  # enough to see how long an epoch takes


@dataclass
class Stack:
    """A stack under way, and what is known of its replicas so far."""

    trials: list[Trial]
    problem: Problem
    places: list[int]
    state: State | None = None
    epochs: int = FIRST_SLICE_EPOCHS
    started_at: float = 0.0
    records: dict[int, list[Records]] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)

    def submit(self, worker: Worker) -> Future[Done]:
        """Let a worker train the next slice."""
        self.started_at = self.started_at or time.time()
        return worker.submit(work, self.problem, self.state, self.epochs)

    @property
    def unfinished(self) -> bool:
        """Whether there is another slice to train."""
        return self.state is None or (len(self.state.alive) > 0 and self.state.epoch < self.problem.training.epochs)

    def take_in(self, done: Done) -> list[tuple[Trial, int]]:
        """Add a slice's observations; return the trials that ended in it, each with its place."""
        trained = done.state.epoch - (self.state.epoch if self.state is not None else 0)
        self.epochs = max(1, round(SLICE_SECONDS * trained / max(done.wall_seconds, 1e-6)))
        self.state = done.state
        for place, records in done.observed.records.items():
            self.records.setdefault(place, []).append(records)
        self.spent.add(done.observed.spent)
        return [
            (trial, place) for trial, place in zip(self.trials, self.places, strict=True) if place in done.observed.ends
        ]

    def result(self, place: int, done: Done) -> TrialResult:
        """Return what became of a replica that ended in a slice."""
        end, parts = done.observed.ends[place], self.records.pop(place, [])
        names = metrics_of(self.problem)
        values = np.concatenate([part.values for part in parts]) if parts else np.empty((0, len(names)))
        times = [float(each) for part in parts for each in part.times]
        return TrialResult(
            outcome=end.outcome,
            epoch=end.epoch,
            epochs=[int(each) for part in parts for each in part.epochs],
            history={name: column.tolist() for name, column in zip(names, values.T, strict=True)},
            times=times,
            summary=end.summary,
            confusion=end.confusion,
            costs=counts(self.problem, place, end.epoch) | self.spent.of(place),
            stack_width=len(self.problem.replicas),
            started_at=self.started_at,
            ended_at=time.time(),
        )


@dataclass
class Progress:
    """How far a sweep is: trials done of all, and epochs trained of all, over all trials."""

    trials: int
    trials_done: int = 0
    epochs: int = 0
    epochs_done: int = 0
    diverged: int = 0


def execute(
    plan: Plan,
    stacks: Sequence[Sequence[Trial]],
    data: dict[DataKey, Data],
    *,
    ledger: Ledger,
    folder: Path,
    workers: int,
    finished: Callable[[dict[str, TrialResult]], None],
    show: Callable[[Progress], None],
) -> None:
    """Train stacks on so many workers and write every result into the ledger.

    Args: folder: the sweep's. finished: called with results once they are in the ledger. show: called after every
    slice.
    Raises: NnexpError if a worker dies or fails; what finished before is in the ledger.
    """
    waiting = deque(_stack(trials, data) for trials in stacks)
    progress = Progress(sum(map(len, stacks)), epochs=sum(s.problem.training.epochs * len(s.trials) for s in waiting))
    pool = [Worker() for _ in range(min(workers, len(waiting)))]
    running: dict[Future[Done], tuple[Worker, Stack]] = {}
    free, at_once = list(pool), True
    try:
        while waiting or running:
            while waiting and free:
                worker, stack = free.pop(), waiting.popleft()
                running[stack.submit(worker)] = worker, stack
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                worker, stack = running.pop(future)
                result = _result(future, stack)
                before = stack.state.epoch if stack.state is not None else 0
                ended = stack.take_in(result)
                if stack.unfinished:
                    running[stack.submit(worker)] = worker, stack  # before anything slow
                else:
                    free.append(worker)
                results = _results(folder, stack, ended, result)
                if results:
                    ledger.finish(plan.id, results)
                    finished(results)
                _advance(progress, stack, before, ended, result)
                show(progress)
        at_once = False
    finally:
        for worker in pool:
            worker.shutdown(wait=not at_once, cancel_futures=at_once)


def _stack(trials: Sequence[Trial], data: dict[DataKey, Data]) -> Stack:
    problem, places = form_problem([trial.config for trial in trials], data[trials[0].data_key])
    return Stack(list(trials), problem, places)


def _result(future: Future[Done], stack: Stack) -> Done:
    what = f"a stack of {len(stack.trials)} trials ({stack.trials[0].label} …)"
    try:
        return future.result()
    except BrokenExecutor:
        raise NnexpError(
            f"the worker of {what} was killed; finished trials are kept, the same command goes on"
        ) from None
    except RuntimeError as error:
        raise NnexpError(f"{what} failed: {error}; finished trials are kept, the same command goes on") from None


def _results(folder: Path, stack: Stack, ended: list[tuple[Trial, int]], done: Done) -> dict[str, TrialResult]:
    """Return the results of trials that ended, their files written: what the ledger names is there."""
    results = {}
    for trial, place in ended:
        results[trial.key] = stack.result(place, done)
        end, unpack = done.observed.ends[place], stack.problem.blueprint.layout.unpack
        average = unpack(end.average) if end.average.size else {}
        write_trial(folder, trial, results[trial.key], unpack(end.theta), average)
    return results


def _advance(progress: Progress, stack: Stack, before: int, ended: list[tuple[Trial, int]], done: Done) -> None:
    epochs, total = done.state.epoch - before, stack.problem.training.epochs
    progress.trials_done += len(ended)
    # nothing is left to do for those who ended, at whichever epoch
    progress.epochs_done += epochs * len(done.state.alive) + (total - before) * len(ended)
    progress.diverged += sum(done.observed.ends[place].outcome == "diverged" for _, place in ended)
