"""Plain data to typed objects: what is wrong is said in one line, before any data loads; what is right is kept."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields
from typing import Any

import pytest

from nnexp.config.build import TABLES, build_run, build_trial
from nnexp.data.sources import DATASETS
from nnexp.network.activations import LeakyReLU, ReLU, Tanh
from nnexp.network.optimizers import OPTIMIZERS
from nnexp.testing.contracts import assert_rejected
from nnexp.training import TrialConfig

RUN = {
    "executor": {"workers": "auto"},
    "tracking": {"uri": None, "experiment": "nnexp"},
    "sweep": {"name": None},
    "screen": {"mode": "auto"},
    "paths": {"root": "runs"},
}


def config(**changes: Any) -> dict[str, Any]:
    """Return the default config as plain data, changed: `optimizer__lr=1` sets one value, `optimizer={…}` a node."""
    plain = deepcopy(TrialConfig().describe() | RUN)
    for place, value in changes.items():
        *path, last = place.split("__")
        node = plain
        for key in path:
            node = node[key]
        node[last] = value
    return plain


def dataset(name: str, **changes: Any) -> dict[str, Any]:
    """Return a data set as plain data."""
    return {**DATASETS[name]().describe(), **changes}


def named(group: str, name: str, **changes: Any) -> dict[str, Any]:
    """Return a component as plain data."""
    return {**TABLES[group][name]().describe(), **changes}


BAD_TRIALS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    # unknown names
    ({"optimzer": {}}, ("'optimzer'", "dataset", "optimizer", "tracking")),
    ({"optimizer__lrr": 1}, ("'lrr'", "optimizer (adam)", "beta1, beta2, eps, lr")),
    ({"optimizer__name": "adma"}, ("optimizer", "'adma'", ", ".join(sorted(OPTIMIZERS)))),
    ({"optimizer": {}}, ("optimizer", "None", ", ".join(sorted(OPTIMIZERS)))),
    ({"optimizer": None}, ("optimizer", "None")),
    ({"optimizer": "adam"}, ("optimizer", "'adam'")),
    ({"optimizer": ["adam", "sgd"]}, ("optimizer", "['adam', 'sgd']")),
    ({"schedule__lr": 1}, ("schedule", "constant", "'lr'")),
    (
        {"training__epoch": 1},
        ("'epoch'", "training", "batch_size, dtype, epochs, evaluation_block, metrics, record_every, shuffle"),
    ),
    ({"training": 3}, ("training", "3")),
    ({"architecture__activation": "relux"}, ("architecture.activation", "'relux'", "elu, gelu, hard_sigmoid")),
    ({"architecture__activation": ["relu", "relux"]}, ("architecture.activation", "'relux'", "elu, gelu")),
    ({"architecture__activation": None}, ("architecture.activation", "None", "elu, gelu, hard_sigmoid")),
    ({"architecture__activation": {"slope": 0.1}}, ("architecture.activation", "None", "elu, gelu")),
    ({"architecture__activation": {"name": "relu", "slope": 0.1}}, ("architecture.activation", "relu", "'slope'")),
    # types
    ({"seed": "a"}, ("seed", "an integer", "'a'")),
    ({"seed": 1.0}, ("seed", "an integer", "1.0")),
    ({"seed": True}, ("seed", "an integer", "True")),
    ({"seed": None}, ("seed", "an integer", "None")),
    ({"training__epochs": "ten"}, ("training.epochs", "an integer", "'ten'")),
    ({"training__epochs": 1.5}, ("training.epochs", "an integer", "1.5")),
    ({"training__epochs": [3]}, ("training.epochs", "an integer", "[3]")),
    ({"training__batch_size": "half"}, ("training.batch_size", "an integer or full", "'half'")),
    ({"training__shuffle": "yes"}, ("training.shuffle", "true or false", "'yes'")),
    ({"training__shuffle": 1}, ("training.shuffle", "true or false", "1")),
    ({"training__dtype": "float16"}, ("training.dtype", "float32 or float64", "'float16'")),
    ({"optimizer__lr": "fast"}, ("optimizer.lr", "a number", "'fast'")),
    ({"optimizer__lr": True}, ("optimizer.lr", "a number", "True")),
    ({"optimizer__lr": None}, ("optimizer.lr", "a number", "None")),
    ({"optimizer__lr": {"a": 1}}, ("optimizer.lr", "a number", "{'a': 1}")),
    ({"architecture__hidden": 64}, ("architecture.hidden", "a list of integers", "64")),
    ({"architecture__hidden": [64, "a"]}, ("architecture.hidden", "a list of integers", "[64, 'a']")),
    ({"architecture__hidden": None}, ("architecture.hidden", "a list of integers", "None")),
    ({"dropout__keep": "some"}, ("dropout.keep", "a number or a list of numbers", "'some'")),
    ({"dropout__keep": [0.5, "a"]}, ("dropout.keep", "a number or a list of numbers", "[0.5, 'a']")),
    ({"initializer__gain": "relu"}, ("initializer.gain", "a number or activation", "'relu'")),
    ({"dataset__split_seed": "mine"}, ("dataset.split_seed", "an integer or trial", "'mine'")),
    ({"objective__metric": 1}, ("objective.metric", "a text", "1")),
    ({"objective__direction": "up"}, ("objective.direction", "maximize or minimize", "'up'")),
    # ranges
    ({"seed": -1}, ("seed", ">= 0", "-1")),
    ({"training__epochs": 0}, ("training.epochs", ">= 1", "0")),
    ({"training__batch_size": 0}, ("training.batch_size", ">= 1", "0")),
    ({"training__record_every": 0}, ("training.record_every", ">= 1", "0")),
    ({"optimizer__lr": 0}, ("lr", "> 0", "0.0")),
    ({"optimizer__lr": float("nan")}, ("lr", "> 0", "nan")),
    ({"optimizer__lr": float("inf")}, ("lr", "> 0", "inf")),
    ({"optimizer__beta1": 1}, ("beta1", "[0, 1)", "1.0")),
    ({"architecture__hidden": [0]}, ("architecture.hidden", ">= 1", "[0]")),
    ({"dropout__keep": 0}, ("keep", "1]", "0.0")),
    ({"dropout__keep": [0.5, 1.5]}, ("keep", "1]", "1.5")),
    ({"l2__strength": -1}, ("strength", ">= 0", "-1.0")),
    ({"dataset__validation": 1}, ("dataset.validation", "[0, 1)", "1.0")),
    ({"dataset__split_seed": -1}, ("dataset.split_seed", ">= 0", "-1")),
    ({"dataset": dataset("moons", examples=3)}, ("dataset.examples", ">= 10", "3")),
    ({"dataset": dataset("blobs", centers=1)}, ("dataset.centers", ">= 2", "1")),
    # contradictions
    ({"dataset__validation": 0.6, "dataset__test": 0.4}, ("dataset.validation + dataset.test", "< 1", "1.0")),
    ({"dataset__validation": 0}, ("objective.metric", "'val/acc'", "dataset.validation > 0")),
    ({"objective__direction": "minimize"}, ("objective.direction", "maximize", "val/acc", "'minimize'")),
    ({"objective__metric": "test/acc"}, ("objective.metric", "test", "'test/acc'")),
    ({"objective__metric": "val/foo"}, ("objective.metric", "'val/foo'", "val/acc, val/balanced_acc")),
    ({"objective": {"metric": "val/rmse", "direction": "minimize"}}, ("objective.metric", "digits", "'val/rmse'")),
    ({"loss__name": "cross_entropy", "dataset": dataset("diabetes")}, ("'cross_entropy'", "'diabetes'", "regression")),
    ({"loss__name": "binary_cross_entropy"}, ("'binary_cross_entropy'", "two classes", "'digits'", "10")),
    (
        {"loss__name": "binary_cross_entropy", "dataset": dataset("moons"), "architecture__output": "softmax"},
        ("architecture.output", "sigmoid", "binary_cross_entropy", "'softmax'"),
    ),
    ({"architecture__output": "relu"}, ("architecture.output", "softmax", "cross_entropy", "'relu'")),
    ({"architecture__output": "softmaxx"}, ("architecture.output", "'softmaxx'", "auto, elu")),
    (
        {"loss": named("loss", "mse"), "dataset": dataset("diabetes"), "architecture__output": "softmax"},
        ("architecture.output", "softmax", "one output"),
    ),
    ({"architecture__activation": ["relu"]}, ("architecture.activation", "hidden layer (2)", "['relu']")),
    ({"dropout__keep": [0.5]}, ("dropout.keep", "hidden layer (2)", "0.5")),
    ({"dropout": named("dropout", "none", keep=0.5)}, ("dropout", "none", "'keep'")),
]

BAD_RUNS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"executor__workers": 0}, ("executor.workers", ">= 1", "auto", "0")),
    ({"executor__workers": "many"}, ("executor.workers", "an integer or auto", "'many'")),
    ({"executor__on_error": "ask"}, ("executor.on_error", "continue or stop", "'ask'")),
    ({"executor__max_retries": -1}, ("executor.max_retries", ">= 0", "-1")),
    ({"executor__max_consecutive_failures": 0}, ("executor.max_consecutive_failures", ">= 1", "0")),
    ({"executor__trial_seconds": 0}, ("executor.trial_seconds", "> 0", "0")),
    ({"executor__sweep_seconds": float("inf")}, ("executor.sweep_seconds", "> 0", "inf")),
    ({"executor__memory_mb": 10}, ("executor.memory_mb", ">= 64", "10")),
    ({"tracking__every": 0}, ("tracking.every", "> 0", "0")),
    ({"screen__mode": "loud"}, ("screen.mode", "live", "quiet", "'loud'")),
    ({"screen__every": -1}, ("screen.every", "> 0", "-1")),
    ({"sweep__rerun": "some"}, ("sweep.rerun", "failed, all", "'some'")),
    ({"executor__workers": 1.5}, ("executor.workers", "an integer or auto", "1.5")),
    ({"executor__threads": 1}, ("executor", "'threads'", "workers")),
    ({"tracking__uri": 3}, ("tracking.uri", "a text or null", "3")),
    ({"tracking__experiment": "Default"}, ("tracking.experiment", "'Default'")),
    ({"tracking__experiment": " "}, ("tracking.experiment", "' '")),
    ({"tracking__experiment": None}, ("tracking.experiment", "a text", "None")),
    ({"sweep__name": "a/b"}, ("sweep.name", "letters, digits", "'a/b'")),
    ({"sweep__name": ""}, ("sweep.name", "letters, digits", "''")),
    ({"sweep__name": ".."}, ("sweep.name", "letters, digits", "'..'")),
    ({"sweep__name": 3}, ("sweep.name", "a text or null", "3")),
    ({"paths__root": ""}, ("paths.root", "a folder", "''")),
    ({"paths__root": None}, ("paths.root", "a text", "None")),
]


def ids(cases: list[tuple[dict[str, Any], tuple[str, ...]]]) -> list[str]:
    return [" ".join(f"{place.replace('__', '.')}={value}" for place, value in case.items())[:60] for case, _ in cases]


@pytest.mark.parametrize(("changes", "words"), BAD_TRIALS, ids=ids(BAD_TRIALS))
def test_a_trial_that_cannot_be_is_refused_in_one_line(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    assert_rejected(lambda: build_trial(config(**changes)), *words)


@pytest.mark.parametrize(("changes", "words"), BAD_RUNS, ids=ids(BAD_RUNS))
def test_a_run_that_cannot_be_is_refused_in_one_line(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    assert_rejected(lambda: build_run(config(**changes)), *words)


@pytest.mark.parametrize("name", sorted(TrialConfig().describe()))
def test_a_missing_setting_is_refused(name: str) -> None:
    without = {key: value for key, value in config().items() if key != name}
    assert_rejected(lambda: build_trial(without), name, "missing")


def number_fields() -> Iterator[tuple[str, str, str]]:
    """Yield group, component and field of every hyperparameter that is a number."""
    for group, table in TABLES.items():
        for name, cls in table.items():
            for field in fields(cls):
                if type(getattr(cls(), field.name)) in (int, float):
                    yield group, name, field.name


@pytest.mark.parametrize(("group", "name", "field"), list(number_fields()), ids="-".join)
@pytest.mark.parametrize("value", ["much", [[1]], None, True], ids=str)
def test_no_number_may_be_something_else(group: str, name: str, field: str, value: Any) -> None:
    wrong = config(**{group: named(group, name, **{field: value})})
    assert_rejected(lambda: build_trial(wrong), f"{group}.{field}", repr(value))


def test_an_objective_of_weights_or_gradients_is_no_choice_anywhere() -> None:
    """What an error offers as a choice can be chosen."""
    with pytest.raises(Exception, match="is not one of") as caught:
        build_trial(config(objective={"metric": "val/rmse", "direction": "minimize"}))
    for metric in str(caught.value).rpartition(": ")[2].split(", "):
        assert build_trial(config(objective={"metric": metric, "direction": "auto"})).objective.metric == metric


def test_auto_stands_for_what_suits_the_data() -> None:
    auto = {"loss": {"name": "auto"}, "objective": {"metric": "auto", "direction": "auto"}}
    classes = build_trial(config(**auto))
    assert (classes.loss.name, classes.objective.metric, classes.objective.direction) == (
        "cross_entropy",
        "val/acc",
        "maximize",
    )
    values = build_trial(config(**auto, dataset=dataset("diabetes"), architecture__output="auto"))
    assert (values.loss.name, values.objective.metric, values.objective.direction) == ("mse", "val/rmse", "minimize")
    given = build_trial(config(objective={"metric": "val/loss", "direction": "auto"}))
    assert given.objective.direction == "minimize"


def test_the_output_that_auto_stands_for_is_written_out() -> None:
    assert build_trial(config(architecture__output="auto")) == build_trial(config(architecture__output="softmax"))
    assert build_trial(config(architecture__output="auto")).architecture.output == "softmax"


def test_activations_are_named_one_for_all_or_one_a_layer_with_settings() -> None:
    one = build_trial(config(architecture__activation="tanh")).architecture
    assert one.activations == (Tanh(), Tanh())
    each = ["relu", {"name": "leaky_relu", "slope": 0.25}]
    assert build_trial(config(architecture__activation=each)).architecture.activations == (
        ReLU(),
        LeakyReLU(slope=0.25),
    )


def test_a_whole_number_is_a_number() -> None:
    assert build_trial(config(optimizer__lr=1, dropout__keep=1)) == build_trial(
        config(optimizer__lr=1.0, dropout__keep=1.0)
    )
    assert type(build_trial(config(dropout__keep=1)).dropout.describe()["keep"]) is float
    assert build_trial(config(dropout__keep=[1, 0.5])) == build_trial(config(dropout__keep=[1.0, 0.5]))


def test_what_a_trial_describes_builds_the_same_trial() -> None:
    trial = build_trial(
        config(
            seed=3,
            architecture__activation=["tanh", {"name": "leaky_relu", "slope": 0.25}],
            dropout__keep=[0.5, 1],
            dataset=dataset("blobs", noise=1, split_seed="trial"),
            training__batch_size="full",
        )
    )
    assert build_trial(trial.describe() | RUN) == trial
