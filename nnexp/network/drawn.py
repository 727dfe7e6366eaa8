"""Weights drawn from a stream, and those that are all the same. Biases start at 0."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from nnexp.arrays import Floats
from nnexp.errors import require
from nnexp.network.initializer import Initializer
from nnexp.network.layout import Layout

SQRT2 = math.sqrt(2)
Gain = float | Literal["activation"]


@dataclass(frozen=True, kw_only=True)
class Drawn(Initializer):
    """Draws one layer's weights W, (fan_out, fan_in), after another's."""

    def start(self, layout: Layout, gains: Sequence[float], rng: np.random.Generator) -> Floats:
        theta = layout.blank()
        for view, gain in zip(layout.views(theta), gains, strict=True):
            view[:, :-1] = self.weights(view.shape[0], view.shape[1] - 1, gain, rng)
        return theta

    @abstractmethod
    def weights(self, fan_out: int, fan_in: int, gain: float, rng: np.random.Generator) -> Floats:
        """Return new weights, (fan_out, fan_in), in float64; gain: of the layer's own activation."""


@dataclass(frozen=True, kw_only=True)
class Zeros(Drawn):
    """W = 0: every unit of a layer stays equal; here to show why weights are drawn."""

    name: ClassVar[str] = "zeros"

    def weights(self, fan_out: int, fan_in: int, gain: float, rng: np.random.Generator) -> Floats:
        return np.zeros((fan_out, fan_in))


@dataclass(frozen=True, kw_only=True)
class Constant(Drawn):
    """W = value: as equal as zeros, but gradients pass.

    Args: value: of every weight, finite.
    Raises: ConfigError if the value is not finite.
    """

    name: ClassVar[str] = "constant"
    value: float = 0.1

    def __post_init__(self) -> None:
        require(math.isfinite(self.value), "constant: value", "finite", self.value)

    def weights(self, fan_out: int, fan_in: int, gain: float, rng: np.random.Generator) -> Floats:
        return np.full((fan_out, fan_in), self.value)


@dataclass(frozen=True, kw_only=True)
class Random(Drawn):
    """W ~ scale N(0, 1), whatever the layer's size.

    Args: scale: standard deviation, > 0.
    Raises: ConfigError if the scale is out of range.
    """

    name: ClassVar[str] = "random"
    scale: float = 0.01

    def __post_init__(self) -> None:
        require(0 < self.scale < np.inf, "random: scale", "> 0", self.scale)

    def weights(self, fan_out: int, fan_in: int, gain: float, rng: np.random.Generator) -> Floats:
        return self.scale * rng.standard_normal((fan_out, fan_in))


@dataclass(frozen=True, kw_only=True)
class Uniform(Drawn):
    """W ~ U(-bound, bound), whatever the layer's size.

    Args: bound: > 0.
    Raises: ConfigError if the bound is out of range.
    """

    name: ClassVar[str] = "uniform"
    bound: float = 0.05

    def __post_init__(self) -> None:
        require(0 < self.bound < np.inf, "uniform: bound", "> 0", self.bound)

    def weights(self, fan_out: int, fan_in: int, gain: float, rng: np.random.Generator) -> Floats:
        return self.bound * rng.uniform(-1, 1, (fan_out, fan_in))


@dataclass(frozen=True, kw_only=True)
class Scaled(Drawn):
    """Independent weights whose variance follows from the layer's size: gain² share, the share as each class says.

    Normal, or uniform in ±gain sqrt(3 share).
    """

    gain: Gain = 1.0

    def __post_init__(self) -> None:
        valid = self.gain == "activation" or (isinstance(self.gain, int | float) and 0 < self.gain < math.inf)
        require(valid, f"{self.name}: gain", "> 0, or activation", self.gain)

    def weights(self, fan_out: int, fan_in: int, gain: float, rng: np.random.Generator) -> Floats:
        own = gain if self.gain == "activation" else float(self.gain)
        return own * self.draw(fan_out, fan_in, rng)

    @abstractmethod
    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        """Return weights for a gain of 1."""


def _normal(variance: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    return math.sqrt(variance) * rng.standard_normal(shape)


def _uniform(variance: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    bound = math.sqrt(3 * variance)  # the variance of U(-b, b) is b² / 3
    return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True, kw_only=True)
class HeNormal(Scaled):
    """W ~ N(0, gain² / fan_in); gain = sqrt(2) keeps the mean square of rectified layers.

    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: He et al. 2015, arXiv:1502.01852, equation 10.
    """

    name: ClassVar[str] = "he_normal"
    gain: Gain = SQRT2

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _normal(1 / fan_in, (fan_out, fan_in), rng)


@dataclass(frozen=True, kw_only=True)
class HeUniform(HeNormal):
    """W ~ U(±gain sqrt(3 / fan_in)): the variance of he_normal.

    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: He et al. 2015, arXiv:1502.01852, equation 10.
    """

    name: ClassVar[str] = "he_uniform"

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _uniform(1 / fan_in, (fan_out, fan_in), rng)


@dataclass(frozen=True, kw_only=True)
class GlorotNormal(Scaled):
    """W ~ N(0, gain² 2 / (fan_in + fan_out)), which keeps the variance of linear and tanh layers both ways.

    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: Glorot & Bengio 2010, equation 12.
    """

    name: ClassVar[str] = "glorot_normal"

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _normal(2 / (fan_in + fan_out), (fan_out, fan_in), rng)


@dataclass(frozen=True, kw_only=True)
class GlorotUniform(Scaled):
    """W ~ U(±gain sqrt(6 / (fan_in + fan_out))): the variance of glorot_normal.

    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: Glorot & Bengio 2010, equation 16.
    """

    name: ClassVar[str] = "glorot_uniform"

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _uniform(2 / (fan_in + fan_out), (fan_out, fan_in), rng)


@dataclass(frozen=True, kw_only=True)
class LecunNormal(Scaled):
    """W ~ N(0, gain² / fan_in), which keeps the variance of linear layers; selu is made for it.

    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: LeCun et al. 1998, Efficient BackProp, equation 16.
    """

    name: ClassVar[str] = "lecun_normal"

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _normal(1 / fan_in, (fan_out, fan_in), rng)


@dataclass(frozen=True, kw_only=True)
class LecunUniform(Scaled):
    """W ~ U(±gain sqrt(3 / fan_in)): the variance of lecun_normal.

    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: LeCun et al. 1998, Efficient BackProp, equation 16.
    """

    name: ClassVar[str] = "lecun_uniform"

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _uniform(1 / fan_in, (fan_out, fan_in), rng)


@dataclass(frozen=True, kw_only=True)
class Orthogonal(Scaled):
    """W = gain Q, whose rows, or columns where there are fewer of them, are orthonormal.

    Q R is the decomposition of a normal matrix, with the signs that make R's diagonal positive: so every Q is as likely
    as any other.
    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: Saxe, McClelland & Ganguli 2014, arXiv:1312.6120; Mezzadri 2007, arXiv:math-ph/0609050, for the signs.
    """

    name: ClassVar[str] = "orthogonal"

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        tall = rng.standard_normal((max(fan_out, fan_in), min(fan_out, fan_in)))
        Q, R = np.linalg.qr(tall)
        Q *= np.copysign(1.0, np.diagonal(R))
        return Q if fan_out >= fan_in else Q.T
