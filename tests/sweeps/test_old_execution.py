"""Execution: a trial's numbers do not depend on its stack, its slices, or on how many workers there are."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnexp.data.prepared import Data, store
from nnexp.data.sources import Blobs
from nnexp.errors import NnexpError
from nnexp.network.activations import Tanh
from nnexp.network.architecture import MLP
from nnexp.network.averaging import EMA
from nnexp.network.dropout import InvertedDropout
from nnexp.network.losses import MeanSquaredError
from nnexp.network.optimizers import SGD, Adam, Momentum, RMSprop
from nnexp.network.penalties import L2
from nnexp.sweeps import old_execution as execution
from nnexp.sweeps.files import trial_folder
from nnexp.sweeps.grouping import group
from nnexp.sweeps.old_execution import Progress, execute
from nnexp.sweeps.old_ledger import Ledger, TrialResult
from nnexp.sweeps.plan import DataKey, Plan, make_plan
from nnexp.testing.contracts import Numbers, assert_equal_numbers
from nnexp.testing.trials import small
from nnexp.training import Training, TrialConfig, train
from nnexp.training.stopping import Patience

MIXED = [
    small(seed=seed, **settings)
    for settings in (
        {"optimizer": SGD(lr=0.5), "l2": L2(strength=0.1)},
        {"optimizer": SGD(lr=1e4), "loss": MeanSquaredError(), "architecture": MLP(hidden=())},  # diverges in epoch 2
        {"optimizer": SGD(lr=1e30)},  # diverges in epoch 1
        {"optimizer": Momentum(), "dropout": InvertedDropout(keep=0.8)},
        {"optimizer": RMSprop(lr=0.01), "l2": L2(strength=0.2), "dropout": InvertedDropout(keep=(0.5, 1.0))},
        {"optimizer": Adam(lr=0.01), "training": Training(epochs=7, batch_size=16)},
        {"optimizer": Adam(lr=0.01), "training": Training(epochs=7, batch_size="full", dtype="float64")},
        {"architecture": MLP(hidden=(6,), activation=Tanh()), "dataset": Blobs(examples=60, split_seed="trial")},
        {"averaging": EMA(decay=0.9), "early_stopping": Patience(patience=2), "training": Training(epochs=9)},
    )
    for seed in (0, 1)
]


@dataclass
class Executed:
    """What came of a plan, and what was told while it was executed."""

    plan: Plan
    results: dict[str, TrialResult]
    folder: Path
    told: list[list[str]] = field(default_factory=list)
    progress: list[tuple[int, int]] = field(default_factory=list)

    def parameters(self, key: str, kind: str) -> dict[str, Any]:
        """Return the parameters in a trial's `weights.npz` or `average.npz`; none if there is no such file."""
        path = trial_folder(self.folder, key) / f"{kind}.npz"
        if not path.exists():
            return {}
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    def numbers(self, key: str) -> Numbers:
        """Return all numbers of a trial, as bytes by name."""
        result = self.results[key]
        found = {f"best {name}": _bytes(values) for name, values in self.parameters(key, "weights").items()}
        found |= {f"average {name}": _bytes(values) for name, values in self.parameters(key, "average").items()}
        found |= {f"history {name}": _bytes(np.array(values)) for name, values in result.history.items()}
        found |= {f"summary {name}": _bytes(np.float64(value)) for name, value in result.summary.items()}
        return found | {"outcome": result.outcome.encode(), "epochs": repr(result.epochs).encode()}


def _bytes(array: Any) -> bytes:
    return f"{array.dtype.str} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes()


def planned(configs: Sequence[TrialConfig], folder: Path) -> tuple[Plan, dict[DataKey, Data]]:
    """Return a plan, and its data stored as workers need them."""
    plan, data = make_plan("name", [(config, {"trial": str(number)}) for number, config in enumerate(configs)])
    return plan, {key: store(each, folder / f"data{number}") for number, (key, each) in enumerate(data.items())}


def executed(
    configs: Sequence[TrialConfig],
    root: Path,
    *,
    workers: int,
    stacks: Callable[[Any, Any, int], Any] = group,
    while_running: Callable[[], None] = lambda: None,
) -> Executed:
    """Execute trials and return what came of them, as the ledger has it."""
    folder = root / "sweep"
    plan, data = planned(configs, folder)
    ledger = Ledger(root / "ledger.db")
    done = Executed(plan, {}, folder)

    def finished(results: dict[str, TrialResult]) -> None:
        there = ledger.results(plan.id)
        assert all(there[key] == result for key, result in results.items()), "told before it was in the ledger"
        assert all((trial_folder(folder, key) / "weights.npz").exists() for key in results)
        done.told.append(list(results))

    def show(progress: Progress) -> None:
        done.progress.append((progress.trials_done, progress.epochs_done))
        while_running()

    try:
        ledger.add(plan, "code")
        hands = stacks(plan.trials, data, workers)
        execute(plan, hands, data, ledger=ledger, folder=folder, workers=workers, finished=finished, show=show)
    finally:
        done.results = ledger.results(plan.id)
        ledger.close()
    return done


@pytest.fixture(scope="module")
def alone() -> list[Numbers]:
    """Train each trial by itself, in this process."""
    found = []
    for config in MIXED:
        (result,) = train([config.resolved()])
        numbers = {f"best {name}": _bytes(values) for name, values in result.best.items()}
        numbers |= {f"average {name}": _bytes(values) for name, values in (result.average or {}).items()}
        numbers |= {f"history {name}": _bytes(values) for name, values in result.history.items()}
        numbers |= {f"summary {name}": _bytes(np.float64(value)) for name, value in result.summary.items()}
        found.append(numbers | {"outcome": result.outcome.encode(), "epochs": repr(result.epochs.tolist()).encode()})
    return found


@pytest.fixture(scope="module")
def on_two(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    return executed(MIXED, tmp_path_factory.mktemp("two"), workers=2)


def assert_alone(done: Executed, alone: list[Numbers]) -> None:
    """Every trial has the numbers that it has by itself, bit for bit."""
    assert len(done.results) == len(MIXED)
    for trial, expected in zip(done.plan.trials, alone, strict=True):
        assert_equal_numbers(done.numbers(trial.key), expected, f"trial {trial.position}")


def test_the_trials_are_of_every_kind(alone: list[Numbers]) -> None:
    assert {numbers["outcome"] for numbers in alone} == {b"finished", b"diverged"}
    assert {numbers["epochs"] for numbers in alone} >= {b"[]", b"[1]", b"[1, 2, 3]", b"[1, 2, 3, 4, 5, 6, 7]"}


def test_numbers_on_two_workers_are_those_of_each_trial_alone(on_two: Executed, alone: list[Numbers]) -> None:
    assert max(result.stack_width for result in on_two.results.values()) > 2
    assert_alone(on_two, alone)


def test_numbers_on_one_worker_are_those_of_each_trial_alone(tmp_path: Path, alone: list[Numbers]) -> None:
    assert_alone(executed(MIXED, tmp_path, workers=1), alone)


def test_numbers_of_slices_of_one_epoch_are_those_of_each_trial_alone(
    tmp_path: Path, alone: list[Numbers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(execution, "FIRST_SLICE_EPOCHS", 1)
    monkeypatch.setattr(execution.Stack, "epochs", 1)

    def narrow(trials: Any, data: Any, workers: int) -> Any:
        return [part for stack in group(trials, data, workers) for part in (stack[::2], stack[1::2]) if part]

    done = executed(MIXED, tmp_path, workers=2, stacks=narrow)
    assert_alone(done, alone)
    assert len(done.progress) > 30  # so many slices


def test_a_trial_is_told_once_when_it_is_in_the_ledger(on_two: Executed) -> None:
    told = [key for keys in on_two.told for key in keys]
    assert sorted(told) == sorted(on_two.results)


def test_progress_grows_to_the_end(on_two: Executed) -> None:
    trials, epochs = zip(*on_two.progress, strict=True)
    assert list(trials) == sorted(trials)
    assert list(epochs) == sorted(epochs)
    assert trials[-1] == len(MIXED)
    assert epochs[-1] == sum(config.training.epochs for config in MIXED)


def test_a_result_says_what_it_cost(on_two: Executed) -> None:
    for result in on_two.results.values():
        assert result.costs["wall_seconds"] > 0
        assert result.costs["cpu_seconds"] >= 0
        assert result.started_at <= result.ended_at
        assert result.times == sorted(result.times)
        assert all(result.started_at <= each <= result.ended_at for each in result.times)
        assert len(result.times) == len(result.epochs)


def test_a_folder_holds_whole_trials_and_nothing_else(on_two: Executed) -> None:
    folders = {path.name for path in (on_two.folder / "trials").iterdir()}
    assert folders == {key[:16] for key in on_two.results}
    positions = {trial.key: trial.position for trial in on_two.plan.trials}
    for key, position in positions.items():
        names = {path.name for path in trial_folder(on_two.folder, key).iterdir()}
        counted = {"confusion.csv"} if on_two.results[key].outcome == "finished" else set()
        averaged = {"average.npz"} if on_two.plan.trials[position].config.averaging.keeps else set()
        assert names == {"config.yaml", "history.csv", "weights.npz"} | counted | averaged


def test_the_confusion_of_a_folder_is_that_of_the_trial_alone(on_two: Executed) -> None:
    for trial in (trial for trial in on_two.plan.trials if on_two.results[trial.key].outcome == "finished"):
        (alone,) = train([trial.config])
        with (trial_folder(on_two.folder, trial.key) / "confusion.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        classes = trial.config.dataset.classes or 0
        assert [(row["part"], int(row["true"])) for row in rows] == [
            (part, label) for part in ("validation", "test") for label in range(classes)
        ]
        for row in rows:
            counts = [int(row[f"predicted_{label}"]) for label in range(classes)]
            assert counts == alone.confusion[row["part"]][int(row["true"])].tolist()


def test_the_counted_costs_are_those_of_each_trial_alone(on_two: Executed) -> None:
    for trial in on_two.plan.trials:
        (alone,) = train([trial.config])
        found = on_two.results[trial.key].costs
        assert set(found) == set(alone.costs)
        for name in ("steps", "examples", "parameters", "flops", "array_bytes"):
            assert found[name] == alone.costs[name]


def test_a_worker_that_fails_is_named_in_one_line_and_what_finished_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [small(), small(architecture=MLP(hidden=(3,)), dataset=Blobs(examples=60))]

    def lose_the_data() -> None:
        shutil.rmtree(tmp_path / "sweep" / "data1", ignore_errors=True)

    with pytest.raises(NnexpError, match="same command goes on") as caught:
        executed(configs, tmp_path, workers=1, while_running=lose_the_data)
    assert "FileNotFoundError" in str(caught.value)
    assert "\n" not in str(caught.value)
    ledger = Ledger(tmp_path / "ledger.db")
    assert len(ledger.results(planned(configs, tmp_path / "again")[0].id)) == 1
    ledger.close()
