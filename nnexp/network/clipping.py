"""Clipping: gradients that are too large are cut before the optimizer sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnexp.component import Component, table
from nnexp.errors import require


@dataclass(frozen=True, kw_only=True)
class Clip(Component):
    """Gradients stay as they are."""

    name: ClassVar[str] = "none"


@dataclass(frozen=True, kw_only=True)
class ClipNorm(Clip):
    """g <- g min(1, limit / (‖g‖ + 1e-6)), ‖g‖ the Euclidean norm over all parameters.

    Args: limit: > 0.
    Raises: ConfigError if the limit is out of range.
    Source: Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, Algorithm 1; 1e-6 as in PyTorch.
    """

    name: ClassVar[str] = "norm"
    limit: float = 1.0

    def __post_init__(self) -> None:
        require(0 < self.limit < np.inf, "clip norm: limit", "> 0", self.limit)


@dataclass(frozen=True, kw_only=True)
class ClipValue(Clip):
    """g <- max(-limit, min(g, limit)), for each parameter.

    Args: limit: > 0.
    Raises: ConfigError if the limit is out of range.
    """

    name: ClassVar[str] = "value"
    limit: float = 1.0

    def __post_init__(self) -> None:
        require(0 < self.limit < np.inf, "clip value: limit", "> 0", self.limit)


CLIPS = table("clip", Clip, ClipNorm, ClipValue)
