"""The stacked pass: what comes out, of what type, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from nnexp.arrays import Floats
from nnexp.network.activations import ACTIVATIONS
from nnexp.network.architecture import MLP
from nnexp.network.losses import LOSSES, Targets
from nnexp.network.stack import Blueprint, Pass, predict
from nnexp.testing.contracts import activate, assert_dtype_kept
from nnexp.testing.variations import acting

DTYPES = ["float32", "float64"]


def networks(blueprint: Blueprint, K: int = 3) -> Floats:
    rng = np.random.default_rng(1)
    return rng.normal(size=(K, blueprint.layout.size)).astype(blueprint.dtype)


def by_hand(blueprint: Blueprint, theta: Floats, X: Floats) -> Floats:
    """Return predictions (B, outputs) of one network, layer by layer as in the formulas."""
    named, A = blueprint.layout.unpack(theta), X.T
    last = len(blueprint.sizes) - 1
    for layer, activation in enumerate(blueprint.activations, start=1):
        A = activate(activation, named[f"W{layer}"] @ A + named[f"b{layer}"][:, None], blueprint.dtype)
    Z = named[f"W{last}"] @ A + named[f"b{last}"][:, None]
    if blueprint.loss.output == "softmax":
        return np.asarray((np.exp(Z) / np.exp(Z).sum(axis=0)).T)
    if blueprint.loss.output == "sigmoid":
        return np.asarray((1 / (1 + np.exp(-Z))).T)
    return (Z if blueprint.output is None else activate(blueprint.output, Z, blueprint.dtype)).T


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_predictions_are_those_of_the_formulas(loss: str, activation: str) -> None:
    outputs = 1 if LOSSES[loss].target_kind == "binary" else 3
    mlp = MLP(hidden=(5, 4), activation=acting(ACTIVATIONS[activation]))
    blueprint = mlp.blueprint(2, outputs, LOSSES[loss](), "float64")
    theta, X = networks(blueprint), np.random.default_rng(2).normal(size=(6, 2))
    found = predict(blueprint, theta, X)
    assert found.shape == (3, 6, outputs)
    for k in range(3):
        np.testing.assert_allclose(found[k], by_hand(blueprint, theta[k], X), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(predict(blueprint, theta[k], X), found[k], rtol=1e-15)


@pytest.mark.parametrize("output", sorted(ACTIVATIONS))
def test_values_are_predicted_through_the_chosen_output(output: str) -> None:
    blueprint = MLP(hidden=(4,), output=output).blueprint(2, 2, LOSSES["mse"](), "float64")
    theta, X = networks(blueprint), np.random.default_rng(2).normal(size=(6, 2))
    np.testing.assert_allclose(predict(blueprint, theta[0], X), by_hand(blueprint, theta[0], X), rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_predictions_of_extreme_networks_are_probabilities(loss: str, dtype: str) -> None:
    outputs = 1 if LOSSES[loss].target_kind == "binary" else 3
    blueprint = MLP(hidden=(4,)).blueprint(2, outputs, LOSSES[loss](), dtype)
    theta = networks(blueprint) * np.array([[1.0], [1e3], [1e9]], dtype)
    found = predict(blueprint, theta, np.random.default_rng(2).normal(size=(6, 2)).astype(dtype))
    assert np.isfinite(found).all()
    if blueprint.loss.output in ("softmax", "sigmoid"):
        assert ((found >= 0) & (found <= 1)).all()
    if blueprint.loss.output == "softmax":
        np.testing.assert_allclose(found.sum(axis=2), 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_a_pass_keeps_the_type_of_its_parameters_and_changes_none(loss: str, activation: str, dtype: str) -> None:
    outputs = 1 if LOSSES[loss].target_kind == "binary" else 3
    blueprint = MLP(hidden=(4,), activation=ACTIVATIONS[activation]()).blueprint(2, outputs, LOSSES[loss](), dtype)
    theta = networks(blueprint)
    before, grad, rows = theta.copy(), np.zeros_like(theta), np.ones((1, 5, 3), dtype)
    labels = np.zeros((3, 5), np.intp)
    targets = Targets(labels, np.zeros((3, outputs, 5), dtype))
    run = Pass(blueprint, theta, 5, grad=grad)
    run.forward(rows, targets)
    run.backward(targets)
    desk = {"losses": run.desk.losses, "scores": run.desk.scores}
    assert_dtype_kept({"outputs": run.outputs, "grad": grad, "theta": theta, **desk}, dtype)
    assert_dtype_kept({"prediction": predict(blueprint, theta, rows[0, :, :-1])}, dtype)
    assert theta.tobytes() == before.tobytes()
    assert np.isfinite(grad).all()


def test_replicas_may_read_rows_of_their_own() -> None:
    blueprint = MLP(hidden=(4,)).blueprint(2, 3, LOSSES["cross_entropy"](), "float64")
    theta, rng = networks(blueprint, K=6), np.random.default_rng(4)
    rows = np.concatenate([rng.normal(size=(3, 5, 2)), np.ones((3, 5, 1))], axis=2)
    run = Pass(blueprint, theta, 5, sources=3)
    run.forward(rows, None)
    for k in range(6):
        alone = Pass(blueprint, theta[k : k + 1], 5)
        alone.forward(rows[k % 3][None], None)
        assert run.outputs[k].tobytes() == alone.outputs[0].tobytes()
