"""Metrics: how loss, accuracy, rmse and r2 follow from sums, and what an epoch's numbers are means of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from nnexp.data.prepared import from_arrays, prepare
from nnexp.data.sources import Blobs, Linnerud, Moons
from nnexp.network.architecture import MLP
from nnexp.network.losses import LOSSES, BinaryCrossEntropy, CrossEntropy
from nnexp.network.optimizers import SGD
from nnexp.network.penalties import L2
from nnexp.network.stack import predict
from nnexp.testing.contracts import assert_alone
from nnexp.testing.trials import multi_label, regression, small, suited
from nnexp.training import Objective, Training, train
from nnexp.training.answers import Sums, ValueScale
from nnexp.training.metrics import CLASSIFICATION, REGRESSION, judge


def test_classes_are_judged_by_loss_and_accuracy() -> None:
    found = judge(Sums(np.array([3.0, 4.0]), np.array([[2.0, 4.0]]), 4))
    assert {name: values.tolist() for name, values in found.items()} == {"loss": [0.75, 1.0], "acc": [0.5, 1.0]}


def test_values_are_judged_in_the_units_they_came_in() -> None:
    scale = ValueScale(spread=np.array([[10.0]]), variation=np.array([[8.0]]))
    found = judge(Sums(np.array([3.0]), np.array([[4.0]]), 4, scale))
    assert {name: values.tolist() for name, values in found.items()} == {"loss": [0.75], "rmse": [10.0], "r2": [0.5]}


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_a_training_records_the_metrics_of_its_kind_of_data(loss: str) -> None:
    (result,) = train([small(loss=LOSSES[loss](), dataset=suited(LOSSES[loss]()))])
    assert tuple(result.history) == CLASSIFICATION


def test_a_regression_records_the_metrics_of_values() -> None:
    (result,) = train([regression()])
    assert tuple(result.history) == REGRESSION


def test_a_networks_r2_and_rmse_agree() -> None:
    trial = regression()
    data = prepare(trial.dataset, [0], "float32")
    (result,) = train([trial], data)
    assert data.values is not None
    for part, name in (("validation", "val"), ("train", "train")):
        values = data.values[getattr(data.division(0).split, part)]
        r2 = 1 - (result.history[f"{name}/rmse"] / values.std()) ** 2
        np.testing.assert_allclose(result.history[f"{name}/r2"], r2, rtol=1e-5, atol=1e-6)


def test_an_epochs_cost_is_the_mean_over_its_batches_weighted_by_examples_each_before_its_update() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(10, 2)), np.arange(10) % 2
    data = from_arrays((X, y), classes=2, dtype="float64")
    objective = Objective(metric="train/acc")
    order = rng.permutation(10)
    training = Training(epochs=1, batch_size=4, dtype="float64")
    trial = small(objective=objective, optimizer=SGD(lr=0.5), training=training)
    layout = trial.blueprint(2).layout
    start = layout.unpack(rng.normal(size=layout.size))
    (result,) = train([trial], data, order=order, initial=[start])
    losses, right = [], []
    for batch in (order[:4], order[4:8], order[8:]):
        P = predict(result.blueprint, layout.pack(start), X[batch])
        losses += (-np.log(P[np.arange(len(batch)), y[batch]])).tolist()
        right += (P.argmax(axis=1) == y[batch]).tolist()
        step = small(
            objective=objective, optimizer=SGD(lr=0.5), training=Training(epochs=1, batch_size="full", dtype="float64")
        )
        (after,) = train([step], from_arrays((X[batch], y[batch]), classes=2, dtype="float64"), initial=[start])
        assert after.last is not None
        start = after.last
    assert result.history["train/loss"][0] == pytest.approx(np.mean(losses), rel=1e-12)
    assert result.history["train/acc"][0] == np.mean(right)
    assert result.last is not None
    for name, values in start.items():
        np.testing.assert_allclose(result.last[name], values, rtol=1e-12)


def test_a_penalty_counts_in_the_cost_as_often_as_there_are_steps() -> None:
    training = Training(epochs=1, batch_size=16, dtype="float64")  # 16, 16 and 4 of 36 examples
    (result,) = train([small(optimizer=SGD(lr=1e-30), l2=L2(strength=2.0), training=training)])
    assert result.last is not None
    squares = sum((values**2).sum() for name, values in result.last.items() if name[0] == "W")
    paid = result.history["train/cost"][0] - result.history["train/loss"][0]
    assert paid == pytest.approx(3 * squares / 36, rel=1e-9)


def test_one_logit_learns_the_probability_of_the_second_class() -> None:
    p = np.linspace(0.1, 0.8, 8)
    data = from_arrays((np.zeros((8, 2)), np.stack([1 - p, p], axis=1)), classes=2, dtype="float64")
    trial = small(
        architecture=MLP(hidden=()),
        loss=BinaryCrossEntropy(),
        objective=Objective(metric="train/acc"),
        optimizer=SGD(lr=1e-30),
        training=Training(epochs=1, batch_size="full", dtype="float64"),
    )
    (result,) = train([trial], data, initial=[{"W1": np.zeros((1, 2)), "b1": np.ones(1)}])
    expected = np.mean(np.log1p(np.exp(1.0)) - p)
    assert result.history["train/loss"][0] == pytest.approx(expected, rel=1e-12)


def test_balanced_classes_are_those_of_each_replicas_own_division() -> None:
    rng = np.random.default_rng(0)
    data = prepare(Moons(examples=60, split_seed="trial"), [0, 1], "float32")
    assert data.labels is not None
    ones, zeros = np.flatnonzero(data.labels == 1), np.flatnonzero(data.labels == 0)
    for seed, (many, few) in enumerate(((ones, zeros), (zeros, ones))):
        division = data.divisions[seed]
        split = replace(division.split, train=rng.permutation(np.concatenate([many[:20], few[:5]])))
        data.divisions[seed] = replace(division, split=split)
    trial = small(dataset=Moons(examples=60, split_seed="trial"), loss=CrossEntropy(class_weight="balanced"))
    assert_alone([trial, replace(trial, seed=1)], data)


def test_the_norm_of_the_weights_leaves_out_biases() -> None:
    (result,) = train([small()])
    assert result.last is not None
    squares = sum((values.astype(float) ** 2).sum() for name, values in result.last.items() if name[0] == "W")
    assert result.history["train/weight_norm"][-1] == pytest.approx(np.sqrt(squares), rel=1e-6)


def test_the_norm_of_the_gradient_is_that_of_the_epochs_first_step() -> None:
    whole = Training(epochs=1, batch_size="full", shuffle=False, dtype="float64")
    trial = small(optimizer=SGD(lr=1.0), training=whole, objective=Objective(metric="train/acc"))
    layout, rng = trial.blueprint(2).layout, np.random.default_rng(0)
    X, y, start = rng.normal(size=(20, 2)), np.arange(20) % 2, rng.normal(size=layout.size)
    given: dict[str, Any] = {"initial": [layout.unpack(start)]}
    (first,) = train([trial], from_arrays((X[:8], y[:8]), classes=2, dtype="float64"), **given)
    assert first.last is not None
    gradient = start - layout.pack(first.last)
    steps = replace(trial, training=replace(whole, batch_size=8))
    (result,) = train([steps], from_arrays((X, y), classes=2, dtype="float64"), **given)
    assert result.history["train/grad_norm"][0] == pytest.approx(np.linalg.norm(gradient), rel=1e-12)


# weights and several values


def test_weights_make_loss_and_cost_weighted_means_and_leave_accuracy_alone() -> None:
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(20, 2)), np.arange(20) % 2, rng.uniform(0, 3, 20)
    whole = Training(epochs=1, batch_size="full", shuffle=False, dtype="float64")
    trial = small(training=whole, objective=Objective(metric="train/acc"), l2=L2(strength=0.5))
    layout = trial.blueprint(2).layout
    start = rng.normal(size=layout.size)
    given: dict[str, Any] = {"initial": [layout.unpack(start)]}
    (plain,) = train([trial], from_arrays((X, y), classes=2, dtype="float64"), **given)
    (weighed,) = train([trial], from_arrays((X, y), classes=2, weights=[w], dtype="float64"), **given)
    losses = -np.log(predict(plain.blueprint, start, X)[np.arange(20), y])
    loss = (w * losses).sum() / w.sum()
    assert weighed.history["train/loss"][0] == pytest.approx(loss, rel=1e-12)
    penalty = plain.history["train/cost"][0] - plain.history["train/loss"][0]
    assert weighed.history["train/cost"][0] == pytest.approx(loss + penalty, rel=1e-12)
    assert weighed.history["train/acc"][0] == plain.history["train/acc"][0]


@pytest.mark.parametrize("weight", ["balanced", (0.5, 1.0, 3.0)])
@pytest.mark.parametrize("rows", [False, True])
def test_weights_of_classes_are_weights_of_their_examples(weight: Any, rows: bool) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 2)), np.repeat([0, 1, 2], [5, 10, 15])
    factors = np.array([2.0, 1.0, 2 / 3] if weight == "balanced" else weight)
    trial = small(dataset=Blobs(), objective=Objective(metric="train/acc"), training=Training(dtype="float64"))
    target = np.eye(3)[y] if rows else y
    by_class = from_arrays((X, target), classes=3, dtype="float64")
    by_example = from_arrays((X, target), classes=3, weights=[factors[y]], dtype="float64")
    (one,) = train([replace(trial, loss=CrossEntropy(class_weight=weight))], by_class)
    (another,) = train([trial], by_example)
    np.testing.assert_allclose(one.history["train/loss"], another.history["train/loss"], rtol=1e-12)


def test_several_values_are_judged_as_scikit_learn_does() -> None:
    trial = regression(dataset=Linnerud(), training=Training(epochs=3, batch_size=5, dtype="float64", metrics=("mae",)))
    data = prepare(trial.dataset, [0], "float64")
    (result,) = train([trial], data)
    assert data.values is not None
    division = data.division(0)
    rows = division.split.validation
    found = result.predict(data.rows[rows, :-1]) * division.value_scale + division.value_shift
    truth = data.values[rows]
    assert result.summary["val/rmse_best"] == pytest.approx(np.sqrt(mean_squared_error(truth, found)), rel=1e-12)
    assert result.summary["val/r2_best"] == pytest.approx(r2_score(truth, found), rel=1e-12)
    assert result.summary["val/mae_best"] == pytest.approx(mean_absolute_error(truth, found), rel=1e-12)


def test_labels_that_do_not_exclude_each_other_are_judged_by_loss_and_accuracy() -> None:
    (result,) = train([multi_label()])
    assert tuple(result.history) == CLASSIFICATION
    assert set(result.summary) == {
        "epoch_best",
        *(f"{part}_best" for part in ("val/loss", "val/acc")),
        "test/loss",
        "test/acc",
    }
    assert result.predict(np.zeros((5, 4))).shape == (5, 3)
