"""Losses: what an example costs, from logits or raw outputs, and the gradient that belongs to it.

Every loss also scores its examples: 1 or 0 for a right or wrong class, the squared error for a value.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from nnexp.arrays import Flags, Floats, Integers
from nnexp.component import Component, table
from nnexp.network.activations import sigmoid

TargetKind = Literal["labels", "binary", "values"]


@dataclass
class Targets:
    """What a mini-batch should give: class labels, or values, or both where classes are learnt as values."""

    labels: Integers | None  # (K, B)
    values: Floats | None  # (K, n, B)


class Desk:
    """The buffers of one loss for batches of one size; `losses` and `scores` (K, B), together `results`, come out."""

    def __init__(self, replicas: int, outputs: int, examples: int, dtype: np.dtype[Any]) -> None:
        shape = (replicas, outputs, examples)
        self.results: Floats = np.empty((2, replicas, examples), dtype)
        self.losses, self.scores = self.results
        self.reduced: Floats = np.empty((replicas, 1, examples), dtype)
        self.picked: Floats = np.empty((replicas, examples), dtype)
        self.spare: Floats = np.empty(shape, dtype)
        self.flags: Flags = np.empty(shape, np.bool_)
        self.hits: Flags = np.empty((replicas, examples), np.bool_)
        self.index: Integers = np.empty((replicas, examples), np.intp)
        self.offset: Integers = np.arange(replicas)[:, None] * (outputs * examples) + np.arange(examples)
        self.zero, self.share, self.lowest = dtype.type(0), dtype.type(1 / examples), np.finfo(dtype).min
        self.speck = np.sqrt(np.finfo(dtype).tiny)


@dataclass(frozen=True, kw_only=True)
class Loss(Component):
    """The mean of l(z, y) over the examples of a mini-batch.

    `output` is the activation that turns raw outputs into predictions where the loss fixes it, else None.
    Shapes: Z (K, n, B), desk.losses and desk.scores (K, B).
    """

    target_kind: ClassVar[TargetKind]
    output: ClassVar[str | None] = None

    @abstractmethod
    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        """Fill the desk's losses and scores. Z is overwritten with what backward needs."""

    @abstractmethod
    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        """Turn what forward left in Z into the gradient of the mean loss by the outputs, in place."""


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(Loss):
    """Categorical cross-entropy from logits and integer labels.

    l = log(sum_j exp(z_j)) - z_y;  dl/dz = softmax(z) - onehot(y)
    Logits are shifted by each example's own maximum, so no finite logit overflows.
    Source: Bishop 2006, equations 4.108 and 4.109.
    """

    name: ClassVar[str] = "cross_entropy"
    target_kind: ClassVar[TargetKind] = "labels"
    output: ClassVar[str | None] = "softmax"

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        assert targets.labels is not None
        _reduce(np.maximum, Z, desk.reduced)
        Z -= desk.reduced
        np.multiply(targets.labels, Z.shape[2], out=desk.index)
        np.add(desk.index, desk.offset, out=desk.index)
        Z.reshape(-1).take(desk.index, out=desk.picked, mode="clip")
        finite = bool(np.vdot(desk.picked, desk.picked) < np.inf)
        _score_shifted(Z, targets.labels, desk, finite=finite)
        np.exp(Z, out=Z)
        _reduce(np.add, Z, desk.reduced)
        np.log(desk.reduced[:, 0], out=desk.losses)
        if not finite:  # two finite logits may lie further apart than the type can say
            np.maximum(desk.picked, desk.lowest, out=desk.picked)
        desk.losses -= desk.picked

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        np.divide(desk.share, desk.reduced, out=desk.reduced)
        Z *= desk.reduced
        # to multiples of 1e-26 (float32): step sizes that are too large bring denormal probabilities, and products with
        # denormal numbers were 16 times as slow
        Z += desk.speck
        Z -= desk.speck
        flat = Z.reshape(-1)
        flat.take(desk.index, out=desk.picked, mode="clip")
        desk.picked -= desk.share
        flat[desk.index] = desk.picked  # half the time of put


@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropy(Loss):
    """Binary cross-entropy from one logit and labels 0 or 1.

    l = max(z, 0) - z y + log(1 + exp(-|z|));  dl/dz = sigmoid(z) - y
    The form overflows nowhere. An example scores 1 if (z > 0) is its label.
    Source: Bishop 2006, equations 4.90 and 4.91.
    """

    name: ClassVar[str] = "binary_cross_entropy"
    target_kind: ClassVar[TargetKind] = "binary"
    output: ClassVar[str | None] = "sigmoid"

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        assert targets.values is not None
        losses, spare = desk.losses[:, None], desk.spare
        np.greater(Z, desk.zero, out=desk.flags)
        np.equal(desk.flags, targets.values, out=desk.flags)
        np.copyto(desk.scores, desk.flags[:, 0])
        np.maximum(Z, desk.zero, out=losses)
        np.multiply(Z, targets.values, out=spare)
        losses -= spare  # exactly 0 where the sign is right, which keeps the digits of the small term below
        np.abs(Z, out=spare)
        np.negative(spare, out=spare)
        np.exp(spare, out=spare)
        np.log1p(spare, out=spare)
        losses += spare

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        assert targets.values is not None
        sigmoid(Z)
        Z -= targets.values
        Z *= Z.dtype.type(1 / Z.shape[2])


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
        Z *= Z.dtype.type(2 / Z.shape[2])


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
        np.sign(Z, out=Z)
        Z *= Z.dtype.type(1 / Z.shape[2])


def _reduce(ufunc: np.ufunc, Z: Floats, out: Floats) -> None:
    """Reduce over the outputs, (K, n, B) to (K, 1, B)."""
    if Z.shape[1] == 2:  # a third of the time, and the same bits
        ufunc(Z[:, :1], Z[:, 1:], out=out)
    else:
        ufunc.reduce(Z, axis=1, keepdims=True, out=out)


def _score_shifted(Z: Floats, labels: Integers, desk: Desk, *, finite: bool) -> None:
    """Score shifted logits: a label is right if it is the first largest.

    A largest logit that is not finite leaves its example without a 0, which could make up for another one's tie.
    """
    np.equal(Z, desk.zero, out=desk.flags)
    if finite and np.count_nonzero(desk.flags) == desk.scores.size:  # one 0 an example, as good as always
        np.equal(desk.picked, desk.zero, out=desk.hits)
    else:  # 20 times as slow
        np.equal(Z.argmax(axis=1), labels, out=desk.hits)
    np.copyto(desk.scores, desk.hits)


def _deviations(A: Floats, targets: Targets, desk: Desk) -> None:
    """Score the outputs, then turn them into their deviations from the targets."""
    assert targets.values is not None
    if targets.labels is not None:
        np.equal(A.argmax(axis=1), targets.labels, out=desk.scores, casting="unsafe")
    A -= targets.values
    if targets.labels is None:
        np.multiply(A, A, out=desk.spare)
        np.add.reduce(desk.spare, axis=1, out=desk.scores)


LOSSES = table("loss", CrossEntropy, BinaryCrossEntropy, MeanSquaredError, MeanAbsoluteError)
