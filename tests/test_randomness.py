"""Random streams: one for each seed, purpose and place, and none shifts another."""

from __future__ import annotations

from itertools import product

import numpy as np

from nnexp.randomness import Purpose, stream

PLACES: list[tuple[int, ...]] = [(), (0,), (1,), (0, 0), (0, 1), (1, 0), (2, 3)]


def test_the_streams_of_all_seeds_purposes_and_places_are_different() -> None:
    keys = list(product((0, 1, 2, 2**32, 2**32 + 1, 2**63), Purpose, PLACES))
    firsts = {stream(seed, purpose, *place).bytes(16) for seed, purpose, place in keys}
    assert len(firsts) == len(keys)


def test_a_stream_is_the_same_each_time_and_whatever_else_was_drawn() -> None:
    first = stream(3, Purpose.INIT, 1).bytes(16)
    for purpose in Purpose:
        stream(3, purpose).random(100)
    np.random.default_rng(3).random(100)
    assert stream(3, Purpose.INIT, 1).bytes(16) == first


def test_the_numbers_of_the_purposes_never_change() -> None:
    numbers = {purpose.name: int(purpose) for purpose in Purpose}
    known = {"INIT": 1, "SHUFFLE": 2, "DROPOUT": 3, "SPLIT": 4, "GENERATE": 5}
    assert {name: numbers[name] for name in known} == known
    assert len(set(numbers.values())) == len(numbers)


def test_the_first_draws_of_a_stream_never_change() -> None:
    assert stream(1, Purpose.INIT).integers(0, 1000, 5).tolist() == [941, 475, 143, 600, 935]
