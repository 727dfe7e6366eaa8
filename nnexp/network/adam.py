"""Adam and its relatives: steps along a mean of gradients, divided by the size of the gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nnexp.arrays import Floats
from nnexp.errors import require
from nnexp.network.optimizer import Column, Field, Optimizer


@dataclass(frozen=True, kw_only=True)
class Moments(Optimizer):
    """What Adam's relatives share: two moments of the gradient and how fast they forget."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_fraction("beta1", "beta2")
        self._require_positive("eps")

    @property
    def slots(self) -> int:
        return 2


@dataclass(frozen=True, kw_only=True)
class Adam(Moments):
    """Adam: steps scaled by bias-corrected gradient moments.

    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g²
    theta <- theta - lr m^ / (sqrt(v^) + eps),  m^ = m / (1 - beta1^t),  v^ = v / (1 - beta2^t)
    `amsgrad`: the largest v so far in place of v in v^.
    Coded with M = m / (1 - beta1), V = v / (1 - beta2): 10 passes over memory instead of 14.

    Args: lr: step size, > 0. weight_decay: coupled, >= 0. beta1, beta2: decay of the moments, in [0, 1). eps: > 0,
    added outside the root. amsgrad: never divide by less than before.
    Raises: ConfigError if a value is out of range.
    Source: Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1; amsgrad Reddi, Kale & Kumar 2018, arXiv:1904.09237,
    Algorithm 2, with Adam's corrections as in PyTorch.
    """

    name: ClassVar[str] = "adam"
    lr: float = 0.001
    amsgrad: bool = False

    @property
    def slots(self) -> int:
        return 2 + self.amsgrad

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        # lr c1 M / (c2 sqrt(V) + eps) = lr' M / (sqrt(V) + eps')
        beta1, beta2 = field("beta1"), field("beta2")
        c1, c2 = _corrections(beta1, beta2, t)
        return beta1, beta2, field("eps") / c2, lr * c1 / c2

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (M, V, *peak), (beta1, beta2, eps, lr) = slots, c
        M *= beta1
        M += grad
        V *= beta2
        grad *= grad
        V += grad
        for largest in peak:
            np.maximum(largest, V, out=largest)
            V = largest
        np.sqrt(V, out=spare)
        spare += eps
        np.divide(M, spare, out=spare)
        spare *= lr
        theta -= spare


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """AdamW: Adam with decoupled weight decay.

    theta <- theta - lr weight_decay theta, then Adam's update, of which the decay is no part.

    Args: lr: step size, > 0. weight_decay: decoupled, >= 0. beta1, beta2: decay of the moments, in [0, 1). eps: > 0,
    added outside the root. amsgrad: never divide by less than before.
    Raises: ConfigError if a value is out of range.
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithm 2, with lr in the decay as in PyTorch.
    """

    name: ClassVar[str] = "adamw"
    weight_decay: float = 0.01

    @property
    def decoupled(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class Adamax(Moments):
    """Adamax: steps scaled by the mean of gradients over the largest, slowly forgotten, gradient.

    m <- beta1 m + (1 - beta1) g;  u <- max(beta2 u, |g| + eps);  theta <- theta - lr m^ / u,  m^ = m / (1 - beta1^t)
    Coded with M = m / (1 - beta1).

    Args: lr: step size, > 0. weight_decay: coupled, >= 0. beta1, beta2: decay of the mean and the maximum, in [0, 1).
    eps: > 0, added to the gradient's size.
    Raises: ConfigError if a value is out of range.
    Source: Kingma & Ba 2015, arXiv:1412.6980, Algorithm 2; eps as in PyTorch.
    """

    name: ClassVar[str] = "adamax"
    lr: float = 0.002

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        beta1, beta2 = field("beta1"), field("beta2")
        return beta1, beta2, field("eps"), lr * (1 - beta1) / (1 - _power(beta1, t))

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (M, U), (beta1, beta2, eps, lr) = slots, c
        M *= beta1
        M += grad
        np.abs(grad, out=grad)
        grad += eps
        U *= beta2
        np.maximum(U, grad, out=U)
        np.divide(M, U, out=spare)
        spare *= lr
        theta -= spare


@dataclass(frozen=True, kw_only=True)
class Detachable(Moments):
    """What relatives share whose weight decay may be either."""

    decoupled: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        idle = self.decoupled and not self.weight_decay
        require(not idle, f"{self.name}: decoupled", "false without weight_decay", self.decoupled)


@dataclass(frozen=True, kw_only=True)
class NAdam(Detachable):
    """NAdam: Adam with Nesterov's momentum, which grows towards beta1.

    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g²;  v^ = v / (1 - beta2^t)
    mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2);  p_t = mu_1 … mu_t
    theta <- theta - lr ((1 - mu_t) / (1 - p_t) g + mu_{t+1} / (1 - p_{t+1}) m) / (sqrt(v^) + eps)
    Coded with M = m / (1 - beta1), V = v / (1 - beta2).

    Args: lr: step size, > 0. weight_decay: >= 0. beta1, beta2: decay of the moments, in [0, 1). eps: > 0, added outside
    the root. decoupled: of weight decay, without which it must be false. momentum_decay: how fast mu grows, >= 0.
    Raises: ConfigError if a value is out of range.
    Source: Dozat 2016, Incorporating Nesterov Momentum into Adam, with m corrected as in PyTorch.
    """

    name: ClassVar[str] = "nadam"
    lr: float = 0.002
    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.momentum_decay < np.inf, "nadam: momentum_decay", ">= 0", self.momentum_decay)

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        beta1, beta2, decay = field("beta1"), field("beta2"), field("momentum_decay")
        _, c2 = _corrections(beta1, beta2, t)
        now, following, product = _mu(beta1, decay, t), _mu(beta1, decay, t + 1), _products(beta1, decay, t)
        of_grad = lr * (1 - now) / (1 - product) / c2
        of_mean = lr * following * (1 - beta1) / (1 - product * following) / c2
        return beta1, beta2, field("eps") / c2, of_grad, of_mean

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (M, V), (beta1, beta2, eps, of_grad, of_mean) = slots, c
        M *= beta1
        M += grad
        np.multiply(grad, grad, out=spare)
        V *= beta2
        V += spare
        np.multiply(M, of_mean, out=spare)
        grad *= of_grad
        grad += spare
        np.sqrt(V, out=spare)
        spare += eps
        grad /= spare
        theta -= grad


@dataclass(frozen=True, kw_only=True)
class RAdam(Detachable):
    """RAdam: Adam whose step is rectified by how well v is known, and not divided by v before it is.

    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g²;  m^ = m / (1 - beta1^t)
    rho = 2 / (1 - beta2) - 1;  rho_t = rho - 2 t beta2^t / (1 - beta2^t)
    rho_t > 5:  theta <- theta - lr r_t m^ sqrt(1 - beta2^t) / (sqrt(v) + eps),
                r_t² = (rho_t - 4) (rho_t - 2) rho / ((rho - 4) (rho - 2) rho_t);  otherwise:  theta <- theta - lr m^
    Coded with M = m / (1 - beta1), V = v / (1 - beta2), and a divisor slope sqrt(V) + offset, where the slope is 0 and
    the offset 1 in the second case.

    Args: lr: step size, > 0. weight_decay: >= 0. beta1: decay of the mean, in [0, 1). beta2: of the squares, in (2/3,
    1): below, rho_t never exceeds 5. eps: > 0, added outside the root. decoupled: of weight decay, without which it
    must be false.
    Raises: ConfigError if a value is out of range.
    Source: Liu et al. 2020, arXiv:1908.03265, Algorithm 2; eps as in PyTorch.
    """

    name: ClassVar[str] = "radam"
    lr: float = 0.001

    def __post_init__(self) -> None:
        require(2 / 3 < self.beta2 < 1, "radam: beta2", "in (2/3, 1)", self.beta2)
        super().__post_init__()

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        beta1, beta2 = field("beta1"), field("beta2")
        decayed, last = _power(beta2, t), 2 / (1 - beta2) - 1
        rest = 1 - decayed
        rho = last - 2 * t * decayed / rest
        known = rho > 5
        rho = np.where(known, rho, last)  # of no matter; a root of a negative number would warn
        rectified = np.sqrt((rho - 4) * (rho - 2) * last / ((last - 4) * (last - 2) * rho) * rest / (1 - beta2))
        c1 = (1 - beta1) / (1 - _power(beta1, t))
        offset = np.where(known, field("eps") / np.sqrt(1 - beta2), 1.0)
        return beta1, beta2, known.astype(float), offset, lr * c1 * np.where(known, rectified, 1.0)

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (M, V), (beta1, beta2, slope, offset, lr) = slots, c
        M *= beta1
        M += grad
        V *= beta2
        grad *= grad
        V += grad
        np.sqrt(V, out=spare)
        spare *= slope
        spare += offset
        np.divide(M, spare, out=spare)
        spare *= lr
        theta -= spare


def _corrections(beta1: Column, beta2: Column, t: Column) -> tuple[Column, Column]:
    """Return m^ / M and sqrt(v^ / V)."""
    return (1 - beta1) / (1 - _power(beta1, t)), np.sqrt((1 - beta2) / (1 - _power(beta2, t)))


def _power(base: Column | float, exponent: Column) -> Column:
    """Return base^exponent, each number by itself.

    `np.power` squares where a whole loop has the exponent 2, and which loops have one depends on how many replicas
    there are: the last bits of its results did, too.
    """
    return np.float_power(base, exponent)


def _mu(beta1: Column, decay: Column, t: Column) -> Column:
    return beta1 * (1 - 0.5 * _power(0.96, t * decay))


def _products(beta1: Column, decay: Column, t: Column) -> Column:
    """Return mu_1 … mu_t for steps t in a row, always multiplied from step 1 on; 0 where 1 - it is 1 to all digits."""
    largest = float(beta1.max())
    felt = 1 if largest == 0 else math.ceil(-64 * math.log(2) / math.log(largest))  # mu <= beta1
    steps = np.arange(1, min(float(t[-1, 0, 0]), felt) + 1)[:, None, None]
    products = np.multiply.accumulate(_mu(beta1, decay, steps), axis=0)
    found = np.zeros((len(t), *products.shape[1:]))
    within = products[int(t[0, 0, 0]) - 1 :]
    found[: len(within)] = within
    return found
