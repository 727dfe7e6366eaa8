"""Activations that let what is above 0 through: rectified linear units and their smooth relatives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from nnexp.arrays import Floats
from nnexp.errors import choose, require
from nnexp.network.activation import Activation, Sloped, Spare, sigmoid
from nnexp.network.normal import normal

# Klambauer et al. 2017, appendix A1, to the last digit of a double
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


@dataclass(frozen=True, kw_only=True)
class ReLU(Activation):
    """Rectified linear unit: g(z) = max(z, 0); g' = 1 where z > 0, else 0.

    Source: Nair & Hinton 2010, section 2. At the kink z = 0 the derivative is taken as 0.
    """

    name: ClassVar[str] = "relu"
    by_sign: ClassVar[bool] = True

    @property
    def gain(self) -> float:
        return math.sqrt(2)

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,)

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

    @property
    def gain(self) -> float:
        return math.sqrt(2 / (1 + self.slope**2))

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,) if self.slope < 1 else ()

    def forward(self, Z: Floats, spare: Spare) -> None:
        np.multiply(Z, Z.dtype.type(self.slope), out=spare.floats)
        np.maximum(Z, spare.floats, out=Z)

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        # z > 0 exactly where a > 0; the larger of a flag and the slope is 1 or the slope, with no rounding
        np.greater(A, A.dtype.type(0), out=spare.flags)
        np.copyto(spare.floats, spare.flags)
        np.maximum(spare.floats, A.dtype.type(self.slope), out=spare.floats)
        dA *= spare.floats


@dataclass(frozen=True, kw_only=True)
class ELU(Activation):
    """Exponential linear unit: g(z) = z where z > 0, else alpha (exp(z) - 1); g' = 1 where z > 0, else a + alpha.

    Args: alpha: minus the limit of the negative part, > 0.
    Raises: ConfigError if alpha is out of range.
    Source: Clevert, Unterthiner & Hochreiter 2016, arXiv:1511.07289, equation 15.
    """

    name: ClassVar[str] = "elu"
    alpha: float = 1.0

    def __post_init__(self) -> None:
        require(0 < self.alpha < math.inf, "elu: alpha", "> 0", self.alpha)

    @property
    def gain(self) -> float:
        return 1 / math.sqrt(0.5 + self.alpha**2 * 0.1449454174929239)  # E[(exp(z) - 1)²; z < 0]

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,) if self.alpha != 1 else ()

    def forward(self, Z: Floats, spare: Spare) -> None:
        np.minimum(Z, spare.zeros, out=spare.floats)
        np.expm1(spare.floats, out=spare.floats)
        spare.floats *= Z.dtype.type(self.alpha)
        np.maximum(Z, spare.zeros, out=Z)
        Z += spare.floats

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        np.minimum(A, spare.zeros, out=spare.floats)
        spare.floats += A.dtype.type(self.alpha)
        if self.alpha != 1:
            np.greater(A, A.dtype.type(0), out=spare.flags)
            np.copyto(spare.more, spare.flags)  # with the next line half the time of a product of flags and floats
            spare.more *= A.dtype.type(1 - self.alpha)
            spare.floats += spare.more
        dA *= spare.floats


@dataclass(frozen=True, kw_only=True)
class SELU(Activation):
    """Scaled exponential linear unit: g(z) = s z where z > 0, else s alpha (exp(z) - 1); g' = s, else a + s alpha.

    s and alpha keep mean 0 and variance 1.
    Source: Klambauer et al. 2017, arXiv:1706.02515, equation 2 and appendix A1.
    """

    name: ClassVar[str] = "selu"

    @property
    def gain(self) -> float:
        return 3 / 4

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,)

    def forward(self, Z: Floats, spare: Spare) -> None:
        np.minimum(Z, spare.zeros, out=spare.floats)
        np.expm1(spare.floats, out=spare.floats)
        spare.floats *= Z.dtype.type(SELU_SCALE * SELU_ALPHA)
        scale = Z.dtype.type(SELU_SCALE)
        np.clip(Z, Z.dtype.type(0), np.finfo(Z.dtype).max / scale, out=Z)  # s times the largest number is infinite
        Z *= scale
        Z += spare.floats

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        np.minimum(A, spare.zeros, out=spare.floats)
        spare.floats += A.dtype.type(SELU_SCALE * SELU_ALPHA)
        np.greater(A, A.dtype.type(0), out=spare.flags)
        np.copyto(spare.more, spare.flags)
        spare.more *= A.dtype.type(SELU_SCALE - SELU_SCALE * SELU_ALPHA)
        spare.floats += spare.more
        dA *= spare.floats


@dataclass(frozen=True, kw_only=True)
class GELU(Sloped):
    """Gaussian error linear unit: g(z) = z Phi(z); g' = Phi(z) + z phi(z), with the normal distribution's Phi and phi.

    In float32 Phi is exact to 3e-7. With approximate = tanh: g(z) = z (1 + t) / 2, t = tanh(c (z + 0.044715 z³)),
    c = sqrt(2 / pi), another function, up to 5e-4 away.

    Args: approximate: `none` or `tanh`.
    Raises: ConfigError if approximate is unknown.
    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2.
    """

    name: ClassVar[str] = "gelu"
    approximate: Literal["none", "tanh"] = "none"

    def __post_init__(self) -> None:
        choose("gelu: approximate", self.approximate, ("none", "tanh"))

    @property
    def gain(self) -> float:
        return 1.533530441195535 if self.approximate == "none" else 1.533580521666147

    def forward(self, Z: Floats, spare: Spare) -> None:
        if self.approximate == "tanh":
            self._by_tanh(Z, spare)
            return
        normal(Z, out=spare.floats, spare=spare.more)
        if spare.slope is not None:
            np.multiply(Z, Z, out=spare.slope)
            spare.slope *= Z.dtype.type(-0.5)
            np.exp(spare.slope, out=spare.slope)
            spare.slope *= Z.dtype.type(1 / math.sqrt(2 * math.pi))
            spare.slope *= Z
            spare.slope += spare.floats
        Z *= spare.floats

    def _by_tanh(self, Z: Floats, spare: Spare) -> None:
        c, cubic, one, half = (Z.dtype.type(each) for each in (math.sqrt(2 / math.pi), 0.044715, 1, 0.5))
        np.multiply(Z, Z, out=spare.more)
        # 1 - t² is 0 long before z² is 1000, and 0 times infinity is no number; half the time of minimum
        np.clip(spare.more, Z.dtype.type(0), Z.dtype.type(1e3), out=spare.more)
        spare.more *= cubic
        np.add(spare.more, one, out=spare.floats)
        spare.floats *= c
        spare.floats *= Z
        np.tanh(spare.floats, out=spare.floats)  # t
        if spare.slope is not None:  # (1 + t) / 2 + z (1 - t²) / 2 c (1 + 3 0.044715 z²)
            np.multiply(spare.floats, spare.floats, out=spare.slope)
            np.subtract(one, spare.slope, out=spare.slope)
            spare.more *= Z.dtype.type(3)
            spare.more += one
            spare.more *= c
            spare.slope *= spare.more
            spare.slope *= Z
            spare.slope += spare.floats
            spare.slope += one
            spare.slope *= half
        spare.floats += one
        spare.floats *= half
        Z *= spare.floats


@dataclass(frozen=True, kw_only=True)
class SiLU(Sloped):
    """Sigmoid-weighted linear unit: g(z) = z s(z), s the logistic function; g' = s + a (1 - s).

    Source: Elfwing, Uchibe & Doya 2018, arXiv:1702.03118, equations 5 and 7; also called swish.
    """

    name: ClassVar[str] = "silu"

    @property
    def gain(self) -> float:
        return 1.676532470331091

    def forward(self, Z: Floats, spare: Spare) -> None:
        np.copyto(spare.floats, Z)
        sigmoid(spare.floats)
        Z *= spare.floats
        if spare.slope is not None:
            np.subtract(Z.dtype.type(1), spare.floats, out=spare.slope)
            spare.slope *= Z
            spare.slope += spare.floats


@dataclass(frozen=True, kw_only=True)
class Softplus(Activation):
    """Softplus: g(z) = log(1 + exp(z)), computed as max(z, 0) + log(1 + exp(-|z|)); g' = 1 - exp(-a).

    The form overflows nowhere.
    Source: Dugas et al. 2001, section 3.
    """

    name: ClassVar[str] = "softplus"

    @property
    def gain(self) -> float:
        return 1.0418668355353018

    def forward(self, Z: Floats, spare: Spare) -> None:
        np.abs(Z, out=spare.floats)
        np.negative(spare.floats, out=spare.floats)
        np.exp(spare.floats, out=spare.floats)
        np.log1p(spare.floats, out=spare.floats)
        np.maximum(Z, spare.zeros, out=Z)
        Z += spare.floats

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        np.negative(A, out=spare.floats)
        np.expm1(spare.floats, out=spare.floats)
        np.negative(spare.floats, out=spare.floats)
        dA *= spare.floats


@dataclass(frozen=True, kw_only=True)
class Mish(Sloped):
    """Mish: g(z) = z t, t = tanh(log(1 + e)), e = exp(z); g' = t + z (1 - t²) e / (1 + e).

    Source: Misra 2020, arXiv:1908.08681, equations 1 and 2.
    """

    name: ClassVar[str] = "mish"

    @property
    def gain(self) -> float:
        return 1.486847581273208

    def forward(self, Z: Floats, spare: Spare) -> None:
        np.clip(Z, Z.dtype.type(-np.inf), Z.dtype.type(30), out=spare.more)  # tanh(30) is 1; half the time of minimum
        np.exp(spare.more, out=spare.more)
        np.log1p(spare.more, out=spare.floats)
        np.tanh(spare.floats, out=spare.floats)
        if spare.slope is not None:
            np.add(spare.more, Z.dtype.type(1), out=spare.slope)
            spare.more /= spare.slope
            np.multiply(spare.floats, spare.floats, out=spare.slope)
            np.subtract(Z.dtype.type(1), spare.slope, out=spare.slope)
            spare.slope *= spare.more
            spare.slope *= Z
            spare.slope += spare.floats
        Z *= spare.floats
