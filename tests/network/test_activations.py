"""Activations: their values, and that no input makes them overflow."""

from __future__ import annotations

import numpy as np
import pytest

from nnexp.network.activations import ACTIVATIONS, LeakyReLU, Spare, sigmoid
from tests.contracts import activate
from tests.variations import acting

Z = np.linspace(-6, 6, 49)
FORMULAS = {
    "identity": Z,
    "sigmoid": 1 / (1 + np.exp(-Z)),
    "tanh": (np.exp(Z) - np.exp(-Z)) / (np.exp(Z) + np.exp(-Z)),
    "relu": np.where(Z > 0, Z, 0),
    "leaky_relu": np.where(Z > 0, Z, 0.01 * Z),
}


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_an_activation_has_the_values_of_its_formula(name: str) -> None:
    np.testing.assert_allclose(activate(ACTIVATIONS[name](), Z), FORMULAS[name], rtol=1e-14, atol=1e-15)


def test_the_slope_of_leaky_relu_acts_both_ways() -> None:
    assert activate(LeakyReLU(slope=0.25), [-4.0, 4.0]).tolist() == [-1.0, 4.0]
    A, dA = np.array([-1.0, 4.0]).reshape(1, 1, 2), np.full((1, 1, 2), 3.0)
    LeakyReLU(slope=0.25).backward(dA, A, Spare(np.empty_like(A), np.empty(A.shape, np.bool_), np.zeros((1, 2))))
    assert dA.ravel().tolist() == [0.75, 3.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_an_activation_is_finite_for_every_finite_input_and_keeps_its_type(name: str, dtype: str) -> None:
    most = np.finfo(dtype).max
    extremes = np.array([-most, -1e30, -100, -0.0, 0.0, np.finfo(dtype).tiny, 100, 1e30, most], dtype)
    A = activate(ACTIVATIONS[name](), extremes, dtype)
    assert A.dtype == dtype
    assert np.isfinite(A).all()
    assert (np.diff(A) >= 0).all(), "not monotonic"


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_an_activation_works_each_element_alone(name: str) -> None:
    activation = acting(ACTIVATIONS[name])
    together = activate(activation, Z)
    assert [activate(activation, [z])[0] for z in Z] == together.tolist()


def test_sigmoid_reaches_its_limits_without_a_warning() -> None:
    for dtype in ("float32", "float64"):
        ends = np.array([-1e4, 0, 1e4], dtype)
        sigmoid(ends)
        assert ends.tolist() == [0.0, 0.5, 1.0]
