"""Optimizers: how a gradient moves the parameters.

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
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Floats
from nnexp.component import Component, table
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
        require(0 < self.lr < np.inf, f"{self.name}: lr", "> 0", self.lr)
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

    @abstractmethod
    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        """Return the numbers that steps t (S, 1, 1), counted from 1, need; lr is (S, K, 1), after the schedule."""

    @abstractmethod
    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        """Move theta by one step, in place. The gradient and the spare may be overwritten."""

    def _require_fraction(self, *fields: str) -> None:
        for field in fields:
            require(0 <= getattr(self, field) < 1, f"{self.name}: {field}", "in [0, 1)", getattr(self, field))


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Gradient descent: theta <- theta - lr g.

    Args: lr: step size, > 0.
    Raises: ConfigError if a value is out of range.
    """

    name: ClassVar[str] = "sgd"
    lr: float = 0.1

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        return (lr,)

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (lr,) = c
        np.multiply(grad, lr, out=spare)
        theta -= spare


@dataclass(frozen=True, kw_only=True)
class Momentum(Optimizer):
    """Momentum: steps along an exponentially weighted mean of gradients.

    m <- beta1 m + (1 - beta1) g;  theta <- theta - lr m
    Coded with M = m / (1 - beta1). PyTorch's momentum has no factor (1 - beta1): its lr is this lr times (1 - beta1).

    Args: lr: step size, > 0. beta1: decay of the mean, in [0, 1).
    Raises: ConfigError if a value is out of range.
    Source: Polyak 1964, doi:10.1016/0041-5553(64)90137-5, as an exponentially weighted mean.
    """

    name: ClassVar[str] = "momentum"
    lr: float = 0.1
    beta1: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_fraction("beta1")

    @property
    def slots(self) -> int:
        return 1

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        beta1 = field("beta1")
        return beta1, lr * (1 - beta1)

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (M,), (beta1, lr) = slots, c
        M *= beta1
        M += grad
        np.multiply(M, lr, out=spare)
        theta -= spare


@dataclass(frozen=True, kw_only=True)
class RMSprop(Optimizer):
    """RMSprop: steps divided by the root of an exponentially weighted mean of squared gradients.

    v <- beta2 v + (1 - beta2) g²;  theta <- theta - lr g / sqrt(v + eps)
    Coded with V = v / (1 - beta2). eps is inside the root, as in the systems that nnexp grew out of; PyTorch adds it
    outside.

    Args: lr: step size, > 0. beta2: decay of the mean, in [0, 1). eps: > 0.
    Raises: ConfigError if a value is out of range.
    Source: Tieleman & Hinton 2012, Neural Networks for Machine Learning, lecture 6e.
    """

    name: ClassVar[str] = "rmsprop"
    lr: float = 0.001
    beta2: float = 0.9
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_fraction("beta2")
        require(0 < self.eps < np.inf, "rmsprop: eps", "> 0", self.eps)

    @property
    def slots(self) -> int:
        return 1

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        # lr / sqrt((1 - beta2) V + eps) = lr' / sqrt(V + eps'), which saves a pass
        beta2 = field("beta2")
        return beta2, field("eps") / (1 - beta2), lr / np.sqrt(1 - beta2)

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (V,), (beta2, eps, lr) = slots, c
        np.multiply(grad, grad, out=spare)
        V *= beta2
        V += spare
        np.add(V, eps, out=spare)
        np.sqrt(spare, out=spare)
        np.divide(grad, spare, out=spare)
        spare *= lr
        theta -= spare


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam: steps scaled by bias-corrected gradient moments.

    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g²
    theta <- theta - lr m^ / (sqrt(v^) + eps),  m^ = m / (1 - beta1^t),  v^ = v / (1 - beta2^t)
    Coded with M = m / (1 - beta1), V = v / (1 - beta2): 10 passes over memory instead of 14.

    Args: lr: step size, > 0. beta1, beta2: decay of the moments, in [0, 1). eps: > 0, added outside the root.
    Raises: ConfigError if a value is out of range.
    Source: Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1.
    """

    name: ClassVar[str] = "adam"
    lr: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_fraction("beta1", "beta2")
        require(0 < self.eps < np.inf, "adam: eps", "> 0", self.eps)

    @property
    def slots(self) -> int:
        return 2

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        # lr c1 M / (c2 sqrt(V) + eps) = lr' M / (sqrt(V) + eps')
        beta1, beta2 = field("beta1"), field("beta2")
        c1 = (1 - beta1) / (1 - beta1**t)
        c2 = np.sqrt((1 - beta2) / (1 - beta2**t))
        return beta1, beta2, field("eps") / c2, lr * c1 / c2

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (M, V), (beta1, beta2, eps, lr) = slots, c
        M *= beta1
        M += grad
        V *= beta2
        grad *= grad
        V += grad
        np.sqrt(V, out=spare)
        spare += eps
        np.divide(M, spare, out=spare)
        spare *= lr
        theta -= spare


OPTIMIZERS = table("optimizer", SGD, Momentum, RMSprop, Adam)
