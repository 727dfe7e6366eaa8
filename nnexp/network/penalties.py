"""Penalties: what a network pays for the size of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnexp.component import Component, table
from nnexp.errors import require


@dataclass(frozen=True, kw_only=True)
class Penalty(Component):
    """Nothing to pay."""

    name: ClassVar[str] = "none"

    @property
    def l2(self) -> float:
        """The factor lambda of the squared weights."""
        return 0.0

    @property
    def l1(self) -> float:
        """The factor lambda of the weights' absolute values."""
        return 0.0


@dataclass(frozen=True, kw_only=True)
class L2(Penalty):
    """The cost gains strength / (2 m) sum_l ‖W_l‖²; the gradient gains strength / m W_l. Biases go free.

    m is the number of examples in the mini-batch, as in the systems that nnexp grew out of and in scikit-learn's MLP.

    Args: strength: lambda, >= 0; 0 is off.
    Raises: ConfigError if the strength is out of range.
    """

    name: ClassVar[str] = "l2"
    strength: float = 0.0

    def __post_init__(self) -> None:
        require(0 <= self.strength < np.inf, "l2: strength", ">= 0", self.strength)

    @property
    def l2(self) -> float:
        return self.strength


@dataclass(frozen=True, kw_only=True)
class L1(Penalty):
    """The cost gains strength / m sum_l |W_l|; the gradient gains strength / m sign(W_l), 0 at 0. Biases go free.

    m is the number of examples in the mini-batch, as for L2.

    Args: strength: lambda, >= 0; 0 is off.
    Raises: ConfigError if the strength is out of range.
    Source: Tibshirani 1996.
    """

    name: ClassVar[str] = "l1"
    strength: float = 0.0

    def __post_init__(self) -> None:
        require(0 <= self.strength < np.inf, "l1: strength", ">= 0", self.strength)

    @property
    def l1(self) -> float:
        return self.strength


L2_PENALTIES = table("l2", Penalty, L2)
L1_PENALTIES = table("l1", Penalty, L1)
