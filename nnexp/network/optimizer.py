"""What every optimizer is: how a gradient moves the parameters.

An optimizer is three things. `slots` says how many arrays of the parameters' shape it keeps. `coefficients` turns the
replicas' hyperparameters into the few numbers a step needs, for many steps at once. `update` applies them to a block of
rows, in place, in as few passes over memory as possible: that is why moments are kept unnormalised, as sums instead of
means, and their constants moved into the coefficients.

Replicas of one `structure` are updated together, by one of them: it may read its options from itself, but numbers only
through `field`, which has a column of them, one a replica. Weight decay is not the optimizers' business: `update.py`
applies it before `update`, as `decoupled` says.

A schedule may take lr to 0, where theta must stay, so nothing is divided by lr.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Floats
from nnexp.component import Component
from nnexp.errors import require

Column = NDArray[np.float64]  # (K, 1) for a hyperparameter, (S, K, 1) for what changes each step; K may be 1 for all
Field = Callable[[str], Column]


@dataclass(frozen=True, kw_only=True)
class Optimizer(Component):
    """theta <- theta - an update made of gradients.

    weight_decay pulls every parameter, biases too, towards 0: coupled, g <- g + weight_decay theta, or, where an
    optimizer says that it is decoupled, theta <- theta - lr weight_decay theta before the update. Unlike `l2.strength`
    it is no part of the cost, is not divided by the batch size and does not spare biases.

    Args: lr: step size, > 0. weight_decay: >= 0; 0 is off.
    Shapes: theta, grad, each slot, spare (rows, P); a coefficient (rows, 1), or a scalar where all replicas agree.
    Source: of decoupled weight decay Loshchilov & Hutter 2019, arXiv:1711.05101.
    """

    lr: float
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        self._require_positive("lr")
        require(0 <= self.weight_decay < np.inf, f"{self.name}: weight_decay", ">= 0", self.weight_decay)

    @property
    def slots(self) -> int:
        """How many arrays of the parameters' shape it keeps; they start at 0."""
        return 0

    @property
    def decoupled(self) -> bool:
        """Whether weight decay acts on theta itself instead of through the gradient."""
        return False

    @property
    def structure(self) -> tuple[Any, ...]:
        """What replicas that are updated together have in common: class, options, and which of their parts are on."""
        values = [getattr(self, field.name) for field in fields(self)]
        return type(self), *(value for value in values if not isinstance(value, float)), self.weight_decay > 0

    @property
    def rest(self) -> Optimizer | None:
        """What updates all but the weight matrices of hidden layers, where `update` is for those; None: it is for all.

        A matrix comes with the replica axis in front, and four arrays of its shape to spare.
        """
        return None

    def product_flops(self, hidden: Sequence[tuple[int, int]]) -> int:
        """Return the floating-point operations of a step's products of matrices; hidden: shapes of hidden weights."""
        return 0

    @abstractmethod
    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        """Return the numbers that steps t (S, 1, 1), counted from 1, need; lr is (S, K, 1), after the schedule."""

    @abstractmethod
    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        """Move theta by one step, in place. The gradient and the spare may be overwritten."""

    def _require_fraction(self, *fields: str) -> None:
        for field in fields:
            require(0 <= getattr(self, field) < 1, f"{self.name}: {field}", "in [0, 1)", getattr(self, field))

    def _require_positive(self, *fields: str) -> None:
        for field in fields:
            require(0 < getattr(self, field) < np.inf, f"{self.name}: {field}", "> 0", getattr(self, field))
