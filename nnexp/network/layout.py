"""Where each weight, bias, scale and statistic lies in the one array that holds all of a replica."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nnexp.arrays import Floats
from nnexp.errors import UsageError
from nnexp.network.normalization import Normalization


@dataclass(frozen=True)
class Layout:
    """What a replica of dense layers consists of, in one row theta (P + S,).

    First the P parameters: of each layer (W_l | b_l), (n_l, n_{l-1} + 1), one layer after another; then, if hidden
    units are normalized, gamma_l (n_l,) of each hidden layer. After them S statistics that are not trained but belong
    to the network: with batch normalization the running mean and variance, (2, n_l), of each hidden layer.

    Args: sizes: units a layer from input to output, n_0 … n_L. normalization: of the hidden layers.
    """

    sizes: tuple[int, ...]
    normalization: Normalization = field(default_factory=Normalization)

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """The shape of each layer's weights and bias together."""
        return tuple((fan_out, fan_in + 1) for fan_in, fan_out in pairwise(self.sizes))

    @cached_property
    def size(self) -> int:
        """The number of parameters, P."""
        scales = sum(self.sizes[1:-1]) if self.normalization.scales else 0
        return sum(rows * cols for rows, cols in self.shapes) + scales

    @cached_property
    def total(self) -> int:
        """The number of parameters and statistics, P + S."""
        return self.size + len(self.normalization.statistics) * sum(self.sizes[1:-1])

    def views(self, theta: Floats) -> list[Floats]:
        """Return each layer's weights and bias in theta (…, P) as (…, n_l, n_{l-1} + 1), without copying."""
        views, start = [], 0
        for rows, cols in self.shapes:
            part = theta[..., start : start + rows * cols]
            views.append(part.reshape(*theta.shape[:-1], rows, cols))
            start += rows * cols
        return views

    def gammas(self, theta: Floats) -> list[Floats]:
        """Return each hidden layer's gamma in theta (…, P) as (…, n_l), without copying; none if there are none."""
        return _consecutive(theta[..., sum(rows * cols for rows, cols in self.shapes) : self.size], self.sizes[1:-1])

    def statistics(self, theta: Floats) -> list[Floats]:
        """Return each hidden layer's s statistics in theta (…, P + S) as (…, s, n_l), without copying, if any."""
        count = len(self.normalization.statistics)
        parts = _consecutive(theta[..., self.size :], [count * n for n in self.sizes[1:-1]])
        return [part.reshape(*theta.shape[:-1], count, -1) for part in parts]

    def weight_mask(self, dtype: np.dtype[Any]) -> Floats:
        """Return 1 for weights and 0 for all other parameters, (P,)."""
        mask = np.zeros(self.size, dtype)
        for view in self.views(mask):
            view[:, :-1] = 1
        return mask

    def blank(self) -> Floats:
        """Return biases of 0, gammas of 1, statistics as they start, and weights of 0."""
        theta = np.zeros(self.total)
        for gamma in self.gammas(theta):
            gamma[:] = 1
        for statistics in self.statistics(theta):
            statistics[:] = np.array(list(self.normalization.statistics.values()))[:, None]
        return theta

    def unpack(self, theta: Floats) -> dict[str, Floats]:
        """Return theta (P + S,) by name: W1 (n_1, n_0), b1 (n_1,), W2, …; gamma1 (n_1,), …; mean1, variance1, …"""
        return {name: view.copy() for name, view in self._named(theta).items()}

    def pack(self, named: Mapping[str, ArrayLike]) -> Floats:
        """Return arrays by name, as `unpack` gives them, as theta (P + S,), in float64.

        Gammas and statistics may be left out; what is (n,) may be given as (n, 1).
        Raises: UsageError if a name is missing or unknown, or a shape is not the layout's.
        """
        theta = self.blank()
        views = self._named(theta)
        needed = [name for name in views if name[0] in "Wb"]
        if not set(needed) <= set(named) <= set(views):
            raise UsageError(f"initial parameters must be {', '.join(views)}, got {', '.join(sorted(named))}")
        for name, value in named.items():
            array, view = np.asarray(value, float), views[name]
            if array.shape != view.shape and (view.ndim > 1 or array.shape != (len(view), 1)):
                raise UsageError(f"initial parameters must have {name} {view.shape}, got {array.shape}")
            view[:] = array.reshape(view.shape)
        # -0.0 becomes 0.0: its sign would show whether a neighbour in the stack is penalised
        return theta + 0.0

    def _named(self, theta: Floats) -> dict[str, Floats]:
        named: dict[str, Floats] = {}
        for number, view in enumerate(self.views(theta), start=1):
            named |= {f"W{number}": view[:, :-1], f"b{number}": view[:, -1]}
        for number, gamma in enumerate(self.gammas(theta), start=1):
            named[f"gamma{number}"] = gamma
        for number, statistics in enumerate(self.statistics(theta), start=1):
            named |= {
                f"{name}{number}": row for name, row in zip(self.normalization.statistics, statistics, strict=True)
            }
        return named


def _consecutive(part: Floats, lengths: Sequence[int]) -> list[Floats]:
    """Cut (…, sum of the lengths) into views of the lengths; no views of an empty part."""
    if not part.shape[-1]:
        return []
    return [part[..., stop - length : stop] for length, stop in zip(lengths, np.cumsum(lengths), strict=True)]
