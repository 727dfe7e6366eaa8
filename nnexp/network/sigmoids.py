"""Activations that end on both sides, identity, and softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnexp.arrays import Floats
from nnexp.network.activation import Activation, Spare, sigmoid


@dataclass(frozen=True, kw_only=True)
class Identity(Activation):
    """Identity: g(z) = z; g'(z) = 1."""

    name: ClassVar[str] = "identity"
    by_sign: ClassVar[bool] = True

    def forward(self, Z: Floats, spare: Spare) -> None:
        pass

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class Sigmoid(Activation):
    """Logistic function: g(z) = 1 / (1 + exp(-z)), computed as (1 + tanh(z / 2)) / 2; g' = a (1 - a).

    The form with tanh overflows nowhere.
    """

    name: ClassVar[str] = "sigmoid"

    def forward(self, Z: Floats, spare: Spare) -> None:
        sigmoid(Z)

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        np.multiply(A, A, out=spare.floats)
        np.subtract(A, spare.floats, out=spare.floats)
        dA *= spare.floats


@dataclass(frozen=True, kw_only=True)
class Tanh(Activation):
    """Hyperbolic tangent: g(z) = tanh(z); g' = 1 - a²."""

    name: ClassVar[str] = "tanh"

    @property
    def gain(self) -> float:
        return 5 / 3

    def forward(self, Z: Floats, spare: Spare) -> None:
        np.tanh(Z, out=Z)

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        np.multiply(A, A, out=spare.floats)
        np.subtract(A.dtype.type(1), spare.floats, out=spare.floats)
        dA *= spare.floats


@dataclass(frozen=True, kw_only=True)
class Softsign(Activation):
    """Softsign: g(z) = z / (1 + |z|); g' = (1 - |a|)².

    Source: Bergstra et al. 2009, section 2; Glorot & Bengio 2010, section 3.
    """

    name: ClassVar[str] = "softsign"

    @property
    def gain(self) -> float:
        return 2.3375333631085393

    def forward(self, Z: Floats, spare: Spare) -> None:
        np.abs(Z, out=spare.floats)
        spare.floats += Z.dtype.type(1)
        Z /= spare.floats

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        np.abs(A, out=spare.floats)
        np.subtract(A.dtype.type(1), spare.floats, out=spare.floats)
        dA *= spare.floats
        dA *= spare.floats


@dataclass(frozen=True, kw_only=True)
class HardSigmoid(Activation):
    """Piecewise linear sigmoid: g(z) = min(max(z + 3, 0), 6) / 6; g' = 1 / 6 where 0 < a < 1, else 0.

    Source: Howard et al. 2019, arXiv:1905.02244, section 5.2; Courbariaux et al. 2015 has another slope, 1 / 2.
    """

    name: ClassVar[str] = "hard_sigmoid"

    @property
    def kinks(self) -> tuple[float, ...]:
        return (-3.0, 3.0)

    def forward(self, Z: Floats, spare: Spare) -> None:
        Z += Z.dtype.type(3)
        np.clip(Z, Z.dtype.type(0), Z.dtype.type(6), out=Z)
        Z /= Z.dtype.type(6)

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        np.multiply(A, A, out=spare.floats)
        np.less(spare.floats, A, out=spare.flags)  # a² < a exactly where 0 < a < 1
        np.copyto(spare.floats, spare.flags)
        spare.floats *= A.dtype.type(1 / 6)
        dA *= spare.floats


@dataclass(frozen=True, kw_only=True)
class Softmax(Activation):
    """Softmax over a layer's units: a_i = exp(z_i) / sum_j exp(z_j);  dz_i = a_i (da_i - sum_j a_j da_j).

    Each example's logits are shifted by their maximum, so no finite logit overflows.
    Source: Bishop 2006, equations 4.104 and 4.106.
    """

    name: ClassVar[str] = "softmax"
    elementwise: ClassVar[bool] = False

    def forward(self, Z: Floats, spare: Spare) -> None:
        np.maximum.reduce(Z, axis=1, keepdims=True, out=spare.reduced)
        Z -= spare.reduced
        np.exp(Z, out=Z)
        np.add.reduce(Z, axis=1, keepdims=True, out=spare.reduced)
        Z /= spare.reduced

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        np.multiply(dA, A, out=spare.floats)
        np.add.reduce(spare.floats, axis=1, keepdims=True, out=spare.reduced)
        dA -= spare.reduced
        dA *= A
