"""Losses: their values, their gradients, their scores, and that no finite logit is too large."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nnexp.network.losses import LOSSES, BinaryCrossEntropy, CrossEntropy, MeanAbsoluteError, MeanSquaredError
from nnexp.testing.contracts import assert_finite_loss, judge_loss

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
    assert_finite_loss(LOSSES[name](), Z, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(LOSSES))
@given(data=st.data())
def test_a_loss_of_moderate_outputs_is_finite_and_not_negative(name: str, dtype: str, data: st.DataObject) -> None:
    Z, y = data.draw(logits(name, dtype, limit=1000.0))
    if LOSSES[name].target_kind == "values":
        assert_finite_loss(LOSSES[name](), Z, np.broadcast_to(y - 0.5, Z.shape))
    else:
        assert_finite_loss(LOSSES[name](), Z, y)


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
