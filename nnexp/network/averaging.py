"""Averaging: a second set of parameters that follows the first, and is evaluated beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnexp.arrays import Floats
from nnexp.component import Component, table
from nnexp.errors import require
from nnexp.network.blocks import BLOCK_ELEMENTS, cut


@dataclass(frozen=True, kw_only=True)
class Averaging(Component):
    """No average is kept."""

    name: ClassVar[str] = "none"
    keeps: ClassVar[bool] = False

    def weight(self, step: int) -> float:
        """Return the weight of the newest parameters in the average, after a step counted from 1."""
        return 0.0


@dataclass(frozen=True, kw_only=True)
class EMA(Averaging):
    """Exponential moving average: average <- average + w (theta - average) after each step.

    w = 1 - decay, and 1 after the first step: the average starts there. Running statistics are averaged, too.

    Args: decay: in [0, 1).
    Raises: ConfigError if the decay is out of range.
    Source: Polyak & Juditsky 1992, doi:10.1137/0330046, with exponential weights; starts as PyTorch's AveragedModel.
    """

    name: ClassVar[str] = "ema"
    keeps: ClassVar[bool] = True
    decay: float = 0.99

    def __post_init__(self) -> None:
        require(0 <= self.decay < 1, "ema: decay", "in [0, 1)", self.decay)

    def weight(self, step: int) -> float:
        return 1.0 if step == 1 else 1 - self.decay


class Averages:
    """The averages (K, P) of a stack whose replicas all keep one, and the buffers to update them block by block."""

    def __init__(self, averagings: Sequence[Averaging], theta: Floats, averages: Floats) -> None:
        self.averagings = averagings
        self.weights: Floats = np.empty((len(theta), 1), theta.dtype)
        spare = np.empty(min(theta.size, BLOCK_ELEMENTS), theta.dtype)
        self.blocks = []
        for block in cut(*theta.shape):
            part = theta[block]
            place = spare[: part.size].reshape(part.shape)
            self.blocks.append((averages[block], part, self.weights[block[0]], place))

    def step(self, step: int) -> None:
        """Move the averages towards the parameters after a step, counted from 1."""
        if step <= 2:  # from then on the weights stay
            self.set_weights(step)
        for averages, theta, weights, spare in self.blocks:
            np.subtract(theta, averages, out=spare)
            spare *= weights
            averages += spare

    def set_weights(self, step: int) -> None:
        """Set the weights of a step: the same in whichever slice it comes."""
        self.weights[:, 0] = [averaging.weight(step) for averaging in self.averagings]


AVERAGINGS = table("averaging", Averaging, EMA)
