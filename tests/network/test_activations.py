"""Activations: their values, slopes, kinks and gains, and that no input makes them overflow."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import erf

from nnexp.network.activations import ACTIVATIONS, ELU, GELU, Activation, LeakyReLU, Softmax, sigmoid
from nnexp.testing.contracts import activate, slopes
from nnexp.testing.variations import acting

Float64s = NDArray[np.float64]
Z = np.linspace(-6, 6, 49)
SELU = 1.0507009873554804934193349852946 * np.where(Z > 0, Z, 1.6732632423543772848170429916717 * np.expm1(Z))
FORMULAS = {
    "identity": Z,
    "sigmoid": 1 / (1 + np.exp(-Z)),
    "tanh": (np.exp(Z) - np.exp(-Z)) / (np.exp(Z) + np.exp(-Z)),
    "relu": np.where(Z > 0, Z, 0),
    "leaky_relu": np.where(Z > 0, Z, 0.01 * Z),
    "elu": np.where(Z > 0, Z, np.exp(Z) - 1),
    "selu": SELU,
    "gelu": Z / 2 * (1 + erf(Z / np.sqrt(2))),
    "silu": Z / (1 + np.exp(-Z)),
    "softplus": np.log(1 + np.exp(Z)),
    "mish": Z * np.tanh(np.log(1 + np.exp(Z))),
    "softsign": Z / (1 + np.abs(Z)),
    "hard_sigmoid": np.where(Z <= -3, 0, np.where(Z >= 3, 1, Z / 6 + 0.5)),
    "softmax": np.exp(Z) / np.exp(Z).sum(),
}
FORMS = [make for _, cls in sorted(ACTIVATIONS.items()) for make in {cls(): None, acting(cls): None}]
ELEMENTWISE = [form for form in FORMS if form.elementwise]
NOT_MONOTONIC = {"gelu", "silu", "mish", "softmax"}  # over several units, softmax has no order to keep
LIKE_SIGMOID = {"sigmoid", "hard_sigmoid", "softmax", "identity"}
PYTORCH_GAINS = {"tanh": 5 / 3, "relu": 2**0.5, "leaky_relu": (2 / (1 + 0.01**2)) ** 0.5, "selu": 0.75}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_an_activation_has_the_values_of_its_formula(name: str) -> None:
    assert name in FORMULAS, f"add what {name} is of Z to FORMULAS, as its source prints it"
    A = Z[:, None] if name == "softmax" else Z
    found = activate(ACTIVATIONS[name](), A)
    np.testing.assert_allclose(found.ravel(), FORMULAS[name], rtol=1e-13, atol=1e-15)


def test_the_settings_of_an_activation_act_both_ways() -> None:
    assert activate(LeakyReLU(slope=0.25), [-4.0, 4.0]).tolist() == [-1.0, 4.0]
    assert slopes(LeakyReLU(slope=0.25), [-4.0, 4.0]).tolist() == [0.25, 1.0]
    assert activate(ELU(alpha=2.0), [-50.0, 4.0]).tolist() == [-2.0, 4.0]
    assert slopes(ELU(alpha=2.0), [-50.0, -1e-12, 4.0]).tolist() == pytest.approx([0.0, 2.0, 1.0], abs=1e-11)
    tanh = Z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (Z + 0.044715 * Z**3)))
    np.testing.assert_allclose(activate(GELU(approximate="tanh"), Z), tanh, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("activation", ELEMENTWISE, ids=repr)
def test_a_derivative_is_the_slope_and_jumps_at_the_kinks_alone(activation: Activation) -> None:
    grid = np.linspace(-8, 8, 3201)  # every 0.005, whole numbers among them
    step = 1e-5
    left, middle, right = (slopes(activation, grid + shift) for shift in (-step, 0, step))
    measured = (activate(activation, grid + step) - activate(activation, grid - step)) / (2 * step)
    smooth = ~np.isclose(grid[:, None], activation.kinks, atol=2 * step).any(axis=1) if activation.kinks else ...
    np.testing.assert_allclose(middle[smooth], measured[smooth], rtol=1e-6, atol=step)
    assert np.abs(right - left)[smooth].max() < 1e-4, "jumps where no kink is declared"
    for kink in activation.kinks:
        before, after = slopes(activation, [kink - step, kink + step])
        assert abs(after - before) > 1e-3, f"no jump at {kink}"


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 4, 3), (3, 5, 1)])
def test_the_derivative_of_softmax_is_that_of_all_units_together(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    logits, above, along = rng.normal(size=(3, *shape))
    measured = [activate(Softmax(), logits + step * along) for step in (1e-6, -1e-6)]
    slope = (above * (measured[0] - measured[1]) / 2e-6).sum()
    assert (slopes(Softmax(), logits, above) * along).sum() == pytest.approx(slope, abs=1e-9)
    np.testing.assert_allclose(activate(Softmax(), logits + 7.0), activate(Softmax(), logits), rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", FORMS, ids=repr)
def test_an_activation_and_its_slope_are_finite_for_every_finite_input_and_keep_their_type(
    activation: Activation, dtype: str
) -> None:
    most = np.finfo(dtype).max
    extremes = np.array([-most, -1e30, -1e20, -1000, -100, -1, -0.0, 0.0, np.finfo(dtype).tiny, 1, 100, 1e30, most])
    extremes = extremes.astype(dtype) if activation.elementwise else extremes.astype(dtype)[:, None]
    A, slope = activate(activation, extremes, dtype), slopes(activation, extremes, dtype=dtype)
    assert A.dtype == slope.dtype == dtype
    assert np.isfinite(A).all()
    assert np.isfinite(slope).all()
    if activation.name not in NOT_MONOTONIC:
        assert (np.diff(A) >= 0).all(), "not monotonic"
        assert (slope >= 0).all()
    if activation.elementwise and A[-1] > 10:  # it has no end above
        assert slope[-1] == pytest.approx(SELU_SLOPE if activation.name == "selu" else 1)


SELU_SLOPE = 1.0507009873554805


@pytest.mark.parametrize("activation", ELEMENTWISE, ids=repr)
def test_an_activation_works_each_element_alone(activation: Activation) -> None:
    together, slope = activate(activation, Z), slopes(activation, Z)
    assert [activate(activation, [z])[0] for z in Z] == together.tolist()
    assert [slopes(activation, [z])[0] for z in Z] == slope.tolist()


@pytest.mark.parametrize("activation", FORMS, ids=repr)
def test_values_are_the_same_where_no_slope_is_kept(activation: Activation) -> None:
    kept = activate(activation, Z.reshape(1, 7, 7), slope=True)
    assert kept.tobytes() == activate(activation, Z.reshape(1, 7, 7)).tobytes()


@pytest.mark.parametrize("activation", FORMS, ids=repr)
def test_a_gain_is_pytorchs_or_keeps_the_mean_square_of_a_normal_layer(activation: Activation) -> None:
    if activation.name in LIKE_SIGMOID:
        assert activation.gain == 1
    elif activation.name in PYTORCH_GAINS and activation == ACTIVATIONS[activation.name]():
        assert activation.gain == pytest.approx(PYTORCH_GAINS[activation.name], rel=1e-15)
    elif activation.name not in PYTORCH_GAINS:

        def weighed(z: float) -> float:
            return float(activate(activation, [z])[0] ** 2 * np.exp(-z * z / 2) / np.sqrt(2 * np.pi))

        square = sum(quad(weighed, start, start + 4, epsabs=1e-14)[0] for start in range(-12, 12, 4))
        help = f"give {activation.name} this gain, or add it to LIKE_SIGMOID if it neither is centred nor rectifies"
        assert activation.gain == pytest.approx(square**-0.5, rel=1e-10), help
    assert LeakyReLU(slope=1.0).gain == 1
    assert LeakyReLU(slope=0.0).gain == ACTIVATIONS["relu"]().gain


def test_sigmoid_reaches_its_limits_without_a_warning() -> None:
    for dtype in ("float32", "float64"):
        ends = np.array([-1e4, 0, 1e4], dtype)
        sigmoid(ends)
        assert ends.tolist() == [0.0, 0.5, 1.0]
