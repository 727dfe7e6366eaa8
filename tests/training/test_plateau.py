"""Schedules that watch the objective: what they remember is part of a stack's state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from nnexp.data.prepared import prepare
from nnexp.network.optimizers import SGD, Adam, Muon, Optimizer
from nnexp.network.schedules import ReduceOnPlateau, Schedule, Times
from nnexp.testing.contracts import assert_alone, assert_equal_numbers, assert_slices, numbers
from nnexp.testing.trials import overfitting
from nnexp.training import Training, TrialConfig, train
from nnexp.training.stacking import form_problem

# nothing improves by half of the best, so that lr halves after each recorded epoch but the first
EAGER = ReduceOnPlateau(factor=0.5, patience=0, threshold=0.9)


@dataclass(frozen=True, kw_only=True)
class Given(Schedule):
    """A factor for each epoch, as given."""

    name: ClassVar[str] = "given"
    of_epoch: tuple[float, ...] = ()

    def course(self, time: Times, end: float, tick: float) -> Any:
        return np.array(self.of_epoch)[np.floor(time + 1e-9).astype(int)]


@pytest.mark.parametrize("optimizer", [SGD(lr=0.5), Muon(adamw_lr=0.002)], ids=["sgd", "muon"])
@pytest.mark.parametrize("record_every", [1, 2])
def test_lr_falls_after_what_was_recorded(record_every: int, optimizer: Optimizer) -> None:
    training = Training(epochs=7, batch_size=16, dtype="float64", record_every=record_every)
    trial = overfitting(training=training, optimizer=optimizer, schedule=EAGER)
    known = {1: (1.0, 1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125), 2: (1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125)}
    watched, given = train([trial, replace(trial, schedule=Given(of_epoch=known[record_every]))])
    assert_equal_numbers(numbers(watched), numbers(given), "a training whose lr falls on a plateau")


def mixed() -> list[TrialConfig]:
    """Return trials whose rates fall at different epochs, or not."""
    patient = ReduceOnPlateau(factor=0.1, patience=2, cooldown=1, warmup=1.5)
    choices: list[dict[str, Any]] = [
        {"schedule": EAGER},
        {},
        {"schedule": patient, "seed": 1},
        {"schedule": EAGER, "optimizer": SGD(lr=1e200)},
        {"schedule": patient, "optimizer": SGD(lr=2.0)},
    ]
    return [overfitting(optimizer=choice.pop("optimizer", Adam(lr=0.1)), **choice) for choice in choices]


def test_a_plateau_is_a_replicas_own() -> None:
    assert_alone(mixed())


@pytest.mark.parametrize("cuts", [[1] * 8, [3, 5, 2]])
def test_slices_do_not_change_when_lr_falls(cuts: list[int]) -> None:
    trials = mixed()
    problem, _ = form_problem(trials, prepare(trials[0].dataset, [0, 1], "float64"))
    assert_slices(problem, cuts)
