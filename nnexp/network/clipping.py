"""Clipping: gradients that are too large are cut before the optimizer sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nnexp.component import Component, table
from nnexp.errors import require


@dataclass(frozen=True, kw_only=True)
class Clip(Component):
    """Gradients stay as they are."""

    name: ClassVar[str] = "none"

    @property
    def norm(self) -> float:
        """The largest norm of a gradient."""
        return np.inf

    @property
    def value(self) -> float:
        """The largest absolute value in a gradient."""
        return np.inf


@dataclass(frozen=True, kw_only=True)
class ClipNorm(Clip):
    """g <- g min(1, limit / (‖g‖ + 1e-6)), ‖g‖ the Euclidean norm over all parameters.

    g is the gradient of the cost, penalties included; an optimizer's own weight decay comes after it.

    Args: limit: > 0.
    Raises: ConfigError if the limit is out of range.
    Source: Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, Algorithm 1; 1e-6 as in PyTorch.
    """

    name: ClassVar[str] = "norm"
    limit: float = 1.0

    def __post_init__(self) -> None:
        require(0 < self.limit < np.inf, "clip norm: limit", "> 0", self.limit)

    @property
    def norm(self) -> float:
        return self.limit


@dataclass(frozen=True, kw_only=True)
class ClipValue(Clip):
    """g <- min(max(g, -limit), limit), for each parameter.

    g is the gradient of the cost, penalties included; an optimizer's own weight decay comes after it.

    Args: limit: > 0.
    Raises: ConfigError if the limit is out of range.
    """

    name: ClassVar[str] = "value"
    limit: float = 1.0

    def __post_init__(self) -> None:
        require(0 < self.limit < np.inf, "clip value: limit", "> 0", self.limit)

    @property
    def value(self) -> float:
        return self.limit


def shares(squares: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return min(1, limit / (‖g‖ + 1e-6)) of gradients' squared norms; exactly 1 where a limit is infinite."""
    return np.fmin(1, limits / (np.sqrt(squares) + 1e-6))  # fmin: 1 for inf / inf, where a replica without diverges


CLIPS = table("clip", Clip, ClipNorm, ClipValue)
