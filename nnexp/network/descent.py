"""Optimizers that step along a gradient or a mean of gradients, with the same step size everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from nnexp.arrays import Floats
from nnexp.errors import choose
from nnexp.network.optimizer import Column, Field, Optimizer
from nnexp.network.sign import sign

Form = Literal["weighted", "pytorch"]


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Gradient descent: theta <- theta - lr g.

    Args: lr: step size, > 0. weight_decay: coupled, >= 0.
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
    With form `pytorch`, where a step grows with beta1:  m <- beta1 m + g;  theta <- theta - lr m
    Coded as the second, with lr (1 - beta1) for lr in the first.

    Args: lr: step size, > 0. weight_decay: coupled, >= 0. beta1: decay of the mean, in [0, 1). form: `weighted` or
    `pytorch`.
    Raises: ConfigError if a value is out of range.
    Source: Polyak 1964, doi:10.1016/0041-5553(64)90137-5, as an exponentially weighted mean or as a sum.
    """

    name: ClassVar[str] = "momentum"
    lr: float = 0.1
    beta1: float = 0.9
    form: Form = "weighted"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_fraction("beta1")
        choose(f"{self.name}: form", self.form, ("weighted", "pytorch"))

    @property
    def slots(self) -> int:
        return 1

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        beta1 = field("beta1")
        return beta1, lr * (1 - beta1) if self.form == "weighted" else lr

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (M,), (beta1, lr) = slots, c
        M *= beta1
        M += grad
        np.multiply(M, lr, out=spare)
        theta -= spare


@dataclass(frozen=True, kw_only=True)
class Nesterov(Momentum):
    """Nesterov's momentum: steps along the mean of gradients as the next one will have it if the gradient stays.

    m <- beta1 m + (1 - beta1) g;  theta <- theta - lr (beta1 m + (1 - beta1) g)
    With form `pytorch`, where a step grows with beta1:  m <- beta1 m + g;  theta <- theta - lr (beta1 m + g)
    Coded as the second, with lr (1 - beta1) for lr in the first. theta is where the gradient is taken.

    Args: lr: step size, > 0. weight_decay: coupled, >= 0. beta1: decay of the mean, in [0, 1). form: `weighted` or
    `pytorch`.
    Raises: ConfigError if a value is out of range.
    Source: Nesterov 1983; Sutskever et al. 2013, eq. 3 and 4; at the place of the gradient as in Bengio et al. 2013,
    arXiv:1212.0901, eq. 7.
    """

    name: ClassVar[str] = "nesterov"

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (M,), (beta1, lr) = slots, c
        M *= beta1
        M += grad
        np.multiply(M, beta1, out=spare)
        spare += grad
        spare *= lr
        theta -= spare


@dataclass(frozen=True, kw_only=True)
class Lion(Optimizer):
    """Lion: steps of one length everywhere, by the sign of a mean of gradients.

    theta <- theta - lr (sign(beta1 m + (1 - beta1) g) + weight_decay theta);  m <- beta2 m + (1 - beta2) g
    sign(0) = 0. Coded with M = m / (1 - beta2), and both terms in the sign divided by 1 - beta1.

    Args: lr: step size, > 0. weight_decay: decoupled, >= 0. beta1, beta2: decay in the step and of the mean, in [0, 1).
    Raises: ConfigError if a value is out of range.
    Source: Chen et al. 2023, arXiv:2302.06675, Algorithm 2.
    """

    name: ClassVar[str] = "lion"
    lr: float = 0.0001
    beta1: float = 0.9
    beta2: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_fraction("beta1", "beta2")

    @property
    def slots(self) -> int:
        return 1

    @property
    def decoupled(self) -> bool:
        return True

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        beta1, beta2 = field("beta1"), field("beta2")
        return beta1 * (1 - beta2) / (1 - beta1), beta2, lr

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (M,), (weight, beta2, lr) = slots, c
        np.multiply(M, weight, out=spare)
        spare += grad
        sign(spare, out=spare)
        spare *= lr
        theta -= spare
        M *= beta2
        M += grad
