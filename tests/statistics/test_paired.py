"""Paired comparisons: against SciPy, statsmodels and enumeration, and by how often they err."""

from __future__ import annotations

import itertools
import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from nnexp.errors import ConfigError, DataError
from nnexp.statistics.paired import (
    compare,
    differences,
    holm,
    improvement,
    least_p,
    needed_n,
    needed_pairs,
    paired_improvement,
    power,
    sign_flip_p,
    wilcoxon_p,
)

SIMULATED = 2000
WHOLE = st.lists(st.integers(-5, 5), min_size=1, max_size=9)  # many ties and zeros


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def flipped(values: list[int]) -> list[int]:
    """Return the sums of values under all choices of signs."""
    return [sum(s * v for s, v in zip(signs, values, strict=True)) for signs in signs_of(len(values))]


def signs_of(n: int) -> list[tuple[int, ...]]:
    return list(itertools.product((1, -1), repeat=n))


@given(WHOLE)
def test_a_sign_flip_p_is_the_share_of_all_choices_of_signs_that_are_as_extreme(d: list[int]) -> None:
    assert sign_flip_p(d) == np.mean([abs(total) >= abs(sum(d)) for total in flipped(d)])


@given(WHOLE)
def test_a_wilcoxon_p_is_the_share_of_all_choices_of_signs_of_its_ranks(d: list[int]) -> None:
    some = [x for x in d if x]
    ranks = stats.rankdata(np.abs(some))
    w = sum(rank for rank, x in zip(ranks, some, strict=True) if x > 0)
    sums = [sum(r for r, s in zip(ranks, signs, strict=True) if s > 0) for signs in signs_of(len(some))]
    tails = np.mean([x <= w for x in sums]), np.mean([x >= w for x in sums])
    assert wilcoxon_p(d) == pytest.approx(min(1, 2 * min(tails)), rel=1e-12)


@pytest.mark.parametrize("n", [3, 6, 20, 60])
def test_a_wilcoxon_p_without_ties_is_scipys_exact_one(n: int) -> None:
    d = rng(n).normal(0.2, 1, n)
    assert wilcoxon_p(d) == pytest.approx(float(stats.wilcoxon(d, method="exact").pvalue), rel=1e-10)


@pytest.mark.parametrize("n", [600, 5000])
def test_a_wilcoxon_p_of_very_many_differences_is_scipys_approximation_with_and_without_ties(n: int) -> None:
    for d in (rng(n).normal(0.02, 1, n), rng(n).integers(-5, 7, n)):
        theirs = stats.wilcoxon(d, method="approx", zero_method="wilcox", correction=False)
        assert wilcoxon_p(d) == pytest.approx(float(theirs.pvalue), rel=1e-9)


def test_the_exact_wilcoxon_p_of_many_differences_meets_the_approximation() -> None:
    d = rng(16).normal(0.08, 1, 500)
    assert wilcoxon_p(d) == pytest.approx(float(stats.wilcoxon(d, method="exact").pvalue), rel=1e-8)
    assert wilcoxon_p(d) == pytest.approx(float(stats.wilcoxon(d, method="approx").pvalue), rel=0.01)


def test_a_sign_flip_p_is_scipys_permutation_test() -> None:
    d = rng(5).normal(0.5, 1, 9)
    found = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=10**5)
    assert sign_flip_p(d) == pytest.approx(found.pvalue, rel=1e-12)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_ps_do_not_depend_on_order_sign_scale_or_zeros(d: list[float], random: object) -> None:
    rounded = [round(x, 3) for x in d]
    shuffled = sorted(rounded, key=lambda _: random.random())  # type: ignore[attr-defined]
    for test in (sign_flip_p, wilcoxon_p):
        p = test(rounded)
        assert least_p(len(d)) <= p <= 1
        assert test(shuffled) == test([-x for x in rounded]) == test([*rounded, 0.0]) == p
        assert test([8 * x for x in rounded]) == p


def test_no_difference_at_all_gives_a_p_of_one() -> None:
    assert sign_flip_p([0, 0, 0]) == wilcoxon_p([0, 0, 0]) == 1


def test_many_differences_are_flipped_at_random_and_never_give_a_p_of_zero() -> None:
    d = rng(7).normal(0.4, 1, 30)
    exact = float(stats.ttest_1samp(d, 0).pvalue)
    assert sign_flip_p(d, rng()) == pytest.approx(exact, abs=0.01)
    assert sign_flip_p(d, rng()) == sign_flip_p(d[::-1], rng())
    assert sign_flip_p(d + 9, rng(), flips=999) == 1 / 1000
    with pytest.raises(ConfigError, match="rng must be given for more than 20 differences"):
        sign_flip_p(d)


@pytest.mark.parametrize("n", [6, 10])
@pytest.mark.parametrize("test", [sign_flip_p, wilcoxon_p])
def test_tests_err_no_more_often_than_their_level_when_arms_do_not_differ(test: object, n: int) -> None:
    normal, shares = rng(n).normal(size=(SIMULATED, n)), rng(n).binomial(100, 0.9, (2, SIMULATED, n)) / 100
    for d in (normal, shares[0] - shares[1]):
        p = np.array([test(np.round(row, 12)) for row in d])  # type: ignore[operator]
        assert np.mean(p <= 0.05) <= 0.07
        assert np.mean(p <= 0.5) <= 0.52
    assert np.mean(np.array([test(row + 1.5) for row in normal]) <= 0.05) > 0.6  # type: ignore[operator]


def test_random_flips_err_no_more_often_than_their_level() -> None:
    p = [sign_flip_p(row, rng(i), flips=199) for i, row in enumerate(rng(8).normal(size=(SIMULATED, 24)))]
    assert 0.03 <= np.mean(np.array(p) <= 0.05) <= 0.07


def test_holm_keeps_the_chance_of_any_false_rejection_at_the_level() -> None:
    shared = rng(9).normal(size=(SIMULATED, 1, 10))
    arms = rng(10).normal(size=(SIMULATED, 6, 10))  # six comparisons with one arm: dependent, and none is real
    p = np.array([[wilcoxon_p(arm - common[0]) for arm in each] for each, common in zip(arms, shared, strict=True)])
    adjusted = np.array([holm(row) for row in p])
    assert np.mean(p.min(axis=1) <= 0.05) > 0.1
    assert np.mean(adjusted.min(axis=1) <= 0.05) <= 0.07


@settings(max_examples=8)  # statsmodels collects garbage at each call, which takes 0.2 s
@given(st.lists(st.floats(0, 1), min_size=3, max_size=12))
def test_holms_ps_are_statsmodels(p: list[float]) -> None:
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)


@pytest.mark.parametrize("p", [[], [1.5], [-0.1], [math.nan]])
def test_what_is_no_p_is_refused(p: list[float]) -> None:
    with pytest.raises(DataError, match="p values must be"):
        holm(p)


def test_fewer_than_six_pairs_cannot_reach_five_percent() -> None:
    assert [needed_pairs(alpha) for alpha in (0.05, 0.01, 0.05 / 6, 0.5)] == [6, 8, 8, 2]
    assert [least_p(n) for n in (0, 1, 2, 5, 6)] == [1, 1, 0.5, 0.0625, 0.03125]
    for n in range(1, 8):
        assert sign_flip_p(range(1, n + 1)) == wilcoxon_p(range(1, n + 1)) == least_p(n)


@pytest.mark.parametrize(
    ("effect", "alpha", "wanted"), [(0.5, 0.05, 0.8), (1.3, 0.05, 0.8), (0.2, 0.01, 0.9), (3, 0.05, 0.8)]
)
def test_the_pairs_that_are_needed_are_statsmodels_rounded_up(effect: float, alpha: float, wanted: float) -> None:
    theirs = TTestPower().solve_power(effect, alpha=alpha, power=wanted)
    assert needed_n(-2 * effect, 2, power=wanted, alpha=alpha) == math.ceil(float(np.squeeze(theirs)))


@pytest.mark.parametrize("n", [2, 5, 40])
def test_power_is_statsmodels(n: int) -> None:
    assert power(n, 0.7, 1, 0.05) == pytest.approx(float(TTestPower().power(0.7, n, 0.05)), rel=1e-9)


@pytest.mark.parametrize(("n", "effect"), [(2, 5.0), (2, 6.0), (2, 8.0), (2, 22.0), (2, 60.0), (3, 12.0), (9, 20.0)])
def test_power_is_a_number_also_where_scipys_tails_are_none(n: int, effect: float) -> None:
    draws = rng(17).normal(effect, 1, (200_000, n))
    found = np.abs(draws.mean(axis=1)) / draws.std(axis=1, ddof=1) * math.sqrt(n) > stats.t.ppf(0.975, n - 1)
    assert power(n, effect, 1) == pytest.approx(float(np.mean(found)), abs=0.004)


def test_power_rises_with_the_difference_without_a_gap() -> None:
    for n in (2, 3, 5, 20):
        found = np.array([power(n, shift / math.sqrt(n), 1) for shift in np.linspace(0, 60, 241)])
        assert np.isfinite(found).all()
        assert (np.diff(found) >= -1e-3).all()
        assert found[0] == pytest.approx(0.05, abs=1e-9)


def test_power_is_how_often_a_real_difference_is_found() -> None:
    n = needed_n(1, 1)
    assert n == 10
    p = stats.ttest_1samp(rng(11).normal(1, 1, (SIMULATED, n)), 0, axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(power(n, 1, 1), abs=0.02)


def test_no_number_of_pairs_shows_no_difference_and_two_show_one_without_spread() -> None:
    assert needed_n(0, 1) is None
    assert needed_n(1e-4, 1) is None
    assert needed_n(1e-3, 1) == 7_848_863
    assert needed_n(0.1, 0) == 2


@given(st.floats(0.3, 60))
def test_one_pair_fewer_than_needed_has_too_little_power(effect: float) -> None:
    n = needed_n(effect, 1)
    assert n is not None
    assert power(n, effect, 1) >= 0.8
    assert n == 2 or power(n - 1, effect, 1) < 0.8


@pytest.mark.parametrize("bad", [{"sd": -1}, {"power": 1}, {"alpha": 0}])
def test_a_power_a_level_or_a_deviation_out_of_range_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        needed_n(**{"mean_difference": 1, "sd": 1, **bad})


def test_differences_that_are_equal_in_decimals_are_equal() -> None:
    found = differences([0.92, 0.82, 0.3, 0.5], [0.91, 0.81, 0.1 + 0.2, 0.4])
    assert (found == 0).sum() == 1
    assert len(set(found.tolist())) == 3
    assert np.signbit(found).sum() == 0


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1.0, 1e12, 1e200])
def test_differences_keep_their_size_whatever_the_scores_are(scale: float) -> None:
    np.testing.assert_allclose(
        differences([3 * scale, scale], [scale, scale * 1.5]), [-scale / 2, 2 * scale], rtol=1e-11
    )


def test_a_comparison_is_what_its_parts_say() -> None:
    first, second = rng(12).normal(0.9, 0.01, (2, 8))
    found, d = compare(first, second), first - second
    theirs = stats.ttest_rel(first, second).confidence_interval()
    assert (found.difference.low, found.difference.high) == pytest.approx((theirs.low, theirs.high), abs=1e-10)
    assert found.sign_flip_p == sign_flip_p(d)
    assert found.wilcoxon_p == wilcoxon_p(d)
    assert (found.n, found.least_p) == (8, least_p(8))
    assert found.better == paired_improvement(first, second)


def test_scores_that_are_no_pairs_or_missing_are_not_compared() -> None:
    with pytest.raises(DataError, match="in pairs"):
        compare([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="finite"):
        compare([1, -np.inf], [1, 2])


def test_a_seed_that_both_arms_tie_counts_half_and_a_missing_score_loses() -> None:
    found = paired_improvement([1, 2, 3, -np.inf], [0, 2, 1, 0])
    assert found.estimate == 2.5 / 4
    ends = stats.binomtest(2, 4).proportion_ci().low, stats.binomtest(3, 4).proportion_ci().high
    assert (found.low, found.high) == pytest.approx(ends)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_the_probability_of_improvement_is_mann_and_whitneys_u(x: list[int], y: list[int]) -> None:
    found, mirrored = improvement(x, y), improvement(y, x)
    assert found.estimate == pytest.approx(stats.mannwhitneyu(x, y).statistic / len(x) / len(y), abs=1e-12)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((found.low, found.high), abs=1e-9)


def test_the_bounds_of_improvement_lie_where_hanley_and_mcneils_deviation_puts_them() -> None:
    n, found = 7, improvement([3, 5, 8, 9, 11, 12, 13], [1, 2, 4, 6, 7, 10, 14], level=0.9)
    for t in (found.low, found.high):
        first, second = t / (2 - t), 2 * t**2 / (1 + t)  # two of one arm beat one of the other, and the reverse
        variance = (t * (1 - t) + (n - 1) * (first - t**2) + (n - 1) * (second - t**2)) / n**2
        assert abs(found.estimate - t) == pytest.approx(stats.norm.ppf(0.95) * math.sqrt(variance), rel=1e-9)


def test_arms_that_do_not_overlap_are_not_certain_to_differ() -> None:
    few, many = improvement([3, 4, 5], [0, 1, 2]), improvement(np.arange(50, 100), np.arange(50))
    assert few.estimate == few.high == many.estimate == 1
    assert few.low < 0.7
    assert many.low > 0.9
    assert improvement([3], [-np.inf, 1]).estimate == 1


@pytest.mark.parametrize(("n", "m", "shift"), [(5, 5, 0.0), (5, 5, 1.0), (10, 10, 1.0), (8, 20, 2.0)])
def test_intervals_of_improvement_hold_the_truth_at_their_level(n: int, m: int, shift: float) -> None:
    truth = float(stats.norm.cdf(shift / math.sqrt(2)))
    x, y = rng(13).normal(shift, 1, (SIMULATED, n)), rng(14).normal(0, 1, (SIMULATED, m))
    found = [not improvement(a, b).excludes(truth) for a, b in zip(x, y, strict=True)]
    assert np.mean(found) >= 0.93


def test_intervals_of_paired_improvement_hold_the_truth_at_least_at_their_level() -> None:
    outcomes = rng(15).choice([-1, 0, 1], (SIMULATED, 12), p=[0.2, 0.2, 0.6])
    found = [paired_improvement(row, np.zeros(12)) for row in outcomes]
    assert np.mean([not each.excludes(0.7) for each in found]) >= 0.95
    assert all(0 <= each.low <= each.estimate <= each.high <= 1 for each in found)


def test_a_comparison_can_be_compared() -> None:
    assert len(astuple(compare([1, 2], [0, 2]))) == 6
