"""The study: configurations in their order, axes with their kinds, arms, and what they are called."""

from __future__ import annotations

import math

import pytest

from nnexp.reporting.study import Axis, shortened, told
from tests.reporting.sections.grids import study


def test_configurations_stand_by_their_mean_those_with_holes_after_the_whole_ones_those_without_a_score_last() -> None:
    scores = {"a": 0.7, "b": 0.9, "c": 0.8, "d": math.nan}
    found = study(
        {"optimizer": ["d", "a", "b", "c"]},
        lambda chosen, seed: math.nan if chosen["optimizer"] == "b" and seed == 0 else scores[chosen["optimizer"]],
    )
    assert [each.label for each in found.configurations] == [f"optimizer={name}" for name in "cabd"]
    assert found.best is found.configurations[0]
    assert [each.n for each in found.configurations] == [6, 6, 5, 0]


def test_lower_scores_stand_first_where_they_are_better() -> None:
    found = study(
        {"optimizer": ["a", "b"]}, lambda chosen, seed: float(chosen["optimizer"] == "a"), direction="minimize"
    )
    assert [each.label for each in found.configurations] == ["optimizer=b", "optimizer=a"]


@pytest.mark.parametrize(
    ("values", "numeric", "logarithmic"),
    [
        ((0.001, 0.01, 0.1), True, True),
        ((0.0, 0.01, 0.1, 1.0), True, True),
        ((0.5, 0.8, 1.0), True, False),
        ((1, 2, 3, 4), True, False),
        ((-1.0, 1.0, 10.0), True, False),
        (("relu", "tanh"), False, False),
        ((True, False), False, False),
        ((0.1, "auto"), False, False),
    ],
)
def test_ranges_of_numbers_are_known_and_those_that_grow_by_factors(
    values: tuple[object, ...], numeric: bool, logarithmic: bool
) -> None:
    axis = Axis("group.name", "name", values)
    assert (axis.numeric, axis.logarithmic) == (numeric, logarithmic)


def test_arms_share_a_value_and_what_lacks_the_axis_is_in_none() -> None:
    found = study(
        {"optimizer": ["a", "b"], "optimizer.lr": [0.1, 0.01]}, lambda chosen, seed: float(chosen["optimizer.lr"])
    )
    axis = found.axis("optimizer.lr")
    assert axis.values == (0.01, 0.1)
    assert [(arm.label, len(arm.configurations)) for arm in found.arms(axis)] == [("0.01", 2), ("0.1", 2)]
    assert {each.parameters["optimizer.lr"] for each in found.arms(axis)[0].configurations} == {0.01}


def test_random_streams_depend_on_the_trials_alone() -> None:
    one = study({"optimizer": ["a", "b"]}, lambda chosen, seed: 0.5)
    other = study({"optimizer": ["a", "b"]}, lambda chosen, seed: 0.7)
    assert one.generator(1).random() == other.generator(1).random()
    assert one.generator(1).random() != one.generator(2).random()
    assert one.entropy != study({"optimizer": ["a", "b"]}, lambda chosen, seed: 0.5, seeds=5).entropy


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (0.1, "0.1"), (1e-05, "1e-05"), (64, "64"), ((32, 32), "[32, 32]"),
     ((32,) * 12, "[32 × 12]"), ((64, 32, 32, 32), "[64, 32 × 3]"), ("relu", "relu")],
)  # fmt: skip
def test_values_are_told_in_few_characters(value: object, text: str) -> None:
    assert told(value) == text


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("hidden=[32,32,32,32] initializer=a", "hidden=[32 × 4] initializer=a"),
        ("hidden=[32,32]", "hidden=[32,32]"),
        ("hidden=[132,132,132]", "hidden=[132 × 3]"),
        ("hidden=[2,22,222]", "hidden=[2,22,222]"),
        ("activation=[relu,tanh,relu]", "activation=[relu,tanh,relu]"),
    ],
)
def test_labels_with_long_lists_of_equal_values_are_shortened(label: str, text: str) -> None:
    assert shortened(label) == text
