"""Evaluation: what parameters of a stack are worth on a part of the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Floats, Integers
from nnexp.data.splits import Part
from nnexp.network.stack import Pass
from nnexp.training.feed import Blocks
from nnexp.training.metrics import Scale, judge
from nnexp.training.state import Problem

EVALUATION_BLOCK = 256  # examples, about: the exact number follows from the size of the part

Values = dict[str, NDArray[np.float64]]


class Evaluation:
    """The buffers that judge parameters of a stack on a part of the data, without dropout.

    Args: alive: positions in the problem's replicas, (K,). theta: their parameters, (K, P), read again by each `judge`:
    those that are trained, averages of them, or those of the best epochs.
    """

    def __init__(self, problem: Problem, alive: Integers, theta: Floats, part: Part) -> None:
        replicas = [problem.replicas[position] for position in alive]
        self.blocks = Blocks(problem, replicas, part, EVALUATION_BLOCK)
        self.run = Pass(problem.blueprint, theta, self.blocks.size, sources=self.blocks.sources)
        self.scale: Scale | None = self.blocks.scale

    def judge(self) -> Values:
        """Return loss and acc, or loss, rmse and r2, (K,) each."""
        sums = np.zeros((2, len(self.run.outputs)))  # of losses and scores
        for rows, targets, count in self.blocks:
            self.run.forward(rows, targets)
            sums += np.add.reduce(self.run.desk.results[:, :, :count], axis=2)
        losses, scores = sums
        return judge(losses, scores, self.blocks.examples, self.scale)
