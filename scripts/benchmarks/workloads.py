"""The networks that are measured."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nnexp.arrays import Floats, Integers
from nnexp.network.activations import Activation, ReLU
from nnexp.network.initializers import HeNormal
from nnexp.network.losses import CrossEntropy
from nnexp.network.stack import Blueprint


@dataclass(frozen=True)
class Workload:
    """A network, how many examples it sees a step, and what its hidden units do."""

    sizes: tuple[int, ...]
    batch: int
    activation: Activation = field(default_factory=ReLU)

    @property
    def name(self) -> str:
        """The sizes of the layers."""
        return "-".join(map(str, self.sizes))

    @property
    def blueprint(self) -> Blueprint:
        """The network in nnexp's words."""
        return Blueprint(self.sizes, (self.activation,) * (len(self.sizes) - 2), None, CrossEntropy())

    def start(self, width: int) -> Floats:
        """Return parameters to start from, (K, P), in float64."""
        layout, gains = self.blueprint.layout, self.blueprint.gains
        return np.stack([HeNormal().start(layout, gains, np.random.default_rng(seed)) for seed in range(width)])

    def examples(self, *shape: int) -> tuple[Floats, Integers]:
        """Return inputs (…, n) in float64 and labels (…)."""
        rng = np.random.default_rng(shape)
        return rng.standard_normal((*shape, self.sizes[0])), rng.integers(0, self.sizes[-1], shape)

    def mini_batch(self, width: int, dtype: str) -> tuple[Floats, Integers]:
        """Return rows (K, B, n + 1), whose last column is one, and labels (K, B)."""
        inputs, labels = self.examples(width, self.batch)
        return np.concatenate([inputs, np.ones((width, self.batch, 1))], axis=2).astype(dtype), labels


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload((2, 16, 16, 2), 32),
        Workload((64, 64, 10), 64),
        Workload((784, 128, 64, 10), 128),
        Workload((784, 512, 512, 10), 128),
    )
}
