"""Splits: which examples a network trains on, is chosen by and is tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnexp.data.sources import Source
from nnexp.errors import DataError
from nnexp.randomness import Purpose, stream

Indices = NDArray[np.intp]
Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Split:
    """The examples of each part, as indices into the source, each part in ascending order."""

    train: Indices
    validation: Indices
    test: Indices


def divide(source: Source, y: NDArray[np.generic], seed: int) -> Split:
    """Divide the examples by the seed's stream; stratified by class where there are classes.

    The sizes of the parts depend on the source alone, so that trials with different splits still share a shape.
    Raises: DataError if a class is too small to be in every part.
    """
    rng = stream(seed, Purpose.SPLIT)
    strata = [np.flatnonzero(y == label) for label in np.unique(y)] if source.classes else [np.arange(len(y))]
    shares = (source.validation, source.test)
    counts = np.stack(
        [_apportion([len(stratum) for stratum in strata], share) for share in shares], axis=1
    )  # (strata, 2)
    parts: tuple[list[Indices], ...] = ([], [], [])
    for stratum, (validation, test) in zip(strata, counts.tolist(), strict=True):
        train = len(stratum) - validation - test
        if min(train, validation if shares[0] else 1, test if shares[1] else 1) < 1:
            what = "a class" if source.classes else "the set"
            raise DataError(f"{source.name}: {what} of {len(stratum)} examples is too small for its split {shares}")
        shuffled = rng.permutation(stratum)
        for part, piece in zip(parts, np.split(shuffled, [train, train + validation]), strict=True):
            part.append(piece)
    return Split(*(np.sort(np.concatenate(part)) for part in parts))


def _apportion(sizes: list[int], share: float) -> Indices:
    """Share round(share sum(sizes)) out over strata by largest remainder, the first of equals first."""
    exact = share * np.array(sizes, np.float64)
    counts = np.floor(exact).astype(np.intp)
    missing = round(share * sum(sizes)) - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[: max(missing, 0)]] += 1
    return counts
