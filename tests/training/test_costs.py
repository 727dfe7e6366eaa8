"""Costs: counts worked by hand, the same in every stack; time shared out by work; memory of the process."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnexp.data.prepared import prepare
from nnexp.data.sources import Blobs, Moons
from nnexp.network.architecture import MLP
from nnexp.network.averaging import EMA
from nnexp.network.clipping import ClipNorm, ClipValue
from nnexp.network.constraints import UnitMaxNorm
from nnexp.network.dropout import InvertedDropout
from nnexp.network.muon import Muon
from nnexp.network.normalization import BatchNorm
from nnexp.network.optimizers import SGD, Adam, Momentum
from nnexp.network.penalties import L1, L2
from nnexp.testing.trials import regression, small
from nnexp.training import Training, TrialConfig, costs, train
from nnexp.training.advance import advance
from nnexp.training.stacking import form_problem
from nnexp.training.state import Spent, begin
from nnexp.training.stopping import Patience
from tests.runs import run

COUNTS = {"steps", "examples", "parameters", "flops", "array_bytes"}
MEASURED = {"wall_seconds", "cpu_seconds", "peak_bytes"}


def counted(trial: TrialConfig) -> dict[str, float]:
    """Return the counts of a trial that trains alone."""
    (result,) = train([trial])
    return {name: result.costs[name] for name in COUNTS}


def test_counts_are_those_worked_by_hand() -> None:
    trial = small(architecture=MLP(hidden=(5,)), optimizer=SGD(lr=0.1))  # 2-5-2; 36 examples in steps of 16, 16, 4
    found = counted(trial)
    products = 2 * 5 * 3 * 2 + 2 * 2 * 6 * 2 + 2 * 2 * 5  # forward and weights' gradients of both layers, dA of one
    units = costs.PER_HIDDEN_UNIT * 5 + costs.PER_OUTPUT * 2
    parameters = 5 * 3 + 2 * 6
    assert found["flops"] == 3 * (36 * (products + units) + 3 * parameters * costs.PER_PARAMETER)
    assert (found["steps"], found["examples"], found["parameters"]) == (9, 108, parameters)
    assert found["array_bytes"] == 4 * (3 * parameters + 16 * (3 + 2 * 7))


def test_the_products_of_muon_are_counted_for_hidden_weights_alone() -> None:
    network = MLP(hidden=(5, 4))
    seldom, often = (counted(small(architecture=network, optimizer=Muon(ns_steps=steps)))["flops"] for steps in (1, 2))
    products = 4 * 2**2 * 5 + 2 * 2**3 + 4 * 4**2 * 5 + 2 * 4**3  # of 5 x 2 and 4 x 5
    assert often - seldom == 9 * products


MORE_WORK: dict[str, dict[str, Any]] = {
    "slots": {"optimizer": Momentum(lr=0.1)},
    "products of an optimizer": {"optimizer": Muon()},
    "more slots": {"optimizer": Adam(lr=0.1)},
    "weight decay": {"optimizer": SGD(lr=0.1, weight_decay=0.1)},
    "dropout": {"dropout": InvertedDropout(keep=0.5)},
    "dropout of inputs": {"dropout": InvertedDropout(input_keep=0.5)},
    "l2": {"l2": L2(strength=0.1)},
    "l1": {"l1": L1(strength=0.1)},
    "norm": {"clip": ClipNorm()},
    "value": {"clip": ClipValue()},
    "max norm": {"max_norm": UnitMaxNorm()},
    "average": {"averaging": EMA()},
    "normalization": {"normalization": BatchNorm()},
    "units": {"architecture": MLP(hidden=(6, 4))},
    "a layer": {"architecture": MLP(hidden=(5, 4, 4))},
    "epochs": {"training": Training(epochs=4, batch_size=16)},
    "steps": {"training": Training(epochs=3, batch_size=8)},
    "examples": {"dataset": Moons(examples=70)},
    "classes": {"dataset": Blobs(examples=60)},
}


@pytest.mark.parametrize("what", MORE_WORK)
def test_what_is_more_work_counts_as_more(what: str) -> None:
    trial = small(optimizer=SGD(lr=0.1))
    assert counted(replace(trial, **MORE_WORK[what]))["flops"] > counted(trial)["flops"]


@pytest.mark.parametrize("what", ["slots", "average", "units", "examples"])
def test_twice_the_bytes_a_number_are_twice_the_bytes(what: str) -> None:
    settings = {"batch_size": "full", **MORE_WORK[what]} if what == "examples" else MORE_WORK[what]
    size = settings.pop("batch_size", 16)
    narrow = small(**{"optimizer": SGD(lr=0.1), "training": Training(batch_size=size, epochs=1)} | settings)
    wide = replace(narrow, training=replace(narrow.training, dtype="float64"))
    plain = small(optimizer=SGD(lr=0.1), training=narrow.training)
    assert counted(wide)["array_bytes"] == 2 * counted(narrow)["array_bytes"] > 2 * counted(plain)["array_bytes"]


def test_counts_do_not_depend_on_the_stack() -> None:
    trials = [
        small(seed=seed, optimizer=optimizer, dropout=dropout)
        for seed, optimizer in enumerate((SGD(lr=0.1), Adam(), Momentum()))
        for dropout in (InvertedDropout(), InvertedDropout(keep=0.5))
    ]
    for trial, result in zip(trials, train(trials), strict=True):
        assert {name: result.costs[name] for name in COUNTS} == counted(trial)


def test_a_training_that_ends_early_or_diverges_costs_what_it_did() -> None:
    long = Training(epochs=9, batch_size=16)
    trials = [
        small(training=long, optimizer=SGD(lr=1e-30), early_stopping=Patience(patience=2)),
        small(training=long, optimizer=SGD(lr=1e38)),
        small(training=long),
    ]
    stopped, diverged, whole = train(trials)
    assert (stopped.summary["epoch_stopped"], diverged.outcome, whole.outcome) == (3, "diverged", "finished")
    assert diverged.costs["steps"] < whole.costs["steps"]
    assert (stopped.costs["steps"], whole.costs["steps"]) == (9, 27)
    for result in (stopped, diverged):
        epochs = result.costs["steps"] / 3
        assert result.costs["examples"] == 36 * epochs
        assert (
            result.costs["flops"]
            == counted(replace(result.config, training=replace(long, epochs=int(epochs))))["flops"]
        )


def test_time_is_shared_out_by_work() -> None:
    trials = [small(optimizer=SGD(lr=0.1)), small(optimizer=Adam(), dropout=InvertedDropout(keep=0.5))]
    light, heavy = train(trials)
    for name in ("wall_seconds", "cpu_seconds"):
        ratio = heavy.costs["flops"] / light.costs["flops"]
        assert heavy.costs[name] / light.costs[name] == pytest.approx(ratio, rel=1e-9)


def test_a_replica_that_left_spends_nothing_any_more() -> None:
    trials = [small(optimizer=SGD(lr=1e38)), small(optimizer=SGD(lr=0.1))]
    problem, (gone, stays) = form_problem(trials, prepare(trials[0].dataset, [0], "float32"))
    state, first = advance(problem, begin(problem), 1)
    _, second = advance(problem, state, 1)
    assert (set(first.spent.wall_seconds), set(second.spent.wall_seconds)) == ({gone, stays}, {stays})


def test_what_slices_spent_adds_up_and_the_most_memory_is_the_largest() -> None:
    spent = Spent()
    assert spent.of(0) == {}
    spent.add(Spent({0: 1.0, 1: 2.0}, {0: 0.5}, 100))
    spent.add(Spent({0: 1.0}, {0: 0.5}, 300))
    spent.add(Spent({}, {}, None))
    assert spent.of(0) == {"wall_seconds": 2.0, "cpu_seconds": 1.0, "peak_bytes": 300}
    assert spent.of(1) == {"wall_seconds": 2.0, "peak_bytes": 300}


def test_a_result_has_its_costs_by_name() -> None:
    for trial in (small(), regression()):
        (result,) = train([trial])
        assert set(result.costs) - {"peak_bytes"} == COUNTS | MEASURED - {"peak_bytes"}
        assert all(np.isfinite(value) and value >= 0 for value in result.costs.values())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say")
def test_the_most_memory_is_that_of_the_process_and_not_of_its_parent(tmp_path: Path) -> None:
    held = np.ones(150 << 17)  # 150 MB
    say = "from nnexp.training.costs import peak_bytes; before = peak_bytes(); held = b'1' * (100 << 20); {}"
    program = (sys.executable, "-c", say.format("print(before, peak_bytes())"))
    before, after = map(int, run(folder=tmp_path, program=program).out.split())
    assert 80 << 20 < after - before < 120 << 20
    mine = costs.peak_bytes()
    assert mine is not None
    assert mine > held.nbytes
    if sys.platform == "linux":
        assert before < held.nbytes
