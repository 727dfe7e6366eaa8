"""Optimizers that divide each parameter's step by the size of its gradients, without a mean of the gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nnexp.arrays import Floats
from nnexp.network.optimizer import Column, Field, Optimizer


@dataclass(frozen=True, kw_only=True)
class Adagrad(Optimizer):
    """Adagrad: steps divided by the root of the sum of all squared gradients so far.

    v <- v + g²;  theta <- theta - lr g / (sqrt(v) + eps)

    Args: lr: step size, > 0. weight_decay: coupled, >= 0. eps: > 0, added outside the root.
    Raises: ConfigError if a value is out of range.
    Source: Duchi, Hazan & Singer 2011, JMLR 12:2121-2159, the diagonal form of section 1.1; eps as in PyTorch.
    """

    name: ClassVar[str] = "adagrad"
    lr: float = 0.01
    eps: float = 1e-10

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_positive("eps")

    @property
    def slots(self) -> int:
        return 1

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        return field("eps"), lr

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (V,), (eps, lr) = slots, c
        np.multiply(grad, grad, out=spare)
        V += spare
        np.sqrt(V, out=spare)
        spare += eps
        np.divide(grad, spare, out=spare)
        spare *= lr
        theta -= spare


@dataclass(frozen=True, kw_only=True)
class Adadelta(Optimizer):
    """Adadelta: steps in the parameters' own units, by the root mean squares of past steps and of gradients.

    v <- rho v + (1 - rho) g²;  d = g sqrt(u + eps) / sqrt(v + eps)
    u <- rho u + (1 - rho) d²;  theta <- theta - lr d
    Coded with U = u / (1 - rho) and V = (v + eps) / (1 - rho): with eps in the slot, one root does for both.

    Args: lr: factor on the step, > 0. weight_decay: coupled, >= 0. rho: decay of both means, in [0, 1). eps: > 0,
    inside the roots; the first steps grow with it.
    Raises: ConfigError if a value is out of range.
    Source: Zeiler 2012, arXiv:1212.5701, Algorithm 1.
    """

    name: ClassVar[str] = "adadelta"
    lr: float = 1.0
    rho: float = 0.9
    eps: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_fraction("rho")
        self._require_positive("eps")

    @property
    def slots(self) -> int:
        return 2

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        rho, eps = field("rho"), field("eps")
        return rho, eps / (1 - rho), np.where(t == 1, eps / (1 - rho), eps), lr  # V starts at 0, not at eps / (1 - rho)

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (U, V), (rho, eps, renewed, lr) = slots, c
        np.multiply(grad, grad, out=spare)
        spare += renewed
        V *= rho
        V += spare
        np.add(U, eps, out=spare)
        spare /= V
        np.sqrt(spare, out=spare)
        grad *= spare
        np.multiply(grad, grad, out=spare)
        U *= rho
        U += spare
        grad *= lr
        theta -= grad


@dataclass(frozen=True, kw_only=True)
class RMSprop(Optimizer):
    """RMSprop: steps divided by the root of an exponentially weighted mean of squared gradients.

    v <- beta2 v + (1 - beta2) g²;  theta <- theta - lr g / sqrt(v + eps)
    Not `eps_inside`:  theta <- theta - lr g / (sqrt(v) + eps)
    With momentum > 0, and r for what lr stands before:  b <- momentum b + r;  theta <- theta - lr b
    `centered`: v - m² for v, where m <- beta2 m + (1 - beta2) g. This variance is kept itself, which cannot become
    negative by rounding, as the difference can: it is beta2 (variance + (1 - beta2) (g - m)²), with m as it was.
    Coded with the mean divided by 1 - beta2, the variance by beta2 / (1 - beta2).

    Args: lr: step size, > 0. weight_decay: coupled, >= 0. beta2: decay of the means, in [0, 1). eps: > 0. momentum:
    decay of the sum of steps, in [0, 1); 0 is off. centered: divide by the root of the variance. eps_inside: inside
    the root, as in the systems that nnexp grew out of; outside as in PyTorch, whose `alpha` is beta2.
    Raises: ConfigError if a value is out of range.
    Source: Tieleman & Hinton 2012, Neural Networks for Machine Learning, lecture 6e; centred, with momentum and eps
    inside Graves 2013, arXiv:1308.0850, eq. 38 to 45.
    """

    name: ClassVar[str] = "rmsprop"
    lr: float = 0.001
    beta2: float = 0.9
    eps: float = 1e-8
    momentum: float = 0.0
    centered: bool = False
    eps_inside: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_fraction("beta2", "momentum")
        self._require_positive("eps")

    @property
    def slots(self) -> int:
        return 1 + (self.momentum > 0) + self.centered

    @property
    def structure(self) -> tuple[Any, ...]:
        return *super().structure, self.momentum > 0

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        beta2, eps = field("beta2"), field("eps")
        rest = 1 - beta2
        if self.centered:
            return beta2, eps, lr, field("momentum"), rest, beta2 / rest
        # lr / sqrt((1 - beta2) V + eps) = lr' / sqrt(V + eps'), which saves a pass
        return beta2, eps / (rest if self.eps_inside else np.sqrt(rest)), lr / np.sqrt(rest), field("momentum")

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        beta2, eps, lr, momentum, *of_variance = c
        renew = _renew_variance if self.centered else _renew_squares
        size = renew(grad, slots[self.momentum > 0 :], (beta2, *of_variance), spare)
        if self.eps_inside:
            np.add(size, eps, out=spare)
            np.sqrt(spare, out=spare)
        else:
            np.sqrt(size, out=spare)
            spare += eps
        np.divide(grad, spare, out=spare)
        if self.momentum > 0:
            B = slots[0]
            B *= momentum
            B += spare
            np.multiply(B, lr, out=spare)
        else:
            spare *= lr
        theta -= spare


def _renew_squares(grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> Floats:
    """Renew the sum of squared gradients and return it."""
    (V,), (beta2,) = slots, c
    np.multiply(grad, grad, out=spare)
    V *= beta2
    V += spare
    return V


def _renew_variance(grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> Floats:
    """Renew the mean and the variance of gradients, and return the variance in the spare."""
    (m, V), (beta2, rest, scale) = slots, c
    np.subtract(grad, m, out=spare)
    spare *= rest
    m += spare
    spare *= spare
    V *= beta2
    V += spare
    np.multiply(V, scale, out=spare)
    return spare
