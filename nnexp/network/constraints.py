"""Constraints: bounds on the weights, restored after every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnexp.arrays import Floats
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


class Bounds:
    """Brings the weights of a stack's units back into their replicas' bounds.

    Args: layers: weights and bias of each layer, (K, n_l, n_{l-1} + 1). bounds: each replica's; inf is none.
    """

    def __init__(self, layers: Sequence[Floats], bounds: Sequence[float]) -> None:
        self._layers: list[tuple[Floats, Floats, Floats]] = []
        if np.isfinite(bounds).any():
            self._layers = [(layer[..., :-1], *np.empty((2, *layer.shape[:-1]), layer.dtype)) for layer in layers]
            self._bounds: Floats = np.array(bounds, layers[0].dtype)[:, None]

    def restore(self) -> None:
        """Scale what is beyond its bound; a factor of exactly 1 leaves all else as it is, bit for bit."""
        for W, squares, factors in self._layers:
            np.vecdot(W, W, out=squares)  # one dot product a unit: safe for equal bits
            np.sqrt(squares, out=factors)
            # bound ‖w‖ / ‖w‖², not bound / ‖w‖: NaN where the squares overflow, so that fmin leaves w, and it diverges
            factors /= squares
            factors *= self._bounds
            np.fmin(factors, 1, out=factors)
            W *= factors[..., None]


MAX_NORMS = table("max_norm", MaxNorm, UnitMaxNorm)
