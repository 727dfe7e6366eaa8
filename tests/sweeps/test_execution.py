"""Execution: a trial's numbers do not depend on its stack, its slices, on how many workers there are, or on
interruptions."""

from __future__ import annotations

import csv
import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from nnexp.data.sources import Blobs
from nnexp.network.activations import Tanh
from nnexp.network.architecture import MLP
from nnexp.network.averaging import EMA
from nnexp.network.dropout import InvertedDropout
from nnexp.network.losses import MeanSquaredError
from nnexp.network.optimizers import SGD, Adam, Momentum, RMSprop
from nnexp.network.penalties import L2
from nnexp.sweeps import execution, stacks
from nnexp.sweeps.files import trial_folder
from nnexp.sweeps.interrupts import Halt, Interrupts
from nnexp.testing.contracts import Numbers, assert_equal_numbers
from nnexp.testing.trials import small
from nnexp.training import Training, train
from nnexp.training.stopping import Patience
from tests.sweeps.executed import Sweep, Told, alone

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


@pytest.fixture(scope="module")
def control() -> list[Numbers]:
    """Train each trial by itself, in this process."""
    return [alone(config) for config in MIXED]


@pytest.fixture(scope="module")
def on_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sweep, Told]:
    """Train all of them on two workers."""
    sweep = Sweep(MIXED, tmp_path_factory.mktemp("two"))
    halt, told = sweep.execute(workers=2)
    assert halt is None
    return sweep, told


@pytest.fixture
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every slice be an epoch, and every slice be saved."""
    monkeypatch.setattr(stacks, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(stacks, "FIRST_SLICE_EPOCHS", 1)
    monkeypatch.setattr(execution, "SAVE_SECONDS", 0.0)


def assert_control(sweep: Sweep, control: list[Numbers]) -> None:
    """Every trial has the numbers that it has by itself, bit for bit, and nothing of its training is left."""
    for number, (found, expected) in enumerate(zip(sweep.numbers(), control, strict=True)):
        assert_equal_numbers(found, expected, f"trial {number}")
    assert sweep.stacks() == 0


def test_the_trials_are_of_every_kind(control: list[Numbers]) -> None:
    assert {numbers["outcome"] for numbers in control} == {b"finished", b"diverged"}
    assert {numbers["epochs"] for numbers in control} >= {b"[]", b"[1]", b"[1, 2, 3]", b"[1, 2, 3, 4, 5, 6, 7]"}


def test_numbers_on_two_workers_are_those_of_each_trial_alone(
    on_two: tuple[Sweep, Told], control: list[Numbers]
) -> None:
    assert max(each.result.stack_width for each in on_two[0].standing() if each.result) > 2
    assert_control(on_two[0], control)


def test_numbers_on_one_worker_are_those_of_each_trial_alone(tmp_path: Path, control: list[Numbers]) -> None:
    sweep = Sweep(MIXED, tmp_path)
    assert sweep.execute(workers=1)[0] is None
    assert_control(sweep, control)


@pytest.mark.usefixtures("short_slices")
@pytest.mark.parametrize("seed", range(2))
def test_numbers_after_interruptions_are_those_of_each_trial_alone(
    tmp_path: Path, control: list[Numbers], seed: int
) -> None:
    sweep, draw, halts = Sweep(MIXED, tmp_path), random.Random(seed), list[Halt | None]()
    while True:
        interrupts = Interrupts()
        halt, told = sweep.execute(
            workers=draw.choice((1, 2)), interrupts=interrupts, then=_after(draw.randrange(1, 9), interrupts)
        )
        stands = sweep.standing()
        assert {each.state for each in stands} <= {"planned", "stopped", "finished", "diverged"}
        assert len(halts) < 30
        halts.append(halt)
        if halt is None:
            break
        assert halt.cause == "interrupted"
        stopped = {each.key for each in stands if each.state == "stopped"}
        assert {each.key for each in told.ends if each.state == "stopped"} <= stopped
    assert len(halts) > 2
    assert max(each.attempts for each in sweep.standing()) > 1
    assert_control(sweep, control)


def _after(slices: int, interrupts: Interrupts) -> Callable[[Told], None]:
    def interrupt(told: Told) -> None:
        if len(told.progress) == slices:
            interrupts.interrupt()

    return interrupt


def test_a_trial_is_told_once_and_progress_grows_to_the_end(on_two: tuple[Sweep, Told]) -> None:
    sweep, told = on_two
    assert sorted(each.key for each in told.ends) == sorted(trial.key for trial in sweep.plan.trials)
    shares, epochs = [each.share for each in told.progress], [each.epochs for each in told.progress]
    assert shares == sorted(shares)
    assert epochs == sorted(epochs)
    last = told.progress[-1]
    assert (last.share, last.running, last.finished + last.diverged) == (1.0, 0, len(MIXED))
    assert last.epochs == sum(each.epoch for each in sweep.standing())


def test_a_result_says_what_it_cost(on_two: tuple[Sweep, Told]) -> None:
    sweep, _ = on_two
    for each, history in zip(sweep.standing(), sweep.histories(), strict=True):
        result = each.result
        assert result is not None
        assert result.costs["wall_seconds"] > 0
        assert result.costs["cpu_seconds"] >= 0
        assert list(history.times) == sorted(history.times)
        assert all(result.started_at <= time <= result.ended_at for time in history.times)
    for trial, each in zip(sweep.plan.trials, sweep.standing(), strict=True):
        (by_itself,) = train([trial.config])
        assert each.result is not None
        assert set(each.result.costs) == set(by_itself.costs)
        for name in ("steps", "examples", "parameters", "flops", "array_bytes"):
            assert each.result.costs[name] == by_itself.costs[name]


def test_a_folder_holds_whole_trials_and_nothing_else(on_two: tuple[Sweep, Told]) -> None:
    sweep, _ = on_two
    assert {path.name for path in (sweep.folder / "trials").iterdir()} == {t.key[:16] for t in sweep.plan.trials}
    for trial, each in zip(sweep.plan.trials, sweep.standing(), strict=True):
        files = {path.name: path.read_bytes() for path in trial_folder(sweep.folder, trial.key).iterdir()}
        counted = {"confusion.csv"} if each.state == "finished" else set()
        averaged = {"average.npz"} if trial.config.averaging.keeps else set()
        assert set(files) == {"config.yaml", "history.csv", "weights.npz"} | counted | averaged
        assert each.result is not None
        assert each.result.files == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def test_the_confusion_of_a_folder_is_that_of_the_trial_alone(on_two: tuple[Sweep, Told]) -> None:
    sweep, _ = on_two
    ended = zip(sweep.plan.trials, sweep.standing(), strict=True)
    for trial in (trial for trial, each in ended if each.state == "finished"):
        (by_itself,) = train([trial.config])
        with (trial_folder(sweep.folder, trial.key) / "confusion.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        classes = trial.config.dataset.classes or 0
        assert [(row["part"], int(row["true"])) for row in rows] == [
            (part, label) for part in ("validation", "test") for label in range(classes)
        ]
        for row in rows:
            counts = [int(row[f"predicted_{label}"]) for label in range(classes)]
            assert counts == by_itself.confusion[row["part"]][int(row["true"])].tolist()
