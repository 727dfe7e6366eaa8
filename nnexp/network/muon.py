"""Muon: steps whose matrices are orthogonal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from nnexp.arrays import Floats
from nnexp.errors import choose, require
from nnexp.network.adam import AdamW
from nnexp.network.optimizer import Column, Field, Optimizer

# of the Newton-Schulz iteration, as published: they bring singular values near 1 in few steps, not to 1 in many
A, B, C = 3.4445, -4.7750, 2.0315
LEAST_NORM = 1e-7


@dataclass(frozen=True, kw_only=True)
class Muon(Optimizer):
    """Muon for the weight matrices of hidden layers, AdamW for all other parameters.

    m <- momentum m + (1 - momentum) g;  u = momentum m + (1 - momentum) g, or m without `nesterov`
    X = u / max(‖u‖, 1e-7), transposed if it is taller than wide; then ns_steps times, of the published A, B and C:
    G = X Xᵀ;  X <- A X + (B G + C G²) X
    W <- W - lr weight_decay W;  W <- W - lr s X,  s = sqrt(max(1, rows / columns)) for adjust_lr_fn `original`,
    0.2 sqrt(max(rows, columns)) for `match_rms_adamw`, so that steps are as long as AdamW's.
    Biases, the output layer and scales of normalization: as `adamw`, with adamw_* and the same weight_decay; a schedule
    acts on both step sizes.
    Coded with M = m / (1 - momentum). X is in the training's own type, where PyTorch iterates in bfloat16.

    Args: lr: step size for the matrices, > 0. weight_decay: decoupled, >= 0. momentum: decay of the mean, in [0, 1).
    nesterov: look one step ahead. ns_steps: of the iteration, in [1, 99]. adjust_lr_fn: `original` or
    `match_rms_adamw`. adamw_lr: step size for the rest, > 0. adamw_beta1, adamw_beta2: in [0, 1). adamw_eps: > 0.
    Shapes: theta, grad, slots (rows, n_l, n_{l-1}); spare four of them; a coefficient (rows, 1, 1).
    Raises: ConfigError if a value is out of range; a network without hidden layers has no matrix for it.
    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; `match_rms_adamw` Liu et al. 2025,
    arXiv:2502.16982, eq. 4.
    """

    name: ClassVar[str] = "muon"
    lr: float = 0.001
    weight_decay: float = 0.1
    momentum: float = 0.95
    nesterov: bool = True
    ns_steps: int = 5
    adjust_lr_fn: Literal["original", "match_rms_adamw"] = "original"
    adamw_lr: float = 0.001
    adamw_beta1: float = 0.9
    adamw_beta2: float = 0.999
    adamw_eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_fraction("momentum", "adamw_beta1", "adamw_beta2")
        self._require_positive("adamw_lr", "adamw_eps")
        require(1 <= self.ns_steps <= 99, "muon: ns_steps", "in [1, 99]", self.ns_steps)
        choose("muon: adjust_lr_fn", self.adjust_lr_fn, ("original", "match_rms_adamw"))

    @property
    def slots(self) -> int:
        return self.rest.slots

    @property
    def decoupled(self) -> bool:
        return True

    @property
    def rest(self) -> AdamW:
        return AdamW(
            lr=self.adamw_lr,
            weight_decay=self.weight_decay,
            beta1=self.adamw_beta1,
            beta2=self.adamw_beta2,
            eps=self.adamw_eps,
        )

    def product_flops(self, hidden: Sequence[tuple[int, int]]) -> int:
        # X Xᵀ, G G and (B G + C G²) X of each iteration, with X (n, m) and n <= m
        return sum(self.ns_steps * (4 * min(shape) ** 2 * max(shape) + 2 * min(shape) ** 3) for shape in hidden)

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        momentum = field("momentum")
        return momentum, LEAST_NORM / (1 - momentum), lr

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        M, (momentum, least, lr) = slots[0], c
        rows, n, m = theta.shape
        tall = n > m
        X = spare[0].reshape(rows, min(n, m), max(n, m))
        U = X.swapaxes(1, 2) if tall else X
        M *= momentum
        M += grad
        if self.nesterov:
            np.multiply(M, momentum, out=U)
            U += grad
        else:
            np.copyto(U, M)
        X = orthogonal(X, least, self.ns_steps, spare[1:])
        X *= lr * self._adjustment(n, m)
        theta -= X.swapaxes(1, 2) if tall else X

    def _adjustment(self, n: int, m: int) -> float:
        return math.sqrt(max(1, n / m)) if self.adjust_lr_fn == "original" else 0.2 * math.sqrt(max(n, m))


def orthogonal(X: Floats, least: Any, steps: int, spare: Floats) -> Floats:
    """Return matrices (K, n, m), n <= m, with singular values near 1 in place of their own; X may be overwritten.

    least: the least norm they are divided by. spare: three arrays as large as X; the result is X or in the first.
    """
    K, n, _ = X.shape
    norms = np.sqrt(np.vecdot(X.reshape(K, -1), X.reshape(K, -1)))  # one dot product a row: safe for equal bits
    X /= np.maximum(norms[:, None, None], least)
    Y = spare[0].reshape(X.shape)
    G, square = (each.reshape(-1)[: K * n * n].reshape(K, n, n) for each in spare[1:])
    for _ in range(steps):
        np.matmul(X, X.swapaxes(1, 2), out=G)
        np.matmul(G, G, out=square)
        square *= C
        G *= B
        square += G
        np.matmul(square, X, out=Y)
        X *= A
        Y += X
        X, Y = Y, X
    return X
