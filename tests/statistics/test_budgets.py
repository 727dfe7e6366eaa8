"""Budgets: against every draw and every order there is, and fresh trials."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnexp.errors import ConfigError, DataError
from nnexp.statistics.budgets import (
    expected_best,
    expected_best_band,
    expected_best_biased,
    expected_best_in,
    expected_selected,
)

SCORES = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=7)
MISSING = -np.inf


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(SCORES)
def test_the_expected_best_is_the_mean_over_all_draws_without_replacement(scores: list[float]) -> None:
    everything = [np.mean([max(draw) for draw in itertools.combinations(scores, n + 1)]) for n in range(len(scores))]
    np.testing.assert_allclose(expected_best(scores), everything, rtol=1e-12, atol=1e-12)


@given(st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=5))
def test_the_biased_one_is_the_mean_over_all_draws_with_replacement(scores: list[float]) -> None:
    n = range(1, 5)
    everything = [np.mean([max(draw) for draw in itertools.product(scores, repeat=k)]) for k in n]
    np.testing.assert_allclose(expected_best_biased(scores, list(n)), everything, rtol=1e-12, atol=1e-12)


@given(SCORES, st.randoms(use_true_random=False))
def test_the_expected_best_rises_from_the_mean_to_the_maximum_whatever_the_order(
    scores: list[float], random: object
) -> None:
    found = expected_best(scores)
    assert found[0] == pytest.approx(np.mean(scores), abs=1e-12)
    assert found[-1] == max(scores)
    assert (np.diff(found) >= -1e-12).all()
    assert expected_best(sorted(scores, key=lambda _: random.random())).tolist() == found.tolist()  # type: ignore[attr-defined]


def test_the_expected_best_has_no_bias_and_dodges_has() -> None:
    sweeps, n = rng(1).random((2000, 12)), 8
    truth = n / (n + 1)  # of n uniform scores
    unbiased = np.mean([expected_best(each, [n]) for each in sweeps])
    biased = np.mean([expected_best_biased(each, [n]) for each in sweeps])
    assert unbiased == pytest.approx(truth, abs=0.003)
    assert biased < truth - 0.02


def test_the_band_of_the_expected_best_holds_the_truth_about_as_often_as_its_docstring_says() -> None:
    n, source = np.array([1, 2, 4]), rng(5)
    bands = [expected_best_band(source.random(40), n, source, resamples=200) for _ in range(500)]
    held = np.mean([(band.low <= n / (n + 1)) & (n / (n + 1) <= band.high) for band in bands], axis=0)
    assert ((held > 0.88) & (held < 0.97)).all()


def test_a_band_is_that_of_resampled_trials_and_is_not_given_where_it_fails() -> None:
    scores = rng(6).normal(size=30)
    found = expected_best_band(scores, [1, 3, 4, 30], rng(7), level=0.9, resamples=999)
    source = rng(8)
    drawn = np.array([expected_best(source.choice(scores, 30), [1, 3]) for _ in range(999)])
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    np.testing.assert_allclose([found.low[:2], found.high[:2]], [low, high], atol=0.05)
    assert np.isnan([found.low[2:], found.high[2:]]).all()
    assert found.share.tolist() == expected_best(scores, [1, 3, 4, 30]).tolist()
    assert (found.at.tolist(), found.level, found.n) == ([1, 3, 4, 30], 0.9, 30)


def test_a_band_depends_on_no_order_and_on_missing_scores_as_its_estimate_does() -> None:
    scores = np.array([*rng(6).random(38), MISSING, MISSING])
    one, other = (expected_best_band(each, [1, 4], rng(), floor=0.1) for each in (scores, scores[::-1]))
    assert (one.low.tolist(), one.high.tolist()) == (other.low.tolist(), other.high.tolist())
    assert (one.low < one.share).all()
    lost = expected_best_band([MISSING] * 10, [1], rng())
    assert lost.share.tolist() == [MISSING]
    assert np.isnan([lost.low, lost.high]).all()
    with pytest.raises(ConfigError, match="level"):
        expected_best_band(scores, [1], rng(), level=2)


def test_ten_thousand_trials_neither_overflow_nor_lose_digits() -> None:
    scores = rng(2).permutation(np.arange(1.0, 10_001))
    budgets = np.array([1, 2, 10, 500, 5000, 9999, 10_000])
    exact = budgets * 10_001 / (budgets + 1)  # the mean of the largest of n out of 1 .. B
    np.testing.assert_allclose(expected_best(scores, budgets), exact, rtol=1e-10)


def test_a_missing_score_uses_its_trial_and_counts_as_the_worst_or_as_the_floor() -> None:
    assert expected_best([MISSING, 1, 3]).tolist() == expected_best([1, 1, 3]).tolist()
    assert expected_best([MISSING, 1, 3], floor=0.1).tolist() == expected_best([0.1, 1, 3]).tolist()
    assert expected_best([MISSING, 1, 3])[0] < np.mean([1, 3])
    assert expected_best([MISSING, MISSING]).tolist() == [MISSING, MISSING]
    assert expected_best([MISSING, MISSING], floor=0.5).tolist() == [0.5, 0.5]
    assert expected_best_biased([MISSING, 1], [1]).tolist() == [1]


@given(st.lists(st.tuples(st.integers(0, 3).map(float), st.integers(0, 9).map(float)), min_size=1, max_size=6))
def test_the_expected_test_score_of_what_is_selected_is_the_mean_over_all_draws(
    trials: list[tuple[float, float]],
) -> None:
    def of_best(draw: tuple[tuple[float, float], ...]) -> float:
        best = max(validation for validation, _ in draw)
        every = [t for v, t in trials if v == best]
        return float(np.mean(every))  # ties: the mean of all that tie in the sweep

    everything = [np.mean([of_best(d) for d in itertools.combinations(trials, n + 1)]) for n in range(len(trials))]
    found = expected_selected([v for v, _ in trials], [t for _, t in trials])
    np.testing.assert_allclose(found, everything, rtol=1e-12, atol=1e-12)


def test_choosing_on_validation_does_not_look_at_the_test_score() -> None:
    assert expected_selected([1, 2, 3], [9, 5, 1]).tolist() == pytest.approx([5, 7 / 3, 1])
    assert expected_selected([1, 2, 3], [1, 2, 3]).tolist() == expected_best([1, 2, 3]).tolist()
    assert expected_selected([1, 1], [0, 8]).tolist() == [4, 4]


def test_a_trial_without_validation_is_selected_only_where_nothing_else_is_there() -> None:
    found = expected_selected([MISSING, 1, 2], [MISSING, 0.5, 0.7], floor=0.1)
    assert found.tolist() == pytest.approx([(0.1 + 0.5 + 0.7) / 3, (0.5 + 0.7 + 0.7) / 3, 0.7])


def in_order(trials: list[tuple[float, float]], budget: float) -> float:
    """Return the best score of trials in this order, the worst of all before the first one ends."""
    ended = np.cumsum([seconds for _, seconds in trials]) <= budget + 1e-9
    scores = [score for score, _ in trials]
    return float(max([*np.array(scores)[ended], min(scores)]))


@given(
    st.lists(st.tuples(st.integers(0, 9).map(float), st.integers(1, 9).map(float)), min_size=1, max_size=5),
    st.lists(st.integers(0, 40).map(float), min_size=1, max_size=4),
)
def test_the_expected_best_in_a_time_is_the_mean_over_all_orders(
    trials: list[tuple[float, float]], budgets: list[float]
) -> None:
    found = expected_best_in([v for v, _ in trials], [s for _, s in trials], budgets, rng())
    orders = list(itertools.permutations(trials))
    everything = [np.mean([in_order(list(order), budget) for order in orders]) for budget in budgets]
    np.testing.assert_allclose(found.expected, everything, rtol=1e-12, atol=1e-12)
    assert (found.exact, found.orders, found.error.max()) == (True, math.factorial(len(trials)), 0)


def test_orders_are_drawn_where_there_are_too_many_and_their_error_is_told() -> None:
    scores, seconds = rng(3).random(30), np.ones(30)
    found = expected_best_in(scores, seconds, np.arange(1.0, 31), rng(4), orders=2000)
    assert (found.exact, found.orders) == (False, 2000)
    off = np.abs(found.expected - expected_best(scores))  # trials of a second each: a budget of trials
    assert (off <= 4.5 * found.error + 1e-12).all()
    assert 0 < found.error.max() < 0.01
    again = expected_best_in(scores[::-1], seconds, np.arange(1.0, 31), rng(4), orders=2000)
    assert again.expected.tolist() == found.expected.tolist()


def test_slow_trials_and_those_that_diverge_use_the_time() -> None:
    quick = expected_best_in([1, 2], [1, 1], [0, 1, 2], rng())
    assert quick.expected.tolist() == [1, 1.5, 2]
    assert expected_best_in([1, 2], [1, 1], [0, 1], rng(), floor=0.1).expected.tolist() == [0.1, 1.5]
    slow = expected_best_in([1, 2, MISSING], [1, 1, 8], [1, 2, 9, 10], rng(), floor=0)
    assert slow.expected.tolist() == pytest.approx([1, (2 + 2 + 1 + 2) / 6, (2 + 2 + 1 + 2 + 1 + 2) / 6, 2])


def test_nothing_is_expected_of_trials_that_all_failed() -> None:
    found = expected_best_in([MISSING] * 9, [1.0] * 9, [1, 5], rng())
    assert found.expected.tolist() == [MISSING, MISSING]
    assert found.error.tolist() == [0, 0]
    assert expected_selected([MISSING], [MISSING]).tolist() == [MISSING]


@pytest.mark.parametrize("budgets", [[0], [4], [1.5], [[1]]])
def test_a_budget_that_no_draw_can_have_is_refused(budgets: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"budgets must be whole numbers in \[1, 3\]"):
        expected_best([1, 2, 3], budgets)


def test_scores_seconds_and_floors_that_cannot_be_used_are_refused() -> None:
    for scores, seconds in (([np.nan], [1.0]), ([1.0], [0.0]), ([1.0], [1.0, 2.0]), ([], [])):
        with pytest.raises(DataError):
            expected_best_in(scores, seconds, [1], rng())
    with pytest.raises(DataError, match="not negative"):
        expected_best_in([1], [1], [-1], rng())
    with pytest.raises(ConfigError, match="floor must be finite"):
        expected_best([1], floor=-np.inf)
    with pytest.raises(ConfigError, match="orders"):
        expected_best_in([1], [1], [1], rng(), orders=1)
    with pytest.raises(DataError, match="in pairs"):
        expected_selected([1, 2], [1])
