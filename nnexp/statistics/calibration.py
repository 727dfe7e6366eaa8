"""Calibration and confusion: whether confidence is deserved, and which classes are taken for which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnexp.errors import DataError, require
from nnexp.statistics.intervals import proportion
from nnexp.statistics.samples import Float64s, check_level, pairs


@dataclass(frozen=True)
class Reliability:
    """Answers by their confidence, in B bins of equal width.

    edges: (B + 1,). counts: (B,). confidence, accuracy: the mean of each bin, NaN in empty ones. low, high: Wilson's
    interval of the accuracy, NaN in empty ones; level: its level. error: the expected calibration error.
    """

    edges: Float64s
    counts: NDArray[np.intp]
    confidence: Float64s
    accuracy: Float64s
    low: Float64s
    high: Float64s
    level: float
    error: float


@dataclass(frozen=True)
class ClassScores:
    """Scores of each of C classes, (C,) each: NaN where they are not defined. support: how many there are."""

    precision: Float64s
    recall: Float64s
    f1: Float64s
    support: NDArray[np.intp]


def reliability(confidence: ArrayLike, right: ArrayLike, bins: int = 15, level: float = 0.95) -> Reliability:
    """Return how often answers are right, by how sure the network was, and the expected calibration error.

    Bin b holds the confidences in ((b - 1) / B, b / B], the first one 0 too;
    error = sum_b |sum_{i in b} (right_i - confidence_i)| / m.

    Args: confidence: (m,), the probability of the predicted class, in [0, 1]. right: (m,), whether it was right.
        bins: B >= 1. level: of the intervals, in (0, 1).
    Raises: DataError if they are no pairs, there is none, or a confidence is out of range; ConfigError for others.
    Source: Guo, Pleiss, Sun & Weinberger 2017, arXiv:1706.04599, equation 3.
    """
    require(bins >= 1, "bins", "at least 1", bins)
    check_level(level)
    p, hits = pairs(confidence, right, "confidence and right")
    if not len(p) or not ((p >= 0) & (p <= 1)).all():
        raise DataError("confidence must be at least one number in [0, 1]")
    if not np.isin(hits, (0, 1)).all():
        raise DataError("right must be true or false")
    place = np.clip(np.ceil(p * bins).astype(np.intp) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    sure, hit = np.bincount(place, p, bins), np.bincount(place, hits, bins)
    accuracy = [proportion(int(k), int(n), level) if n else None for k, n in zip(hit, counts, strict=True)]
    with np.errstate(invalid="ignore"):  # empty bins
        return Reliability(
            edges=np.arange(bins + 1) / bins,
            counts=counts,
            confidence=sure / counts,
            accuracy=hit / counts,
            low=np.array([np.nan if each is None else each.low for each in accuracy]),
            high=np.array([np.nan if each is None else each.high for each in accuracy]),
            level=level,
            error=float(np.sum(np.abs(np.bincount(place, hits - p, bins))) / len(p)),
        )


def confusion(truth: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.intp]:
    """Return how many examples of class c were taken for class d: n_cd, (C, C), rows the truth, columns the answers.

    Args: truth, predicted: (m,), whole numbers in [0, C). classes: C >= 1.
    Raises: DataError if they are no pairs, or a label is out of range; ConfigError if there is no class.
    """
    require(classes >= 1, "classes", "at least 1", classes)
    y, k = np.asarray(truth), np.asarray(predicted)
    pairs(y, k, "truth and predicted")
    if not all(
        each.size == 0 or (each.dtype.kind in "iu" and 0 <= each.min() <= each.max() < classes) for each in (y, k)
    ):
        raise DataError(f"labels must be whole numbers in [0, {classes})")
    counts = np.bincount(y.astype(np.intp) * classes + k.astype(np.intp), minlength=classes**2)
    return counts.reshape(classes, classes)


def class_scores(matrix: ArrayLike) -> ClassScores:
    """Return precision n_cc / sum_d n_dc, recall n_cc / sum_d n_cd and F1 2 n_cc / sum_d (n_cd + n_dc) of each class.

    Precision is not defined for a class that is never predicted, recall for one that is not there, F1 where both hold.

    Args: matrix: n, (C, C), rows the truth, columns the answers: `confusion`.
    Raises: DataError if it is not square, or a count is negative.
    Source: van Rijsbergen 1979, Information Retrieval, chapter 7.
    """
    n = np.asarray(matrix)
    if n.ndim != 2 or n.shape[0] != n.shape[1] or n.shape[0] < 1 or n.min() < 0:
        raise DataError(f"a confusion matrix must be square and hold counts, got shape {n.shape}")
    right, there, named = np.diagonal(n), n.sum(axis=1), n.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return ClassScores(right / named, right / there, 2 * right / (there + named), there.astype(np.intp))
