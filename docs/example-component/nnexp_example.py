"""Two components for nnexp: the optimizer `signum` and the activation `squared_relu`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nnexp.arrays import Floats
from nnexp.errors import require
from nnexp.network.activations import Activation, Spare
from nnexp.network.optimizer import Column, Field, Optimizer


@dataclass(frozen=True, kw_only=True)
class Signum(Optimizer):
    """Signum: steps of one size along the signs of an exponentially weighted mean of gradients.

    m <- beta1 m + (1 - beta1) g;  theta <- theta - lr sign(m)
    Coded with M = m / (1 - beta1), which has the same sign. beta1 = 0 is signSGD.

    Args: lr: step size, > 0. weight_decay: >= 0, coupled. beta1: decay of the mean, in [0, 1).
    Raises: ConfigError if a value is out of range.
    Source: Bernstein et al. 2018, arXiv:1802.04434, Algorithm 2.
    """

    name: ClassVar[str] = "signum"
    lr: float = 0.001
    beta1: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.beta1 < 1, "signum: beta1", "in [0, 1)", self.beta1)

    @property
    def slots(self) -> int:
        return 1

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        return field("beta1"), lr

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (M,), (beta1, lr) = slots, c
        M *= beta1
        M += grad
        np.sign(M, out=spare)
        spare *= lr
        theta -= spare


@dataclass(frozen=True, kw_only=True)
class SquaredReLU(Activation):
    """Squared rectifier: g(z) = max(z, 0)²; g'(z) = 2 max(z, 0), which is 2 sqrt(a).

    Source: So et al. 2021, arXiv:2109.08668, section 3.
    """

    name: ClassVar[str] = "squared_relu"

    @property
    def gain(self) -> float:
        return math.sqrt(2 / 3)  # E[g(z)²] is half the fourth moment of z ~ N(0, 1), which is 3

    def forward(self, Z: Floats, spare: Spare) -> None:
        np.maximum(Z, spare.zeros, out=Z)
        Z *= Z

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        np.sqrt(A, out=spare.floats)
        spare.floats *= A.dtype.type(2)
        dA *= spare.floats
