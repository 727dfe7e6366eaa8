"""Initializers: the weights a network starts from. Biases start at 0."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from nnexp.arrays import Floats
from nnexp.component import Component, table
from nnexp.errors import choose, require

Distribution = Literal["normal", "uniform"]


@dataclass(frozen=True, kw_only=True)
class Initializer(Component):
    """Draws one layer's weights W, (fan_out, fan_in), in float64."""

    @abstractmethod
    def weights(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        """Return new weights, (fan_out, fan_in)."""


@dataclass(frozen=True, kw_only=True)
class Zeros(Initializer):
    """W = 0: every unit of a layer stays equal; here to show why weights are drawn."""

    name: ClassVar[str] = "zeros"

    def weights(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return np.zeros((fan_out, fan_in))


@dataclass(frozen=True, kw_only=True)
class Random(Initializer):
    """W ~ scale N(0, 1), whatever the layer's size.

    Args: scale: standard deviation, > 0.
    Raises: ConfigError if the scale is out of range.
    """

    name: ClassVar[str] = "random"
    scale: float = 0.01

    def __post_init__(self) -> None:
        require(0 < self.scale < np.inf, "random: scale", "> 0", self.scale)

    def weights(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return self.scale * rng.standard_normal((fan_out, fan_in))


@dataclass(frozen=True, kw_only=True)
class He(Initializer):
    """Variance 2 / fan_in, which keeps the variance of rectified layers.

    Args: distribution: `normal`, or `uniform` in ±sqrt(6 / fan_in).
    Raises: ConfigError if the distribution is unknown.
    Source: He et al. 2015, arXiv:1502.01852, equation 10.
    """

    name: ClassVar[str] = "he"
    distribution: Distribution = "normal"

    def __post_init__(self) -> None:
        choose("he: distribution", self.distribution, ("normal", "uniform"))

    def weights(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _draw(self.distribution, 2 / fan_in, (fan_out, fan_in), rng)


@dataclass(frozen=True, kw_only=True)
class Glorot(Initializer):
    """Variance 2 / (fan_in + fan_out), which keeps the variance of linear and tanh layers both ways.

    Args: distribution: `normal`, or `uniform` in ±sqrt(6 / (fan_in + fan_out)).
    Raises: ConfigError if the distribution is unknown.
    Source: Glorot & Bengio 2010, equations 12 and 16.
    """

    name: ClassVar[str] = "glorot"
    distribution: Distribution = "normal"

    def __post_init__(self) -> None:
        choose("glorot: distribution", self.distribution, ("normal", "uniform"))

    def weights(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _draw(self.distribution, 2 / (fan_in + fan_out), (fan_out, fan_in), rng)


def _draw(distribution: Distribution, variance: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    if distribution == "normal":
        return math.sqrt(variance) * rng.standard_normal(shape)
    bound = math.sqrt(3 * variance)  # the variance of U(-b, b) is b² / 3
    return rng.uniform(-bound, bound, shape)


INITIALIZERS = table("initializer", Zeros, Random, He, Glorot)
