"""Penalties, as a training sees them: what the cost and the gradient gain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnexp.data.prepared import from_arrays
from nnexp.data.sources import Moons
from nnexp.network.architecture import MLP
from nnexp.network.optimizers import SGD
from nnexp.network.penalties import L1, L1_PENALTIES, L2, L2_PENALTIES, Penalty
from nnexp.testing.contracts import assert_alone
from nnexp.testing.trials import small
from nnexp.testing.variations import acting
from nnexp.training import Objective, Result, Training, TrialConfig, train

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 2)), np.arange(8) % 2
SHAPES = {"W1": (3, 2), "b1": (3,), "W2": (2, 3), "b2": (2,)}
START = {name: RNG.normal(size=shape) for name, shape in SHAPES.items()}


def one_step(start: dict[str, Any] = START, /, **penalties: Any) -> Result:
    trial = TrialConfig(
        dataset=Moons(validation=0, test=0),
        architecture=MLP(hidden=(3,)),
        optimizer=SGD(lr=1.0),
        **penalties,
        objective=Objective(metric="train/loss", direction="minimize"),
        training=Training(epochs=1, batch_size="full", dtype="float64"),
    )
    return train([trial], from_arrays((X, Y), classes=2, dtype="float64"), initial=[start])[0]


def test_l2_adds_half_the_mean_square_to_the_cost_and_weights_alone_to_the_gradient() -> None:
    free, paying = one_step(), one_step(l2=L2(strength=0.3))
    squares = sum((START[name] ** 2).sum() for name in ("W1", "W2"))
    gained = paying.history["train/cost"][0] - free.history["train/cost"][0]
    assert gained == pytest.approx(0.3 / (2 * len(X)) * squares, rel=1e-12)
    assert paying.last is not None
    assert free.last is not None
    for name, start in START.items():
        share = 0.3 / len(X) * start if name.startswith("W") else 0
        np.testing.assert_allclose(free.last[name] - paying.last[name], share, rtol=1e-10, atol=1e-14)


def test_the_loss_is_reported_without_the_penalty() -> None:
    free, paying = one_step(), one_step(l2=L2(strength=0.3))
    assert paying.history["train/loss"].tolist() == free.history["train/loss"].tolist()
    assert free.history["train/cost"].tolist() == free.history["train/loss"].tolist()


def test_l1_adds_the_mean_size_to_the_cost_and_the_signs_of_weights_alone_to_the_gradient() -> None:
    free, paying = one_step(), one_step(l1=L1(strength=0.3))
    sizes = sum(np.abs(START[name]).sum() for name in ("W1", "W2"))
    gained = paying.history["train/cost"][0] - free.history["train/cost"][0]
    assert gained == pytest.approx(0.3 / len(X) * sizes, rel=1e-12)
    assert paying.last is not None
    assert free.last is not None
    for name, start in START.items():
        share = 0.3 / len(X) * np.sign(start) if name.startswith("W") else 0
        np.testing.assert_allclose(free.last[name] - paying.last[name], share, rtol=1e-10, atol=1e-14)


def test_l1_does_not_pull_a_weight_of_0() -> None:
    start = {name: np.zeros(shape) for name, shape in SHAPES.items()}  # all gradients but b2's are 0
    paying = one_step(start, l1=L1(strength=0.3))
    assert paying.last is not None
    assert paying.history["train/cost"].tolist() == paying.history["train/loss"].tolist()
    assert not any(paying.last[name].any() for name in ("W1", "W2"))


def test_both_penalties_add_up() -> None:
    free, one, other = one_step(), one_step(l1=L1(strength=0.3)), one_step(l2=L2(strength=0.7))
    both = one_step(l1=L1(strength=0.3), l2=L2(strength=0.7))
    cost = [result.history["train/cost"][0] for result in (free, one, other, both)]
    assert cost[3] - cost[0] == pytest.approx(cost[1] + cost[2] - 2 * cost[0], rel=1e-12)
    for name in START:
        moved = [(result.last or {})[name] for result in (free, one, other, both)]
        np.testing.assert_allclose(moved[3] - moved[0], moved[1] + moved[2] - 2 * moved[0], rtol=1e-10, atol=1e-14)


def test_what_others_pay_changes_no_bit() -> None:
    held: list[dict[str, Any]] = [
        {},
        {"l2": L2(strength=0.3)},
        {"l1": L1(strength=0.3)},
        {"l1": L1(strength=0.1), "l2": L2(strength=9.0)},
    ]
    trials = [small(seed=seed, **penalties) for seed in (0, 1) for penalties in held]
    for few in ([0, 1], [0, 2], [1, 2], [1, 3], [2, 3], range(8)):
        assert_alone([trials[number] for number in few])


@pytest.mark.parametrize(
    "penalties",
    [
        *({"l2": acting(cls)} for _, cls in sorted(L2_PENALTIES.items())),
        *({"l1": acting(cls)} for _, cls in sorted(L1_PENALTIES.items())),
    ],
    ids=repr,
)
def test_the_cost_is_never_below_the_loss(penalties: dict[str, Penalty]) -> None:
    result = one_step(**penalties)
    assert (result.history["train/cost"] >= result.history["train/loss"]).all()
