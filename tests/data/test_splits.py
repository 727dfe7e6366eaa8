"""Splits: every example in one part, classes in proportion, sizes the same for every seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nnexp.data.sources import DATASETS, Blobs, Diabetes, Iris, Moons, Source
from nnexp.data.splits import Split, divide
from nnexp.errors import DataError
from nnexp.randomness import Purpose, stream
from nnexp.testing.contracts import assert_partition

SHARES = st.sampled_from([0.0, 0.1, 0.15, 0.2, 0.29, 1 / 3, 0.4])
SEEDS = st.integers(0, 2**40)


def labels_of(sizes: list[int], seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


def parts(split: Split) -> dict[str, np.ndarray[Any, Any]]:
    return {"train": split.train, "validation": split.validation, "test": split.test}


@given(st.lists(st.integers(12, 40), min_size=1, max_size=5), SHARES, SHARES, SEEDS)
def test_a_split_of_classes_holds_every_example_once_and_classes_in_proportion(
    sizes: list[int], validation: float, test: float, seed: int
) -> None:
    assume(validation + test < 1)
    y = labels_of(sizes)
    split = divide(Blobs(validation=validation, test=test), y, seed)
    assert_partition(split, len(y))
    shares = {"validation": validation, "test": test, "train": 1 - validation - test}
    for name, part in parts(split).items():
        counts = np.bincount(y[part], minlength=len(sizes))
        limit = 2 if name == "train" else 1  # the training part is what both others leave
        assert (np.abs(counts - shares[name] * np.array(sizes)) < limit + 1e-9).all()
    assert len(split.validation) == round(validation * len(y))
    assert len(split.test) == round(test * len(y))


@given(st.integers(12, 200), SHARES, SHARES, SEEDS)
def test_a_split_of_values_holds_every_example_once(N: int, validation: float, test: float, seed: int) -> None:
    assume(validation + test < 1)
    split = divide(Diabetes(validation=validation, test=test), np.linspace(0, 1, N), seed)
    assert_partition(split, N)
    assert len(split.validation) == round(validation * N)
    assert len(split.test) == round(test * N)


@given(st.lists(st.integers(12, 40), min_size=1, max_size=4), st.lists(SEEDS, min_size=2, max_size=2, unique=True))
def test_splits_of_all_seeds_have_the_same_sizes_but_not_the_same_examples(sizes: list[int], seeds: list[int]) -> None:
    y = labels_of(sizes)
    one, another = (parts(divide(Blobs(), y, seed)) for seed in seeds)
    assert {name: len(part) for name, part in one.items()} == {name: len(part) for name, part in another.items()}
    for name in one:
        assert np.bincount(y[one[name]]).tolist() == np.bincount(y[another[name]]).tolist()
    assert one["train"].tobytes() != another["train"].tobytes()


def test_a_split_is_drawn_from_its_own_stream_alone() -> None:
    y = labels_of([20, 20])
    before = divide(Moons(), y, 3)
    for purpose in Purpose:
        stream(3, purpose).random(1000)
    np.random.default_rng(3).random(1000)
    after = divide(Moons(), y, 3)
    assert all((parts(before)[name] == parts(after)[name]).all() for name in parts(before))


def test_a_split_does_not_depend_on_settings_that_do_not_divide() -> None:
    y = labels_of([20, 20])
    one, another = divide(Moons(), y, 3), divide(Moons(noise=0.9, seed=5, standardize=False), y, 3)
    assert (one.train == another.train).all()


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_dataset_can_be_divided_as_it_comes(name: str) -> None:
    source = DATASETS[name]()
    y = source.load().y
    split = divide(source, y, 0)
    assert_partition(split, len(y))
    assert min(len(part) for part in parts(split).values()) > 0


def test_a_share_of_0_leaves_a_part_empty() -> None:
    split = divide(Moons(validation=0, test=0), labels_of([6, 6]), 0)
    assert [len(part) for part in parts(split).values()] == [12, 0, 0]


@pytest.mark.parametrize(
    ("source", "y", "message"),
    [
        (Iris(), labels_of([50, 2]), r"iris: a class of 2 examples is too small for its split \(0.2, 0.2\)"),
        (Diabetes(), np.arange(2.0), r"diabetes: the set of 2 examples is too small for its split \(0.2, 0.2\)"),
    ],
)
def test_a_class_too_small_for_a_part_is_an_error(source: Source, y: np.ndarray[Any, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}$"):
        divide(source, y, 0)
