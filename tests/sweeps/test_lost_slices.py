"""Slices that are lost: what harms a worker costs a slice, then the trial that does it, and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from nnexp.sweeps import execution, limits, stacks
from nnexp.sweeps.files import trial_folder
from nnexp.testing.contracts import assert_equal_numbers
from nnexp.testing.trials import small
from nnexp.training import Training
from tests.sweeps.executed import Sweep, Told, alone
from tests.sweeps.poison import Poison

LENGTH = Training(epochs=6, batch_size=16)


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let slices be of two epochs at most, each be saved, and hanging be found out soon."""
    monkeypatch.setattr(stacks, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(execution, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(limits, "GRACE_SECONDS", 0.5)


def poisoned(root: Path, width: int = 4, **poison: Any) -> Sweep:
    """Return a sweep of one stack whose trial 1 is poisoned."""
    configs = [small(seed=seed, training=LENGTH) for seed in range(width)]
    configs[width > 1] = small(seed=int(width > 1), training=LENGTH, schedule=Poison(**poison))
    return Sweep(configs, root)


def assert_only_one_failed(sweep: Sweep, told: Told, reason: str) -> None:
    """Trial 1 failed for a reason that is told once; the others have the numbers that they have alone."""
    states = sweep.standing()
    place = int(len(states) > 1)
    assert [each.state for each in states] == ["failed" if n == place else "finished" for n in range(len(states))]
    (failure,) = told.failures
    assert (failure.label, failure.reason) == (f"trial={place}", reason)
    result = states[place].result
    assert result is not None
    assert (states[place].note, result.reason, result.outcome) == (reason, reason, "failed")
    assert told.progress[-1].failures == (failure,)
    assert (told.progress[-1].failed, told.progress[-1].share, told.progress[-1].running) == (1, 1.0, 0)
    for number, numbers in enumerate(sweep.numbers()):
        if number != place:
            assert_equal_numbers(numbers, alone(sweep.plan.trials[number].config), f"trial {number}")


@pytest.mark.parametrize("epoch", [1, 5])
def test_a_trial_that_kills_its_worker_fails_and_the_others_of_its_stack_finish(tmp_path: Path, epoch: int) -> None:
    sweep = poisoned(tmp_path, kind="kill", epoch=epoch)
    halt, told = sweep.execute(workers=1)
    assert halt is None
    assert_only_one_failed(sweep, told, "worker killed by SIGKILL")
    assert told.notes == [
        "trial=0 and 3 more: worker killed by SIGKILL; the slice is trained again",
        "trial=0 and 3 more: worker killed by SIGKILL; the stack is halved",
        "trial=3 and 1 more: worker killed by SIGKILL; the slice is trained again",
        "trial=3 and 1 more: worker killed by SIGKILL; the stack is halved",
        "trial=1: worker killed by SIGKILL; the slice is trained again",
    ]


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("crash", {}, "worker killed by SIGSEGV"),
        ("exit", {}, "worker ended with exit code 3"),
        ("hang", {"trial_seconds": 1.0}, "no answer for 1.5 s"),
        (
            "hold",
            {"memory_mb": 512},
            "MemoryError: Unable to allocate 4.00 GiB for an array with shape (4294967296,) and data type uint8 "
            "(executor.memory_mb=512)",
        ),
    ],
)
def test_a_trial_alone_is_tried_once_more_and_fails_with_the_reason(
    tmp_path: Path, kind: str, settings: dict[str, Any], reason: str
) -> None:
    sweep = poisoned(tmp_path, 1, kind=kind, folder=str(tmp_path))
    halt, told = sweep.execute(workers=1, **settings)
    assert halt is None
    assert_only_one_failed(sweep, told, reason)
    assert len(list(tmp_path.glob("harm-*"))) == 2


@pytest.mark.parametrize("kind", ["kill", "raise"])
@pytest.mark.parametrize(("retries", "harms"), [(0, 1), (3, 4)])
def test_a_trial_alone_is_tried_as_often_as_told(tmp_path: Path, kind: str, retries: int, harms: int) -> None:
    sweep = poisoned(tmp_path, 1, kind=kind, folder=str(tmp_path))
    sweep.execute(workers=1, max_retries=retries)
    assert sweep.standing()[0].state == "failed"
    assert len(list(tmp_path.glob("harm-*"))) == harms


@pytest.mark.parametrize("epoch", [1, 5])
def test_an_exception_is_the_end_of_its_trial_with_the_traceback_in_its_files(tmp_path: Path, epoch: int) -> None:
    sweep = poisoned(tmp_path, kind="raise", epoch=epoch, folder=str(tmp_path))
    halt, told = sweep.execute(workers=1)
    assert halt is None
    assert_only_one_failed(sweep, told, "ValueError: no luck at all")
    assert len(list(tmp_path.glob("harm-*"))) == 4  # in the stack, in its half, twice alone
    failed = sweep.standing()[1]
    assert failed.result is not None
    assert failed.result.epoch == failed.epoch == epoch - 1  # slices are of two epochs, then of one
    files = {path.name: path.read_bytes() for path in trial_folder(sweep.folder, failed.key).iterdir()}
    assert set(files) == {"config.yaml", "history.csv", "traceback.txt"}
    assert failed.result.files == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert files["traceback.txt"].decode().splitlines()[-2:] == ["ValueError: no luck", "at all"]
    assert len(files["history.csv"].splitlines()) == epoch  # a header, and what came before


@pytest.mark.parametrize("kind", ["kill", "raise"])
def test_a_slice_that_is_lost_once_is_trained_again_bit_for_bit(tmp_path: Path, kind: str) -> None:
    sweep = poisoned(tmp_path, 2, kind=kind, epoch=5, times=1, folder=str(tmp_path))
    halt, told = sweep.execute(workers=2)
    assert (halt, told.failures) == (None, [])
    assert sweep.stacks() == 0
    for trial, numbers in zip(sweep.plan.trials, sweep.numbers(), strict=True):
        assert_equal_numbers(numbers, alone(trial.config), trial.label)


def test_losses_of_different_slices_are_not_added_up(tmp_path: Path) -> None:
    sweep = poisoned(tmp_path, 1, kind="kill", epoch=3, times=1, folder=str(tmp_path))
    later = Sweep(
        [small(seed=7, training=LENGTH, schedule=Poison(kind="kill", epoch=5, times=3, folder=str(tmp_path)))],
        tmp_path / "b",
    )
    assert sweep.execute(workers=1)[1].failures == []
    assert later.execute(workers=1, max_retries=2)[1].failures == []


def test_a_failed_trial_that_is_told_to_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    sweep = poisoned(tmp_path, 2, kind="raise", epoch=5, times=3, folder=str(tmp_path))
    _, told = sweep.execute(workers=1)
    assert [each.label for each in told.failures] == ["trial=1"]
    assert sweep.stacks() == 1
    assert sweep.execute(workers=1)[1].planned == []  # nothing to do
    sweep.plan_again(1)
    halt, told = sweep.execute(workers=1)
    assert (halt, told.planned) == (None, [([1], 1, 1)])
    assert told.progress[-1].epochs == 2
    assert sweep.stacks() == 0
    assert_equal_numbers(sweep.numbers()[1], alone(sweep.plan.trials[1].config), "trial 1")


def many(root: Path, *poisoned: int, longest: int = 12) -> Sweep:
    """Return a sweep of eight stacks of one trial each, some of them poisoned. longest: epochs of the first."""
    return Sweep(
        [
            small(
                seed=number, training=Training(epochs=12 - number if number else longest, batch_size=16),
                **({"schedule": Poison(kind="raise", epoch=3)} if number in poisoned else {}),
            )
            for number in range(8)
        ],
        root,
    )  # fmt: skip


def test_a_failure_ends_the_run_where_it_is_told_to(tmp_path: Path) -> None:
    sweep = many(tmp_path, 1)
    halt, told = sweep.execute(workers=1, on_error="stop")
    assert halt is not None
    assert halt.cause == "on_error"
    assert [each.state for each in sweep.standing()] == ["finished", "failed", *["planned"] * 6]
    assert told.notes[-1] == f"{halt.text}: stopping at the next slice"
    halt, _ = sweep.execute(workers=1, on_error="stop")
    assert halt is None
    assert [each.state for each in sweep.standing()] == ["finished", "failed", *["finished"] * 6]


def test_a_failure_stops_what_is_under_way_beside_it(tmp_path: Path) -> None:
    sweep = many(tmp_path, 1, longest=10**6)
    halt, told = sweep.execute(workers=2, on_error="stop")
    assert halt is not None
    first, second, *others = sweep.standing()
    assert (first.state, second.state) == ("stopped", "failed")
    assert {each.state for each in others} == {"planned"}
    assert first.note == halt.text
    assert [(each.label, each.state, each.reason) for each in told.ends] == [("trial=0", "stopped", halt.text)]
    assert sweep.stacks() == 2  # that of the failed one stays


def test_failures_one_after_another_end_the_run(tmp_path: Path) -> None:
    sweep = many(tmp_path, 0, 2, 3, 4, 5)
    halt, _ = sweep.execute(workers=1, max_consecutive_failures=3, max_retries=0)
    assert halt is not None
    assert halt.cause == "max_consecutive_failures"
    ended = ["failed", "finished", "failed", "failed", "failed"]
    assert [each.state for each in sweep.standing()] == [*ended, "planned", "planned", "planned"]
