"""Calibration and confusion: against scikit-learn, SciPy and nnexp's own metrics of the same answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from nnexp.errors import ConfigError, DataError
from nnexp.network.losses import CrossEntropy, Targets
from nnexp.network.stack import Blueprint
from nnexp.statistics.calibration import class_scores, confusion, reliability
from nnexp.training.answers import Answers, Sums
from nnexp.training.metrics import CalibrationError, MacroF1

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


def answered(m: int = 400) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return confidences, none on an edge of a bin, and whether each was right."""
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1, m)
    return confidence, rng.random(m) < confidence**2


def network_answers(m: int, classes: int) -> tuple[Answers, NDArray[Any], NDArray[np.intp]]:
    """Return answers of one network, its probabilities (C, m) and the true labels."""
    rng = np.random.default_rng(m)
    Z, labels = 3 * rng.normal(size=(1, classes, m)), rng.integers(0, classes, m)
    sums = Sums(np.zeros(1), np.zeros((1, 1)), m)
    blueprint = Blueprint((1, classes), (), None, CrossEntropy(), "float64")
    return Answers(sums, blueprint, Z, Targets(labels[None], None), classes), softmax(Z[0], axis=0), labels


@pytest.mark.parametrize(("m", "classes"), [(1, 3), (50, 2), (400, 10)])
def test_the_calibration_error_is_the_metric_of_the_same_name(m: int, classes: int) -> None:
    answers, P, labels = network_answers(m, classes)
    found = reliability(P.max(axis=0), P.argmax(axis=0) == labels)
    assert found.error == pytest.approx(float(CalibrationError().of_answers(answers)[0]), rel=1e-12)


def test_f1_is_the_metric_of_the_same_name_and_the_confusion_its_own() -> None:
    answers, P, labels = network_answers(200, 5)
    matrix = confusion(labels, P.argmax(axis=0), 5)
    np.testing.assert_array_equal(matrix, answers.confusion[0])
    assert float(np.mean(class_scores(matrix).f1)) == pytest.approx(float(MacroF1().of_answers(answers)[0]), rel=1e-12)


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_bins_are_scikit_learns(bins: int) -> None:
    confidence, right = answered()
    found, (accuracy, sure) = reliability(confidence, right, bins), calibration_curve(right, confidence, n_bins=bins)
    there = found.counts > 0
    np.testing.assert_allclose(found.accuracy[there], accuracy)
    np.testing.assert_allclose(found.confidence[there], sure)
    assert found.counts.sum() == 400
    assert len(found.edges) == bins + 1


def test_the_accuracy_of_each_bin_has_wilsons_interval_and_an_empty_one_none() -> None:
    found = reliability([0.91, 0.95, 0.92, 0.3], [1, 1, 0, 0], 10, level=0.9)
    theirs = stats.binomtest(2, 3).proportion_ci(0.9, "wilson")
    assert (found.low[9], found.high[9]) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert np.isnan([found.low[8], found.high[8], found.accuracy[8], found.confidence[8]]).all()
    assert found.level == 0.9


def test_a_confidence_on_an_edge_belongs_to_the_bin_below_it_and_zero_to_the_first() -> None:
    found = reliability([0.0, 0.25, 0.5, 0.75, 1.0], [0, 0, 1, 1, 1], 4)
    assert found.counts.tolist() == [2, 1, 1, 1]
    assert found.error == pytest.approx((0.25 + 0.5 + 0.25 + 0) / 5)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30), st.integers(1, 20))
def test_an_error_of_calibration_is_a_share_and_that_of_one_bin_is_how_far_the_means_lie_apart(
    answers: list[tuple[float, bool]], bins: int
) -> None:
    confidence, right = zip(*answers, strict=True)
    found = reliability(confidence, right, bins)
    gap = abs(np.mean(confidence) - np.mean(right))
    assert gap - 1e-9 <= found.error <= 1
    assert reliability(confidence, right, 1).error == pytest.approx(gap, abs=1e-12)


@given(LABELS)
def test_the_confusion_and_the_scores_of_classes_are_scikit_learns(labels: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(labels).T
    matrix = confusion(truth, predicted, 4)
    np.testing.assert_array_equal(matrix, confusion_matrix(truth, predicted, labels=range(4)))
    found = class_scores(matrix)
    theirs = precision_recall_fscore_support(truth, predicted, labels=range(4), zero_division=np.nan)
    for ours, expected in zip((found.precision, found.recall, found.f1, found.support), theirs, strict=True):
        np.testing.assert_allclose(ours, expected)


def test_what_is_not_defined_is_no_number() -> None:
    found = class_scores([[3, 0, 0], [1, 0, 0], [0, 0, 0]])
    assert [np.isnan(each).tolist() for each in (found.precision, found.recall, found.f1)] == [
        [False, True, True],
        [False, False, True],
        [False, False, True],
    ]


@pytest.mark.parametrize(("confidence", "right"), [([], []), ([1.1], [1]), ([np.nan], [1]), ([0.5], [2]), ([0.5], [])])
def test_what_is_no_confidence_or_no_answer_is_refused(confidence: list[float], right: list[float]) -> None:
    with pytest.raises(DataError, match=r"confidence|right"):
        reliability(confidence, right)


def test_labels_and_matrices_that_are_none_are_refused() -> None:
    for labels in ([0, 3], [-1, 0], [0.5, 1]):
        with pytest.raises(DataError, match=r"labels must be whole numbers in \[0, 3\)"):
            confusion(labels, [0, 0], 3)
    for matrix in (np.zeros((2, 3)), [[-1]], [1]):
        with pytest.raises(DataError, match="must be square"):
            class_scores(matrix)
    with pytest.raises(ConfigError, match="bins"):
        reliability([0.5], [1], 0)
    with pytest.raises(ConfigError, match="classes"):
        confusion([], [], 0)
