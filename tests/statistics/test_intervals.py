"""Intervals: against SciPy and statsmodels, and by how often they hold the truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from nnexp.errors import ConfigError, DataError
from nnexp.statistics.intervals import (
    STATISTICS,
    Interval,
    Resampling,
    bootstrap,
    bounds_of_rows,
    deviation,
    iqm,
    mean,
    median,
    outer_ranks,
    proportion,
    stratified_bootstrap,
    t_interval,
)
from nnexp.statistics.samples import Float64s

SCORES = [0.91, 0.93, 0.88, 0.95, 0.9, 0.97, 0.89]
FINITE = st.floats(-1e300, 1e300)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def held(low: Float64s, high: Float64s, truth: float = 0.0) -> float:
    """Return the share of intervals that hold the truth."""
    return float(np.mean((low <= truth) & (truth <= high)))


@given(st.lists(FINITE, min_size=1, max_size=20))
def test_a_mean_is_the_exact_one_rounded_and_lies_between_the_ends(values: list[float]) -> None:
    exact = sum(map(Fraction, values)) / len(values)
    assert mean(values) == pytest.approx(float(exact), rel=1e-15, abs=max(map(abs, values)) * 1e-16)
    assert min(values) <= mean(values) <= max(values)
    assert mean([values[0]] * 3) == values[0]


@given(st.lists(FINITE, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_nothing_depends_on_the_order_of_values(values: list[float], random: object) -> None:
    shuffled = sorted(values, key=lambda _: random.random())  # type: ignore[attr-defined]
    for of in (mean, deviation, median, iqm, t_interval):
        assert of(values) == of(shuffled)


def test_squares_of_huge_values_do_not_overflow() -> None:
    assert deviation([1e200, 3e200]) == pytest.approx(math.sqrt(2) * 1e200, rel=1e-15)
    assert mean([1.7e308, 1.7e308]) == 1.7e308


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_a_deviation_is_numpys(values: list[float]) -> None:
    assert deviation(values) == pytest.approx(float(np.std(values, ddof=1)), rel=1e-6, abs=1e-9)


def test_one_value_has_no_deviation_and_no_bounds() -> None:
    assert deviation([0.1]) == 0
    for interval in (t_interval([0.1]), bootstrap([0.1], rng()), stratified_bootstrap([[0.1], [0.1]], rng())):
        assert (interval.low, interval.high, interval.known) == (-math.inf, math.inf, False)
        assert interval.estimate == 0.1
        assert not interval.excludes(1e9)


def test_values_that_are_all_the_same_give_an_interval_without_width() -> None:
    for interval in (t_interval([0.7] * 3), bootstrap([0.7] * 3, rng()), stratified_bootstrap([[0.7] * 3], rng())):
        assert interval.low == interval.high == pytest.approx(0.7, rel=1e-15)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("values", [SCORES, SCORES[:2], [1e-9, 2e-9, 5e-9]])
def test_a_t_interval_is_scipys(values: list[float], level: float) -> None:
    ours = t_interval(values, level)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(level)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    assert (ours.n, ours.level, ours.method) == (len(values), level, "t")


def test_t_intervals_hold_the_mean_of_normal_values_at_their_level() -> None:
    samples = rng(1).normal(0.9, 0.02, (2000, 5))
    found = [t_interval(sample) for sample in samples]
    assert np.mean([not each.excludes(0.9) for each in found]) == pytest.approx(0.95, abs=0.02)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_an_iqm_is_scipys_trimmed_mean_and_a_median_numpys(values: list[float]) -> None:
    assert iqm(values) == pytest.approx(float(stats.trim_mean(values, 0.25)), rel=1e-12, abs=1e-9)
    assert median(values) == np.median(values)


def test_an_iqm_leaves_out_whole_values_only() -> None:
    assert iqm([0, 1, 5]) == 2
    assert iqm([0, 1, 5, 9]) == 3
    assert iqm([0, 1, 5, 9, 10]) == 5


def test_a_median_and_an_iqm_stay_finite_while_few_scores_are_missing() -> None:
    assert iqm([-np.inf, 1, 2, 3]) == 1.5
    assert iqm([-np.inf, -np.inf, 1, 2]) == -np.inf
    assert median([-np.inf, 1, 2]) == 1
    with pytest.raises(DataError, match="finite"):
        mean([-np.inf, 1])


@pytest.mark.parametrize(("method", "theirs"), [("wilson", "wilson"), ("clopper-pearson", "beta")])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (437, 450), (1, 7)])
def test_the_interval_of_a_share_is_statsmodels(k: int, n: int, method: str, theirs: str) -> None:
    ours = proportion(k, n, 0.9, method)  # type: ignore[arg-type]
    low, high = proportion_confint(k, n, alpha=0.1, method=theirs)
    assert (ours.low, ours.high) == pytest.approx((max(low, 0), min(high, 1)), abs=1e-12)
    assert 0 <= ours.low <= ours.estimate <= ours.high <= 1


@pytest.mark.parametrize("p", [0.03, 0.5, 0.91, 0.97])
def test_exact_intervals_of_a_share_never_hold_it_less_often_than_they_say_and_wilsons_on_average(p: float) -> None:
    n, chance = 60, stats.binom.pmf(np.arange(61), 60, p)
    for method, least in (("clopper-pearson", 0.95), ("wilson", 0.93)):
        inside = [not proportion(k, n, 0.95, method).excludes(p) for k in range(n + 1)]  # type: ignore[arg-type]
        assert float(chance @ inside) >= least


@pytest.mark.parametrize("name", sorted(STATISTICS))
@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_a_bootstrap_interval_is_scipys_of_the_sorted_values(name: str, method: Resampling) -> None:
    ours = bootstrap(SCORES, rng(3), name, level=0.9, resamples=999, method=method)
    scipys = {"mean": np.mean, "median": np.median, "iqm": lambda x, axis: stats.trim_mean(x, 0.25, axis=axis)}[name]
    theirs = stats.bootstrap(  # type: ignore[call-overload]
        (np.sort(SCORES),), scipys, confidence_level=0.9, n_resamples=999, method=method, rng=rng(3)
    ).confidence_interval  # fmt: skip
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)
    assert ours.method == method


def test_a_bootstrap_takes_any_statistic_and_no_order() -> None:
    spread = bootstrap(SCORES, rng(), lambda x: x.max(axis=-1) - x.min(axis=-1), resamples=500, method="percentile")
    assert spread.estimate == max(SCORES) - min(SCORES)
    assert spread.high <= spread.estimate
    assert bootstrap(SCORES, rng()) == bootstrap(SCORES[::-1], rng())


def test_a_bootstrap_of_many_values_is_made_in_blocks_that_fit_the_memory() -> None:
    values = rng().normal(size=6000)
    found = bootstrap(values, rng(), resamples=999, method="percentile")
    assert (found.low, found.high) == pytest.approx((t_interval(values).low, t_interval(values).high), abs=3e-3)


def test_where_bca_is_undefined_the_percentile_interval_is_given_under_its_name() -> None:
    assert bootstrap([1, 1, 1, 1, 1, 2], rng(), "median").method == "percentile"


@pytest.mark.parametrize(("n", "reached"), [(5, 0.837), (10, 0.906), (30, 0.938)])
@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_bootstrap_intervals_hold_the_truth_as_often_as_their_docstring_says(
    n: int, reached: float, method: Resampling
) -> None:
    rows = np.sort(rng(n).normal(size=(2000, n)))
    low, high = bounds_of_rows(rows, rng(), STATISTICS["mean"], level=0.95, resamples=499, method=method)
    assert held(low, high) == pytest.approx(reached, abs=0.02)


def test_rows_are_bounded_as_each_alone() -> None:
    rows = np.sort(rng(4).normal(size=(3, 6)))
    low, high = bounds_of_rows(rows, rng(1), STATISTICS["mean"], level=0.9, resamples=99, method="bca")
    each = [bootstrap(row, rng(1), level=0.9, resamples=99) for row in rows]
    assert (low.tolist(), high.tolist()) == ([x.low for x in each], [x.high for x in each])


def test_a_stratified_bootstrap_of_one_group_is_the_bootstrap() -> None:
    one, both = bootstrap(SCORES, rng(), "iqm", method="percentile"), stratified_bootstrap([SCORES], rng(1), "iqm")
    assert (both.low, both.high) == pytest.approx((one.low, one.high), abs=2e-3)
    assert both.estimate == iqm(SCORES)


def test_as_many_resamples_lie_beyond_either_bound() -> None:
    drawn = np.random.default_rng(0).permutation(1000.0 * np.arange(1000))
    assert [float(bound) for bound in outer_ranks(drawn, 0.95)] == [25_000, 974_000]
    assert [float(bound) for bound in outer_ranks(drawn[:1], 0.95)] == [drawn[0], drawn[0]]


def test_a_stratified_bootstrap_does_not_take_differences_of_groups_for_chance() -> None:
    groups = [0.1 + 0.001 * np.arange(5), 0.9 + 0.001 * np.arange(5)]
    found = stratified_bootstrap(groups, rng(), "mean")
    assert found.estimate == pytest.approx(0.502)
    assert found.high - found.low < 0.002


def test_a_stratified_bootstrap_holds_the_truth_about_as_often_as_it_says_with_ten_scores_a_group() -> None:
    samples = rng(2).normal(size=(2000, 3, 10)) + np.arange(3)[:, None]
    found = [stratified_bootstrap(list(sample), rng(), "mean", resamples=199) for sample in samples]
    assert held(np.array([x.low for x in found]), np.array([x.high for x in found]), 1.0) == pytest.approx(
        0.93, abs=0.02
    )


def test_missing_scores_lower_a_stratified_interval_and_never_make_it_nan() -> None:
    found = stratified_bootstrap([[-np.inf, 1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4]], rng(), "iqm")
    assert math.isfinite(found.estimate)
    assert found.low < found.estimate <= found.high < math.inf
    lost = stratified_bootstrap([[-np.inf, -np.inf, 2, 3]], rng(), "iqm")
    assert lost.estimate == lost.low == -math.inf


@pytest.mark.parametrize(
    "interval",
    [
        lambda level: t_interval(SCORES, level),
        lambda level: bootstrap(SCORES, rng(), level=level),
        lambda level: proportion(1, 2, level),
        lambda level: stratified_bootstrap([SCORES], rng(), level=level),
    ],
)
@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_level_that_is_none_is_refused(interval: Callable[[float], Interval], level: float) -> None:
    with pytest.raises(ConfigError, match=r"level must be in \(0, 1\)"):
        interval(level)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_a_share_of_nothing_or_beyond_all_is_refused(k: int, n: int) -> None:
    with pytest.raises(ConfigError, match="must be"):
        proportion(k, n)


def test_a_statistic_or_a_method_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="'mode' is not one of: iqm, mean, median"):
        bootstrap(SCORES, rng(), "mode")
    with pytest.raises(ConfigError, match="'exact' is not one of"):
        proportion(1, 2, method="exact")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="resamples must be at least 1"):
        bootstrap(SCORES, rng(), resamples=0)
