"""Where each weight and bias lies in the one array that holds all parameters of a replica."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nnexp.arrays import Floats
from nnexp.errors import UsageError
from nnexp.network.initializers import Initializer


@dataclass(frozen=True)
class Layout:
    """The parameters of dense layers: layer l holds (W_l | b_l), (n_l, n_{l-1} + 1), one layer after another.

    Args: sizes: units a layer from input to output, n_0 … n_L.
    """

    sizes: tuple[int, ...]

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """The shape of each layer's weights and bias together."""
        return tuple((fan_out, fan_in + 1) for fan_in, fan_out in pairwise(self.sizes))

    @cached_property
    def size(self) -> int:
        """The number of parameters, P."""
        return sum(rows * cols for rows, cols in self.shapes)

    def views(self, theta: Floats) -> list[Floats]:
        """Return each layer's part of theta (…, P) as (…, n_l, n_{l-1} + 1), without copying."""
        views, start = [], 0
        for rows, cols in self.shapes:
            part = theta[..., start : start + rows * cols]
            views.append(part.reshape(*theta.shape[:-1], rows, cols))
            start += rows * cols
        return views

    def weight_mask(self, dtype: np.dtype[Any]) -> Floats:
        """Return 1 for weights and 0 for biases, (P,)."""
        mask = np.ones(self.size, dtype)
        for view in self.views(mask):
            view[:, -1] = 0
        return mask

    def draw(self, initializer: Initializer, rng: np.random.Generator) -> Floats:
        """Return the parameters a network starts from, (P,), in float64."""
        theta = np.zeros(self.size)
        for view in self.views(theta):
            view[:, :-1] = initializer.weights(view.shape[0], view.shape[1] - 1, rng)
        return theta

    def unpack(self, theta: Floats) -> dict[str, Floats]:
        """Return theta (P,) as arrays by name: W1 (n_1, n_0), b1 (n_1,), W2, …"""
        named: dict[str, Floats] = {}
        for number, view in enumerate(self.views(theta), start=1):
            named[f"W{number}"] = view[:, :-1].copy()
            named[f"b{number}"] = view[:, -1].copy()
        return named

    def pack(self, named: Mapping[str, ArrayLike]) -> Floats:
        """Return arrays by name (W1, b1, …; a bias may be (n,) or (n, 1)) as theta (P,), in float64.

        Raises: UsageError if a name is missing or unknown, or a shape is not the layout's.
        """
        wanted = [f"{kind}{number}" for number in range(1, len(self.sizes)) for kind in "Wb"]
        if set(named) != set(wanted):
            raise UsageError(f"initial parameters must be {', '.join(wanted)}, got {', '.join(sorted(named))}")
        theta = np.zeros(self.size)
        for number, view in enumerate(self.views(theta), start=1):
            W, b = np.asarray(named[f"W{number}"], float), np.asarray(named[f"b{number}"], float)
            if W.shape != view[:, :-1].shape or b.size != view.shape[0]:
                need = f"W{number} {view[:, :-1].shape} and b{number} {(view.shape[0],)}"
                raise UsageError(f"initial parameters must have {need}, got {W.shape} and {b.shape}")
            view[:, :-1] = W
            view[:, -1] = b.reshape(-1)
        # -0.0 becomes 0.0: its sign would show whether a neighbour in the stack is penalised
        return theta + 0.0
