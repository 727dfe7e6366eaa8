"""The objective: which epoch is the best, what is reported of it, and which directions contradict."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from typing import Any

import numpy as np
import pytest

from nnexp.data.prepared import Data, prepare
from nnexp.data.sources import Diabetes, Moons
from nnexp.errors import ConfigError
from nnexp.network.averaging import EMA
from nnexp.network.initializers import Zeros
from nnexp.network.losses import LOSSES, CrossEntropy
from nnexp.network.optimizers import SGD, Adam
from nnexp.network.schedules import ReduceOnPlateau
from nnexp.testing.contracts import assert_alone, assert_slices
from nnexp.testing.trials import VALUE_LOSSES, overfitting, regression, small, suited
from nnexp.training import Objective, Result, Training, TrialConfig, train
from nnexp.training.metrics import (
    AVERAGED,
    CLASSIFICATION,
    METRICS,
    NORMS,
    REGRESSION,
    Direction,
    applicable,
    direction_of,
    raw,
)
from nnexp.training.stacking import form_problem
from nnexp.training.stopping import EarlyStopping, Patience

LONG = Training(epochs=12, batch_size=8)
AVERAGES = [f"val/{AVERAGED}{name}" for name in METRICS]
EVERY = sorted({*CLASSIFICATION, *REGRESSION, *(f"val/{name}" for name in METRICS), *AVERAGES} - set(NORMS))
SLOW = EMA(decay=0.9)  # its average is at its best in other epochs than the parameters


def best_of(history: Any, direction: Direction) -> int:
    """Return the first best epoch of a history with a record each epoch."""
    values = history if direction == "maximize" else -history
    return int(np.flatnonzero(values == values.max())[0]) + 1


def trial_by(metric: str, **changes: Any) -> TrialConfig:
    make = small if metric in CLASSIFICATION or raw(metric).partition("/")[2] in applicable(2) else regression
    chosen: dict[str, Any] = {"training": LONG, "optimizer": Adam(lr=0.03)}
    if metric in AVERAGES:
        chosen["averaging"] = SLOW
    return make(objective=Objective(metric=metric, direction=direction_of(metric)), **(chosen | changes))


@pytest.mark.parametrize("metric", EVERY)
def test_the_best_epoch_is_the_first_best_by_the_objective(metric: str) -> None:
    trial = trial_by(metric)
    for result in train([replace(trial, seed=seed) for seed in range(4)]):
        expected = best_of(result.history[metric], direction_of(metric))
        assert result.summary["epoch_best"] == expected
        for name, values in result.history.items():
            if name.startswith("val/"):
                assert result.summary[f"{name}_best"] == values[expected - 1]


def test_the_best_epochs_of_these_trials_are_neither_all_the_first_nor_all_the_last() -> None:
    epochs = [train([trial_by(metric)])[0].summary["epoch_best"] for metric in EVERY]
    assert len(set(epochs)) > 2
    assert any(1 < epoch < 12 for epoch in epochs)


@pytest.mark.parametrize("metric", ["val/acc", "val/loss", "train/loss"])
def test_of_equals_the_first_epoch_stays_the_best(metric: str) -> None:
    still = trial_by(metric, initializer=Zeros(), optimizer=SGD(lr=1e-45), training=replace(LONG, batch_size="full"))
    (result,) = train([still])
    assert len(set(result.history[metric].tolist())) == 1
    assert result.summary["epoch_best"] == 1


def test_a_tie_after_a_better_epoch_changes_nothing() -> None:
    (result,) = train([small(training=replace(LONG, epochs=30))])
    accuracy = result.history["val/acc"].tolist()
    assert accuracy.count(max(accuracy)) > 1, "no tie to look at"
    assert result.summary["epoch_best"] == accuracy.index(max(accuracy)) + 1


def test_the_kept_parameters_are_those_after_the_best_epoch() -> None:
    (result,) = train([trial_by("val/acc")])
    best = int(result.summary["epoch_best"])
    assert best < 12
    (shorter,) = train([trial_by("val/acc", training=replace(LONG, epochs=best))])
    assert shorter.last is not None
    assert result.last is not None
    for name, values in shorter.last.items():
        assert result.best[name].tobytes() == values.tobytes()
        assert result.last[name].tobytes() != values.tobytes()


# the objective of averages


def overfitted(metric: str, **changes: Any) -> TrialConfig:
    return overfitting(averaging=SLOW, objective=Objective(metric=metric, direction="minimize"), **changes)


def test_the_best_epoch_by_the_averages_is_theirs_and_both_are_judged_there() -> None:
    (raw_best,), (result,) = train([overfitted("val/loss")]), train([overfitted("val/ema_loss")])
    best = int(result.summary["epoch_best"])
    assert best == best_of(result.history["val/ema_loss"], "minimize") != raw_best.summary["epoch_best"]
    assert result.history.keys() == raw_best.history.keys()
    assert result.average is not None
    (shorter,) = train([overfitted("val/ema_loss", training=replace(result.config.training, epochs=best))])
    assert shorter.last is not None
    for name, values in shorter.last.items():
        assert result.best[name].tobytes() == values.tobytes()
    for name in ("loss", "acc", "log_loss"):
        for prefix in ("", AVERAGED):
            assert f"test/{prefix}{name}" in result.summary
            if name != "log_loss":
                assert result.summary[f"val/{prefix}{name}_best"] == result.history[f"val/{prefix}{name}"][best - 1]


def test_early_stopping_and_plateaus_follow_the_averages() -> None:
    patient = Patience(patience=3)
    by_raw, by_average = (
        train([overfitted(metric, early_stopping=patient)])[0] for metric in ("val/loss", "val/ema_loss")
    )
    assert by_average.summary["epoch_stopped"] == by_average.summary["epoch_best"] + 3
    assert by_average.summary["epoch_stopped"] != by_raw.summary["epoch_stopped"]
    plateau = ReduceOnPlateau(patience=1)
    lasts = [train([overfitted(metric, schedule=plateau)])[0].last for metric in ("val/loss", "val/ema_loss")]
    assert all(last is not None for last in lasts)
    assert lasts[0]["W1"].tobytes() != lasts[1]["W1"].tobytes()  # type: ignore[index]


def test_replicas_that_follow_their_averages_train_alone_and_in_slices_alike() -> None:
    trial = small(
        objective=Objective(metric="val/ema_f1_macro"), averaging=SLOW, training=LONG, optimizer=Adam(lr=0.03)
    )
    stops: list[EarlyStopping] = [Patience(patience=2), EarlyStopping()]
    trials = [
        replace(trial, seed=seed, early_stopping=stop, averaging=EMA(decay=decay), schedule=ReduceOnPlateau(patience=1))
        for seed, stop, decay in zip((0, 1, 2, 0), cycle(stops), (0.5, 0.9, 0.99, 0.0), strict=False)
    ]
    data = prepare(trial.dataset, [0, 1, 2], "float32")
    assert_alone(trials, data)
    assert_slices(form_problem(trials, data)[0], (1, 3, 1, 5))


def test_an_objective_of_averages_needs_an_average() -> None:
    message = "objective.metric 'val/ema_acc' needs an average, but averaging 'none' keeps none"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        small(objective=Objective(metric="val/ema_acc"))
    with pytest.raises(ConfigError, match=r"^objective.metric \(dataset moons\) 'val/ema_rmse' is not one of: "):
        small(objective=Objective(metric="val/ema_rmse", direction="minimize"), averaging=EMA())


def test_the_objectives_metric_is_not_listed_again_where_it_is_one_of_averages() -> None:
    trial = small(objective=Objective(metric="val/ema_ece", direction="minimize"), averaging=EMA())
    listed = replace(trial, training=replace(trial.training, metrics=("ece",)))
    assert listed.resolved() == trial.resolved()


OF_VALUES: dict[str, Callable[[Any], Any]] = {
    "mse": np.square,
    "mae": np.abs,
    "huber": lambda each: np.where(np.abs(each) <= 1, each**2 / 2, np.abs(each) - 0.5),
}


def judged(result: Result, data: Data, part: str) -> dict[str, float]:
    """Return a part's metrics, from predictions alone."""
    split = data.division(0).split
    rows = getattr(split, part)
    P = result.predict(data.rows[rows, :-1]).astype(np.float64)
    loss = result.config.loss
    if data.classes == 0:
        assert data.values is not None
        marks = data.values[rows]
        each = -np.log(np.where(marks == 1, P, 1 - P)).sum(axis=1)
        return {"loss": each.mean(), "acc": ((P > 0.5) == marks).mean()}
    if data.labels is None:
        assert data.values is not None
        division, values = data.division(0), data.values[rows]
        errors = P[:, 0] * division.value_scale + division.value_shift - values
        each = errors / division.value_scale
        found = {
            "rmse": np.sqrt((errors**2).mean()),
            "r2": 1 - (errors**2).sum() / ((values - values.mean()) ** 2).sum(),
        }
        return {"loss": OF_VALUES[loss.name](each).mean(), **found}
    labels = data.labels[rows]
    if loss.name == "hinge":
        own = P[np.arange(len(rows)), labels][:, None]
        each = (np.maximum(0, 1 + P - own).sum(axis=1) - 1) / P.shape[1]
        return {"loss": each.mean(), "acc": (P.argmax(axis=1) == labels).mean()}
    if loss.name == "binary_cross_entropy":
        p = np.where(labels == 1, P[:, 0], 1 - P[:, 0])
        return {"loss": -np.log(p).mean(), "acc": (p > 0.5).mean()}
    accuracy = (P.argmax(axis=1) == labels).mean()
    if loss.name == "cross_entropy":
        return {"loss": -np.log(P[np.arange(len(rows)), labels]).mean(), "acc": accuracy}
    deviations = P - np.eye(P.shape[1])[labels]
    return {"loss": OF_VALUES[loss.name](deviations).sum(axis=1).mean(), "acc": accuracy}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "trial",
    [
        *[pytest.param(small(loss=cls(), dataset=suited(cls())), id=name) for name, cls in sorted(LOSSES.items())],
        *[pytest.param(regression(loss=LOSSES[name]()), id=f"{name}-values") for name in VALUE_LOSSES],
    ],
)
def test_the_metrics_of_the_best_epoch_follow_from_its_predictions(trial: TrialConfig, dtype: Any) -> None:
    known = trial.loss.target_kind != "values" or trial.loss.name in OF_VALUES
    assert known, f"add what {trial.loss.name} costs a deviation to OF_VALUES"
    trial = replace(trial, training=replace(LONG, dtype=dtype), optimizer=Adam(lr=0.05))
    data = prepare(trial.dataset, [0], dtype)
    (result,) = train([trial], data)
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    for part, name in (("validation", "val/{}_best"), ("test", "test/{}")):
        expected = judged(result, data, part)
        found = {metric: result.summary[name.format(metric)] for metric in expected}
        assert found == pytest.approx(expected, rel=tolerance)


def test_a_trial_without_a_test_part_has_no_test_metrics() -> None:
    (result,) = train([small(dataset=Moons(examples=60, test=0))])
    assert set(result.summary) == {"epoch_best", *(f"val/{name}_best" for name in applicable(2))}
    assert set(result.confusion) == {"validation"}


def test_a_trial_without_a_validation_part_can_follow_its_training() -> None:
    objective = Objective(metric="train/loss", direction="minimize")
    (result,) = train([small(dataset=Moons(examples=60, validation=0), objective=objective)])
    assert not [name for name in result.history if name.startswith("val/")]
    assert set(result.summary) == {"epoch_best", *(f"test/{name}" for name in applicable(2))}
    assert set(result.confusion) == {"test"}


@pytest.mark.parametrize("every", [1, 2, 3, 5, 12, 100])
def test_the_first_the_last_and_each_multiple_are_recorded(every: int) -> None:
    (result,) = train([small(training=replace(LONG, record_every=every))])
    expected = sorted({1, 12, *range(every, 13, every)})
    assert result.epochs.tolist() == expected
    assert {len(values) for values in result.history.values()} == {len(expected)}


@pytest.mark.parametrize("every", [2, 5, 100])
def test_how_often_is_recorded_changes_no_weight_and_no_recorded_number(every: int) -> None:
    trial = small(training=LONG)
    (often,), (seldom,) = train([trial]), train([replace(trial, training=replace(LONG, record_every=every))])
    assert often.last is not None
    assert seldom.last is not None
    for name, values in often.last.items():
        assert seldom.last[name].tobytes() == values.tobytes()
    at = seldom.epochs - 1
    for name, values in often.history.items():
        assert seldom.history[name].tobytes() == values[at].tobytes()


@pytest.mark.parametrize("metric", EVERY)
def test_a_direction_that_contradicts_the_metric_is_an_error(metric: str) -> None:
    natural = direction_of(metric)
    wrong: Direction = "minimize" if natural == "maximize" else "maximize"
    message = f"objective.direction must be {natural} for {metric}, got {wrong!r}"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Objective(metric=metric, direction=wrong)


@pytest.mark.parametrize("metric", EVERY)
def test_what_is_better_grows_and_what_is_lost_shrinks(metric: str) -> None:
    grows = {"acc", "r2", "balanced_acc", "f1_macro", "roc_auc"}
    assert direction_of(metric) == ("maximize" if raw(metric).split("/")[1] in grows else "minimize")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "val/f1"}, "objective.metric 'val/f1' is not one of: train/acc, train/cost, "),
        ({"metric": "test/acc"}, "objective.metric must not look at the test part, got 'test/acc'"),
        ({"metric": "train/grad_norm"}, "objective.metric 'train/grad_norm' is not one of: "),
        ({"direction": "up"}, "objective.direction 'up' is not one of: maximize, minimize"),
    ],
)
def test_an_unusable_objective_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        Objective(**changes)


def test_an_objective_of_another_kind_of_data_is_refused() -> None:
    rmse = Objective(metric="val/rmse", direction="minimize")
    with pytest.raises(ConfigError, match=r"objective.metric \(dataset moons\) 'val/rmse' is not one of: train/acc"):
        small(objective=rmse)
    with pytest.raises(ConfigError, match=r"objective.metric \(dataset diabetes\) 'val/acc' is not one of: .*r2"):
        regression(objective=Objective(), dataset=Diabetes())


def test_an_objective_of_an_empty_part_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^objective.metric 'val/acc' needs dataset.validation > 0$"):
        small(dataset=Moons(validation=0), loss=CrossEntropy())
