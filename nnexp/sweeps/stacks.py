"""A stack under way: what it has trained and observed so far, how much its next slice is, and how it is divided."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nnexp.arrays import Flags
from nnexp.data.prepared import Data
from nnexp.errors import DataError
from nnexp.sweeps.kept import SavedStack
from nnexp.sweeps.plan import Trial
from nnexp.sweeps.results import History
from nnexp.sweeps.workers import Done
from nnexp.training.checkpoint import check, load
from nnexp.training.costs import counts
from nnexp.training.stacking import form_problem
from nnexp.training.state import End, Problem, Records, Spent, State, metrics_of

SLICE_SECONDS = 2.0
FIRST_SLICE_EPOCHS = 2  # enough to see how long an epoch takes


@dataclass
class Stack:
    """A stack under way.

    trials: by position in the problem. flops: estimated operations of an epoch, by position. state: after the last
    slice; None before the first, and before what is saved is loaded. saved: what the ledger has of it. width: replicas
    when its training began, perhaps in an earlier run. unsaved: records by position since it was saved, and how long
    they took. losses: how often the slice to train was lost.
    """

    trials: list[Trial]
    problem: Problem
    flops: list[float]
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State | None = None
    saved: SavedStack | None = None
    begun: bool = False
    width: int = 0
    started_at: float = 0.0
    seconds_an_epoch: float = 0.0
    spent: Spent = field(default_factory=Spent)
    unsaved: dict[int, list[Records]] = field(default_factory=dict)
    unsaved_seconds: float = 0.0
    losses: int = 0

    @property
    def epoch(self) -> int:
        """The last one trained."""
        if self.state is not None:
            return self.state.epoch
        return 0 if self.saved is None else self.saved.epoch

    @property
    def alive(self) -> list[int]:
        """Positions of the replicas that go on."""
        return list(range(len(self.trials))) if self.state is None else self.state.alive.tolist()

    @property
    def keys(self) -> list[str]:
        """Keys of the trials that go on."""
        return [self.trials[position].key for position in self.alive]

    @property
    def work_left(self) -> float:
        """Estimated operations to the last epoch of all that go on."""
        return (self.problem.training.epochs - self.epoch) * sum(self.flops[position] for position in self.alive)

    @property
    def words(self) -> str:
        """What to call it in a line."""
        others, first = len(self.alive) - 1, self.trials[self.alive[0]].label
        return f"{first} and {others} more" if others else first

    def begin(self) -> None:
        """Note that its training begins, or goes on, in this run."""
        self.begun = True
        self.started_at = self.started_at or time.time()
        self.width = self.width or len(self.trials)

    def next_epochs(self, seconds: float = SLICE_SECONDS) -> int:
        """Return how many epochs its next slice has, to take so long at most."""
        left = self.problem.training.epochs - self.epoch
        if not self.seconds_an_epoch:
            return min(FIRST_SLICE_EPOCHS, left)
        return max(1, min(left, round(min(seconds, SLICE_SECONDS) / self.seconds_an_epoch)))

    def take_in(self, done: Done) -> dict[int, End]:
        """Add what a slice observed; return how replicas ended in it, by position."""
        trained = done.state.epoch - self.epoch
        self.seconds_an_epoch = max(done.wall_seconds, 1e-6) / max(trained, 1)
        self.state, self.losses = done.state, 0
        self.unsaved_seconds += done.wall_seconds
        for position, records in done.observed.records.items():
            self.unsaved.setdefault(position, []).append(records)
        self.spent.add(done.observed.spent)
        return done.observed.ends

    def history(self, position: int) -> History:
        """Return a replica's records that are not saved."""
        parts, names = self.unsaved.get(position, []), metrics_of(self.problem)
        values = np.concatenate([part.values for part in parts]) if parts else np.empty((0, len(names)))
        return History(
            tuple(epoch for part in parts for epoch in part.epochs.tolist()),
            tuple(time for part in parts for time in part.times.tolist()),
            {name: tuple(column) for name, column in zip(names, values.T.tolist(), strict=True)},
        )

    def costs(self, position: int, epoch: int) -> dict[str, float]:
        """Return what a replica has cost up to an epoch."""
        return counts(self.problem, position, epoch) | self.spent.of(position)

    def parts(self, *hands: Sequence[int]) -> list[Stack]:
        """Return a stack of each hand of replicas, by ascending position, that goes on where this one was saved."""
        return [self._part(hand) for hand in hands if len(hand)]

    def halves(self) -> list[Stack]:
        """Return two stacks of its replicas."""
        middle = (len(self.alive) + 1) // 2
        return self.parts(self.alive[:middle], self.alive[middle:])

    def _part(self, positions: Sequence[int]) -> Stack:
        part = form([self.trials[position] for position in positions], self.problem.data)
        part.begun, part.started_at, part.width = self.begun, self.started_at, self.begun * len(positions)
        if self.state is not None:
            part.state = _only(self.state, np.isin(self.state.alive, positions))
            part.width = self.width
            part.seconds_an_epoch = self.seconds_an_epoch * len(positions) / len(self.alive)
            part.spent = _spent_by(self.spent, positions)
        return part

    def compact(self) -> State:
        """Return its state as that of a problem with none but the trials that go on."""
        assert self.state is not None, "a stack that never trained has no state"
        return _only(self.state, np.ones(len(self.state.alive), np.bool_))

    def more(self) -> dict[str, Any]:
        """Return what goes on with its state, as plain data; lists are of the trials that go on."""
        alive = self.alive
        return {
            "width": self.width,
            "started_at": self.started_at,
            "seconds_an_epoch": self.seconds_an_epoch,
            "wall_seconds": [self.spent.wall_seconds.get(position, 0.0) for position in alive],
            "cpu_seconds": [self.spent.cpu_seconds.get(position, 0.0) for position in alive],
            "peak_bytes": self.spent.peak_bytes,
        }


def form(trials: Sequence[Trial], data: Data) -> Stack:
    """Return the stack of trials that share a shape."""
    problem, places = form_problem([trial.config for trial in trials], data)
    by_place = [trials[number] for number in np.argsort(places)]
    return Stack(by_place, problem, [counts(problem, place, 1)["flops"] for place in range(len(places))])


def restore(saved: SavedStack, trials: Sequence[Trial], data: Data) -> Stack:
    """Return a stack that was saved, its state not loaded yet. trials: in the order of its keys.

    Raises: DataError if it is of another version.
    """
    stack = form(trials, data)
    if stack.keys != [trial.key for trial in trials]:
        raise DataError(f"{saved.file} is of another version")
    more = dict(saved.more)
    wall, cpu, peak = (more.pop(name) for name in ("wall_seconds", "cpu_seconds", "peak_bytes"))
    return replace(
        stack, id=saved.id, saved=saved, spent=Spent(dict(enumerate(wall)), dict(enumerate(cpu)), peak), **more
    )


def load_state(stack: Stack, folder: Path) -> None:
    """Load what was saved of a stack. folder: the sweep's.

    Raises: DataError if its checkpoint is not what it was.
    """
    if stack.saved is None or stack.state is not None:
        return
    check(folder / stack.saved.file, stack.saved.sha256)
    state = load(folder / stack.saved.file)
    expected = len(stack.trials), stack.problem.blueprint.layout.total
    if state.theta.shape != expected or state.epoch != stack.saved.epoch:
        raise DataError(f"{stack.saved.file} is of another version")
    stack.state = state


def _only(state: State, stay: Flags) -> State:
    """Return a state of some of its replicas, as positions of a problem that has no others."""
    kept = state.keep(stay)
    return replace(kept, alive=np.arange(len(kept.alive)))


def _spent_by(spent: Spent, positions: Sequence[int]) -> Spent:
    wall, cpu = (
        {new: each[old] for new, old in enumerate(positions) if old in each}
        for each in (spent.wall_seconds, spent.cpu_seconds)
    )
    return Spent(wall, cpu, spent.peak_bytes)
