"""Grouping: every trial in one stack, every stack of one shape, as wide as the cache likes and busy on every worker."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnexp.data.prepared import Data, prepare
from nnexp.data.sources import Blobs, Moons
from nnexp.network.architecture import MLP
from nnexp.network.averaging import EMA
from nnexp.network.dropout import InvertedDropout
from nnexp.network.initializers import GlorotNormal
from nnexp.network.optimizers import SGD, Adam
from nnexp.network.penalties import L2
from nnexp.sweeps import grouping
from nnexp.sweeps.grouping import WORKING_SET_BYTES, group, stack_width
from nnexp.sweeps.plan import DataKey, Trial, make_plan
from nnexp.testing.trials import small
from nnexp.training import Training, TrialConfig
from nnexp.training.stacking import form_problem, stack_key
from nnexp.training.state import Problem

SHAPES: list[dict[str, Any]] = [
    {},
    {"architecture": MLP(hidden=(3,))},
    {"training": Training(epochs=3, batch_size=8)},
    {"training": Training(epochs=3, batch_size=16, dtype="float64")},
    {"dataset": Blobs(examples=60)},
]
VARIANTS: list[dict[str, Any]] = [
    {"optimizer": SGD()},
    {"optimizer": Adam()},
    {"l2": L2(strength=0.1)},
    {"dropout": InvertedDropout(keep=0.5)},
    {"initializer": GlorotNormal()},
]


def planned(configs: Sequence[TrialConfig]) -> tuple[list[Trial], dict[DataKey, Data]]:
    plan, data = make_plan("name", [(config, {}) for config in configs])
    return list(plan.trials), data


def grid(shapes: int, variants: int, seeds: int) -> list[TrialConfig]:
    """Return trials of so many shapes, configurations of each and repeats of each."""
    return [
        small(seed=seed, **(VARIANTS[variant] | SHAPES[shape]))
        for seed in range(seeds)
        for variant in range(variants)
        for shape in range(shapes)
    ]


def width_of(trial: Trial, data: Data) -> int:
    return stack_width(form_problem([trial.config], data)[0])


def assert_stacks(stacks: Sequence[Sequence[Trial]], trials: Sequence[Trial], data: dict[DataKey, Data]) -> None:
    """Every trial is in one stack, and a stack's trials share its shape and fit its width."""
    assert sorted(trial.key for stack in stacks for trial in stack) == sorted(trial.key for trial in trials)
    for stack in stacks:
        assert 1 <= len(stack) <= width_of(stack[0], data[stack[0].data_key])
        assert len({stack_key(trial.config) for trial in stack}) == 1
        assert len({trial.data_key for trial in stack}) == 1


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.integers(1, 5))
def test_stacks_hold_every_trial_once_and_only_trials_of_one_shape(
    shapes: int, variants: int, seeds: int, workers: int
) -> None:
    trials, data = planned(grid(shapes, variants, seeds))
    stacks = group(trials, data, workers)
    assert_stacks(stacks, trials, data)
    assert len(stacks) >= min(workers, len(trials))  # nobody waits while there is something to share out


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
def test_narrow_stacks_hold_every_trial_once_too(variants: int, seeds: int, width: int) -> None:
    trials, data = planned(grid(2, variants, seeds))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "stack_width", lambda problem: width)
        stacks = group(trials, data, 2)
    assert sorted(trial.key for stack in stacks for trial in stack) == sorted(trial.key for trial in trials)
    assert max(map(len, stacks)) <= width


def test_repeats_stay_together_where_there_are_configurations_enough() -> None:
    trials, data = planned(grid(1, 5, 3))
    stacks = group(trials, data, 2)
    assert len(stacks) == 2
    homes: dict[str, set[int]] = {}
    for number, stack in enumerate(stacks):
        for trial in stack:
            homes.setdefault(trial.configuration, set()).add(number)
    assert {len(places) for places in homes.values()} == {1}
    assert sorted(map(len, stacks)) == [6, 9]


def test_repeats_of_one_configuration_are_shared_out_where_workers_would_wait() -> None:
    trials, data = planned(grid(1, 1, 4))
    assert sorted(map(len, group(trials, data, 2))) == [2, 2]
    assert sorted(map(len, group(trials, data, 3))) == [1, 1, 2]
    assert sorted(map(len, group(trials, data, 9))) == [1, 1, 1, 1]


def test_the_stacks_with_the_most_work_come_first() -> None:
    shapes: list[dict[str, Any]] = [
        {"architecture": MLP(hidden=(4,))},
        {"architecture": MLP(hidden=(40, 40))},
        {"architecture": MLP(hidden=(4,)), "training": Training(epochs=400, batch_size=16)},
    ]
    trials, data = planned([small(**shape) for shape in shapes])
    assert [stack[0].position for stack in group(trials, data, 2)] == [2, 1, 0]


def test_one_worker_gets_one_stack_a_shape() -> None:
    trials, data = planned(grid(3, 2, 2))
    assert [len(stack) for stack in group(trials, data, 1)] == [4, 4, 4]


def test_nothing_makes_no_stack() -> None:
    assert group([], {}, 2) == []


def test_the_stacks_of_a_plan_are_always_the_same() -> None:
    trials, data = planned(grid(3, 4, 2))
    assert group(trials, data, 2) == group(trials, data, 2)


@pytest.mark.parametrize(
    ("hidden", "batch_size"), [((16, 16), 32), ((64,), 64), ((256, 256), "full"), ((2000, 2000), 64)], ids=str
)
def test_a_stacks_working_set_fits_the_cache(hidden: tuple[int, ...], batch_size: Any) -> None:
    trials, data = planned([small(architecture=MLP(hidden=hidden), training=Training(batch_size=batch_size))])
    width, config = width_of(trials[0], data[trials[0].data_key]), trials[0].config
    sizes = (2, *hidden, 2)
    parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))
    arrays = 4 * parameters * np.dtype("float32").itemsize  # parameters, gradient and Adam's two moments
    assert config.optimizer.name == "adam"
    assert width >= 1
    assert width == 1 or width * arrays <= WORKING_SET_BYTES
    assert width <= 8 * WORKING_SET_BYTES // arrays + 1


def test_a_stack_of_float64_is_half_as_wide() -> None:
    widths = []
    for dtype in ("float32", "float64"):
        config = small(training=Training(batch_size=16, dtype=dtype))
        widths.append(width_of(planned([config])[0][0], prepare(Moons(examples=60), [0], dtype)))
    assert widths[0] == pytest.approx(2 * widths[1], abs=1)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ({"optimizer": Adam()}, {"optimizer": SGD()}),
        ({"averaging": EMA()}, {}),
        ({"training": Training(batch_size=18)}, {"training": Training(batch_size=9)}),
    ],
)
def test_what_a_replica_holds_more_makes_its_stack_narrower(narrow: dict[str, Any], wide: dict[str, Any]) -> None:
    assert width_alone(small(**narrow)) < width_alone(small(**wide))


def test_the_largest_of_a_shape_says_how_wide_its_stacks_are() -> None:
    trials, data = planned([small(optimizer=optimizer) for optimizer in (SGD(), Adam())])
    asked: list[str] = []

    def noted(problem: Problem) -> int:
        asked.append(problem.replicas[0].optimizer.name)
        return 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "stack_width", noted)
        group(trials, data, 1)
    assert asked == ["adam"]


def width_alone(config: TrialConfig) -> int:
    trials, data = planned([config])
    return width_of(trials[0], data[trials[0].data_key])


def test_a_larger_batch_than_there_are_examples_counts_as_all_of_them() -> None:
    full, huge = (
        width_alone(small(training=Training(batch_size="full"))),
        width_alone(small(training=Training(batch_size=999))),
    )
    assert full == huge < width_alone(small(training=Training(batch_size=18)))
