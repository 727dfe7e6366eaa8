"""Schedules: how the step size changes while a network trains."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nnexp.component import Component, table


@dataclass(frozen=True, kw_only=True)
class Schedule(Component):
    """The factor on lr at each step."""

    @abstractmethod
    def factors(self, step: NDArray[np.float64], steps: int, epoch_steps: int) -> NDArray[np.float64]:
        """Return the factor at each of the given steps (counted from 1) of a training of so many steps, (S,).

        epoch_steps: of one epoch, so that (step - 1) / epoch_steps is the time before a step, in epochs.
        """


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """lr_t = lr."""

    name: ClassVar[str] = "constant"

    def factors(self, step: NDArray[np.float64], steps: int, epoch_steps: int) -> NDArray[np.float64]:
        return np.ones_like(step)


SCHEDULES = table(Constant)
