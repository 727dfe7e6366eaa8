"""Budgets: the score to expect from the best of so many trials, or of so many seconds.

A trial without a score (-inf: it diverged or failed) used its part of the budget and counts as the floor: a given one
(the score of guessing, say), or else the worst score that there is. Where there is no score and no floor, the
expectation is -inf.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnexp.errors import DataError, require
from nnexp.statistics.intervals import DRAWS, Band, outer_ranks
from nnexp.statistics.samples import Float64s, check_level, finite, pairs, scores_or_none

RARE = 10  # what share of the trials, one in so many, a budget may be for its band to be given
EXHAUSTIVE = 7  # up to how many trials all orders are tried: 5040


@dataclass(frozen=True)
class ExpectedCurve:
    """The expected best score at budgets of seconds.

    seconds, expected: (T,). error: (T,), the standard error of the drawn orders, 0 if all were tried. orders: how many.
    exact: whether all were tried.
    """

    seconds: Float64s
    expected: Float64s
    error: Float64s
    orders: int
    exact: bool


def expected_best(scores: ArrayLike, budgets: ArrayLike | None = None, floor: float | None = None) -> Float64s:
    """Return the expected best of n trials, drawn from B without replacement: unbiased for n fresh trials.

    E[max of n] = sum_j v_(j) C(j - 1, n - 1) / C(B, n), v_(1) <= ... <= v_(B). The weights come from
    w_B = n / B, w_(j-1) = w_j (j - n) / (j - 1): products of factors below 1, which cannot overflow.

    Args: scores: (B,), finite or -inf. budgets: n, whole numbers in [1, B]; None for all of them. floor: what a missing
        score counts as; None for the worst there is.
    Returns: (len(budgets),); the mean of the scores for n = 1, their maximum for n = B.
    Raises: DataError if there is no score, or one is NaN or inf; ConfigError if a budget is out of range.
    Source: Tang et al. 2020, arXiv:2004.13705; checked against enumeration.
    """
    v = np.sort(_floored(scores, floor))
    return np.array([_weighted(v, _weights(len(v), n)) for n in _counts(budgets, len(v))])


def expected_best_band(
    scores: ArrayLike,
    budgets: ArrayLike,
    rng: np.random.Generator,
    *,
    floor: float | None = None,
    level: float = 0.95,
    resamples: int = 1000,
) -> Band:
    """Return the expected best of n trials with a percentile bootstrap band, for each n by itself.

    The B trials are resampled with replacement, and `expected_best` is taken of each resample. Resamples know nothing
    above the best score, so the band fails for large n: it is given up to n = B / 10 only, and is NaN beyond.
    There, of 1,000 simulated sweeps of 40 and of 200 trials (uniform, normal and skewed scores), bands at 0.95 held the
    truth in 86 to 95 %: fewer than they say, as bootstraps do.

    Args: scores: (B,), finite or -inf. budgets: n, whole numbers in [1, B]. rng: resamples the sorted scores. floor: as
        of `expected_best`. level: in (0, 1). resamples: >= 1.
    Raises: DataError if there is no score, or one is NaN or inf; ConfigError if a number is out of range.
    Source: Tang et al. 2020, arXiv:2004.13705, for the estimate; Efron 1979,
        doi:10.1214/aos/1176344552.
    """
    check_level(level)
    require(resamples >= 1, "resamples", "at least 1", resamples)
    v = np.sort(_floored(scores, floor))
    n = _counts(budgets, len(v))
    low, high = np.full(len(n), np.nan), np.full(len(n), np.nan)
    few = n * RARE <= len(v)
    if few.any() and v[0] > -np.inf:
        low[few], high[few] = outer_ranks(_resampled_best(v, n[few], rng, resamples), level)
    return Band(n.astype(np.float64), expected_best(v, n), low, high, level, len(v))


def expected_best_biased(scores: ArrayLike, budgets: ArrayLike | None = None, floor: float | None = None) -> Float64s:
    """Return the expected best of n trials drawn from B with replacement: too low an estimate, for comparison only.

    sum_j v_(j) ((j / B)^n - ((j - 1) / B)^n).

    Args: as of `expected_best`, but n may exceed B.
    Raises: as `expected_best`.
    Source: Dodge et al. 2019, arXiv:1909.03004; its bias: Tang et al. 2020, arXiv:2004.13705.
    """
    v = np.sort(_floored(scores, floor))
    reached = np.arange(len(v) + 1) / len(v)
    return np.array([_weighted(v, np.diff(reached**n)) for n in _counts(budgets, len(v), most=None)])


def expected_selected(
    validation: ArrayLike, test: ArrayLike, budgets: ArrayLike | None = None, floor: float | None = None
) -> Float64s:
    """Return the expected test score of the trial that is best on validation among n of B trials.

    sum_j t_(j) C(j - 1, n - 1) / C(B, n), with trials in ascending order of validation; trials that tie there share
    their mean test score, as if the choice between them were drawn. No test score takes part in choosing.

    Args: validation, test: (B,), finite or -inf, of the same trials. budgets: n, whole numbers in [1, B]; None for all.
        floor: what a missing test score counts as; None for the worst there is.
    Returns: (len(budgets),); it can fall with n.
    Raises: DataError if they are no pairs, there is none, or one is NaN or inf; ConfigError for a budget out of range.
    Source: the weights of Tang et al. 2020, arXiv:2004.13705.
    """
    v, t = pairs(validation, test)
    chosen, tested = scores_or_none(v, "validation scores"), _floored(t, floor)
    order = np.lexsort((tested, chosen))
    _, place, counts = np.unique(chosen[order], return_inverse=True, return_counts=True)
    shared = (np.bincount(place, tested[order]) / counts)[place] if np.isfinite(tested).all() else tested[order]
    return np.array([_weighted(shared, _weights(len(v), n)) for n in _counts(budgets, len(v))])


def expected_best_in(
    scores: ArrayLike,
    seconds: ArrayLike,
    budgets: ArrayLike,
    rng: np.random.Generator,
    *,
    floor: float | None = None,
    orders: int = 1000,
) -> ExpectedCurve:
    """Return the expected best score after so many seconds, if trials run one after another in a random order.

    For one order, the best of the trials whose running sum of seconds is within the budget, and the floor before the
    first one has ended; then the mean over orders: all B! of up to 7 trials, else so many drawn ones, with their
    standard error.

    Args: scores: (B,), finite or -inf. seconds: (B,), > 0, what each trial took, also if it has no score. budgets:
        (T,), >= 0. rng: draws the orders, of the trials sorted by score and seconds. floor: what a missing score counts
        as; None for the worst there is. orders: >= 2.
    Raises: DataError if scores and seconds are no pairs, there is none, or one is out of range; ConfigError for orders.
    Source: Dodge et al. 2019, arXiv:1909.03004, with time as the budget and without replacement.
    """
    require(orders >= 2, "orders", "at least 2", orders)
    v, cost = pairs(scores, seconds, "scores and seconds")
    v, at = _floored(v, floor), finite(budgets, "budgets")
    if finite(cost, "seconds").min() <= 0 or at.min() < 0:
        raise DataError("seconds must be positive, and budgets of them not negative")
    order = np.lexsort((cost, v))
    start = float(v.min()) if floor is None else floor
    found = np.array([_best_by(v[o], cost[o], at, start) for o in _orders(order, rng, orders)])
    exact = len(v) <= EXHAUSTIVE
    mean = np.add.reduce(found, axis=0) / len(found) if np.isfinite(start) else np.full(len(at), -np.inf)
    error = np.zeros(len(at)) if exact or not np.isfinite(start) else found.std(axis=0, ddof=1) / math.sqrt(len(found))
    return ExpectedCurve(at, mean, error, len(found), exact)


def _floored(scores: ArrayLike, floor: float | None) -> Float64s:
    v = scores_or_none(scores)
    there = np.isfinite(v)
    require(floor is None or math.isfinite(floor), "floor", "finite", floor)
    worst = floor if floor is not None else float(v[there].min()) if there.any() else -np.inf
    return np.where(there, v, worst)


def _counts(budgets: ArrayLike | None, most_there: int, most: int | None = 0) -> NDArray[np.int64]:
    """Return budgets of trials as whole numbers; most: 0 for as many as there are, None for any."""
    n = np.arange(1, most_there + 1) if budgets is None else np.asarray(budgets)
    limit = most_there if most is not None else math.inf
    whole = n.ndim == 1 and n.dtype.kind in "iu" and bool(((n >= 1) & (n <= limit)).all())
    require(whole, "budgets", f"whole numbers in [1, {limit}]", n.tolist())
    return n.astype(np.int64)


def _weights(b: int, n: int) -> Float64s:
    """Return C(j - 1, n - 1) / C(b, n) for j = 1 .. b."""
    j = np.arange(b, n, -1)  # below j = n all weights are 0
    falling = np.cumprod(np.concatenate([[n / b], (j - n) / (j - 1)]))
    return np.concatenate([np.zeros(n - 1), falling[::-1]])


def _weighted(v: Float64s, weights: Float64s) -> float:
    if v[0] == -np.inf:
        return -math.inf
    return float(min(max(np.add.reduce(weights * v), v.min()), v.max()))  # rounding must not leave the range


def _resampled_best(v: Float64s, n: NDArray[np.int64], rng: np.random.Generator, resamples: int) -> Float64s:
    """Return the expected best of n of each resample of sorted scores, (resamples, len(n))."""
    weights, rows = [_weights(len(v), each) for each in n], max(1, DRAWS // len(v))
    found = []
    for start in range(0, resamples, rows):
        drawn = v[np.sort(rng.integers(0, len(v), (min(rows, resamples - start), len(v))), axis=1)]
        found.append(np.stack([np.add.reduce(drawn * w, axis=1) for w in weights], axis=1))
    return np.concatenate(found)


def _orders(trials: NDArray[np.intp], rng: np.random.Generator, drawn: int) -> Iterator[NDArray[np.intp]]:
    if len(trials) <= EXHAUSTIVE:
        yield from (np.array(order) for order in itertools.permutations(trials))
    else:
        yield from (rng.permutation(trials) for _ in range(drawn))


def _best_by(v: Float64s, seconds: Float64s, at: Float64s, start: float) -> Float64s:
    """Return the best score that there is at each of some times, for trials in one order."""
    best = np.concatenate([[start], np.maximum.accumulate(v)])
    ended = np.searchsorted(np.cumsum(seconds), at * (1 + 1e-12), "right")  # sums differ in the last bits by order
    there: Float64s = best[ended]
    return there
