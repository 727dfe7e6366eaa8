"""Samples: scores of which higher ones are better, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from nnexp.errors import ConfigError, DataError
from nnexp.statistics.samples import finite, matrix, oriented, pairs, scores_or_none, several


def test_scores_that_are_minimised_are_negated_and_a_missing_one_is_worst_either_way() -> None:
    assert oriented([1.0, np.nan, 2.0], "minimize").tolist() == [-1.0, -np.inf, -2.0]
    assert oriented([1.0, np.nan, 2.0], "maximize").tolist() == [1.0, -np.inf, 2.0]


def test_an_infinite_cost_is_the_worst_score() -> None:
    assert oriented([np.inf], "minimize").tolist() == [-np.inf]


def test_another_direction_is_refused() -> None:
    with pytest.raises(ConfigError, match="direction 'up' is not one of: maximize, minimize"):
        oriented([1.0], "up")  # type: ignore[arg-type]


def test_a_missing_score_is_kept_where_it_can_be_honoured_and_refused_where_not() -> None:
    assert scores_or_none([-np.inf, 1]).tolist() == [-np.inf, 1]
    with pytest.raises(DataError, match="scores must be finite"):
        finite([-np.inf, 1])


@pytest.mark.parametrize("bad", [[], [[1.0]], [np.nan], [np.inf]])
def test_what_is_no_sample_is_refused(bad: list[float]) -> None:
    with pytest.raises(DataError, match="accuracies must be"):
        scores_or_none(bad, "accuracies")


def test_arrays_of_two_lengths_are_no_pairs() -> None:
    with pytest.raises(DataError, match=r"in pairs, got shapes \(2,\) and \(1,\)"):
        pairs([1, 2], [1])


@pytest.mark.parametrize("bad", [[1.0, 2.0], [[1.0]], [[np.nan, 1.0]]])
def test_what_is_no_matrix_is_refused(bad: list[float]) -> None:
    with pytest.raises(DataError, match="times must"):
        matrix(bad, "times", columns=2)


def test_no_group_is_refused() -> None:
    with pytest.raises(DataError, match="there is none"):
        several([])
