"""Early stopping: when a training that no longer improves ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnexp.component import Component, table
from nnexp.errors import require


@dataclass(frozen=True, kw_only=True)
class EarlyStopping(Component):
    """Training goes on to its last epoch."""

    name: ClassVar[str] = "none"


@dataclass(frozen=True, kw_only=True)
class Patience(EarlyStopping):
    """Training ends after so many recorded epochs in which the objective did not improve by enough.

    An improvement is more than min_improvement beyond the best objective that counted as one. Results are those of the
    best epoch, whether or not a training stops early.

    Args: patience: recorded epochs, >= 1. min_improvement: in the objective's units, >= 0.
    Raises: ConfigError if a value is out of range.
    Source: Prechelt 1998, Early stopping - but when?, in the form that deep learning frameworks use.
    """

    name: ClassVar[str] = "patience"
    patience: int = 10
    min_improvement: float = 0.0

    def __post_init__(self) -> None:
        require(self.patience >= 1, "patience: patience", ">= 1", self.patience)
        require(0 <= self.min_improvement < np.inf, "patience: min_improvement", ">= 0", self.min_improvement)


EARLY_STOPPINGS = table(EarlyStopping, Patience)
