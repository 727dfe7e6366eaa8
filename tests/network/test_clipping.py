"""Clipping, as a training sees it: what is left of a gradient that is too large."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nnexp.network.clipping import CLIPS, Clip, ClipNorm, ClipValue, shares
from nnexp.network.constraints import MaxNorm
from nnexp.network.groups import group_rows
from nnexp.network.initializers import Random
from nnexp.network.layout import Layout
from nnexp.network.optimizers import SGD, Adam, Momentum
from nnexp.network.penalties import L1, L2
from nnexp.network.schedules import Constant
from nnexp.network.update import Regularization, Update
from nnexp.testing.contracts import assert_alone
from nnexp.testing.trials import small
from nnexp.training import Training, TrialConfig, train

Gradient = NDArray[np.float64]


def gradient(clip: Clip, **changes: Any) -> Gradient:
    """Return the gradient of one step on all examples, as clipping leaves it: what SGD with lr = 1 subtracts."""
    whole = Training(epochs=1, batch_size="full", dtype="float64")
    trial = small(optimizer=SGD(lr=1.0), initializer=Random(scale=2.0), training=whole, **changes)
    layout = trial.blueprint(2).layout
    start = trial.initializer.start(layout, (1.0,) * 3, np.random.default_rng(5))
    (result,) = train([replace(trial, clip=clip)], initial=[layout.unpack(start)])
    assert result.last is not None
    return np.asarray(start - layout.pack(result.last))


def by_norm(g: Gradient, limit: float) -> Gradient:
    norm = float(np.sqrt((g**2).sum()))
    return g * min(1.0, limit / (norm + 1e-6))


def by_value(g: Gradient, limit: float) -> Gradient:
    return np.asarray(np.clip(g, -limit, limit))


@pytest.mark.parametrize("held", [{}, {"l2": L2(strength=3.0)}, {"l1": L1(strength=5.0), "l2": L2(strength=3.0)}])
@pytest.mark.parametrize(("make", "formula"), [(ClipNorm, by_norm), (ClipValue, by_value)])
def test_a_gradient_is_cut_as_its_formula_says(
    make: Callable[..., Clip], formula: Callable[[Gradient, float], Gradient], held: dict[str, Any]
) -> None:
    whole = gradient(Clip(), **held)
    norm, largest = np.sqrt((whole**2).sum()), np.abs(whole).max()
    for limit in (norm / 7, norm / 2, largest / 9, largest / 2):
        np.testing.assert_allclose(gradient(make(limit=limit), **held), formula(whole, limit), rtol=1e-12, atol=1e-14)
    assert np.abs(gradient(make(limit=norm / 7), **held) - whole).max() > 1e-3


@pytest.mark.parametrize("make", [ClipNorm, ClipValue])
def test_a_gradient_below_the_limit_is_left_bit_for_bit(make: Callable[..., Clip]) -> None:
    assert gradient(make(limit=1e3)).tolist() == gradient(Clip()).tolist()


def test_each_step_is_cut_by_the_norm_of_its_own_gradient() -> None:
    theta, grad = np.zeros((2, 1, 6))
    groups = group_rows([SGD(lr=1.0)], [Constant()])
    groups[0].prepare(1, 3, 3, theta.dtype)
    held = Regularization([L2()], [L1()], [ClipNorm(limit=0.5)], [MaxNorm()])
    update = Update(Layout((2, 2)), groups, held, (theta, grad, np.zeros((1, 0, 6))))
    for step, size in enumerate((10.0, 30.0, 20.0)):
        grad[:], before = size, theta.copy()
        update.step(step, 1, measure=step == 0)  # an epoch's first step alone is measured
        assert np.linalg.norm(theta - before) == pytest.approx(0.5, rel=1e-6)


def test_a_norm_is_that_of_all_blocks_of_the_update() -> None:
    trial = large(clip=ClipNorm(limit=0.01))
    layout = trial.blueprint(2).layout
    assert layout.size > 2**15
    start = trial.initializer.start(layout, (1.0,) * len(layout.shapes), np.random.default_rng(1))
    initial = [layout.unpack(start)] * 2
    free, clipped = (result.last for result in train([replace(trial, clip=Clip()), trial], initial=initial))
    assert free is not None
    assert clipped is not None
    np.testing.assert_allclose(
        start - layout.pack(clipped), by_norm(start - layout.pack(free), 0.01), rtol=1e-10, atol=1e-16
    )


def large(**changes: Any) -> TrialConfig:
    """Return a trial of a network that is larger than a block of the update."""
    mlp = replace(small().architecture, hidden=(180, 180))
    whole = Training(epochs=1, batch_size="full", dtype="float64")
    return small(architecture=mlp, optimizer=SGD(lr=1.0), training=whole, **changes)


def test_large_networks_are_clipped_in_a_stack_as_alone() -> None:
    assert_alone([large(seed=seed, clip=clip) for seed, clip in enumerate((ClipNorm(limit=0.1), Clip(), ClipValue()))])


def test_the_norm_that_is_recorded_is_that_before_clipping() -> None:
    for dtype in ("float32", "float64"):
        trial = small(initializer=Random(scale=5.0), training=Training(epochs=3, batch_size=16, dtype=dtype))
        norms = [
            train([replace(trial, clip=clip)])[0].history["train/grad_norm"][0]
            for clip in (Clip(), ClipNorm(limit=0.01), ClipValue(limit=0.01))
        ]
        assert norms[0] == norms[1] == norms[2]
        assert norms[0] > 1


def test_a_stack_where_only_some_clip_and_by_different_limits_trains_as_alone() -> None:
    clips = [Clip(), ClipNorm(limit=0.1), ClipValue(limit=0.01), ClipNorm(limit=0.5), ClipNorm(limit=1e9), Clip()]
    for optimizers in ([SGD(lr=0.5)] * 6, [SGD(lr=0.5), Momentum(), Adam()] * 2):
        for dtype in ("float32", "float64"):
            trial = small(initializer=Random(scale=3.0), training=Training(epochs=2, batch_size=16, dtype=dtype))
            trials = [
                replace(trial, seed=k, clip=clip, optimizer=optimizer)
                for k, (clip, optimizer) in enumerate(zip(clips, optimizers, strict=True))
            ]
            assert_alone(trials)


@pytest.mark.parametrize("clip", [ClipNorm(limit=0.1), ClipValue(limit=0.1), Clip()], ids=repr)
def test_a_replica_whose_gradient_overflows_leaves_its_neighbours_alone(clip: Clip) -> None:
    wild = small(clip=clip, initializer=Random(scale=1e15), optimizer=SGD(lr=1e30))
    assert train([wild])[0].outcome == "diverged"
    for beside in CLIPS.values():
        assert_alone([wild, small(seed=1, clip=beside()), small(seed=2, clip=ClipNorm(limit=0.01))])


def test_a_share_of_1_is_exactly_1() -> None:
    squares = np.array([4.0, 4.0, 0.0, np.inf, np.nan, np.inf])
    limits = np.array([1.0, 9.0, 1.0, np.inf, np.inf, 1.0])
    with np.errstate(all="ignore"):  # as in a training
        found = shares(squares, limits)
    assert found.tolist() == [1 / (2 + 1e-6), 1, 1, 1, 1, 0]
