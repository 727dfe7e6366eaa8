"""Which trials can train in one stack, and the stack they form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nnexp.arrays import Floats, Integers
from nnexp.data.prepared import Data
from nnexp.errors import UsageError
from nnexp.network.layout import Layout
from nnexp.network.optimizers import Optimizer
from nnexp.training.settings import TrialConfig
from nnexp.training.state import Problem, Replica, is_defined, more_metrics

# What replicas of one stack may differ in; all of them keep an average, or none does.
OWN = (
    *("seed", "initializer", "optimizer", "dropout", "l2", "l1", "max_norm", "clip", "schedule"),
    *("averaging", "early_stopping"),
)


def stack_key(trial: TrialConfig) -> tuple[Any, ...]:
    """Return what trials of one stack have in common."""
    return (*(value for name, value in vars(trial).items() if name not in OWN), type(trial.averaging))


def same_stack(trials: Sequence[TrialConfig]) -> bool:
    """Return whether trials can train in one stack."""
    return len({stack_key(trial) for trial in trials}) == 1


def form_problem(
    trials: Sequence[TrialConfig],
    data: Data,
    initial: Sequence[Mapping[str, ArrayLike]] | None = None,
    order: ArrayLike | None = None,
) -> tuple[Problem, list[int]]:
    """Return the stack of trials that share a shape, and each trial's place among its replicas.

    Replicas with the same optimizer and options stand together; otherwise they keep the order of the trials.
    Raises: UsageError if what is given does not fit.
    """
    shared = trials[0]
    _check_data(trials, data)
    blueprint = shared.blueprint(data.inputs, data.targets)
    starts = _starts(blueprint.layout, trials, initial)
    standing = sorted(range(len(trials)), key=lambda number: _standing(trials[number].optimizer))
    places = [standing.index(number) for number in range(len(trials))]
    replicas = tuple(_replica(trials[number], starts[number]) for number in standing)
    examples = len(data.division(shared.seed).split.train)
    chosen = None if order is None else _checked_order(order, examples, shared.training.epochs)
    problem = Problem(blueprint, shared.training, shared.objective, replicas, data, chosen)
    _check_metrics(problem)
    return problem, places


def _standing(optimizer: Optimizer) -> tuple[str, str]:
    return optimizer.name, repr(optimizer.structure)


def _check_data(trials: Sequence[TrialConfig], data: Data) -> None:
    """Raise UsageError if the data are not what the trials' settings say."""
    shared = trials[0]
    if data.classes != shared.dataset.classes:
        raise UsageError(
            f"dataset {shared.dataset.name!r} has {shared.dataset.classes} classes, the data {data.classes}"
        )
    if data.probabilities is not None and not shared.loss.takes_probabilities:
        raise UsageError(f"loss {shared.loss.name!r} learns labels, but the data have probabilities of classes")
    if data.rows.dtype != shared.training.dtype:
        raise UsageError(f"training.dtype is {shared.training.dtype}, but the data are {data.rows.dtype}")
    missing = sorted({trial.seed for trial in trials} - set(data.divisions))
    if missing and not data.shared:
        raise UsageError(f"the data were not divided for the seeds {missing}")
    split = data.division(shared.seed).split
    if not len(split.train):
        raise UsageError("the data have no example to train on")
    if shared.objective.metric.startswith("val/") and not len(split.validation):
        raise UsageError(
            f"objective.metric {shared.objective.metric!r} needs validation examples, but the data have none"
        )
    if shared.training.metrics and not len(split.validation):
        raise UsageError("training.metrics need validation examples, but the data have none")


def _check_metrics(problem: Problem) -> None:
    """Raise UsageError if the validation part of a trial has no value of a metric that is asked for."""
    for name in more_metrics(problem):
        for replica in problem.replicas:
            if not is_defined(problem, replica.seed, "validation", name):
                raise UsageError(f"val/{name} is undefined: a class is missing in the validation part")


def _replica(trial: TrialConfig, start: Floats | None) -> Replica:
    return Replica(**{name: getattr(trial, name) for name in OWN}, start=start)


def _starts(
    layout: Layout, trials: Sequence[TrialConfig], initial: Sequence[Mapping[str, ArrayLike]] | None
) -> list[Floats | None]:
    if initial is None:
        for trial in trials:
            trial.initializer.check(layout)
        return [None] * len(trials)
    if len(initial) != len(trials):
        raise UsageError(f"initial parameters must be given for each of {len(trials)} trials, got {len(initial)}")
    return [layout.pack(named) for named in initial]


def _checked_order(order: ArrayLike, examples: int, epochs: int) -> Integers:
    given = np.asarray(order, np.intp)
    if given.shape not in ((examples,), (epochs, examples)):
        raise UsageError(f"order must be ({examples},) or ({epochs}, {examples}), got {given.shape}")
    if given.size and not 0 <= given.min() <= given.max() < examples:
        raise UsageError(f"order must hold positions 0 … {examples - 1}, got {given.min()} … {given.max()}")
    return given
