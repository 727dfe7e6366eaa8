"""A step allocates nothing that grows with parameters or activations, whatever it is made of."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnexp.component import Component
from nnexp.config.registration import KINDS
from nnexp.data.prepared import prepare
from nnexp.data.sources import Blobs, Moons, MultiLabel
from nnexp.network.activations import ACTIVATIONS, ReLU
from nnexp.network.architecture import MLP
from nnexp.network.losses import LOSSES
from nnexp.testing.checks import placed
from nnexp.testing.variations import acting
from nnexp.training import Training, TrialConfig
from nnexp.training.running import Run
from nnexp.training.stacking import form_problem
from nnexp.training.state import begin

WIDTH, UNITS, EXAMPLES = 6, 160, 200
ACTIVATION_BYTES = WIDTH * UNITS * EXAMPLES * 4  # 768 kB, of one layer; its weights take 617 kB
# NumPy's iterators hold 8,192 elements of each operand that does not lie together, however large it is
MOST_BYTES = 8192 * 4 * 5

STEPPED = ("optimizer", "normalization", "dropout", "l2", "l1", "max_norm", "clip", "schedule", "averaging")
CASES = [
    *(pytest.param(kind, cls, id=f"{kind}-{name}") for kind in STEPPED for name, cls in KINDS[kind].builtin.items()),
    *(pytest.param("loss", cls, id=f"loss-{name}") for name, cls in LOSSES.builtin.items()),
]


def step_bytes(trial: TrialConfig) -> int:
    """Return the most that the fourth step of a stack allocates at once."""
    trials = [replace(trial, seed=seed) for seed in range(WIDTH)]
    problem, _ = form_problem(trials, prepare(trial.dataset, range(WIDTH), trial.training.dtype))
    run = Run(problem, begin(problem))
    run.prepare(1)
    batches = list(zip(range(5), run.batches.epoch(1), strict=False))
    with np.errstate(all="ignore"):
        for number, (rows, targets) in batches[:3]:
            run.step(number, rows, targets)
        number, (rows, targets) = batches[3]
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            run.step(number, rows, targets)
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()


def large(trial: TrialConfig, activation: Any = None) -> TrialConfig:
    """Return the trial with much larger layers and batches."""
    source = trial.dataset
    if trial.loss.target_kind == "multi":
        source = MultiLabel(examples=1600, features=4, labels=3)
    elif trial.loss.target_kind == "binary":
        source = Moons(examples=1600)
    elif source.classes:
        source = Blobs(examples=1600)
    activation = activation or ReLU()
    architecture = MLP(hidden=(UNITS, UNITS), activation=activation)
    return replace(trial, dataset=source, architecture=architecture, training=Training(epochs=3, batch_size=EXAMPLES))


@pytest.mark.parametrize(("kind", "cls"), CASES)
def test_a_step_allocates_nothing_that_grows(kind: str, cls: type[Component]) -> None:
    for component in {cls(), acting(cls)}:
        trial = placed(kind, component)
        assert step_bytes(large(replace(trial, early_stopping=TrialConfig().early_stopping))) < MOST_BYTES


@pytest.mark.parametrize("name", sorted(ACTIVATIONS.builtin))
def test_an_activation_allocates_nothing_that_grows(name: str) -> None:
    assert step_bytes(large(placed("optimizer", TrialConfig().optimizer), acting(ACTIVATIONS[name]))) < MOST_BYTES


def test_an_array_of_a_layers_size_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ACTIVATION_BYTES > 2 * MOST_BYTES
    forward = ReLU.forward

    def wasteful(self: ReLU, Z: Any, spare: Any) -> None:
        forward(self, Z + 0, spare)
        np.maximum(Z, 0, out=Z)

    monkeypatch.setattr(ReLU, "forward", wasteful)
    assert step_bytes(large(placed("optimizer", TrialConfig().optimizer))) > MOST_BYTES
