"""Dropout: which units of a hidden layer are left out of a training step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Flags, Floats
from nnexp.component import Component, table
from nnexp.errors import require
from nnexp.randomness import Purpose, stream

LEVELS = 1 << 16  # a unit's fate is one 16-bit draw
DRAWS_PER_WORD = 4
WORDS_AT_ONCE = 1 << 11  # small layers draw for several steps, as a call costs as much as 500 words


@dataclass(frozen=True, kw_only=True)
class Dropout(Component):
    """Which share of each hidden layer's units stays in a training step: all of them."""

    name: ClassVar[str] = "none"

    def keeps(self, layers: int) -> tuple[float, ...]:
        """Return the keep probability of each hidden layer."""
        return (1.0,) * layers

    @property
    def input(self) -> float:
        """The keep probability of the inputs."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class InvertedDropout(Dropout):
    """A <- A D / keep, D ~ Bernoulli(keep), while training; A as it is afterwards. The same D masks the gradient.

    Args: keep: probability that a unit stays, in [2^-16, 1]; one for all hidden layers or one a layer. 1 is off.
    input_keep: the same for each input.
    Raises: ConfigError if a probability is out of range, or there is not one a layer.
    Source: Srivastava et al. 2014, section 10 (scaled while training). keep is taken to the nearest multiple of 2^-16.
    """

    name: ClassVar[str] = "inverted"
    keep: float | tuple[float, ...] = 1.0
    input_keep: float = 1.0

    def __post_init__(self) -> None:
        require(1 / LEVELS <= self.input_keep <= 1, "inverted: input_keep", "in [2^-16, 1]", self.input_keep)
        for keep in self.keep if isinstance(self.keep, tuple) else (self.keep,):
            require(1 / LEVELS <= keep <= 1, "inverted: keep", "in [2^-16, 1]", keep)

    def keeps(self, layers: int) -> tuple[float, ...]:
        if not isinstance(self.keep, tuple):
            return (self.keep,) * layers
        demand = f"one number or one a hidden layer ({layers})"
        require(len(self.keep) == layers, "dropout.keep", demand, list(self.keep))
        return self.keep

    @property
    def input(self) -> float:
        return self.input_keep


class Fates:
    """The random streams of a stack's dropout: replicas with the same seed share their draws.

    Each hidden layer, and last the inputs, have a stream of their own, so that a layer where nobody drops can be
    skipped. The mini-batches of an epoch have one size, but for a shorter last one.
    Args: dropouts, seeds: of each replica. layers: number of hidden layers.
    """

    def __init__(self, dropouts: Sequence[Dropout], seeds: Sequence[int], layers: int) -> None:
        keep = np.array([(*dropout.keeps(layers), dropout.input) for dropout in dropouts])
        self.keep: NDArray[np.float64] = keep
        self.drops: list[bool] = (keep.min(axis=0) < 1).tolist()
        rows: dict[int, list[int]] = {}
        for row, seed in enumerate(seeds):
            rows.setdefault(seed, []).append(row)
        self._rows = {seed: np.array(of_seed) for seed, of_seed in rows.items()}
        self._streams: list[list[np.random.BitGenerator]] = []
        self._words = [np.empty((len(seeds), 0), np.uint64) for _ in self.drops]
        self._used = [0] * len(self.drops)

    def begin(self, epoch: int) -> None:
        """Start the streams of an epoch."""
        places: list[tuple[Purpose, *tuple[int, ...]]] = [
            (Purpose.DROPOUT, layer, epoch) for layer in range(len(self.drops) - 1)
        ]
        places.append((Purpose.INPUT_DROPOUT, epoch))
        self._streams = [
            [stream(seed, *place).bit_generator for seed in self._rows] if drops else []
            for place, drops in zip(places, self.drops, strict=True)
        ]
        self._used = [words.shape[1] for words in self._words]

    def draw(self, layer: int, count: int) -> NDArray[np.uint16]:
        """Return each replica's next draws of a layer, (K, count)."""
        need = -(-count // DRAWS_PER_WORD)
        if self._used[layer] + need > self._words[layer].shape[1]:
            self._fill(layer, need)
        start = self._used[layer]
        self._used[layer] += need
        return self._words[layer][:, start : start + need].view(np.uint16)[:, :count]

    def _fill(self, layer: int, need: int) -> None:
        words = self._words[layer]
        if need > words.shape[1]:
            words = np.empty((len(words), max(need, WORDS_AT_ONCE // need * need)), np.uint64)
        for start in range(0, words.shape[1], WORDS_AT_ONCE):
            part = words[:, start : start + WORDS_AT_ONCE]
            for source, rows in zip(self._streams[layer], self._rows.values(), strict=True):
                part[rows] = source.random_raw(part.shape[1])
        self._words[layer], self._used[layer] = words, 0


class Mask:
    """The buffers of one layer's dropout for batches of one size; `kept`, of its shape, holds 0 or 1 / keep."""

    def __init__(self, fates: Fates, layer: int, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self.fates, self.layer = fates, layer
        keep = fates.keep[:, layer].reshape(-1, 1, 1)
        # a draw up to the threshold stays; at keep = 1 all do
        levels = np.round(keep * LEVELS)
        self.threshold = (levels - 1).astype(np.uint16)
        self.scale: Floats = (LEVELS / levels).astype(dtype)
        self.stays: Flags = np.empty(shape, np.bool_)
        self.kept: Floats = np.empty(shape, dtype)

    def draw(self) -> None:
        """Draw which units stay in the next step."""
        drawn = self.fates.draw(self.layer, self.kept[0].size)
        np.less_equal(drawn.reshape(self.kept.shape), self.threshold, out=self.stays)
        np.copyto(self.kept, self.stays)  # with the next line half the time of a product of flags and floats
        self.kept *= self.scale


DROPOUTS = table("dropout", Dropout, InvertedDropout)
