"""Losses: their values, their gradients, their scores, and that no finite logit is too large."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nnexp.errors import DataError
from nnexp.network.losses import (
    LOSSES,
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    Loss,
    LossOfClasses,
    MeanAbsoluteError,
    MeanSquaredError,
    MultiLabelCrossEntropy,
)
from nnexp.testing.contracts import assert_finite_loss, assert_rejected, judge_loss
from nnexp.testing.variations import acting

FROM_LOGITS = sorted(name for name, cls in LOSSES.items() if cls.output is not None)
WIDTHS = {"float32": 32, "float64": 64}
Case = tuple[NDArray[Any], NDArray[Any]]


@st.composite
def logits(draw: st.DrawFn, name: str, dtype: str, limit: float | None = None) -> Case:
    """Logits (n, B) and labels (B,): n is 1 where a loss wants one logit."""
    n = 1 if LOSSES[name].target_kind == "binary" else draw(st.integers(2, 5))
    most = float(np.finfo(dtype).max) if limit is None else limit
    element = st.floats(-most, most, width=WIDTHS[dtype])  # type: ignore[arg-type]
    extreme = st.sampled_from([-most, most, 0.0, -0.0])
    B = draw(st.integers(1, 4))
    Z = draw(st.lists(element | extreme, min_size=n * B, max_size=n * B))
    if LOSSES[name].target_kind == "multi":
        marks = draw(st.lists(st.integers(0, 1), min_size=n * B, max_size=n * B))
        return np.array(Z, dtype).reshape(n, B), np.array(marks).reshape(n, B)
    y = draw(st.lists(st.integers(0, max(n, 2) - 1), min_size=B, max_size=B))
    return np.array(Z, dtype).reshape(n, B), np.array(y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FROM_LOGITS)
@given(data=st.data())
def test_a_loss_of_logits_is_finite_for_every_finite_logit(name: str, dtype: str, data: st.DataObject) -> None:
    Z, y = data.draw(logits(name, dtype))
    for loss in (LOSSES[name](), acting(LOSSES[name])):
        assert_finite_loss(loss, Z, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(LOSSES))
@given(data=st.data())
def test_a_loss_of_moderate_outputs_is_finite_and_not_negative(name: str, dtype: str, data: st.DataObject) -> None:
    Z, y = data.draw(logits(name, dtype, limit=1000.0))
    if LOSSES[name].target_kind == "values":
        assert_finite_loss(LOSSES[name](), Z, np.broadcast_to(y - 0.5, Z.shape))
    else:
        assert_finite_loss(LOSSES[name](), Z, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@given(data=st.data())
def test_probabilities_cost_something_finite_for_every_finite_logit(
    smoothing: float, dtype: str, data: st.DataObject
) -> None:
    Z, y = data.draw(logits("cross_entropy", dtype))
    Q = np.full(Z.shape, 0.5 / len(Z)) + 0.5 * (np.arange(len(Z))[:, None] == y)
    assert_finite_loss(CrossEntropy(label_smoothing=smoothing), Z, Q)


@given(case=logits("cross_entropy", "float64", limit=50.0), shift=st.floats(-1e3, 1e3))
def test_cross_entropy_does_not_see_a_shift_of_an_examples_logits(case: Case, shift: float) -> None:
    Z, y = case
    losses, _, gradient = judge_loss(CrossEntropy(), Z, y)
    shifts = np.zeros(Z.shape[1])
    shifts[0] = shift  # of one example alone: its neighbours stay as they are, too
    shifted, _, moved = judge_loss(CrossEntropy(), Z + shifts, y)
    np.testing.assert_allclose(shifted, losses, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(moved, gradient, rtol=1e-9, atol=1e-10)


@given(case=logits("cross_entropy", "float64", limit=30.0))
def test_cross_entropy_has_the_value_and_gradient_of_its_formula(case: Case) -> None:
    Z, y = case
    P = np.exp(Z) / np.exp(Z).sum(axis=0)
    losses, _, gradient = judge_loss(CrossEntropy(), Z, y)
    np.testing.assert_allclose(losses, np.log(np.exp(Z).sum(axis=0)) - Z[y, np.arange(len(y))], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gradient, P - (np.arange(len(Z))[:, None] == y), rtol=1e-9, atol=1e-12)


@given(case=logits("binary_cross_entropy", "float64", limit=30.0))
def test_binary_cross_entropy_has_the_value_and_gradient_of_its_formula(case: Case) -> None:
    Z, y = case
    a = 1 / (1 + np.exp(-Z[0]))
    losses, scores, gradient = judge_loss(BinaryCrossEntropy(), Z, y)
    textbook = np.where(y == 1, np.log1p(np.exp(-Z[0])), np.log1p(np.exp(Z[0])))
    np.testing.assert_allclose(losses, textbook, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gradient[0], a - y, rtol=1e-9, atol=1e-15)
    assert scores.tolist() == ((Z[0] > 0) == y).tolist()


def test_binary_cross_entropy_keeps_the_digits_of_a_small_cost() -> None:
    Z = np.array([[20.0, -20.0, 30.0]])
    losses, _, _ = judge_loss(BinaryCrossEntropy(), Z, np.array([1, 0, 1]))
    np.testing.assert_allclose(losses, np.exp([-20.0, -20.0, -30.0]), rtol=1e-8)


@given(case=logits("binary_cross_entropy", "float64", limit=500.0))
def test_one_logit_costs_what_two_with_their_difference_cost(case: Case) -> None:
    Z, y = case
    two, _, _ = judge_loss(CrossEntropy(), np.concatenate([np.zeros_like(Z), Z]), y)
    one, _, _ = judge_loss(BinaryCrossEntropy(), Z, y)
    np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-13)


def test_losses_of_values_sum_over_the_outputs_of_an_example() -> None:
    Z, Y = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 5.0]]), np.array([[0.0, 2.0, 5.0], [1.0, 1.0, 5.0]])
    squared, scores, gradient = judge_loss(MeanSquaredError(), Z, Y)
    assert squared.tolist() == scores.tolist() == [2.0, 4.0, 4.0]
    assert gradient.tolist() == [[2.0, 0.0, -4.0], [-2.0, -4.0, 0.0]]
    absolute, scores, gradient = judge_loss(MeanAbsoluteError(), Z, Y)
    assert absolute.tolist() == [2.0, 2.0, 2.0]
    assert scores.tolist() == [2.0, 4.0, 4.0]
    assert gradient.tolist() == [[1.0, 0.0, -1.0], [-1.0, -1.0, 0.0]]


@given(data=st.data())
def test_a_label_is_right_if_its_logit_is_the_first_largest(data: st.DataObject) -> None:
    n, B = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 6))
    few = st.lists(st.sampled_from([-1.0, 0.0, 2.5]), min_size=n * B, max_size=n * B)  # ties are frequent
    Z = np.array(data.draw(few)).reshape(n, B)
    y = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=B, max_size=B)))
    _, scores, _ = judge_loss(CrossEntropy(), Z, y)
    assert scores.tolist() == (Z.argmax(axis=0) == y).tolist()


@pytest.mark.parametrize("lost", [[np.nan, np.nan], [np.nan, 1.0], [np.inf, 1.0], [np.inf, np.inf]])
@pytest.mark.parametrize("label", [0, 1])
def test_ties_are_judged_the_same_beside_examples_that_are_not_finite(lost: list[float], label: int) -> None:
    # as many missing maxima as doubled ones: counting them all together would call every example decided
    Z, y = np.array([[0.0, 0.0], lost]).T, np.array([1, label])
    with np.errstate(invalid="ignore"):
        _, scores, _ = judge_loss(CrossEntropy(), Z, y)
    assert scores[0] == 0.0


# settings and targets

MODERATE = np.random.default_rng(1).normal(0, 3, (4, 30))
LABELS = np.random.default_rng(2).integers(0, 4, 30)
ONE_HOT = (np.arange(4)[:, None] == LABELS).astype(float)
LOGS = MODERATE - np.log(np.exp(MODERATE).sum(axis=0))  # log softmax


def assert_costs(loss: Loss, y: Any, expected: NDArray[Any], gradient: NDArray[Any], Z: Any = MODERATE) -> None:
    losses, _, found = judge_loss(loss, Z, y)
    np.testing.assert_allclose(losses, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found, gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("s", [0.0, 0.2])
def test_cross_entropy_of_probabilities_and_of_smoothed_labels_is_that_of_the_smoothed_target(s: float) -> None:
    soft = np.random.default_rng(3).dirichlet(np.ones(4), 30).T
    for target, y in ((ONE_HOT, LABELS), (ONE_HOT, ONE_HOT), (soft, soft)):
        Q = (1 - s) * target + s / 4
        assert_costs(CrossEntropy(label_smoothing=s), y, -(Q * LOGS).sum(axis=0), np.exp(LOGS) - Q)


@pytest.mark.parametrize("s", [0.0, 0.2])
def test_labels_that_do_not_exclude_each_other_cost_the_sum_of_theirs_and_score_their_share(s: float) -> None:
    marks = np.random.default_rng(4).integers(0, 2, (4, 30)).astype(float)
    Q, A = (1 - s) * marks + s / 2, 1 / (1 + np.exp(-MODERATE))
    each = -(Q * np.log(A) + (1 - Q) * np.log(1 - A))
    assert_costs(MultiLabelCrossEntropy(label_smoothing=s), marks, each.sum(axis=0), A - Q)
    _, scores, _ = judge_loss(MultiLabelCrossEntropy(), MODERATE, marks)
    assert scores.tolist() == ((MODERATE > 0) == marks).mean(axis=0).tolist()
    one = judge_loss(BinaryCrossEntropy(label_smoothing=s), MODERATE[:1], marks[0])
    several = judge_loss(MultiLabelCrossEntropy(label_smoothing=s), MODERATE[:1], marks[:1])
    for a, b in zip(one, several, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-15)


@pytest.mark.parametrize("margin", [1.0, 2.5])
@pytest.mark.parametrize("C", [2, 4])
def test_hinge_costs_what_others_lack_to_the_margin(C: int, margin: float) -> None:
    Z, y = MODERATE[:C], LABELS % C
    own, others = Z[y, np.arange(30)], np.arange(C)[:, None] != y
    lack = np.where(others, np.maximum(0, margin + Z - own), 0)
    slope = np.where(others, lack > 0, -(lack > 0).sum(axis=0)) / C
    assert_costs(Hinge(margin=margin), y, lack.sum(axis=0) / C, slope, Z)
    _, scores, _ = judge_loss(Hinge(margin=margin), Z, y)
    assert scores.tolist() == (Z.argmax(axis=0) == y).tolist()


@pytest.mark.parametrize("delta", [0.5, 1.0, 100.0])
def test_huber_is_square_up_to_delta_and_straight_beyond(delta: float) -> None:
    V = np.random.default_rng(5).normal(size=(4, 30))
    d = MODERATE - V
    each = np.where(np.abs(d) <= delta, d**2 / 2, delta * (np.abs(d) - delta / 2))
    assert_costs(Huber(delta=delta), V, each.sum(axis=0), np.clip(d, -delta, delta))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", [MeanAbsoluteError(), Huber(), Huber(delta=0.25)])
def test_straight_losses_are_finite_as_long_as_their_value_is(loss: Loss, dtype: str) -> None:
    most = float(np.finfo(dtype).max)
    losses, _, gradient = judge_loss(loss, np.array([[most, -most, 0.0]], dtype), np.array([[0.0, 0.0, most]], dtype))
    assert np.isfinite(losses).all()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_weights_make_a_weighted_mean(name: str) -> None:
    kind, rng = LOSSES[name].target_kind, np.random.default_rng(6)
    Z = MODERATE[:1] if kind == "binary" else MODERATE
    y: Any = {"binary": LABELS % 2, "labels": LABELS, "multi": ONE_HOT, "values": rng.normal(size=Z.shape)}[kind]
    w = rng.uniform(0, 2, 30) * (np.arange(30) > 3)
    plain, scores, slopes = judge_loss(acting(LOSSES[name]), Z, y)
    losses, same, gradient = judge_loss(acting(LOSSES[name]), Z, y, w)
    np.testing.assert_allclose(losses, w * plain, rtol=1e-14)
    np.testing.assert_allclose(gradient, slopes * w / w.sum(), rtol=1e-12, atol=1e-16)
    assert same.tolist() == scores.tolist()
    _, _, nothing = judge_loss(acting(LOSSES[name]), Z, y, np.zeros(30))
    assert (nothing == 0).all()


def test_balanced_classes_weigh_the_same_together() -> None:
    counts = np.array([10.0, 30.0, 60.0])
    weights = CrossEntropy(class_weight="balanced").weights_of(counts)
    assert weights is not None
    np.testing.assert_allclose(weights, 100 / (3 * counts))  # as scikit-learn's compute_class_weight
    assert CrossEntropy().weights_of(counts) is None
    with pytest.raises(DataError, match="needs examples of each class"):
        Hinge(class_weight="balanced").weights_of(np.array([3.0, 0.0]))


@pytest.mark.parametrize("name", sorted(name for name, cls in LOSSES.items() if issubclass(cls, LossOfClasses)))
@pytest.mark.parametrize("value", ["equal", (1.0, 0.0), (1.0, -1.0), (float("nan"), 1.0), ()])
def test_weights_of_classes_are_positive_numbers(name: str, value: Any) -> None:
    cls: Any = LOSSES[name]
    assert_rejected(lambda: cls(class_weight=value), f"{name}: class_weight must be none, balanced or a number > 0")
