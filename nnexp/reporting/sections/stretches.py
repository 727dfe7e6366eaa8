"""Stretches of an axis: where a figure shows its values, each by itself or neighbours together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnexp.reporting.study import Axis, Value, told

MOST_PLACES = 20  # values of a number that are shown each by itself
BINS = 12  # that more values are put into


@dataclass(frozen=True)
class Stretch:
    """Values of an axis that are shown at one place: one value, or neighbours."""

    place: float
    values: tuple[Value, ...]

    @property
    def label(self) -> str:
        """The value, or from which to which they are, as they are told."""
        if len(self.values) == 1:
            return told(self.values[0])
        return f"{self.values[0]:.2g} – {self.values[-1]:.2g}"


def stretches_of(axis: Axis) -> tuple[Stretch, ...]:
    """Return the places of a figure: each value, or where they are many stretches of equally many values."""
    if not axis.numeric:
        return tuple(Stretch(float(at), (value,)) for at, value in enumerate(axis.values))
    if len(axis.values) <= MOST_PLACES:
        return tuple(Stretch(float(value), (value,)) for value in axis.values)
    parts = np.array_split(np.arange(len(axis.values)), BINS)
    several = [tuple(axis.values[at] for at in part) for part in parts]
    return tuple(Stretch(_middle(values, axis.logarithmic), values) for values in several)


def _middle(values: Sequence[float], logarithmic: bool) -> float:
    if logarithmic and min(values) > 0:
        return _short(math.exp(math.fsum(map(math.log, values)) / len(values)))
    return _short(math.fsum(values) / len(values))


def _short(value: float) -> float:
    """Return a value with the digits that a tick has room for."""
    return float(f"{value:.3g}")
