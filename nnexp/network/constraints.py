"""Constraints: bounds on the weights, restored after every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnexp.component import Component, table
from nnexp.errors import require


@dataclass(frozen=True, kw_only=True)
class MaxNorm(Component):
    """No bound."""

    name: ClassVar[str] = "none"

    @property
    def bound(self) -> float:
        """The largest norm of a unit's incoming weights."""
        return np.inf


@dataclass(frozen=True, kw_only=True)
class UnitMaxNorm(MaxNorm):
    """w <- w min(1, limit / ‖w‖) after each step, w the incoming weights of a unit, without its bias.

    Args: limit: > 0.
    Raises: ConfigError if the limit is out of range.
    Source: Srivastava et al. 2014, section 5.1.
    """

    name: ClassVar[str] = "max_norm"
    limit: float = 3.0

    def __post_init__(self) -> None:
        require(0 < self.limit < np.inf, "max_norm: limit", "> 0", self.limit)

    @property
    def bound(self) -> float:
        return self.limit


MAX_NORMS = table("max_norm", MaxNorm, UnitMaxNorm)
