"""Early stopping: when a training that no longer improves ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nnexp.component import Component, table
from nnexp.errors import require
from nnexp.training.metrics import Direction

Memory = NDArray[np.float64]  # (best objective that counted as an improvement, recorded epochs since)


@dataclass(frozen=True, kw_only=True)
class EarlyStopping(Component):
    """Training goes on to its last epoch."""

    name: ClassVar[str] = "none"

    def judge(self, memory: Memory, value: float, direction: Direction) -> Memory:
        """Return what to remember after an epoch's objective was recorded."""
        return memory

    def ends(self, memory: Memory) -> bool:
        """Return whether the training has ended."""
        return False


@dataclass(frozen=True, kw_only=True)
class Patience(EarlyStopping):
    """Training ends after so many recorded epochs in which the objective did not improve by enough.

    An epoch counts as an improvement if its objective is more than min_improvement better than that of the last one
    that did. Results are those of the best epoch, whether or not a training ends early.

    Args: patience: recorded epochs, >= 1. min_improvement: in the objective's units, >= 0.
    Raises: ConfigError if a value is out of range.
    Source: Prechelt 1998, doi:10.1007/3-540-49430-8_3, criterion UP with a least improvement.
    """

    name: ClassVar[str] = "patience"
    patience: int = 10
    min_improvement: float = 0.0

    def __post_init__(self) -> None:
        require(self.patience >= 1, "patience: patience", ">= 1", self.patience)
        require(0 <= self.min_improvement < np.inf, "patience: min_improvement", ">= 0", self.min_improvement)

    def judge(self, memory: Memory, value: float, direction: Direction) -> Memory:
        best, waited = memory
        gain = value - best if direction == "maximize" else best - value
        improved = np.isnan(best) or gain > self.min_improvement
        return np.array([value, 0.0] if improved else [best, waited + 1])

    def ends(self, memory: Memory) -> bool:
        return bool(memory[1] >= self.patience)


def start() -> Memory:
    """Return what is remembered before the first record."""
    return np.array([np.nan, 0.0])


EARLY_STOPPINGS = table("early_stopping", EarlyStopping, Patience)
