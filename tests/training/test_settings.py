"""The settings of a trial: their ranges, and what contradicts what."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from typing import Any

import pytest

from nnexp.data.sources import DATASETS, Blobs, Diabetes, Digits, Moons, MultiLabel
from nnexp.errors import ConfigError
from nnexp.network.architecture import MLP
from nnexp.network.dropout import InvertedDropout
from nnexp.network.losses import LOSSES, BinaryCrossEntropy, CrossEntropy, MeanSquaredError, MultiLabelCrossEntropy
from nnexp.network.penalties import L2
from nnexp.testing.contracts import assert_rejected
from nnexp.testing.trials import multi_label, regression, small
from nnexp.testing.variations import broken
from nnexp.training import Objective, Training, TrialConfig

NAN = float("nan")


@pytest.mark.parametrize(
    ("field", "value", "demand"),
    [
        *[("epochs", value, "training.epochs must be >= 1") for value in (0, -1, NAN)],
        *[("batch_size", value, "an integer >= 1 or full") for value in (0, -1, 2.5, NAN, "half")],
        *[("record_every", value, "training.record_every must be >= 1") for value in (0, -1, NAN)],
        ("dtype", "float16", "is not one of: float32, float64"),
        *[("evaluation_block", value, "training.evaluation_block must be >= 1") for value in (0, -1, NAN)],
        ("metrics", ["ece"], "a tuple of names"),
        ("metrics", ("ece", "brier", "ece"), "a list of names, each once"),
    ],
)
def test_a_setting_of_the_training_out_of_range_is_refused(field: str, value: Any, demand: str) -> None:
    given = list(value) if isinstance(value, tuple) else value  # as configs write it
    assert_rejected(lambda: Training(**{field: value}), f"training.{field}", demand, repr(given))


@pytest.mark.parametrize("name", ["acc", "loss", "val/ece", "f1", ""])
def test_only_metrics_that_are_not_recorded_anyway_can_be_asked_for(name: str) -> None:
    message = f"training.metrics {name!r} is not one of: balanced_acc, brier, ece, f1_macro, log_loss, mae, roc_auc"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Training(metrics=("brier", name))


@pytest.mark.parametrize(("make", "name"), [(small, "mae"), (regression, "ece")])
def test_a_metric_of_another_kind_of_data_is_refused(make: Any, name: str) -> None:
    dataset = make().dataset.name
    with pytest.raises(ConfigError, match=rf"^training.metrics \(dataset {dataset}\) '{name}' is not one of: "):
        make(training=Training(metrics=(name,)))


def test_labels_that_do_not_exclude_each_other_have_no_more_metrics() -> None:
    message = "training.metrics (dataset multi_label) must be empty: there are none beside loss and acc"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        multi_label(training=Training(metrics=("ece",)))


@pytest.mark.parametrize("config", [Training(), Objective(), TrialConfig()])
def test_a_value_broken_in_any_field_is_refused(config: Any) -> None:
    tried = 0
    for field in fields(config):
        for value in broken(config, field.name):
            tried += 1
            assert_rejected(lambda name=field.name, value=value: replace(config, **{name: value}), repr(value))  # type: ignore[misc]
    assert tried


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, "seed must be >= 0, got -1"),
        (
            {"dropout": InvertedDropout(keep=(0.5,))},
            "dropout.keep must be one number or one a hidden layer (2), got [0.5]",
        ),
        (
            {"architecture": MLP(output="tanh")},
            "architecture.output must be softmax (or auto) for cross_entropy, got 'tanh'",
        ),
        (
            {"loss": MeanSquaredError(), "dataset": Diabetes(), "architecture": MLP(output="softmax")},
            "architecture.output must not be softmax where there is one output: it would always be 1",
        ),
        (
            {"loss": CrossEntropy(), "dataset": MultiLabel()},
            "loss 'cross_entropy' learns classes or values, but dataset 'multi_label' has labels that do not exclude "
            "each other",
        ),
        (
            {"loss": MultiLabelCrossEntropy(), "dataset": Moons()},
            "loss 'multi_label_cross_entropy' learns labels that do not exclude each other, but dataset 'moons' has "
            "exclusive classes",
        ),
        (
            {"loss": CrossEntropy(class_weight=(1.0, 2.0)), "dataset": Blobs(centers=3)},
            "loss.class_weight must be a number for each of 3 classes, got [1.0, 2.0]",
        ),
        (
            {"loss": BinaryCrossEntropy(), "dataset": Blobs(centers=3)},
            "loss 'binary_cross_entropy' learns two classes, but dataset 'blobs' has 3",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        small(**changes)


@pytest.mark.parametrize("name", sorted(name for name, cls in LOSSES.items() if cls.target_kind != "values"))
def test_a_loss_of_classes_refuses_a_regression(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^loss '{name}' learns classes, but dataset 'diabetes' is a regression$"):
        regression(loss=LOSSES[name]())


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_a_loss_and_a_dataset_fit_or_are_refused(dataset: str, loss: str) -> None:
    source, kind = DATASETS[dataset](), LOSSES[loss].target_kind
    fits = {
        "values": source.classes != 0,
        "multi": source.classes == 0,
        "binary": source.classes == 2,
        "labels": bool(source.classes),
    }[kind]
    make = regression if source.classes is None else small
    if not fits:
        assert_rejected(lambda: make(dataset=source, loss=LOSSES[loss]()), loss, dataset)
        return
    blueprint = make(dataset=source, loss=LOSSES[loss]()).blueprint(4)
    outputs = 1 if kind == "binary" else source.classes or source.targets
    assert (blueprint.sizes[0], blueprint.sizes[-1]) == (4, outputs)


def test_a_trial_describes_itself_as_plain_data() -> None:
    trial = TrialConfig(architecture=MLP(hidden=(3, 4)), dropout=InvertedDropout(keep=(0.5, 1.0)), dataset=Moons())
    plain = trial.describe()
    assert json.loads(json.dumps(plain)) == plain
    assert set(plain) == {field.name for field in fields(TrialConfig)}
    assert plain["dropout"] == {"name": "inverted", "keep": [0.5, 1.0], "input_keep": 1.0}
    assert plain["architecture"] == {"name": "mlp", "hidden": [3, 4], "activation": "relu", "output": "auto"}
    assert plain["dataset"]["name"] == "moons"
    assert set(plain["training"]) == {field.name for field in fields(Training)}


def test_trials_that_differ_describe_themselves_differently() -> None:
    trials = [
        TrialConfig(),
        TrialConfig(seed=1),
        TrialConfig(dataset=Digits(test=0.1)),
        TrialConfig(l2=L2(strength=1.0)),
    ]
    assert len({json.dumps(trial.describe()) for trial in trials}) == len(trials)
