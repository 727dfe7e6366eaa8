"""Penalties, as a training sees them: what the cost and the gradient gain."""

from __future__ import annotations

import numpy as np
import pytest

from nnexp.data.prepared import from_arrays
from nnexp.data.sources import Moons
from nnexp.network.architecture import MLP
from nnexp.network.optimizers import SGD
from nnexp.network.penalties import L2, L2_PENALTIES, Penalty
from nnexp.training import Objective, Result, Training, TrialConfig, train
from tests.variations import acting

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 2)), np.arange(8) % 2
SHAPES = {"W1": (3, 2), "b1": (3,), "W2": (2, 3), "b2": (2,)}
START = {name: RNG.normal(size=shape) for name, shape in SHAPES.items()}


def one_step(penalty: Penalty) -> Result:
    trial = TrialConfig(
        dataset=Moons(validation=0, test=0),
        architecture=MLP(hidden=(3,)),
        optimizer=SGD(lr=1.0),
        l2=penalty,
        objective=Objective(metric="train/loss", direction="minimize"),
        training=Training(epochs=1, batch_size="full", dtype="float64"),
    )
    return train([trial], from_arrays((X, Y), classes=2, dtype="float64"), initial=[START])[0]


def test_l2_adds_half_the_mean_square_to_the_cost_and_weights_alone_to_the_gradient() -> None:
    free, paying = one_step(Penalty()), one_step(L2(strength=0.3))
    squares = sum((START[name] ** 2).sum() for name in ("W1", "W2"))
    gained = paying.history["train/cost"][0] - free.history["train/cost"][0]
    assert gained == pytest.approx(0.3 / (2 * len(X)) * squares, rel=1e-12)
    assert paying.last is not None
    assert free.last is not None
    for name, start in START.items():
        share = 0.3 / len(X) * start if name.startswith("W") else 0
        np.testing.assert_allclose(free.last[name] - paying.last[name], share, rtol=1e-10, atol=1e-14)


def test_the_loss_is_reported_without_the_penalty() -> None:
    free, paying = one_step(Penalty()), one_step(L2(strength=0.3))
    assert paying.history["train/loss"].tolist() == free.history["train/loss"].tolist()
    assert free.history["train/cost"].tolist() == free.history["train/loss"].tolist()


@pytest.mark.parametrize("name", sorted(L2_PENALTIES))
def test_the_cost_is_never_below_the_loss(name: str) -> None:
    result = one_step(acting(L2_PENALTIES[name]))
    assert (result.history["train/cost"] >= result.history["train/loss"]).all()
