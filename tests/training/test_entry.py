"""The entry for Python users: results in the order of the trials, and clear words for what does not fit."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from nnexp.data.prepared import from_arrays, prepare
from nnexp.data.sources import Moons
from nnexp.errors import UsageError
from nnexp.network.architecture import MLP
from nnexp.network.averaging import EMA
from nnexp.network.initializers import Zeros
from nnexp.network.optimizers import SGD, Adam, Momentum
from nnexp.testing.contracts import assert_dtype_kept, numbers
from nnexp.testing.trials import regression, small
from nnexp.testing.variations import acting, other
from nnexp.training import Objective, Training, TrialConfig, train
from nnexp.training.stacking import OWN, form_problem, same_stack

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 2)), np.arange(20) % 2
ACCURACY = Objective(metric="train/acc")


def test_no_trials_give_no_results() -> None:
    assert train([]) == []


def test_results_come_in_the_order_of_the_trials() -> None:
    trials = [small(optimizer=cls(lr=0.01), seed=seed) for seed in (0, 1) for cls in (SGD, Adam, Momentum)]
    assert [result.config for result in train(trials)] == trials


def test_the_same_trials_give_the_same_numbers_again() -> None:
    trials = [small(seed=0), small(seed=1)]
    assert [numbers(result) for result in train(trials)] == [numbers(result) for result in train(trials)]


def test_trials_of_one_seed_start_from_the_same_weights_and_read_the_same_order() -> None:
    one, another = train([small(optimizer=SGD(lr=1e-30)), small(optimizer=Adam(lr=1e-30))])
    assert one.last is not None
    assert another.last is not None
    for name, values in one.last.items():
        np.testing.assert_allclose(another.last[name], values, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(one.history["train/loss"], another.history["train/loss"], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_keep_the_type_of_the_training(dtype: Any) -> None:
    trial = small(training=Training(epochs=2, dtype=dtype))
    for result in train([trial, replace(trial, seed=1, optimizer=acting(Momentum))]):
        assert result.last is not None
        assert_dtype_kept(result.best, dtype)
        assert_dtype_kept(result.last, dtype)
        assert_dtype_kept({"prediction": result.predict(X)}, dtype)
        assert_dtype_kept(result.history, "float64")


def test_a_diverged_trial_is_a_result_and_no_exception() -> None:
    (result,) = train([regression(optimizer=SGD(lr=1e30))])
    assert result.outcome == "diverged"
    assert result.last is None
    assert result.epochs.size == 0
    assert result.summary == {"epoch_best": 0.0}
    assert all(values.size == 0 for values in result.history.values())


def test_what_a_diverged_trial_recorded_is_finite_and_its_best_is_kept() -> None:
    training = Training(epochs=12, batch_size=64, dtype="float64")
    (result,) = train([regression(architecture=MLP(hidden=()), optimizer=SGD(lr=1e3), training=training)])
    assert result.outcome == "diverged"
    assert 0 < result.epochs[-1] < 12
    assert all(np.isfinite(values).all() for values in result.history.values())
    assert result.summary["epoch_best"] == 1
    assert all(np.isfinite(values).all() for values in result.best.values())
    assert not [name for name in result.summary if name.startswith("test/")]


@pytest.mark.parametrize("field", OWN)
def test_trials_that_differ_in_what_is_their_own_share_a_stack(field: str) -> None:
    trial = small(averaging=EMA())  # all of a stack keep an average, or none
    changed = replace(trial, averaging=EMA(decay=0.5)) if field == "averaging" else other(trial, field)
    assert changed != trial
    assert same_stack([trial, changed])


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": MLP(hidden=(5, 3))},
        {"dataset": Moons(examples=61)},
        {"training": Training(epochs=4, batch_size=16)},
        {"objective": Objective(metric="val/loss", direction="minimize")},
    ],
)
def test_trials_that_differ_in_their_shape_do_not_share_a_stack(changes: dict[str, Any]) -> None:
    trials = [small(), small(**changes)]
    assert not same_stack(trials)
    with pytest.raises(UsageError, match=r"^trials of one stack may differ in seed, .*only$"):
        train(trials)


def test_every_trial_finds_its_place_among_the_replicas() -> None:
    trials = [small(optimizer=cls(lr=0.01), seed=seed) for seed in (0, 1) for cls in (SGD, Adam, Momentum)]
    problem, places = form_problem(trials, prepare(trials[0].dataset, [0], "float32"))
    assert sorted(places) == list(range(6))
    for trial, place in zip(trials, places, strict=True):
        assert (problem.replicas[place].optimizer, problem.replicas[place].seed) == (trial.optimizer, trial.seed)
    names = [replica.optimizer.name for replica in problem.replicas]
    assert sum(one != another for one, another in pairwise(names)) == 2, "optimizers stand together"


def test_a_given_start_takes_the_place_of_drawn_weights() -> None:
    trial = small(initializer=Zeros(), optimizer=SGD(lr=1e-30), training=Training(epochs=1, dtype="float64"))
    layout = trial.blueprint(2).layout
    start = layout.unpack(RNG.normal(size=layout.size))
    (result,) = train([trial], initial=[start])
    for name, values in start.items():
        np.testing.assert_allclose(result.best[name], values, rtol=1e-12)


def test_a_given_order_takes_the_place_of_drawn_ones() -> None:
    data = from_arrays((X, Y), classes=2)
    trial = small(objective=ACCURACY, training=Training(epochs=2, batch_size=3))
    ascending = replace(trial, training=replace(trial.training, shuffle=False))
    (given,), (plain,) = train([trial], data, order=np.arange(20)), train([ascending], data)
    assert numbers(given) == numbers(plain)
    by_epoch = np.stack([np.arange(20), np.arange(20)[::-1]])
    (other_second,) = train([trial], data, order=by_epoch)
    first, second = (given.history["train/loss"] == other_second.history["train/loss"]).tolist()
    assert (first, second) == (True, False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"order": np.arange(19)}, "order must be (20,) or (3, 20), got (19,)"),
        ({"order": np.zeros((2, 20), int)}, "order must be (20,) or (3, 20), got (2, 20)"),
        ({"order": np.arange(20) + 1}, "order must hold positions 0 … 19, got 1 … 20"),
        ({"order": np.arange(20) - 1}, "order must hold positions 0 … 19, got -1 … 18"),
        ({"initial": []}, "initial parameters must be given for each of 1 trials, got 0"),
        ({"initial": [{"W1": [[0.0]]}]}, "initial parameters must be W1, b1, W2, b2, W3, b3, got W1"),
    ],
)
def test_what_is_given_must_fit(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        train([small(objective=ACCURACY)], from_arrays((X, Y), classes=2), **given)


@pytest.mark.parametrize(
    ("trial", "data", "message"),
    [
        (
            small(objective=ACCURACY),
            from_arrays((X, np.arange(20) % 3), classes=3),
            "dataset 'moons' has 2 classes, the data 3",
        ),
        (
            regression(objective=Objective(metric="train/rmse", direction="minimize")),
            from_arrays((X, Y), classes=2),
            "dataset 'diabetes' has None classes, the data 2",
        ),
        (
            small(objective=ACCURACY),
            from_arrays((X, Y), classes=2, dtype="float64"),
            "training.dtype is float32, but the data are float64",
        ),
        (
            small(),
            from_arrays((X, Y), classes=2),
            "objective.metric 'val/acc' needs validation examples, but the data have none",
        ),
        (small(objective=ACCURACY), from_arrays((X[:0], Y[:0]), classes=2), "the data have no example to train on"),
        (
            small(seed=3, dataset=Moons(examples=60, split_seed="trial")),
            prepare(Moons(examples=60, split_seed="trial"), [0, 1], "float32"),
            "the data were not divided for the seeds [3]",
        ),
    ],
)
def test_data_that_are_not_what_the_settings_say_are_refused(trial: TrialConfig, data: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        train([trial], data)


def test_a_result_predicts_with_its_best_parameters() -> None:
    (result,) = train([small()])
    P = result.predict(X)
    assert P.shape == (20, 2)
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(result.predict(X[3:4]), P[3:4], rtol=1e-5)
