"""Losses of classes: exclusive ones, or labels that do not exclude each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Floats, Integers
from nnexp.errors import DataError, require
from nnexp.network.activations import sigmoid
from nnexp.network.loss import Desk, Loss, TargetKind, Targets

ClassWeight = Literal["none", "balanced"] | tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class LossOfClasses(Loss):
    """A loss of exclusive classes, which may have weights.

    An example weighs its own weight times that of its class; with probabilities for labels, the mean of its classes'.

    Args: class_weight: `none`; `balanced`: m / (C m_c) for a class with m_c of the m training examples, as
    scikit-learn has it; or a positive number for each of the C classes.
    Raises: ConfigError if a weight is out of range.
    """

    class_weight: ClassWeight = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.class_weight
        valid = given in ("none", "balanced") if isinstance(given, str) else isinstance(given, tuple) and bool(given)
        if valid and not isinstance(given, str):
            valid = all(isinstance(each, int | float) and 0 < each < np.inf for each in given)
        demand = "none, balanced or a number > 0 for each class"
        require(valid, f"{self.name}: class_weight", demand, list(given) if isinstance(given, tuple) else given)

    def weights_of(self, counts: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return the classes' weights, (C,), for so many training examples of each; None where they have none.

        Raises: DataError if a class that is to be balanced has no example.
        """
        if self.class_weight == "none":
            return None
        if self.class_weight != "balanced":
            return np.asarray(self.class_weight, np.float64)
        if not counts.all():
            raise DataError(f"{self.name}: class_weight balanced needs examples of each class to train on")
        weights: NDArray[np.float64] = counts.sum() / (len(counts) * counts)
        return weights


@dataclass(frozen=True, kw_only=True)
class SmoothedLoss(Loss):
    """A loss whose targets may be smoothed.

    Args: label_smoothing: s, the share of a target that goes to all classes alike, in [0, 1).
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        valid = 0 <= self.label_smoothing < 1
        require(valid, f"{self.name}: label_smoothing", "in [0, 1)", self.label_smoothing)


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(SmoothedLoss, LossOfClasses):
    """Categorical cross-entropy from logits, with integer labels or probabilities q of classes, which sum to 1.

    l = log(sum_j exp(z_j)) - sum_j q_j z_j;  dl/dz = softmax(z) - q
    q = (1 - s) onehot(y) + s / C, or (1 - s) q + s / C.
    Logits are shifted by each example's own maximum, so no finite logit overflows. An example scores 1 if its label, or
    the most probable one, is its first largest logit.
    PyTorch's cross_entropy agrees, but for class weights: beside smoothing it weighs each class's part of a target by
    that class's weight, and with probabilities it divides by the number of examples instead of their weights.

    Args: label_smoothing: s, in [0, 1). class_weight: `none`, `balanced` or a number > 0 for each class.
    Raises: ConfigError if a value is out of range.
    Source: Bishop 2006, equations 4.108 and 4.109; Szegedy et al. 2016, arXiv:1512.00567, section 7, for s.
    """

    name: ClassVar[str] = "cross_entropy"
    target_kind: ClassVar[TargetKind] = "labels"
    output: ClassVar[str | None] = "softmax"

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        assert targets.labels is not None
        _reduce(np.maximum, Z, desk.reduced)
        Z -= desk.reduced
        _pick(Z, targets.labels, desk)
        finite = bool(np.vdot(desk.picked, desk.picked) < np.inf)
        _score_shifted(Z, targets.labels, desk, finite=finite)
        if targets.values is not None or self.label_smoothing:
            self._average(Z, targets.values, desk)
        elif not finite:  # two finite logits may lie further apart than the type can say
            np.maximum(desk.picked, desk.lowest, out=desk.picked)
        np.exp(Z, out=Z)
        _reduce(np.add, Z, desk.reduced)
        np.log(desk.reduced[:, 0], out=desk.losses)
        desk.losses -= desk.picked

    def _average(self, Z: Floats, q: Floats | None, desk: Desk) -> None:
        """Turn the label's logit in desk.picked into the mean of all logits by the target's probabilities."""
        s, C = self.label_smoothing, Z.shape[1]
        np.maximum(Z, desk.lowest, out=Z)
        if q is None:
            np.maximum(desk.picked, desk.lowest, out=desk.picked)
        else:
            np.multiply(Z, q, out=desk.spare)
            np.add.reduce(desk.spare, axis=1, out=desk.picked)
        if s:
            desk.picked *= Z.dtype.type(1 - s)
            np.multiply(Z, Z.dtype.type(s / C), out=desk.spare)
            np.add.reduce(desk.spare, axis=1, out=desk.losses)
            desk.picked += desk.losses
        np.maximum(desk.picked, desk.lowest, out=desk.picked)

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        s, C = self.label_smoothing, Z.shape[1]
        np.divide(desk.share, desk.reduced, out=desk.reduced)
        Z *= desk.reduced
        # to multiples of 1e-26 (float32): step sizes that are too large bring denormal probabilities, and products with
        # denormal numbers were 16 times as slow
        Z += desk.speck
        Z -= desk.speck
        if s:
            np.multiply(desk.share, Z.dtype.type(s / C), out=desk.reduced)
            Z -= desk.reduced
        if targets.values is not None:
            np.multiply(desk.share, Z.dtype.type(1 - s), out=desk.reduced)
            np.multiply(targets.values, desk.reduced, out=desk.spare)
            Z -= desk.spare
            return
        flat = Z.reshape(-1)
        flat.take(desk.index, out=desk.picked, mode="clip")
        if s:
            np.multiply(desk.own_share, Z.dtype.type(1 - s), out=desk.reduced[:, 0])
            desk.picked -= desk.reduced[:, 0]
        else:
            desk.picked -= desk.own_share
        flat[desk.index] = desk.picked  # half the time of put


@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropy(SmoothedLoss, LossOfClasses):
    """Binary cross-entropy from one logit and labels 0 or 1.

    l = max(z, 0) - z y + log(1 + exp(-|z|));  dl/dz = sigmoid(z) - y
    y <- (1 - s) y + s / 2. The form overflows nowhere. An example scores 1 if (z > 0) is its label.

    Args: label_smoothing: s, in [0, 1). class_weight: `none`, `balanced` or a number > 0 for each class.
    Raises: ConfigError if a value is out of range.
    Source: Bishop 2006, equations 4.90 and 4.91.
    """

    name: ClassVar[str] = "binary_cross_entropy"
    target_kind: ClassVar[TargetKind] = "binary"
    output: ClassVar[str | None] = "sigmoid"

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        assert targets.labels is not None
        losses, spare = desk.losses[:, None], desk.spare
        np.greater(Z, desk.zero, out=desk.flags)
        np.equal(desk.flags[:, 0], targets.labels, out=desk.hits)
        np.copyto(desk.scores, desk.hits)
        np.maximum(Z, desk.zero, out=losses)
        np.multiply(Z, _smooth(targets, self.label_smoothing, desk), out=spare)
        losses -= spare  # exactly 0 where the sign is right, which keeps the digits of the small term below
        _softplus_of_minus_size(Z, spare)
        losses += spare

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        sigmoid(Z)
        Z -= _smooth(targets, self.label_smoothing, desk)
        Z *= desk.share


@dataclass(frozen=True, kw_only=True)
class MultiLabelCrossEntropy(SmoothedLoss):
    """Cross-entropy of labels that do not exclude each other: a logit and a target 0 or 1 for each of L.

    l = sum_j (max(z_j, 0) - z_j y_j + log(1 + exp(-|z_j|)));  dl/dz_j = sigmoid(z_j) - y_j
    y <- (1 - s) y + s / 2. The form overflows nowhere, but a sum may: it ends at the largest number of its type. The
    sum runs over an example's labels; the mean of PyTorch's BCEWithLogitsLoss divides by L too. An example scores the
    share of its labels for which (z > 0) is right.

    Args: label_smoothing: s, in [0, 1).
    Raises: ConfigError if a value is out of range.
    Source: Bishop 2006, equations 4.90 and 4.91, for each label.
    """

    name: ClassVar[str] = "multi_label_cross_entropy"
    target_kind: ClassVar[TargetKind] = "multi"
    output: ClassVar[str | None] = "sigmoid"

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        assert targets.values is not None
        spare, more = desk.spare, desk.more
        np.greater(Z, desk.zero, out=desk.flags)
        np.equal(desk.flags, targets.values, out=desk.flags)
        np.copyto(spare, desk.flags)
        np.add.reduce(spare, axis=1, out=desk.scores)
        desk.scores /= Z.dtype.type(Z.shape[1])
        np.multiply(Z, _smooth(targets, self.label_smoothing, desk), out=spare)
        np.maximum(Z, desk.zero, out=more)
        more -= spare
        _softplus_of_minus_size(Z, spare)
        more += spare
        np.add.reduce(more, axis=1, out=desk.losses)
        np.minimum(desk.losses, -desk.lowest, out=desk.losses)

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        sigmoid(Z)
        Z -= _smooth(targets, self.label_smoothing, desk)
        Z *= desk.share


@dataclass(frozen=True, kw_only=True)
class Hinge(LossOfClasses):
    """Multi-class hinge loss: l = sum_{j != y} max(0, margin + z_j - z_y) / C, for C >= 2 classes.

    dl/dz_j = 1 / C where margin + z_j > z_y, else 0, for j != y;  dl/dz_y = minus the sum of the others
    As torch.nn.functional.multi_margin_loss with p = 1; with class weights that divides by the number of examples
    instead of their weights. A sum that overflows ends at the largest number of its type.

    Args: margin: > 0. class_weight: `none`, `balanced` or a number > 0 for each class.
    Raises: ConfigError if a value is out of range.
    Source: Weston & Watkins 1999, equation 2, divided by C.
    """

    name: ClassVar[str] = "hinge"
    target_kind: ClassVar[TargetKind] = "labels"
    output: ClassVar[str | None] = "identity"
    takes_probabilities: ClassVar[bool] = False
    margin: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.margin < np.inf, "hinge: margin", "> 0", self.margin)

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        assert targets.labels is not None
        C = Z.shape[1]
        _reduce(np.maximum, Z, desk.reduced)
        Z -= desk.reduced  # differences stay as they are, and the label's own says whether it is the largest
        _pick(Z, targets.labels, desk)
        _score_shifted(Z, targets.labels, desk, finite=bool(np.vdot(desk.picked, desk.picked) < np.inf))
        np.maximum(desk.picked, desk.lowest, out=desk.picked)
        Z *= Z.dtype.type(1 / C)  # first of all: the difference of two finite numbers need not be finite
        desk.picked *= Z.dtype.type(1 / C)
        Z -= desk.picked[:, None]
        Z += Z.dtype.type(self.margin / C)
        np.maximum(Z, desk.zero, out=Z)
        Z.reshape(-1)[desk.index] = desk.zero
        np.add.reduce(Z, axis=1, out=desk.losses)
        np.minimum(desk.losses, -desk.lowest, out=desk.losses)

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        np.greater(Z, desk.zero, out=desk.flags)
        np.copyto(Z, desk.flags)
        np.multiply(desk.share, Z.dtype.type(1 / Z.shape[1]), out=desk.reduced)
        Z *= desk.reduced
        np.add.reduce(Z, axis=1, out=desk.picked)
        np.negative(desk.picked, out=desk.picked)
        Z.reshape(-1)[desk.index] = desk.picked


def _pick(Z: Floats, labels: Integers, desk: Desk) -> None:
    """Fill desk.picked with each example's logit of its label, and desk.index with where it is."""
    np.multiply(labels, Z.shape[2], out=desk.index)
    np.add(desk.index, desk.offset, out=desk.index)
    Z.reshape(-1).take(desk.index, out=desk.picked, mode="clip")


def _smooth(targets: Targets, smoothing: float, desk: Desk) -> Floats:
    """Return targets 0 and 1, (K, n, B), as (1 - s) y + s / 2, in the desk's spare array if s > 0."""
    assert targets.values is not None
    if not smoothing:
        return targets.values
    np.multiply(targets.values, targets.values.dtype.type(1 - smoothing), out=desk.spare)
    desk.spare += targets.values.dtype.type(smoothing / 2)
    return desk.spare


def _softplus_of_minus_size(Z: Floats, out: Floats) -> None:
    """Fill out with log(1 + exp(-|z|))."""
    np.abs(Z, out=out)
    np.negative(out, out=out)
    np.exp(out, out=out)
    np.log1p(out, out=out)


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
