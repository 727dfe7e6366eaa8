"""The problem that both sides learn: a few examples of each kind of target, and the weights that both start from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nnexp.data.prepared import Data, from_arrays

Kind = Literal["classes", "binary", "values"]
Array = NDArray[np.float64]

TRAIN, VALIDATION = 12, 6
INPUTS, HIDDEN = 4, (5, 4)
OUTPUTS: dict[Kind, int] = {"classes": 3, "binary": 1, "values": 1}
CLASSES: dict[Kind, int | None] = {"classes": 3, "binary": 2, "values": None}
EPOCHS = 20


@dataclass(frozen=True)
class Problem:
    """Inputs (N, 4) and targets (N,) of both parts, the training part first; weights (n_out, n_in) and biases (n_out,).

    order: the training examples of each epoch, (epochs, 12).
    """

    kind: Kind
    X: Array
    y: NDArray[Any]
    start: dict[str, Array]
    order: NDArray[np.intp]

    @property
    def data(self) -> Data:
        """The examples as nnexp's data."""
        parts = [(self.X[part], self.y[part]) for part in (slice(TRAIN), slice(TRAIN, None))]
        return from_arrays(*parts, classes=CLASSES[self.kind], dtype="float64")


@cache
def problem(kind: Kind) -> Problem:
    """Return the problem of a kind of target. The generator's stream never changes, so that goldens stay true."""
    rng = np.random.RandomState(20)
    examples = TRAIN + VALIDATION
    X = rng.standard_normal((examples, INPUTS))
    values = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] - 0.5 * X[:, 3] + 0.3 * rng.standard_normal(examples)
    ranks = values.argsort().argsort()
    y = {"classes": ranks % 3, "binary": (ranks >= examples // 2).astype(int), "values": values}[kind]
    start: dict[str, Array] = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise((INPUTS, *HIDDEN, OUTPUTS[kind])), start=1):
        start[f"W{layer}"] = rng.standard_normal((fan_out, fan_in)) * np.sqrt(2 / fan_in)
        start[f"b{layer}"] = 0.2 * rng.standard_normal(fan_out)
    order = np.stack([rng.permutation(TRAIN) for _ in range(EPOCHS)])
    return Problem(kind, X, y, start, order)
