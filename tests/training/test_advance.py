"""`advance`: a slice may end anywhere, and its input stays as it was."""

from __future__ import annotations

import pickle
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnexp.data.prepared import from_arrays, prepare, store
from nnexp.network.architecture import MLP
from nnexp.network.dropout import InvertedDropout
from nnexp.network.optimizers import OPTIMIZERS, SGD
from nnexp.network.penalties import L2
from nnexp.network.schedules import SCHEDULES, Constant, Schedule
from nnexp.randomness import Purpose, stream
from nnexp.testing.contracts import assert_dtype_kept, assert_slices
from nnexp.testing.trials import Ramp, regression, small
from nnexp.testing.variations import acting
from nnexp.training import Objective, Training, TrialConfig, train
from nnexp.training.advance import advance
from nnexp.training.stacking import form_problem
from nnexp.training.state import Problem, begin, metrics_of

DTYPES = ["float32", "float64"]


def problem_of(trials: list[TrialConfig]) -> Problem:
    seeds = [trial.seed for trial in trials]
    return form_problem(trials, prepare(trials[0].dataset, seeds, trials[0].training.dtype))[0]


def stack(**training: Any) -> list[TrialConfig]:
    """Return one trial for each optimizer, with dropout and penalties, in seven epochs."""
    trial = small(training=Training(**({"epochs": 7, "batch_size": 16} | training)))
    return [
        replace(trial, seed=k % 2, optimizer=acting(cls), dropout=InvertedDropout(keep=0.7), l2=L2(strength=0.1 * k))
        for k, cls in enumerate(OPTIMIZERS.values())
    ]


def leaving() -> list[TrialConfig]:
    """Return trials of which some diverge, at different epochs."""
    trial = regression(architecture=MLP(hidden=()), training=Training(epochs=7, batch_size=64, record_every=2))
    return [replace(trial, optimizer=SGD(lr=lr)) for lr in (1e12, 0.01, 4.0, 0.6)]


STACKS = {
    "float32": problem_of(stack()),
    "float64": problem_of(stack(dtype="float64")),
    "records": problem_of(stack(record_every=3, shuffle=False)),
    "leaving": problem_of(leaving()),
}
CUTS = st.lists(st.integers(0, 4), max_size=8)


@pytest.mark.parametrize("name", sorted(STACKS))
@settings(max_examples=12)
@given(cuts=CUTS)
def test_any_slices_give_the_bits_of_one_go(name: str, cuts: list[int]) -> None:
    assert_slices(STACKS[name], cuts)


@pytest.mark.parametrize("name", sorted(STACKS))
def test_slices_of_one_epoch_give_the_bits_of_one_go(name: str) -> None:
    assert_slices(STACKS[name], [1] * 7)


@pytest.mark.parametrize("schedule", [Ramp(), *[acting(cls) for cls in SCHEDULES.values()]])
def test_any_schedule_can_be_cut(schedule: Schedule) -> None:
    trial = small(training=Training(epochs=5, batch_size=16), schedule=schedule)
    assert_slices(problem_of([trial, replace(trial, seed=1, schedule=Ramp(top=2.0))]), [2, 1])


def test_a_schedule_sees_every_step_of_the_training_once() -> None:
    trial = small(optimizer=SGD(lr=1.0), schedule=Ramp(), training=Training(epochs=2, batch_size=16, dtype="float64"))
    (ramped,) = train([trial])
    data = prepare(trial.dataset, [0], "float64")
    order = np.concatenate([stream(0, Purpose.SHUFFLE, epoch).permutation(36) for epoch in (1, 2)])
    blueprint = trial.blueprint(2)
    layout = blueprint.layout
    theta = layout.unpack(trial.initializer.start(layout, blueprint.gains, stream(0, Purpose.INIT)))
    whole = Training(epochs=1, batch_size="full", shuffle=False, dtype="float64")
    batches = [order[start:stop] for start, stop in ((0, 16), (16, 32), (32, 36), (36, 52), (52, 68), (68, 72))]
    for step, batch in enumerate(batches, start=1):
        rows = data.division(0).split.train[batch]
        assert data.labels is not None
        part = from_arrays((data.rows[rows, :-1], data.labels[rows]), classes=2, dtype="float64")
        objective = Objective(metric="train/acc")
        by_hand = replace(trial, schedule=Constant(), optimizer=SGD(lr=step / 6), training=whole, objective=objective)
        last = train([by_hand], part, initial=[theta])[0].last
        assert last is not None
        theta = last
    assert ramped.last is not None
    for name, values in theta.items():
        np.testing.assert_allclose(ramped.last[name], values, rtol=1e-10)


@pytest.mark.parametrize(("keep", "distinct"), [(1.0, 1), (0.5, 5)])
def test_every_epoch_drops_other_units(keep: float, distinct: int) -> None:
    still = Training(epochs=5, batch_size="full", shuffle=False)
    (result,) = train([small(optimizer=SGD(lr=1e-30), dropout=InvertedDropout(keep=keep), training=still)])
    assert len(set(result.history["train/loss"].tolist())) == distinct
    assert len(set(result.history["val/loss"].tolist())) == 1, "units are dropped in the evaluation"


def test_stored_data_are_found_again_by_the_next_slice(tmp_path: Path) -> None:
    trials = stack(epochs=3)
    data = store(prepare(trials[0].dataset, [0], "float32"), tmp_path / "data")
    problem, _ = form_problem(trials, data)
    assert pickle.loads(pickle.dumps(problem)).data.folder == tmp_path / "data"
    assert_slices(problem, [1, 1])


def test_some_replicas_of_the_leaving_stack_leave_in_the_middle() -> None:
    _, observed = advance(STACKS["leaving"], begin(STACKS["leaving"]), 7)
    ends = sorted((end.outcome, end.epoch) for end in observed.ends.values())
    assert len({end for end in ends if end[0] == "diverged"}) >= 2
    assert any(1 < epoch < 7 for outcome, epoch in ends if outcome == "diverged")
    assert ("finished", 7) in ends


def test_a_replica_that_left_is_not_in_the_state_and_ends_once() -> None:
    problem = STACKS["leaving"]
    state, ended = begin(problem), []
    while state.epoch < 7:
        state, piece = advance(problem, state, 1)
        ended += list(piece.ends)
        assert not set(piece.ends) & set(state.alive.tolist())
        assert len(state.theta) == state.slots.shape[1] == len(state.best_theta) == len(state.alive)
    assert sorted(ended) == [0, 1, 2, 3]
    assert not len(state.alive)


def test_a_state_that_may_be_overwritten_gives_the_same() -> None:
    problem = STACKS["leaving"]
    state, observed = advance(problem, begin(problem), 4)
    again, seen = advance(problem, begin(problem), 4, overwrite=True)
    for name, value in vars(state).items():
        assert np.array_equal(getattr(again, name), value, equal_nan=True), name
    assert observed.ends.keys() == seen.ends.keys()


def test_a_slice_never_goes_beyond_the_last_epoch() -> None:
    problem = STACKS["float32"]
    state, observed = advance(problem, begin(problem), 1000)
    assert state.epoch == 7
    assert {end.epoch for end in observed.ends.values()} == {7}


def test_no_replica_ends_before_the_last_epoch() -> None:
    problem = STACKS["float32"]
    state, observed = advance(problem, begin(problem), 6)
    assert (state.epoch, observed.ends) == (6, {})
    assert {tuple(records.epochs.tolist()) for records in observed.records.values()} == {(1, 2, 3, 4, 5, 6)}


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_array_of_parameters_keeps_the_type_of_the_training(dtype: str) -> None:
    problem = STACKS[dtype]
    state, observed = advance(problem, begin(problem), 7)
    for each in (begin(problem), state):
        assert_dtype_kept({name: vars(each)[name] for name in ("theta", "slots", "best_theta")}, dtype)
    assert_dtype_kept({str(position): end.theta for position, end in observed.ends.items()}, dtype)
    assert_dtype_kept({str(position): records.values for position, records in observed.records.items()}, "float64")


def test_time_is_shared_out_among_those_who_used_it() -> None:
    problem, start = STACKS["leaving"], time.perf_counter()
    _, observed = advance(problem, begin(problem), 7)
    elapsed = time.perf_counter() - start
    assert set(observed.spent.wall_seconds) == set(observed.spent.cpu_seconds) == {0, 1, 2, 3}
    assert sum(observed.spent.wall_seconds.values()) <= elapsed
    assert all(seconds > 0 for seconds in observed.spent.wall_seconds.values())
    finished = max(observed.ends, key=lambda position: observed.ends[position].epoch)
    first = min(observed.ends, key=lambda position: observed.ends[position].epoch)
    assert observed.spent.wall_seconds[finished] > observed.spent.wall_seconds[first]


def test_records_are_in_the_order_of_the_problems_metrics_and_of_time() -> None:
    problem = STACKS["float32"]
    _, observed = advance(problem, begin(problem), 7)
    for records in observed.records.values():
        assert records.values.shape == (len(records.epochs), len(metrics_of(problem)))
        assert (np.diff(records.times) >= 0).all()
