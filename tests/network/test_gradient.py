"""The gradient contract, over every activation x loss x penalty x dropout, and every output of values."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from nnexp.data.prepared import Data, from_arrays
from nnexp.data.sources import Blobs, Diabetes, Moons, MultiLabel, Source
from nnexp.network.activations import ACTIVATIONS, Activation, Sigmoid, Tanh
from nnexp.network.architecture import MLP
from nnexp.network.dropout import DROPOUTS
from nnexp.network.losses import LOSSES, LossOfClasses
from nnexp.network.penalties import L1_PENALTIES, L2_PENALTIES
from nnexp.testing.contracts import assert_gradient
from nnexp.testing.variations import acting, other
from nnexp.training import Objective, TrialConfig

CLASSES, VALUES = Blobs(validation=0, test=0), Diabetes(validation=0, test=0)
TWO = Moons(validation=0, test=0)
SOURCES: dict[str, list[Source]] = {
    "labels": [CLASSES],
    "binary": [TWO],
    "multi": [MultiLabel(labels=3, validation=0, test=0)],
    "values": [CLASSES, VALUES],
}
PENALTIES: list[dict[str, Any]] = [
    {},
    *({"l2": acting(cls)} for name, cls in sorted(L2_PENALTIES.items()) if name != "none"),
    *({"l1": acting(cls)} for name, cls in sorted(L1_PENALTIES.items()) if name != "none"),
]
FORMS = [
    form
    for _, cls in sorted(ACTIVATIONS.items())
    for form in (cls(), *(other(cls(), field.name) for field in fields(cls)))
    if fields(cls)
]
OBJECTIVE = Objective(metric="train/loss", direction="minimize")

# a loss, and a source it can learn: values, or classes as values
SETTINGS = [
    pytest.param(name, source, id=f"{name}-{source.name}")
    for name, cls in sorted(LOSSES.items())
    for source in SOURCES[cls.target_kind]
]


def batch(source: Source, *, weighted: bool = False, rows: bool = False) -> Data:
    """Seven examples with three inputs, with weights or several values, or probabilities of classes, if asked for."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(7, 3))
    weights = [rng.uniform(0.1, 3, 7)] if weighted else None
    y: Any
    if source.classes == 0:
        y = rng.integers(0, 2, (7, source.targets))
        return from_arrays((X, y), classes=None, multi_label=True, weights=weights, dtype="float64")
    y = rng.normal(size=(7, 2) if rows else 7) if source.classes is None else np.arange(7) % source.classes
    if rows and source.classes:
        y = rng.dirichlet(np.ones(source.classes), 7)
    return from_arrays((X, y), classes=source.classes, weights=weights, dtype="float64")


def case(loss: str, output: str, source: Source) -> TrialConfig:
    return TrialConfig(
        dataset=source, architecture=MLP(hidden=(5, 4), output=output), loss=LOSSES[loss](), objective=OBJECTIVE, seed=2
    )


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize(("loss", "source"), SETTINGS)
def test_the_gradient_is_the_slope_of_the_cost(loss: str, source: Source, activation: str) -> None:
    mlp = MLP(hidden=(5, 4), activation=acting(ACTIVATIONS[activation]))
    trial = replace(case(loss, "auto", source), architecture=mlp)
    for penalties in PENALTIES:
        for dropout in DROPOUTS.values():
            assert_gradient(replace(trial, dropout=acting(dropout), **penalties), batch(source))


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize(("loss", "source"), SETTINGS)
def test_the_gradient_is_right_with_any_settings_weights_and_targets(loss: str, source: Source, rows: bool) -> None:
    if rows and loss == "hinge":
        return  # learns labels alone
    trial = replace(case(loss, "auto", source), architecture=MLP(hidden=(5,), activation=Tanh()))
    losses: list[Any] = [LOSSES[loss](), acting(LOSSES[loss])]
    if isinstance(losses[0], LossOfClasses):
        losses.append(replace(losses[1], class_weight=(0.5, 2.0, 3.0)[: source.classes]))
    for each in losses:
        for weighted in (False, True):
            assert_gradient(replace(trial, loss=each), batch(source, weighted=weighted, rows=rows))


@pytest.mark.parametrize("output", sorted(set(ACTIVATIONS) - {"identity"}))
@pytest.mark.parametrize("loss", sorted(name for name, cls in LOSSES.items() if cls.output is None))
def test_the_gradient_is_right_through_any_output(loss: str, output: str) -> None:
    for source in SOURCES[LOSSES[loss].target_kind]:
        if output != "softmax" or source.classes is not None:  # of a single output it is 1, whatever comes in
            trial = case(loss, output, source)
            trial = replace(trial, architecture=replace(trial.architecture, activation=Tanh()))
            assert_gradient(trial, batch(source))


@pytest.mark.parametrize("activation", FORMS, ids=repr)
def test_the_gradient_is_right_with_any_settings_of_an_activation(activation: Activation) -> None:
    trial = case("cross_entropy", "softmax", CLASSES)
    assert_gradient(replace(trial, architecture=MLP(hidden=(5, 4), activation=activation)), batch(CLASSES))


@pytest.mark.parametrize("hidden", [(), (1,), (6,), (4, 3, 5)])
def test_the_gradient_is_right_for_any_number_of_layers(hidden: tuple[int, ...]) -> None:
    trial = case("cross_entropy", "softmax", CLASSES)
    assert_gradient(replace(trial, architecture=MLP(hidden=hidden, activation=Tanh())), batch(CLASSES))


def test_the_gradient_is_right_with_an_activation_a_layer() -> None:
    trial = case("cross_entropy", "softmax", CLASSES)
    mixed = MLP(hidden=(4, 3, 5), activation=(Tanh(), acting(ACTIVATIONS["leaky_relu"]), Sigmoid()))
    assert_gradient(replace(trial, architecture=mixed), batch(CLASSES))
