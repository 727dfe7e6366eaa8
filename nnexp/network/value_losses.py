"""Losses of values; classes may be learnt as values, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnexp.arrays import Floats
from nnexp.errors import require
from nnexp.network.loss import Desk, Loss, TargetKind, Targets
from nnexp.network.sign import sign


@dataclass(frozen=True, kw_only=True)
class MeanSquaredError(Loss):
    """Squared error: l = sum_j (a_j - y_j)²;  dl/da = 2 (a - y).

    The sum runs over an example's outputs; PyTorch's MSELoss divides by their number too.
    """

    name: ClassVar[str] = "mse"
    target_kind: ClassVar[TargetKind] = "values"

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        _deviations(Z, targets, desk)
        np.multiply(Z, Z, out=desk.spare)
        np.add.reduce(desk.spare, axis=1, out=desk.losses)

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        Z *= Z.dtype.type(2)
        Z *= desk.share


@dataclass(frozen=True, kw_only=True)
class MeanAbsoluteError(Loss):
    """Absolute error: l = sum_j |a_j - y_j|;  dl/da = sign(a - y), 0 at the kink."""

    name: ClassVar[str] = "mae"
    target_kind: ClassVar[TargetKind] = "values"

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        _deviations(Z, targets, desk)
        np.abs(Z, out=desk.spare)
        np.add.reduce(desk.spare, axis=1, out=desk.losses)

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        sign(Z, out=Z)
        Z *= desk.share


@dataclass(frozen=True, kw_only=True)
class Huber(Loss):
    """Huber's loss: l = sum_j d_j²/2 where |d_j| <= delta, else delta (|d_j| - delta/2), d = a - y.

    dl/da = d, cut off at ±delta. Computed as c (d - c/2) with the cut c. The sum runs over an example's outputs;
    PyTorch's HuberLoss divides by their number too.

    Args: delta: where squares end, > 0; values are standardised unless dataset.standardize is off.
    Raises: ConfigError if delta is out of range.
    Source: Huber 1964, doi:10.1214/aoms/1177703732, section 3.
    """

    name: ClassVar[str] = "huber"
    target_kind: ClassVar[TargetKind] = "values"
    delta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.delta < np.inf, "huber: delta", "> 0", self.delta)

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        _deviations(Z, targets, desk)
        delta = Z.dtype.type(self.delta)
        np.clip(Z, -delta, delta, out=desk.spare)
        np.multiply(desk.spare, Z.dtype.type(-0.5), out=desk.more)
        desk.more += Z
        desk.spare *= desk.more
        np.add.reduce(desk.spare, axis=1, out=desk.losses)

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        delta = Z.dtype.type(self.delta)
        np.clip(Z, -delta, delta, out=Z)
        Z *= desk.share


def _deviations(A: Floats, targets: Targets, desk: Desk) -> None:
    """Score the outputs, then turn them into their deviations from the targets."""
    assert targets.values is not None
    if targets.labels is not None:
        np.equal(A.argmax(axis=1), targets.labels, out=desk.scores, casting="unsafe")
    A -= targets.values
    if targets.labels is None:
        np.multiply(A, A, out=desk.spare)
        np.copyto(desk.squares, desk.spare.swapaxes(0, 1))
