"""The gradient contract, over every activation x loss x output x penalty x dropout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnexp.data.prepared import Data, from_arrays
from nnexp.data.sources import Blobs, Diabetes, Moons, Source
from nnexp.network.activations import ACTIVATIONS, Sigmoid, Tanh
from nnexp.network.architecture import MLP
from nnexp.network.dropout import DROPOUTS
from nnexp.network.losses import LOSSES
from nnexp.network.penalties import L2_PENALTIES
from nnexp.training import Objective, TrialConfig
from tests.contracts import assert_gradient
from tests.variations import acting

CLASSES, VALUES = Blobs(validation=0, test=0), Diabetes(validation=0, test=0)
TWO = Moons(validation=0, test=0)
SOURCES: dict[str, list[Source]] = {"labels": [CLASSES], "binary": [TWO], "values": [CLASSES, VALUES]}
OBJECTIVE = Objective(metric="train/loss", direction="minimize")

# a loss, the output it sees, and a source it can learn: values, or classes as values
SETTINGS = [
    pytest.param(name, output, source, id=f"{name}-{output}-{source.name}")
    for name, cls in sorted(LOSSES.items())
    for output in ([cls.output] if cls.output else sorted(ACTIVATIONS))
    for source in SOURCES[cls.target_kind]
]


def batch(source: Source) -> Data:
    """Seven examples with three inputs."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(7, 3))
    y = rng.normal(size=7) if source.classes is None else np.arange(7) % source.classes
    return from_arrays((X, y), classes=source.classes, dtype="float64")


def case(loss: str, output: str, source: Source) -> TrialConfig:
    return TrialConfig(
        dataset=source, architecture=MLP(hidden=(5, 4), output=output), loss=LOSSES[loss](), objective=OBJECTIVE, seed=2
    )


@pytest.mark.parametrize("dropout", sorted(DROPOUTS))
@pytest.mark.parametrize("penalty", sorted(L2_PENALTIES))
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize(("loss", "output", "source"), SETTINGS)
def test_the_gradient_is_the_slope_of_the_cost(
    loss: str, output: str, source: Source, activation: str, penalty: str, dropout: str
) -> None:
    trial = case(loss, output, source)
    trial = replace(
        trial,
        architecture=replace(trial.architecture, activation=acting(ACTIVATIONS[activation])),
        l2=acting(L2_PENALTIES[penalty]),
        dropout=acting(DROPOUTS[dropout]),
    )
    assert_gradient(trial, batch(source))


@pytest.mark.parametrize("hidden", [(), (1,), (6,), (4, 3, 5)])
def test_the_gradient_is_right_for_any_number_of_layers(hidden: tuple[int, ...]) -> None:
    trial = case("cross_entropy", "softmax", CLASSES)
    assert_gradient(replace(trial, architecture=MLP(hidden=hidden, activation=Tanh())), batch(CLASSES))


def test_the_gradient_is_right_with_an_activation_a_layer() -> None:
    trial = case("cross_entropy", "softmax", CLASSES)
    mixed = MLP(hidden=(4, 3, 5), activation=(Tanh(), acting(ACTIVATIONS["leaky_relu"]), Sigmoid()))
    assert_gradient(replace(trial, architecture=mixed), batch(CLASSES))
