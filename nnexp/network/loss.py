"""What every loss is: what an example costs, from logits or raw outputs, and the gradient that belongs to it.

Every loss also scores its examples: 1 or 0 for a right or wrong class, the share of right ones for labels that do not
exclude each other, the squared errors for values.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from nnexp.arrays import Flags, Floats, Integers
from nnexp.component import Component

TargetKind = Literal["labels", "binary", "multi", "values"]


@dataclass
class Targets:
    """What a mini-batch should give: class labels, or values, or both where classes are learnt as values.

    Beside the labels of a cross-entropy, values are probabilities of classes. weights: of the examples, if they have.
    """

    labels: Integers | None  # (K, B)
    values: Floats | None  # (K, n, B)
    weights: Floats | None = None  # (K, B)


class Desk:
    """The buffers of one loss for batches of one size; `losses` and `scores` (K, B), together `results`, come out.

    `share` is what each example's gradient counts, 1 / B or its weight's share, (K, 1, B). Where there are several
    values, `squares` (n, K, B) holds the squared error of each; `scores` is the first of them.
    """

    def __init__(self, replicas: int, outputs: int, examples: int, dtype: np.dtype[Any], *, squares: int = 1) -> None:
        shape = (replicas, outputs, examples)
        self.results: Floats = np.zeros((1 + squares, replicas, examples), dtype)
        self.losses, self.scores, self.squares = self.results[0], self.results[1], self.results[1:]
        self.reduced: Floats = np.empty((replicas, 1, examples), dtype)
        self.picked: Floats = np.empty((replicas, examples), dtype)
        self.spare: Floats = np.empty(shape, dtype)
        self.more: Floats = np.empty(shape, dtype)
        self.flags: Flags = np.empty(shape, np.bool_)
        self.hits: Flags = np.empty((replicas, examples), np.bool_)
        self.index: Integers = np.empty((replicas, examples), np.intp)
        self.offset: Integers = np.arange(replicas)[:, None] * (outputs * examples) + np.arange(examples)
        self.zero, self.lowest = dtype.type(0), np.finfo(dtype).min
        self.share: Any = dtype.type(1 / examples)
        self.own_share: Any = self.share  # the same for arrays (K, B)
        self.speck = np.sqrt(np.finfo(dtype).tiny)
        self._shares: Floats = np.empty((replicas, 1, examples), dtype)
        self._total: Floats = np.empty((replicas, 1), dtype)

    def weigh(self, weights: Floats) -> None:
        """Multiply the losses by weights (K, B), and share the gradient out by them; none weighs: no gradient."""
        self.losses *= weights
        np.add.reduce(weights, axis=1, keepdims=True, out=self._total)
        np.maximum(self._total, np.finfo(weights.dtype).tiny, out=self._total)
        np.divide(weights, self._total, out=self._shares[:, 0])
        self.share, self.own_share = self._shares, self._shares[:, 0]


@dataclass(frozen=True, kw_only=True)
class Loss(Component):
    """The mean of l(z, y) over the examples of a mini-batch, by their weights if they have some: sum w l / sum w.

    `output` is the activation that turns raw outputs into predictions where the loss fixes it, else None.
    `takes_probabilities`: whether classes may come as probabilities instead of labels.
    Shapes: Z (K, n, B), desk.losses and desk.scores (K, B).
    """

    target_kind: ClassVar[TargetKind]
    output: ClassVar[str | None] = None
    takes_probabilities: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the hyperparameters."""

    @abstractmethod
    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        """Fill the desk's losses and scores, whatever the weights. Z is overwritten with what backward needs."""

    @abstractmethod
    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        """Turn what forward left in Z into the gradient of the mean loss by the outputs, in place.

        An example counts desk.share.
        """


def assess(loss: Loss, Z: Floats, targets: Targets, desk: Desk) -> None:
    """Fill the desk's losses, times the examples' weights, and scores; `Loss.backward` may follow."""
    loss.forward(Z, targets, desk)
    if targets.weights is not None:
        desk.weigh(targets.weights)
