"""Limits of time: what they end is saved, and goes on with a higher one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nnexp.config.build import Executor
from nnexp.data.prepared import prepare
from nnexp.sweeps import limits, stacks
from nnexp.sweeps.limits import Limits
from nnexp.sweeps.plan import make_plan
from nnexp.sweeps.stacks import Stack, form
from nnexp.sweeps.tally import Tally
from nnexp.testing.contracts import assert_equal_numbers
from nnexp.testing.trials import small
from nnexp.training import Training
from tests.sweeps.executed import Sweep, alone
from tests.sweeps.poison import Poison

FOREVER = Training(epochs=10**7, batch_size=16)


def stack(*spent: float) -> Stack:
    """Return a stack of equal trials that have spent seconds."""
    plan, data = make_plan("name", [(small(seed=seed), {}) for seed in range(len(spent))])
    found = form(plan.trials, data[plan.trials[0].data_key])
    found.spent.wall_seconds.update(enumerate(spent))
    return found


def tally(seconds: float) -> Tally:
    """Return the tally of a run that began seconds ago."""
    plan, _ = make_plan("name", [(small(), {})])
    found = Tally(plan, 1, {})
    found.began -= seconds
    return found


def test_a_trial_is_late_when_its_own_share_of_the_time_is_over() -> None:
    limited = Limits(Executor(trial_seconds=2.0))
    assert limited.late(stack(1.9, 2.0, 0.5, 2.1)) == [1, 3]
    assert Limits(Executor()).late(stack(1.9, 1e9)) == []


@pytest.mark.parametrize(
    ("settings", "run", "spent", "expected"),
    [
        ({}, 100.0, (0.0, 0.0), 2.0),
        ({"sweep_seconds": 101.5}, 100.0, (0.0, 0.0), 1.5),
        ({"sweep_seconds": 99.0}, 100.0, (0.0, 0.0), 0.0),
        ({"trial_seconds": 10.0}, 100.0, (9.5, 9.8), 0.4),  # of two, whose time passes half as fast
        ({"trial_seconds": 10.0}, 100.0, (1.0, 2.0), 2.0),
    ],
)
def test_slices_are_shorter_where_a_limit_is_near(
    settings: dict[str, Any], run: float, spent: tuple[float, ...], expected: float
) -> None:
    found = Limits(Executor(**settings)).slice_seconds(stack(*spent), tally(run))
    assert found == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("seconds", "an_epoch", "epochs"), [(2.0, 0.1, 20), (0.5, 0.1, 5), (0.0, 0.1, 1), (9.0, 0.1, 20), (2.0, 0.0, 2)]
)
def test_a_slice_has_at_least_an_epoch_and_at_first_two(seconds: float, an_epoch: float, epochs: int) -> None:
    plan, _ = make_plan("name", [(small(training=FOREVER), {})])
    found = form(plan.trials, prepare(plan.trials[0].config.dataset, [0], "float32"))
    found.seconds_an_epoch = an_epoch
    assert found.next_epochs(seconds) == epochs


def test_trials_whose_time_is_over_stop_and_go_on_with_a_higher_limit(tmp_path: Path) -> None:
    sweep = Sweep([small(seed=seed, training=Training(epochs=6, batch_size=16)) for seed in range(3)], tmp_path)
    halt, told = sweep.execute(workers=1, trial_seconds=1e-9)
    assert halt is not None
    assert (halt.cause, halt.text) == ("trial_seconds", "3 trials stopped: executor.trial_seconds=1e-09 is over")
    stands = sweep.standing()
    assert {(each.state, each.epoch, each.note) for each in stands} == {
        ("stopped", 2, "executor.trial_seconds=1e-09 is over")
    }
    assert [(each.state, each.epoch, each.reason) for each in told.ends] == [("stopped", 2, stands[0].note)] * 3
    last = told.progress[-1]
    assert (last.stopped, last.running, last.epochs, last.share) == (3, 0, 6, 1.0)
    halt, told = sweep.execute(workers=1, trial_seconds=1e-9)  # trains nothing
    assert halt is not None
    assert (halt.cause, told.progress[-1].epochs, told.progress[-1].stopped) == ("trial_seconds", 0, 3)
    assert {(each.state, each.attempts) for each in sweep.standing()} == {("stopped", 1)}
    assert sweep.execute(workers=1, trial_seconds=1e9)[0] is None
    for trial, numbers in zip(sweep.plan.trials, sweep.numbers(), strict=True):
        assert_equal_numbers(numbers, alone(trial.config), trial.label)
    assert sweep.stacks() == 0


def test_a_trial_whose_time_is_over_leaves_its_stack_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(Limits, "late", lambda self, stack: [1] if stack.epoch == 4 and len(stack.trials) == 3 else [])
    sweep = Sweep([small(seed=seed, training=Training(epochs=6, batch_size=16)) for seed in range(3)], tmp_path)
    halt, told = sweep.execute(workers=1, trial_seconds=1e9)
    assert halt is not None
    assert [each.state for each in sweep.standing()] == ["finished", "stopped", "finished"]
    assert [each.epoch for each in sweep.standing()] == [6, 4, 6]
    assert (told.progress[-1].running, told.progress[-1].stopped) == (0, 1)
    assert sweep.stacks() == 1
    halt, told = sweep.execute(workers=1)
    assert (halt, told.planned, told.progress[-1].epochs) == (None, [([1], 1, 1)], 2)
    for trial, numbers in zip(sweep.plan.trials, sweep.numbers(), strict=True):
        assert_equal_numbers(numbers, alone(trial.config), trial.label)
    assert sweep.stacks() == 0


def test_a_run_whose_time_is_over_stops_all_that_is_under_way(tmp_path: Path) -> None:
    sweep = Sweep([small(seed=seed, training=FOREVER) for seed in range(3)], tmp_path)
    halt, told = sweep.execute(workers=2, sweep_seconds=1.0)
    assert halt is not None
    assert (halt.cause, halt.text) == ("sweep_seconds", "executor.sweep_seconds=1 is over")
    assert told.notes == [f"{halt.text}: stopping at the next slice"]
    saved = [each.epoch for each in sweep.standing()]
    assert {each.state for each in sweep.standing()} == {"stopped"}
    assert sum(saved) == told.progress[-1].epochs > 0
    halt, told = sweep.execute(workers=2, sweep_seconds=1.0)
    assert told.planned[0][1] == 2  # both stacks go on
    assert all(each.epoch > before for each, before in zip(sweep.standing(), saved, strict=True))


def test_a_run_whose_time_is_over_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GRACE_SECONDS", 0.5)
    sweep = Sweep([small(schedule=Poison(kind="hang", epoch=2))], tmp_path)
    halt, _ = sweep.execute(workers=1, sweep_seconds=0.5)
    assert halt is not None
    assert halt.cause == "sweep_seconds"
    assert [each.state for each in sweep.standing()] == ["stopped"]
