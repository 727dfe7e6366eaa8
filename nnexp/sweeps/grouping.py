"""Grouping: which trials train together in one stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnexp.data.prepared import Data
from nnexp.sweeps.plan import DataKey, Trial
from nnexp.training.costs import counts
from nnexp.training.stacking import form_problem, stack_key
from nnexp.training.state import Problem

WORKING_SET_BYTES = 4 << 20  # parameters, moments and activations of a stack that is as fast as it gets


def group(trials: Sequence[Trial], data: dict[DataKey, Data], workers: int) -> list[list[Trial]]:
    """Return the stacks of a sweep: trials of one shape, cut so that a stack's working set fits the cache.

    Repeats of a configuration stay together, so that they share what they read; configurations are dealt out like
    cards, so that stacks take equally long; there are as many stacks as keep all workers busy, those with the most work
    first, so that workers end together. Numbers do not depend on any of it.
    """
    shapes: dict[tuple[Any, ...], list[Trial]] = {}
    for trial in trials:
        shapes.setdefault(stack_key(trial.config), []).append(trial)
    share = workers if len(shapes) < workers else 1
    stacks = [each for members in shapes.values() for each in _cut(members, data[members[0].data_key], share)]
    return [stack for _, stack in sorted(stacks, key=lambda each: -each[0])]


def _cut(trials: Sequence[Trial], data: Data, share: int) -> list[tuple[float, list[Trial]]]:
    """Return the stacks of one shape's trials, a multiple of `share` of them, each with its estimated operations."""
    repeats: dict[str, list[Trial]] = {}
    for trial in trials:
        repeats.setdefault(trial.configuration, []).append(trial)
    largest = max(trials, key=lambda trial: trial.config.optimizer.slots)
    problem, _ = form_problem([largest.config], data)
    width = stack_width(problem)
    together = width // max(map(len, repeats.values()))  # configurations with all of their repeats
    count = max(-(-len(trials) // width), -(-len(repeats) // together) if together else 0)
    count = min(-(-count // share) * share, len(trials))
    work = counts(problem, 0, problem.training.epochs)["flops"]
    return [(work * len(stack), stack) for stack in _deal(list(repeats.values()), count)]


def _deal(repeats: Sequence[Sequence[Trial]], count: int) -> list[list[Trial]]:
    """Return so many hands, repeats of a configuration together where there are enough configurations."""
    if len(repeats) >= count:
        hands = [repeats[number::count] for number in range(count)]
        return [[trial for repeat in hand for trial in repeat] for hand in hands]
    together = [trial for repeat in repeats for trial in repeat]
    return [together[len(together) * n // count : len(together) * (n + 1) // count] for n in range(count)]


def stack_width(problem: Problem) -> int:
    """Return how many replicas like a problem's first fit the working set: 259 tiny nets, 27 on digits, 1 on images."""
    return max(1, WORKING_SET_BYTES // int(counts(problem, 0, epochs=1)["array_bytes"]))
