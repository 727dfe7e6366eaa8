"""Paired comparisons: two arms over the seeds, or the problems, that they share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtr, nctdtr, ndtr, stdtrit

from nnexp.errors import DataError, require
from nnexp.statistics.intervals import Interval, proportion, t_interval
from nnexp.statistics.samples import Float64s, check_level, finite, pairs, scores_or_none

EXACT = 20  # up to how many differences all 2^n flips are counted: a million sums
COUNTED = 500  # up to how many differences sums of ranks are counted: a third of a second
DIGITS = 12  # to how many digits of the largest score differences are taken
MANY = 10**7  # pairs that nobody trains


@dataclass(frozen=True)
class Comparison:
    """Two arms over n common seeds.

    difference: the mean of first - second, with its t interval. wilcoxon_p, sign_flip_p: two-sided. least_p: the
    smallest that these two can be with n pairs. better: the share of seeds where the first is better, ties half.
    """

    n: int
    difference: Interval
    sign_flip_p: float
    wilcoxon_p: float
    least_p: float
    better: Interval


def compare(
    first: ArrayLike, second: ArrayLike, rng: np.random.Generator | None = None, *, level: float = 0.95
) -> Comparison:
    """Return what pairs of scores say about two arms: see the functions that it calls.

    Args: first, second: (n,), finite, of the same seeds in the same order. rng: for more than 20 pairs. level: of the
        intervals, in (0, 1).
    Raises: DataError if they are no pairs, or one is not finite; ConfigError for another level.
    """
    d = differences(first, second)
    return Comparison(
        n=len(d),
        difference=t_interval(d, level),
        sign_flip_p=sign_flip_p(d, rng),
        wilcoxon_p=wilcoxon_p(d),
        least_p=least_p(len(d)),
        better=paired_improvement(first, second, level),
    )


def differences(first: ArrayLike, second: ArrayLike) -> Float64s:
    """Return first - second in ascending order, rounded to 12 digits of the largest score.

    Differences that are equal in decimals (0.92 - 0.91, 0.82 - 0.81) are then equal, and zero is zero: tests on ranks
    would otherwise break ties by the last bit.

    Args: first, second: (n,), finite, of the same seeds in the same order.
    Raises: DataError if they are no pairs, there is none, or one is not finite.
    """
    one, other = pairs(first, second)
    largest = max(np.abs(finite(one)).max(), np.abs(finite(other)).max())
    decimals = DIGITS - 1 - (math.floor(math.log10(largest)) if largest else 0)
    scale = 10.0 ** min(decimals, 300)
    return np.sort(np.rint((one - other) * scale) / scale + 0.0)


def sign_flip_p(differences: ArrayLike, rng: np.random.Generator | None = None, *, flips: int = 99_999) -> float:
    """Return the two-sided p of the sign-flip permutation test of a mean of 0.

    The share of all 2^n choices of signs s with |sum s_i d_i| >= |sum d_i|; for more than 20 differences
    (1 + k) / (1 + N) of N random choices, so that it is never 0. It holds its level whatever the distribution is, as
    long as it is symmetric around 0 when the arms do not differ. Zeros change nothing and are left out.

    Args: differences: d, (n,), finite. rng: for more than 20. flips: N, >= 1.
    Raises: DataError if there is no difference, or one is not finite; ConfigError if rng is missing.
    Source: Fisher 1935, The Design of Experiments; Phipson & Smyth 2010, doi:10.2202/1544-6115.1585.
    """
    d = np.sort(finite(differences, "differences"))
    d = d[d != 0]
    d = d / np.abs(d).max() if len(d) else d
    least = abs(math.fsum(d)) - 1e-10  # sums that are equal but for rounding are equal
    if len(d) <= EXACT:
        return float(np.mean(np.abs(_flipped_sums(d)) >= least))
    require(rng is not None, "rng", f"given for more than {EXACT} differences", rng)
    require(flips >= 1, "flips", "at least 1", flips)
    assert rng is not None
    extreme = sum(int(np.sum(np.abs(sums) >= least)) for sums in _random_sums(d, rng, flips))
    return (1 + extreme) / (1 + flips)


def wilcoxon_p(differences: ArrayLike) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test of symmetry around 0, exact for up to 500 differences.

    W = sum of the ranks of |d_i| over d_i > 0, equals sharing their mean rank, zeros left out; p = min(1, 2 min(P(W <=
    w), P(W >= w))) under all 2^n choices of signs of these very ranks, all counted; beyond 500 by the normal
    distribution with the mean and the variance of W. SciPy's exact table knows no ties, which scores that are shares of
    a test set often have.

    Args: differences: (n,), finite.
    Raises: DataError if there is none, or one is not finite.
    Source: Wilcoxon 1945, doi:10.2307/3001968.
    """
    d = finite(differences, "differences")
    d = d[d != 0]
    _, place, counts = np.unique(np.abs(d), return_inverse=True, return_counts=True)
    doubled = (2 * np.cumsum(counts) - counts + 1)[place]  # twice the mean rank: whole
    w = int(doubled[d > 0].sum())
    if len(d) > COUNTED:
        return float(2 * ndtr(-abs(2 * w - doubled.sum()) / math.sqrt(np.sum(doubled.astype(np.float64) ** 2))))
    chance = _rank_sums(doubled)
    return min(1.0, 2 * min(float(chance[: w + 1].sum()), float(chance[w:].sum())))


def least_p(n: int) -> float:
    """Return 2 / 2^n, the smallest two-sided p that n pairs can give to a test of signs or signed ranks; at most 1.

    Args: n: pairs that differ, >= 0.
    Raises: ConfigError if n is negative.
    """
    require(n >= 0, "n", "at least 0", n)
    return min(1.0, 2.0 ** (1 - n))


def needed_pairs(alpha: float = 0.05) -> int:
    """Return how many pairs such a test needs before it can reach a level at all: the least n with 2 / 2^n <= alpha.

    6 for 0.05. For one of m comparisons under Holm, alpha / m.

    Args: alpha: in (0, 1).
    Raises: ConfigError if alpha is out of range.
    """
    require(0 < alpha < 1, "alpha", "in (0, 1)", alpha)
    return next(n for n in range(2, 2000) if least_p(n) <= alpha)


def power(n: int, mean_difference: float, sd: float, alpha: float = 0.05) -> float:
    """Return the chance that a two-sided paired t test finds a difference: P(|T| > t(1 - alpha/2, n - 1)).

    T follows the noncentral t distribution with n - 1 degrees of freedom and noncentrality mean sqrt(n) / sd.

    Args: n: pairs, >= 2. mean_difference, sd: of the differences, sd > 0. alpha: in (0, 1).
    Raises: ConfigError if one is out of range.
    Source: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences.
    """
    require(n >= 2, "n", "at least 2", n)
    require(sd > 0, "sd", "positive", sd)
    require(0 < alpha < 1, "alpha", "in (0, 1)", alpha)
    shift = abs(mean_difference) * math.sqrt(n) / sd
    critical = float(stdtrit(n - 1, 1 - alpha / 2))
    return _beyond(n - 1, shift, critical)


def needed_n(mean_difference: float, sd: float, *, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """Return how many pairs a paired t test would need to find a difference; None where ten million would not do.

    The least n >= 2 with P(|T| > t(1 - alpha/2, n - 1)) >= power: `power`, by the noncentral t distribution. The
    difference and the deviation that a small sample shows are rough, and so is what follows from them.

    Args: mean_difference, sd: of the differences, sd >= 0. power, alpha: in (0, 1).
    Raises: ConfigError if one is out of range.
    Source: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences.
    """
    require(sd >= 0, "sd", "at least 0", sd)
    require(0 < power < 1, "power", "in (0, 1)", power)
    require(0 < alpha < 1, "alpha", "in (0, 1)", alpha)
    if sd == 0 or mean_difference == 0:
        return 2 if mean_difference else None
    return _least_n(mean_difference, sd, power, alpha)


def holm(p_values: ArrayLike) -> Float64s:
    """Return p values adjusted for their number: rejecting those <= alpha keeps the chance of any false one <= alpha.

    p~_(i) = max over j <= i of min(1, (m - j + 1) p_(j)), with p_(1) <= ... <= p_(m).

    Args: p_values: (m,), in [0, 1].
    Returns: (m,), in the order they came in.
    Raises: DataError if there is none, or one is out of range.
    Source: Holm 1979, Scandinavian Journal of Statistics 6(2), 65-70.
    """
    p = finite(p_values, "p values")
    if p.min() < 0 or p.max() > 1:
        raise DataError(f"p values must be in [0, 1], got {p.tolist()}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(np.minimum(1, np.arange(len(p), 0, -1) * p[order]))
    return adjusted


def paired_improvement(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Interval:
    """Return how often the first is better at the same seed, ties half, with an interval.

    (wins + ties / 2) / n. Low: Clopper and Pearson's of the wins, as if ties were lost; high: theirs of wins and ties,
    as if ties were won. So it is never below its level, and wide for few pairs.

    Args: first, second: (n,), finite or -inf, of the same seeds in the same order. level: in (0, 1).
    Raises: DataError if they are no pairs, there is none, or one is NaN or inf; ConfigError for another level.
    Source: Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404.
    """
    one, other = pairs(first, second)
    x, y = scores_or_none(one), scores_or_none(other)
    n, wins, ties = len(x), int(np.sum(x > y)), int(np.sum(x == y))
    low = proportion(wins, n, level, "clopper-pearson").low
    high = proportion(wins + ties, n, level, "clopper-pearson").high
    return Interval((wins + ties / 2) / n, low, high, level, "clopper-pearson", n)


def improvement(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Interval:
    """Return P(X > Y), ties half: how often a run of the first arm is better than one of the second, with an interval.

    U / (n m), Mann and Whitney's U. The bounds are the t with |U/nm - t| <= z sqrt(V(t)),
    V(t) = t (1 - t) (1 + N (1 - t) / (2 - t) + N t / (1 + t)) / (n m), N = (n + m) / 2 - 1, which stays honest where
    the arms do not overlap (a bootstrap then says that it is certain).

    Args: first, second: (n,), (m,), finite or -inf, not paired. level: in (0, 1).
    Raises: DataError if one is empty, or a score is NaN or inf; ConfigError for another level.
    Source: Bouthillier et al. 2021, arXiv:2103.03098; the interval: Newcombe 2006, doi:10.1002/sim.2324, method 5.
    """
    check_level(level)
    x, y = scores_or_none(first), np.sort(scores_or_none(second))
    below, upto = np.searchsorted(y, x, "left"), np.searchsorted(y, x, "right")
    estimate = float(below.sum() + upto.sum()) / 2 / (len(x) * len(y))
    low = _newcombe(estimate, len(x), len(y), level, 0.0)
    high = _newcombe(estimate, len(x), len(y), level, 1.0)
    return Interval(estimate, low, high, level, "newcombe", len(x) + len(y))


def _flipped_sums(d: Float64s) -> Float64s:
    """Return the sums under every choice of signs but for the first's, which mirrors them, (2^(n-1),)."""
    sums = d[:1] if len(d) else np.zeros(1)
    for value in d[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _rank_sums(ranks: NDArray[np.intp]) -> Float64s:
    """Return the chance of each sum of whole ranks, if each one counts with chance one half."""
    chance = np.zeros(int(ranks.sum()) + 1)
    chance[0] = 1
    for rank in ranks:
        chance[rank:] += chance[:-rank].copy()
        chance /= 2
    return chance


def _random_sums(d: Float64s, rng: np.random.Generator, flips: int) -> list[Float64s]:
    rows = max(1, (1 << 20) // len(d))
    sizes = [min(rows, flips - start) for start in range(0, flips, rows)]
    return [np.add.reduce(np.where(rng.integers(0, 2, (size, len(d))), d, -d), axis=1) for size in sizes]


def _beyond(degrees: int, shift: float, critical: float) -> float:
    """Return P(|T| > critical). SciPy's function gives NaN for the far tails, so these are had otherwise.

    T = (Z + shift) / sqrt(X / degrees): with a shift of 30, Z is nothing beside it (to a thousandth), and with one of 7
    T is not negative.
    """
    if shift > 30:
        return float(chdtr(degrees, degrees * (shift / critical) ** 2))
    below = float(nctdtr(degrees, shift, -critical)) if shift < 7 else 0.0
    return float(1 - nctdtr(degrees, shift, critical)) + below


def _least_n(mean_difference: float, sd: float, wanted: float, alpha: float) -> int | None:
    high = 2
    while power(high, mean_difference, sd, alpha) < wanted:
        high *= 2
        if high > MANY:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, mean_difference, sd, alpha) >= wanted else (middle, high)
    return high


def _newcombe(estimate: float, n: int, m: int, level: float, end: float) -> float:
    """Return the bound on an end's side, by bisection between it and the estimate."""
    z = float(stdtrit(np.inf, (1 + level) / 2))
    extra = (n + m) / 2 - 1

    def inside(t: float) -> bool:
        spread = t * (1 - t) * (1 + extra * (1 - t) / (2 - t) + extra * t / (1 + t)) / (n * m)
        return abs(estimate - t) <= z * math.sqrt(spread)

    held, missed = estimate, end
    for _ in range(60):
        middle = (held + missed) / 2
        held, missed = (middle, missed) if inside(middle) else (held, middle)
    return held
