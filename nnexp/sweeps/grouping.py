"""Grouping: which trials train together in one stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnexp.data.prepared import Data
from nnexp.sweeps.plan import DataKey, Trial
from nnexp.training.stacking import stack_key

WORKING_SET_BYTES = 4 << 20  # parameters, moments and activations of a stack that is as fast as it gets


def group(trials: Sequence[Trial], data: dict[DataKey, Data], workers: int) -> list[list[Trial]]:
    """Return the stacks of a sweep: trials of one shape, cut so that a stack's working set fits the cache.

    Repeats of a configuration stay together, so that they share what they read; configurations are dealt out like
    cards, so that stacks take equally long; there are as many stacks as keep all workers busy. Numbers do not depend on
    any of it.
    """
    shapes: dict[tuple[Any, ...], list[Trial]] = {}
    for trial in trials:
        shapes.setdefault(stack_key(trial.config), []).append(trial)
    stacks = []
    for members in shapes.values():
        width = stack_width(members[0], data[members[0].data_key])
        count = -(-len(members) // width)
        if len(shapes) < workers:
            count = min(-(-count // workers) * workers, len(members))
        stacks += _deal(members, count)
    return stacks


def _deal(trials: Sequence[Trial], count: int) -> list[list[Trial]]:
    """Return so many hands, repeats of a configuration together where there are enough configurations."""
    repeats: dict[str, list[Trial]] = {}
    for trial in trials:
        repeats.setdefault(trial.configuration, []).append(trial)
    if len(repeats) >= count:
        hands = [list(repeats.values())[number::count] for number in range(count)]
        return [[trial for repeat in hand for trial in repeat] for hand in hands]
    together = [trial for repeat in repeats.values() for trial in repeat]
    return [together[len(together) * n // count : len(together) * (n + 1) // count] for n in range(count)]


def stack_width(trial: Trial, data: Data) -> int:
    """Return how many replicas of a trial's shape fit the working set: 280 tiny nets, 31 for digits, 1 for images."""
    config, size = trial.config, trial.config.training.batch_size
    blueprint = config.blueprint(data.inputs)
    examples = len(data.division(config.seed).split.train)
    batch = examples if size == "full" else min(int(size), examples)
    arrays = 2 + config.optimizer.slots  # parameters, gradient and moments
    activations = batch * (2 * sum(blueprint.sizes[1:]) + data.inputs)
    per_replica = (arrays * blueprint.layout.size + activations) * np.dtype(blueprint.dtype).itemsize
    return max(1, WORKING_SET_BYTES // per_replica)
