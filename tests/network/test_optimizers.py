"""Optimizers against their formulas, written out as the sources print them."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from nnexp.network.optimizers import (
    OPTIMIZERS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    Lion,
    Momentum,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
)
from nnexp.network.schedules import Constant
from nnexp.network.update import Group, group_rows
from tests.contracts import Float64s, Formula, assert_textbook
from tests.trials import Ramp
from tests.variations import acting, others

Memory = dict[str, Float64s]


def sgd(o: SGD, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    return theta - o.lr * g


def momentum(o: Momentum, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    memory["m"] = o.beta1 * memory["m"] + (g if o.form == "pytorch" else (1 - o.beta1) * g)
    return theta - o.lr * memory["m"]


def nesterov(o: Momentum, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    new = g if o.form == "pytorch" else (1 - o.beta1) * g
    memory["m"] = o.beta1 * memory["m"] + new
    return theta - o.lr * (o.beta1 * memory["m"] + new)


def adagrad(o: Adagrad, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    memory["v"] = memory["v"] + g**2
    return theta - o.lr * g / (np.sqrt(memory["v"]) + o.eps)


def adadelta(o: Adadelta, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    memory["v"] = o.rho * memory["v"] + (1 - o.rho) * g**2
    d = np.sqrt(memory["u"] + o.eps) / np.sqrt(memory["v"] + o.eps) * g
    memory["u"] = o.rho * memory["u"] + (1 - o.rho) * d**2
    return theta - o.lr * d


def rmsprop(o: RMSprop, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    memory["v"] = o.beta2 * memory["v"] + (1 - o.beta2) * g**2
    memory["m"] = o.beta2 * memory["m"] + (1 - o.beta2) * g
    v = memory["v"] - memory["m"] ** 2 if o.centered else memory["v"]
    step = g / (np.sqrt(v + o.eps) if o.eps_inside else np.sqrt(v) + o.eps)
    memory["b"] = o.momentum * memory["b"] + step
    return theta - o.lr * memory["b"]


def adam(o: Adam, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    memory["m"] = o.beta1 * memory["m"] + (1 - o.beta1) * g
    memory["v"] = o.beta2 * memory["v"] + (1 - o.beta2) * g**2
    memory["largest"] = np.maximum(memory["largest"], memory["v"])
    corrected_m = memory["m"] / (1 - o.beta1**t)
    corrected_v = memory["largest" if o.amsgrad else "v"] / (1 - o.beta2**t)
    return theta - o.lr * corrected_m / (np.sqrt(corrected_v) + o.eps)


def adamax(o: Adamax, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    memory["m"] = o.beta1 * memory["m"] + (1 - o.beta1) * g
    memory["u"] = np.maximum(o.beta2 * memory["u"], np.abs(g) + o.eps)
    return theta - o.lr / (1 - o.beta1**t) * memory["m"] / memory["u"]


def nadam(o: NAdam, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    def mu(step: int) -> float:
        return o.beta1 * (1 - 0.5 * float(0.96 ** (step * o.momentum_decay)))

    memory["m"] = o.beta1 * memory["m"] + (1 - o.beta1) * g
    memory["v"] = o.beta2 * memory["v"] + (1 - o.beta2) * g**2
    product = float(np.prod([mu(step) for step in range(1, t + 1)]))
    mean = mu(t + 1) * memory["m"] / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
    return theta - o.lr * mean / (np.sqrt(memory["v"] / (1 - o.beta2**t)) + o.eps)


def radam(o: RAdam, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    memory["m"] = o.beta1 * memory["m"] + (1 - o.beta1) * g
    memory["v"] = o.beta2 * memory["v"] + (1 - o.beta2) * g**2
    corrected_m = memory["m"] / (1 - o.beta1**t)
    most = 2 / (1 - o.beta2) - 1
    rho = most - 2 * t * o.beta2**t / (1 - o.beta2**t)
    if rho <= 5:
        return theta - o.lr * corrected_m
    r = math.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
    r *= math.sqrt(1 - o.beta2**t)
    return theta - o.lr * r * corrected_m / (np.sqrt(memory["v"]) + o.eps)


def lion(o: Lion, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    moved = theta - o.lr * np.sign(o.beta1 * memory["m"] + (1 - o.beta1) * g)
    memory["m"] = o.beta2 * memory["m"] + (1 - o.beta2) * g
    return moved


FORMULAS: dict[str, Formula] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamax": adamax,
    "nadam": nadam,
    "radam": radam,
    "adamw": adam,
    "lion": lion,
}


def decayed(formula: Formula) -> Formula:
    """Return a formula with weight decay in front: coupled, or decoupled where the optimizer says so."""

    def step(o: Optimizer, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
        if o.decoupled:
            return formula(o, theta - o.lr * o.weight_decay * theta, g, memory, t)
        return formula(o, theta, g + o.weight_decay * theta, memory, t)

    return step


TEXTBOOK = {name: decayed(formula) for name, formula in FORMULAS.items()}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_an_optimizer_takes_the_steps_of_its_formula(name: str) -> None:
    cls: type[Any] = OPTIMIZERS[name]
    assert_textbook(cls(), TEXTBOOK[name])
    assert_textbook(acting(cls), TEXTBOOK[name])


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_an_optimizer_follows_its_formula_at_each_other_value(name: str) -> None:
    cls: type[Any] = OPTIMIZERS[name]
    for field in fields(cls):
        for optimizer in (*others(cls(), field.name), *others(acting(cls), field.name)):
            assert_textbook(optimizer, TEXTBOOK[name], steps=20)


@pytest.mark.parametrize(
    "name", sorted(name for name, cls in OPTIMIZERS.items() if {"beta1", "rho"} & {each.name for each in fields(cls)})
)
def test_decays_of_0_forget_everything(name: str) -> None:
    cls: type[Any] = OPTIMIZERS[name]
    for field in {"beta1", "beta2", "rho"} & {each.name for each in fields(cls)}:
        if (name, field) != ("radam", "beta2"):
            assert_textbook(replace(cls(), **{field: 0.0}), TEXTBOOK[name])


def test_a_large_eps_takes_part_where_the_formula_has_it() -> None:
    for name, cls in OPTIMIZERS.items():
        if "eps" in {field.name for field in fields(cls)}:
            made: Any = cls
            assert_textbook(made(lr=0.1, eps=10.0), TEXTBOOK[name])


def test_a_long_training_keeps_to_the_formula_from_any_first_step() -> None:
    # mu's products are 0 after some hundred steps; rho_t has long been near its end
    for first in (400, 401, 7000):
        (group,) = group_rows([NAdam(beta1=0.9)], [Constant()])
        group.prepare(first, 3, 10_000, np.dtype("float64"))
        whole = Group(0, [NAdam(beta1=0.9)], [Constant()])
        whole.prepare(1, first + 2, 10_000, np.dtype("float64"))
        for mine, all_of_them in zip(group.prepared, whole.prepared, strict=True):
            assert np.array_equal(mine, all_of_them[-3:])


# what a schedule and dead units ask of all


def moved(
    optimizer: Optimizer, gradients: Float64s, *, schedule: Any = None, dtype: str = "float32"
) -> tuple[Any, Any]:
    """Return parameters before and after steps with gradients (S, 12)."""
    theta = np.random.default_rng(7).normal(size=(1, 12)).astype(dtype)
    before = theta.copy()
    slots = [np.zeros_like(theta) for _ in range(optimizer.slots)]
    (group,) = group_rows([optimizer], [schedule or Constant()])
    group.prepare(1, len(gradients), len(gradients), theta.dtype)
    for step, gradient in enumerate(gradients):
        arrays = theta, gradient[None].astype(dtype), slots, np.empty_like(theta)
        group.move(step, slice(0, 1), arrays)
    assert all(np.isfinite(slot).all() for slot in slots)
    return before, theta


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_an_lr_of_0_leaves_the_parameters_alone(name: str, dtype: str) -> None:
    gradients = np.random.default_rng(3).normal(size=(20, 12))
    gradients[:, :4] = 0
    for optimizer in (OPTIMIZERS[name], acting(OPTIMIZERS[name])):
        made = optimizer() if isinstance(optimizer, type) else optimizer  # type: ignore[call-arg]
        before, after = moved(made, gradients, schedule=Ramp(top=0.0), dtype=dtype)
        assert np.array_equal(before, after)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_parameters_without_gradients_stay(name: str, dtype: str) -> None:
    cls: type[Any] = OPTIMIZERS[name]
    gradients = np.random.default_rng(3).normal(size=(19, 12))  # steps by signs cannot add up to 0
    gradients[:, :4] = 0
    for optimizer in (cls(weight_decay=0.0), *(replace(each, weight_decay=0.0) for each in options(cls))):
        before, after = moved(optimizer, gradients, dtype=dtype)
        assert np.array_equal(before[:, :4], after[:, :4])
        assert (before[:, 4:] != after[:, 4:]).all()


def options(cls: type[Any]) -> list[Any]:
    """Return optimizers with each option in another position."""
    names = [each.name for each in fields(cls) if each.name != "decoupled"]
    return [each for name in names if not isinstance(getattr(cls(), name), float) for each in others(cls(), name)]


# what is updated together


def test_replicas_of_one_structure_differ_in_numbers_alone() -> None:
    assert Adam(lr=0.1, beta1=0.5).structure == Adam(lr=0.2, eps=1.0).structure
    assert Adam(weight_decay=0.1).structure == Adam(weight_decay=0.2).structure


def test_what_changes_the_arithmetic_changes_the_structure() -> None:
    different = [
        *(Adam(), Adam(amsgrad=True), Adam(weight_decay=0.1), Momentum(), Momentum(form="pytorch"), RMSprop()),
        *(RMSprop(centered=True), RMSprop(momentum=0.5), RMSprop(eps_inside=False), NAdam(), NAdam(weight_decay=0.1)),
        NAdam(weight_decay=0.1, decoupled=True),
    ]
    assert len({each.structure for each in different}) == len(different)


def test_rows_are_grouped_by_structure() -> None:
    optimizers = [Adam(), Adam(lr=1.0), Adam(amsgrad=True), SGD(), SGD(weight_decay=0.1), SGD(weight_decay=0.2)]
    groups = group_rows(optimizers, [Constant()] * 6)
    assert [(group.start, group.stop) for group in groups] == [(0, 2), (2, 3), (3, 4), (4, 6)]


def test_an_optimizer_keeps_no_more_than_its_options_need() -> None:
    assert [Adam().slots, Adam(amsgrad=True).slots] == [2, 3]
    assert [RMSprop().slots, RMSprop(centered=True).slots, RMSprop(momentum=0.5).slots] == [1, 2, 2]
    assert RMSprop(centered=True, momentum=0.5).slots == 3
