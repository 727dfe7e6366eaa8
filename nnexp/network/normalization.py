"""Normalization: hidden units brought to mean 0 and variance 1 before their activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnexp.component import Component, table
from nnexp.errors import require


@dataclass(frozen=True, kw_only=True)
class Normalization(Component):
    """Hidden units are activated as they are: Z = W A + b."""

    name: ClassVar[str] = "none"


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Normalization):
    """Batch normalization: Z = gamma (U - mean) / sqrt(var + eps) + b,  U = W A.

    Mean and variance are a unit's over the mini-batch while training; at evaluation, their running means:
    running <- (1 - momentum) running + momentum batch's, with the unbiased variance. gamma starts at 1.

    Args: momentum: weight of the newest batch in the running means, in (0, 1]. eps: > 0, inside the root.
    Raises: ConfigError if a value is out of range.
    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithms 1 and 2; momentum as in PyTorch.
    """

    name: ClassVar[str] = "batch_norm"
    momentum: float = 0.1
    eps: float = 1e-5

    def __post_init__(self) -> None:
        require(0 < self.momentum <= 1, "batch_norm: momentum", "in (0, 1]", self.momentum)
        require(0 < self.eps < np.inf, "batch_norm: eps", "> 0", self.eps)


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Normalization):
    """Layer normalization: Z = gamma (U - mean) / sqrt(var + eps) + b,  U = W A.

    Mean and variance are an example's over the units of the layer, while training and at evaluation. gamma starts at 1.

    Args: eps: > 0, inside the root.
    Raises: ConfigError if a value is out of range.
    Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450, equation 4.
    """

    name: ClassVar[str] = "layer_norm"
    eps: float = 1e-5

    def __post_init__(self) -> None:
        require(0 < self.eps < np.inf, "layer_norm: eps", "> 0", self.eps)


NORMALIZATIONS = table(Normalization, BatchNorm, LayerNorm)
