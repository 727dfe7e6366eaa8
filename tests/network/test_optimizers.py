"""Optimizers against their formulas, written out as the sources print them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from nnexp.network.optimizers import OPTIMIZERS, SGD, Adam, Momentum, Optimizer, RMSprop
from tests.contracts import Float64s, Formula, assert_textbook
from tests.variations import acting, other

Memory = dict[str, Float64s]


def sgd(o: SGD, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    return theta - o.lr * g


def momentum(o: Momentum, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    memory["m"] = o.beta1 * memory["m"] + (1 - o.beta1) * g
    return theta - o.lr * memory["m"]


def rmsprop(o: RMSprop, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    memory["v"] = o.beta2 * memory["v"] + (1 - o.beta2) * g**2
    return theta - o.lr * g / np.sqrt(memory["v"] + o.eps)


def adam(o: Adam, theta: Float64s, g: Float64s, memory: Memory, t: int) -> Float64s:
    memory["m"] = o.beta1 * memory["m"] + (1 - o.beta1) * g
    memory["v"] = o.beta2 * memory["v"] + (1 - o.beta2) * g**2
    corrected_m = memory["m"] / (1 - o.beta1**t)
    corrected_v = memory["v"] / (1 - o.beta2**t)
    return theta - o.lr * corrected_m / (np.sqrt(corrected_v) + o.eps)


FORMULAS: dict[str, Formula] = {"sgd": sgd, "momentum": momentum, "rmsprop": rmsprop, "adam": adam}


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
        assert_textbook(other(cls(), field.name), TEXTBOOK[name])


@pytest.mark.parametrize(("cls", "changes"), [(Momentum, {"beta1": 0.0}), (Adam, {"beta1": 0.0, "beta2": 0.0})])
def test_betas_of_0_forget_everything(cls: type[Optimizer], changes: dict[str, float]) -> None:
    assert_textbook(cls(**{"lr": 0.1, **changes}), TEXTBOOK[cls.name])


def test_a_large_eps_takes_part_where_the_formula_has_it() -> None:
    assert_textbook(Adam(lr=0.1, eps=10.0), TEXTBOOK["adam"])
    assert_textbook(RMSprop(lr=0.1, eps=10.0), TEXTBOOK["rmsprop"])
