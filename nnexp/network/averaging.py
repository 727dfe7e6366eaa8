"""Averaging: a second set of parameters that follows the first, and is evaluated beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nnexp.component import Component, table
from nnexp.errors import require


@dataclass(frozen=True, kw_only=True)
class Averaging(Component):
    """No average is kept."""

    name: ClassVar[str] = "none"


@dataclass(frozen=True, kw_only=True)
class EMA(Averaging):
    """Exponential moving average: average <- decay average + (1 - decay) theta after each step, from the first theta.

    Args: decay: in [0, 1).
    Raises: ConfigError if the decay is out of range.
    Source: Polyak & Juditsky 1992, with exponential weights.
    """

    name: ClassVar[str] = "ema"
    decay: float = 0.99

    def __post_init__(self) -> None:
        require(0 <= self.decay < 1, "ema: decay", "in [0, 1)", self.decay)


AVERAGINGS = table(Averaging, EMA)
