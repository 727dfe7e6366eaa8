"""The problem that both sides learn: a few examples of each kind of target, and the weights that both start from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nnexp.data.prepared import Data, from_arrays

Kind = Literal["classes", "binary", "values", "several", "multi", "probabilities"]
Array = NDArray[np.float64]

TRAIN, VALIDATION = 12, 6
INPUTS, HIDDEN = 4, (5, 4)
OUTPUTS: dict[Kind, int] = {"classes": 3, "binary": 1, "values": 1, "several": 3, "multi": 3, "probabilities": 3}
CLASSES: dict[Kind, int | None] = {"classes": 3, "binary": 2, "probabilities": 3}
EPOCHS = 20


@dataclass(frozen=True)
class Problem:
    """Inputs (N, 4) and targets (N,) or (N, 3) of both parts, the training part first.

    start: weights (n_out, n_in) and biases (n_out,). order: the training examples of each epoch, (epochs, 12). weights:
    of the examples, (N,), for the cases that have them.
    """

    kind: Kind
    X: Array
    y: NDArray[Any]
    start: dict[str, Array]
    order: NDArray[np.intp]

    @property
    def weights(self) -> Array:
        """One of each part weighs nothing."""
        places = np.arange(len(self.X))
        return np.where(places % TRAIN == 0, 0.0, 0.5 + places % 4)

    def data(self, *, weighted: bool) -> Data:
        """Return the examples as nnexp's data."""
        cuts = (slice(TRAIN), slice(TRAIN, None))
        more: dict[str, Any] = {"weights": [self.weights[cut] for cut in cuts]} if weighted else {}
        if self.kind == "multi":
            more["multi_label"] = True
        parts = [(self.X[cut], self.y[cut]) for cut in cuts]
        return from_arrays(*parts, classes=CLASSES.get(self.kind), dtype="float64", **more)


@cache
def problem(kind: Kind) -> Problem:
    """Return the problem of a kind of target. The generator's stream never changes, so that goldens stay true."""
    rng = np.random.RandomState(20)
    examples = TRAIN + VALIDATION
    X = rng.standard_normal((examples, INPUTS))
    values = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] - 0.5 * X[:, 3] + 0.3 * rng.standard_normal(examples)
    ranks = values.argsort().argsort()
    several = np.stack([values, X[:, 0] * X[:, 3], np.cos(X[:, 1])], axis=1)
    y: dict[Kind, NDArray[Any]] = {
        "classes": ranks % 3,
        "binary": (ranks >= examples // 2).astype(int),
        "values": values,
        "several": several,
        "multi": (several > np.median(several, axis=0)).astype(float),
        "probabilities": np.exp(several) / np.exp(several).sum(axis=1, keepdims=True),
    }
    start: dict[str, Array] = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise((INPUTS, *HIDDEN, OUTPUTS[kind])), start=1):
        start[f"W{layer}"] = rng.standard_normal((fan_out, fan_in)) * np.sqrt(2 / fan_in)
        start[f"b{layer}"] = 0.2 * rng.standard_normal(fan_out)
    order = np.stack([rng.permutation(TRAIN) for _ in range(EPOCHS)])
    return Problem(kind, X, y[kind], start, order)
