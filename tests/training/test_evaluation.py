"""Evaluation: scikit-learn is the oracle of each metric, and no number depends on what is evaluated beside it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, softmax

from nnexp.data.prepared import Data, from_arrays
from nnexp.data.sources import Blobs, Digits, Moons
from nnexp.errors import ConfigError, UsageError
from nnexp.network.architecture import MLP
from nnexp.network.averaging import EMA
from nnexp.network.losses import LOSSES, BinaryCrossEntropy, CrossEntropy, MeanSquaredError, Targets
from nnexp.network.optimizers import SGD
from nnexp.network.stack import Blueprint
from nnexp.testing.contracts import assert_alone, assert_equal_numbers, assert_rejected, numbers
from nnexp.testing.trials import regression, small, suited
from nnexp.training import Objective, Training, evaluation, train
from nnexp.training.answers import Answers, Sums, ValueScale
from nnexp.training.metrics import (
    CHEAP,
    METRICS,
    AreaUnderROC,
    BrierScore,
    LogLoss,
    Metric,
    Thorough,
    applicable,
    direction_of,
    judge,
)

THOROUGH = sorted(set(METRICS) - set(CHEAP))
OF_CLASSES = [name for name in THOROUGH if METRICS[name].of_classes]
Oracle = Callable[[NDArray[np.intp], NDArray[np.float64]], float]


def expected_calibration_error(y: NDArray[np.intp], P: NDArray[np.float64]) -> float:
    """Guo et al. 2017, equation 3, as it is written: one bin after another."""
    confidence, right = P.max(axis=1), P.argmax(axis=1) == y
    error = 0.0
    for b in range(1, 16):
        inside = (confidence > (b - 1) / 15) & (confidence <= b / 15)
        if inside.any():
            error += inside.sum() / len(y) * abs(right[inside].mean() - confidence[inside].mean())
    return error


def area(y: NDArray[np.intp], P: NDArray[np.float64]) -> float:
    if P.shape[1] == 2:
        return float(oracle.roc_auc_score(y, P[:, 1]))
    return float(oracle.roc_auc_score(y, P, multi_class="ovr", average="macro"))


def brier(y: NDArray[np.intp], P: NDArray[np.float64]) -> float:
    if P.shape[1] == 2:
        return float(oracle.brier_score_loss(y, P[:, 1], labels=[0, 1]))
    return float(oracle.brier_score_loss(y, P, labels=range(P.shape[1])))


# Each metric by true classes (m,) and probabilities (m, C), with scikit-learn where it has it.
ORACLES: dict[str, Oracle] = {
    "balanced_acc": lambda y, P: oracle.balanced_accuracy_score(y, P.argmax(axis=1)),
    "f1_macro": lambda y, P: oracle.f1_score(y, P.argmax(axis=1), average="macro", zero_division=0),
    "roc_auc": area,
    "log_loss": lambda y, P: oracle.log_loss(y, P, labels=range(P.shape[1])),
    "brier": brier,
    "ece": expected_calibration_error,
}


def answers_of(Z: NDArray[Any], labels: NDArray[np.intp], classes: int) -> Answers:
    """Return answers to a part: logits (K, n, m), of one output for two classes where n is 1; labels (m,)."""
    K, n, m = Z.shape
    loss = BinaryCrossEntropy() if n == 1 else CrossEntropy()
    blueprint = Blueprint((1, n), (), None, loss, str(Z.dtype))
    nothing = np.zeros(K)
    return Answers(
        Sums(nothing, nothing[None], m), blueprint, Z, Targets(np.broadcast_to(labels, (K, m)), None), classes
    )


def assert_as_oracle(metric: Metric, Z: NDArray[Any], labels: NDArray[np.intp], classes: int) -> None:
    """A metric of stacked logits is its oracle's of each replica's probabilities."""
    assert isinstance(metric, Thorough)
    found = metric.of_answers(answers_of(Z, labels, classes))
    assert found.shape == (len(Z),)
    assert found.dtype == np.float64
    for k, each in enumerate(Z.astype(np.float64)):
        P = softmax(each, axis=0).T if len(each) > 1 else np.stack([1 - expit(each[0]), expit(each[0])], axis=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes that are predicted but not there
            expected = ORACLES[metric.name](labels, P)
        assert found[k] == pytest.approx(expected, rel=1e-11, abs=1e-12), f"{metric.name} of replica {k}"


@st.composite
def parts(draw: st.DrawFn) -> tuple[NDArray[Any], NDArray[np.intp], int]:
    """Logits of some replicas, with ties and certainties among them, and labels."""
    classes, K, m = draw(st.integers(2, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 40))
    n = draw(st.sampled_from([1, 2])) if classes == 2 else classes
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    Z = rng.normal(0, draw(st.sampled_from([0.1, 1.0, 5.0, 30.0])), (K, n, m))
    if draw(st.booleans()):
        Z = np.round(Z)  # ties
    if n == 1:
        Z[Z == 0] = 0.25  # an output of 0 is of no class, where the oracle takes the first of equals
    return Z.astype(draw(st.sampled_from(["float32", "float64"]))), rng.integers(0, classes, m), classes


def test_each_metric_of_classes_has_an_oracle() -> None:
    assert sorted(ORACLES) == OF_CLASSES


@pytest.mark.parametrize("name", OF_CLASSES)
@settings(max_examples=60)
@given(part=parts())
def test_a_metric_of_classes_is_what_its_oracle_says(name: str, part: tuple[Any, Any, int]) -> None:
    Z, labels, classes = part
    metric = METRICS[name]()
    if not metric.defined(labels, classes):
        assert name == "roc_auc"
        assert len(np.unique(labels)) < classes
        return
    assert_as_oracle(metric, Z, labels, classes)


@settings(max_examples=30)
@given(part=parts())
def test_the_confusion_is_what_scikit_learn_says(part: tuple[Any, Any, int]) -> None:
    Z, labels, classes = part
    answers = answers_of(Z, labels, classes)
    for counts, predicted in zip(answers.confusion, answers.predicted, strict=True):
        assert counts.tolist() == oracle.confusion_matrix(labels, predicted, labels=range(classes)).tolist()


@pytest.mark.parametrize("spread", [1.0, 77.0])
def test_the_mean_absolute_error_is_in_the_values_own_units(spread: float) -> None:
    rng = np.random.default_rng(0)
    Z, values = rng.normal(size=(3, 1, 50)), rng.normal(size=(3, 1, 50))
    sums = Sums(np.zeros(3), np.zeros((1, 3)), 50, ValueScale(np.full((1, 3), spread), np.ones((1, 3))))
    blueprint = Blueprint((1, 1), (), None, MeanSquaredError(), "float64")
    found = METRICS["mae"]().of_answers(Answers(sums, blueprint, Z, Targets(None, values), 0))  # type: ignore[attr-defined]
    expected = [oracle.mean_absolute_error(v[0] * spread, a[0] * spread) for a, v in zip(Z, values, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("errors", [[0.0, 0.0], [1.0, 2.0]])
def test_r2_of_values_that_are_all_the_same_is_what_scikit_learn_says(errors: list[float]) -> None:
    scores = np.array([np.square(errors).sum()])
    found = judge(Sums(scores, scores[None], 2, ValueScale(np.ones((1, 1)), np.zeros((1, 1)))))["r2"]
    assert found.tolist() == [oracle.r2_score([3.0, 3.0], np.add(3.0, errors))]


# faults: the oracle rejects a broken twin


class HalvedBrier(BrierScore):
    """Halves the score of more than two classes too."""

    def of_answers(self, answers: Answers) -> NDArray[np.float64]:
        return super().of_answers(answers) / 2


class MixingLogLoss(LogLoss):
    """Is the mean over the stack."""

    def of_answers(self, answers: Answers) -> NDArray[np.float64]:
        found = super().of_answers(answers)
        return np.full_like(found, found.mean())


class TyingArea(AreaUnderROC):
    """Breaks ties by the order of the examples."""

    def of_answers(self, answers: Answers) -> NDArray[np.float64]:
        found = []
        for scores, labels in zip(answers.P[:, 1], answers.labels, strict=True):
            ranks = 1 + np.argsort(np.argsort(scores, kind="stable"))
            n = (labels == 1).sum()
            found.append((ranks[labels == 1].sum() - n * (n + 1) / 2) / (n * (len(labels) - n)))
        return np.array(found)


@pytest.mark.parametrize(("metric", "classes"), [(HalvedBrier(), 3), (MixingLogLoss(), 3), (TyingArea(), 2)])
def test_a_broken_metric_is_rejected_by_the_oracle(metric: Metric, classes: int) -> None:
    rng = np.random.default_rng(1)
    Z, labels = np.round(rng.normal(0, 2, (2, classes, 40))), rng.integers(0, classes, 40)
    assert_as_oracle(METRICS[metric.name](), Z, labels, classes)
    with pytest.raises(AssertionError):
        assert_as_oracle(metric, Z, labels, classes)


# of trainings

ALL = Training(epochs=3, batch_size=16, metrics=tuple(OF_CLASSES))


@pytest.mark.parametrize("loss", sorted(name for name, cls in LOSSES.items() if cls.target_kind != "multi"))
def test_a_trained_networks_metrics_follow_from_its_predictions(loss: str) -> None:
    trial = small(loss=LOSSES[loss](), dataset=suited(LOSSES[loss]()), training=Training(epochs=3, dtype="float64"))
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(90, 2)), rng.integers(0, trial.dataset.classes or 0, 90)
    data = from_arrays(
        (X[:30], y[:30]), (X[30:60], y[30:60]), (X[60:], y[60:]), classes=trial.dataset.classes, dtype="float64"
    )
    (result,) = train([trial], data)
    P = result.predict(X).astype(np.float64)
    P = np.hstack([1 - P, P]) if P.shape[1] == 1 else P
    probabilities = trial.loss.output in ("softmax", "sigmoid")
    names = [name for name in applicable(trial.dataset.classes, probabilities=probabilities) if name in OF_CLASSES]
    assert set(names) >= {"balanced_acc", "f1_macro"}
    assert ("log_loss" in names) == probabilities
    for rows, pattern in ((slice(30, 60), "val/{}_best"), (slice(60, None), "test/{}")):
        for name in names:
            assert result.summary[pattern.format(name)] == pytest.approx(ORACLES[name](y[rows], P[rows]), rel=1e-9)
    for part, rows in (("validation", slice(30, 60)), ("test", slice(60, None))):
        expected = oracle.confusion_matrix(y[rows], P[rows].argmax(axis=1), labels=range(P.shape[1]))
        assert result.confusion[part].tolist() == expected.tolist()


MULTIPLE = small(dataset=Blobs(examples=60), training=ALL)


def test_trials_in_a_stack_have_the_metrics_they_have_alone() -> None:
    assert_alone([replace(MULTIPLE, seed=seed, optimizer=SGD(lr=0.1 * (1 + seed))) for seed in range(4)])
    by_trial = replace(MULTIPLE, dataset=Blobs(examples=60, split_seed="trial"))
    assert_alone([replace(by_trial, seed=seed) for seed in (0, 1, 0)])
    assert_alone([replace(regression(), seed=seed, training=Training(epochs=2, metrics=("mae",))) for seed in (0, 1)])


def test_trials_on_many_values_have_the_metrics_they_have_alone() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 9))  # sums of 8 or more are made in another order
    data = from_arrays((X[:20], y[:20]), (X[20:30], y[20:30]), (X[30:], y[30:]), classes=None)
    trial = regression(training=Training(epochs=4, batch_size=8, metrics=("mae",)))
    assert_alone([replace(trial, seed=seed) for seed in range(6)], data)


def test_how_many_answers_are_there_at_once_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [replace(MULTIPLE, seed=seed) for seed in range(5)]
    whole = train(trials)
    for bytes_at_once in (1, 2 * 8 * 12 * 3):  # a replica at a time, two at a time
        monkeypatch.setattr(evaluation, "ANSWER_BYTES", bytes_at_once)
        for pieces, expected in zip(train(trials), whole, strict=True):
            assert_equal_numbers(numbers(pieces), numbers(expected), "a part in pieces")


def test_metrics_that_are_asked_for_are_recorded_each_epoch_and_change_no_other_number() -> None:
    (plain,), (more,) = train([replace(MULTIPLE, training=replace(ALL, metrics=()))]), train([MULTIPLE])
    asked = {f"val/{name}" for name in OF_CLASSES}
    assert set(more.history) - set(plain.history) == asked
    for name, values in plain.history.items():
        assert more.history[name].tobytes() == values.tobytes()
    assert more.summary == plain.summary
    for name in asked:
        assert more.history[name][int(more.summary["epoch_best"]) - 1] == more.summary[f"{name}_best"]


@pytest.mark.parametrize("name", THOROUGH)
def test_an_objective_is_recorded_without_being_asked_for(name: str) -> None:
    make = small if METRICS[name].of_classes else regression
    (result,) = train([make(objective=Objective(metric=f"val/{name}", direction=direction_of(f"val/{name}")))])
    values = result.history[f"val/{name}"]
    best = values.max() if METRICS[name].direction == "maximize" else values.min()
    assert result.summary[f"val/{name}_best"] == best


def test_trials_that_ask_for_the_same_are_the_same_trial() -> None:
    objective = Objective(metric="val/ece", direction="minimize")
    one = small(objective=objective, training=Training(metrics=("ece", "brier", "roc_auc")))
    another = small(objective=objective, training=Training(metrics=("roc_auc", "brier")))
    assert one.resolved() == another.resolved()
    assert one.resolved().training.metrics == ("roc_auc", "brier")


def test_averages_have_all_metrics_of_their_own() -> None:
    (result,) = train([replace(MULTIPLE, averaging=EMA(decay=0.9))])
    asked = {name for name in result.history if name.startswith("val/ema_")}
    assert asked >= {f"val/ema_{name}" for name in OF_CLASSES}
    for name in applicable(3):
        assert f"test/ema_{name}" in result.summary
        best = int(result.summary["epoch_best"]) - 1
        assert result.summary[f"val/ema_{name}_best"] == result.history[f"val/ema_{name}"][best]
    assert result.summary["test/ema_log_loss"] != result.summary["test/log_loss"]


# what is missing


def halves(labels: Any) -> Data:
    """Return 40 points to train on and 20 to validate by, whose labels are given."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    return from_arrays((X[:40], np.arange(40) % 3), (X[40:], labels), classes=3)


def test_a_metric_that_a_part_leaves_undefined_is_left_out() -> None:
    (result,) = train([small(dataset=Blobs(examples=60))], halves(np.arange(20) % 2))
    assert "val/roc_auc_best" not in result.summary
    assert "val/balanced_acc_best" in result.summary
    assert result.outcome == "finished"


@pytest.mark.parametrize(
    "changes",
    [{"objective": Objective(metric="val/roc_auc")}, {"training": Training(metrics=("roc_auc",))}],
)
def test_a_metric_that_is_asked_for_but_undefined_is_refused(changes: dict[str, Any]) -> None:
    message = "val/roc_auc is undefined: a class is missing in the validation part"
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        train([small(dataset=Blobs(examples=60), **changes)], halves(np.arange(20) % 2))
    (result,) = train([small(dataset=Blobs(examples=60), **changes)], halves(np.arange(20) % 3))
    assert np.isfinite(result.history["val/roc_auc"]).all()


def test_metrics_of_an_empty_part_are_refused() -> None:
    objective = Objective(metric="train/acc")
    training = Training(metrics=("ece",))
    with pytest.raises(ConfigError, match=r"^training.metrics needs dataset.validation > 0$"):
        small(dataset=Moons(validation=0), objective=objective, training=training)
    X, y = np.zeros((8, 2)), np.arange(8) % 2
    with pytest.raises(UsageError, match=r"^training.metrics need validation examples, but the data have none$"):
        train([small(objective=objective, training=training)], from_arrays((X, y), classes=2))


@pytest.mark.parametrize("name", [name for name in THOROUGH if METRICS[name].needs_probabilities])
def test_a_metric_of_probabilities_is_refused_where_there_are_none(name: str) -> None:
    message = f"val/{name} needs probabilities, but outputs under loss 'mse' are none"
    objective = Objective(metric=f"val/{name}", direction=direction_of(name))
    assert_rejected(lambda: small(loss=MeanSquaredError(), objective=objective), message)
    assert_rejected(lambda: small(loss=MeanSquaredError(), training=Training(metrics=(name,))), message)
    softmaxed = MLP(hidden=(5,), output="softmax")
    assert (
        f"val/{name}" in train([small(loss=MeanSquaredError(), architecture=softmaxed, objective=objective)])[0].history
    )


def test_roc_auc_of_outputs_that_are_no_probabilities_is_there_for_two_classes() -> None:
    trial = small(loss=MeanSquaredError(), training=Training(epochs=2, metrics=("roc_auc",)))
    data = halves(np.arange(20) % 2)
    assert np.isfinite(train([trial])[0].history["val/roc_auc"]).all()
    with pytest.raises(ConfigError, match=r"^val/roc_auc needs probabilities"):
        replace(trial, dataset=Blobs())
    assert (
        "val/roc_auc_best" not in train([small(loss=MeanSquaredError(), dataset=Blobs(examples=60))], data)[0].summary
    )


# blocks


def test_the_size_of_a_block_acts_on_the_last_digits_alone() -> None:
    trial = small(dataset=Digits(), training=Training(epochs=6))
    (one,), (another,) = (
        train([replace(trial, training=replace(trial.training, evaluation_block=block))]) for block in (256, 50)
    )
    assert one.history["val/loss"].tobytes() != another.history["val/loss"].tobytes()
    assert one.history["val/loss"] == pytest.approx(another.history["val/loss"], rel=1e-5)
    assert one.last is not None
    assert another.last is not None
    assert all(one.last[name].tobytes() == values.tobytes() for name, values in another.last.items())


@pytest.mark.parametrize("block", [1, 7, 11, 12, 13])
def test_blocks_of_any_size_are_evaluated_in_a_stack_as_alone(block: int) -> None:
    trial = replace(MULTIPLE, training=replace(ALL, epochs=2, evaluation_block=block))
    assert_alone([replace(trial, seed=seed) for seed in range(3)])
