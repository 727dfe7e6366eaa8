"""The golden numbers of the systems that nnexp grew out of, reached through `nnexp.training.train`."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnexp.data.prepared import Data, from_arrays
from nnexp.data.sources import Moons
from nnexp.network.activations import ACTIVATIONS, Sigmoid, Tanh
from nnexp.network.architecture import MLP
from nnexp.network.losses import BinaryCrossEntropy, Targets
from nnexp.network.optimizers import SGD
from nnexp.network.penalties import L2
from nnexp.network.stack import Pass, predict
from nnexp.testing.contracts import activate
from nnexp.training import Objective, Result, Training, TrialConfig, train

GOLDENS = Path(__file__).parent.parent / "goldens"
PRINTED: dict[str, Any] = {"rtol": 0, "atol": 5.001e-9}  # as far as eight printed digits tell
Parameters = dict[str, Any]


def golden(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDENS / f"{name}.json").read_text())
    return found


def legacy(seed: int) -> np.random.RandomState:
    """The generator behind np.random.seed, from which the original numbers were drawn."""
    return np.random.RandomState(seed)


def drawn(seed: int, sizes: tuple[int, ...], scale: Callable[[int], float]) -> Parameters:
    """Return weights randn(out, in) scale(in), drawn layer by layer, and biases of 0."""
    rng, named = legacy(seed), {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        named[f"W{layer}"] = rng.randn(fan_out, fan_in) * scale(fan_in)
        named[f"b{layer}"] = np.zeros(fan_out)
    return named


def binary(mlp: MLP, epochs: int, **changes: Any) -> TrialConfig:
    """Return gradient descent on full batches of a binary problem."""
    chosen: dict[str, Any] = {
        "dataset": Moons(validation=0, test=0),
        "architecture": mlp,
        "loss": BinaryCrossEntropy(),
        "optimizer": SGD(lr=0.01),
        "objective": Objective(metric="train/loss", direction="minimize"),
        "training": Training(epochs=epochs, batch_size="full", dtype="float64"),
    }
    return TrialConfig(**(chosen | changes))


def compare(found: Parameters | None, expected: Parameters, tolerance: dict[str, Any]) -> None:
    assert found is not None
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, **tolerance, err_msg=name)


# the two-layer notebook

NOTEBOOK = golden("two_layer")
X = legacy(1).randn(2, 3)
START = drawn(2, (2, 4, 1), lambda fan_in: 0.01)
TWO_LAYERS = MLP(hidden=(4,), activation=Tanh())


def notebook(epochs: int, lr: float = 0.01) -> Result:
    data = from_arrays((X.T, NOTEBOOK["labels"]), classes=2, dtype="float64")
    trial = binary(TWO_LAYERS, epochs, optimizer=SGD(lr=lr))
    return train([trial], data, initial=[START], order=np.arange(3))[0]


def test_the_notebooks_labels_are_those_that_its_seed_draws() -> None:
    rng = legacy(1)
    assert rng.randn(2, 3).tolist() == X.tolist()
    assert (rng.randn(1, 3) > 0).astype(int).tolist() == [NOTEBOOK["labels"]]


def test_the_notebooks_first_forward_pass_is_reproduced() -> None:
    result = notebook(1)
    blueprint = result.blueprint
    A2 = predict(blueprint, blueprint.layout.pack(START), X.T)
    np.testing.assert_allclose(A2[:, 0], NOTEBOOK["first"]["A2"], **PRINTED)
    np.testing.assert_allclose(result.history["train/cost"], [NOTEBOOK["first"]["cost"]], rtol=1e-15)


def test_the_notebooks_first_gradient_is_reproduced_by_a_step_of_lr_1() -> None:
    last = notebook(1, lr=1.0).last
    assert last is not None
    compare({name: START[name] - last[name] for name in START}, NOTEBOOK["first"]["gradient"], PRINTED)


def test_the_notebooks_first_gradient_is_reproduced_by_a_pass() -> None:
    blueprint = TWO_LAYERS.blueprint(2, 1, BinaryCrossEntropy(), "float64")
    theta = blueprint.layout.pack(START)[None]
    grad, rows = np.zeros_like(theta), np.concatenate([X.T, np.ones((3, 1))], axis=1)[None]
    labels = np.array([NOTEBOOK["labels"]])
    targets = Targets(labels, labels[None].astype(float))
    run = Pass(blueprint, theta, 3, grad=grad)
    run.forward(rows, targets)
    np.testing.assert_allclose(run.desk.losses.mean(), NOTEBOOK["first"]["cost"], rtol=1e-15)
    run.backward(targets)
    compare(blueprint.layout.unpack(grad[0]), NOTEBOOK["first"]["gradient"], PRINTED)


def test_the_notebooks_costs_and_last_weights_are_reproduced() -> None:
    result = notebook(1000)
    np.testing.assert_allclose(result.history["train/cost"][::100], NOTEBOOK["costs_every_100"], rtol=0, atol=5.001e-7)
    compare(result.last, NOTEBOOK["after_1000"], PRINTED)


@pytest.mark.parametrize("name", sorted(NOTEBOOK["elementwise"]))
def test_the_notebooks_activations_are_reproduced(name: str) -> None:
    np.testing.assert_allclose(activate(ACTIVATIONS[name](), X), NOTEBOOK["elementwise"][name], **PRINTED)


# a step worked by hand


def test_the_step_worked_by_hand_is_reproduced() -> None:
    hand = golden("hand_worked")
    start = {name: np.transpose(values) for name, values in hand["start"].items()}
    trial = binary(
        MLP(hidden=(2,), activation=Sigmoid()), 1, optimizer=SGD(lr=hand["lr"]), l2=L2(strength=hand["strength"])
    )
    data = from_arrays(([hand["X"]], [hand["y"]]), classes=2, dtype="float64")
    (result,) = train([trial], data, initial=[start])
    after = {name: np.transpose(values) for name, values in hand["after_1"].items()}
    compare(result.last, after, {"rtol": 0, "atol": 5e-4})
    assert result.last is not None
    layout = result.blueprint.layout
    p = predict(result.blueprint, layout.pack(result.last), np.array([hand["X"]]))
    assert p.item() == pytest.approx(hand["p"], abs=5e-4)


# the initialization study

STUDY = golden("initialization")
SCALES: dict[str, Callable[[int], float]] = {
    "zeros": lambda fan_in: 0.0,
    "random": lambda fan_in: 10.0,
    "he": lambda fan_in: float(np.sqrt(2 / fan_in)),
}


def circles() -> Data:
    from sklearn.datasets import make_circles

    train_part = make_circles(n_samples=300, noise=0.05, random_state=legacy(1))
    test_part = make_circles(n_samples=100, noise=0.05, random_state=legacy(2))
    return from_arrays(train_part, test_part, classes=2, dtype="float64")  # the test part is watched each epoch


@pytest.fixture(scope="module")
def study() -> dict[str, Result]:
    training = Training(epochs=15_000, batch_size="full", dtype="float64", record_every=13)  # 13 divides 1001 and 14001
    trial = binary(MLP(hidden=(10, 5)), 1, training=training)
    starts = [drawn(3, (2, 10, 5, 1), scale) for scale in SCALES.values()]
    return dict(zip(SCALES, train([trial] * 3, circles(), initial=starts, order=np.arange(300)), strict=True))


@pytest.mark.parametrize("name", sorted(SCALES))
def test_the_studys_accuracies_are_reproduced(study: dict[str, Result], name: str) -> None:
    data, result = circles(), study[name]
    assert result.last is not None
    assert data.labels is not None
    split = data.division(0).split
    p = predict(result.blueprint, result.blueprint.layout.pack(result.last), data.rows[:, :-1])[:, 0]
    right = (p > 0.5) == data.labels
    accuracies = [right[split.train].mean(), right[split.validation].mean()]
    np.testing.assert_allclose(accuracies, STUDY["accuracy"][name], atol=5e-5)
    assert result.history["val/acc"][-1] == accuracies[1]


@pytest.mark.parametrize("iteration", list(STUDY["he_costs"]))
def test_the_studys_costs_are_reproduced(study: dict[str, Result], iteration: str) -> None:
    result = study["he"]
    costs = dict(zip(result.epochs.tolist(), result.history["train/cost"], strict=True))
    assert costs[int(iteration) + 1] == pytest.approx(STUDY["he_costs"][iteration], abs=5.001e-11)
