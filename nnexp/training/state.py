"""What a stack trains, and everything that changes while it does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Flags, Floats, Integers
from nnexp.data.prepared import Data
from nnexp.data.splits import Part
from nnexp.network import schedules
from nnexp.network.averaging import Averaging
from nnexp.network.clipping import Clip
from nnexp.network.constraints import MaxNorm
from nnexp.network.dropout import Dropout
from nnexp.network.initializers import Initializer
from nnexp.network.optimizers import Optimizer
from nnexp.network.penalties import Penalty
from nnexp.network.schedules import Constant, Schedule
from nnexp.network.stack import Blueprint
from nnexp.randomness import Purpose, stream
from nnexp.training import stopping
from nnexp.training.answers import gives_probabilities
from nnexp.training.metrics import AVERAGED, CLASSIFICATION, METRICS, NORMS, REGRESSION, applicable
from nnexp.training.settings import Objective, Training, asked_for
from nnexp.training.stopping import EarlyStopping

Outcome = Literal["finished", "diverged"]


@dataclass(frozen=True)
class Replica:
    """What is a trial's own in a stack. start: parameters to start from, (P,), instead of drawn ones."""

    seed: int
    initializer: Initializer
    optimizer: Optimizer
    dropout: Dropout = field(default_factory=Dropout)
    l2: Penalty = field(default_factory=Penalty)
    l1: Penalty = field(default_factory=Penalty)
    max_norm: MaxNorm = field(default_factory=MaxNorm)
    clip: Clip = field(default_factory=Clip)
    schedule: Schedule = field(default_factory=Constant)
    averaging: Averaging = field(default_factory=Averaging)
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    start: Floats | None = None


@dataclass(frozen=True)
class Problem:
    """A stack's trials: what they share, and each one's own. Replicas of one optimizer and its options stand together.

    order: positions in the training part, (m,) for all epochs or (epochs, m), instead of drawn or ascending ones.
    """

    blueprint: Blueprint
    training: Training
    objective: Objective
    replicas: tuple[Replica, ...]
    data: Data
    order: Integers | None = None


@dataclass(frozen=True)
class State:
    """All of a stack between two epochs; with the problem it determines everything that follows.

    Random streams are functions of (seed, purpose, layer, epoch), so the epoch is all there is to know about them.

    alive: positions in the problem's replicas, (K,). theta: parameters and statistics, (K, P + S). slots: what the
    optimizers keep, (slots, K, P); an optimizer that keeps less than its neighbours leaves the rest alone. averages: of
    theta, of its shape, or (K, 0) where none are kept. courses: what schedules remember of the
    objective, (K, 4). waits: what early stopping remembers of it, (K, 2). best_*: of the best epoch so far by the
    objective; epoch 0 before there is one. best_values: its metrics, (K, metrics).
    """

    epoch: int
    alive: Integers
    theta: Floats
    slots: Floats
    averages: Floats
    courses: NDArray[np.float64]
    waits: NDArray[np.float64]
    best_theta: Floats
    best_averages: Floats
    best_epoch: Integers
    best_values: NDArray[np.float64]

    def keep(self, stay: Flags) -> State:
        """Return a state of the replicas that stay, in memory of its own."""
        kept = {name: array[stay] for name, array in vars(self).items() if name not in ("epoch", "slots")}
        return replace(self, slots=self.slots[:, stay], **kept)

    def copy(self) -> State:
        """Return a state that shares no memory with this one."""
        return self.keep(np.ones(len(self.alive), np.bool_))


@dataclass(frozen=True)
class Records:
    """What a stack's slice observed of one replica.

    values: (epochs, metrics), in the order of the problem's metrics. times: when each record was made, seconds since
    1970.
    """

    epochs: Integers
    values: NDArray[np.float64]
    times: NDArray[np.float64]


@dataclass(frozen=True)
class End:
    """How a replica left: after its last epoch or early, or because an epoch's numbers were not finite.

    epoch: the last one. summary: metrics of the whole training. theta: of the best epoch, (P + S,); for a diverged
    replica those of its best epoch before, if it had one. average: theta's average after that epoch, (P + S,) or (0,).
    last: theta after the last epoch, (P + S,); None for a diverged replica. confusion: of the best epoch, by part; rows
    are true classes, columns predicted ones; empty for values and for a diverged replica.
    """

    outcome: Outcome
    epoch: int
    summary: dict[str, float]
    theta: Floats
    average: Floats
    last: Floats | None
    confusion: dict[str, list[list[int]]] = field(default_factory=dict)


@dataclass
class Spent:
    """Time and memory, which alone differ from run to run.

    wall_seconds, cpu_seconds: by position in the problem's replicas, each one's share of its stack's time by the work
    that it is estimated to be. peak_bytes: the most memory the process held; None where the system does not say.
    """

    wall_seconds: dict[int, float] = field(default_factory=dict)
    cpu_seconds: dict[int, float] = field(default_factory=dict)
    peak_bytes: int | None = None

    def add(self, more: Spent) -> None:
        """Add what was spent afterwards."""
        for total, part in ((self.wall_seconds, more.wall_seconds), (self.cpu_seconds, more.cpu_seconds)):
            for position, seconds in part.items():
                total[position] = total.get(position, 0.0) + seconds
        if more.peak_bytes is not None:
            self.peak_bytes = max(self.peak_bytes or 0, more.peak_bytes)

    def of(self, position: int) -> dict[str, float]:
        """Return a replica's, by name, as far as it is known."""
        found = {
            "wall_seconds": self.wall_seconds.get(position),
            "cpu_seconds": self.cpu_seconds.get(position),
            "peak_bytes": self.peak_bytes,
        }
        return {name: float(value) for name, value in found.items() if value is not None}


@dataclass
class Slice:
    """What `advance` observed, by position in the problem's replicas."""

    records: dict[int, Records] = field(default_factory=dict)
    ends: dict[int, End] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)


def has_part(problem: Problem, part: Part) -> bool:
    """Return whether there are examples in a part of the data."""
    division = problem.data.division(problem.replicas[0].seed)
    return len(getattr(division.split, part)) > 0


def keeps_averages(problem: Problem) -> bool:
    """Return whether the replicas keep averages: all of a stack, or none."""
    return problem.replicas[0].averaging.keeps


def metrics_of(problem: Problem) -> tuple[str, ...]:
    """Return the names of what is recorded each epoch, in order."""
    names = REGRESSION if problem.data.classes is None else CLASSIFICATION
    if not has_part(problem, "validation"):
        return tuple(name for name in names if not name.startswith("val/"))
    cheap = [name for name in names if name not in NORMS]
    names = (*cheap, *(f"val/{name}" for name in more_metrics(problem)), *NORMS)
    averaged = [name.replace("val/", f"val/{AVERAGED}") for name in names if name.startswith("val/")]
    return (*names, *averaged) if keeps_averages(problem) else names


def more_metrics(problem: Problem) -> tuple[str, ...]:
    """Return the metrics beside the cheap ones that are recorded of the validation part each epoch."""
    return asked_for(problem.training, problem.objective)


def final_metrics(problem: Problem) -> tuple[str, ...]:
    """Return all metrics that there are for the problem."""
    return applicable(problem.data.classes, probabilities=gives_probabilities(problem.blueprint))


def is_defined(problem: Problem, seed: int, part: Part, metric: str) -> bool:
    """Return whether a part's labels, in the division of a trial with this seed, let a metric have a value."""
    data = problem.data
    labels = None if data.labels is None else data.labels[getattr(data.division(seed).split, part)]
    return METRICS[metric]().defined(labels, data.classes)


def begin(problem: Problem) -> State:
    """Return the state before the first epoch."""
    layout, dtype = problem.blueprint.layout, np.dtype(problem.blueprint.dtype)
    starts = [
        replica.initializer.start(layout, problem.blueprint.gains, stream(replica.seed, Purpose.INIT))
        if replica.start is None
        else replica.start
        for replica in problem.replicas
    ]
    with np.errstate(over="ignore"):  # weights too large for the type diverge in the first epoch
        theta = np.stack(starts).astype(dtype)
    K = len(theta)
    averages = theta.copy() if keeps_averages(problem) else np.empty((K, 0), dtype)
    return State(
        epoch=0,
        alive=np.arange(K),
        theta=theta,
        slots=np.zeros((max(replica.optimizer.slots for replica in problem.replicas), K, layout.size), dtype),
        averages=averages,
        courses=np.stack([schedules.start() for _ in problem.replicas]),
        waits=np.stack([stopping.start() for _ in problem.replicas]),
        best_theta=theta.copy(),
        best_averages=averages.copy(),
        best_epoch=np.zeros(K, np.intp),
        best_values=np.empty((K, len(metrics_of(problem)))),
    )
