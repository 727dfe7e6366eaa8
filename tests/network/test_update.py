"""The second half of a step, as a whole."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from nnexp.network.clipping import Clip, ClipNorm, ClipValue
from nnexp.network.constraints import MaxNorm, UnitMaxNorm
from nnexp.network.groups import group_rows
from nnexp.network.layout import Layout
from nnexp.network.optimizers import Adam
from nnexp.network.penalties import L1, L2, Penalty
from nnexp.network.schedules import Constant
from nnexp.network.update import Regularization, Update

OFF: dict[str, Any] = {"l2": Penalty(), "l1": Penalty(), "clip": Clip(), "max_norm": MaxNorm()}
HELD: list[dict[str, Any]] = [
    {"l2": L2(strength=0.1)},
    {"l1": L1(strength=0.1)},
    {"clip": ClipNorm(limit=0.1)},
    {"clip": ClipValue(limit=0.1)},
    {"max_norm": UnitMaxNorm(limit=0.1)},
    {"l2": L2(strength=0.1), "l1": L1(strength=0.1), "clip": ClipNorm(limit=0.1), "max_norm": UnitMaxNorm(limit=0.1)},
]


@pytest.mark.parametrize("held", HELD, ids=repr)
def test_a_step_allocates_nothing_that_grows_with_parameters(held: dict[str, Any]) -> None:
    K, layout = 4, Layout((64, 2000, 10))
    rng = np.random.default_rng(0)
    theta, grad, given = rng.normal(size=(3, K, layout.size)).astype(np.float32)
    slots = np.zeros((K, 2, layout.size), np.float32)
    groups = group_rows([Adam()] * K, [Constant()] * K)
    groups[0].prepare(1, 9, 9, theta.dtype)
    regularization = Regularization(**{name: [each] * K for name, each in (OFF | held).items()})
    update = Update(layout, groups, regularization, (theta, grad, slots))
    update.step(0, 16, measure=True)
    tracemalloc.start()
    try:
        for step in range(1, 9):
            grad[:] = given  # an optimizer may leave anything there
            update.step(step, 16, measure=step == 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # NumPy's own buffer of 8,192 elements is allowed
    assert peak < 0.05 * theta.nbytes, f"{peak} bytes for {theta.nbytes} of parameters"
