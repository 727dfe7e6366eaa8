"""Fronts: against the definition, point by point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnexp.errors import DataError
from nnexp.statistics.fronts import pareto

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5) | st.just(-np.inf)), max_size=12)


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] >= other[1]


@given(POINTS)
def test_the_front_is_what_nothing_beats(points: list[tuple[float, float]]) -> None:
    found = pareto([c for c, _ in points], [v for _, v in points])
    unbeaten = {i for i, p in enumerate(points) if np.isfinite(p[1]) and not any(beats(q, p) for q in points)}
    assert set(found.tolist()) == unbeaten
    assert len(found) == len(unbeaten)
    on_front = [points[i] for i in found]
    assert on_front == sorted(on_front)


def test_equal_points_stay_together_and_the_front_rises() -> None:
    assert pareto([1, 1, 2, 3, 1], [5, 4, 5, 7, 5]).tolist() == [0, 4, 3]


def test_nothing_without_a_score_is_on_a_front() -> None:
    assert pareto([1, 2], [-np.inf, -np.inf]).tolist() == []


@pytest.mark.parametrize(("costs", "scores"), [([np.inf], [1]), ([1], [np.nan]), ([1, 2], [1])])
def test_costs_and_scores_that_cannot_be_compared_are_refused(costs: list[float], scores: list[float]) -> None:
    with pytest.raises(DataError, match="costs"):
        pareto(costs, scores)
