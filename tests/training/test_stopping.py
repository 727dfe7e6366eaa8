"""Early stopping: when it ends a training, what is kept of it, and that nobody else notices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nnexp.data.prepared import prepare
from nnexp.network.dropout import InvertedDropout
from nnexp.network.optimizers import SGD
from nnexp.testing.contracts import assert_alone, assert_equal_numbers, assert_slices, numbers
from nnexp.testing.trials import overfitting
from nnexp.training import Training, TrialConfig, train
from nnexp.training.metrics import Direction
from nnexp.training.stacking import form_problem
from nnexp.training.stopping import EARLY_STOPPINGS, EarlyStopping, Patience, start


def waits(early: EarlyStopping, values: list[float], direction: Direction = "minimize") -> int:
    """Return how many values are seen until a training ends, 0 if it does not."""
    memory = start()
    for count, value in enumerate(values, start=1):
        memory = early.judge(memory, value, direction)
        if early.ends(memory):
            return count
    return 0


@pytest.mark.parametrize(
    ("early", "values", "ends"),
    [
        (EarlyStopping(), [1.0] * 50, 0),
        (Patience(patience=1), [1.0, 1.0], 2),
        (Patience(patience=2), [3.0, 2.0, 1.0, 1.0, 2.0], 5),
        (Patience(patience=2), [3.0, 4.0, 2.0, 3.0, 1.0, 3.0], 0),
        (Patience(patience=2, min_improvement=0.5), [3.0, 2.6, 2.4, 2.0, 1.95], 5),  # 2.4 is 0.6 below 3
        (Patience(patience=2, min_improvement=1.0), [3.0, 2.0, 2.0], 3),  # exactly 1 is not more than 1
    ],
)
def test_patience_ends_after_so_many_records_without_enough(
    early: EarlyStopping, values: list[float], ends: int
) -> None:
    assert waits(early, values) == ends
    assert waits(early, [-value for value in values], "maximize") == ends


@pytest.mark.parametrize("patience", [1, 3, 8])
def test_a_training_ends_early_with_the_best_parameters_it_had(patience: int) -> None:
    whole, ended = train([overfitting(), overfitting(early_stopping=Patience(patience=patience))])
    losses = whole.history["val/loss"].tolist()
    stop = waits(Patience(patience=patience), losses)
    assert 1 < stop < 40
    assert ended.epochs.tolist() == list(range(1, stop + 1))
    assert ended.history["val/loss"].tolist() == losses[:stop]
    best = losses.index(min(losses[:stop])) + 1
    assert ended.summary["epoch_best"] == best
    assert ended.summary["epoch_stopped"] == stop
    assert "epoch_stopped" not in whole.summary
    assert ended.outcome == "finished"
    shorter = overfitting(training=Training(epochs=stop, batch_size=16, dtype="float64"))
    (until,) = train([shorter])
    assert ended.summary == until.summary | {"epoch_stopped": float(stop)}
    assert numbers(replace(ended, summary={})) == numbers(replace(until, summary={}))


def test_only_recorded_epochs_count() -> None:
    training = Training(epochs=40, batch_size=16, dtype="float64", record_every=3)
    (ended,) = train([overfitting(early_stopping=Patience(patience=2), training=training)])
    stop = waits(Patience(patience=2), ended.history["val/loss"].tolist())
    assert len(ended.epochs) == stop
    assert ended.summary["epoch_stopped"] == ended.epochs[-1] < 40


def mixed() -> list[TrialConfig]:
    """Return trials that stop at different epochs, diverge, or go on to the end."""
    choices: list[dict[str, Any]] = [
        {"early_stopping": Patience(patience=1)},
        {},
        {"early_stopping": Patience(patience=4), "seed": 1},
        {"optimizer": SGD(lr=1e200)},
        {"early_stopping": Patience(patience=1, min_improvement=10.0)},
        {"early_stopping": Patience(patience=3), "dropout": InvertedDropout(keep=0.7)},
    ]
    return [overfitting(**choice) for choice in choices]


def test_those_who_stop_do_not_change_those_who_stay() -> None:
    results = train(mixed())
    assert len({len(result.epochs) for result in results}) >= 4
    assert [result.outcome for result in results].count("diverged") == 1
    assert_alone(mixed())


@pytest.mark.parametrize("cuts", [[1] * 8, [3, 5, 2], [30]])
def test_slices_do_not_change_when_a_training_stops(cuts: list[int]) -> None:
    trials = mixed()
    problem, _ = form_problem(trials, prepare(trials[0].dataset, [0, 1], "float64"))
    assert_slices(problem, cuts)


def test_a_training_that_would_stop_at_its_last_epoch_just_ends() -> None:
    (free,) = train([overfitting()])
    stop = waits(Patience(patience=3), free.history["val/loss"].tolist())
    training = Training(epochs=stop, batch_size=16, dtype="float64")
    one, another = train([overfitting(training=training, early_stopping=Patience(patience=p)) for p in (3, 100)])
    assert_equal_numbers(numbers(one), numbers(another), "a training that stops with the last epoch")


def test_every_early_stopping_of_the_table_starts_without_an_opinion() -> None:
    for cls in EARLY_STOPPINGS.values():
        assert not cls().ends(start())
