"""Normalizations against their formulas, their gradients, and their place in a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnexp.arrays import Floats
from nnexp.data.prepared import from_arrays
from nnexp.network.activations import Tanh
from nnexp.network.architecture import MLP
from nnexp.network.dropout import DROPOUTS
from nnexp.network.normalization import NORMALIZATIONS, BatchNorm, LayerNorm, Normalization, Normalizer, Scales
from nnexp.network.optimizers import SGD
from nnexp.testing.contracts import assert_alone, assert_gradient, assert_rejected
from nnexp.testing.trials import small
from nnexp.testing.variations import acting
from nnexp.training import Objective, Training, train
from nnexp.training.stacking import same_stack
from tests.network.test_gradient import CLASSES, batch, case

K, N, B = 2, 5, 7
TRUE = sorted(name for name, cls in NORMALIZATIONS.items() if cls.scales)


class Case:
    """A normalized layer with random units and parameters."""

    def __init__(self, normalization: Normalization, examples: int = B, *, trains: bool = True) -> None:
        rng = np.random.default_rng(1)
        self.U = rng.normal(2, 3, (K, N, examples))
        self.gamma, self.bias = rng.normal(size=(2, K, N))
        self.dgamma, self.dbias = np.full((2, K, N), np.nan)
        self.statistics = np.abs(rng.normal(1, 1, (K, len(normalization.statistics), N)))
        scales = Scales(
            self.gamma,
            self.bias,
            self.dgamma if trains else None,
            self.dbias if trains else None,
            self.statistics if normalization.statistics else None,
        )
        found = normalization.normalizer(scales, self.U.shape)
        assert found is not None
        self.normalizer: Normalizer = found

    def forward(self) -> Floats:
        """Return Z."""
        Z = self.U.copy()
        self.normalizer.forward(Z)
        return Z


def scaled(case: Case, mean: Floats, variance: Floats, eps: float) -> Floats:
    """Return Z as the sources print it."""
    Z: Floats = case.gamma[:, :, None] * (case.U - mean) / np.sqrt(variance + eps) + case.bias[:, :, None]
    return Z


@pytest.mark.parametrize("momentum", [0.1, 0.7, 1.0])
def test_batch_norm_is_its_formula_and_keeps_running_statistics(momentum: float) -> None:
    case = Case(BatchNorm(momentum=momentum, eps=0.01))
    before = case.statistics.copy()
    expected = scaled(case, case.U.mean(axis=2, keepdims=True), case.U.var(axis=2, keepdims=True), 0.01)
    np.testing.assert_allclose(case.forward(), expected, rtol=1e-12)
    batchs = np.stack([case.U.mean(axis=2), case.U.var(axis=2, ddof=1)], axis=1)
    np.testing.assert_allclose(case.statistics, (1 - momentum) * before + momentum * batchs, rtol=1e-12)


def test_batch_norm_evaluates_by_its_running_statistics_and_leaves_them() -> None:
    case = Case(BatchNorm(eps=0.01), trains=False)
    before = case.statistics.copy()
    mean, variance = before[:, 0, :, None], before[:, 1, :, None]
    np.testing.assert_allclose(case.forward(), scaled(case, mean, variance, 0.01), rtol=1e-12)
    assert np.array_equal(case.statistics, before)


@pytest.mark.parametrize("trains", [True, False])
def test_layer_norm_is_its_formula_while_training_and_after(trains: bool) -> None:
    case = Case(LayerNorm(eps=0.01), trains=trains)
    expected = scaled(case, case.U.mean(axis=1, keepdims=True), case.U.var(axis=1, keepdims=True), 0.01)
    np.testing.assert_allclose(case.forward(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", TRUE)
def test_the_way_back_is_the_slope_of_the_way_forth(name: str) -> None:
    case = Case(NORMALIZATIONS[name]())
    rng = np.random.default_rng(2)
    weights = rng.normal(size=case.U.shape)  # cost = sum(weights Z)
    case.forward()
    dU = weights.copy()
    case.normalizer.backward(dU)
    for array, gradient in ((case.U, dU), (case.gamma, case.dgamma), (case.bias, case.dbias)):
        along = rng.normal(size=array.shape)
        costs = []
        for step in (1e-6, -1e-6):
            array += step * along
            costs.append((weights * case.forward()).sum())
            array -= step * along
        np.testing.assert_allclose((gradient * along).sum(), (costs[0] - costs[1]) / 2e-6, rtol=1e-6)


def test_a_batch_of_one_example_normalizes_to_the_bias() -> None:
    case = Case(BatchNorm(), examples=1)
    assert np.array_equal(case.forward()[:, :, 0], case.bias)
    assert np.isfinite(case.statistics).all()
    dU = np.ones_like(case.U)
    case.normalizer.backward(dU)
    assert not dU.any()


@pytest.mark.parametrize("dropout", sorted(DROPOUTS))
@pytest.mark.parametrize("hidden", [(5,), (4, 3, 5)])
@pytest.mark.parametrize("name", sorted(NORMALIZATIONS))
def test_the_gradient_of_a_normalized_network_is_the_slope_of_its_cost(
    name: str, hidden: tuple[int, ...], dropout: str
) -> None:
    trial = case("cross_entropy", "softmax", CLASSES)
    trial = replace(
        trial,
        architecture=MLP(hidden=hidden, activation=Tanh()),
        normalization=acting(NORMALIZATIONS[name]),
        dropout=acting(DROPOUTS[dropout]),
    )
    assert_gradient(trial, batch(CLASSES))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 5, 35, "full"])
@pytest.mark.parametrize("hidden", [(1,), (5, 4), (1, 33)])
@pytest.mark.parametrize("name", TRUE)
def test_a_normalized_network_trains_in_a_stack_as_alone(
    name: str, hidden: tuple[int, ...], batch_size: Any, dtype: Any
) -> None:
    trial = small(
        architecture=MLP(hidden=hidden),
        normalization=NORMALIZATIONS[name](),
        training=Training(epochs=2, batch_size=batch_size, dtype=dtype),
    )
    dropped = replace(trial, seed=2, dropout=acting(DROPOUTS["inverted"]), optimizer=SGD())
    assert_alone([trial, replace(trial, seed=1), dropped])


def test_a_network_without_hidden_layers_has_nothing_to_normalize() -> None:
    trial = small(architecture=MLP(hidden=()))
    assert_rejected(lambda: replace(trial, normalization=BatchNorm()), "normalization", "hidden")


def test_what_belongs_to_a_normalized_network_has_names() -> None:
    trial = small(architecture=MLP(hidden=(5, 4)), normalization=BatchNorm())
    (result,) = train([trial])
    assert list(result.best) == [
        *("W1", "b1", "W2", "b2", "W3", "b3", "gamma1", "gamma2"),
        *("mean1", "variance1", "mean2", "variance2"),
    ]
    assert result.best["gamma2"].shape == result.best["variance2"].shape == (4,)
    assert (result.best["variance1"] > 0).all()
    (again,) = train([replace(trial, optimizer=SGD(lr=1e-30))], initial=[result.best])
    assert np.array_equal(again.best["gamma1"], result.best["gamma1"])
    assert not np.array_equal(again.best["mean1"], result.best["mean1"])


def test_running_statistics_are_no_parameters() -> None:
    trial = small(normalization=BatchNorm(), architecture=MLP(hidden=(5, 4)))
    layout = trial.blueprint(2).layout
    assert layout.size == (5 * 3 + 4 * 6 + 2 * 5) + 9
    assert layout.total == layout.size + 18
    assert layout.weight_mask(np.dtype(float)).sum() == 5 * 2 + 4 * 5 + 2 * 4


def test_a_result_predicts_by_its_running_statistics() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 2)), np.arange(20) % 2
    trial = small(
        normalization=BatchNorm(),
        architecture=MLP(hidden=(4,)),
        objective=Objective(metric="train/acc"),
        training=Training(epochs=3, batch_size="full", dtype="float64"),
    )
    (result,) = train([trial], from_arrays((X, y), classes=2, dtype="float64"))
    best = result.best
    U = X @ best["W1"].T
    Z = best["gamma1"] * (U - best["mean1"]) / np.sqrt(best["variance1"] + 1e-5) + best["b1"]
    logits = np.maximum(Z, 0) @ best["W2"].T + best["b2"]
    P = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.predict(X), P, rtol=1e-10)


def test_trials_that_normalize_otherwise_do_not_share_a_stack() -> None:
    assert not same_stack([small(normalization=BatchNorm()), small(normalization=LayerNorm())])
    assert same_stack([small(normalization=BatchNorm()), small(normalization=BatchNorm())])
