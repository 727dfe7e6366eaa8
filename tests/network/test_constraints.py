"""Max-norm, as a training sees it: no unit's incoming weights are longer than their bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnexp.network.architecture import MLP
from nnexp.network.constraints import Bounds, MaxNorm, UnitMaxNorm
from nnexp.network.initializers import Random
from nnexp.network.optimizers import SGD, Adam
from nnexp.testing.contracts import assert_alone
from nnexp.testing.trials import small
from nnexp.training import Training, train

WHOLE = Training(epochs=1, batch_size="full", dtype="float64")


def after_a_step(max_norm: MaxNorm, **changes: Any) -> dict[str, Any]:
    trial = small(optimizer=SGD(lr=0.5), initializer=Random(scale=2.0), training=WHOLE, **changes)
    (result,) = train([replace(trial, max_norm=max_norm)])
    assert result.last is not None
    return result.last


@pytest.mark.parametrize("hidden", [(), (1,), (5, 4)])
def test_the_weights_of_each_unit_are_scaled_to_the_bound_and_biases_are_not(hidden: tuple[int, ...]) -> None:
    free = after_a_step(MaxNorm(), architecture=MLP(hidden=hidden))
    for limit in (0.5, 2.0, 3.0):
        held = after_a_step(UnitMaxNorm(limit=limit), architecture=MLP(hidden=hidden))
        for name, array in free.items():
            if name.startswith("W"):
                norms = np.sqrt((array**2).sum(axis=1, keepdims=True))
                array = array * np.minimum(1, limit / norms)
            np.testing.assert_allclose(held[name], array, rtol=1e-14)


def test_units_within_the_bound_are_left_bit_for_bit() -> None:
    free, held = after_a_step(MaxNorm()), after_a_step(UnitMaxNorm(limit=2.0))
    norms = np.sqrt((free["W1"] ** 2).sum(axis=1))
    assert (norms < 2).any()
    assert (norms > 2).any()
    assert held["W1"][norms < 2].tolist() == free["W1"][norms < 2].tolist()
    far = after_a_step(UnitMaxNorm(limit=1e3))
    assert {name: array.tolist() for name, array in far.items()} == {n: array.tolist() for n, array in free.items()}


def test_no_unit_is_ever_beyond_its_bound_after_an_epoch() -> None:
    trial = small(optimizer=Adam(lr=1.0), max_norm=UnitMaxNorm(limit=0.7), training=Training(epochs=5, batch_size=16))
    (result,) = train([trial])
    assert result.last is not None
    norms = [np.sqrt((result.last[name].astype(float) ** 2).sum(axis=1)) for name in ("W1", "W2", "W3")]
    assert np.concatenate(norms).max() <= 0.7 * (1 + 1e-6)
    assert np.concatenate(norms).max() > 0.69


def test_a_stack_where_only_some_are_bound_trains_as_alone() -> None:
    bounds = [MaxNorm(), UnitMaxNorm(limit=0.5), UnitMaxNorm(limit=2.0), MaxNorm(), UnitMaxNorm(limit=1e300)]
    for dtype in ("float32", "float64"):
        trial = small(initializer=Random(scale=2.0), training=Training(epochs=2, batch_size=16, dtype=dtype))
        assert_alone([replace(trial, seed=k, max_norm=each) for k, each in enumerate(bounds)])
    wild = small(initializer=Random(scale=1e15), optimizer=SGD(lr=1e30))
    assert train([wild])[0].outcome == "diverged"
    assert_alone([replace(wild, max_norm=each) for each in bounds] + [small(seed=9, max_norm=each) for each in bounds])


def test_the_bits_of_what_is_not_bound_stay_whatever_they_are() -> None:
    rows = [[0.0, -0.0, 7.0], [1e-45, -1e-45, 7.0], [3e38, -3e38, 7.0], [np.inf, np.nan, 7.0], [-np.inf, 0.0, 7.0]]
    rows += [[3.0, 4.0, 7.0]]
    layer = np.array([rows, rows], np.float32)
    with np.errstate(all="ignore"):  # as in a training
        Bounds([layer], [np.inf, 1.0]).restore()
    free, held = layer
    assert free.tobytes() == np.array(rows, np.float32).tobytes()
    assert held[:2].tobytes() == np.array(rows[:2], np.float32).tobytes()
    np.testing.assert_allclose(held[-1], [0.6, 0.8, 7.0], rtol=1e-6)


def test_weights_whose_norm_overflows_are_not_taken_for_0() -> None:
    layer = np.array([[[3e38, 3e38, 0.0]]], np.float32)
    with np.errstate(all="ignore"):  # as in a training
        Bounds([layer], [1.0]).restore()
    assert layer[0, 0].tolist() == np.array([3e38, 3e38, 0.0], np.float32).tolist()  # and that training diverges
