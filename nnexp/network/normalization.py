"""Normalization: hidden units brought to mean 0 and variance 1 before their activation.

A normalized layer computes U = W A, normalizes U to N, and goes on with Z = gamma N + b: the bias comes after the
normalization, which would take it away, and each unit has a scale gamma, which starts at 1.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnexp.arrays import Floats
from nnexp.component import Component, table
from nnexp.errors import require


@dataclass(frozen=True)
class Scales:
    """A hidden layer's part in a normalization, as views of the stack's arrays.

    gamma, bias: (K, n). dgamma, dbias: their gradients, None where there is no backward pass. statistics: (K, s, n),
    None where the normalization keeps none.
    """

    gamma: Floats
    bias: Floats
    dgamma: Floats | None
    dbias: Floats | None
    statistics: Floats | None


class Normalizer:
    """The buffers of one normalized layer for batches of one size.

    Sums over the examples, and over the units, are products with ones: `np.add.reduce` takes 4 to 10 times as long.

    Args: eps: inside the root. scales: the layer's. shape: of its units, (K, n, B).
    """

    def __init__(self, eps: float, scales: Scales, shape: tuple[int, int, int]) -> None:
        self.scales, dtype, (K, n, B) = scales, scales.gamma.dtype, shape
        self.eps, self.one = dtype.type(eps), dtype.type(1)
        self.trains = scales.dgamma is not None
        self.gamma, self.bias = scales.gamma[:, :, None], scales.bias[:, :, None]
        self.over_examples: Floats = np.ones((B, 1), dtype)
        self.over_units: Floats = np.ones((1, n), dtype)
        self.column: Floats = np.empty((K, n, 1), dtype)
        self.spare: Floats = np.empty(shape, dtype)
        self.centred: Floats = np.empty(shape if self.trains else 0, dtype)

    @abstractmethod
    def forward(self, U: Floats) -> None:
        """Turn U into Z = gamma N + b, in place; while training, keep what backward needs."""

    @abstractmethod
    def backward(self, dZ: Floats) -> None:
        """Fill the gradients of gamma and bias, and turn dZ into dU, in place."""

    def invert(self, variance: Floats) -> None:
        """Turn a variance into 1 / sqrt(variance + eps), in place."""
        variance += self.eps
        np.sqrt(variance, out=variance)
        np.divide(self.one, variance, out=variance)


@dataclass(frozen=True, kw_only=True)
class Normalization(Component):
    """Hidden units are activated as they are: Z = W A + b.

    `scales`: whether hidden units have a gamma. `statistics`: names of what is kept of each hidden unit, and the value
    it starts from.
    """

    name: ClassVar[str] = "none"
    scales: ClassVar[bool] = False
    statistics: ClassVar[Mapping[str, float]] = {}

    def normalizer(self, scales: Scales, shape: tuple[int, int, int]) -> Normalizer | None:
        """Return the buffers for one hidden layer's units (K, n, B); None where nothing is normalized."""
        return None


class _OverExamples(Normalizer):
    """Normalizes each unit over the examples of the mini-batch; at evaluation by the running statistics."""

    def __init__(self, momentum: float, eps: float, scales: Scales, shape: tuple[int, int, int]) -> None:
        super().__init__(eps, scales, shape)
        assert scales.statistics is not None
        self.statistics, (K, n, B) = scales.statistics, shape
        real = self.spare.dtype.type
        self.share, self.rest, self.momentum = real(1 / B), real(1 - momentum), real(momentum)
        self.unbiased = real(momentum / max(B - 1, 1))  # of the sum of squares
        self.inverse, self.scale, self.sums = np.empty((3, K, n, 1), self.spare.dtype)

    def forward(self, U: Floats) -> None:
        if not self.trains:
            self._evaluate(U)
            return
        column, inverse, (mean, variance) = self.column, self.inverse, self.statistics.swapaxes(0, 1)
        self.statistics *= self.rest
        np.matmul(U, self.over_examples, out=column)
        column *= self.share
        np.subtract(U, column, out=self.centred)
        column *= self.momentum
        mean += column[:, :, 0]
        np.vecdot(self.centred, self.centred, out=inverse[:, :, 0])
        np.multiply(inverse, self.unbiased, out=column)
        variance += column[:, :, 0]
        inverse *= self.share
        self.invert(inverse)
        np.multiply(inverse, self.gamma, out=self.scale)
        np.multiply(self.centred, self.scale, out=U)
        U += self.bias

    def _evaluate(self, U: Floats) -> None:
        np.copyto(self.scale, self.statistics[:, 1, :, None])
        self.invert(self.scale)
        self.scale *= self.gamma
        np.multiply(self.statistics[:, 0, :, None], self.scale, out=self.column)
        np.subtract(self.bias, self.column, out=self.column)
        U *= self.scale
        U += self.column

    def backward(self, dZ: Floats) -> None:
        # dU = scale (dZ - mean_B(dZ) - C mean_B(dZ C) / (var + eps)),  C = U - mean, scale = gamma / sqrt(var + eps)
        assert self.scales.dgamma is not None
        assert self.scales.dbias is not None
        column, sums = self.column, self.sums
        np.matmul(dZ, self.over_examples, out=sums)
        np.copyto(self.scales.dbias, sums[:, :, 0])
        np.vecdot(dZ, self.centred, out=column[:, :, 0])
        column *= self.inverse
        np.copyto(self.scales.dgamma, column[:, :, 0])
        column *= self.inverse
        column *= self.share
        np.multiply(self.centred, column, out=self.spare)
        dZ -= self.spare
        sums *= self.share
        dZ -= sums
        dZ *= self.scale


class _OverUnits(Normalizer):
    """Normalizes each example over the units of the layer."""

    def __init__(self, eps: float, scales: Scales, shape: tuple[int, int, int]) -> None:
        super().__init__(eps, scales, shape)
        K, n, B = shape
        self.share = self.spare.dtype.type(1 / n)
        self.inverse, self.row = np.empty((2, K, 1, B), self.spare.dtype)

    def forward(self, U: Floats) -> None:
        N = self.centred if self.trains else U
        np.matmul(self.over_units, U, out=self.row)
        self.row *= self.share
        np.subtract(U, self.row, out=N)
        np.multiply(N, N, out=self.spare)
        np.matmul(self.over_units, self.spare, out=self.inverse)
        self.inverse *= self.share
        self.invert(self.inverse)
        N *= self.inverse
        np.multiply(N, self.gamma, out=U)
        U += self.bias

    def backward(self, dZ: Floats) -> None:
        # dU = (dN - mean_n(dN) - N mean_n(dN N)) / sqrt(var + eps),  dN = gamma dZ
        assert self.scales.dgamma is not None
        assert self.scales.dbias is not None
        N, row = self.centred, self.row  # centred and divided
        np.vecdot(dZ, N, out=self.scales.dgamma)
        np.matmul(dZ, self.over_examples, out=self.column)
        np.copyto(self.scales.dbias, self.column[:, :, 0])
        dZ *= self.gamma
        np.multiply(dZ, N, out=self.spare)
        np.matmul(self.over_units, self.spare, out=row)
        row *= self.share
        np.multiply(N, row, out=self.spare)
        np.matmul(self.over_units, dZ, out=row)
        row *= self.share
        dZ -= row
        dZ -= self.spare
        dZ *= self.inverse


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Normalization):
    """Batch normalization: Z = gamma (U - mean) / sqrt(var + eps) + b,  U = W A.

    Mean and variance are a unit's over the mini-batch while training; at evaluation, their running means:
    running <- (1 - momentum) running + momentum batch's, with the unbiased variance; they start at 0 and 1. A
    mini-batch of one example normalizes to 0.

    Args: momentum: weight of the newest batch in the running means, in (0, 1]. eps: > 0, inside the root.
    Raises: ConfigError if a value is out of range.
    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithms 1 and 2; momentum as in PyTorch.
    """

    name: ClassVar[str] = "batch_norm"
    scales: ClassVar[bool] = True
    statistics: ClassVar[Mapping[str, float]] = {"mean": 0.0, "variance": 1.0}
    momentum: float = 0.1
    eps: float = 1e-5

    def __post_init__(self) -> None:
        require(0 < self.momentum <= 1, "batch_norm: momentum", "in (0, 1]", self.momentum)
        require(0 < self.eps < np.inf, "batch_norm: eps", "> 0", self.eps)

    def normalizer(self, scales: Scales, shape: tuple[int, int, int]) -> Normalizer:
        return _OverExamples(self.momentum, self.eps, scales, shape)


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Normalization):
    """Layer normalization: Z = gamma (U - mean) / sqrt(var + eps) + b,  U = W A.

    Mean and variance are an example's over the units of the layer, while training and at evaluation.

    Args: eps: > 0, inside the root.
    Raises: ConfigError if the eps is out of range.
    Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450, equation 4.
    """

    name: ClassVar[str] = "layer_norm"
    scales: ClassVar[bool] = True
    eps: float = 1e-5

    def __post_init__(self) -> None:
        require(0 < self.eps < np.inf, "layer_norm: eps", "> 0", self.eps)

    def normalizer(self, scales: Scales, shape: tuple[int, int, int]) -> Normalizer:
        return _OverUnits(self.eps, scales, shape)


NORMALIZATIONS = table("normalization", Normalization, BatchNorm, LayerNorm)
