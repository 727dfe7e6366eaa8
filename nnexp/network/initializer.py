"""What every initializer is: the parameters that a network starts from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnexp.arrays import Floats
from nnexp.component import Component
from nnexp.network.layout import Layout


@dataclass(frozen=True, kw_only=True)
class Initializer(Component):
    """What a network starts from."""

    @abstractmethod
    def start(self, layout: Layout, gains: Sequence[float], rng: np.random.Generator) -> Floats:
        """Return what a network starts from, (P + S,), in float64; gains: of each layer's activation."""

    def check(self, layout: Layout) -> None:
        """Raise ConfigError if networks of a layout cannot start from it."""
