"""Weight averaging: the average is its formula, is evaluated beside the parameters, and changes nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnexp.data.prepared import prepare
from nnexp.network.averaging import AVERAGINGS, EMA, Averages, Averaging
from nnexp.network.normalization import NORMALIZATIONS
from nnexp.network.optimizers import SGD
from nnexp.testing.contracts import assert_alone, assert_slices
from nnexp.testing.trials import regression, small
from nnexp.training import Training, TrialConfig, train
from nnexp.training.stacking import form_problem, same_stack


@pytest.mark.parametrize("shape", [(1, 3), (5, 7), (3, 70_000), (400, 100)])
def test_an_average_is_its_formula(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    theta = rng.normal(size=shape)
    averages, expected = theta.copy(), theta.copy()
    averagings = [EMA(decay=(0.0, 0.5, 0.9)[k % 3]) for k in range(shape[0])]
    decay = np.array([averaging.decay for averaging in averagings])[:, None]
    run = Averages(averagings, theta, averages)
    for step in range(1, 5):
        theta += rng.normal(size=shape)
        expected = theta.copy() if step == 1 else decay * expected + (1 - decay) * theta
        run.step(step)
        np.testing.assert_allclose(averages, expected, rtol=1e-9, atol=1e-12)


def averaged(**changes: Any) -> TrialConfig:
    return small(averaging=EMA(decay=0.8), training=Training(epochs=4, batch_size=16, dtype="float64"), **changes)


@pytest.mark.parametrize("normalization", sorted(NORMALIZATIONS))
def test_the_average_of_a_training_is_judged_beside_it(normalization: str) -> None:
    trial = averaged(optimizer=SGD(lr=0.5), normalization=NORMALIZATIONS[normalization]())
    raw, result = train([replace(trial, averaging=Averaging())])[0], train([trial])[0]
    for name, values in raw.history.items():
        assert np.array_equal(result.history[name], values), name
    assert {*result.history} - {*raw.history} == {"val/ema_loss", "val/ema_acc"}
    assert {*result.summary} - {*raw.summary} >= {"val/ema_loss_best", "test/ema_loss", "test/ema_acc"}
    assert raw.average is None
    assert result.average is not None
    data = prepare(trial.dataset, [0], "float64")
    # judged as a network that starts from the average and does not move
    still = replace(trial, optimizer=SGD(lr=1e-300), averaging=Averaging(), training=replace(trial.training, epochs=1))
    if normalization != "batch_norm":  # whose statistics would move
        (again,) = train([still], data, initial=[result.average])
        best = int(result.summary["epoch_best"]) - 1
        assert again.history["val/loss"][0] == pytest.approx(result.history["val/ema_loss"][best], rel=1e-12)
        assert again.summary["test/loss"] == pytest.approx(result.summary["test/ema_loss"], rel=1e-12)
    assert not np.array_equal(result.average["W1"], result.best["W1"])


def test_averages_of_a_mixed_stack_are_those_of_each_alone() -> None:
    trials = [averaged(seed=seed, optimizer=SGD(lr=lr)) for seed in (0, 1) for lr in (0.1, 0.5)]
    trials[1] = replace(trials[1], averaging=EMA(decay=0.0))
    assert_alone(trials)
    (first, still) = train([trials[1], replace(trials[1], averaging=EMA(decay=0.999))])
    assert first.average is not None
    assert still.average is not None
    for name, value in first.average.items():
        np.testing.assert_allclose(value, first.best[name], rtol=1e-12)
    assert not np.array_equal(still.average["W1"], first.average["W1"])


def test_averages_do_not_depend_on_slices() -> None:
    trials = [averaged(), averaged(seed=1, normalization=NORMALIZATIONS["none"]())]
    problem, _ = form_problem(trials, prepare(trials[0].dataset, [0, 1], "float64"))
    assert_slices(problem, [1, 2])
    whole = replace(trials[0], training=replace(trials[0].training, batch_size="full"))  # one step an epoch
    problem, _ = form_problem([whole], prepare(whole.dataset, [0], "float64"))
    assert_slices(problem, [1, 1])


def test_a_regressions_average_has_the_metrics_of_a_regression() -> None:
    (result,) = train([regression(averaging=EMA())])
    assert {"val/ema_rmse", "val/ema_r2"} <= {*result.history}
    assert {"test/ema_rmse", "test/ema_r2"} <= {*result.summary}


def test_trials_with_and_without_averages_do_not_share_a_stack() -> None:
    assert not same_stack([small(), averaged()])
    assert same_stack([averaged(), replace(averaged(), averaging=EMA(decay=0.5))])
    assert [name for name, cls in AVERAGINGS.items() if cls.keeps] == ["ema"]
