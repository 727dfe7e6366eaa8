"""Constraints: bounds on the weights, restored after every step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Floats
from nnexp.component import Component, table
from nnexp.errors import require
from nnexp.network.blocks import BLOCK_ELEMENTS


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


@dataclass(frozen=True)
class _Units:
    """Some units of a layer, few enough to stay in cache, and what their norms are computed in."""

    W: Floats  # (rows, units, n_{l-1})
    bounds: Floats  # (rows, 1)
    squares: Floats  # (rows, units)
    factors: Floats
    spare: Floats


class Bounds:
    """Brings the weights of a stack's units back into their replicas' bounds.

    Args: layers: weights and bias of each layer, (K, n_l, n_{l-1} + 1). bounds: each replica's; inf is none.
    """

    def __init__(self, layers: Sequence[Floats], bounds: Sequence[float]) -> None:
        self._units = list(_units(layers, np.array(bounds))) if np.isfinite(bounds).any() else []

    def restore(self) -> None:
        """Scale what is beyond its bound; all else stays as it is, bit for bit: its factor is exactly 1."""
        for units in self._units:
            W, squares, factors = units.W, units.squares, units.factors
            np.vecdot(W, W, out=squares)  # one dot product a unit: safe for equal bits
            np.sqrt(squares, out=factors)
            # bound ‖w‖ / ‖w‖², not bound / ‖w‖: NaN where the squares overflow, so that fmin leaves w, and it diverges
            np.divide(factors, squares, out=factors)
            np.multiply(factors, units.bounds, out=factors)
            np.fmin(factors, 1, out=factors)
            if factors.min() < 1:
                # in place NumPy would copy W first: it cannot tell that rows with a gap between them do not overlap
                np.multiply(W, factors[..., None], out=units.spare)
                np.copyto(W, units.spare)


def _units(layers: Sequence[Floats], bounds: NDArray[np.float64]) -> Iterator[_Units]:
    dtype = layers[0].dtype
    column, spare = bounds.astype(dtype)[:, None], np.empty(max(BLOCK_ELEMENTS, *(W.shape[2] for W in layers)), dtype)
    for layer in layers:
        K, n, width = layer.shape
        height = min(n, max(1, BLOCK_ELEMENTS // width))
        rows = max(1, BLOCK_ELEMENTS // (height * width))
        for row, unit in product(range(0, K, rows), range(0, n, height)):
            W = layer[row : row + rows, unit : unit + height, :-1]
            squares, factors = np.empty((2, *W.shape[:2]), dtype)
            yield _Units(W, column[row : row + rows], squares, factors, spare[: W.size].reshape(W.shape))


MAX_NORMS = table("max_norm", MaxNorm, UnitMaxNorm)
