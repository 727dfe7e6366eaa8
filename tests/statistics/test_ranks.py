"""Ranks: against SciPy, and the published table of Nemenyi's test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nnexp.errors import ConfigError, DataError
from nnexp.statistics.ranks import critical_difference, friedman, ranks

TABLES = st.integers(2, 6).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 4), min_size=k, max_size=k), min_size=2, max_size=8)
)


@given(TABLES)
def test_ranks_are_scipys_with_the_best_first(scores: list[list[int]]) -> None:
    np.testing.assert_array_equal(ranks(scores), stats.rankdata(-np.array(scores), axis=1))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [3, 1000])
def test_friedmans_test_is_scipys_with_and_without_ties(seed: int, levels: int) -> None:
    scores = np.random.default_rng(seed).integers(0, levels, (9, 4)).astype(float)
    found, theirs = friedman(scores), stats.friedmanchisquare(*scores.T)
    assert (found.statistic, found.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)
    np.testing.assert_allclose(found.average_ranks, stats.rankdata(-scores, axis=1).mean(axis=0))
    assert found.problems == 9


@given(TABLES, st.randoms(use_true_random=False))
def test_the_order_of_problems_changes_nothing_and_that_of_arms_only_their_places(
    scores: list[list[int]], random: object
) -> None:
    shuffled = sorted(scores, key=lambda _: random.random())  # type: ignore[attr-defined]
    one, two, mirrored = friedman(scores), friedman(shuffled), friedman(np.array(scores)[:, ::-1])
    assert (one.statistic, one.p) == (two.statistic, two.p) == (mirrored.statistic, mirrored.p)
    assert one.average_ranks.tolist() == two.average_ranks.tolist() == mirrored.average_ranks[::-1].tolist()
    assert 0 <= one.p <= 1


def test_arms_that_do_not_differ_are_found_to_differ_no_more_often_than_the_level() -> None:
    scores = np.random.default_rng(0).normal(size=(2000, 12, 4))
    assert np.mean([friedman(each).p <= 0.05 for each in scores]) <= 0.07


def test_a_missing_score_is_the_worst_and_ties_give_no_evidence() -> None:
    assert ranks([[-np.inf, 0.1, -np.inf]]).tolist() == [[2.5, 1, 2.5]]
    assert (friedman(np.ones((3, 3))).statistic, friedman(np.ones((3, 3))).p) == (0, 1)


def test_critical_differences_follow_from_the_published_quantiles() -> None:
    for k, q in zip(range(2, 8), (1.960, 2.344, 2.569, 2.728, 2.850, 2.948), strict=True):  # 2.344 is 2.3437
        assert critical_difference(10, k) == pytest.approx(q * np.sqrt(k * (k + 1) / 60), abs=1e-3)
    assert critical_difference(4, 5) == pytest.approx(3.05, abs=0.005)
    assert critical_difference(10, 5, 0.1) == pytest.approx(2.459 * np.sqrt(0.5), abs=1e-3)


@pytest.mark.parametrize("scores", [[[1.0, 2.0]], [[1.0], [2.0]], [[np.nan, 1.0], [1.0, 2.0]]])
def test_one_problem_one_arm_or_no_number_is_refused(scores: list[list[float]]) -> None:
    with pytest.raises(DataError, match="scores must"):
        friedman(scores)


@pytest.mark.parametrize(("problems", "arms", "alpha"), [(1, 3, 0.05), (5, 1, 0.05), (5, 3, 1)])
def test_a_critical_difference_of_too_little_is_refused(problems: int, arms: int, alpha: float) -> None:
    with pytest.raises(ConfigError, match="must be"):
        critical_difference(problems, arms, alpha)
