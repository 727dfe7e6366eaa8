"""What the networks of a stack answered on a part of the data, and what metrics need of it, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Flags, Floats, Integers
from nnexp.network.activations import sigmoid
from nnexp.network.losses import Targets
from nnexp.network.stack import Blueprint

Float64s = NDArray[np.float64]


@dataclass(frozen=True)
class ValueScale:
    """What turns errors of standardised values into those of the values as they came, for each value, (n, K).

    spread: standard deviation by which values were divided. variation: sum of squared deviations of the standardised
    values from their mean over the part.
    """

    spread: Float64s
    variation: Float64s


@dataclass(frozen=True)
class Sums:
    """Sums over a part's m examples, (K,): of losses, and of scores, 1 for a right class or a value's squared error.

    squares: the squared errors of each value, (n, K). scale: of values; None for classes. weight: of the examples, if
    they have weights, which their losses were multiplied by, (K,).
    """

    losses: Float64s
    squares: Float64s
    examples: int
    scale: ValueScale | None = None
    weight: Float64s | None = None

    @property
    def scores(self) -> Float64s:
        """The sum of scores; of several values, of the first one's."""
        first: Float64s = self.squares[0]
        return first

    @property
    def loss(self) -> Float64s:
        """The mean loss, by weights if there are some: sum w l / sum w."""
        count = self.examples if self.weight is None else self.weight
        mean: Float64s = self.losses / count
        return mean


@dataclass(frozen=True)
class Answers:
    """The outputs of networks for m examples beside the truth; what follows from them is a replica's own.

    Z: logits, or what the output's activation made of them, (K, n, m). truth: labels (K, m) or values (K, n, m).
    classes: how many, C; 0 for values.
    """

    sums: Sums
    blueprint: Blueprint
    Z: Floats
    truth: Targets
    classes: int

    @cached_property
    def labels(self) -> Integers:
        """The true classes, (K, m)."""
        assert self.truth.labels is not None
        return np.asarray(self.truth.labels, np.intp)

    @cached_property
    def predicted(self) -> Integers:
        """The predicted classes as losses score them, (K, m): the first largest output, or the only one's sign."""
        return np.asarray(self.Z[:, 0] > 0 if self.Z.shape[1] == 1 else self.Z.argmax(axis=1), np.intp)

    @cached_property
    def hits(self) -> Flags:
        """Whether the predicted class is the true one, (K, m)."""
        return np.equal(self.predicted, self.labels)

    @cached_property
    def P(self) -> Float64s:
        """The probabilities of classes, (K, C, m): softmax of the logits, or 1 - sigmoid and sigmoid of one."""
        P = self.Z.astype(np.float64)
        if self.blueprint.loss.output == "sigmoid":
            sigmoid(P)
            return np.concatenate([1 - P, P], axis=1)
        if self.blueprint.loss.output == "softmax":
            P -= np.maximum.reduce(P, axis=1, keepdims=True)
            np.exp(P, out=P)
            P /= np.add.reduce(P, axis=1, keepdims=True)
        return P

    @cached_property
    def confusion(self) -> Integers:
        """How many examples of each class (rows) were taken for each class (columns), (K, C, C)."""
        K, C = len(self.Z), self.classes
        cells = (np.arange(K)[:, None] * C + self.labels) * C + self.predicted
        return np.bincount(cells.reshape(-1), minlength=K * C * C).reshape(K, C, C)


def gives_probabilities(blueprint: Blueprint) -> bool:
    """Return whether networks predict probabilities of classes that sum to 1."""
    output = blueprint.output
    return blueprint.loss.output in ("softmax", "sigmoid") or (output is not None and output.name == "softmax")
