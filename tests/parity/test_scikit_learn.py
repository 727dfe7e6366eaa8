"""Trajectories of scikit-learn's MLPClassifier and MLPRegressor, from the same weights, in the same order."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import shuffle

from nnexp.data.prepared import from_arrays
from nnexp.data.sources import BreastCancer, Diabetes, Digits, Source, Wine
from nnexp.network.activations import Activation, Identity, ReLU, Sigmoid, Tanh
from nnexp.network.architecture import MLP
from nnexp.network.losses import BinaryCrossEntropy, CrossEntropy, Loss, MeanSquaredError
from nnexp.network.optimizers import SGD, Adam, Momentum, Nesterov, Optimizer
from nnexp.network.penalties import L2
from nnexp.training import Objective, Training, TrialConfig, train

Array = NDArray[np.float64]

EPOCHS, SEED, TOLERANCE = 20, 5, 1e-9
HIDDEN = (12, 7)
ALPHAS = (0.0, 0.01, 2.0)
EPS = 1e-200  # scikit-learn adds Adam's eps before the bias is corrected, nnexp after it: so small, neither acts

ACTIVATIONS: dict[str, Activation] = {"identity": Identity(), "logistic": Sigmoid(), "tanh": Tanh(), "relu": ReLU()}


@dataclass(frozen=True)
class Task:
    """A data set and how both sides learn it. factor: nnexp's cost over scikit-learn's, whose squared loss is half."""

    source: Source
    load: Callable[[], Any]
    loss: Loss
    batch_size: int
    lr: float
    factor: float = 1.0


TASKS = {
    "digits": Task(Digits(), load_digits, CrossEntropy(), 200, 0.05),
    "wine": Task(Wine(), load_wine, CrossEntropy(), 50, 0.05),
    "breast cancer": Task(BreastCancer(), load_breast_cancer, BinaryCrossEntropy(), 64, 0.05),
    "diabetes": Task(Diabetes(), load_diabetes, MeanSquaredError(), 64, 0.02, factor=2.0),
}


def optimizers(task: Task) -> dict[str, tuple[Optimizer, dict[str, Any]]]:
    """Return each optimizer in nnexp's words and in scikit-learn's.

    A gradient that is twice as long needs half the lr; Adam's steps do not depend on its length.
    """
    lr, sgd = task.lr / task.factor, {"solver": "sgd", "learning_rate_init": task.lr}
    adam = {"solver": "adam", "learning_rate_init": 0.01, "beta_1": 0.8, "beta_2": 0.99, "epsilon": EPS}
    return {
        "sgd": (SGD(lr=lr), sgd | {"momentum": 0.0}),
        "momentum": (Momentum(lr=lr, beta1=0.8, form="pytorch"), sgd | {"momentum": 0.8, "nesterovs_momentum": False}),
        "nesterov": (Nesterov(lr=lr, beta1=0.8, form="pytorch"), sgd | {"momentum": 0.8}),
        "adam": (Adam(lr=0.01, beta1=0.8, beta2=0.99, eps=EPS), adam),
    }


@cache
def examples(name: str) -> tuple[Array, NDArray[Any]]:
    """Return inputs, and values, of mean 0 and variance 1, and labels as they are."""
    found = TASKS[name].load()
    X, y = found.data, found.target
    scale = X.std(axis=0)
    X = (X - X.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    return X, (y - y.mean()) / y.std() if TASKS[name].factor == 2 else y


@cache
def start(name: str) -> dict[str, Array]:
    """Return the weights (n_out, n_in) and biases that both sides start from."""
    X, y = examples(name)
    outputs = len(np.unique(y)) if isinstance(TASKS[name].loss, CrossEntropy) else 1
    rng, named = np.random.RandomState(1), {}
    for layer, (fan_in, fan_out) in enumerate(pairwise((X.shape[1], *HIDDEN, outputs)), start=1):
        named[f"W{layer}"] = rng.standard_normal((fan_out, fan_in)) / np.sqrt(fan_in)
        named[f"b{layer}"] = 0.1 * rng.standard_normal(fan_out)
    return named


def orders(examples: int) -> NDArray[np.intp]:
    """Return the order of each epoch: scikit-learn shuffles, and shuffles again what it had."""
    rng, order, found = np.random.RandomState(SEED), np.arange(examples), []
    for _ in range(EPOCHS):
        order = shuffle(order, random_state=rng)
        found.append(order)
    return np.stack(found)


def theirs(name: str, **settings: Any) -> Any:
    """Return the network that scikit-learn trains."""
    task, (X, y), first = TASKS[name], examples(name), start(name)
    kind = MLPRegressor if isinstance(task.loss, MeanSquaredError) else MLPClassifier
    given = iter([(first[f"W{layer}"].T.copy(), first[f"b{layer}"].copy()) for layer in range(1, len(HIDDEN) + 2)])
    same = {"hidden_layer_sizes": HIDDEN, "batch_size": task.batch_size, "max_iter": EPOCHS, "random_state": SEED}
    network = kind(**same, tol=0.0, n_iter_no_change=EPOCHS + 1, **settings)
    network._init_coef = lambda fan_in, fan_out, dtype: next(given)  # draws nothing, so the first draw is the order's
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 20 epochs are meant
        return network.fit(X, y)


def ours(name: str, activation: str) -> dict[tuple[str, float], Any]:
    """Return nnexp's results, of all optimizers and penalties in one stack."""
    task, (X, y) = TASKS[name], examples(name)
    cells = list(product(optimizers(task), ALPHAS))
    trials = [
        TrialConfig(
            architecture=MLP(hidden=HIDDEN, activation=ACTIVATIONS[activation]),
            optimizer=optimizers(task)[optimizer][0],
            loss=task.loss,
            l2=L2(strength=alpha * task.factor),
            dataset=task.source,
            objective=Objective(metric="train/loss", direction="minimize"),
            training=Training(epochs=EPOCHS, batch_size=task.batch_size, dtype="float64"),
        )
        for optimizer, alpha in cells
    ]
    data = from_arrays((X, y), classes=task.source.classes, dtype="float64")
    results = train(trials, data, initial=[start(name)] * len(trials), order=orders(len(X)))
    return dict(zip(cells, results, strict=True))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", TASKS)
def test_a_trajectory_is_that_of_scikit_learn(name: str, activation: str) -> None:
    task = TASKS[name]
    for (optimizer, alpha), result in ours(name, activation).items():
        network = theirs(name, activation=activation, alpha=alpha, **optimizers(task)[optimizer][1])
        what = f"{optimizer}, alpha {alpha}"
        assert network.loss_curve_[-1] < network.loss_curve_[0], f"{what}: nothing was learnt"
        expected = task.factor * np.array(network.loss_curve_)
        np.testing.assert_allclose(
            result.history["train/cost"], expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"losses of {what}"
        )
        for layer, (W, b) in enumerate(zip(network.coefs_, network.intercepts_, strict=True), start=1):
            np.testing.assert_allclose(result.last[f"W{layer}"], W.T, rtol=0, atol=1e-8, err_msg=f"W{layer} of {what}")
            np.testing.assert_allclose(result.last[f"b{layer}"], b, rtol=0, atol=1e-8, err_msg=f"b{layer} of {what}")


def test_another_order_or_penalty_is_another_trajectory() -> None:
    """The comparison would notice: the last loss moves by far more than the tolerance."""
    found = ours("wine", "tanh")["sgd", 2.0].history["train/cost"][-1]
    settings = optimizers(TASKS["wine"])["sgd"][1] | {"activation": "tanh"}
    for changes in ({"alpha": 2.0, "shuffle": False}, {"alpha": 2.001}):
        assert abs(theirs("wine", **settings, **changes).loss_curve_[-1] - found) > 1e4 * TOLERANCE
