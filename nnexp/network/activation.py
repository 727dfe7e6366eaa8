"""What every activation is: a function of a layer's units and its derivative, on whole stacks, in place."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nnexp.arrays import Flags, Floats
from nnexp.component import Component


@dataclass
class Spare:
    """Scratch of a layer's shape that an activation may overwrite, and zeros that it may only read.

    Layers share all of it but the slope: g'(Z), kept from forward to backward by activations that say so; None where
    there is no backward pass.
    """

    floats: Floats  # (K, n, B)
    more: Floats  # (K, n, B)
    reduced: Floats  # (K, 1, B)
    flags: Flags  # (K, n, B)
    zeros: Floats  # (n, B); the maximum with an array takes half the time of that with the scalar 0
    slope: Floats | None = None  # (K, n, B)

    @classmethod
    def of(cls, shape: tuple[int, int, int], dtype: np.dtype[Any], *, slope: bool = False) -> Spare:
        """Return scratch of its own for a layer."""
        K, n, B = shape
        floats, more, reduced = np.empty(shape, dtype), np.empty(shape, dtype), np.empty((K, 1, B), dtype)
        kept = np.empty(shape, dtype) if slope else None
        return cls(floats, more, reduced, np.empty(shape, np.bool_), np.zeros((n, B), dtype), kept)


@dataclass(frozen=True, kw_only=True)
class Activation(Component):
    """A = g(Z). The derivative is taken from A where A determines it, so that Z need not be kept.

    `by_sign`: the derivative depends on the sign of A alone, so that dropout may scale A in place. `keeps_slope`: A
    does not determine the derivative; forward leaves it in the layer's slope. `elementwise`: each unit for itself.
    Shapes: Z, A, dA (K, n, B).
    """

    by_sign: ClassVar[bool] = False
    keeps_slope: ClassVar[bool] = False
    elementwise: ClassVar[bool] = True

    @property
    def gain(self) -> float:
        """What weights are multiplied by, where an initializer asks, to make up for what the activation takes.

        As torch.nn.init.calculate_gain has it, for the activations it knows; else 1 / sqrt(E[g(z)²]), z ~ N(0, 1), for
        those that are centred or rectify, which keeps the mean square of a layer; 1 for the rest.
        """
        return 1.0

    @property
    def kinks(self) -> tuple[float, ...]:
        """The z where the derivative jumps."""
        return ()

    @abstractmethod
    def forward(self, Z: Floats, spare: Spare) -> None:
        """Turn Z into A = g(Z), in place."""

    @abstractmethod
    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        """Turn dA into dZ = dA g'(Z), in place."""


@dataclass(frozen=True, kw_only=True)
class Sloped(Activation):
    """An activation whose derivative is kept by forward, where there is a backward pass."""

    keeps_slope: ClassVar[bool] = True

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        assert spare.slope is not None
        dA *= spare.slope


def sigmoid(Z: Floats) -> None:
    """Turn Z into its logistic function, in place."""
    half = Z.dtype.type(0.5)
    Z *= half
    np.tanh(Z, out=Z)
    Z += Z.dtype.type(1)
    Z *= half
