"""What a plan would take: close enough to decide whether to start it, and nothing is left behind."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from nnexp.network.architecture import MLP
from nnexp.network.optimizers import SGD, Adam
from nnexp.sweeps import estimate as estimates
from nnexp.sweeps.estimate import estimate
from nnexp.sweeps.files import trial_folder
from nnexp.sweeps.plan import make_plan
from nnexp.testing.trials import small
from nnexp.training import Training
from tests.sweeps.executed import Sweep

LONG = Training(epochs=60, batch_size=16)
TRIALS = [
    small(seed=seed, optimizer=optimizer, training=LONG, architecture=MLP(hidden=hidden))
    for hidden in ((8,), (16, 4))
    for optimizer in (SGD(), Adam())
    for seed in range(4)
]


def test_an_estimate_names_each_shape_and_the_widths_of_its_stacks() -> None:
    plan, data = make_plan("name", [(trial, {}) for trial in TRIALS])
    found = estimate(plan, data, 2)
    assert {(each.shape, each.widths, each.dataset) for each in found.stacks} == {
        ((2, 8, 2), (8,), "moons"),
        ((2, 16, 4, 2), (8,), "moons"),
    }
    assert found.workers == 2
    assert 0 < found.train_seconds < sum(each.seconds for each in found.stacks)


def test_more_workers_take_less_time_and_more_epochs_take_more() -> None:
    plan, data = make_plan("name", [(trial, {}) for trial in TRIALS])
    rates = iter([1e-9] * 100)
    original = estimates._seconds_an_operation
    estimates._seconds_an_operation = lambda problem: next(rates)
    try:
        one, two = estimate(plan, data, 1), estimate(plan, data, 2)
        longer = [replace(trial, training=replace(LONG, epochs=120)) for trial in TRIALS]
        twice, _ = make_plan("name", [(trial, {}) for trial in longer])
        doubled = estimate(twice, data, 1)
    finally:
        estimates._seconds_an_operation = original
    assert one.train_seconds > two.train_seconds
    assert abs(doubled.train_seconds / one.train_seconds - 2) < 1e-9


def test_shapes_that_there_is_no_time_for_are_reckoned_from_their_operations() -> None:
    plan, data = make_plan("name", [(trial, {}) for trial in TRIALS])
    before = estimates.CALIBRATION_SECONDS
    estimates.CALIBRATION_SECONDS = 1e-3
    try:
        found = estimate(plan, data, 1)
    finally:
        estimates.CALIBRATION_SECONDS = before
    assert [each.calibrated for each in found.stacks] == [True, False]
    assert all(each.seconds > 0 for each in found.stacks)


def test_an_estimate_is_of_the_size_of_what_it_estimates(tmp_path: Path) -> None:
    plan, data = make_plan("name", [(trial, {}) for trial in TRIALS])
    found = estimate(plan, data, 1)
    sweep, began = Sweep(TRIALS, tmp_path), time.perf_counter()
    assert sweep.execute(workers=1)[0] is None
    took = time.perf_counter() - began
    assert found.train_seconds < 2 * took  # which starts a worker, too
    files = sum(
        path.stat().st_size for trial in plan.trials for path in trial_folder(sweep.folder, trial.key).iterdir()
    )
    assert 0.3 < found.disk_bytes / (2 * files + len(TRIALS) * 100_000) < 3  # with MLflow's part, as measured
