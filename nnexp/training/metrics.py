"""Metrics: what the answers of networks on a part of the data are worth, one number a replica, each its own.

In the formulas: m examples; y true and k predicted class of C, p_c probability of class c; v true and a predicted
value; n_cd examples of class c that were taken for class d. Means run over the examples unless they say otherwise.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Flags, Integers
from nnexp.training.answers import Answers, Float64s, Sums, ValueScale, gives_probabilities

Direction = Literal["maximize", "minimize"]

OF_LABELS = ("loss", "acc")  # what there is of labels that do not exclude each other


class Metric:
    """A metric and what it is of.

    direction: how it is read. of_classes, of_values: the problems it applies to. needs_probabilities: whether outputs
    must be probabilities of classes.
    """

    name: ClassVar[str]
    direction: ClassVar[Direction]
    of_classes: ClassVar[bool] = False
    of_values: ClassVar[bool] = False
    needs_probabilities: ClassVar[bool] = False

    def applies(self, classes: int | None, probabilities: bool) -> bool:
        """Return whether there is such a number where there are so many classes, None for values."""
        fits = self.of_values if classes is None else self.of_classes
        if classes == 0 and self.name not in OF_LABELS:
            return False
        return fits and (probabilities or not self.needs_probabilities)

    def defined(self, labels: Integers | None, classes: int | None) -> bool:
        """Return whether a part with these labels has such a number."""
        return True


class Cheap(Metric):
    """A metric of sums that every pass over the data makes: recorded of the training part too, each epoch."""

    @abstractmethod
    def of_sums(self, sums: Sums) -> Float64s:
        """Return the metric of each replica, (K,)."""


class Thorough(Metric):
    """A metric that needs each answer."""

    @abstractmethod
    def of_answers(self, answers: Answers) -> Float64s:
        """Return the metric of each replica, (K,)."""


class MeanLoss(Cheap):
    """What the network minimises, without penalties: mean l. Of values, in standardised units."""

    name: ClassVar[str] = "loss"
    direction: ClassVar[Direction] = "minimize"
    of_classes: ClassVar[bool] = True
    of_values: ClassVar[bool] = True

    def of_sums(self, sums: Sums) -> Float64s:
        return sums.loss


class Accuracy(Cheap):
    """Share of examples whose class is right: sum_c n_cc / m, in [0, 1].

    Of labels that do not exclude each other, the mean over examples of the share of labels that is right.
    """

    name: ClassVar[str] = "acc"
    direction: ClassVar[Direction] = "maximize"
    of_classes: ClassVar[bool] = True

    def of_sums(self, sums: Sums) -> Float64s:
        return sums.scores / sums.examples


class RootMeanSquaredError(Cheap):
    """sqrt(mean (a - v)²), >= 0, in the values' own units; the mean over several values of an example, too."""

    name: ClassVar[str] = "rmse"
    direction: ClassVar[Direction] = "minimize"
    of_values: ClassVar[bool] = True

    def of_sums(self, sums: Sums) -> Float64s:
        if len(sums.squares) == 1:
            root: Float64s = _scale(sums).spread[0] * np.sqrt(sums.scores / sums.examples)
        else:
            root = np.sqrt(_over_values(_scale(sums).spread ** 2 * sums.squares) / sums.examples)
        return root


class Determination(Cheap):
    """Coefficient of determination: 1 - sum (a - v)² / sum (v - mean v)², at most 1.

    Of values that are all the same it is 1 where every answer is right and 0 elsewhere, as in scikit-learn. Of several
    values of an example, the mean of each one's.
    """

    name: ClassVar[str] = "r2"
    direction: ClassVar[Direction] = "maximize"
    of_values: ClassVar[bool] = True

    def of_sums(self, sums: Sums) -> Float64s:
        variation = _scale(sums).variation
        found = 1 - sums.squares / np.where(variation == 0, 1, variation)
        return _over_values(np.where(variation == 0, np.where(sums.squares == 0, 1.0, sums.squares * 0), found))


def _over_values(each: Float64s) -> Float64s:
    """Return the mean over values, (n, K) to (K,); a row a replica, as sums down a column depend on the width."""
    return _mean(each.T)


def _scale(sums: Sums) -> ValueScale:
    assert sums.scale is not None
    return sums.scale


class MeanAbsoluteError(Thorough):
    """Mean |a - v|, >= 0, in the values' own units; the mean over several values of an example, too."""

    name: ClassVar[str] = "mae"
    direction: ClassVar[Direction] = "minimize"
    of_values: ClassVar[bool] = True

    def of_answers(self, answers: Answers) -> Float64s:
        assert answers.truth.values is not None
        deviations = np.abs(np.subtract(answers.Z, answers.truth.values, dtype=np.float64))
        spread = _scale(answers.sums).spread
        return _over_values(np.stack([spread[j] * _mean(deviations[:, j]) for j in range(len(spread))]))


class BalancedAccuracy(Thorough):
    """Mean over classes of the share that is right: mean_c n_cc / sum_d n_cd, over the classes that there are; [0, 1].

    Source: Brodersen, Ong, Stephan & Buhmann 2010, doi:10.1109/ICPR.2010.764, for any number of classes.
    """

    name: ClassVar[str] = "balanced_acc"
    direction: ClassVar[Direction] = "maximize"
    of_classes: ClassVar[bool] = True

    def of_answers(self, answers: Answers) -> Float64s:
        right, there = _right(answers), np.add.reduce(answers.confusion, axis=2)
        return _mean_over(right / np.maximum(there, 1), there > 0)


class MacroF1(Thorough):
    """Mean over classes of the harmonic mean of precision and recall: mean_c 2 n_cc / sum_d (n_cd + n_dc); [0, 1].

    A class that is neither there nor predicted does not count.
    Source: van Rijsbergen 1979, Information Retrieval, chapter 7, averaged as scikit-learn does.
    """

    name: ClassVar[str] = "f1_macro"
    direction: ClassVar[Direction] = "maximize"
    of_classes: ClassVar[bool] = True

    def of_answers(self, answers: Answers) -> Float64s:
        n = answers.confusion
        named = np.add.reduce(n, axis=1) + np.add.reduce(n, axis=2)
        return _mean_over(2 * _right(answers) / np.maximum(named, 1), named > 0)


class AreaUnderROC(Thorough):
    """Probability that an example of a class gets a higher score for it than one of another class, ties half; [0, 1].

    From the ranks r of the scores, equals sharing their mean rank, for a class of n examples:
    (sum_{i of the class} r_i - n (n + 1) / 2) / (n (m - n)).
    Of two classes it is the second one's, by its probability or, where outputs are none, by their difference; of more,
    the mean over classes, each against the rest. Undefined where a class is missing.
    Source: Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747; Provost & Domingos 2000 for more than two.
    """

    name: ClassVar[str] = "roc_auc"
    direction: ClassVar[Direction] = "maximize"
    of_classes: ClassVar[bool] = True

    def applies(self, classes: int | None, probabilities: bool) -> bool:
        return bool(classes) and (probabilities or classes == 2)

    def defined(self, labels: Integers | None, classes: int | None) -> bool:
        return labels is None or len(np.unique(labels)) == classes

    def of_answers(self, answers: Answers) -> Float64s:
        labels = answers.labels
        if answers.classes == 2:
            return _area(_scores(answers), labels == 1)
        return _mean(np.stack([_area(answers.P[:, c], labels == c) for c in range(answers.classes)], axis=1))


class LogLoss(Thorough):
    """Mean -log p_y, >= 0, with p_y not below 2.2e-16 so that it is finite.

    It is the loss of cross-entropies, for comparison where the loss is another or has weights or smoothed labels.
    """

    name: ClassVar[str] = "log_loss"
    direction: ClassVar[Direction] = "minimize"
    of_classes: ClassVar[bool] = True
    needs_probabilities: ClassVar[bool] = True

    def of_answers(self, answers: Answers) -> Float64s:
        p = np.take_along_axis(answers.P, answers.labels[:, None], axis=1)[:, 0]
        least = np.finfo(np.float64).eps
        return _mean(-np.log(np.clip(p, least, 1 - least)))


class BrierScore(Thorough):
    """Mean sum_c (p_c - [y = c])², in [0, 2]; of two classes half of it, mean (p_1 - y)², in [0, 1].

    Source: Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; two classes as is usual and in
    scikit-learn.
    """

    name: ClassVar[str] = "brier"
    direction: ClassVar[Direction] = "minimize"
    of_classes: ClassVar[bool] = True
    needs_probabilities: ClassVar[bool] = True

    def of_answers(self, answers: Answers) -> Float64s:
        deviations = answers.P - (answers.labels[:, None] == np.arange(answers.classes)[:, None])
        np.square(deviations, out=deviations)
        return _mean(np.add.reduce(deviations, axis=1)) / (2 if answers.classes == 2 else 1)


class CalibrationError(Thorough):
    """Expected calibration error: how far confidence and accuracy lie apart, by bins of confidence; [0, 1].

    sum_b |sum_{i in b} ([k_i = y_i] - p_k)| / m, over 15 bins b of equal width, ((b - 1) / 15, b / 15].
    Source: Guo, Pleiss, Sun & Weinberger 2017, arXiv:1706.04599, equation 3.
    """

    name: ClassVar[str] = "ece"
    direction: ClassVar[Direction] = "minimize"
    of_classes: ClassVar[bool] = True
    needs_probabilities: ClassVar[bool] = True
    bins: ClassVar[int] = 15

    def of_answers(self, answers: Answers) -> Float64s:
        confidence = np.take_along_axis(answers.P, answers.predicted[:, None], axis=1)[:, 0]
        surplus = answers.hits - confidence
        bins = np.clip(np.ceil(confidence * self.bins), 1, self.bins)
        gaps = [np.abs(np.add.reduce(np.where(bins == b, surplus, 0), axis=1)) for b in range(1, self.bins + 1)]
        error: Float64s = sum(gaps, np.zeros(len(surplus))) / surplus.shape[1]
        return error


def _right(answers: Answers) -> NDArray[np.intp]:
    """Return n_cc, (K, C)."""
    diagonal: NDArray[np.intp] = np.diagonal(answers.confusion, axis1=1, axis2=2)
    return diagonal


def _mean(each: Float64s) -> Float64s:
    """Return the mean of each row, (K, m) to (K,)."""
    mean: Float64s = np.add.reduce(np.ascontiguousarray(each), axis=1) / each.shape[1]
    return mean


def _mean_over(each: Float64s, counts: Flags) -> Float64s:
    """Return the mean of what counts of each row, (K, C) to (K,)."""
    mean: Float64s = np.add.reduce(np.where(counts, each, 0), axis=1) / np.count_nonzero(counts, axis=1)
    return mean


def _scores(answers: Answers) -> Float64s:
    """Return what speaks for the second of two classes, (K, m)."""
    if gives_probabilities(answers.blueprint):
        return answers.P[:, 1]
    Z = answers.Z.astype(np.float64)
    return Z[:, 0] if Z.shape[1] == 1 else Z[:, 1] - Z[:, 0]


def _area(scores: Float64s, positive: Flags) -> Float64s:
    """Return the area under the ROC curve of each row, (K, m) to (K,); sums of ranks are exact."""
    order = np.argsort(scores, axis=1)
    rising = np.take_along_axis(scores, order, axis=1)
    m, place = scores.shape[1], np.arange(scores.shape[1])
    steps = rising[:, 1:] != rising[:, :-1]
    edge = np.ones((len(scores), 1), np.bool_)
    first = np.maximum.accumulate(np.where(np.hstack([edge, steps]), place, 0), axis=1)
    last = np.where(np.hstack([steps, edge]), place, m - 1)[:, ::-1]
    ranks = 1 + (first + np.minimum.accumulate(last, axis=1)[:, ::-1]) / 2
    n = np.count_nonzero(positive, axis=1)
    above = np.add.reduce(np.where(np.take_along_axis(positive, order, axis=1), ranks, 0), axis=1) - n * (n + 1) / 2
    with np.errstate(invalid="ignore"):  # a class that is missing
        area: Float64s = above / (n * (m - n))
    return area


METRICS: Mapping[str, type[Metric]] = {
    metric.name: metric
    for metric in (
        *(MeanLoss, Accuracy, RootMeanSquaredError, Determination),
        *(MeanAbsoluteError, BalancedAccuracy, MacroF1, AreaUnderROC, LogLoss, BrierScore, CalibrationError),
    )
}
CHEAP = tuple(name for name, metric in METRICS.items() if issubclass(metric, Cheap))
NORMS = ("train/grad_norm", "train/weight_norm")
AVERAGED = "ema_"  # how the names of metrics of averaged parameters begin, behind their part


def applicable(classes: int | None, *, probabilities: bool = True) -> tuple[str, ...]:
    """Return the metrics that there are for so many classes, None for values, in the table's order."""
    return tuple(name for name, metric in METRICS.items() if metric().applies(classes, probabilities))


def _each_epoch(classes: int | None) -> tuple[str, ...]:
    """Return what is recorded each epoch unless more is asked for."""
    cheap = [name for name in applicable(classes) if name in CHEAP]
    return ("train/cost", *(f"train/{name}" for name in cheap), *(f"val/{name}" for name in cheap), *NORMS)


CLASSIFICATION, REGRESSION = _each_epoch(2), _each_epoch(None)


def direction_of(metric: str) -> Direction:
    """Return how a metric is read, from its name with its part, as val/acc: larger is better for acc, r2 and others."""
    found = METRICS.get(raw(metric).rpartition("/")[2])
    return "minimize" if found is None else found.direction


def raw(metric: str) -> str:
    """Return the same metric of the parameters themselves: val/acc for val/ema_acc, anything else as it is."""
    return metric.replace(f"/{AVERAGED}", "/")


def judge(sums: Sums) -> dict[str, Float64s]:
    """Return the cheap metrics of a part, (K,) each: loss and acc, or loss, rmse and r2."""
    found: dict[str, Float64s] = {}
    for name, metric in METRICS.items():
        if issubclass(metric, Cheap) and (metric.of_classes if sums.scale is None else metric.of_values):
            found[name] = metric().of_sums(sums)
    return found
