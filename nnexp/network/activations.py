"""Activations: elementwise functions and their derivatives, on whole stacks, in place."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnexp.arrays import Flags, Floats
from nnexp.component import Component, table
from nnexp.errors import require


@dataclass
class Spare:
    """Scratch that an activation may overwrite, of the layer's shape, and zeros that it may only read."""

    floats: Floats  # (K, n, B)
    flags: Flags  # (K, n, B)
    zeros: Floats  # (n, B); the maximum with an array takes half the time of that with the scalar 0


@dataclass(frozen=True, kw_only=True)
class Activation(Component):
    """A = g(Z), elementwise. The derivative is taken from A, so that Z need not be kept.

    `by_sign`: the derivative depends on the sign of A alone, so that dropout may scale A in place.
    Shapes: Z, A, dA (K, n, B).
    """

    by_sign: ClassVar[bool] = False

    @abstractmethod
    def forward(self, Z: Floats, spare: Spare) -> None:
        """Turn Z into A = g(Z), in place."""

    @abstractmethod
    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        """Turn dA into dZ = dA g'(Z), in place."""


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

    def forward(self, Z: Floats, spare: Spare) -> None:
        np.tanh(Z, out=Z)

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        np.multiply(A, A, out=spare.floats)
        np.subtract(A.dtype.type(1), spare.floats, out=spare.floats)
        dA *= spare.floats


@dataclass(frozen=True, kw_only=True)
class ReLU(Activation):
    """Rectified linear unit: g(z) = max(z, 0); g' = 1 where z > 0, else 0.

    Source: Nair & Hinton 2010, section 2. At the kink z = 0 the derivative is taken as 0.
    """

    name: ClassVar[str] = "relu"
    by_sign: ClassVar[bool] = True

    def forward(self, Z: Floats, spare: Spare) -> None:
        np.maximum(Z, spare.zeros, out=Z)

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        np.greater(A, A.dtype.type(0), out=spare.flags)
        dA *= spare.flags


@dataclass(frozen=True, kw_only=True)
class LeakyReLU(Activation):
    """Leaky rectified linear unit: g(z) = z where z > 0, else slope z; g' = 1 where z > 0, else slope.

    Args: slope: of the negative part, in [0, 1].
    Raises: ConfigError if the slope is out of range.
    Source: Maas, Hannun & Ng 2013, section 2. At the kink z = 0 the derivative is taken as the slope.
    """

    name: ClassVar[str] = "leaky_relu"
    by_sign: ClassVar[bool] = True
    slope: float = 0.01

    def __post_init__(self) -> None:
        require(0 <= self.slope <= 1, "leaky_relu: slope", "in [0, 1]", self.slope)

    def forward(self, Z: Floats, spare: Spare) -> None:
        np.multiply(Z, Z.dtype.type(self.slope), out=spare.floats)
        np.maximum(Z, spare.floats, out=Z)

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        # z > 0 exactly where a > 0; the larger of a flag and the slope is 1 or the slope, with no rounding
        np.greater(A, A.dtype.type(0), out=spare.flags)
        np.copyto(spare.floats, spare.flags)
        np.maximum(spare.floats, A.dtype.type(self.slope), out=spare.floats)
        dA *= spare.floats


def sigmoid(Z: Floats) -> None:
    """Turn Z into its logistic function, in place."""
    half = Z.dtype.type(0.5)
    Z *= half
    np.tanh(Z, out=Z)
    Z += Z.dtype.type(1)
    Z *= half


ACTIVATIONS = table(Identity, Sigmoid, Tanh, ReLU, LeakyReLU)
