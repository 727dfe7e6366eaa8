"""Schedules: the factor on lr at each step."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from nnexp.errors import ConfigError
from nnexp.network.groups import Piece, group_rows
from nnexp.network.optimizers import OPTIMIZERS, SGD, Adam
from nnexp.network.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    InverseTime,
    OneCycle,
    Polynomial,
    ReduceOnPlateau,
    Schedule,
    Step,
    start,
)
from nnexp.testing.contracts import assert_rejected
from nnexp.testing.trials import small
from nnexp.testing.variations import acting, others
from nnexp.training import Training, train

STEPS = np.arange(1.0, 41.0)
EPOCHS = 20  # of one step each, so that PyTorch's schedulers, stepped once an epoch, have the same factors


def restarted(e: float, period: float, growth: float, end: float) -> float:
    """Return the factor of a cosine that restarts, counted period by period."""
    while e >= period:
        e, period = e - period, period * growth
    return end + (1 - end) * (1 + math.cos(math.pi * e / period)) / 2


def cycled(i: int, peak: float, first: float, last: float, bend: Callable[[float], float]) -> float:
    """Return the factor of one cycle after i of 20 steps; bend: the share of a way that is left, by that gone."""
    if i < peak:
        return 1 + (first - 1) * bend(i / peak)
    return last + (1 - last) * bend((i - peak) / (EPOCHS - 1 - peak))


def half_cosine(share: float) -> float:
    return (1 + math.cos(math.pi * share)) / 2


def straight(share: float) -> float:
    return 1 - share


# a schedule, and its factor after e of 20 epochs as its formula reads
FORMULAS: list[tuple[Schedule, Callable[[int], float]]] = [
    (Constant(), lambda e: 1.0),
    (Step(every=6.0, gamma=0.3), lambda e: [1, 0.3, 0.09, 0.027][e // 6]),
    (Exponential(gamma=0.8), lambda e: 0.8**e),
    (InverseTime(rate=0.4), lambda e: 1 / (1 + 0.4 * e)),
    (Polynomial(), lambda e: 1 - e / 20),
    (Polynomial(power=2.0, end=0.1), lambda e: 0.1 + 0.9 * (1 - e / 20) ** 2),
    (Cosine(), lambda e: (1 + math.cos(math.pi * e / 20)) / 2),
    (Cosine(end=0.2), lambda e: 0.2 + 0.8 * (1 + math.cos(math.pi * e / 20)) / 2),
    (CosineRestarts(period=6.0), lambda e: restarted(e, 6, 1, 0)),
    (CosineRestarts(period=3.0, growth=2.0, end=0.1), lambda e: restarted(e, 3, 2, 0.1)),
    (OneCycle(), lambda e: cycled(e, 5, 0.04, 4e-6, half_cosine)),
    (OneCycle(rise=0.5, start=0.1, end=0.01, anneal="linear"), lambda e: cycled(e, 9, 0.1, 0.01, straight)),
    (OneCycle(rise=0.01), lambda e: cycled(e, -0.8, 0.04, 4e-6, half_cosine)),  # no step is left to rise
    (ReduceOnPlateau(), lambda e: 1.0),
]
ONES = [pytest.param(schedule, formula, id=repr(schedule)) for schedule, formula in FORMULAS]
MAKES = sorted(SCHEDULES)


def test_every_schedule_is_compared_with_its_formula() -> None:
    lacking = [cls.name for cls in SCHEDULES.values() if cls not in {type(schedule) for schedule, _ in FORMULAS}]
    assert not lacking, f"add the factors of {', '.join(lacking)} to FORMULAS, as the sources print them"


def assert_factors(schedule: Schedule, formula: Callable[[int], float]) -> None:
    """A schedule has the factors of its formula, after any warm-up of 4 epochs that begins at 0.2."""
    alone = schedule.factors(np.arange(1.0, EPOCHS + 1), EPOCHS, 1)
    np.testing.assert_allclose(alone, [formula(e) for e in range(EPOCHS)], rtol=1e-12, atol=1e-16)
    warmed = replace(schedule, warmup=4.0, warmup_start=0.2).factors(np.arange(1.0, EPOCHS + 5), EPOCHS + 4, 1)
    np.testing.assert_allclose(warmed[:4], [0.2, 0.4, 0.6, 0.8], rtol=1e-12)
    np.testing.assert_array_equal(warmed[4:], alone)


@pytest.mark.parametrize(("schedule", "formula"), ONES)
def test_a_schedule_has_the_factors_of_its_formula_after_a_straight_warmup(
    schedule: Schedule, formula: Callable[[int], float]
) -> None:
    assert_factors(schedule, formula)


@pytest.mark.parametrize("name", MAKES)
def test_a_schedule_has_one_factor_a_step_and_none_is_negative_or_above_1(name: str) -> None:
    cls = SCHEDULES[name]
    every = [cls(), acting(cls)]
    every += [changed for one in tuple(every) for field in vars(one) for changed in others(one, field)]
    for schedule in every:
        factors = schedule.factors(STEPS, 40, 8)
        assert factors.shape == STEPS.shape
        assert factors.dtype == np.float64
        assert np.isfinite(factors).all()
        assert (factors >= 0).all()
        assert 0 < factors.max() <= 1 + 1e-12


@pytest.mark.parametrize("name", MAKES)
def test_a_step_has_the_same_factor_in_whatever_portion_it_is_asked_for(name: str) -> None:
    for schedule in (SCHEDULES[name](), acting(SCHEDULES[name])):
        whole = schedule.factors(STEPS, 40, 8).tolist()
        assert schedule.factors(STEPS[:13], 40, 8).tolist() + schedule.factors(STEPS[13:], 40, 8).tolist() == whole
        assert [schedule.factors(STEPS[i : i + 1], 40, 8)[0] for i in range(40)] == whole


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"one_cycle"}))
def test_more_steps_an_epoch_change_no_factor_at_the_beginning_of_an_epoch(name: str) -> None:
    for schedule in (SCHEDULES[name](), acting(SCHEDULES[name]), SCHEDULES[name](warmup=3.0)):
        coarse = schedule.factors(np.arange(1.0, 21), 20, 1)
        fine = schedule.factors(np.arange(1.0, 141), 140, 7)
        np.testing.assert_allclose(fine[::7], coarse, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("schedule", [Exponential(), InverseTime(), Polynomial(), Cosine(), OneCycle(), Constant()])
def test_a_course_without_drops_is_continuous_and_so_is_its_warmup(schedule: Schedule) -> None:
    for each in (schedule, replace(schedule, warmup=2.0)):
        jumps = np.abs(np.diff(each.factors(np.arange(1.0, 20001), 20000, 1000)))
        if type(schedule) is OneCycle and each.warmup:
            jumps = np.sort(jumps)[:-1]  # from the end of the warm-up to its own beginning
        assert jumps.max() < 0.001


def test_what_happens_every_so_many_epochs_happens_at_that_step() -> None:
    # 0.7 epochs of 10 steps: 7 steps, though 0.7 * 3 is 2.0999999999999996
    factors = Step(every=0.7, gamma=0.5).factors(np.arange(1.0, 101), 100, 10)
    assert factors.tolist() == [0.5 ** (i // 7) for i in range(100)]
    factors = CosineRestarts(period=0.7).factors(np.arange(1.0, 101), 100, 10)
    assert (np.flatnonzero(factors > 1 - 1e-12) == np.arange(0, 100, 7)).all()
    factors = CosineRestarts(period=0.1, growth=3.0).factors(np.arange(1.0, 201), 200, 10)
    assert np.flatnonzero(factors > 1 - 1e-12).tolist() == [0, 1, 4, 13, 40, 121]


def test_one_cycle_counts_steps_to_its_peak_and_ends_with_the_training() -> None:
    factors = OneCycle(rise=0.25, start=0.1, end=0.01).factors(np.arange(1.0, 81), 80, 8)
    assert factors[0] == pytest.approx(0.1)
    assert factors.argmax() == 19  # step 20 of 80
    assert factors[19] == pytest.approx(1)
    assert factors[-1] == pytest.approx(0.01)


# warm-up


@pytest.mark.parametrize("name", MAKES)
def test_a_warmup_of_any_schedule_counts_steps(name: str) -> None:
    warmed = SCHEDULES[name](warmup=1.5, warmup_start=0.0).factors(STEPS, 40, 8)
    np.testing.assert_allclose(warmed[:12], np.arange(12) / 12, rtol=1e-12)
    np.testing.assert_allclose(warmed[12:], SCHEDULES[name]().factors(STEPS[:28], 28, 8), rtol=1e-12, atol=1e-15)


def test_a_warmup_of_part_of_a_step_ends_within_it() -> None:
    factors = Exponential(gamma=0.5, warmup=1.5, warmup_start=0.4).factors(np.arange(1.0, 5), 4, 1)
    np.testing.assert_allclose(factors, [0.4, 0.8, 0.5**0.5, 0.5**1.5], rtol=1e-12)


@pytest.mark.parametrize("name", MAKES)
def test_a_start_of_no_warmup_is_refused(name: str) -> None:
    message = f"{name}: warmup_start must be 0.1 where warmup is 0, got 0.5"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        SCHEDULES[name](warmup_start=0.5)
    assert SCHEDULES[name](warmup=1.0, warmup_start=0.5).warmup_start == 0.5


def test_a_warmup_must_be_shorter_than_the_training() -> None:
    whole = Training(epochs=3, batch_size=16)
    assert small(schedule=Constant(warmup=2.9), training=whole).schedule.warmup == 2.9
    for warmup in (3.0, 4.0):
        schedule = Constant(warmup=warmup)
        words = ("schedule.warmup", "< training.epochs (3)", str(warmup))
        assert_rejected(partial(small, schedule=schedule, training=whole), *words)


# plateaus


def judged(schedule: Schedule, values: list[float], direction: str = "minimize") -> list[float]:
    """Return the factor after each epoch's objective."""
    memory, factors = start(), []
    for epoch, value in enumerate(values, start=1):
        before = memory.tolist()
        following = schedule.judge(memory, value, direction, epoch=epoch)
        np.testing.assert_array_equal(memory, before)  # what was given is not changed
        memory = following
        assert memory.shape == start().shape
        assert memory.dtype == np.float64
        factors.append(float(memory[0]))
    return factors


# settings, the objective epoch by epoch, and the factor after each
PLATEAUS: list[tuple[dict[str, Any], list[float], list[float]]] = [
    ({}, [3, 2, 1, 0.5], [1, 1, 1, 1]),
    ({}, [3, 3, 3, 3, 3, 3], [1, 1, 0.5, 0.5, 0.25, 0.25]),
    ({}, [3, 4, 2, 3, 3], [1, 1, 1, 1, 0.5]),  # an improvement forgets the bad epochs
    ({}, [3, 4, 4, 3.5, 3.5], [1, 1, 0.5, 0.5, 0.25]),  # a reduction does not forget the best
    ({"patience": 0}, [3, 3, 3, 2], [1, 0.5, 0.25, 0.25]),
    ({"patience": 0, "cooldown": 2}, [3, 3, 3, 3, 3], [1, 0.5, 0.5, 0.5, 0.25]),
    ({"patience": 0, "cooldown": 1}, [3, 3, 2, 2], [1, 0.5, 0.5, 0.25]),  # the best is kept in a cooldown, too
    ({"patience": 0, "end": 0.3}, [3, 3, 3, 3], [1, 0.5, 0.3, 0.3]),
    ({"patience": 0, "threshold": 0.1}, [3, 2.71, 2.69, 2.5], [1, 0.5, 0.5, 0.25]),
    ({"patience": 0, "threshold": 0.1, "threshold_mode": "abs"}, [3, 2.91, 2.89, 2.8], [1, 0.5, 0.5, 0.25]),
    ({"patience": 0, "warmup": 2.0}, [3, 4, 5, 5, 4], [1, 1, 1, 0.5, 0.5]),
]


def assert_plateaus(cls: type[ReduceOnPlateau]) -> None:
    """A schedule reduces lr when it should: worked out by hand."""
    for changes, values, factors in PLATEAUS:
        schedule = cls(**{"factor": 0.5, "patience": 1, "threshold": 0.0, **changes})
        np.testing.assert_allclose(judged(schedule, values), factors, rtol=1e-15, err_msg=repr(schedule))


def test_lr_is_reduced_when_the_objective_rests() -> None:
    assert_plateaus(ReduceOnPlateau)


@pytest.mark.parametrize(("mode", "values"), [("rel", [2, 2.19, 2.21, 2.4]), ("abs", [2, 2.09, 2.11, 2.2])])
def test_what_is_maximised_improves_upwards(mode: Any, values: list[float]) -> None:
    schedule = ReduceOnPlateau(factor=0.5, patience=0, threshold=0.1, threshold_mode=mode)
    assert judged(schedule, values, "maximize") == [1, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"reduce_on_plateau"}))
def test_other_schedules_reduce_nothing(name: str) -> None:
    assert judged(SCHEDULES[name](), [1.0] * 30) == [1.0] * 30


# what a step is given


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_an_lr_of_0_moves_nothing_and_breaks_nothing(name: str) -> None:
    still = Training(epochs=3, batch_size="full", shuffle=False, dtype="float64")
    optimizer: Any = OPTIMIZERS[name]
    trial = small(optimizer=optimizer(), schedule=Constant(warmup=2.0, warmup_start=0.0), training=still)
    (result,) = train([trial])
    assert result.outcome == "finished"
    cost = result.history["train/cost"].tolist()  # each before its update, and the first update is no step
    assert cost[0] == pytest.approx(cost[1], rel=1e-14)  # sums in another order
    assert cost[2] != pytest.approx(cost[1], rel=1e-9)


@pytest.mark.parametrize("optimizer", [SGD(lr=0.3), Adam()])
def test_reductions_of_1_change_no_bit_and_others_multiply_lr(optimizer: Any) -> None:
    def prepared(reductions: Any) -> list[list[float]]:
        (group,) = group_rows([optimizer] * 3, [Cosine(), Cosine(), Exponential()])
        group.prepare(5, 4, 20, np.dtype("float64"), None if reductions is None else np.array(reductions))
        theta, moved = np.ones((3, 1)), []
        for step in range(4):
            before, slots = theta.copy(), [np.zeros_like(theta) for _ in range(optimizer.slots)]
            group.move(step, Piece(slice(0, 3), theta, np.ones_like(theta), tuple(slots), np.empty_like(theta)))
            moved.append((before - theta)[:, 0].tolist())
        return moved

    assert prepared([1.0, 1.0, 1.0]) == prepared(None)
    np.testing.assert_allclose(prepared([1.0, 0.5, 0.25]), np.array(prepared(None)) * [1, 0.5, 0.25], rtol=1e-12)
    assert [row[0] for row in prepared([1.0, 0.5, 0.25])] == [row[0] for row in prepared(None)]
