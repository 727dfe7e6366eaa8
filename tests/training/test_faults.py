"""Every contract of training and of data rejects a deliberately broken twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nnexp.arrays import Floats
from nnexp.data.prepared import prepare
from nnexp.data.splits import Split
from nnexp.network import update
from nnexp.network.activations import ReLU, Spare
from nnexp.network.architecture import MLP
from nnexp.network.clipping import ClipNorm, shares
from nnexp.network.constraints import Bounds, UnitMaxNorm
from nnexp.network.dropout import InvertedDropout
from nnexp.network.initializers import Random
from nnexp.network.losses import CrossEntropy, Desk, Targets
from nnexp.network.optimizers import SGD, Adam, Column, Field, Momentum
from nnexp.network.penalties import L1, L2
from nnexp.network.schedules import Constant, Exponential, Memory, ReduceOnPlateau
from nnexp.testing.contracts import (
    assert_alone,
    assert_equal_numbers,
    assert_live,
    assert_partition,
    assert_slices,
    numbers,
)
from nnexp.testing.trials import Ramp, small
from nnexp.training import Training, TrialConfig, train
from nnexp.training.stacking import form_problem
from nnexp.training.state import State

# alone


class MixingReLU(ReLU):
    """Shifts by the maximum of the whole stack."""

    def forward(self, Z: Floats, spare: Spare) -> None:
        Z -= Z.max()
        Z += 1
        super().forward(Z, spare)


class BarelyMixingReLU(ReLU):
    """Moves one unit by the last bit, where the stack is wide."""

    def forward(self, Z: Floats, spare: Spare) -> None:
        super().forward(Z, spare)
        if len(Z) > 1:
            Z[0, 0] = np.nextafter(Z[0, 0], np.float32(9))


class MixingCrossEntropy(CrossEntropy):
    """Divides by the number of replicas, too."""

    def backward(self, Z: Floats, targets: Targets, desk: Desk) -> None:
        super().backward(Z, targets, desk)
        Z /= len(Z)


class LeadingSGD(SGD):
    """Takes the lr of its first replica for all."""

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        return (np.broadcast_to(lr[:, :1], lr.shape),)


class BlindAdam(Adam):
    """Is updated by the first of its replicas, whatever their options."""

    @property
    def structure(self) -> tuple[Any, ...]:
        return (type(self),)


@pytest.mark.parametrize(
    "trials",
    [
        [small(architecture=MLP(hidden=(5,), activation=MixingReLU()), seed=seed) for seed in (0, 1)],
        [small(architecture=MLP(hidden=(5,), activation=BarelyMixingReLU()), seed=seed) for seed in (0, 1)],
        [small(loss=MixingCrossEntropy(), seed=seed) for seed in (0, 1)],
        [small(optimizer=LeadingSGD(lr=lr)) for lr in (0.1, 0.2)],
        [small(optimizer=BlindAdam(amsgrad=amsgrad, beta2=0.5)) for amsgrad in (True, False)],
    ],
)
def test_a_component_that_mixes_replicas_is_rejected(trials: list[TrialConfig]) -> None:
    with pytest.raises(AssertionError, match="stacked against alone, differs in"):
        assert_alone(trials)


def _of_all(squares: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.float64]:
    return shares(np.full_like(squares, squares.max()), limits)


def test_clipping_by_the_largest_norm_of_a_stack_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [small(seed=seed, clip=ClipNorm(limit=0.1)) for seed in (0, 1)]
    assert_alone(trials)
    monkeypatch.setattr(update, "shares", _of_all)
    with pytest.raises(AssertionError, match="stacked against alone, differs in"):
        assert_alone(trials)


SPREAD = update._spread


def _on_all(strengths: Floats, mask: Floats) -> update.Strengths | None:
    return SPREAD(np.full_like(strengths, strengths.max()), mask)


@pytest.mark.parametrize("penalties", [[{}, {"l1": L1(strength=1.0)}], [{"l2": L2(strength=1.0)}, {}]], ids=repr)
def test_a_penalty_of_the_whole_stack_is_rejected(
    penalties: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [small(**each) for each in penalties]
    assert_alone(trials)
    monkeypatch.setattr(update, "_spread", _on_all)
    with pytest.raises(AssertionError, match="stacked against alone, differs in"):
        assert_alone(trials)


def test_a_bound_of_the_whole_stack_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [small(), small(seed=1, max_norm=UnitMaxNorm(limit=0.5))]
    assert_alone(trials)
    init = Bounds.__init__

    def tightest(self: Bounds, layers: Sequence[Floats], bounds: Sequence[float]) -> None:
        init(self, layers, [min(bounds)] * len(bounds))

    monkeypatch.setattr(Bounds, "__init__", tightest)
    with pytest.raises(AssertionError, match="stacked against alone, differs in"):
        assert_alone(trials)


def test_a_single_trial_shows_nothing_about_stacks() -> None:
    with pytest.raises(AssertionError, match="a stack of one shows nothing"):
        assert_alone([small()])


def test_every_part_of_a_result_is_compared() -> None:
    (result,) = train([small()])
    same = numbers(result)
    assert_equal_numbers(numbers(train([small()])[0]), same, "a trial")
    assert result.last is not None
    history = {**result.history, "val/acc": np.nextafter(result.history["val/acc"], 2)}
    touched: list[Any] = [
        replace(result, outcome="diverged"),
        replace(result, epochs=result.epochs + 1),
        replace(result, history=history),
        replace(result, history={name: result.history[name] for name in list(result.history)[1:]}),
        replace(result, summary={**result.summary, "test/acc": 2.0}),
        replace(result, best={**result.best, "b1": -result.best["b1"]}),
        replace(result, last={**result.last, "W1": result.last["W1"].astype(np.float64)}),
        replace(result, last=None),
    ]
    for other in touched:
        with pytest.raises(AssertionError, match="a trial differs in"):
            assert_equal_numbers(numbers(other), same, "a trial")


# slices


class CountingSGD(SGD):
    """Remembers how often it was called, outside of the state."""

    calls = 0

    @staticmethod
    def update(theta: Floats, grad: Floats, slots: Sequence[Floats], c: Sequence[Any], spare: Floats) -> None:
        CountingSGD.calls += 1
        theta -= grad * np.float32(0.1 / CountingSGD.calls)


class ForgetfulRamp(Ramp):
    """Counts from the step that it is first asked for."""

    def course(self, time: NDArray[np.float64], end: float, tick: float) -> NDArray[np.float64]:
        self.__dict__.setdefault("first", time[0])
        return np.asarray((time - self.__dict__["first"] + tick) / end)

    def __getstate__(self) -> dict[str, Any]:
        return {"top": self.top, "warmup": self.warmup, "warmup_start": self.warmup_start}


class Absent(ReduceOnPlateau):
    """Remembers how many epochs it has seen, outside of the state."""

    def judge(self, memory: Memory, value: float, direction: str, *, epoch: int) -> Memory:
        self.__dict__["seen"] = self.__dict__.get("seen", 0) + 1
        return np.array([0.5 ** self.__dict__["seen"], *memory[1:]])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "seen"}


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": CountingSGD()},
        {"optimizer": SGD(), "schedule": ForgetfulRamp()},
        {"optimizer": SGD(), "schedule": Absent()},
    ],
)
def test_a_component_that_remembers_outside_of_the_state_is_rejected(changes: dict[str, Any]) -> None:
    trial = small(training=Training(epochs=4, batch_size=16), **changes)
    problem, _ = form_problem([trial, replace(trial, seed=1)], prepare(trial.dataset, [0], "float32"))
    with pytest.raises(AssertionError, match=r"slices (observed )?differs in"):
        assert_slices(problem, [1, 2])


def test_a_state_that_leaves_out_what_optimizers_keep_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = small(optimizer=Momentum(), training=Training(epochs=4, batch_size=16))
    problem, _ = form_problem([trial, replace(trial, seed=1)], prepare(trial.dataset, [0], "float32"))
    assert_slices(problem, [1, 2])
    copy = State.copy

    def forgetful(self: State) -> State:
        fresh = copy(self)
        return replace(fresh, slots=np.zeros_like(fresh.slots))

    monkeypatch.setattr(State, "copy", forgetful)
    with pytest.raises(AssertionError, match=r"slices (observed )?differs in"):
        assert_slices(problem, [1, 2])


def test_an_advance_that_changes_its_input_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = small(training=Training(epochs=4, batch_size=16))
    problem, _ = form_problem([trial, replace(trial, seed=1)], prepare(trial.dataset, [0], "float32"))
    monkeypatch.setattr(State, "copy", lambda self: self)
    with pytest.raises(AssertionError, match="the state that was given to advance differs in"):
        assert_slices(problem, [1, 2])


# live


class FixedSGD(SGD):
    """Has an lr that does nothing."""

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        return (np.full_like(lr, 0.1),)


class FixedAdam(Adam):
    """Takes 0.9 for its beta1, whatever it was given."""

    def coefficients(self, field: Field, lr: Column, t: Column) -> tuple[Column, ...]:
        return super().coefficients(
            lambda name: np.full_like(field(name), 0.9) if name == "beta1" else field(name), lr, t
        )


class FreeL2(L2):
    """Costs nothing."""

    @property
    def l2(self) -> float:
        return 0.0


class FullDropout(InvertedDropout):
    """Drops nobody."""

    def keeps(self, layers: int) -> tuple[float, ...]:
        return (1.0,) * layers


class UnitRandom(Random):
    """Has a scale that does nothing."""

    def weights(self, fan_out: int, fan_in: int, gain: float, rng: np.random.Generator) -> Floats:
        return rng.standard_normal((fan_out, fan_in))


class FlatRamp(Ramp):
    """Stays where it starts."""

    def course(self, time: NDArray[np.float64], end: float, tick: float) -> NDArray[np.float64]:
        return Constant().course(time, end, tick)


class Cold(Exponential):
    """Has a warm-up that does nothing."""

    def factors(self, step: NDArray[np.float64], steps: int, epoch_steps: int) -> NDArray[np.float64]:
        return self.course((step - 1) / epoch_steps, steps / epoch_steps, 1 / epoch_steps)


class Unmoved(ReduceOnPlateau):
    """Looks at nothing."""

    def judge(self, memory: Memory, value: float, direction: str, *, epoch: int) -> Memory:
        return memory


class FreeL1(L1):
    """Costs nothing."""

    @property
    def l1(self) -> float:
        return 0.0


class LooseClip(ClipNorm):
    """Lets everything through."""

    @property
    def norm(self) -> float:
        return np.inf


class LooseMaxNorm(UnitMaxNorm):
    """Lets everything through."""

    @property
    def bound(self) -> float:
        return np.inf


@pytest.mark.parametrize(
    ("place", "one", "another"),
    [
        ("optimizer", FixedSGD(lr=0.1), FixedSGD(lr=0.2)),
        ("optimizer", FixedAdam(beta1=0.1), FixedAdam(beta1=0.5)),
        ("l2", FreeL2(strength=0.0), FreeL2(strength=1.0)),
        ("dropout", FullDropout(keep=0.5), FullDropout(keep=0.9)),
        ("initializer", UnitRandom(scale=1.0), UnitRandom(scale=2.0)),
        ("schedule", FlatRamp(top=1.0), FlatRamp(top=2.0)),
        ("schedule", Cold(warmup=0.5), Cold(warmup=1.5)),
        ("schedule", Unmoved(patience=0, factor=0.1), Unmoved(patience=0, factor=0.5)),
        ("l1", FreeL1(strength=0.0), FreeL1(strength=1.0)),
        ("clip", LooseClip(limit=0.1), LooseClip(limit=0.01)),
        ("max_norm", LooseMaxNorm(limit=0.1), LooseMaxNorm(limit=0.2)),
    ],
)
def test_a_setting_that_does_nothing_is_rejected(place: str, one: Any, another: Any) -> None:
    with pytest.raises(AssertionError, match="trains like"):
        assert_live(small(**{place: one}), **{place: another})


def test_a_change_that_changes_nothing_is_rejected() -> None:
    with pytest.raises(AssertionError, match="nothing was changed"):
        assert_live(small(), optimizer=small().optimizer)


# data


@pytest.mark.parametrize(
    ("train_part", "validation", "test"),
    [([0, 1, 2], [3], []), ([0, 1, 2], [2, 3], [4]), ([1, 0, 2], [3], [4]), ([0, 1], [2, 3], [4, 5])],
)
def test_a_split_with_a_gap_an_overlap_or_another_order_is_rejected(
    train_part: list[int], validation: list[int], test: list[int]
) -> None:
    split = Split(*(np.array(part, np.intp) for part in (train_part, validation, test)))
    with pytest.raises(AssertionError, match=r"every example exactly once|ascending"):
        assert_partition(split, 5)
