"""Saving: what is lost or cannot be written costs what was not saved, is said in one line, and nothing else."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnexp.errors import NnexpError
from nnexp.network.architecture import MLP
from nnexp.sweeps import execution, stacks
from nnexp.sweeps.interrupts import Interrupts
from nnexp.sweeps.kept import SavedStack
from nnexp.sweeps.ledger import Ledger
from nnexp.testing.contracts import assert_equal_numbers
from nnexp.testing.trials import small
from nnexp.training import Training
from tests.sweeps.executed import Sweep, Told, alone

LENGTH = Training(epochs=6, batch_size=16)
# two stacks of two trials
TRIALS = [small(seed=seed, training=LENGTH, architecture=MLP(hidden=(n,))) for n in (6, 5) for seed in range(2)]


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let slices be of two epochs at most, and each be saved."""
    monkeypatch.setattr(stacks, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(execution, "SAVE_SECONDS", 0.0)


def interrupted(root: Path, finished: int = 0, workers: int = 2) -> Sweep:
    """Return a sweep that was interrupted when so many trials had finished and all others were under way."""
    sweep, interrupts = Sweep(TRIALS, root), Interrupts()

    def then(told: Told) -> None:
        last = told.progress[-1]
        if (last.finished, last.running) == (finished, 4 - finished) and not interrupts.count:
            interrupts.interrupt()

    halt, _ = sweep.execute(workers=workers, interrupts=interrupts, then=then)
    assert halt is not None
    return sweep


def rows(sweep: Sweep) -> list[SavedStack]:
    """Return what the ledger has of its stacks, in the order of the trials."""
    ledger, order = Ledger(sweep.root / "ledger.db"), [trial.key for trial in sweep.plan.trials]
    found = sorted(ledger.stacks(sweep.plan.id), key=lambda row: order.index(row.keys[0]))
    ledger.close()
    return found


def assert_ends_well(sweep: Sweep) -> Told:
    """The same command again ends with the numbers that all trials have alone."""
    halt, told = sweep.execute(workers=2)
    assert halt is None
    for trial, numbers in zip(sweep.plan.trials, sweep.numbers(), strict=True):
        assert_equal_numbers(numbers, alone(trial.config), trial.label)
    assert {each.generation for each in sweep.standing()} == {0}
    assert sweep.stacks() == 0
    assert not list((sweep.folder / "trials").glob(".*"))
    return told


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [(cut, "is damaged"), (flip, "is damaged"), (os.unlink, "cannot be read: No such file or directory")],
)
def test_a_checkpoint_that_is_lost_is_said_and_its_trials_start_over(
    tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    sweep = interrupted(tmp_path)
    first, _ = rows(sweep)
    before = sweep.histories()
    damage(sweep.folder / first.file)
    told = assert_ends_well(sweep)
    assert told.notes == [f"{sweep.folder / first.file} {said}: 2 trials start over"]
    assert told.planned[0][1] == 1
    for old, new in zip(before, sweep.histories(), strict=True):
        assert old.epochs
        assert new.until(old.epochs[-1]) == old  # times too: what was recorded is as it was


def test_a_checkpoint_that_is_lost_after_the_start_is_said_too(tmp_path: Path) -> None:
    sweep = interrupted(tmp_path)
    first, second = rows(sweep)
    ledger = Ledger(sweep.root / "ledger.db")
    ledger.close()

    def then(told: Told) -> None:
        if len(told.progress) == 1:  # one stack trains, the other one waits
            for row in (first, second):
                (sweep.folder / row.file).unlink(missing_ok=True)

    halt, told = sweep.execute(workers=1, then=then)
    assert halt is None
    (note,) = told.notes
    assert note.endswith("and 1 more starts over")
    assert_ends_well(sweep)


def test_files_that_no_row_names_are_removed(tmp_path: Path) -> None:
    sweep = interrupted(tmp_path)
    left = [sweep.folder / "checkpoints" / name for name in ("0123-5-2.npz", ".0123-6-2.npz.77.tmp")]
    for path in left:
        path.write_bytes(b"left behind")
    building = sweep.folder / "trials" / ".0123.77.tmp"
    building.mkdir(parents=True)
    (building / "config.yaml").write_text("left behind")
    assert_ends_well(sweep)
    assert not any(path.exists() for path in (*left, building))


def test_what_a_trial_has_cost_and_when_it_began_survive_an_interruption(tmp_path: Path) -> None:
    sweep = interrupted(tmp_path)
    saved = {key: {**row.more, "place": place} for row in rows(sweep) for place, key in enumerate(row.keys)}
    assert len(saved) == 4
    assert_ends_well(sweep)
    for each in sweep.standing():
        before, result = saved[each.key], each.result
        assert result is not None
        assert result.started_at == before["started_at"]
        assert result.stack_width == before["width"] == 2
        for name in ("wall_seconds", "cpu_seconds"):
            assert result.costs[name] > before[name][before["place"]] > 0
        assert result.costs["peak_bytes"] >= before["peak_bytes"]
        assert each.attempts == 2


def test_a_restored_stack_is_divided_where_workers_would_be_idle(tmp_path: Path) -> None:
    sweep = interrupted(tmp_path, finished=2, workers=1)  # one stack has ended, the other one has begun
    (row,) = rows(sweep)
    assert len(row.keys) == 2
    told = assert_ends_well(sweep)
    assert told.planned == [([1, 1], 1, 2)]
    assert {each.result.stack_width for each in sweep.standing() if each.result} == {2}


class Full:
    """An fsync that fails from a call on, as that of a full disk."""

    def __init__(self, after: int, number: int) -> None:
        self.left, self.number = after, number
        self.real = os.fsync

    def __call__(self, descriptor: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number))
        self.real(descriptor)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("after", [0, 1, 3, 12, 25])
def test_a_disk_that_cannot_be_written_to_ends_the_run_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, after: int
) -> None:
    sweep = Sweep(TRIALS, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", Full(after, number))
        with pytest.raises(NnexpError, match=os.strerror(number)) as caught:
            sweep.execute(workers=2)
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    assert str(sweep.folder) in str(caught.value)
    stands = sweep.standing()
    assert {each.state for each in stands} <= {"stopped", "finished"}
    for each, trial in zip(stands, sweep.plan.trials, strict=True):
        whole = (sweep.folder / "trials" / trial.key[:16]).exists()
        assert whole or each.state == "stopped"
    assert_ends_well(sweep)


def test_a_ledger_that_cannot_grow_ends_the_run_in_one_line(tmp_path: Path) -> None:
    sweep = interrupted(tmp_path)
    before = sweep.histories()

    def fill(ledger: Ledger) -> None:
        pages = ledger._file._connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._file._connection.execute(f"PRAGMA max_page_count={pages}")

    with pytest.raises(NnexpError, match="database or disk is full") as caught:
        sweep.execute(workers=2, prepare=fill)
    assert "\n" not in str(caught.value)
    for old, new in zip(before, sweep.histories(), strict=True):
        assert new.until(old.epochs[-1]) == old
    assert_ends_well(sweep)


def test_a_worker_that_cannot_start_ends_the_run_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(NnexpError, match="workers cannot start: worker ended with exit code 1"):
        Sweep(TRIALS, tmp_path).execute(workers=1)


def test_trials_that_are_not_asked_for_are_dropped_from_a_restored_stack(tmp_path: Path) -> None:
    sweep = interrupted(tmp_path)
    wanted: Any = [trial for trial in sweep.plan.trials if trial.position in (0, 3)]
    halt, told = sweep.execute(workers=2, only=wanted)
    assert (halt, told.planned[0][:2]) == (None, ([1, 1], 2))
    assert [each.state for each in sweep.standing()] == ["finished", "stopped", "stopped", "finished"]
    assert_ends_well(sweep)
