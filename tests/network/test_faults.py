"""Every contract of the network rejects a deliberately broken twin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from nnexp.arrays import Floats
from nnexp.errors import ConfigError
from nnexp.network.activations import Activation, LeakyReLU, ReLU, Spare
from nnexp.network.architecture import MLP
from nnexp.network.dropout import InvertedDropout, Mask
from nnexp.network.initializers import Random
from nnexp.network.losses import BinaryCrossEntropy, CrossEntropy, Desk, Loss, MeanSquaredError, Targets
from nnexp.network.optimizers import Adam, AdamW, Column, Field, Lion, Momentum, Optimizer, RMSprop
from nnexp.network.penalties import L1, L2
from nnexp.network.schedules import Exponential, Memory, ReduceOnPlateau, Schedule, Step, Times
from nnexp.network.stack import Pass
from nnexp.network.update import Update
from nnexp.testing.contracts import (
    assert_dtype_kept,
    assert_finite_loss,
    assert_gradient,
    assert_rejected,
    assert_textbook,
)
from nnexp.training import TrialConfig
from tests.network.test_gradient import CLASSES, VALUES, batch, case
from tests.network.test_optimizers import TEXTBOOK
from tests.network.test_schedules import assert_factors, assert_plateaus

# gradient


class ForgetfulLeakyReLU(LeakyReLU):
    """Sets the gradient of the negative part to the slope, where it should be the slope times what came from above."""

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        np.copyto(dA, self.slope, where=A < 0)


class StraightReLU(ReLU):
    """Lets the whole gradient through."""

    def backward(self, dA: Floats, A: Floats, spare: Spare) -> None:
        pass


class HalfSquaredError(MeanSquaredError):
    """Has the gradient of half its cost."""

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        super().backward(Z, targets, desk)
        Z *= 0.5


class SummedCrossEntropy(CrossEntropy):
    """Has the gradient of the sum over a batch instead of the mean."""

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        super().backward(Z, targets, desk)
        Z *= Z.shape[2]


class SlightlyWrongSquaredError(MeanSquaredError):
    """Has a gradient that is wrong in the sixth digit."""

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        super().backward(Z, targets, desk)
        Z *= 1 + 5e-6


def with_activation(activation: Activation) -> TrialConfig:
    trial = case("cross_entropy", "softmax", CLASSES)
    return TrialConfig(**{**vars(trial), "architecture": MLP(hidden=(5, 4), activation=activation)})


def with_loss(loss: Loss, source: Any) -> TrialConfig:
    return TrialConfig(**{**vars(case("mse", "identity", source)), "loss": loss})


@pytest.mark.parametrize(
    "trial",
    [
        with_activation(ForgetfulLeakyReLU()),
        with_activation(StraightReLU()),
        with_loss(HalfSquaredError(), VALUES),
        with_loss(SlightlyWrongSquaredError(), VALUES),
        TrialConfig(**{**vars(case("cross_entropy", "softmax", CLASSES)), "loss": SummedCrossEntropy()}),
    ],
)
def test_a_wrong_derivative_is_rejected(trial: TrialConfig) -> None:
    with pytest.raises(AssertionError, match="gradient"):
        assert_gradient(trial, batch(trial.dataset))


def test_a_gradient_that_is_0_everywhere_is_rejected() -> None:
    with pytest.raises(AssertionError, match="flat everywhere"):
        assert_gradient(with_loss(BlindError(), VALUES), batch(VALUES))


class BlindError(MeanSquaredError):
    """Costs the same whatever the network says."""

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        super().forward(Z, targets, desk)
        desk.losses[:] = 1

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        Z[:] = 0


@pytest.mark.parametrize("penalty", [{"l2": L2(strength=0.5)}, {"l1": L1(strength=0.5)}], ids=repr)
def test_a_penalty_that_pulls_but_does_not_cost_is_rejected(
    penalty: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Update.step

    def free(self: Update, *given: Any, **named: Any) -> None:
        step(self, *given, **named)
        self.penalty[:] = 0

    monkeypatch.setattr(Update, "step", free)
    trial = TrialConfig(**{**vars(case("mse", "identity", VALUES)), **penalty})
    with pytest.raises(AssertionError, match="gradient"):
        assert_gradient(trial, batch(VALUES))


def test_a_mask_that_the_gradient_does_not_see_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    draw, backward, masks = Mask.draw, Pass.backward, list[Mask]()

    def noted(self: Mask) -> None:
        masks.append(self)
        draw(self)

    def redrawn(self: Pass, targets: Targets) -> None:
        for mask in masks:
            draw(mask)
        backward(self, targets)

    trial = TrialConfig(**{**vars(case("mse", "identity", VALUES)), "dropout": InvertedDropout(keep=0.5)})
    assert_gradient(trial, batch(VALUES))
    monkeypatch.setattr(Mask, "draw", noted)
    monkeypatch.setattr(Pass, "backward", redrawn)
    with pytest.raises(AssertionError, match="gradient"):
        assert_gradient(trial, batch(VALUES))


# losses


class NaiveCrossEntropy(CrossEntropy):
    """-log(softmax), as the formula reads: overflows, and has log(0)."""

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        assert targets.labels is not None
        with np.errstate(all="ignore"):
            P = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
            desk.losses[:] = -np.log(np.take_along_axis(P, targets.labels[:, None], axis=1)[:, 0])
        desk.scores[:] = 0
        Z[:] = P

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        pass


class ShiftedByAll(NaiveCrossEntropy):
    """Shifts by the maximum of the whole array, as one of the systems that nnexp grew out of."""

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        Z -= Z.max()
        super().forward(Z, targets, desk)


class DoubleBinaryCrossEntropy(BinaryCrossEntropy):
    """Leaves its losses in float64."""

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        super().forward(Z, targets, desk)
        desk.losses = desk.losses.astype(np.float64)


class OffsetBinaryCrossEntropy(BinaryCrossEntropy):
    """Is lower than any cost can be."""

    def forward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        super().forward(Z, targets, desk)
        desk.losses -= 1


@pytest.mark.parametrize(
    ("loss", "Z", "y", "message"),
    [
        (NaiveCrossEntropy(), [[1000.0], [0.0]], [0], "losses"),
        (NaiveCrossEntropy(), [[-800.0], [0.0]], [0], "losses"),
        (ShiftedByAll(), [[2000.0, 0.0], [0.0, 0.0]], [0, 0], "losses"),
        (DoubleBinaryCrossEntropy(), [[1.0]], [1], "losses are float64, not float32"),
        (OffsetBinaryCrossEntropy(), [[1.0]], [1], "negative losses"),
    ],
)
def test_a_loss_that_overflows_or_widens_or_is_negative_is_rejected(loss: Loss, Z: Any, y: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_finite_loss(loss, np.array(Z, np.float32), np.array(y))


# optimizers


class EpsInside(Adam):
    """Adds eps inside the root."""

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (M, V), (beta1, beta2, eps, lr) = slots, c
        M *= beta1
        M += grad
        V *= beta2
        V += grad**2
        theta -= lr * M / np.sqrt(V + eps**2)


class Uncorrected(Adam):
    """Has no exponent t."""

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        return super().coefficients(field, lr, np.ones_like(t))


class Deaf(RMSprop):
    """Takes 0.9 for its beta2, whatever it was given."""

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        return super().coefficients(lambda name: np.array([[0.9]]) if name == "beta2" else field(name), lr, t)


class Coupled(AdamW):
    """Adds weight decay to the gradient, where Adam divides it by its size."""

    @property
    def decoupled(self) -> bool:
        return False


class Summed(Momentum):
    """Is PyTorch's form, whatever it was given."""

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        return field("beta1"), lr


class Late(Lion):
    """Takes the sign of the mean as it is after this gradient."""

    def update(self, theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        (M,), (_, beta2, lr) = slots, c
        M *= beta2
        M += grad
        theta -= lr * np.sign(M)


@pytest.mark.parametrize(
    "optimizer", [EpsInside(lr=0.1, eps=1e-3), Uncorrected(), Deaf(beta2=0.5), Coupled(), Summed(), Late(lr=0.1)]
)
def test_an_optimizer_beside_its_formula_is_rejected(optimizer: Optimizer) -> None:
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_textbook(optimizer, TEXTBOOK[optimizer.name])


# schedules


class EarlyStep(Step):
    """Drops an epoch too soon: its first epoch is over before it began."""

    def course(self, time: Times, end: float, tick: float) -> Times:
        return super().course(time + tick, end, tick)


class OneStepLate(Exponential):
    """Begins its warm-up one step after its first factor, as if steps were counted from 1."""

    def factors(self, step: Times, steps: int, epoch_steps: int) -> Times:
        return super().factors(step + (step <= self.warmup), steps, epoch_steps)


class Unmoved(Exponential):
    """Goes on as if the warm-up had been part of its course."""

    def factors(self, step: Times, steps: int, epoch_steps: int) -> Times:
        warming = step <= self.warmup * epoch_steps
        whole = self.course((step - 1) / epoch_steps, steps / epoch_steps, 1 / epoch_steps)
        return np.where(warming, super().factors(step, steps, epoch_steps), whole)


@pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        (EarlyStep(every=6.0, gamma=0.5), lambda e: 0.5 ** (e // 6)),
        (OneStepLate(gamma=0.8), lambda e: 0.8**e),
        (Unmoved(gamma=0.8), lambda e: 0.8**e),
    ],
)
def test_a_schedule_or_a_warmup_beside_its_formula_is_rejected(
    schedule: Schedule, formula: Callable[[int], float]
) -> None:
    with pytest.raises(AssertionError, match=r"Not equal to tolerance|not equal"):
        assert_factors(schedule, formula)


class Impatient(ReduceOnPlateau):
    """Reduces at the last epoch that it should have waited for."""

    def judge(self, memory: Memory, value: float, direction: str, *, epoch: int) -> Memory:
        patience = max(self.patience - 1, 0)
        plain = ReduceOnPlateau(**{**vars(self), "patience": patience})
        return plain.judge(memory, value, direction, epoch=epoch)


class Restless(ReduceOnPlateau):
    """Has no cooldown."""

    def judge(self, memory: Memory, value: float, direction: str, *, epoch: int) -> Memory:
        following = super().judge(memory, value, direction, epoch=epoch)
        return np.array([*following[:3], 0.0])


class Awake(ReduceOnPlateau):
    """Counts the epochs of the warm-up."""

    def judge(self, memory: Memory, value: float, direction: str, *, epoch: int) -> Memory:
        return super().judge(memory, value, direction, epoch=epoch + 100)


@pytest.mark.parametrize("cls", [Impatient, Restless, Awake])
def test_a_plateau_that_is_judged_otherwise_is_rejected(cls: type[ReduceOnPlateau]) -> None:
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_plateaus(cls)


# types and errors


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(1, np.float32), "b": np.zeros(1)}, "not float32: {'b': 'float64'}"),
        ({"a": np.zeros(1, np.intp)}, "no floats"),
    ],
)
def test_another_type_of_float_is_rejected(arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_dtype_kept(arrays, "float32")


@dataclass(frozen=True, kw_only=True)
class Unchecked(Random):
    """Takes any scale."""

    def __post_init__(self) -> None:
        pass


def _wordless() -> None:
    raise ConfigError("wrong value")


def _lengthy() -> None:
    raise ConfigError("scale must be > 0,\ngot -1")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Unchecked(scale=-1.0), "was not rejected"),
        (_wordless, "does not say"),
        (_lengthy, "more than one line"),
    ],
)
def test_a_range_that_is_not_checked_or_not_named_is_rejected(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_rejected(make, "scale", "-1")
