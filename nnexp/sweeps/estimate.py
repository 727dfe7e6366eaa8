"""What a plan would take, found out without starting it: a few epochs of each shape in this process, and sizes."""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nnexp.data.prepared import Data
from nnexp.sweeps.grouping import group
from nnexp.sweeps.plan import DataKey, Plan, Trial
from nnexp.training.advance import advance
from nnexp.training.costs import counts
from nnexp.training.stacking import form_problem, stack_key
from nnexp.training.state import Problem, begin, metrics_of

CALIBRATION_SECONDS = 4.0  # for all shapes together; those after that are reckoned from their operations
SHAPE_SECONDS = 0.5  # for one of them: two epochs at least, however long they take
EPOCH_OPERATIONS = 1e9  # of a calibrated epoch, at most: wider stacks are calibrated with fewer replicas

# Bytes of what is written, as they are on digits and moons. A number is 17 digits and a comma, in a point of MLflow's
# with its keys, its time and two indexes; a trial's own are its config, its confusion matrix, params, tags and its row.
NUMBER = 19
POINT = 290
TRIAL_FILES = 2000
TRIAL_ROWS = 20_000


@dataclass(frozen=True)
class Stacks:
    """Stacks of one shape. shape: units of each layer, from the inputs on. seconds: of all of them, trained alone."""

    shape: tuple[int, ...]
    dataset: str
    widths: tuple[int, ...]
    seconds: float
    calibrated: bool


@dataclass(frozen=True)
class Estimate:
    """What a plan would take.

    train_seconds: of the workers, at most, until the last one ends; without their start and MLflow. disk_bytes: of the
    plan, the data, all results and their copies in a local MLflow.
    """

    stacks: tuple[Stacks, ...]
    workers: int
    train_seconds: float
    disk_bytes: int


def estimate(plan: Plan, data: dict[DataKey, Data], workers: int) -> Estimate:
    """Return what a plan would take. The numbers of none of its trials are kept."""
    hands: dict[tuple[Any, ...], list[list[Trial]]] = {}
    order = group(plan.trials, data, workers)
    for stack in order:
        hands.setdefault(stack_key(stack[0].config), []).append(stack)
    rates: dict[tuple[Any, ...], float] = {}
    stacks, began = [], time.perf_counter()
    for key, members in hands.items():
        problem = _problem(members[0], data)
        calibrated = time.perf_counter() - began < CALIBRATION_SECONDS
        rates[key] = _seconds_an_operation(problem) if calibrated else sum(rates.values()) / len(rates)
        seconds = sum(_seconds(stack, problem, rates[key]) for stack in members)
        widths = tuple(len(stack) for stack in members)
        stacks.append(Stacks(problem.blueprint.sizes, members[0][0].config.dataset.name, widths, seconds, calibrated))
    problems = {key: _problem(members[0][:1], data) for key, members in hands.items()}
    loads = [0.0] * min(workers, len(order))
    for stack in order:  # as workers take them
        key = stack_key(stack[0].config)
        heapq.heapreplace(loads, loads[0] + _seconds(stack, problems[key], rates[key]))
    return Estimate(tuple(stacks), len(loads), max(loads), _disk_bytes(plan, hands, problems, data))


def _problem(trials: Sequence[Trial], data: Mapping[DataKey, Data]) -> Problem:
    return form_problem([trial.config for trial in trials], data[trials[0].data_key])[0]


def _seconds(stack: Sequence[Trial], problem: Problem, rate: float) -> float:
    return rate * len(stack) * counts(problem, 0, problem.training.epochs)["flops"]


def _seconds_an_operation(problem: Problem) -> float:
    """Return the seconds that an estimated operation takes: those of an epoch after the first, which builds buffers."""
    operations = counts(problem, 0, 1)["flops"]
    width = max(1, min(len(problem.replicas), int(EPOCH_OPERATIONS / operations)))
    few = Problem(
        problem.blueprint, problem.training, problem.objective, problem.replicas[:width], problem.data, problem.order
    )
    took: list[float] = []
    with threadpool_limits(1):  # as in a worker
        state, began = begin(few), time.perf_counter()
        while len(state.alive) and (len(took) < 2 or time.perf_counter() - began < SHAPE_SECONDS):
            before, alive = time.perf_counter(), len(state.alive)
            state, _ = advance(few, state, 1, overwrite=True)
            took.append((time.perf_counter() - before) / alive)
            if state.epoch == problem.training.epochs:
                break
    return float(np.median(took[1:] or took)) / operations


def _disk_bytes(
    plan: Plan,
    hands: Mapping[Any, Sequence[Sequence[Trial]]],
    problems: Mapping[Any, Problem],
    data: Mapping[DataKey, Data],
) -> int:
    total = sum(len(piece.encode()) for piece in plan.pieces()) * 2  # MLflow's copy
    total += sum(_data_bytes(each) for each in data.values())
    for key, members in hands.items():
        total += sum(map(len, members)) * _trial_bytes(problems[key])
    return total


def _trial_bytes(problem: Problem) -> int:
    training, blueprint = problem.training, problem.blueprint
    records = 1 + -(-(training.epochs - 1) // training.record_every)
    points = records * len(metrics_of(problem))
    weights = blueprint.layout.total * np.dtype(blueprint.dtype).itemsize
    files = weights + points * NUMBER + TRIAL_FILES
    return int(2 * files + points * (NUMBER + POINT) + TRIAL_ROWS)


def _data_bytes(data: Data) -> int:
    return sum(each.nbytes for each in vars(data).values() if isinstance(each, np.ndarray))
