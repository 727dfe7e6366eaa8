"""Costs of a training: counts that follow from its config and its data alone, and the most memory its process held."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

from nnexp.training.state import Problem, Replica

# Estimated floating-point operations beside those of products. They are small: what they are good for is to tell apart
# replicas of one stack, which have the same products.
PER_HIDDEN_UNIT = 2  # its activation, and the slope of it
PER_OUTPUT = 6  # a loss and its gradient
PER_DROPPED_UNIT = 2  # forward and backward
PER_NORMALIZED_UNIT = 16
PER_PARAMETER = 2  # the step itself
PER_SLOT = 4  # of a parameter: its decay, what is added, and its part in the step
PER_PENALTY = 5  # of a parameter: gradient and cost
PER_LIMIT = 3  # of a parameter: clipping by norm or by value, max-norm, weight decay, an average


def counts(problem: Problem, position: int, epochs: int) -> dict[str, float]:
    """Return what so many epochs of a replica take, however wide its stack.

    steps: updates. examples: seen by them, repetitions too. parameters: that are trained. flops: estimated
    floating-point operations of the training, without evaluations. array_bytes: of the arrays that are its own while it
    trains, estimated: parameters, their gradient, optimizer's slots, best parameters, averages; and for a mini-batch
    its inputs, its activations and their gradients.
    """
    replica, examples = problem.replicas[position], _examples(problem)
    return {
        "steps": float(epochs * _steps(problem)),
        "examples": float(epochs * examples),
        "parameters": float(problem.blueprint.layout.size),
        "flops": epochs * epoch_flops(problem, replica),
        "array_bytes": float(_array_bytes(problem, replica)),
    }


def epoch_flops(problem: Problem, replica: Replica) -> float:
    """Return the estimated floating-point operations of an epoch's training: what its time is shared out by.

    An example takes 2 n_l (n_{l-1} + 1) for each layer's product, as many for the gradient of its weights and
    biases, and 2 n_l n_{l-1} for that of its inputs, but for the first layer; then the constants above for each unit,
    and for each parameter and step; and the optimizer's own products.
    """
    sizes, hidden = problem.blueprint.sizes, problem.blueprint.sizes[1:-1]
    product = sum(4 * rows * cols for rows, cols in problem.blueprint.layout.shapes)
    product += sum(2 * sizes[layer] * sizes[layer - 1] for layer in range(2, len(sizes)))
    keeps = [*replica.dropout.keeps(len(hidden)), replica.dropout.input]
    dropped = sum(n for n, keep in zip([*hidden, sizes[0]], keeps, strict=True) if keep < 1)
    units = PER_HIDDEN_UNIT * sum(hidden) + PER_OUTPUT * sizes[-1] + PER_DROPPED_UNIT * dropped
    if problem.blueprint.normalization.scales:
        units += PER_NORMALIZED_UNIT * sum(hidden)
    matrices = [(n, m) for m, n in pairwise(sizes[:-1])]
    step = problem.blueprint.layout.size * _per_parameter(replica) + replica.optimizer.product_flops(matrices)
    return float(_examples(problem) * (product + units) + _steps(problem) * step)


def _per_parameter(replica: Replica) -> int:
    limits = (
        replica.optimizer.weight_decay > 0,
        np.isfinite(replica.clip.norm),
        np.isfinite(replica.clip.value),
        np.isfinite(replica.max_norm.bound),
        replica.averaging.keeps,
    )
    penalties = (replica.l2.l2 > 0, replica.l1.l1 > 0)
    slots = PER_SLOT * replica.optimizer.slots
    return PER_PARAMETER + slots + PER_PENALTY * sum(penalties) + PER_LIMIT * sum(map(bool, limits))


def _array_bytes(problem: Problem, replica: Replica) -> int:
    blueprint = problem.blueprint
    trained = blueprint.layout.size * (1 + replica.optimizer.slots)  # gradient and slots
    kept = blueprint.layout.total * (4 if replica.averaging.keeps else 2)
    batch = _batch(problem) * (blueprint.sizes[0] + 1 + 2 * sum(blueprint.sizes[1:]))
    return int(np.dtype(blueprint.dtype).itemsize * (trained + kept + batch))


def _examples(problem: Problem) -> int:
    return len(problem.data.division(problem.replicas[0].seed).split.train)


def _batch(problem: Problem) -> int:
    size, examples = problem.training.batch_size, _examples(problem)
    return examples if size == "full" else min(int(size), examples)


def _steps(problem: Problem) -> int:
    return -(-_examples(problem) // _batch(problem))


def peak_bytes() -> int | None:
    """Return the most memory that this process has held at once, resident; None where the system does not say.

    All stacks that a worker has trained share it. Linux counts that of the parent of a new process, too, into what
    `resource` says, so its own files are asked first.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # bytes there, KiB elsewhere
