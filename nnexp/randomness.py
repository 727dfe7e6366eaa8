"""The random streams: one for each seed and purpose, so that no consumer can shift another.

A stream depends on a trial's seed, the purpose and, where it is used again and again, on the layer and the epoch it is
used for; never on the rest of the config, on neighbours in a stack, or on how much was drawn elsewhere. Repeats of
different configurations with the same seed therefore start from the same draws: they are paired.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for. The integers are part of every trial's numbers: never change or reuse one."""

    INIT = 1
    SHUFFLE = 2
    DROPOUT = 3
    SPLIT = 4
    GENERATE = 5
    INPUT_DROPOUT = 6
    SAMPLE = 7  # of a sweep's combinations, by sweep.sample_seed


def stream(seed: int, purpose: Purpose, *place: int) -> np.random.Generator:
    """The generator of a seed and purpose, at a place (a layer, an epoch) where the purpose has several."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(purpose, *place))))
