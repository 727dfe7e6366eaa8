"""Optimizers against their formulas, written out as the sources print them."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nnexp.arrays import Floats
from nnexp.network.clipping import Clip
from nnexp.network.constraints import MaxNorm
from nnexp.network.groups import Group, Piece, group_rows
from nnexp.network.layout import Layout
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
from nnexp.network.penalties import L1, L2
from nnexp.network.schedules import Constant, Schedule
from nnexp.network.update import Regularization, Update
from nnexp.testing.contracts import Float64s, Formula, assert_textbook
from nnexp.testing.trials import Ramp
from nnexp.testing.variations import acting, others

Memory = dict[str, Float64s]
CLASSES: dict[str, type[Any]] = dict(OPTIMIZERS)


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


DECOUPLED = ("adamw", "lion")


def decayed(formula: Formula, *, always: bool) -> Formula:
    """Return a formula with weight decay in front: coupled, or decoupled, always or where an option says so."""

    def step(o: Optimizer, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
        if always or vars(o).get("decoupled"):
            return formula(o, theta - o.lr * o.weight_decay * theta, g, memory, t)
        return formula(o, theta, g + o.weight_decay * theta, memory, t)

    return step


EACH_ALONE = sorted(name for name, cls in CLASSES.items() if cls().rest is None)  # each parameter, not matrices
TEXTBOOK = {name: decayed(formula, always=name in DECOUPLED) for name, formula in FORMULAS.items()}


def test_every_optimizer_is_compared_with_its_formula() -> None:
    lacking = sorted(set(EACH_ALONE) - set(TEXTBOOK))
    assert not lacking, f"add the steps of {', '.join(lacking)} to FORMULAS, as the sources print them"


@pytest.mark.parametrize("name", sorted(set(EACH_ALONE) & set(TEXTBOOK)))
def test_an_optimizer_takes_the_steps_of_its_formula(name: str) -> None:
    cls = CLASSES[name]
    assert_textbook(cls(), TEXTBOOK[name])
    assert_textbook(acting(cls), TEXTBOOK[name])


@pytest.mark.parametrize("name", sorted(set(EACH_ALONE) & set(TEXTBOOK)))
def test_an_optimizer_follows_its_formula_at_each_other_value(name: str) -> None:
    cls = CLASSES[name]
    for field in fields(cls):
        for optimizer in (*others(cls(), field.name), *others(acting(cls), field.name)):
            assert_textbook(optimizer, TEXTBOOK[name], steps=20)


@pytest.mark.parametrize(
    "name", sorted(name for name, cls in OPTIMIZERS.items() if {"beta1", "rho"} & {each.name for each in fields(cls)})
)
def test_decays_of_0_forget_everything(name: str) -> None:
    cls = CLASSES[name]
    for field in {"beta1", "beta2", "rho"} & {each.name for each in fields(cls)}:
        if (name, field) != ("radam", "beta2"):
            assert_textbook(replace(cls(), **{field: 0.0}), TEXTBOOK[name])


def test_a_large_eps_takes_part_where_the_formula_has_it() -> None:
    for name, cls in CLASSES.items():
        if "eps" in {field.name for field in fields(cls)}:
            assert_textbook(cls(lr=0.1, eps=10.0), TEXTBOOK[name])


def test_a_long_training_keeps_to_the_formula_from_any_first_step() -> None:
    # mu's products are 0 after some hundred steps; rho_t has long been near its end
    for first in (400, 401, 7000):
        (group,) = group_rows([NAdam(beta1=0.9)], [Constant()])
        group.prepare(first, 3, 10_000, np.dtype("float64"))
        whole = Group(0, [NAdam(beta1=0.9)], [Constant()])
        whole.prepare(1, first + 2, 10_000, np.dtype("float64"))
        for mine, all_of_them in zip(group.prepared, whole.prepared, strict=True):
            assert np.array_equal(mine, all_of_them[-3:])


def test_nadam_forgets_the_products_of_mu_only_where_they_are_not_felt() -> None:
    t = np.arange(1, 601, dtype=float)
    mu, eps = 0.9 * (1 - 0.5 * 0.96 ** (t * 10)), 1e-12
    (group,) = group_rows([NAdam(lr=1.0, beta1=0.9, momentum_decay=10.0, eps=eps)], [Constant()])
    group.prepare(1, 600, 600, np.dtype("float64"))
    of_grad = group.prepared[3] / (group.prepared[2] / eps)  # without the correction of v
    np.testing.assert_allclose(of_grad, (1 - mu) / (1 - np.cumprod(mu)), rtol=1e-13)


def test_slots_lose_what_has_almost_decayed_to_denormal_numbers_and_nothing_else() -> None:
    (group,) = group_rows([Adam()], [Constant()])
    group.prepare(61, 60, 120, np.dtype("float32"))
    assert [step for step in range(60) if group.forgets(step)] == [39]  # the 100th step
    M = np.array([[0, 1e-37, -1e-37, 1e-30, -1e-30, 1, -1]], np.float32)
    V = np.abs(M)
    theta, grad, spare = np.zeros((3, 1, 7), np.float32)
    group.move(38, Piece(slice(0, 1), theta, grad, (M, V), spare))
    assert np.count_nonzero(M) == np.count_nonzero(V) == 6
    group.move(39, Piece(slice(0, 1), theta, grad, (M, V), spare))
    assert np.sign(M).tolist() == [[0, 0, 0, 1, -1, 1, -1]]
    assert np.sign(V).tolist() == [[0, 0, 0, 1, 1, 1, 1]]


# what a schedule and dead units ask of all

LAYOUT = Layout((4, 3, 2))


def marked(layer: int, rows: Any, cols: Any) -> NDArray[np.bool_]:
    """Return where some weights and biases of a layer are."""
    mask = np.zeros(LAYOUT.size)
    LAYOUT.views(mask)[layer][rows, cols] = 1
    return mask > 0


DEAD = marked(0, 0, slice(None)) | marked(1, slice(None), 0)  # what goes into the first hidden unit and comes out of it
MATRIX = marked(0, slice(None), slice(-1))  # the weights of the hidden layer


def moved(optimizer: Optimizer, *, schedule: Schedule | None = None, dtype: str = "float32") -> tuple[Floats, Floats]:
    """Return a network before and after steps along random gradients, with a dead unit."""
    rng, steps = np.random.default_rng(7), 19  # odd, so that steps by signs do not add up to 0
    theta = rng.normal(size=(1, LAYOUT.size)).astype(dtype)
    before, grad = theta.copy(), np.empty_like(theta)
    slots = np.zeros((1, optimizer.slots, LAYOUT.size), dtype)
    groups = group_rows([optimizer], [schedule or Constant()])
    held = Regularization([L2()], [L1()], [Clip()], [MaxNorm()])
    update = Update(LAYOUT, groups, held, (theta, grad, slots))
    groups[0].prepare(1, steps, steps, theta.dtype)
    for step in range(steps):
        grad[:] = np.where(DEAD, 0, rng.normal(size=LAYOUT.size))
        update.step(step, 1, measure=False)
    assert np.isfinite(slots).all()
    return before[0], theta[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_an_lr_of_0_leaves_the_parameters_alone(name: str, dtype: str) -> None:
    cls = CLASSES[name]
    for optimizer in (cls(), acting(cls)):
        before, after = moved(optimizer, schedule=Ramp(top=0.0), dtype=dtype)
        assert np.array_equal(before, after)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_parameters_without_gradients_stay(name: str, dtype: str) -> None:
    cls = CLASSES[name]
    for optimizer in (cls(weight_decay=0.0), *(replace(each, weight_decay=0.0) for each in options(cls))):
        before, after = moved(optimizer, dtype=dtype)
        assert np.array_equal(before[DEAD], after[DEAD])
        assert (before[~DEAD] != after[~DEAD]).all()


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_weight_decay_acts_on_weights_and_biases_without_a_gradient_too(name: str) -> None:
    cls = CLASSES[name]
    decoupled = cls(weight_decay=0.5).decoupled
    before, after = moved(cls(lr=0.1, weight_decay=0.5), dtype="float64")
    shares = np.where(MATRIX, 0.1, getattr(cls(), "adamw_lr", 0.1))
    if decoupled:
        np.testing.assert_allclose(after[DEAD], (before * (1 - shares * 0.5) ** 19)[DEAD], rtol=1e-12)
    else:
        assert (np.abs(after[DEAD]) != np.abs(before[DEAD])).all()


def options(cls: type[Any]) -> list[Any]:
    """Return optimizers with each option in another position."""
    names = [each.name for each in fields(cls) if each.name != "decoupled"]
    return [each for name in names if not isinstance(getattr(cls(), name), float) for each in others(cls(), name)]


# what is updated together


def test_replicas_of_one_structure_differ_in_numbers_alone() -> None:
    assert Adam(lr=0.1, beta1=0.5).structure == Adam(lr=0.2, eps=1.0).structure
    assert Adam(weight_decay=0.1).structure == Adam(weight_decay=0.2).structure


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_the_coefficients_of_a_replica_are_those_it_has_alone(name: str, steps: int) -> None:
    cls, rng = CLASSES[name], np.random.default_rng(0)
    numbers = [each.name for each in fields(cls) if isinstance(getattr(cls(), each.name), float)]
    drawn = {each: rng.uniform(0.7, 1, (60, 1)) for each in numbers}
    for first in (1, 2, 3):
        t = np.arange(first, first + steps, dtype=float)[:, None, None]
        together = cls().coefficients(drawn.__getitem__, drawn["lr"], t)
        for k in range(60):
            own = {each: column[k : k + 1] for each, column in drawn.items()}
            alone = cls().coefficients(own.__getitem__, own["lr"], t)
            for one, all_of_them in zip(alone, together, strict=True):
                expected = np.broadcast_to(all_of_them, (steps, 60, 1))[:, k]
                assert np.array_equal(np.broadcast_to(one, (steps, 1, 1))[:, 0], expected)


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
