"""Targets: against statsmodels, integrals by fine sums and definitions point by point."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight

from nnexp.errors import ConfigError, DataError
from nnexp.statistics.targets import (
    profile_scores,
    profiles,
    ratios,
    score_profile,
    share_arrived,
    time_to_target,
)

INF = math.inf
TIMES = st.integers(1, 4).flatmap(
    lambda k: st.lists(
        st.lists(st.integers(1, 20).map(float) | st.just(INF), min_size=k, max_size=k), min_size=1, max_size=6
    )
)


def test_the_time_to_a_target_is_that_of_the_first_epoch_that_reaches_it() -> None:
    curve = [0.2, 0.9, 0.7, 0.95]
    assert time_to_target(curve, 0.9) == 2
    assert time_to_target(curve, 0.95, [0.5, 1.0, 1.5, 2.5]) == 2.5
    assert time_to_target(curve, 0.96) == INF
    assert time_to_target([0.1, np.nan, np.nan], 0.2) == INF
    assert time_to_target([], 0.2) == INF
    assert time_to_target([-np.inf, -0.4], -0.5) == 2


@given(st.lists(st.floats(-5, 5), max_size=9), st.floats(-5, 5))
def test_no_epoch_before_the_time_to_a_target_reaches_it(curve: list[float], target: float) -> None:
    time = time_to_target(curve, target)
    before = curve if time == INF else curve[: int(time) - 1]
    assert all(value < target for value in before)
    assert time == INF or curve[int(time) - 1] >= target


def test_curves_and_targets_that_do_not_fit_are_refused() -> None:
    for times in ([1.0], [2.0, 1.0]):
        with pytest.raises(DataError, match="one ascending time each"):
            time_to_target([0.1, 0.2], 0.1, times)
    with pytest.raises(ConfigError, match="target must be finite"):
        time_to_target([0.1], np.nan)


def test_the_share_that_arrived_is_one_minus_kaplan_and_meier_with_misses_below_one() -> None:
    times = np.array([3.0, 1, 1, INF, 7, 3, INF, 2])
    found = share_arrived(times)
    arrived = np.isfinite(times)
    theirs = SurvfuncRight(np.where(arrived, times, 100), arrived)
    np.testing.assert_allclose(found.at, theirs.surv_times[theirs.n_events > 0])
    np.testing.assert_allclose(found.share, 1 - theirs.surv_prob[theirs.n_events > 0])
    assert (found.share[-1], found.n) == (0.75, 8)


@given(st.lists(st.integers(0, 9).map(float) | st.just(INF), min_size=1, max_size=9), st.floats(-1, 12))
def test_steps_are_the_share_of_what_is_at_most_so_much(times: list[float], x: float) -> None:
    assert float(share_arrived(times)(x)) == np.mean([t <= x for t in times])


def test_steps_take_any_shape_and_none_at_all_may_arrive() -> None:
    assert share_arrived([1, 2])([[0, 1], [2, 9]]).tolist() == [[0, 0.5], [1, 1]]
    assert share_arrived([INF, INF])([1e300]).tolist() == [0]


@given(TIMES)
def test_profiles_count_problems_within_a_ratio_to_the_best(times: list[list[float]]) -> None:
    t, steps = np.array(times), profiles(times)
    for tau in (1.0, 1.5, 2.0, 7.0):
        for arm, profile in enumerate(steps):
            within = [np.isfinite(row[arm]) and row[arm] <= tau * row.min() * (1 + 1e-12) for row in t]
            assert float(profile(tau * (1 + 1e-12))) == pytest.approx(np.mean(within))


@given(TIMES)
def test_the_area_under_a_profile_is_its_integral(times: list[list[float]]) -> None:
    middle = 1 + 3 * (np.arange(30_000) + 0.5) / 30_000
    sums = [float(np.mean(profile(middle))) for profile in profiles(times)]
    assert profile_scores(times).tolist() == pytest.approx(sums, abs=1e-3)


def test_an_arm_that_is_always_best_has_an_area_of_one_and_one_that_never_arrives_of_none() -> None:
    times = [[10, 20, 40, INF], [5, 10, 50, INF]]
    assert profile_scores(times).tolist() == pytest.approx([1, 2 / 3, 0, 0])
    assert profile_scores(times, upto=5).tolist() == pytest.approx([1, 3 / 4, 1 / 8, 0])
    assert ratios([[INF, INF]]).tolist() == [[INF, INF]]


@pytest.mark.parametrize("times", [[[0.0, 1.0]], [[-1.0, 1.0]], [[np.nan, 1.0]], [], [1.0]])
def test_times_that_are_none_are_refused(times: list[list[float]]) -> None:
    with pytest.raises(DataError, match="times must"):
        ratios(times)
    with pytest.raises(ConfigError, match="upto must be above 1"):
        profile_scores([[1.0]], upto=1)


@pytest.mark.parametrize("times", [[], [-1.0], [np.nan], [[1.0]]])
def test_what_is_no_time_to_arrive_is_refused(times: list[float]) -> None:
    with pytest.raises(DataError, match="times must be at least one"):
        share_arrived(times)


def resampled_band(groups: list[np.ndarray], tau: float, level: float) -> tuple[float, float]:
    """Return the percentile interval of the share above a threshold, by resampling the scores themselves."""
    rng = np.random.default_rng(5)
    drawn = np.concatenate([x[rng.integers(0, len(x), (20_000, len(x)))] for x in groups], axis=1)
    low, high = np.quantile((drawn > tau).mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def test_the_band_of_a_score_profile_is_that_of_resampled_scores() -> None:
    rng = np.random.default_rng(6)
    groups, tau = [rng.normal(0, 1, 25), rng.normal(1, 1, 40)], np.array([-1.0, 0.3, 1.2, 2.0])
    found = score_profile(groups, tau, rng, level=0.9, resamples=20_000)
    np.testing.assert_allclose(found.share, [np.mean(np.concatenate(groups) > t) for t in tau])
    for i, t in enumerate(tau):
        assert (found.low[i], found.high[i]) == pytest.approx(resampled_band(groups, t, 0.9), abs=1.01 / 65)
    assert (found.n, found.level) == (65, 0.9)


def test_the_band_of_one_group_is_the_quantile_of_its_binomial() -> None:
    scores = np.arange(30.0)
    found = score_profile([scores], [20.5], np.random.default_rng(7), resamples=50_000)
    exact = stats.binom(30, 9 / 30).ppf([0.025, 0.975]) / 30
    assert (found.low[0], found.high[0]) == pytest.approx(exact, abs=1e-12)


@given(st.lists(st.integers(0, 9).map(float) | st.just(-INF), min_size=1, max_size=9))
def test_a_score_profile_falls_and_its_band_holds_it(scores: list[float]) -> None:
    found = score_profile([scores], [-1, 0, 4, 9], np.random.default_rng(0), resamples=200)
    assert found.share[0] == np.mean(np.isfinite(scores))
    assert found.share[-1] == 0
    assert (np.diff(found.share) <= 0).all()
    assert ((found.low <= found.share) & (found.share <= found.high)).all()
    assert ((found.low >= 0) & (found.high <= 1)).all()


def test_no_group_no_threshold_and_no_level_are_refused() -> None:
    rng = np.random.default_rng(0)
    for groups, thresholds in (([], [0.5]), ([[1.0]], []), ([[]], [0.5]), ([[1.0]], [np.nan])):
        with pytest.raises(DataError):
            score_profile(groups, thresholds, rng)
    with pytest.raises(ConfigError, match="level"):
        score_profile([[1.0]], [0.5], rng, level=1)
