"""nnexp's own step and epoch."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.by_hand import BETA1, BETA2, EPS, LR
from benchmarks.turns import TURN_SECONDS
from benchmarks.workloads import Workload
from nnexp.arrays import Floats, Integers
from nnexp.data.prepared import from_arrays
from nnexp.network.initializers import HeNormal
from nnexp.network.losses import Targets
from nnexp.network.normalization import Normalization
from nnexp.network.optimizers import Adam
from nnexp.training.advance import advance
from nnexp.training.running import Run
from nnexp.training.settings import Objective, Training
from nnexp.training.state import Problem, Replica, begin

EPOCH_STEPS = 25  # the validation part is a fifth of the data


def problem(
    workload: Workload,
    width: int,
    *,
    dtype: str = "float32",
    normalization: Normalization | None = None,
    seeds: list[int] | None = None,
    **changes: Any,
) -> Problem:
    """Return a stack of the workload with Adam; changes: of its replicas' components."""
    train = EPOCH_STEPS * workload.batch
    data = from_arrays(workload.examples(train), workload.examples(train // 4), classes=workload.sizes[-1], dtype=dtype)
    own = {"optimizer": Adam(lr=LR, beta1=BETA1, beta2=BETA2, eps=EPS), **changes}
    replicas = tuple(Replica(seed, HeNormal(), **own) for seed in seeds or range(width))
    training = Training(epochs=1_000_000, batch_size=workload.batch, dtype=dtype)  # type: ignore[arg-type]
    blueprint = replace(workload.blueprint, dtype=dtype, normalization=normalization or Normalization())
    return Problem(blueprint, training, Objective(), replicas, data)


class Step:
    """nnexp's step on one mini-batch: forward, backward, update."""

    def __init__(self, workload: Workload, start: Floats, batch: tuple[Floats, Integers], **changes: Any) -> None:
        self.rows, self.targets = batch[0], Targets(batch[1], None)
        self.problem = problem(workload, len(start), dtype=str(batch[0].dtype), **changes)
        self.state = begin(self.problem)
        self.start = self.state.theta.copy()
        self.start[:, : start.shape[1]] = start
        self.run, self.number = Run(self.problem, self.state), 0
        self.rows = self.rows[: self.run.batches.sources]

    @property
    def theta(self) -> Floats:
        """The parameters, (K, P)."""
        return self.state.theta

    def reset(self) -> None:
        """Start again."""
        self.state.theta[:], self.state.slots[:], self.number = self.start, 0, 0
        self.run.prepare(1)

    def step(self) -> None:
        """Take one step."""
        self.run.step(self.number % EPOCH_STEPS, self.rows, self.targets)
        self.number += 1


class Epochs:
    """nnexp's whole epochs, through `advance`: order, gathering, metrics, validation and records; a turn at a time."""

    def __init__(self, workload: Workload, width: int) -> None:
        self.problem = problem(workload, width)
        self.state, self.epochs = begin(self.problem), 1
        start = time.process_time()
        self.step()
        self.epochs += int(TURN_SECONDS / (time.process_time() - start))

    def reset(self) -> None:
        """Nothing changes: `advance` copies the state."""

    def step(self) -> None:
        """Train some epochs."""
        with np.errstate(all="ignore"):
            advance(self.problem, self.state, self.epochs)
